"""Every key in every mode on every kind of layer does one thing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_medcnn.widgets.keymap import BOTH, CORRECT, KEYS, READ
from napari_medcnn.widgets.keys_window import KeysWindow, as_text, lines_of

pytestmark = pytest.mark.gui

NAMED = {"[": "BracketLeft", "]": "BracketRight"}
MODIFIERS = {"Control": Qt.KeyboardModifier.ControlModifier, "Shift": Qt.KeyboardModifier.ShiftModifier}


def qt_key(name: str) -> tuple[Any, Any]:
    *held, last = name.split("-") if len(name) > 1 else [name]
    modifiers = Qt.KeyboardModifier.NoModifier
    for word in held:
        modifiers |= MODIFIERS[word]
    return getattr(Qt.Key, f"Key_{NAMED.get(last, last)}"), modifiers


def state(desk) -> dict[str, Any]:
    """Everything a key of napari could change behind our back."""
    viewer, dock = desk.viewer, desk.dock
    out: dict[str, Any] = {
        "layers": [layer.name for layer in viewer.layers],
        "active": getattr(viewer.layers.selection.active, "name", None),
        "ndisplay": viewer.dims.ndisplay,
        "order": tuple(viewer.dims.order),
        "step": tuple(viewer.dims.current_step),
        "theme": viewer.theme,
        "grid": viewer.canvas.grid.enabled,
        "zoom": viewer.scene.camera.zoom,
    }
    for layer in dock.layers.ours:
        out[f"{layer.name} mode"] = str(layer.mode)
        out[f"{layer.name} visible"] = layer.visible
    if dock.layers.mask is not None:
        mask = dock.layers.mask
        out |= {"class": mask.selected_label, "brush": mask.brush_size, "preserve": mask.preserve_labels}
        out |= {"voxels": int(np.count_nonzero(mask.data)), "contour": mask.contour}
    return out


def test_a_key_has_one_line_per_mode() -> None:
    for mode in BOTH:
        names = [key.key for key in KEYS if mode in key.modes and key.key]
        assert len(names) == len(set(names))
    assert all("?" not in key.key for key in KEYS)


def test_every_key_everywhere_does_one_thing(desk) -> None:
    """The actions are counted and do nothing, so whatever else changes was done by napari on top of ours."""
    desk.open("phantom")
    desk.empty_mask()
    dock, called = desk.dock, []
    for name in dict.fromkeys(key.action for key in KEYS):
        dock.keymap._actions[name] = lambda *a, name=name: called.append((name, *a))
        dock.keymap._actions[f"release_{name}"] = lambda: None
    ours = {"our scan": dock.layers.scan, "our mask": dock.layers.mask}
    wrong = []
    for mode, tab in ((READ, 0), (CORRECT, 2)):
        dock.tabs.setCurrentIndex(tab)
        desk.idle(0.05)
        assert dock.mode == mode
        for where, layer in ours.items():
            desk.viewer.layers.selection.active = layer
            for name in dict.fromkeys(key.key for key in KEYS if key.key):
                row = next((k for k in KEYS if k.key == name and mode in k.modes), None)
                expected = [] if row is None else [(row.action, *(() if row.argument is None else (row.argument,)))]
                before = state(desk)
                called.clear()
                QTest.keyClick(desk.native, *qt_key(name))
                after = state(desk)
                if called != expected or after != before:
                    changed = {k: (before[k], after[k]) for k in before if before[k] != after[k]}
                    wrong.append((mode, where, name, list(called), expected, changed))
    assert wrong == []


def test_other_keys_of_napari_are_silent_on_our_layers(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    for layer in (desk.dock.layers.mask, desk.dock.layers.scan):
        desk.viewer.layers.selection.active = layer
        for name in ("M", "Equal", "Minus", "B", "C", "Z", "S", "Y", "Backspace", "Delete", "Return"):
            before = state(desk)
            QTest.keyClick(desk.native, getattr(Qt.Key, f"Key_{name}"))
            assert state(desk) == before, name


def test_layers_of_others_keep_their_keys(desk) -> None:
    desk.open("phantom")
    scan = desk.dock.layers.scan
    labels = desk.viewer.add_labels(
        np.zeros(scan.data.shape, np.uint8), name="theirs", scale=scan.scale, units=scan.units
    )
    desk.viewer.layers.selection.active = labels
    desk.key(Qt.Key.Key_2)
    assert str(labels.mode) == "paint"
    desk.key(Qt.Key.Key_M)
    desk.viewer.layers.remove(labels)


def test_keys_really_move_and_change(desk) -> None:
    desk.open("phantom")
    dims, scan = desk.viewer.dims, desk.dock.layers.scan
    start = dims.current_step[0]
    desk.key(Qt.Key.Key_Down)
    assert dims.current_step[0] == start + 1
    desk.key(Qt.Key.Key_Home)
    assert dims.current_step[0] == 0
    desk.key(Qt.Key.Key_Up)
    assert dims.current_step[0] == 0
    desk.key(Qt.Key.Key_End)
    assert dims.current_step[0] == 47
    own = tuple(scan.contrast_limits)
    desk.key(Qt.Key.Key_2)
    assert tuple(scan.contrast_limits) == (-600 - 750, -600 + 750)
    desk.key(Qt.Key.Key_0)
    assert tuple(scan.contrast_limits) == own
    desk.key(Qt.Key.Key_I)
    assert scan.colormap.name == "gray_r"
    desk.key(Qt.Key.Key_T)
    assert desk.dock.tabs.currentIndex() == 2


def test_hold_h_hides_the_mask(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    QTest.keyPress(desk.native, Qt.Key.Key_H)
    assert not desk.dock.layers.mask.visible and desk.dock.layers.scan.visible
    QTest.keyRelease(desk.native, Qt.Key.Key_H)
    assert desk.dock.layers.mask.visible


def test_wheel_is_slice_on_volumes_and_zoom_with_ctrl(desk) -> None:
    desk.open("phantom")
    dims, camera = desk.viewer.dims, desk.viewer.scene.camera
    start, zoom = dims.current_step[0], camera.zoom
    desk.wheel(-1)
    assert dims.current_step[0] == start + 1 and camera.zoom == zoom
    desk.wheel(1)
    assert dims.current_step[0] == start and camera.zoom == zoom
    desk.wheel(1, Qt.KeyboardModifier.ControlModifier)
    assert dims.current_step[0] == start and camera.zoom > zoom


def test_shift_wheel_is_the_brush_while_correcting_and_nothing_else(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    dims, camera, mask = desk.viewer.dims, desk.viewer.scene.camera, desk.dock.layers.mask
    mask.brush_size = 10
    start, zoom = dims.current_step[0], camera.zoom
    desk.wheel(1, Qt.KeyboardModifier.ShiftModifier)
    assert mask.brush_size == 12 and desk.dock.correct.brush.value() == 12  # a fifth more
    desk.wheel(-1, Qt.KeyboardModifier.ShiftModifier)
    desk.wheel(-1, Qt.KeyboardModifier.ShiftModifier)
    assert mask.brush_size == 8 and desk.dock.correct.brush_words.text() == "8 px"
    assert (dims.current_step[0], camera.zoom) == (start, zoom)
    desk.dock.tabs.setCurrentIndex(0)
    desk.wheel(1, Qt.KeyboardModifier.ShiftModifier)
    assert mask.brush_size == 8


def test_wheel_zooms_pictures(desk) -> None:
    desk.open("fundus")
    zoom = desk.viewer.scene.camera.zoom
    desk.wheel(1)
    assert desk.viewer.scene.camera.zoom > zoom


def test_text_fields_and_buttons_keep_their_keys(desk) -> None:
    """Enter, digits and letters typed into the dock never reach the picture."""
    desk.open("phantom")
    desk.empty_mask()
    field = desk.dock.correct.new_class
    before = state(desk)
    field.setFocus()
    QTest.keyClicks(field, "1 pE")
    assert field.text() == "1 pE" and state(desk) == before
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert desk.dock.session.labels.names == ("Class 1", "1 pE")
    for widget in (desk.dock.correct.save, desk.dock.correct.classes, desk.dock.header, desk.dock):
        before = state(desk)
        for key in (Qt.Key.Key_P, Qt.Key.Key_PageDown, Qt.Key.Key_O, Qt.Key.Key_Backspace):
            if not (widget is desk.dock.correct.classes and key == Qt.Key.Key_PageDown):
                QTest.keyClick(widget, key)
        assert state(desk) == before, widget
    assert isinstance(field, QLineEdit)


def test_f1_shows_the_table(desk) -> None:
    desk.open("phantom")
    desk.key(Qt.Key.Key_F1)
    (window,) = desk.dock.findChildren(KeysWindow)
    assert window.isVisible()
    window.close()
    desk.idle(0.05)
    shown = {does: key for key, does in lines_of()}
    assert shown["Undo"] == "Ctrl+Z" and shown["Redo"] == "Ctrl+Shift+Z, Ctrl+Y" and shown["Class"] == "1 to 9"
    assert "Ctrl+Z" in as_text(lines_of()) and as_text([("", "Mouse"), ("Wheel", "Zoom")]) == "Mouse\nWheel  Zoom\n"


def test_keys_go_back_to_napari_with_the_dock(desk) -> None:
    desk.open("phantom")
    desk.dock.shut_down()
    steps = desk.viewer.dims.current_step
    desk.viewer.layers.selection.active = None
    desk.key(Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert desk.viewer.dims.ndisplay == 3 and desk.viewer.dims.current_step == steps
