"""Copies of layers in further panes: the same array, kept alike, never painted in."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

pytestmark = pytest.mark.gui
KEYS = Qt.Key


@pytest.fixture
def four(desk):
    """The phantom in 2x2."""
    desk.open("phantom")
    desk.four()
    return desk


def copies(desk, layer) -> list[Layer]:
    return [mirror.copy_of(layer) for mirror in desk.dock.views._switching._mirrors]


def test_copies_share_the_array_and_the_colours(four) -> None:
    four.empty_mask()
    scan, mask = four.dock.layers.scan, four.dock.layers.mask
    for copied in copies(four, scan):
        assert np.shares_memory(copied.data, scan.data) and copied is not scan
    for copied in copies(four, mask):
        assert np.shares_memory(copied.data, mask.data) and copied.colormap is mask.colormap
        assert not copied.editable
    for pane in four.dock.views.panes[1:3]:
        assert pane.viewer.layers.selection.active is None


def test_copies_follow_what_is_set(four) -> None:
    four.empty_mask()
    scan, mask = four.dock.layers.scan, four.dock.layers.mask
    four.dock.viewing.set_window(-500.0, 700.0)
    scan.gamma, scan.opacity, scan.colormap, scan.blending = 0.7, 0.8, "gray_r", "additive"
    scan.interpolation2d, scan.projection_mode = "cubic", "max"
    mask.visible, mask.contour, mask.opacity = False, 3, 0.2
    four.dock.session.add_class("Vessel")
    for copied in copies(four, scan):
        for name in ("contrast_limits", "contrast_limits_range", "gamma", "opacity", "blending"):
            assert getattr(copied, name) == getattr(scan, name), name
        assert copied.colormap is scan.colormap
        assert (copied.interpolation2d, copied.projection_mode) == ("cubic", "max")
    for copied in copies(four, mask):
        assert (copied.visible, copied.contour, copied.opacity) == (False, 3, 0.2)
        assert copied.colormap is mask.colormap
        assert copied.features.equals(mask.features)


def test_h_hides_masks_in_every_view_while_held(four) -> None:
    four.empty_mask()
    native = four.on("third")
    native.setFocus()
    QTest.keyPress(native, KEYS.Key_H)
    four.idle(0.05)
    assert [c.visible for c in copies(four, four.dock.layers.mask)] == [False, False] and four.dock.views.held
    QTest.keyRelease(native, KEYS.Key_H)
    four.idle(0.05)
    assert [c.visible for c in copies(four, four.dock.layers.mask)] == [True, True] and not four.dock.views.held


def test_layers_of_others_are_seen_too_in_the_same_order(four) -> None:
    scan = four.dock.layers.scan
    placed = {"scale": scan.scale, "translate": scan.translate, "units": scan.units}
    theirs = Image(np.zeros(scan.data.shape, np.float32), name="theirs", **placed)
    seeds = Labels(np.zeros(scan.data.shape, np.uint8), name="seeds", **placed)
    four.viewer.add_layer(theirs)
    four.viewer.add_layer(seeds)
    four.viewer.add_points(np.zeros((0, 3)), name="not mirrored", units=scan.units)
    for pane in four.dock.views.panes[1:3]:
        assert [layer.data.shape for layer in pane.viewer.layers] == [scan.data.shape] * 3
    four.viewer.layers.move(1, 0)  # theirs goes below the scan
    raw = four.dock.views._viewer.layers
    for mirror, pane in zip(four.dock.views._switching._mirrors, four.dock.views.panes[1:3], strict=True):
        wanted = [mirror.copy_of(layer) for layer in raw if not layer.name.startswith("not")]
        assert list(pane.viewer.layers) == wanted and pane.viewer.layers[0].data is theirs.data
    replaced = np.ones(scan.data.shape, np.float32)
    theirs.data = replaced
    assert [np.shares_memory(c.data, replaced) for c in copies(four, theirs)] == [True, True]
    for name in ("theirs", "seeds", "not mirrored"):
        four.viewer.layers.remove(name)
    assert [len(p.viewer.layers) for p in four.dock.views.panes[1:3]] == [1, 1]


def shown_voxels(layer) -> int:
    return int(np.count_nonzero(layer._slice.image.raw))


def test_strokes_undo_and_writes_are_seen_in_every_view(four) -> None:
    four.empty_mask()
    mask = four.dock.layers.mask
    x, y = four.centre()
    four.drag((x - 20, y), (x + 20, y))
    four.idle(0.1)
    assert mask.data.any() and all(shown_voxels(c) for c in copies(four, mask))
    four.key(KEYS.Key_Z, Qt.KeyboardModifier.ControlModifier)
    four.idle(0.1)
    assert not mask.data.any() and not any(shown_voxels(c) for c in copies(four, mask))
    four.key(KEYS.Key_Y, Qt.KeyboardModifier.ControlModifier)
    four.idle(0.1)
    assert all(shown_voxels(c) for c in copies(four, mask))
    mask.data[...] = 0
    mask.refresh()
    four.idle(0.1)
    assert not any(shown_voxels(c) for c in copies(four, mask))


def test_only_the_brush_s_own_drags_paint_in_further_panes(four) -> None:
    four.empty_mask()
    left, held = Qt.MouseButton.LeftButton, Qt.KeyboardModifier
    plain, ctrl = held.NoModifier, held.ControlModifier
    for pane in ("second", "third", "volume"):
        x, y = four.centre(pane)
        for button in (left, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton):
            for modifier in (plain, ctrl, held.ShiftModifier):
                if pane != "volume" and button == left and modifier in (plain, ctrl):
                    continue  # these do
                four.drag((x, y), (x + 30, y + 10), button, modifier, pane=pane)
    assert not four.dock.layers.mask.data.any() and four.dock.strokes.history.names == ()
    assert str(four.dock.layers.mask.mode) == "paint"


def test_scans_are_smooth_for_reading_and_voxels_for_correcting(four) -> None:
    scan = four.dock.layers.scan
    everywhere = [scan, *copies(four, scan)]
    assert {str(layer.interpolation2d) for layer in everywhere} == {"linear"}
    four.empty_mask()
    assert {str(layer.interpolation2d) for layer in everywhere} == {"nearest"}
    four.key(KEYS.Key_T)
    assert {str(layer.interpolation2d) for layer in everywhere} == {"linear"}


def test_a_further_view_does_not_work_out_what_nobody_reads_with_every_move_of_the_mouse(desk) -> None:
    """Napari would copy the list of layers for its status line, which only its own window has."""
    desk.open("phantom")
    for pane in desk.four()[1:]:
        pane.viewer.mouse_over_canvas = True  # as when the mouse came in
        pane.viewer.status = "untouched"
        x, y = desk.centre(pane)
        place = pane.viewer.cursor.position
        desk.move((x - 20, y - 10), pane=pane)
        desk.move((x + 20, y + 10), pane=pane)
        desk.until(lambda pane=pane, place=place: pane.viewer.cursor.position != place)
        assert pane.viewer.status == "untouched", pane.name
