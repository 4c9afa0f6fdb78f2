"""What measures and the readout say: units, digits, times, words that cover nothing, and that they live in a drag."""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt

from dicom_files import MR, uid, write_series
from measuring_hands import board, only, show
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.widgets.measuring.labels import free_place, inside, overlap
from napari_medcnn.widgets.measuring.rows import picture_lines
from reading_hands import open_both

pytestmark = pytest.mark.gui
#: As docs/radiologist.md promises them: what reads such files may count on order and names.
COLUMNS = (
    "scan, name, kind, length, angle, width, height, radius, area, volume, voxels, channel, mean, sd, min, max, "
    "peak of 1 cm3, plane, slice, time point, time, centre L, centre P, centre S, note, written, use, value unit"
)
NOTHING = Qt.MouseButton.NoButton
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    """Measures are kept in a folder of the test's own."""
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def scan(slices_mm: float = 3.0, unit: str = "") -> Volume:
    values = np.random.default_rng(5).integers(0, 900, (14, 60, 70)).astype(np.int16)
    grid = Geometry(values.shape, (slices_mm, 0.9, 0.7), (-20.0, 5.0, 30.0))
    return Volume(values, grid, name="Marbles", modality="MR", value_unit=unit)


def test_values_without_a_unit_are_as_stored_everywhere(desk, tmp_path) -> None:
    show(desk, scan())
    pane, (x, y) = desk.dock.views.panes[0], desk.centre()
    desk.move((x, y))
    said = desk.dock.reading.annotations.readout.lines(pane)
    number, *unit = said[0].split(" ")
    assert int(number) in scan().array and " ".join(unit) == "as stored"
    assert any(words.startswith("W ") and words.endswith(" as stored") for words in desk.said().split(" | "))
    assert desk.dock.reading.brightness.block.title.text() == "Brightness, values as stored"
    desk.key(Qt.Key.Key_A)
    desk.drag((x - 60, y - 60), (x + 60, y + 60))
    mean = board(desk).stats(only(desk)).channels[0].mean
    assert picture_lines(board(desk), only(desk))[0].startswith(f"mean {mean:.0f} as stored, sd ")
    measuring = desk.dock.reading.measuring
    measuring.toggle_table()
    desk.idle()
    assert measuring.table.rows.item(0, 2).text() == f"{mean:.0f} as stored"
    desk.dock.dialogs.target = tmp_path / "out.csv"
    desk.click(measuring.table.save)
    desk.until(lambda: desk.dock.message.text() == "Saved: out.csv")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8")))
    assert float(row["mean [as stored]"]) == pytest.approx(mean, rel=1e-5) and row["value unit"] == "as stored"
    written = datetime.fromisoformat(row["written"])
    assert written.utcoffset() is not None and abs(written.timestamp() - datetime.now().timestamp()) < 60
    assert ", ".join(head.split(" [")[0] for head in row) == COLUMNS
    show(desk, scan(unit="HU"))
    desk.move((x + 1, y))
    assert desk.dock.reading.annotations.readout.lines(pane)[0].endswith(" HU")
    assert "as stored" not in desk.said() and desk.dock.reading.brightness.block.title.text() == "Brightness"


def test_the_readout_lives_while_a_measure_is_drawn_and_moved(desk) -> None:
    show(desk, scan(unit="HU"))
    pane, (x, y) = desk.dock.views.panes[0], desk.centre()
    readout, kinds = desk.dock.reading.annotations.readout, QEvent.Type

    def drag_and_read(start: tuple[float, float]) -> None:
        desk.mouse(kinds.MouseMove, start, NOTHING, NOTHING)
        desk.mouse(kinds.MouseButtonPress, start, LEFT, LEFT)
        for step in (30, 60, 90):
            at = (start[0] + step, start[1] + step / 2)
            k, j, i = np.floor(desk.dock.views.grid.source_of(pane.frame().to_place(*at)) + 0.5).astype(int)
            wanted = [f"{desk.dock.session.scan.array[k, j, i]} HU", f"voxel {i}, {j}, {k}"]

            def said(at=at, wanted=wanted) -> bool:
                desk.mouse(kinds.MouseMove, at, NOTHING, LEFT)  # again: napari leaves moves out that come too quickly
                lines = readout.lines(pane)
                return [*lines[:1], *lines[-1:]] == wanted

            desk.until(said, 5)
        desk.mouse(kinds.MouseButtonRelease, at, LEFT, NOTHING)
        desk.idle(0.05)

    desk.key(Qt.Key.Key_M)
    drag_and_read((x - 60, y - 40))
    end = only(desk).points[1]
    drag_and_read((x + 30, y + 5))  # takes hold of the end that was just let go
    assert only(desk).points[1] != end


