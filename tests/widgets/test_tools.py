"""Correction tools with real keys and clicks: the list, the form, the menu of pieces; one step each, or nothing."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_medcnn.annotation.tools.between import fill_between
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.widgets.tools import registry
from napari_medcnn.widgets.tools.given import Spot
from napari_medcnn.widgets.tools.registry import tool

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
SPACING = (3.0, 0.8, 0.8)  # of the phantom


@pytest.fixture
def bench(desk):
    """The phantom with an empty mask, brush in hand."""
    desk.open("phantom")
    desk.empty_mask()
    yield desk
    desk.dock.session.lock_classes(frozenset())


def put(desk, *boxes: tuple[tuple[slice, slice, slice], int]) -> np.ndarray:
    """Give boxes to classes, as steps of their own; return a copy of the mask."""
    for box, label in boxes:
        shape = tuple(part.stop - part.start for part in box)
        desk.dock.strokes.change("Test", box, np.full(shape, label, np.uint8))
    return desk.dock.layers.mask.data.copy()


def finished(desk) -> None:
    """Wait for the tool."""
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.02)


def said(desk) -> str:
    return desk.dock.correct.message.text()


def pixel_of(desk, voxel: tuple[int, int, int]) -> tuple[float, float]:
    """Return where a voxel is on napari's canvas."""
    pane = desk.dock.views.panes[0]
    return pane.frame().to_canvas(tuple(desk.dock.layers.mask.data_to_world(voxel)))


def drawn_over(desk, z: int) -> np.ndarray:
    """Return what the preview draws over a slice, as pixels with 4 values."""
    from qtpy.QtGui import QImage, QPainter

    views, pane = desk.dock.views, desk.dock.views.panes[0]
    views.go_to(tuple(desk.dock.layers.mask.data_to_world((z, 45, 45))))
    frame = pane.frame()
    image = QImage(frame.width, frame.height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    desk.dock.toolbox.preview.paint(painter, frame, pane)
    painter.end()
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint8).reshape(frame.height, frame.width, 4).copy()


def test_what_is_locked_after_the_preview_stays_as_it_is(bench) -> None:
    before = put(bench, (np.s_[10:11, 40:50, 40:50], 1), (np.s_[14:15, 40:50, 40:50], 1))
    bench.dock.session.choose_class(1)
    bench.dock.toolbox.choose(tool("margin"))
    form = bench.dock.correct.form
    field = form._numbers[0]
    field.selectAll()
    QTest.keyClicks(field, "1.6")
    bench.click(form.preview)
    finished(bench)
    assert bench.dock.toolbox.preview.edit is not None
    bench.dock.session.lock_classes(frozenset({1}))
    bench.click(form.apply)
    finished(bench)
    np.testing.assert_array_equal(bench.dock.layers.mask.data, before)
    assert bench.dock.strokes.history.names == ("Test", "Test")


def test_list_is_searched_with_keys_and_enter_opens_the_form(bench) -> None:
    bench.key(Qt.Key.Key_K, CTRL)
    box = bench.dock.toolbox
    finder = box.finder
    assert finder.isVisible() and finder.names() == [each.name for each in registry.TOOLS]
    QTest.keyClicks(finder.search, "Piece small")  # every word, in any order
    assert finder.names() == ["remove_small"]
    finder.search.clear()
    QTest.keyClicks(finder.search, "dilate")  # found by a word that is not shown
    assert finder.names() == ["margin"]
    finder.search.clear()
    QTest.keyClicks(finder.search, "copy")
    assert finder.names() == ["copy_next", "copy_previous"]
    QTest.keyClick(finder.search, Qt.Key.Key_Down)
    QTest.keyClick(finder.search, Qt.Key.Key_Return)
    bench.until(lambda: box.finder is None)
    assert bench.dock.correct.form.tool is tool("copy_previous")
    assert bench.dock.correct.form.title.text() == "Copy slice to previous: Class 1"
    bench.click(bench.dock.correct.more)
    QTest.keyClick(box.finder.search, Qt.Key.Key_Escape)
    bench.until(lambda: box.finder is None)
    bench.click(bench.dock.correct.form.shut)
    assert not bench.dock.correct.form.box.isVisible()


