"""Every key in every mode on every kind of layer does one thing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.keymap import BOTH, CORRECT, KEYS, READ
from napari_medcnn.widgets.keys_window import KeysWindow, as_text, lines_of
from window_state import as_ours, of_layer, of_window

pytestmark = pytest.mark.gui

#: Keys of napari's viewer that may do their work while a layer of ours is chosen: none of it concerns layers.
VIEW_KEYS = {"Ctrl+R", "Ctrl+Up", "Ctrl+Down", "Shift+Up", "Shift+Down", "Space"}
#: These open a console and napari's own sheet of keys, and paint the whole window in another colour.
NOT_PRESSED = {"Ctrl+Shift+C", "Ctrl+Alt+/", "Ctrl+Shift+T"}
#: Turns all layers: ours turn back at once (`test_gestures`), theirs would stay slanted.
TURNS = "Ctrl+Alt+T"
#: Show or hide all other layers while one of theirs is chosen, which is what they say.
HIDING = ("Shift+V", "Shift+Alt+Up", "Shift+Alt+Down")
#: What they may change.
OF_THE_VIEW = ("chosen", "view main")


def keys_of_napari(*owners: Any) -> list[str]:
    """Return every key that napari binds on the classes of layers and viewers, as it prints them."""
    found: dict[str, None] = {}
    for owner in owners:
        for cls in type(getattr(owner, "__wrapped__", owner)).__mro__:
            found |= dict.fromkeys(str(key) for key in getattr(cls, "class_keymap", {}))
    return [name for name in found if name not in NOT_PRESSED and name not in ("Shift", "Ctrl", "Alt")]


def all_kinds_of_layers(desk: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Open a scan with one layer of every kind of ours, and one of every kind of somebody else's."""
    desk.open("phantom")
    desk.empty_mask()
    layers, scan = desk.dock.layers, desk.dock.layers.scan
    own = {name: getattr(scan, name) for name in ("scale", "translate", "units", "axis_labels")}
    info = {KEY: {**scan.metadata[KEY], "role": "map"}}
    values = np.zeros(scan.data.shape, np.float32)
    layers.add_maps(
        "shown", [(values, {"name": "map", "metadata": info, "contrast_limits": (0, 1), **own}, "image")], True
    )
    region = layers.draw_region(True)
    layers.draw_region(False)
    (shown,) = (layer for layer in layers.ours if layer.metadata[KEY].get("group") == "shown")
    viewer = desk.viewer
    theirs = {
        "their image": viewer.add_image(np.zeros(scan.data.shape, np.uint8), name="their image", **own),
        "their labels": viewer.add_labels(np.zeros(scan.data.shape, np.uint8), name="their labels", **own),
        "their points": viewer.add_points(np.zeros((1, 3)), name="their points", **own),
        "their shapes": viewer.add_shapes([np.zeros((4, 3))], name="their shapes", **own),
    }
    desk.idle(0.1)
    return {"scan": scan, "mask": layers.mask, "map": shown, "region": region, "nothing": None}, theirs


def test_a_key_has_one_line_per_mode() -> None:
    for mode in BOTH:
        names = [key.key for key in KEYS if mode in key.modes and key.key]
        assert len(names) == len(set(names))
    assert all("?" not in key.key for key in KEYS)


@pytest.mark.parametrize("layout", ["one", "four"])
def test_every_key_everywhere_does_one_thing(desk, presses, layout: str) -> None:
    """Every key of ours and of napari, in both modes, on every kind of layer, in every view.

    The actions are counted and do nothing, so whatever else changes was done by napari on top of ours.
    """
    ours, theirs = all_kinds_of_layers(desk)
    panes = desk.four() if layout == "four" else desk.dock.views.panes[:1]
    wrong: list[Any] = []
    table = list(dict.fromkeys(row.key for row in KEYS if row.key))
    names = table + [
        name for name in keys_of_napari(desk.viewer, *ours.values(), *theirs.values()) if as_ours(name) not in table
    ]
    assert len(names) > 80
    for mode, tab in ((READ, 0), (CORRECT, 2)):
        desk.dock.tabs.setCurrentIndex(tab)
        desk.idle(0.05)
        assert desk.dock.mode == mode
        for pane in panes:
            main = pane.name == "main"
            for where, layer in ours.items() if main else [("mask", ours["mask"]), ("nothing", None)]:
                changed: dict[str, Any] = {"": "another layer"}
                for name in names:
                    if changed:
                        desk.viewer.layers.selection.active = layer
                        presses.look()
                    called, changed = presses.press(pane.native, name)
                    may = OF_THE_VIEW if main and name in VIEW_KEYS else ()
                    extra = {key: value for key, value in changed.items() if key not in may}
                    if called != presses.expected(name) or extra:
                        wrong.append((layout, mode, pane.name, where, name, called, presses.expected(name), extra))
    assert not wrong, "\n".join(map(str, wrong))


