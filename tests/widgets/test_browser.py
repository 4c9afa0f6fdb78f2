"""The study browser in a window: real mouse and key events on synthetic DICOM."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from dicom_files import uid, write_series
from napari_medcnn.io.found import Found
from napari_medcnn.widgets import study_tree
from napari_medcnn.widgets.study_rows import PICTURE, ROW
from study_cases import CHEST, hospital, series

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


def voxels(seed: int, shape: tuple[int, ...] = (6, 24, 20)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1000, shape, dtype=np.int16)


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> Path:
    """Return a hospital's folder: two series of one patient, a tilted one of another."""
    folder = tmp_path_factory.mktemp("export")
    write_series(folder / "1", voxels(1), tags={"SeriesDescription": "Thorax 1 mm"})
    bone = {
        "SeriesInstanceUID": uid("bone"),
        "SeriesNumber": 6,
        "SeriesDescription": "Bone",
        "StudyTime": "101500",
        "StudyID": "7",
    }
    write_series(folder / "2", voxels(2), tags=bone)
    tilted = {
        "SeriesInstanceUID": uid("tilted"), "StudyInstanceUID": uid("other"), "SeriesDescription": "Skull",
        "SeriesNumber": 7, "PatientName": "Other^Patient", "PatientID": "ID-99", "StudyDate": "20230131",
    }  # fmt: skip
    write_series(folder / "3", voxels(3), tags=tilted, step=(0.0, 0.84, 2.5))
    return folder


def drop(desk, paths: list[Path]) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    action, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    try:
        event = QDropEvent(QPointF(5, 5), action, data, LEFT, none)
    except TypeError:
        event = QDropEvent(QPointF(5, 5).toPoint(), action, data, LEFT, none)
    desk.dock.dropEvent(event)


def settled(desk) -> None:
    desk.until(lambda: not desk.dock.tasks.names() and not desk.dock.scan.tree.is_filling)
    desk.idle(0.1)
    desk.until(lambda: not desk.dock.tasks.names())


def place(desk, words: str):
    """Return where the row of a series is on the screen."""
    tree = desk.dock.scan.tree
    index = next(i for i in tree.series_shown() if words in i.data(ROW).title)
    tree.view.scrollTo(index)
    return index, tree.view.visualRect(index).center()


def click(desk, words: str, double: bool = False) -> None:
    view = desk.dock.scan.tree.view
    _, at = place(desk, words)
    QTest.mouseClick(view.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, at)
    if double:
        QTest.mouseDClick(view.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, at)


def titles(desk) -> list[str]:
    return [i.data(ROW).title for i in desk.dock.scan.tree.series_shown()]


def opened(desk, words: str) -> None:
    desk.until(lambda: desk.dock.session.scan is not None and words in desk.dock.session.scan.name)
    settled(desk)


def test_folder_is_dropped_and_opened_by_mouse_and_by_keyboard(desk, export: Path) -> None:
    dock, tree = desk.dock, desk.dock.scan.tree
    drop(desk, [export])
    settled(desk)
    assert sorted(t.split(", ")[-1] for t in titles(desk)) == ["Bone", "Skull", "Thorax 1 mm"]
    assert dock.session.scan is None, "of several series none opens unasked"
    shown = next(i for i in tree.series_shown() if "Bone" in i.data(ROW).title)
    desk.until(lambda: shown.data(PICTURE) is not None)
    assert not shown.data(PICTURE).isNull()

    click(desk, "Bone", double=True)
    opened(desk, "Bone")
    np.testing.assert_array_equal(np.sort(dock.session.scan.array.ravel()), np.sort(voxels(2).ravel()))
    assert "Secret" in dock.header.person.whole and "ID-12345" in dock.header.person.whole
    assert "1960-01-02" in dock.header.person.whole
    assert not any("Secret" in layer.name for layer in desk.viewer.layers)
    assert "Secret" not in desk.qt_window.windowTitle()

    step = tuple(desk.viewer.dims.current_step)
    tree.view.setFocus()
    QTest.keyClick(tree.view, Qt.Key.Key_Up)
    assert "Thorax" in tree.current.title
    QTest.keyClick(tree.view, Qt.Key.Key_Return)
    opened(desk, "Thorax")
    assert tuple(desk.viewer.dims.current_step) == step, "the keys of the tree never reach the picture"


def test_search_finds_by_words_date_and_name_and_goes_on_by_keyboard(desk, export: Path) -> None:
    dock, tree = desk.dock, desk.dock.scan.tree
    drop(desk, [export])
    settled(desk)
    tree.search.setFocus()
    for words, count in (("bone", 1), ("thorax ct", 1), ("2023-01", 1), ("secret", 2), ("zzz", 0)):
        tree.search.clear()
        QTest.keyClicks(tree.search, words)
        assert len(titles(desk)) == count, words
    tree.search.clear()
    QTest.keyClicks(tree.search, "bone")
    QTest.keyClick(tree.search, Qt.Key.Key_Return)
    assert desk.qt_window.focusWidget() is tree.view and "Bone" in tree.current.title
    QTest.keyClick(tree.view, Qt.Key.Key_Return)
    opened(desk, "Bone")
    assert len(desk.viewer.layers) == 1 and dock.layers.mask is None


