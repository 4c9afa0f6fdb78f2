"""The table of a class's pieces, with real mouse and keys: ids that last, sorting, going there, saving."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton
VOXEL_ML = 3.0 * 0.8 * 0.8 / 1000  # of the phantom
LARGE, SMALL = np.s_[5:7, 10:20, 10:20], np.s_[30:31, 50:55, 60:62]


@pytest.fixture
def bench(desk):
    """The phantom with an empty mask of one class, brush in hand."""
    desk.open("phantom")
    desk.empty_mask()
    return desk


def put(desk, box, label: int) -> None:
    desk.dock.strokes.change("Test", box, np.full(tuple(p.stop - p.start for p in box), label, np.uint8))


def listed(desk):
    """Open the table of class 1, and wait until it is filled."""
    desk.dock.correcting.classes.show_pieces(1)
    pieces = desk.dock.correcting.classes.pieces
    desk.until(lambda: "click shows" in pieces.words.text())
    return pieces


def again(desk, pieces) -> None:
    desk.click(pieces.again)
    desk.until(lambda: "click shows" in pieces.words.text())


def cells(pieces) -> list[tuple[str, ...]]:
    rows = pieces.rows
    return [tuple(rows.data(rows.index(r, c)) for c in range(3)) for r in range(rows.rowCount())]


def click(pieces, row: int) -> None:
    at = pieces.table.visualRect(pieces.rows.index(row, 0)).center()
    QTest.mouseClick(pieces.table.viewport(), LEFT, pos=at)


def click_heading(pieces, column: int) -> None:
    head = pieces.table.horizontalHeader()
    QTest.mouseClick(head.viewport(), LEFT, pos=QPoint(head.sectionViewportPosition(column) + 20, head.height() // 2))


def ml(voxels: int) -> str:
    return f"{voxels * VOXEL_ML:.3g} ml"


def test_pieces_keep_their_numbers_and_a_click_goes_there(bench) -> None:
    dock = bench.dock
    put(bench, LARGE, 1)
    put(bench, SMALL, 1)
    pieces = listed(bench)
    assert [pieces.rows.headerData(c, Qt.Orientation.Horizontal) for c in range(3)] == ["Piece", "Size", "Where"]
    assert cells(pieces) == [("1", ml(200), "slice 6"), ("2", ml(10), "slice 31")]
    click(pieces, 1)
    assert bench.viewer.dims.current_step[0] == 30
    QTest.keyClick(pieces.table, Qt.Key.Key_Up)
    assert bench.viewer.dims.current_step[0] == 5
    put(bench, np.s_[0:1, 70:73, 70:74], 1)  # a new one, larger than the second
    assert "has changed" in pieces.words.text()
    again(bench, pieces)
    assert cells(pieces) == [("1", ml(200), "slice 6"), ("3", ml(12), "slice 1"), ("2", ml(10), "slice 31")]
    put(bench, SMALL, 0)
    again(bench, pieces)
    assert [row[0] for row in cells(pieces)] == ["1", "3"]
    bench.key(Qt.Key.Key_Z, CTRL)
    pieces.close()
    bench.until(lambda: dock.correcting.classes.pieces is None)
    pieces = listed(bench)  # the numbers outlive the window, and undo brings back those that had gone
    assert [row[0] for row in cells(pieces)] == ["1", "3", "2"]
    dock.session.close_mask(keep=False)
    assert dock.correcting.classes.pieces is None
    bench.empty_mask()
    put(bench, SMALL, 1)
    assert cells(listed(bench)) == [("1", ml(10), "slice 31")]  # another mask, other numbers


def test_headings_sort_and_another_look_keeps_the_order(bench) -> None:
    put(bench, SMALL, 1)
    pieces = listed(bench)
    put(bench, LARGE, 1)
    put(bench, np.s_[38:39, 1:2, 1:4], 1)
    again(bench, pieces)
    assert [row[0] for row in cells(pieces)] == ["2", "1", "3"]  # the largest first
    click_heading(pieces, 0)
    assert [row[0] for row in cells(pieces)] == ["1", "2", "3"]
    click_heading(pieces, 0)
    assert [row[0] for row in cells(pieces)] == ["3", "2", "1"]
    click_heading(pieces, 2)
    assert [row[2] for row in cells(pieces)] == ["slice 6", "slice 31", "slice 39"]
    put(bench, np.s_[34:35, 1:2, 1:4], 1)
    again(bench, pieces)
    assert [row[2] for row in cells(pieces)] == ["slice 6", "slice 31", "slice 35", "slice 39"]
    click(pieces, 3)
    assert bench.viewer.dims.current_step[0] == 38
    click_heading(pieces, 1)
    assert [row[1] for row in cells(pieces)] == [ml(3), ml(3), ml(10), ml(200)]


def test_the_table_is_saved_with_every_piece(bench, tmp_path: Path) -> None:
    dock = bench.dock
    put(bench, LARGE, 1)
    put(bench, SMALL, 1)
    pieces = listed(bench)
    dock.dialogs.target = target = tmp_path / "mine.csv"
    bench.click(pieces.save)
    bench.until(lambda: target.exists() and dock.message.text() == "Saved: mine.csv")
    header, *rows = csv.reader(target.read_text(encoding="utf-8").splitlines())
    assert header == ["class", "piece", "volume [ml]", "voxels", "slice", "row", "column", "written", "use"]
    assert [row[:5] for row in rows] == [
        ["Class 1", "1", f"{200 * VOXEL_ML:.6g}", "200", "6"],
        ["Class 1", "2", f"{10 * VOXEL_ML:.6g}", "10", "31"],
    ]
    assert rows[1][5:7] == ["53", "61"] and "not for diagnosis" in rows[0][-1]
    dock.dialogs.target = tmp_path / "not" / "there.csv"
    bench.click(pieces.save)
    bench.until(lambda: "no such folder" in dock.message.text())


def test_a_picture_tells_row_and_column(desk) -> None:
    desk.open("fundus")
    desk.empty_mask()
    put(desk, np.s_[0:1, 10:13, 20:23], 1)
    pieces = listed(desk)
    assert [(row[0], row[2]) for row in cells(pieces)] == [("1", "row 12, column 22")]
    click(pieces, 0)  # there is no other slice to go to