def test_j_fills_between_two_strokes_as_one_step_that_undo_takes_back(bench) -> None:
    x, y = bench.centre()
    z = int(bench.viewer.dims.current_step[0])
    bench.drag((x, y), (x + 60, y))
    for _ in range(4):
        bench.key(Qt.Key.Key_Down)
    bench.drag((x, y), (x + 60, y + 30))
    mask = bench.dock.layers.mask
    drawn = mask.data.copy()
    wanted = fill_between(Mask(drawn, SPACING), 0, [1])
    bench.key(Qt.Key.Key_J)
    finished(bench)
    expected = drawn.copy()
    wanted.apply(expected)
    np.testing.assert_array_equal(mask.data, expected)
    assert np.flatnonzero((expected != drawn).any(axis=(1, 2))).tolist() == [z + 1, z + 2, z + 3]
    ml = wanted.changed * 3.0 * 0.8 * 0.8 / 1000
    assert said(bench) == f"Fill between slices: 3 slices, {ml:.3g} ml more of Class 1"
    assert bench.dock.strokes.history.names == ("Brush", "Brush", "Fill between slices")
    assert bench.dock.strokes.counts == {1: int(np.count_nonzero(expected))}
    bench.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, drawn)
    bench.key(Qt.Key.Key_Z, CTRL | Qt.KeyboardModifier.ShiftModifier)
    bench.key(Qt.Key.Key_J)
    finished(bench)
    assert said(bench) == "Fill between slices: no slice is empty between two drawn ones."
    assert len(bench.dock.strokes.history.names) == 3


def test_d_on_a_piece_removes_exactly_it(bench) -> None:
    z = int(bench.viewer.dims.current_step[0])
    near, far = np.s_[z - 1 : z + 2, 40:50, 40:50], np.s_[z : z + 1, 40:50, 80:90]
    before = put(bench, (near, 1), (far, 1))
    bench.key(Qt.Key.Key_D)
    assert "point at the piece" in said(bench)
    bench.move(pixel_of(bench, (z, 45, 45)))
    bench.key(Qt.Key.Key_D)
    menu = bench.dock.toolbox.menu
    words = [action.text() for action in menu.actions()]
    assert words[:4] == ["Class 1", "", "Keep only this piece", "Remove this piece"]
    QTest.keyClick(menu, Qt.Key.Key_Down)
    QTest.keyClick(menu, Qt.Key.Key_Down)
    QTest.keyClick(menu, Qt.Key.Key_Return)
    finished(bench)
    expected = before.copy()
    expected[near] = 0
    np.testing.assert_array_equal(bench.dock.layers.mask.data, expected)
    assert said(bench) == "Remove this piece: 3 slices, 0.576 ml less of Class 1"  # 300 voxels of 1.92 mm3
    bench.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(bench.dock.layers.mask.data, before)
    bench.dock.toolbox.use(tool("split_pieces"))
    finished(bench)
    expected[near], expected[far] = 1, 2
    np.testing.assert_array_equal(bench.dock.layers.mask.data, expected)
    assert bench.dock.session.labels.names == ("Class 1", "Class 1 2")
    assert bench.dock.layers.mask.selected_label == 1


def test_margin_from_the_form_is_previewed_and_stops_at_a_locked_neighbour(bench) -> None:
    before = put(bench, (np.s_[10:11, 40:50, 40:50], 1), (np.s_[10:11, 40:50, 51:60], 2))
    bench.dock.session.add_class("Wall")
    bench.dock.session.lock_classes(frozenset({2}))
    bench.dock.session.choose_class(1)
    bench.dock.toolbox.choose(tool("margin"))
    form = bench.dock.correct.form
    field = form._numbers[0]
    field.selectAll()
    QTest.keyClicks(field, "1,6")  # two voxels across, none along z; a comma is a point
    bench.click(form.preview)
    finished(bench)
    assert (bench.dock.layers.mask.data == before).all() and bench.dock.toolbox.preview.edit is not None
    # 2 voxels to each side and round corners; on the right the wall leaves one column
    grown = before.copy()
    ys, xs = np.mgrid[0 : before.shape[1], 0 : before.shape[2]]
    off = np.hypot(np.maximum(np.maximum(40 - ys, ys - 49), 0), np.maximum(np.maximum(40 - xs, xs - 49), 0))
    grown[10][(off <= 2) & (before[10] == 0)] = 1
    n = int((grown != before).sum())
    assert f"Class 1: 100 → {100 + n} voxels" in form.words.text() and "Changes slice 11" in form.words.text()
    seen = drawn_over(bench, 10)
    for voxel, there in (((10, 38, 45), True), ((10, 45, 50), True), ((10, 45, 45), False), ((10, 45, 51), False)):
        x, y = (round(v) for v in pixel_of(bench, voxel))
        far = 4 if there else 1  # a voxel is 5 pixels wide, lines are 6 apart
        assert seen[y - far : y + far + 1, x - far : x + far + 1, 3].any() == there, voxel
    bench.key(Qt.Key.Key_Escape)  # the preview goes, the form stays
    assert bench.dock.toolbox.preview.edit is None and form.tool is tool("margin") and form.words.text() == ""
    field.setFocus()
    QTest.keyClick(field, Qt.Key.Key_Return)
    finished(bench)
    np.testing.assert_array_equal(bench.dock.layers.mask.data, grown)
    assert bench.dock.strokes.history.names[-1] == "Grow or shrink"
    bench.dock.session.choose_class(2)
    bench.click(form.apply)
    assert said(bench) == "Wall is locked; unlock it in the class table to change it."
    QTest.keyClicks(field, "x")
    bench.click(form.apply)
    assert "expected a number" in form.words.text()
    np.testing.assert_array_equal(bench.dock.layers.mask.data, grown)