def test_tilted_series_asks_and_opens_straightened_with_a_lasting_mark(desk, export: Path) -> None:
    dock = desk.dock
    drop(desk, [export / "3"])
    desk.until(lambda: dock.scan.notices.answer_buttons())
    settled(desk)
    assert dock.session.scan is None
    assert "tilt" in dock.scan.notices.words.text().lower()
    (agree,) = dock.scan.notices.answer_buttons()
    assert agree.text() == "Open straightened (resampled)"
    desk.click(agree)
    opened(desk, "Skull")
    assert dock.session.consent.resample
    assert "resampled" in desk.said()
    assert not dock.scan.notices.answer_buttons()


def test_hidden_names_are_in_no_part_of_the_browser(desk, export: Path) -> None:
    dock, tree = desk.dock, desk.dock.scan.tree
    drop(desk, [export])
    settled(desk)
    click(desk, "Bone", double=True)
    opened(desk, "Bone")
    tree.header.click()
    desk.until(lambda: dock.browsing.viewer is not None and dock.browsing.viewer.rows.rowCount() > 10)
    window = dock.browsing.viewer

    def told() -> str:
        rows = "\n".join(window.rows.line(i) for i in range(window.rows.rowCount()))
        words = [w.text() for w in (*dock.findChildren(QLabel), *window.findChildren(QLabel)) if w.isVisible()]
        index, tree_words = tree.filter.index(0, 0), []
        while index.isValid():
            roles = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole)
            tree_words += [str(index.data(int(role))) for role in roles]
            index = tree.view.indexBelow(index)
        tips = [w.toolTip() for w in (dock.header.person, dock.header.scan, window.title)]
        return "\n".join([rows, *words, *tree_words, *tips, window.windowTitle()]).lower()

    named = ("secret", "id-12345", "1960-01-02", "19600102", "other, patient", "id-99")
    assert all(name in told() for name in named[:3]), "the test must see names before it can miss them"
    QTest.mouseClick(dock.header.names, LEFT)
    settled(desk)
    assert [name for name in named if name in told()] == []
    assert "patient 1" in told() and "patient 2" in told() and "(name hidden)" in told()
    QTest.keyClicks(tree.search, "secret")
    assert titles(desk) == []
    tree.search.clear()
    window.search.setText("secret")
    assert window.rows.rowCount() == 0
    QTest.mouseClick(dock.header.names, LEFT)
    settled(desk)
    assert "secret" in told()
    window.close()


