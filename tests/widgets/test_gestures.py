"""Rules 1 to 5 of the interface with real events: which drags paint, what depends on the chosen layer, which layers are
protected, which widgets keep their keys. Voxels are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.widgets.parts import Section
from window_state import of_layer

pytestmark = pytest.mark.gui

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NONE, SHIFT, CTRL, ALT = (
    Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
)  # fmt: skip
TOOLS = ("paint", "erase", "fill", "pick")


@pytest.fixture
def bench(desk):
    """A scan and a mask with a block of class 1 in all slices, Correct."""
    desk.open("phantom")
    desk.empty_mask()
    mask = desk.dock.layers.mask
    mask.data[:, 40:90, 40:90] = 1
    mask.refresh()
    desk.dock.strokes.commit()
    desk.dock.strokes.begin(Snapshot(mask.data.copy()), {1: int(np.count_nonzero(mask.data))})
    mask.brush_size = 8
    assert desk.dock.mode == "Correct"
    return desk


def across(desk: Any, pane: Any = None) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends of a drag over the edge of the block."""
    x, y = desk.centre(pane)
    return (x - 0.3 * x, y), (x + 0.3 * x, y + 0.1 * y)


# ---- rule 4: what does not paint ------------------------------------------------------------------------------------

#: Every button with every modifier but those of the tool itself: plain left, and Ctrl+left, which erases.
NOT_PAINTING = [
    (button, held)
    for button in (LEFT, RIGHT, MIDDLE)
    for held in (NONE, SHIFT, CTRL, ALT, SHIFT | CTRL, CTRL | ALT)
    if (button, held) not in ((LEFT, NONE), (LEFT, CTRL))
]


@pytest.mark.parametrize("tool", TOOLS)
def test_no_other_drag_paints_in_any_tool(bench, tool: str) -> None:
    mask, camera, scan = bench.dock.layers.mask, bench.viewer.scene.camera, bench.dock.layers.scan
    bench.dock.correcting.use_tool(tool)
    before, steps, painted = mask.data.copy(), len(bench.dock.strokes.history.names), []
    for button, held in NOT_PAINTING:
        zoom, window, chosen = camera.zoom, tuple(scan.contrast_limits), mask.selected_label
        bench.drag(*across(bench), button, held, steps=3)
        changed = int(np.count_nonzero(mask.data != before))
        zooms = bool(held & ALT)  # napari's own box, with any button
        if changed or str(mask.mode) != tool or mask.selected_label != chosen or (camera.zoom != zoom and not zooms):
            painted.append((tool, NOT_PAINTING.index((button, held)), changed, str(mask.mode), camera.zoom / zoom))
            mask.data[...] = before
        if button == RIGHT and held == NONE:
            assert tuple(scan.contrast_limits) != window
        bench.viewer.reset_view()
    assert not painted, "\n".join(map(str, painted))
    assert len(bench.dock.strokes.history.names) == steps


def test_the_drags_that_do_paint_still_do(bench) -> None:
    """Otherwise the test above could not fail."""
    mask = bench.dock.layers.mask
    for tool, held, more in (("paint", NONE, True), ("erase", NONE, False), ("paint", CTRL, False)):
        bench.dock.correcting.use_tool(tool)
        before = int(np.count_nonzero(mask.data))
        bench.drag(*across(bench), LEFT, held)
        after = int(np.count_nonzero(mask.data))
        assert after != before and (after > before) is more, (tool, held, before, after)
        assert str(mask.mode) == tool
        bench.dock.strokes.undo()
        assert int(np.count_nonzero(mask.data)) == before