def test_cancelled_or_overtaken_tools_leave_the_mask_as_it_was(bench, monkeypatch) -> None:
    before = put(bench, (np.s_[10:12, 40:50, 40:50], 1))
    go, began = threading.Event(), threading.Event()

    def slow(given):
        began.set()
        while not go.wait(0.01):
            given.progress(1, 3)
        return given.mask.given(np.s_[0:2, 0:2, 0:2], np.ones((2, 2, 2), bool), 1)

    waiting = replace(tool("keep_largest"), act=slow)
    box, form = bench.dock.toolbox, bench.dock.correct.form
    box.use(waiting)
    bench.until(form.working.isVisible)
    assert bench.dock.header.cancel.isVisible()
    bench.key(Qt.Key.Key_J)
    assert "still at work" in said(bench)
    bench.click(form.cancel)
    finished(bench)
    np.testing.assert_array_equal(bench.dock.layers.mask.data, before)
    assert said(bench) == "Keep the largest piece: cancelled, the mask is as it was."
    assert not form.working.isVisible()
    began.clear()
    box.use(waiting)
    bench.until(began.is_set)
    painted = put(bench, (np.s_[20:21, 5:6, 5:6], 1))
    go.set()
    finished(bench)
    np.testing.assert_array_equal(bench.dock.layers.mask.data, painted)
    assert "the mask was changed meanwhile" in said(bench)


def test_a_picture_refuses_what_needs_slices_and_takes_the_rest(desk) -> None:
    desk.open("fundus")
    desk.empty_mask()
    desk.key(Qt.Key.Key_J)
    assert said(desk) == "Fill between slices needs several slices, and this is a picture."
    desk.dock.strokes.change("Test", np.s_[0:1, 50:60, 50:60], np.ones((1, 10, 10), np.uint8))
    desk.dock.strokes.change("Test", np.s_[0:1, 54:56, 54:56], np.zeros((1, 2, 2), np.uint8))
    desk.dock.toolbox.open_form(tool("fill_holes"))
    assert desk.dock.correct.form._choices == {}  # a picture has one slice: nothing to choose
    desk.click(desk.dock.correct.form.apply)
    finished(desk)
    assert desk.dock.strokes.counts == {1: 100} and said(desk).startswith("Fill holes: 4 px more")
    desk.dock.session.choose_class(0)
    desk.click(desk.dock.correct.form.apply)
    assert said(desk) == "Fill holes: choose a class first; background is chosen."


def test_threshold_takes_the_window_and_copying_goes_to_the_slice(bench) -> None:
    scan, mask = bench.dock.layers.scan, bench.dock.layers.mask
    bench.dock.viewing.set_window(50.0, 300.0)
    z = int(bench.viewer.dims.current_step[0])
    bench.dock.toolbox.choose(tool("threshold"))
    form = bench.dock.correct.form
    bench.click(form.apply)
    finished(bench)
    values = np.asarray(scan.data)
    expected = np.zeros_like(mask.data)
    expected[z] = (values[z] >= 50) & (values[z] <= 300)
    assert expected.any()
    np.testing.assert_array_equal(mask.data, expected)
    bench.dock.toolbox.use(tool("copy_next"))
    finished(bench)
    expected[z + 1] = expected[z]
    np.testing.assert_array_equal(mask.data, expected)
    assert bench.viewer.dims.current_step[0] == z + 1
    bench.key(Qt.Key.Key_Z, CTRL)
    assert not mask.data[z + 1].any()


def test_every_tool_of_the_table_runs_with_what_its_form_says(bench) -> None:
    """Each comes back with words, and never changes a locked class."""
    before = put(
        bench, (np.s_[8:9, 40:50, 40:50], 1), (np.s_[12:13, 40:50, 42:52], 1), (np.s_[8:13, 60:70, 40:50], 2),
        (np.s_[20:21, 5:7, 5:7], 3),
    )  # fmt: skip
    for name in ("B", "Locked"):
        bench.dock.session.add_class(name)
    bench.dock.session.lock_classes(frozenset({3}))
    bench.dock.session.choose_class(1)
    for each in registry.TOOLS:
        steps = len(bench.dock.strokes.history.names)
        options = {"other": 2, "of": "model"} if each.name == "take_back" else {"other": 2}
        bench.dock.correct.say("")
        bench.dock.toolbox.use(each, options, spot=Spot((8, 45, 45)))
        finished(bench)
        assert said(bench), each.name
        data = bench.dock.layers.mask.data
        np.testing.assert_array_equal(data == 3, before == 3)
        if len(bench.dock.strokes.history.names) > steps:
            assert bench.dock.strokes.history.names[-1] == each.words and said(bench).startswith(each.words)
            bench.dock.strokes.undo()
        np.testing.assert_array_equal(data, before)
