"""Hands that do two things at once: whatever interrupts what, no voxel is lost and the next gesture works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt, QThreadPool
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medcnn.widgets import _beyond_public
from napari_medcnn.widgets.hand_on.wishes import SLICES, FilmWish

pytestmark = pytest.mark.gui

LEFT, RIGHT, NOTHING = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
PRESS, MOVE, RELEASE = QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease


def press(desk: Any, button: Any, at: tuple[float, float] | None = None, pane: Any = None) -> tuple[float, float]:
    """Press and move a little with the button held."""
    x, y = at or desk.centre(pane)
    desk.mouse(MOVE, (x, y), NOTHING, NOTHING, pane=pane)
    desk.mouse(PRESS, (x, y), button, button, pane=pane)
    for step in range(1, 4):
        desk.mouse(MOVE, (x + 4 * step, y + 3 * step), NOTHING, button, pane=pane)
        QApplication.processEvents()
    return x + 12, y + 9


def release(desk: Any, button: Any, at: tuple[float, float], pane: Any = None) -> None:
    """Move on with the button held and let it go: Qt tells it to the canvas that was pressed."""
    desk.mouse(MOVE, (at[0] + 5, at[1]), NOTHING, button, pane=pane)
    desk.mouse(RELEASE, at, button, NOTHING, pane=pane)
    desk.idle(0.05)


@pytest.fixture
def painter(desk):
    """A scan, a mask with a block of class 1, the brush."""
    desk.open("phantom")
    desk.empty_mask()
    desk.dock.strokes.change("Block", (slice(0, 4), slice(10, 20), slice(10, 20)), np.ones((4, 10, 10), np.uint8))
    desk.dock.layers.mask.brush_size = 6
    desk.dock.correcting.use_tool("paint")
    return desk


def works(desk: Any, changed_by: int = 0) -> None:
    """Assert that what was begun is over: a right drag sets the window and paints nothing, a stroke paints.

    `changed_by` is how many steps the storm itself made.
    """
    dock, viewer = desk.dock, desk.viewer
    desk.until(lambda: not dock.tasks.names())
    mask, scan = dock.layers.mask, dock.layers.scan
    assert not viewer.cursor.events.position.blocked()
    dock.tabs.setCurrentIndex(2)
    if dock.views.layout == "four" or dock.views.active is not dock.views.panes[0]:
        dock.views.show_one()
        desk.idle(0.1)
    dock.correcting.use_tool("paint")
    assert len(dock.strokes.history.names) == 1 + changed_by
    before, window = mask.data.copy(), tuple(scan.contrast_limits)
    x, y = desk.centre()
    desk.drag((x, y), (x + 30, y + 20), RIGHT, steps=3)
    assert np.array_equal(mask.data, before) and str(mask.mode) == "paint"
    assert tuple(scan.contrast_limits) != window
    desk.drag((x - 30, y), (x + 30, y), LEFT, steps=3)
    assert np.count_nonzero(mask.data != before) > 0
    dock.strokes.undo()
    assert np.array_equal(mask.data, before)


# ---- while a button is held ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("armed", ["length", "ellipse"])
def test_a_right_drag_while_a_measure_is_armed_draws_nothing(painter, armed: str) -> None:
    dock = painter.dock
    dock.tabs.setCurrentIndex(0)
    hand, board = dock.reading.measuring.hand, dock.reading.measuring.board
    hand.arm(armed)
    before, window = dock.layers.mask.data.copy(), tuple(dock.layers.scan.contrast_limits)
    release(painter, RIGHT, press(painter, RIGHT))
    assert hand.tool == armed and board.measures == () and tuple(dock.layers.scan.contrast_limits) != window
    at = press(painter, LEFT)
    QTest.keyClick(painter.native, Qt.Key.Key_Escape)
    release(painter, LEFT, at)
    hand.disarm()
    assert board.measures == () and np.array_equal(dock.layers.mask.data, before)
    works(painter)


def toggled(desk: Any) -> None:
    QTest.keyClick(desk.native, Qt.Key.Key_G)
    desk.idle(0.1)


def shown_large(desk: Any) -> None:
    desk.dock.views.maximise(desk.dock.views.panes[1])
    desk.idle(0.1)


@pytest.mark.parametrize("four", [False, True])
@pytest.mark.parametrize("button", [LEFT, RIGHT])
def test_the_layout_changes_under_a_held_button(painter, four: bool, button: Any) -> None:
    """A stroke that was begun is one step, whatever became of the view; the window of a right drag stays."""
    if four:
        painter.four()
    before, steps = painter.dock.layers.mask.data.copy(), len(painter.dock.strokes.history.names)
    at = press(painter, button)
    toggled(painter)
    painter.until(lambda: len(painter.dock.views.shown) == (1 if four else 4))
    release(painter, button, at)
    painter.idle(0.05)
    made = len(painter.dock.strokes.history.names) - steps
    assert made == (1 if button == LEFT else 0)
    if button == RIGHT:
        assert np.array_equal(painter.dock.layers.mask.data, before)
    works(painter, made)


@pytest.mark.parametrize("change", [toggled, shown_large])
def test_the_layout_changes_while_shift_moves_the_crosshair(painter, change: Callable[[Any], None]) -> None:
    panes, before = painter.four(), painter.dock.layers.mask.data.copy()
    second = panes[1]
    x, y = painter.centre(second)
    for step in range(3):
        painter.move((x + 5 * step, y), SHIFT, second)
    change(painter)
    painter.mouse(MOVE, (x + 20, y), NOTHING, NOTHING, SHIFT, second)
    painter.mouse(MOVE, (x + 25, y), NOTHING, NOTHING, pane=second)
    assert np.array_equal(painter.dock.layers.mask.data, before)
    works(painter)


def test_a_tab_is_chosen_while_a_stroke_is_drawn(painter) -> None:
    at = press(painter, LEFT)
    painter.dock.tabs.setCurrentIndex(0)
    painter.idle(0.05)
    release(painter, LEFT, at)
    assert painter.dock.mode == "Read"
    made = len(painter.dock.strokes.history.names) - 1
    before = painter.dock.layers.mask.data.copy()
    x, y = painter.centre()
    painter.drag((x, y), (x + 30, y), LEFT, steps=3)  # pans
    assert np.array_equal(painter.dock.layers.mask.data, before) and made in (0, 1)
    works(painter, made)


def test_undo_within_a_stroke_leaves_whole_steps(painter) -> None:
    """Undoing and doing again comes to the same voxels, whenever undo was pressed."""
    mask, strokes = painter.dock.layers.mask, painter.dock.strokes
    empty = np.zeros_like(mask.data)
    at = press(painter, LEFT)
    QTest.keyClick(painter.native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    release(painter, LEFT, at)
    painter.idle(0.05)
    drawn = mask.data.copy()
    steps = len(strokes.history.names)  # what was undone within the stroke can be done again, too, but is not drawn
    while strokes.history.can_undo:
        strokes.undo()
    assert np.array_equal(mask.data, empty) and strokes.counts == {}
    for _ in range(steps):
        strokes.redo()
    assert np.array_equal(mask.data, drawn) and strokes.counts == {1: int(np.count_nonzero(drawn))}
    works(painter, len(strokes.history.names) - 1)


@pytest.mark.parametrize("button", [LEFT, RIGHT])
def test_keys_that_repeat_while_a_button_is_held(painter, button: Any) -> None:
    mask, dims = painter.dock.layers.mask, painter.viewer.dims
    before, start = mask.data.copy(), dims.current_step[0]
    at = press(painter, button)
    for repeat in range(5):
        for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            QApplication.sendEvent(painter.native, QKeyEvent(kind, Qt.Key.Key_Up, NONE, "", repeat > 0))
        painter.mouse(MOVE, (at[0] + repeat, at[1]), NOTHING, button)
    release(painter, button, at)
    painter.idle(0.05)
    assert dims.current_step[0] != start
    made = len(painter.dock.strokes.history.names) - 1
    if button == RIGHT:
        assert np.array_equal(mask.data, before) and made == 0
    painter.dock.strokes.undo() if made else None
    assert np.array_equal(mask.data, before)
    painter.dock.strokes.redo() if made else None
    works(painter, made)


# ---- while something is being made -----------------------------------------------------------------------------------


def busy_film(desk: Any, tmp_path: Path) -> None:
    desk.dock.reading.handing_on.make_film(FilmWish(tmp_path / "a.gif", SLICES, 1, 20))
    desk.idle(0.03)


def busy_cine(desk: Any, _tmp_path: Path) -> None:
    desk.dock.reading.cine.start()
    desk.idle(0.1)


def busy_volume(desk: Any, _tmp_path: Path) -> None:
    desk.dock.views.show_four()


BUSY = (busy_film, busy_cine, busy_volume)


@pytest.mark.parametrize("busy", BUSY)
def test_another_scan_is_opened_meanwhile(desk, tmp_path: Path, busy: Callable[[Any, Path], None]) -> None:
    desk.open("phantom")
    first = desk.dock.session.scan
    busy(desk, tmp_path)
    desk.dock.open_sample("phantom")
    desk.until(lambda: desk.dock.session.scan not in (None, first) and not desk.dock.tasks.names())
    desk.idle(0.1)
    assert not list(tmp_path.iterdir())
    desk.dock.reading.cancel()
    desk.dock.views.show_one()
    desk.empty_mask()
    desk.dock.strokes.change("Block", (slice(0, 4),) * 3, np.ones((4, 4, 4), np.uint8))
    desk.dock.layers.mask.brush_size = 6
    works(desk)


@pytest.mark.own_window
@pytest.mark.parametrize("busy", BUSY)
def test_the_dock_is_closed_meanwhile(desk, tmp_path: Path, busy: Callable[[Any, Path], None]) -> None:
    desk.open("phantom")
    busy(desk, tmp_path)
    desk.dock.shut_down()
    assert QThreadPool.globalInstance().waitForDone(60_000)  # a thread holds the window until it has stopped
    desk.idle(0.2)
    QApplication.sendPostedEvents(None, 52)  # QEvent.Type.DeferredDelete: the tasks that were dropped
    assert not desk.dock.tasks.names() and not list(tmp_path.iterdir())
    step = desk.viewer.dims.current_step
    desk.idle(0.1)
    assert desk.viewer.dims.current_step == step


# ---- what stays of moves ---------------------------------------------------------------------------------------------


def listening(viewer) -> int:
    """Return how many listen to what a viewer's list of layers knows about itself."""
    return len(_beyond_public._context_of(viewer).changed)


def test_nobody_more_listens_after_the_mouse_moved(desk) -> None:
    """Napari copies its list of layers with every move; each copy listened for ever. See `forget_copies`."""
    desk.open("phantom")
    viewer = getattr(desk.viewer, "__wrapped__", desk.viewer)
    before = listening(viewer)
    for _ in range(5):
        assert len(viewer.layers[::-1]) == 1
    assert listening(viewer) == before
    _beyond_public.listen_to_copies(viewer)
    assert len(viewer.layers[::-1]) == 1
    assert listening(viewer) > before  # else napari mended it, and ours can go
    _beyond_public.forget_copies(viewer)
