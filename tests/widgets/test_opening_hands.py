"""Where the keyboard is and what is seen once a scan was opened by hand: real clicks and keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from dicom_files import uid, write_series
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.save import save_volume
from napari_medcnn.widgets.study_rows import ROW

pytestmark = pytest.mark.gui
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def two_series(tmp_path: Path) -> Path:
    """Return a study of two series with 6 slices each."""
    voxels = np.random.default_rng(3).integers(0, 1000, (6, 24, 20), dtype=np.int16)
    write_series(tmp_path / "1", voxels, tags={"SeriesDescription": "Thorax 1 mm"})
    other = {"SeriesInstanceUID": uid("bone"), "SeriesNumber": 6, "SeriesDescription": "Bone"}
    write_series(tmp_path / "2", voxels, tags=other)
    return tmp_path


def listed(desk, folder: Path) -> None:
    desk.dock.open_path(folder)
    desk.until(lambda: desk.dock.scan.tree.series_shown() and not desk.dock.tasks.names())
    desk.idle(0.1)


def row_of(desk, words: str):
    tree = desk.dock.scan.tree
    index = next(i for i in tree.series_shown() if words in i.data(ROW).title)
    tree.view.scrollTo(index)
    return tree.view, tree.view.visualRect(index).center()


def pressed(desk, key) -> None:
    """Press a key where the window has the keyboard, as a hand does."""
    QTest.keyClick(desk.qt_window.focusWidget(), key)
    desk.idle(0.05)


def there(desk, name: str) -> None:
    desk.until(lambda: desk.dock.session.scan is not None and name in desk.dock.session.scan.name)
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.1)


def test_keys_act_on_a_scan_that_was_opened_from_the_list(desk, two_series: Path) -> None:
    """After a double-click and after Enter: the arrow moves slices, and no click into the picture is needed."""
    listed(desk, two_series)
    for name in ("Thorax", "Bone"):
        view, at = row_of(desk, name)
        QTest.mouseClick(view.viewport(), LEFT, NONE, at)
        assert desk.qt_window.focusWidget() is view
        if name == "Thorax":
            QTest.mouseDClick(view.viewport(), LEFT, NONE, at)
        else:
            pressed(desk, Qt.Key.Key_Return)
        there(desk, name)
        before, chosen = desk.viewer.dims.current_step[0], view.currentIndex()
        pressed(desk, Qt.Key.Key_Down)
        assert desk.viewer.dims.current_step[0] == before + 1
        assert view.currentIndex() == chosen
    view, at = row_of(desk, "Thorax")
    QTest.mouseClick(view.viewport(), LEFT, NONE, at)  # a row is only looked at: the list has the keys again
    before = desk.viewer.dims.current_step[0]
    pressed(desk, Qt.Key.Key_Down)
    assert desk.viewer.dims.current_step[0] == before and view.currentIndex().data(ROW).title != "Thorax"


def test_who_types_a_search_while_a_scan_opens_goes_on_typing(desk, two_series: Path) -> None:
    listed(desk, two_series)
    view, at = row_of(desk, "Thorax")
    QTest.mouseClick(view.viewport(), LEFT, NONE, at)
    pressed(desk, Qt.Key.Key_Return)
    search = desk.dock.scan.tree.search
    QTest.mouseClick(search, LEFT)
    QTest.keyClicks(search, "bo")
    there(desk, "Thorax")
    QTest.keyClicks(desk.qt_window.focusWidget(), "ne")
    assert search.text() == "bone"


def test_a_scan_beside_takes_the_keys_from_the_list(desk, two_series: Path) -> None:
    listed(desk, two_series)
    view, at = row_of(desk, "Thorax")
    QTest.mouseClick(view.viewport(), LEFT, NONE, at)
    QTest.mouseDClick(view.viewport(), LEFT, NONE, at)
    there(desk, "Thorax")
    view, at = row_of(desk, "Bone")
    QTest.mouseClick(view.viewport(), LEFT, NONE, at)
    desk.click(desk.dock.scan.tree.beside)
    desk.until(lambda: desk.dock.session.beside and not desk.dock.tasks.names())
    desk.idle(0.1)
    before = desk.viewer.dims.current_step[0]
    pressed(desk, Qt.Key.Key_Up)
    assert desk.viewer.dims.current_step[0] == before - 1


def test_a_scan_in_time_opens_at_its_first_step_and_middle_slice(desk, tmp_path: Path) -> None:
    voxels = np.arange(5 * 9 * 10 * 11, dtype=np.int16).reshape(5, 9, 10, 11)
    save_volume(Volume(voxels, Geometry((9, 10, 11), (3.0, 1.0, 1.0)), axes="tzyx"), tmp_path / "film.nii.gz")
    desk.dock.open_path(tmp_path / "film.nii.gz")
    there(desk, "film")
    assert tuple(desk.viewer.dims.current_step[:2]) == (0, 4)
    assert "step 1 of 5" in desk.said()
    desk.key(Qt.Key.Key_Right)
    assert "step 2 of 5" in desk.said()
    assert QApplication.focusWidget() in (None, desk.native)
