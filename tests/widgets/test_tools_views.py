"""Tools where views differ: pick in every flat view, and napari's own view in 3D, where nothing is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_medcnn.widgets.tools.place import NO_SLICE
from napari_medcnn.widgets.tools.registry import tool

pytestmark = pytest.mark.gui
LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NONE, CTRL, SHIFT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
)


@pytest.fixture
def bench(desk):
    """The phantom with a mask of two blocks, class 2 around the middle and class 3 right of it."""
    desk.open("phantom")
    desk.empty_mask()
    for name in ("lesion", "vessel"):
        desk.dock.session.add_class(name)
    shape = desk.dock.layers.mask.data.shape
    z, y, x = (n // 2 for n in shape)
    for label, start in ((2, x - 12), (3, x + 12)):
        box = np.s_[z - 4 : z + 5, y - 15 : y + 16, start : start + 24]
        desk.dock.strokes.change("Test", box, np.full((9, 31, 24), label, np.uint8))
    desk.middle = (z, y, x)
    yield desk
    desk.viewer.dims.ndisplay = 2


def in_3d(desk: Any) -> None:
    """Show the mask in 3D in napari's own view, alone and small: without a graphics card a picture takes a second."""
    desk.dock.layers.scan.visible = False
    desk.viewer.dims.ndisplay = 3
    desk.viewer.reset_view()
    desk.viewer.scene.camera.zoom *= 0.3
    desk.idle(0.1)


def click(desk: Any, pane: Any, voxel: tuple[int, int, int]) -> None:
    at = pane.frame().to_canvas(tuple(desk.dock.layers.mask.data_to_world(voxel)))
    desk.drag(at, at, LEFT, steps=1, pane=pane)


def test_pick_takes_the_class_under_the_mouse_in_every_flat_view(bench) -> None:
    dock, (z, y, x) = bench.dock, bench.middle
    panes = bench.four()[:3]
    dock.views.go_to(tuple(float(v) for v in dock.layers.mask.data_to_world((z, y, x + 11))))
    before = dock.layers.mask.data.copy()
    for pane in panes:
        bench.key(Qt.Key.Key_L, pane=pane)
        assert str(dock.layers.mask.mode) == "pick"
        # in the slice of each view: the two blocks and, across all of them, nothing
        inside = {0: (z, y, x + 11), 1: (z, y, x + 11), 2: (z, y + 10, x + 11)}[pane.axis]
        outside = {0: (z, y + 25, x + 11), 1: (z + 7, y, x + 11), 2: (z, y + 25, x + 11)}[pane.axis]
        for voxel, label in ((inside, 2), (outside, 0), (inside, 2)):
            click(bench, pane, voxel)
            assert dock.layers.mask.selected_label == label == before[voxel], (pane.name, voxel)
        if pane.axis != 2:
            click(bench, pane, (z, y, x + 20))
            assert dock.layers.mask.selected_label == 3 == before[z, y, x + 20], pane.name
    np.testing.assert_array_equal(dock.layers.mask.data, before)
    assert str(dock.layers.mask.mode) == "pick"


def test_in_3d_napari_s_own_view_turns_and_nothing_is_drawn(bench) -> None:
    dock, viewer = bench.dock, bench.viewer
    mask = dock.layers.mask
    dock.session.choose_class(1)
    mask.brush_size = 20
    in_3d(bench)
    before, steps, kept = mask.data.copy(), dock.strokes.history.names, dock.strokes.unsaved
    x, y = bench.centre()
    presses = [(LEFT, NONE), (LEFT, CTRL), (LEFT, SHIFT), (RIGHT, NONE), (MIDDLE, NONE)]
    for mode, button, keys in [("paint", *each) for each in presses] + [
        (m, LEFT, NONE) for m in ("erase", "fill", "pick")
    ]:
        dock.correcting.use_tool(mode)
        dock.correct.say("")
        angles = viewer.scene.camera.angles
        bench.drag((x - 6, y - 6), (x + 30, y + 20), button, keys, steps=3)
        np.testing.assert_array_equal(mask.data, before, err_msg=f"{mode} {button} {keys}")
        assert dock.correct.message.text() == NO_SLICE
        assert str(mask.mode) == mode and mask.selected_label == 1
        if (mode, button, keys) == ("paint", LEFT, NONE):
            bench.until(lambda before=angles: viewer.scene.camera.angles != before)
    assert (dock.strokes.history.names, dock.strokes.unsaved) == (steps, kept)
    viewer.dims.ndisplay = 2
    bench.idle(0.1)
    dock.correcting.use_tool("paint")
    bench.drag((x - 6, y - 6), (x + 30, y + 20))
    assert not np.array_equal(mask.data, before) and len(dock.strokes.history.names) == len(steps) + 1


def test_in_3d_tools_of_the_slice_are_refused_and_others_work(bench) -> None:
    dock = bench.dock
    mask = dock.layers.mask
    before = mask.data.copy()
    in_3d(bench)
    dock.session.choose_class(2)
    for name, options in (
        ("copy_next", {}), ("fill_between", {}), ("fill_holes", {"where": "slice"}), ("margin", {"where": "slice"}),
    ):  # fmt: skip
        dock.correct.say("")
        dock.toolbox.use(tool(name), options)
        bench.until(lambda: not dock.tasks.names())
        assert dock.correct.message.text() == NO_SLICE, name
        np.testing.assert_array_equal(mask.data, before)
    bench.key(Qt.Key.Key_A)  # the lasso is in hand, and draws nothing
    x, y = bench.centre()
    bench.drag((x - 20, y - 20), (x + 30, y + 20), steps=1)
    assert dock.correct.message.text() == NO_SLICE
    np.testing.assert_array_equal(mask.data, before)
    dock.toolbox.hand.disarm()
    dock.toolbox.use(tool("margin"), {"where": "whole", "way": "grow", "length": 1.0})
    bench.until(lambda: not dock.tasks.names())
    assert np.count_nonzero(mask.data == 2) > np.count_nonzero(before == 2)
