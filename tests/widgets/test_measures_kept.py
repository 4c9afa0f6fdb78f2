"""The table of measures, what leaves it, and what is kept with a scan."""

from __future__ import annotations

import csv
import io
import json

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QInputDialog

from measuring_hands import TURNED, board, show, three, turned
from napari_medcnn.core import paths
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.dialogs import Dialogs

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    """Measures are kept in a folder of the test's own."""
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


# ---- table -----------------------------------------------------------------------------------------------------------


def test_the_table_goes_there_renames_deletes_and_brings_back(desk) -> None:
    desk.open("phantom")
    three(desk)
    measuring = desk.dock.reading.measuring
    measuring.toggle_table()
    desk.idle()
    rows, dims = measuring.table.rows, desk.viewer.dims
    assert rows.isVisible() and rows.rowCount() == 3
    last = dims.current_step[0]
    cell = rows.visualItemRect(rows.item(0, 1)).center()
    QTest.mouseClick(rows.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, cell)
    desk.idle()
    assert dims.current_step[0] == last - 2 and board(desk).chosen == board(desk).measures[0].id
    rows.item(0, 0).setText("Nodule")
    assert board(desk).measures[0].name == "Nodule"
    QTest.keyClick(rows, Qt.Key.Key_Delete)
    assert [m.name for m in board(desk).measures] == ["Ellipse 1", "Length 2"]
    desk.click(measuring.table.back)
    assert [m.name for m in board(desk).measures] == ["Nodule", "Ellipse 1", "Length 2"]
    QTest.keyClick(rows, Qt.Key.Key_5)
    QTest.keyClick(rows, Qt.Key.Key_Return)
    assert [m.name for m in board(desk).measures] == ["Nodule", "Ellipse 1", "Length 2"]


def test_copy_and_csv_say_units_and_no_name_while_names_are_hidden(desk, tmp_path) -> None:
    desk.open("phantom")
    three(desk)
    measuring = desk.dock.reading.measuring
    measuring.toggle_table()
    desk.idle()
    desk.click(measuring.table.copy)
    lines = QApplication.clipboard().text().splitlines()
    assert len(lines) == 4 and lines[1].startswith("CT phantom\tLength 1\tlength\t")
    desk.dock.dialogs.target = tmp_path / "out.csv"
    desk.click(measuring.table.save)
    desk.until(lambda: desk.dock.message.text() == "Saved: out.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8"))))
    assert [row["name"] for row in rows] == ["Length 1", "Ellipse 1", "Length 2"]
    first, area = rows[0], rows[1]
    assert float(first["length [mm]"]) > 10 and first["mean [HU]"] == "" and area["length [mm]"] == ""
    assert float(area["area [mm2]"]) > 100 and int(area["voxels"]) * 0.64 == pytest.approx(float(area["area [mm2]"]))
    assert first["plane"] == "axial" and first["use"] == "Research use only, not for diagnosis"
    assert int(area["slice"]) == int(first["slice"]) + 1


def test_hidden_names_are_no_title(desk) -> None:
    desk.open("phantom")
    measuring = desk.dock.reading.measuring
    assert measuring.title == "CT phantom"
    desk.dock.header.names.setChecked(True)
    desk.idle(0.05)
    assert desk.dock.header.hides_names and measuring.title == "scan"


def test_values_under_each_class(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    x, y = desk.centre()
    desk.drag((x + 40, y), (x + 90, y))
    measuring = desk.dock.reading.measuring
    measuring.count_classes()
    desk.until(lambda: not desk.dock.tasks.names())
    rows = measuring.class_values.rows
    scan, mask = desk.dock.session.scan, desk.dock.layers.mask_value()
    values = scan.array[mask.array == 1].astype(float)
    assert rows.isVisible() and rows.rowCount() == 1
    assert rows.item(0, 2).text() == str(values.size)
    shown, unit = rows.item(0, 4).text().split()
    assert unit == "HU" and float(shown) == pytest.approx(values.mean(), abs=0.5)
    ml = values.size * 3 * 0.8 * 0.8 / 1000
    assert rows.item(0, 1).text() in (f"{ml:.3g} ml", f"{ml * 1000:.3g} mm³")


# ---- kept ------------------------------------------------------------------------------------------------------------


def test_measures_are_kept_with_the_scan_and_no_name_of_it(desk) -> None:
    show(desk, turned())
    three(desk)
    measuring = desk.dock.reading.measuring
    drawn, record = board(desk).measures, measuring.measures_of(desk.dock.session.scan)
    assert len(drawn) == 3 and json.loads(json.dumps(record))["measures"][0]["name"] == "Length 1"
    measuring.keeper.flush()
    (kept,) = paths.measures().iterdir()
    assert "Crate" not in kept.name and "Crate" not in kept.read_text(encoding="utf-8")
    show(desk, Volume(turned().array + 1, TURNED, name="Other"))
    assert board(desk).measures == ()
    show(desk, turned())
    assert board(desk).measures == drawn
    for measure in drawn:
        board(desk).remove(measure.id)
    measuring.keeper.flush()
    assert list(paths.measures().iterdir()) == []
    assert measuring.measures_of(desk.dock.session.scan) is None
    measuring.restore(record)
    assert board(desk).measures == drawn


def test_a_record_that_cannot_be_read_is_said_and_the_scan_opens(desk) -> None:
    show(desk, turned())
    three(desk)
    desk.dock.reading.measuring.keeper.flush()
    (kept,) = paths.measures().iterdir()
    desk.dock.session.close_scan()
    kept.write_text("{", encoding="utf-8")
    show(desk, turned())
    assert "cannot be read" in desk.dock.message.text() and board(desk).measures == ()


@pytest.mark.parametrize(
    ("typed", "known"), [("12,5", 12.5), ("12.5 mm", 12.5), ("", 0.0), ("-3", None), ("long", None), ("0", None)]
)
def test_the_known_length_takes_comma_and_point_and_no_nonsense(desk, monkeypatch, typed, known) -> None:
    monkeypatch.setattr(QInputDialog, "getText", lambda *_words: (typed, True))
    asked = Dialogs(desk.dock)
    if known is None:
        with pytest.raises(InputError, match="length"):
            asked.known_length("200 px", True)
    else:
        assert asked.known_length("200 px", True) == known
    monkeypatch.setattr(QInputDialog, "getText", lambda *_words: ("", True))
    assert asked.known_length("200 px", False) is None
