"""On a German desktop: numbers are shown with a point, and typed with a comma or a point they mean the same."""

from __future__ import annotations

import contextlib
import locale
import re

import pytest
from qtpy.QtCore import QLocale, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QLabel, QLineEdit, QTableWidget

from napari_medcnn.errors import InputError
from napari_medcnn.widgets.number_field import NumberField, number
from napari_medcnn.widgets.parts import Section

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def german():
    """Qt's default is German; so is C's LC_NUMERIC where the system has that locale."""
    qt, c = QLocale(), locale.setlocale(locale.LC_NUMERIC)
    QLocale.setDefault(QLocale(QLocale.Language.German, QLocale.Country.Germany))
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_NUMERIC, "de_DE.UTF-8")
    assert QLocale().toString(2.5) == "2,5"
    yield
    QLocale.setDefault(qt)
    locale.setlocale(locale.LC_NUMERIC, c)


def words(dock) -> list[str]:
    """Return what labels, fields and tables of the dock say."""
    said = [w.text() for kind in (QLabel, QLineEdit) for w in dock.findChildren(kind)]
    for table in dock.findChildren(QTableWidget):
        cells = [table.item(r, c) for r in range(table.rowCount()) for c in range(table.columnCount())]
        said += [cell.text() for cell in cells if cell is not None]
    return said


def test_everything_shows_a_point(desk) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    desk.dock.tabs.setCurrentIndex(2)
    desk.idle(0.05)
    said = words(desk.dock)
    assert [w for w in said if re.search(r"\d,\d", w)] == []
    assert any("0.8" in w for w in said), "the voxel size"
    assert desk.dock.ai.result.table.item(0, 2).text() == "0.90"
    assert re.fullmatch(r"[\d.]+ (ml|l)", desk.dock.correct.classes.item(0, 4).text())


def test_no_field_reads_numbers_by_the_desktop(desk) -> None:
    """Qt's spin boxes read "2.5" as 25 under a German locale; fields of ours are lines that we read ourselves."""
    assert desk.dock.findChildren(QAbstractSpinBox) == []


def test_every_number_field_reads_comma_and_point_alike_and_shows_a_point(desk) -> None:
    """All of them, wherever they stand; what is not one number gives way to the number before, and is said."""
    desk.open("phantom")
    for section in desk.dock.findChildren(Section):
        section.title.setChecked(True)
    fields = desk.dock.findChildren(NumberField)
    assert {"Window", "Level", "Thickness"} <= {field.accessibleName() for field in fields}
    for field in fields:
        desk.dock.viewing.use_preset(0)  # black and white far apart, so that each can be 2.5 and 7
        typed, refused = [], []
        field.typed.connect(typed.append)
        field.refused.connect(refused.append)
        for text in ("2,5", "7", "2.5"):
            field.setText("")
            QTest.keyClicks(field, text)
            QTest.keyClick(field, Qt.Key.Key_Return)
        assert typed == [2.5, 7.0, 2.5] and refused == [], field.accessibleName()
        assert "," not in field.text()
        before = field.text()
        for text in ("1.234,5", "1 000", "viel"):
            field.setText("")
            QTest.keyClicks(field, text)
            QTest.keyClick(field, Qt.Key.Key_Return)
            assert field.text() == before, (field.accessibleName(), text)
        assert len(typed) == 3 and len(refused) == 3, field.accessibleName()


def test_every_number_on_screen_has_a_point_with_all_that_reading_adds(desk) -> None:
    desk.open("phantom")
    desk.four()
    for section in desk.dock.findChildren(Section):
        section.title.setChecked(True)
    desk.idle(0.1)
    said = [*words(desk.dock), desk.said()]
    assert [w for w in said if re.search(r"\d,\d", w)] == []


@pytest.mark.parametrize("text, value", [("2,5", 2.5), ("2.5", 2.5), (" -160 ", -160.0), ("0,05", 0.05)])
def test_comma_and_point_mean_the_same(text: str, value: float) -> None:
    assert number(text, "Threshold") == value


@pytest.mark.parametrize(
    "text", ["1.234,5", "1,234.5", "1.000.000", "1 000", "", "viel", "nan", "inf", "0x10", "1_000"]
)
def test_what_is_not_one_number_is_refused_and_never_read_otherwise(text: str) -> None:
    with pytest.raises(InputError, match="Threshold"):
        number(text, "Threshold")