def test_nothing_but_the_brush_paints_in_further_views(bench) -> None:
    """What the brush does there is in `test_painting.py`."""
    mask, panes = bench.dock.layers.mask, bench.four()
    before = mask.data.copy()
    for tool in ("paint", "fill"):
        bench.dock.correcting.use_tool(tool)
        for pane in panes[1:]:
            for button, held in (
                (LEFT, NONE),
                (LEFT, CTRL),
                (LEFT, SHIFT),
                (RIGHT, NONE),
                (RIGHT, SHIFT),
                (MIDDLE, NONE),
            ):
                if tool == "paint" and pane.is_flat and button == LEFT and held in (NONE, CTRL):
                    continue
                zoom = pane.viewer.scene.camera.zoom
                bench.drag(*across(bench, pane), button, held, steps=3, pane=pane)
                assert np.array_equal(mask.data, before), (tool, pane.name, button, held)
                if pane.is_flat:
                    assert pane.viewer.scene.camera.zoom == pytest.approx(zoom), (tool, pane.name, button, held)
            assert str(mask.mode) == tool
    assert not bench.dock.strokes.history.names


def test_space_and_a_drag_move_the_picture_and_paint_nothing(bench) -> None:
    mask, camera = bench.dock.layers.mask, bench.viewer.scene.camera
    before, centre = mask.data.copy(), tuple(camera.center)
    QTest.keyPress(bench.native, Qt.Key.Key_Space)
    bench.drag(*across(bench))
    QTest.keyRelease(bench.native, Qt.Key.Key_Space)
    assert np.array_equal(mask.data, before) and tuple(camera.center) != centre and str(mask.mode) == "paint"


# ---- rule 5: the wheel ----------------------------------------------------------------------------------------------


def test_wheel_is_slice_ctrl_is_zoom_shift_is_the_tool_in_every_view(bench) -> None:
    mask = bench.dock.layers.mask
    for pane in bench.four()[:3]:
        dims, camera = pane.viewer.dims, pane.viewer.scene.camera
        step, zoom = tuple(dims.current_step), camera.zoom
        bench.wheel(-1, pane=pane)
        moved = [a for a, (old, new) in enumerate(zip(step, dims.current_step, strict=True)) if new != old]
        assert len(moved) == 1 and dims.current_step[moved[0]] == step[moved[0]] + 1 and camera.zoom == zoom, pane.name
        bench.wheel(1, pane=pane)
        assert tuple(dims.current_step) == step and camera.zoom == zoom
        bench.wheel(1, CTRL, pane=pane)
        assert tuple(dims.current_step) == step and camera.zoom > zoom
        brush = mask.brush_size
        zoom = camera.zoom
        bench.wheel(1, SHIFT, pane=pane)
        assert tuple(dims.current_step) == step and camera.zoom == zoom
        assert mask.brush_size >= brush


# ---- rule 2: nothing depends on the chosen layer --------------------------------------------------------------------


def test_brightness_is_of_the_scan_whatever_is_chosen(bench) -> None:
    scan, viewer = bench.dock.layers.scan, bench.viewer
    theirs = viewer.add_points(np.zeros((1, 3)), name="theirs", scale=scan.scale, units=scan.units)
    for layer in (bench.dock.layers.mask, scan, theirs, None):
        viewer.layers.selection.active = layer
        before = tuple(scan.contrast_limits)
        bench.drag(*across(bench), RIGHT)
        assert tuple(scan.contrast_limits) != before, layer
        bench.key(Qt.Key.Key_3, CTRL)
        assert tuple(scan.contrast_limits) == (400 - 900, 400 + 900), layer  # bone: level 400, width 1800
        bench.key(Qt.Key.Key_0, CTRL)


def test_choosing_a_tool_chooses_the_mask(bench) -> None:
    for layer in (bench.dock.layers.scan, None):
        bench.viewer.layers.selection.active = layer
        bench.key(Qt.Key.Key_P)
        assert bench.viewer.layers.selection.active.name == bench.dock.layers.mask.name
        assert str(bench.dock.layers.mask.mode) == "paint"