def test_header_window_searches_and_copies(desk, export: Path, qapp) -> None:
    dock = desk.dock
    drop(desk, [export / "1"])
    opened(desk, "Thorax")
    desk.click(dock.scan.tree.header)
    desk.until(lambda: dock.browsing.viewer is not None and dock.browsing.viewer.rows.rowCount() > 10)
    window = dock.browsing.viewer
    assert window.file.maximum() == 6
    QTest.keyClicks(window.search, "pixel spacing")
    assert window.rows.rowCount() == 1 and "0.8" in window.rows.line(0)
    QTest.keyClick(window.search, Qt.Key.Key_Down)
    window.table.selectRow(0)
    QTest.keyClick(window.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert "0.8" in qapp.clipboard().text() and "0028" in qapp.clipboard().text()
    window.close()


def test_several_folders_and_a_dicomdir_are_one_tree(desk, export: Path, tmp_path: Path) -> None:
    from pydicom.fileset import FileSet

    drop(desk, [export / "1", export / "2"])
    settled(desk)
    assert len(titles(desk)) == 2 and desk.dock.session.scan is None
    medium = FileSet()
    for path in sorted((export / "2").iterdir()):
        medium.add(path)
    medium.write(tmp_path / "cd")
    medium._stage["t"].cleanup()  # pydicom leaves it to the garbage collector, which warns
    drop(desk, [tmp_path / "cd" / "DICOMDIR"])
    opened(desk, "Bone")
    assert len(titles(desk)) == 1


def test_the_tree_fills_its_tab_and_no_question_outlives_its_list(desk, export: Path) -> None:
    dock = desk.dock
    found = Found(Path("many"), tuple(series(f"s{i}", f"CT {i}, Thorax", CHEST) for i in range(40)))
    dock.session.found = found
    dock.session.found_changed.emit()
    settled(desk)
    tree = dock.scan.tree
    below = tree.mapTo(dock.scan, tree.rect().bottomLeft()).y()
    assert dock.scan.height() - below < 40, "nothing else is shown: no room is left empty"
    drop(desk, [export])
    settled(desk)
    click(desk, "Skull")
    assert dock.scan.notices.isVisible() and dock.scan.notices.answer_buttons()
    drop(desk, [export / "1", export / "2"])
    settled(desk)
    assert not dock.scan.notices.isVisible() and not dock.scan.notices.answer_buttons()


def test_a_mask_that_is_opened_alone_brings_its_own_scan(desk, export: Path, tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    from seg_files import source_series, write_seg

    own = {f"{level}UID": uid(level, "masked") for level in ("StudyInstance", "SeriesInstance", "FrameOfReference")}
    sources = source_series(tmp_path / "ct", (3, 8, 10), tags={**own, "SeriesDescription": "Abdomen"})
    pixels = np.zeros((3, 8, 10), np.uint8)
    pixels[1, 2:5, 3:7] = 1
    write_seg(tmp_path / "seg.dcm", sources, pixels, "BINARY")
    drop(desk, [tmp_path, export])
    settled(desk)
    click(desk, "Thorax", double=True)
    opened(desk, "Thorax")
    click(desk, "Mask", double=True)
    desk.until(lambda: desk.dock.layers.mask is not None)
    settled(desk)
    assert "Abdomen" in desk.dock.session.scan.name and desk.dock.session.scan.array.shape == (3, 8, 10)
    assert np.count_nonzero(desk.dock.layers.mask.data) == 12


def test_a_drop_reaches_the_dock_wherever_it_lands(desk) -> None:
    assert [w for w in desk.dock.findChildren(QWidget) if w.acceptDrops()] == []
    assert desk.dock.acceptDrops()


def test_single_series_opens_in_one_action_and_names_its_patient(desk, export: Path) -> None:
    drop(desk, [export / "1"])
    opened(desk, "Thorax")
    tree = desk.dock.scan.tree
    assert tree.view.isVisible() and tree.view.height() < 200 and tree.current is not None


def test_a_thousand_series_never_stop_the_window(desk, monkeypatch) -> None:
    """Rows come a few at a time, and the window lives in between: told by a clock that ticks at every look.

    So a busy computer changes nothing: a slice of 20 ms is 20 looks at a clock of 1 ms a look, one a row.
    """
    dock, looks = desk.dock, iter(range(10**9))
    monkeypatch.setattr(study_tree, "time", SimpleNamespace(perf_counter=lambda: next(looks) / 1000))
    dock.session.found = Found(Path("many"), tuple(series(f"s{i}", f"CT {i}, Thorax", CHEST) for i in range(1000)))
    dock.session.found_changed.emit()
    counts, beats = [0, rows_in(dock.scan.tree)], []
    beat = QTimer()
    beat.timeout.connect(lambda: beats.append(rows_in(dock.scan.tree)))
    beat.start(0)
    while dock.scan.tree.is_filling:
        QApplication.processEvents()
        counts.append(rows_in(dock.scan.tree))
    beat.stop()
    assert counts[-1] >= 1000 and max(np.diff(counts)) <= 60, "rows that one pass of the event loop adds"
    assert len(set(beats)) >= 15, "the window hears of other things between two slices"
    assert dock.scan.tree.title.whole == "1,000 series" and len(titles(desk)) == 1000
    settled(desk)


def rows_in(tree) -> int:
    """Return how many rows the model holds, headings included."""
    waiting, found = [tree.model.index(i, 0) for i in range(tree.model.rowCount())], 0
    while waiting:
        index = waiting.pop()
        found += 1
        waiting += [tree.model.index(i, 0, index) for i in range(tree.model.rowCount(index))]
    return found


def test_refused_rows_say_why_and_do_not_open(desk) -> None:
    dock = desk.dock
    dock.session.found = hospital()
    dock.session.found_changed.emit()
    settled(desk)
    click(desk, "SR 9, Dose", double=True)
    desk.idle(0.1)
    assert "a dose report, not an image" in dock.scan.notices.words.text()
    assert dock.session.scan is None and not dock.scan.notices.answer_buttons()
    click(desk, "CT 6, Skull")
    assert [b.text() for b in dock.scan.notices.answer_buttons()] == ["Open straightened (resampled)"]
    dock.scan.tree.view.setFocus()
    QTest.keyClick(dock.scan.tree.view, Qt.Key.Key_Return)
    desk.idle(0.05)
    assert desk.qt_window.focusWidget() is dock.scan.notices.answer_buttons()[0], (
        "Enter leads to the question, not past it"
    )


def test_pictures_come_for_rows_that_are_uncovered_later(desk, export: Path) -> None:
    dock, tree = desk.dock, desk.dock.scan.tree
    away = partial(dock.tabs.setCurrentIndex, 1)  # the tree is out of sight before it is asked which rows are seen
    dock.session.found_changed.connect(away)
    drop(desk, [export])
    settled(desk)
    dock.session.found_changed.disconnect(away)
    desk.idle(0.2)
    rows = tree.series_shown()
    assert rows and all(i.data(PICTURE) is None for i in rows if i.data(ROW).opens)
    dock.tabs.setCurrentIndex(0)
    desk.until(lambda: all(i.data(PICTURE) is not None for i in tree.series_shown() if i.data(ROW).opens))


def test_tabs_have_all_the_height_of_the_dock(desk) -> None:
    dock = desk.dock
    below = dock.height() - (dock.pages.y() + dock.pages.height())
    assert below < 12, "napari would add a stretch below a dock that does not ask for the height"