def test_every_key_on_layers_of_others_does_theirs_or_ours_and_never_touches_our_layers(desk, presses) -> None:
    ours, theirs = all_kinds_of_layers(desk)
    wrong: list[Any] = []
    own = [layer for layer in ours.values() if layer is not None]
    table = list(dict.fromkeys(row.key for row in KEYS if row.key))
    deleting = {"Ctrl+Delete", "Ctrl+Backspace", "Delete", "Backspace", "1", "3", "Ctrl+V"}
    for mode, tab, kinds in ((READ, 0, theirs), (CORRECT, 2, {"their labels": theirs["their labels"]})):
        desk.dock.tabs.setCurrentIndex(tab)
        desk.idle(0.05)
        for where, layer in kinds.items():
            names = table + [name for name in keys_of_napari(desk.viewer, layer) if as_ours(name) not in table]
            changed: dict[str, Any] = {"": "another layer"}
            for name in names:
                if name in deleting or name == TURNS:
                    continue  # deletes or adds their data, which is their right
                if changed:
                    desk.viewer.layers.selection.active = layer
                    presses.look(own)
                kept = of_layer(layer)
                called, changed = presses.press(desk.native, name)
                hiding = name in HIDING and not called
                touched = [key for key in changed if key.startswith("layer ") and not hiding]
                if called not in ([], presses.expected(name)) or touched:
                    wrong.append((mode, where, name, called, changed))
                if called:  # then napari did nothing on top of it
                    assert kept == of_layer(layer)
                if changed:
                    desk.viewer.dims.ndisplay, desk.viewer.canvas.grid.enabled = 2, False
                    desk.viewer.dims.order = tuple(range(desk.viewer.dims.ndim))
                    for each in own:
                        each.visible = True
    assert not wrong, "\n".join(map(str, wrong))


def test_our_layers_are_not_deleted_by_a_key(desk) -> None:
    """Backspace in the layer list deletes an unlocked layer unasked; Ctrl+Delete does on the canvas."""
    ours, _theirs = all_kinds_of_layers(desk)
    for layer in ours.values():
        if layer is None:
            continue
        desk.viewer.layers.selection.active = layer
        for held in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier):
            for key in (Qt.Key.Key_Backspace, Qt.Key.Key_Delete):
                desk.key(key, held)
        desk.viewer.layers.remove_selected()
        assert layer in desk.viewer.layers, layer.name


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
    assert mask.brush_size == 8 and desk.dock.correct.brush_words.text() == "6.4 mm"  # voxels of 0.8 mm
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
    before = of_window(desk)
    field.setFocus()
    QTest.keyClicks(field, "1 pE")
    assert field.text() == "1 pE" and of_window(desk) == before
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert desk.dock.session.labels.names == ("Class 1", "1 pE")
    for widget in (desk.dock.correct.save, desk.dock.correct.classes, desk.dock.header, desk.dock):
        before = of_window(desk)
        for key in (Qt.Key.Key_P, Qt.Key.Key_PageDown, Qt.Key.Key_O, Qt.Key.Key_Backspace):
            if not (widget is desk.dock.correct.classes and key == Qt.Key.Key_PageDown):
                QTest.keyClick(widget, key)
        assert of_window(desk) == before, widget
    assert isinstance(field, QLineEdit)


def test_f1_shows_the_table(desk) -> None:
    desk.open("phantom")
    desk.key(Qt.Key.Key_F1)
    (window,) = desk.dock.findChildren(KeysWindow)
    assert window.isVisible()
    assert not window.nothing.isVisible()
    QTest.keyClicks(window.search, "xylophone")
    assert window.nothing.isVisible() and window.nothing.text() == "No key has such words."
    window.search.clear()
    assert not window.nothing.isVisible()
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