def test_undo_from_any_view_and_any_layer_goes_to_the_place_and_names_the_step(bench) -> None:
    mask, dims = bench.dock.layers.mask, bench.viewer.dims
    panes = bench.four()
    for pane in panes:
        for layer in (mask, bench.dock.layers.scan, None):
            before = mask.data.copy()
            bench.viewer.layers.selection.active = mask
            dims.set_current_step(0, 20)
            bench.drag(*across(bench))
            assert not np.array_equal(mask.data, before)
            dims.set_current_step(0, 5)
            bench.viewer.layers.selection.active = layer
            bench.dock.say("")
            bench.key(Qt.Key.Key_Z, CTRL, pane=pane)
            assert np.array_equal(mask.data, before), (pane.name, layer)
            assert dims.current_step[0] == 20, (pane.name, layer)
            assert "Undone: Brush" in bench.dock.message.text()


# ---- rule 3: our layers are protected -------------------------------------------------------------------------------


def test_turning_moving_and_stretching_our_layers_is_undone_at_once_with_a_note(bench) -> None:
    for layer in (bench.dock.layers.scan, bench.dock.layers.mask):
        before = of_layer(layer)
        for name, value in (("rotate", 30.0), ("scale", (1, 1, 1)), ("translate", (5, 5, 5)), ("shear", (0.1, 0, 0))):
            bench.dock.say("")
            setattr(layer, name, value)
            bench.idle(0.03)
            assert of_layer(layer) == before, (layer.name, name)
            assert bench.dock.message.text() != "", (layer.name, name)
        layer.affine = np.diag([2.0, 1, 1, 1])
        bench.idle(0.03)
        assert of_layer(layer) == before


def test_the_digits_and_letters_of_napari_do_nothing_on_ours(bench) -> None:
    """`M` is a new class, `=` and `-` the next one, `B` protects, `C` sets the contrast, 1 to 7 are tools."""
    mask, scan = bench.dock.layers.mask, bench.dock.layers.scan
    for layer in (mask, scan):
        for key in (Qt.Key.Key_M, Qt.Key.Key_Equal, Qt.Key.Key_Minus, Qt.Key.Key_B, Qt.Key.Key_C, Qt.Key.Key_7):
            bench.viewer.layers.selection.active = layer
            before = (of_layer(mask), of_layer(scan))
            bench.key(key)
            assert (of_layer(mask), of_layer(scan)) == before, (layer.name, key)
    bench.key(Qt.Key.Key_1)
    assert str(mask.mode) == "paint" and mask.selected_label == 1


def test_the_status_bar_does_not_tell_the_keys_of_napari_for_ours(bench) -> None:
    """It tells tools by digits, which choose classes here; a layer of somebody else tells its own."""
    for tool in ("erase", "pan_zoom", "fill", "paint"):
        bench.dock.correcting.use_tool(tool)
        assert bench.viewer.help == "", tool
    other = bench.viewer.add_labels(np.zeros((3, 4, 5), np.uint8), name="theirs")
    assert "use <" in bench.viewer.help
    bench.viewer.layers.remove(other)


# ---- rule 1: fields keep their keys ---------------------------------------------------------------------------------

TYPED = (
    Qt.Key.Key_Return, Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_E, Qt.Key.Key_P, Qt.Key.Key_G, Qt.Key.Key_X,
    Qt.Key.Key_Backspace, Qt.Key.Key_Delete, Qt.Key.Key_Up, Qt.Key.Key_Left,
)  # fmt: skip
KINDS = (QLineEdit, QPlainTextEdit, QComboBox, QAbstractItemView, QAbstractSlider)


def open_sections(dock: Any) -> None:
    for section in dock.findChildren(Section):
        section.title.setChecked(True)


