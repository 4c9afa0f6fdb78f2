"""Brush, sphere and eraser in every flat view, with a real mouse: voxels are compared by where they lie, in mm.

The oracle knows nothing of the brush: it measures the distance of every voxel's centre from the way of the mouse.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

pytestmark = pytest.mark.gui
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
RIGHT, MIDDLE = Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NONE = Qt.KeyboardModifier.NoModifier
#: Of the phantom, (z, y, x).
SPACING = np.array((3.0, 0.8, 0.8))


@pytest.fixture
def bench(desk):
    """The phantom in 2x2 with an empty mask, a brush of 12.8 mm in hand."""
    desk.open("phantom")
    desk.empty_mask()
    desk.four()
    desk.dock.layers.mask.brush_size = 16
    return desk


def voxel(desk: Any, pane: Any, at: tuple[float, float]) -> np.ndarray:
    """Return the index under a pixel, in the middle of the slice that is seen."""
    index = np.array(desk.dock.views.grid.index_of(pane.place_at(*at)))
    index[pane.axis] = np.floor(index[pane.axis] + 0.5)
    return index


def near(desk: Any, pane: Any, start: tuple, end: tuple, radius: float) -> np.ndarray:
    """Return which voxels have their centre within a radius, in mm, of the straight way between two pixels."""
    a, b = (voxel(desk, pane, at) * SPACING for at in (start, end))
    shape = desk.dock.layers.mask.data.shape
    centres = np.stack(np.indices(shape), axis=-1) * SPACING
    way = b - a
    share = np.clip((centres - a) @ way / max(way @ way, 1e-12), 0, 1)
    return np.linalg.norm(centres - a - share[..., None] * way, axis=-1) <= radius * (1 + 1e-9)


def slice_of(desk: Any, pane: Any) -> int:
    return round(float(voxel(desk, pane, desk.centre(pane))[pane.axis]))


def ends(desk: Any, pane: Any, down: float = 0.0) -> tuple[tuple[float, float], tuple[float, float]]:
    x, y = desk.centre(pane)
    x, y = round(x), round(y + down)
    return (x - 40, y - 20), (x + 44, y + 16)  # whole pixels in 2, 3 and 6 steps: Qt rounds


def test_a_disc_is_what_lies_within_its_radius_in_every_plane(bench) -> None:
    mask, dock = bench.dock.layers.mask, bench.dock
    for pane in bench.four()[:3]:
        before = mask.data.copy()
        start, end = ends(bench, pane)
        bench.drag(start, end, steps=2, pane=pane)  # a fast hand: no gaps
        expected = near(bench, pane, start, end, 6.4)
        others = [a for a in range(3) if a != pane.axis]
        flat = np.zeros_like(expected)
        here = np.s_[:, :, :][: pane.axis] + (slice_of(bench, pane),)
        flat[here] = expected[here]
        np.testing.assert_array_equal((mask.data != before) | (before > 0), flat | (before > 0), err_msg=pane.name)
        assert flat.any(axis=tuple(others)).sum() == 1
        assert dock.strokes.history.names[-1] == "Brush"
        for other in bench.four()[:3]:  # all views show it
            (copy,) = [x for x in other.viewer.layers if type(x).__name__ == "Labels"]
            assert copy.data is mask.data
    assert len(dock.strokes.history.names) == 3
    assert dock.strokes.counts == {1: int(np.count_nonzero(mask.data))}


def test_a_sphere_has_every_voxel_within_its_radius_and_no_other(bench) -> None:
    mask, dock = bench.dock.layers.mask, bench.dock
    pane = bench.four()[1]
    bench.key(Qt.Key.Key_P)
    assert dock.correct.brush_row.sphere.isChecked()
    start, end = ends(bench, pane)
    bench.drag(start, end, steps=3, pane=pane)
    first = near(bench, pane, start, end, 6.4)
    np.testing.assert_array_equal(mask.data == 1, first)
    bench.drag(start, start, steps=1, modifiers=CTRL, pane=pane)
    gone = near(bench, pane, start, start, 6.4)
    np.testing.assert_array_equal(mask.data == 1, first & ~gone)
    assert dock.strokes.history.names == ("Sphere", "Eraser")
    bench.key(Qt.Key.Key_P)
    assert not dock.correct.brush_row.sphere.isChecked()


def test_undo_takes_back_one_drag_at_a_time_in_any_view(bench) -> None:
    mask, states = bench.dock.layers.mask, [bench.dock.layers.mask.data.copy()]
    main, second, third = bench.four()[:3]
    for pane, keys, down in ((main, NONE, 0), (second, NONE, 30), (third, CTRL, 10), (second, CTRL, 25)):
        bench.drag(*ends(bench, pane, down), modifiers=keys, pane=pane)
        states.append(mask.data.copy())
    steps = len(bench.dock.strokes.history.names)
    assert steps == sum(not np.array_equal(a, b) for a, b in itertools.pairwise(states)) >= 3
    changed = [s for i, s in enumerate(states) if i == 0 or not np.array_equal(s, states[i - 1])]
    for state in reversed(changed[:-1]):
        bench.key(Qt.Key.Key_Z, CTRL, pane=second)
        np.testing.assert_array_equal(mask.data, state)
    for state in changed[1:]:
        bench.key(Qt.Key.Key_Y, CTRL, pane=third)
        np.testing.assert_array_equal(mask.data, state)


def test_other_buttons_and_keys_paint_nothing_in_any_view(bench) -> None:
    mask = bench.dock.layers.mask
    for pane in bench.four()[:3]:
        for button, keys in ((RIGHT, NONE), (MIDDLE, NONE), (Qt.MouseButton.LeftButton, SHIFT), (RIGHT, CTRL)):
            bench.drag(*ends(bench, pane), button=button, modifiers=keys, pane=pane)
        look = pane.look
        QTest.keyPress(pane.native, Qt.Key.Key_Space)
        bench.drag(*ends(bench, pane), pane=pane)
        QTest.keyRelease(pane.native, Qt.Key.Key_Space)
        assert pane.look != look, f"{pane.name}: Space and a drag move the picture"
        assert not mask.data.any(), pane.name
        assert str(mask.mode) == "paint"
    assert bench.dock.strokes.history.names == ()
    bench.double_click(pane="second")
    assert bench.dock.views.layout == "four"  # two dabs make no view large


def test_only_values_in_the_range_are_painted_typed_or_learned(bench) -> None:
    mask, row = bench.dock.layers.mask, bench.dock.correct.brush_row
    values, pane = bench.dock.layers.scan.data, bench.four()[1]
    start, end = ends(bench, pane)
    here = np.s_[:, slice_of(bench, pane)]
    low, high = np.percentile(values[here][near(bench, pane, start, end, 6.4)[here]], [30, 70])
    for field, value in ((row.low, low), (row.high, high)):
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, f"{value:.1f}")
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert row.limited.isChecked()
    bench.drag(start, end, pane=pane)
    inside = (values >= round(low, 1)) & (values <= round(high, 1)) & near(bench, pane, start, end, 6.4)
    np.testing.assert_array_equal(mask.data[here] == 1, inside[here])
    assert 0 < inside[here].sum() == np.count_nonzero(mask.data)
    bench.click(row.learn)
    bench.drag(start, start, steps=1, pane=pane)
    sample = values[here][near(bench, pane, start, start, 6.4)[here]]
    learned = row.limits()
    assert not row.learn.isChecked() and len(bench.dock.strokes.history.names) == 1
    expected = np.percentile(sample.astype(float), [5, 95])
    assert (learned.low, learned.high) == pytest.approx(tuple(expected), rel=0.01, abs=0.51)


def test_locked_classes_are_not_touched_and_never_shown_changed(bench) -> None:
    dock, mask = bench.dock, bench.dock.layers.mask
    pane = bench.four()[2]
    start, end = ends(bench, pane)
    bench.drag(start, end, pane=pane)
    first = mask.data == 1
    dock.session.add_class("other")
    dock.session.lock_classes(frozenset({1}))
    seen = []
    mask.events.labels_update.connect(lambda _event: seen.append((mask.data == 1).sum()))
    bench.drag((start[0], start[1] + 8), (end[0], end[1] + 8), pane=pane)
    bench.drag(start, end, modifiers=CTRL, pane=pane)
    assert seen and set(seen) == {first.sum()}, "while it is painted, too"
    np.testing.assert_array_equal(mask.data == 1, first)
    assert "locked" in dock.correct.message.text()
    dock.session.choose_class(1)
    steps = len(dock.strokes.history.names)
    bench.drag((start[0], start[1] + 60), (end[0], end[1] + 60), pane=pane)
    assert (mask.data == 1).sum() == first.sum() and len(dock.strokes.history.names) == steps


def test_all_views_show_what_is_painted_while_the_button_is_down(bench) -> None:
    """The picture of each view is compared with the mask in mid-drag: only a part of it was drawn anew."""
    from qtpy.QtCore import QEvent

    mask, left = bench.dock.layers.mask, Qt.MouseButton.LeftButton
    bench.key(Qt.Key.Key_P)
    panes = bench.four()[:3]
    pane = panes[1]
    start, end = ends(bench, pane)
    seen = {each.name: [] for each in panes}
    layers = {each.name: next(x for x in each.viewer.layers if type(x).__name__ == "Labels") for each in panes}
    for name, layer in layers.items():
        layer.events.labels_update.connect(lambda event, name=name: seen[name].append((event.offset, event.data)))
    bench.mouse(QEvent.Type.MouseButtonPress, start, left, left, pane=pane)
    bench.mouse(QEvent.Type.MouseMove, end, Qt.MouseButton.NoButton, left, pane=pane)
    for each in panes:
        shown = np.zeros_like(np.take(mask.data, slice_of(bench, each), axis=each.axis))
        assert seen[each.name], each.name
        for (row, column), part in seen[each.name]:
            assert part.size < shown.size / 2, "a part alone"
            shown[row : row + part.shape[0], column : column + part.shape[1]] = part
        np.testing.assert_array_equal(shown > 0, np.take(mask.data, slice_of(bench, each), axis=each.axis) > 0)
        assert shown.any()
    bench.mouse(QEvent.Type.MouseButtonRelease, end, left, Qt.MouseButton.NoButton, pane=pane)
    bench.idle(0.1)
    assert bench.dock.strokes.history.names == ("Sphere",)


def test_the_circle_is_the_brush_in_mm_in_every_view(bench) -> None:
    from qtpy.QtGui import QColor, QImage, QPainter

    for pane in bench.four()[:3]:
        bench.wheel(1, SHIFT, pane=pane)
        size = bench.dock.layers.mask.brush_size
        assert bench.dock.correct.brush_words.text() == f"{round(size * 0.8, 1):g} mm"
        at = bench.centre(pane)
        bench.move(at, pane=pane)
        frame = pane.frame()
        picture = QImage(frame.width, frame.height, QImage.Format.Format_RGB32)
        picture.fill(QColor("red"))
        painter = QPainter(picture)
        bench.dock.painting.paint(painter, frame, pane)
        painter.end()
        drawn = np.argwhere([[picture.pixelColor(x, y) == QColor("white") for x in range(frame.width)]
                             for y in range(frame.height)])  # fmt: skip
        wide = drawn.max(axis=0) - drawn.min(axis=0)
        assert wide == pytest.approx([size * 0.8 * frame.zoom] * 2, abs=2.5), pane.name
        assert drawn.mean(axis=0) == pytest.approx((at[1], at[0]), abs=2)
