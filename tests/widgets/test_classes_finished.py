"""Finished classes in the window: marked, locked, undone, painted around, saved and opened again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QContextMenuEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.core import paths
from napari_medcnn.io.read import read_labels

pytestmark = pytest.mark.gui
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
BOX = np.s_[5:7, 10:20, 10:20]


@pytest.fixture
def bench(desk):
    """The phantom with a mask of two classes, the second one drawn."""
    desk.open("phantom")
    desk.empty_mask()
    desk.dock.session.add_class("lesion")
    put(desk, BOX, 2)
    return desk


def put(desk, box, label: int) -> None:
    desk.dock.strokes.change("Test", box, np.full(tuple(p.stop - p.start for p in box), label, np.uint8))


def tick(desk, row: int) -> bool:
    """Right-click a class, and choose Finished with the keys; return what its tick said."""
    table = desk.dock.correct.classes
    at: QPoint = table.visualItemRect(table.item(row, 0)).center()
    where = table.viewport().mapToGlobal(at)
    QApplication.sendEvent(table.viewport(), QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, where))
    menu = desk.dock.correcting.classes.menu
    entry = next(action for action in menu.actions() if action.text() == "Finished")
    before = entry.isChecked()
    menu.setActiveAction(entry)
    QTest.keyClick(menu, Qt.Key.Key_Return)
    return before


def sign(desk, row: int):
    """Return what a row shows: its picture, tool tip, what is read aloud, and whether it is locked."""
    table = desk.dock.correct.classes
    cell = table.item(row, 0)
    locked = table.item(row, 3).checkState() == Qt.CheckState.Checked
    aloud = cell.data(Qt.ItemDataRole.AccessibleTextRole)
    return cell.icon().pixmap(14, 14).toImage(), cell.toolTip(), aloud, locked


def recovered(dock):
    """Return what a killed window would leave, from a copy of its journal that no process holds."""
    copy = paths.recovery() / "99999998-killed.strokes"
    copy.write_bytes(dock.session._journal.path.read_bytes())
    try:
        return next(r for r in find_recoverable(paths.recovery()) if r.path == copy).restore()
    finally:
        copy.unlink()


def test_marking_locks_and_is_one_step(bench) -> None:
    dock = bench.dock
    plain, tip, aloud, locked = sign(bench, 1)
    assert not locked and aloud is None and not tip.startswith("Finished")
    steps = len(dock.strokes.history.names)
    assert tick(bench, 1) is False
    assert dock.session.labels.finished == {2} and dock.session.locked == {2} == dock.strokes.locked
    assert dock.message.text() == "lesion is finished, and locked."
    assert dock.header.saved.text() == "not saved"
    marked, tip, aloud, locked = sign(bench, 1)
    assert locked and aloud == "lesion, finished" and tip.startswith("Finished. ") and marked != plain
    assert dock.correct.classes.item(1, 0).text() == "lesion"  # the name itself is as it was
    before = dock.layers.mask.data.copy()
    put(bench, np.s_[5:7, 10:20, 10:30], 1)  # what is painted over it goes around it
    expected = before.copy()
    expected[5:7, 10:20, 20:30] = 1
    np.testing.assert_array_equal(dock.layers.mask.data, expected)
    bench.key(Qt.Key.Key_Z, CTRL)
    assert dock.session.locked == {2}
    bench.key(Qt.Key.Key_Z, CTRL)
    assert dock.session.labels.finished == frozenset() == dock.session.locked == dock.strokes.locked
    assert sign(bench, 1)[0] == plain and not sign(bench, 1)[3]
    assert len(dock.strokes.history.names) == steps
    assert dock.correct.message.text() == "Undone: Class finished: lesion"
    bench.key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert dock.session.labels.finished == {2} == dock.session.locked and sign(bench, 1)[3]
    assert tick(bench, 1) is True  # and not finished again, with the lock off
    assert dock.session.labels.finished == frozenset() == dock.session.locked
    assert dock.strokes.history.names[-1] == "Class not finished: lesion"


def test_a_lock_taken_off_by_hand_stays_off_and_other_locks_stay(bench) -> None:
    session = bench.dock.session
    session.lock_classes(frozenset({1}))
    session.finish_class(2, True)
    assert session.locked == {1, 2}
    session.lock_classes(frozenset({1}))
    session.rename_class(2, "tumour")
    assert session.locked == {1} and session.labels.finished == {2}
    session.finish_class(2, False)
    assert session.locked == {1}


@pytest.mark.parametrize("name", ["mine.seg.nrrd", "mine.nii.gz"])
def test_saved_and_opened_again_it_is_finished_and_locked(bench, tmp_path: Path, name: str) -> None:
    dock = bench.dock
    tick(bench, 1)
    dock.session._journal.flush()
    assert recovered(dock).labels.finished == {2}
    dock.dialogs.target = dock.correcting._dialogs.target = tmp_path / name
    bench.click(dock.correct.save)
    bench.until(lambda: (tmp_path / name).exists() and dock.header.saved.text() == "saved")
    assert read_labels(tmp_path / name).labels.finished == {2}
    dock.session.close_mask(keep=False)
    dock.session.opening.mask(tmp_path / name)
    bench.until(lambda: dock.layers.mask is not None and not dock.tasks.names())
    assert dock.session.labels.finished == {2} == dock.session.locked == dock.strokes.locked
    assert sign(bench, 1)[3] and not sign(bench, 0)[3]
    before = dock.layers.mask.data.copy()
    put(bench, BOX, 0)
    np.testing.assert_array_equal(dock.layers.mask.data, before)
    dock.session.close_mask(keep=False)
    bench.empty_mask()  # another mask has the same classes, and all of them are still to be drawn
    assert dock.session.labels.names == ("Class 1", "lesion")
    assert dock.session.labels.finished == frozenset() == dock.session.locked
