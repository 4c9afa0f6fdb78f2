"""The class table with real mouse and keys: names, colours, merging, deleting, finding, pieces; one step each."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QContextMenuEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.core import paths
from napari_medcnn.core.labels import OKABE_ITO
from napari_medcnn.io.read import read_labels

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton
VOXEL_ML = 3.0 * 0.8 * 0.8 / 1000  # of the phantom


@pytest.fixture
def bench(desk):
    """The phantom with an empty mask of one class, brush in hand."""
    desk.open("phantom")
    desk.empty_mask()
    yield desk
    desk.dock.session.lock_classes(frozenset())


def put(desk, box, label: int) -> None:
    desk.dock.strokes.change("Test", box, np.full(tuple(p.stop - p.start for p in box), label, np.uint8))


def three_classes(desk) -> np.ndarray:
    """Add two classes with the mouse and keys, put voxels into all three; return a copy of the mask."""
    tab = desk.dock.correct
    for name in ("lesion", "vessel"):
        QTest.mouseClick(tab.new_class, LEFT)
        QTest.keyClicks(tab.new_class, name)
        QTest.keyClick(tab.new_class, Qt.Key.Key_Return)
    for label, box in ((1, np.s_[5:7, 10:20, 10:20]), (2, np.s_[8:9, 30:40, 30:40]), (3, np.s_[9:10, 50:55, 50:60])):
        put(desk, box, label)
    return desk.dock.layers.mask.data.copy()


def place_of(table, row: int) -> QPoint:
    return table.visualItemRect(table.item(row, 0)).center()


def menu_of(desk, row: int):
    """Right-click a class; return its menu."""
    table = desk.dock.correct.classes
    at = place_of(table, row)
    where = table.viewport().mapToGlobal(at)
    QApplication.sendEvent(table.viewport(), QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, where))
    return desk.dock.correcting.classes.menu


def changed(bench) -> None:
    """Wait until a merge or a deletion, which looks through the mask in a thread, is done."""
    bench.until(lambda: not bench.dock.tasks.names())


def take(menu, *words: str) -> None:
    """Choose an entry of a menu, or of a menu in it, with the arrow keys and Enter."""
    for depth, word in enumerate(words):
        entries = [action for action in menu.actions() if not action.isSeparator() and action.isEnabled()]
        if depth == 0 or menu.activeAction() is None:
            menu.setActiveAction(entries[0])
        for _ in range(30):
            if menu.activeAction().text() == word:
                break
            QTest.keyClick(menu, Qt.Key.Key_Down)
        assert menu.activeAction().text() == word
        if depth == len(words) - 1:
            QTest.keyClick(menu, Qt.Key.Key_Return)
        else:
            QTest.keyClick(menu, Qt.Key.Key_Right)
            menu = menu.activeAction().menu()


def names(desk) -> tuple[str, ...]:
    return desk.dock.session.labels.names


def test_a_name_typed_into_the_table_is_a_step_and_survives_a_kill(bench, tmp_path: Path) -> None:
    dock = bench.dock
    before = three_classes(bench)
    table, history = dock.correct.classes, dock.strokes.history
    assert history.names[:2] == ("Class added: lesion", "Class added: vessel") and names(bench)[1:] == (
        "lesion",
        "vessel",
    )
    at = place_of(table, 1)
    QTest.mouseClick(table.viewport(), LEFT, pos=at)
    assert dock.layers.mask.selected_label == 2
    QTest.mouseDClick(table.viewport(), LEFT, pos=at)
    editor = next(w for w in table.viewport().findChildren(QLineEdit) if w.isVisible())
    editor.selectAll()
    QTest.keyClicks(editor, "tumour")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    bench.idle(0.05)
    assert names(bench) == ("Class 1", "tumour", "vessel")
    assert history.names[-1] == "Class renamed: lesion to tumour"
    assert dock.correct.undo.accessibleName() == "Undo class renamed: lesion to tumour"
    assert dock.correct.undo.toolTip() == "Undo class renamed: lesion to tumour (Ctrl+Z)"  # too long for the button
    assert list(dock.layers.mask.features["class"]) == ["background", "Class 1", "tumour", "vessel"]
    dock.session._journal.flush()
    copy = paths.recovery() / "99999998-killed.strokes"
    shutil.copy(dock.session._journal.path, copy)
    back = next(r for r in find_recoverable(paths.recovery()) if r.path == copy).restore()
    copy.unlink()
    assert back.labels == dock.session.labels
    np.testing.assert_array_equal(back.array, before)
    dock.session.rename_class(2, "vessel")
    assert "once" in dock.message.text() and names(bench)[1] == "tumour"
    bench.key(Qt.Key.Key_Z, CTRL)
    assert names(bench) == ("Class 1", "lesion", "vessel") and table.item(1, 0).text() == "lesion"
    assert dock.correct.message.text() == "Undone: Class renamed: lesion to tumour"
    for _ in range(5):
        bench.key(Qt.Key.Key_Z, CTRL)
    assert names(bench) == ("Class 1",) and not dock.layers.mask.data.any() and not history.can_undo
    assert dock.layers.mask.selected_label == 1  # that of a class that is gone cannot be painted


def test_colours_of_the_palette_or_free_go_into_the_file(bench, tmp_path: Path) -> None:
    dock = bench.dock
    three_classes(bench)
    menu = menu_of(bench, 1)
    assert [a.text() for a in menu.actions() if a.text()] == [
        "lesion", "Rename", "Colour", "Finished", "Merge into", "Pieces...", "Delete...",
    ]  # fmt: skip
    take(menu, "Colour", "Vermilion")
    assert dock.session.labels.by_id(2).colour == OKABE_ITO[5] == (213, 94, 0)
    np.testing.assert_allclose(dock.layers.mask.colormap.color_dict[2][:3], np.array([213, 94, 0]) / 255, atol=1e-6)
    dock.dialogs.own_colour = dock.correcting._dialogs.own_colour = (1, 2, 3)
    take(menu_of(bench, 2), "Colour", "Another colour...")
    assert dock.session.labels.by_id(3).colour == (1, 2, 3)
    for name in ("mine.nii.gz", "mine.seg.nrrd"):
        dock.dialogs.target = dock.correcting._dialogs.target = tmp_path / name
        bench.click(dock.correct.save)
        bench.until(lambda name=name: (tmp_path / name).exists() and dock.header.saved.text() == "saved")
        stored = read_labels(tmp_path / name).labels
        assert [(x.id, x.name, x.colour) for x in stored if x.id > 1] == [
            (2, "lesion", (213, 94, 0)),
            (3, "vessel", (1, 2, 3)),
        ]
    bench.key(Qt.Key.Key_Z, CTRL)  # undo goes on after saving
    bench.key(Qt.Key.Key_Z, CTRL)
    assert dock.session.labels.by_id(2).colour == OKABE_ITO[1] and dock.header.saved.text() == "not saved"


def test_merging_moves_voxels_and_class_in_one_step_and_locks_hold(bench) -> None:
    dock = bench.dock
    before = three_classes(bench)
    dock.session.choose_class(2)
    bench.click(dock.correct.change_class)
    take(dock.correcting.classes.menu, "Merge into", "vessel")
    changed(bench)
    merged = np.where(before == 2, 3, before)
    np.testing.assert_array_equal(dock.layers.mask.data, merged)
    assert names(bench) == ("Class 1", "vessel") and dock.layers.mask.selected_label == 3
    assert dock.strokes.counts == {1: 200, 3: 150}
    assert dock.strokes.history.names[-1] == "Class merged: lesion into vessel"
    bench.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(dock.layers.mask.data, before)
    assert names(bench) == ("Class 1", "lesion", "vessel") and dock.strokes.counts == {1: 200, 2: 100, 3: 50}
    dock.session.lock_classes(frozenset({3}))
    steps = len(dock.strokes.history.names)
    take(menu_of(bench, 1), "Merge into", "vessel (locked)")
    changed(bench)
    assert dock.message.text() == "vessel is locked; unlock it in the class table to change it."
    dock.say("")
    take(menu_of(bench, 2), "Delete...")
    changed(bench)
    assert "vessel is locked" in dock.message.text()
    np.testing.assert_array_equal(dock.layers.mask.data, before)
    assert len(dock.strokes.history.names) == steps and names(bench) == ("Class 1", "lesion", "vessel")


def test_deleting_names_the_volume_and_asks(bench) -> None:
    dock = bench.dock
    before = three_classes(bench)
    answers = dock.correcting._dialogs
    answers.yes = False
    take(menu_of(bench, 1), "Delete...")
    assert answers.asked[-1] == (
        f"Delete the class lesion? {100 * VOXEL_ML:.3g} ml of the mask become background. Undo brings it back."
    )
    np.testing.assert_array_equal(dock.layers.mask.data, before)
    answers.yes = True
    take(menu_of(bench, 1), "Delete...")
    changed(bench)
    np.testing.assert_array_equal(dock.layers.mask.data, np.where(before == 2, 0, before))
    assert names(bench) == ("Class 1", "vessel")
    asked = len(answers.asked)
    put(bench, np.s_[5:7, 10:20, 10:20], 0)
    take(menu_of(bench, 0), "Delete...")  # an empty one goes unasked
    changed(bench)
    assert names(bench) == ("vessel",) and len(answers.asked) == asked
    take(menu_of(bench, 0), "Delete...")
    changed(bench)
    assert "only class" in dock.message.text() and names(bench) == ("vessel",)
    for _ in range(3):
        bench.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(dock.layers.mask.data, before)
    assert names(bench) == ("Class 1", "lesion", "vessel")


def test_a_tick_is_set_without_choosing_the_class_of_its_row(bench) -> None:
    dock, table = bench.dock, bench.dock.correct.classes
    three_classes(bench)
    dock.session.choose_class(3)
    for column, held in ((3, lambda: dock.session.locked), (2, lambda: dock.session.hidden)):
        cell = table.visualItemRect(table.item(0, column))
        QTest.mouseClick(table.viewport(), LEFT, pos=QPoint(cell.left() + 9, cell.center().y()))
        assert held() == {1}
        assert dock.layers.mask.selected_label == 3 and table.chosen_id == 3
    QTest.mouseClick(table.viewport(), LEFT, pos=place_of(table, 1))
    assert dock.layers.mask.selected_label == 2 and table.chosen_id == 2
    dock.session.hide_classes(frozenset())


def test_c_finds_one_of_many_classes_by_name(bench) -> None:
    dock = bench.dock
    for number in range(2, 13):
        dock.session.add_class(f"Rib {number}" if number < 12 else "Left kidney")
    dock.session.choose_class(1)
    bench.key(Qt.Key.Key_C)
    finder = dock.correcting.classes.finder
    assert finder.isVisible() and len(finder.names()) == 12
    QTest.keyClicks(finder.search, "KIDN left")
    assert finder.names() == ["Left kidney"]
    finder.search.clear()
    QTest.keyClicks(finder.search, "rib 1")
    assert finder.names() == ["Rib 10", "Rib 11"]
    QTest.keyClick(finder.search, Qt.Key.Key_Down)
    QTest.keyClick(finder.search, Qt.Key.Key_Return)
    assert dock.layers.mask.selected_label == 11 and dock.correct.classes.chosen_id == 11
    bench.until(lambda: dock.correcting.classes.finder is None)
    bench.key(Qt.Key.Key_C)
    QTest.keyClicks(dock.correcting.classes.finder.search, "spleen")
    assert dock.correcting.classes.finder.words.text() == "No class has such a name."
    QTest.keyClick(dock.correcting.classes.finder.search, Qt.Key.Key_Escape)
    bench.until(lambda: dock.correcting.classes.finder is None)
    assert dock.layers.mask.selected_label == 11