def test_words_of_measures_cover_no_words(desk) -> None:
    show(desk, scan(unit="HU"))
    x, y = desk.centre()
    width, height = desk.native.width(), desk.native.height()
    measuring = desk.dock.reading.measuring
    ends = [(x + 40, y), (x + 42, y + 4), (x + 38, y - 3), (30, height - 20), (width - 12, height - 30)]
    for number, end in enumerate(ends):
        desk.key(Qt.Key.Key_M if number != 1 else Qt.Key.Key_A)
        desk.drag((end[0] + (60 if end[0] < 50 else -60), end[1] - 45), end)
    desk.idle(0.2)
    assert len(board(desk).measures) == 5
    boxes = [box for (pane, _id), box in measuring.labels.items() if pane == "main"]
    assert len(boxes) == 5
    written = desk.dock.reading.annotations.taken["main"]
    assert len(written) > 5
    for a, b in itertools.combinations(boxes, 2):
        assert overlap(a, b) == 0, (a, b)
    for box in boxes:
        assert box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
        assert all(overlap(box, other) == 0 for other in written), box


def test_free_places_by_hand() -> None:
    size, wanted = (200.0, 100.0), [(50.0, 40.0, 90.0, 50.0), (0.0, 40.0, 40.0, 50.0)]
    assert free_place(wanted, [], size, 5) == wanted[0]
    assert free_place(wanted, [(60, 45, 61, 46)], size, 5) == wanted[1]  # the other side before another row
    assert free_place(wanted, [(0, 44, 200, 46)], size, 5) == (50, 50, 90, 60)  # one step is not enough
    assert free_place(wanted, [(0, 30, 200, 50)], size, 5) == (50, 50, 90, 60)
    assert free_place(wanted, [(0, 0, 200, 100)], size, 5)[2] <= 200  # nothing is free: still inside
    assert inside((-5, 95, 35, 105), *size) == (0, 90, 40, 100)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0 and overlap((0, 0, 10, 10), (8, 5, 20, 20)) == 10


@pytest.mark.parametrize(
    ("apart", "wanted", "said", "note"),
    [
        (10.0, 10.0, "MIP 10 mm = 1 slice, nothing combined", "10 mm is less than two slices of 10 mm: nothing "),
        (3.047, 10.0, "MIP 9.14 mm, 3 slices", "Here 3 slices of 3.05 mm make 9.14 mm."),
        (0.0, 3.0, "MIP 3 slices", "Here 3 slices."),
    ],
)  # fmt: skip
def test_a_slab_says_what_is_combined(desk, apart, wanted, said, note) -> None:
    made = scan(apart or 3.0)
    show(
        desk,
        made
        if apart
        else replace(made, geometry=replace(made.geometry, spacing_known=False, spacing_mm=(1.0, 1.0, 1.0))),
    )
    slab = desk.dock.reading.slab
    slab.row.mode.setCurrentIndex(slab.row.mode.findData("max"))
    slab.set("max", wanted)
    desk.idle(0.1)
    assert slab.slab_words(desk.dock.views.panes[0]) == said and said in desk.said()
    assert slab.row.note.text().startswith(note)


def test_a_measure_on_the_second_of_two_scans_is_refused_in_words(desk, tmp_path) -> None:
    for number, name in enumerate(("a", "b"), 1):
        tags = {"SeriesInstanceUID": uid(name), "SeriesNumber": number, "SeriesDescription": name}
        write_series(tmp_path / name, np.full((9, 30, 30), 100 * number, np.int16), (3.0, 1.0, 1.0), tags, sop_class=MR)
    dock = desk.dock
    open_both(desk, tmp_path)
    (side,), measuring, said = dock.reading.second_series.side.sides, dock.reading.measuring, []
    desk.key(Qt.Key.Key_M)
    said.append(dock.message.text())
    dock.say("")
    x, y = desk.centre(side.pane)
    middle = tuple(side.pane.viewer.scene.camera.center)
    desk.drag((x, y), (x + 40, y), pane=side.pane)
    said.append(dock.message.text())
    assert all("first scan" in words and "on the left" in words for words in said), said
    assert board(desk).measures == () and measuring.hand.tool == "length"
    assert tuple(side.pane.viewer.scene.camera.center) == middle
    x, y = desk.centre()
    desk.drag((x - 20, y), (x + 20, y))
    assert len(board(desk).measures) == 1