def test_every_field_list_and_table_keeps_enter_digits_letters_and_backspace(bench, presses) -> None:
    """Typed into every field of every tab, with everything opened; no action of ours is asked for, no layer changes."""
    dock, seen = bench.dock, 0
    open_sections(dock)
    for tab in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(tab)
        bench.idle(0.05)
        for kind in KINDS:
            for widget in dock.tabs.currentWidget().findChildren(kind):
                if not (widget.isVisible() and widget.isEnabled()) or isinstance(widget, QComboBox):
                    continue
                seen += 1
                places = [pane.viewer.dims.point for pane in dock.views.panes]
                voxels = of_layer(dock.layers.mask)[-1]
                presses.called.clear()
                for key in TYPED:
                    if not (isinstance(widget, QAbstractSlider) and key in (Qt.Key.Key_Up, Qt.Key.Key_Left)):
                        QTest.keyClick(widget, key)
                assert presses.called == [], (widget.accessibleName(), presses.called)
                assert [pane.viewer.dims.point for pane in dock.views.panes] == places, widget.accessibleName()
                assert of_layer(dock.layers.mask)[-1] == voxels, widget.accessibleName()
    assert seen >= 4


# ---- keyboard and names ---------------------------------------------------------------------------------------------


def controls(top: QWidget) -> list[QWidget]:
    """Return what a person can use below a widget, parts of lists and scroll bars aside."""
    kinds = (QAbstractButton, *KINDS)
    found = []
    for kind in kinds:
        for widget in top.findChildren(kind):
            name = widget.objectName()
            inside = any(
                isinstance(parent, (QComboBox, QAbstractItemView, QLineEdit)) for parent in parents(widget, top)
            )
            if not inside and not name.startswith("qt_") and not widget.inherits("QScrollBar"):
                found.append(widget)
    return found


def parents(widget: QWidget, top: QWidget) -> list[QWidget]:
    above, found = widget.parentWidget(), []
    while above is not None and above is not top:
        found.append(above)
        above = above.parentWidget()
    return found


def unnamed(top: QWidget) -> list[str]:
    """Return what a screen reader could not name."""
    wrong = []
    for widget in controls(top):
        text = widget.text() if isinstance(widget, QAbstractButton) else ""
        empty = widget.isHidden() and isinstance(widget, QAbstractButton)  # gets its words when it is shown
        if not widget.accessibleName() and not text.strip() and not empty:
            above = " in ".join(type(parent).__name__ for parent in parents(widget, top)[:3])
            wrong.append(f"{type(widget).__name__} {widget.objectName()} in {above} {widget.toolTip()[:40]}")
    return wrong


def test_every_control_of_the_dock_and_its_windows_has_a_name(bench) -> None:
    dock = bench.dock
    open_sections(dock)
    dock.show_keys()
    dock.preferring.show_preferences()
    bench.idle(0.1)
    assert len(controls(dock)) > 60
    wrong = unnamed(dock)
    assert not wrong, "\n".join(wrong)


def test_tab_reaches_every_control_that_is_seen(bench) -> None:
    dock = bench.dock
    open_sections(dock)
    for tab in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(tab)
        bench.idle(0.05)
        wanted = [w for w in controls(dock.tabs.currentWidget()) if w.isVisible() and w.isEnabled()]
        reached, now = set(), dock.header.keys
        for _ in range(3000):
            now = now.nextInFocusChain()
            reached.add(id(now))
            if now is dock.header.keys:
                break
        lost = [
            f"{type(w).__name__} {w.accessibleName() or w.objectName()}"
            for w in wanted
            if id(w) not in reached or w.focusPolicy() in (Qt.FocusPolicy.NoFocus, Qt.FocusPolicy.ClickFocus)
        ]
        assert lost == [], tab


def test_the_focus_is_seen(bench) -> None:
    """A control looks different while the keyboard is in it."""
    dock = bench.dock
    bench.qt_window.activateWindow()
    bench.until(bench.qt_window.isActiveWindow)
    dock.tabs.setCurrentIndex(0)
    bench.idle(0.05)
    for widget in (dock.header.keys, dock.scan.close_button):
        looks = []
        for focused in (False, True):
            (widget if focused else bench.native).setFocus(Qt.FocusReason.TabFocusReason)
            bench.idle(0.05)
            assert (QApplication.focusWidget() is widget) is focused
            looks.append(widget.grab().toImage())
        assert looks[0] != looks[1], widget.text()
