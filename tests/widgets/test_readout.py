"""What a view says: value, place and class under the cursor, corners, scale bar, badges, and two patients."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import QEvent, QPoint
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QApplication

from dicom_files import write_series
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.core.who import Who
from napari_medcnn.io.layerdata import map_layer
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.views import badges
from napari_medcnn.widgets.views.banner import banner_words
from napari_medcnn.widgets.views.corners import Around, Corners, draw_corners, line
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.letters import Edges, draw_edges
from napari_medcnn.widgets.views.scale_bar import bar_width, draw_scale_bar, round_length
from napari_medcnn.widgets.views.sheet import Sheet

pytestmark = pytest.mark.gui
GRID = Geometry((12, 40, 30), (3.0, 0.8, 0.7), (-7.3, 11.2, 40.0))


def scan_of(array: np.ndarray | None = None, grid: Geometry = GRID, **more) -> Volume:
    values = np.random.default_rng(3).integers(-1000, 1000, grid.shape).astype(np.int16) if array is None else array
    return Volume(values, grid, **{"name": "CT 5", "modality": "CT", "value_unit": "HU", **more})


def show(desk, scan: Volume):
    desk.dock.session.show_opened(jobs.Opened(scan, jobs.scan_layers(scan)))
    desk.idle(0.1)
    return desk.dock.views.panes[0]


def point(desk, pane, lps) -> list[str]:
    """Move the mouse to a place and return what is said of it."""
    views = desk.dock.views
    world = views.grid.world_of(lps)
    views.go_to(tuple(float(v) for v in world))
    x, y = pane.frame().to_canvas(tuple(world))
    desk.move((round(x), round(y)), pane=pane)
    return desk.dock.reading.annotations.readout.lines(pane)


# ---- under the cursor --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["LPS", "RAI", "PSR"])
def test_value_place_and_voxel_are_those_of_simpleitk(desk, tmp_path: Path, code: str) -> None:
    rng = np.random.default_rng(7)
    image = sitk.GetImageFromArray(rng.integers(-500, 900, (14, 30, 26)).astype(np.int16))
    image.SetSpacing((0.9, 1.1, 2.5))
    image.SetOrigin((-20.5, 31.0, 12.25))
    image = sitk.DICOMOrient(image, code)
    sitk.WriteImage(image, str(tmp_path / "scan.mha"))
    desk.dock.open_path(tmp_path / "scan.mha")
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.2)
    for pane in desk.four()[:3]:
        for _ in range(4):
            index = tuple(int(rng.integers(2, n - 2)) for n in image.GetSize())
            said = point(desk, pane, image.TransformIndexToPhysicalPoint(index))
            assert said[0] == f"{image.GetPixel(index)} as stored", (pane.name, index, said)
            assert said[-1] == "voxel {}, {}, {}".format(*index)
            place = dict(part.split(" ")[:2] for part in said[1].split(" · "))
            for axis, letters in enumerate(("RL", "AP", "IS")):
                letter = next(c for c in letters if c in place)
                mm = float(place[letter]) * (1 if letter == letters[1] else -1)
                # a mouse stands on a pixel, and the scan is larger or smaller than the screen's
                assert abs(mm - image.TransformIndexToPhysicalPoint(index)[axis]) < 1.3
            assert desk.viewer.status == " · ".join(said)


def test_every_layer_that_is_seen_is_read(desk) -> None:
    scan = scan_of(np.full(GRID.shape, 45, np.int16))
    pane = show(desk, scan)
    layers = desk.dock.layers
    mask = np.zeros(GRID.shape, np.uint8)
    mask[:, 15:25, 10:20] = 2
    made = jobs.prepare_mask(LabelMap(mask, GRID, LabelSet.from_names(["kidney", "liver"])), scan)
    desk.dock.session.show_mask(made, "saved")
    layers.add_maps("doubt", [map_layer(np.full(GRID.shape, 0.25, np.float32), scan, "Doubt")], True)
    inside, outside = GRID.index_to_lps((6, 20, 15)), GRID.index_to_lps((6, 5, 5))
    assert point(desk, pane, inside)[:3] == ["Doubt: 0.25", "liver", "CT 5: 45 HU"]
    assert point(desk, pane, outside)[:2] == ["Doubt: 0.25", "CT 5: 45 HU"]
    desk.dock.header.names.click()
    assert point(desk, pane, inside)[:3] == ["Map: 0.25", "liver", "Scan: 45 HU"]
    layers.show_maps("doubt", False)
    assert point(desk, pane, inside)[:2] == ["45 HU", "liver"] or point(desk, pane, inside)[:2] == ["liver", "45 HU"]
    layers.mask.visible = False
    assert point(desk, pane, inside)[0] == "45 HU"
    x, y = pane.frame().to_canvas(tuple(desk.dock.views.grid.world_of(GRID.index_to_lps((6, -2, 5)))))
    desk.move((round(x), round(y)))
    assert desk.dock.reading.annotations.readout.lines(pane) == [] and desk.viewer.status == ""


def test_time_points_colours_and_numbers_that_are_none(desk) -> None:
    array = np.stack([np.full(GRID.shape, v, np.float32) for v in (1.5, 2.25, np.nan)])
    scan = Volume(array, GRID, "tzyx", "PET", "PT", "SUVbw", frame_values=(0.0, 60.0, 120.0), frame_unit="s",
                  frame_name="t")  # fmt: skip
    pane = show(desk, scan)
    middle = GRID.index_to_lps((6, 20, 15))
    for step, words in enumerate(("1.5 SUVbw", "2.25 SUVbw", "no value")):
        desk.viewer.dims.set_current_step(0, step)
        assert point(desk, pane, middle)[0] == words
        assert f"step {step + 1} of 3 · t = {60 * step} s" in desk.said()
    colours = np.zeros((1, 20, 30, 3), np.uint8)
    colours[0, 5, 8] = (10, 200, 30)
    pane = show(desk, Volume(colours, Geometry.picture(20, 30), "zyxc", "Photo", "picture"))
    assert point(desk, pane, (8, 5, 0)) == ["R 10 G 200 B 30", "pixel 8, 5"]


def test_the_mouse_leaves_and_the_slice_changes_under_it(desk) -> None:
    scan = scan_of()
    pane = show(desk, scan)
    readout = desk.dock.reading.annotations.readout
    said = point(desk, pane, GRID.index_to_lps((6, 20, 15)))
    desk.wheel(-1, at=(pane.native.width() / 2, pane.native.height() / 2))
    after = readout.lines(pane)
    assert after and after[-1] != said[-1] and after[-1].startswith("voxel 15, 20, ")
    QApplication.sendEvent(pane.native, QEvent(QEvent.Type.Leave))
    assert readout.lines(pane) == []


def test_a_move_of_the_mouse_costs_little(desk) -> None:
    big = Geometry((60, 256, 256), (1.0, 1.0, 1.0))
    pane = show(desk, scan_of(np.zeros(big.shape, np.int16), big))
    desk.empty_mask()
    readout = desk.dock.reading.annotations.readout
    place = desk.dock.views.place
    took = []
    for _ in range(100):
        start = time.perf_counter()
        readout.lines(pane) if readout.lines(pane) else readout.point(pane, place)
        readout.lines(pane)
        took.append(time.perf_counter() - start)
    assert np.median(took) < 0.004


# ---- corners -----------------------------------------------------------------------------------------------------


def frame_at(depth: float, axis: int = 0) -> Frame:
    rows, columns = (a for a in range(3) if a != axis)
    return Frame(400, 300, (rows, columns), axis, (0.0, 0.0), depth, 2.0)


def test_slice_position_by_hand() -> None:
    # voxel k of GRID lies at z = 40 + 3 k; the display runs downwards, so display slice 0 is k = 11 at 73 mm
    scan = scan_of()
    assert badges.slice_line(scan, frame_at(-73.0)).words[0] == "1 of 12 · S 73.0 mm · every 3 mm"
    last = ("12 of 12 · S 40.0 mm · every 3 mm", "12 of 12 · S 40.0 mm", "12 of 12")
    assert badges.slice_line(scan, frame_at(-40.0)).words == last
    assert badges.slice_line(scan, frame_at(11.2 + 0.8, 1)).words[1] == "2 of 40 · P 12.0 mm"
    assert badges.slice_line(scan, frame_at(-7.3, 2)).words[1] == "1 of 30 · R 7.3 mm"
    assert badges.slice_line(scan, frame_at(-90.0)).words == ("outside the scan",)
    unknown = scan_of(grid=replace(GRID, spacing_known=False, spacing_mm=(1.0, 1.0, 1.0)))
    assert badges.slice_line(unknown, frame_at(-51.0)).words == ("1 of 12",)
    nowhere = scan_of(grid=replace(GRID, orientation_known=False))
    assert badges.slice_line(nowhere, frame_at(40.0)).words[0] == "1 of 12 · every 3 mm"


def test_tilt_is_told_from_half_a_degree_on() -> None:
    def tilted(degrees: float) -> str:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return badges.tilt_words(scan_of(grid=replace(GRID, direction=np.array([[1, 0, 0], [0, c, -s], [0, s, c]]))))

    assert [tilted(angle) for angle in (0, 0.4, 0.7, 12, 40)] == [
        "",
        "",
        "tilted by 0.7°",
        "tilted by 12°",
        "tilted by 40°",
    ]


def test_window_and_preset_follow_what_is_shown(desk) -> None:
    show(desk, scan_of())
    desk.dock.viewing.use_preset(2)
    assert "W 1500 L -600" in desk.said() and "Lung" in desk.said()
    desk.dock.viewing.set_window(0, 50)
    assert "W 50 L 25" in desk.said() and "Lung" not in desk.said()
    desk.dock.viewing.invert()
    assert "inverted" in desk.said()


def test_patient_line_follows_hide_names_and_leaves_exports(desk, tmp_path: Path) -> None:
    write_series(tmp_path / "series", scan_of().array, GRID.spacing_mm)
    desk.dock.open_path(tmp_path / "series")
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.1)
    assert "Secret, Person" in desk.said() and "ID-12345 · born 1960-01-02" in desk.said()
    with desk.dock.views.without_names():
        assert "Secret" not in desk.said() and "1960" not in desk.said() and "READ" not in desk.said()
    with desk.dock.views.without_names(left_out=False):
        assert "Secret" in desk.said()
    desk.dock.header.names.click()
    assert "Secret" not in desk.said() and "1960" not in desk.said()


def painted(width: int, height: int, paint) -> np.ndarray:
    image = QImage(width, height, QImage.Format.Format_RGB888)
    image.fill(0)
    painter = QPainter(image)
    paint(Sheet(painter, width, height, 1.0, 96.0))
    painter.end()
    return image


def test_nothing_covers_anything_in_a_small_view(desk, monkeypatch) -> None:
    boxes = []

    def write(self, words, x, y, font, colour="") -> None:
        boxes.append((words, x, y - self.row * 0.8, x + self.width_of(words, font), y + self.row * 0.2))

    monkeypatch.setattr(Sheet, "write", write)
    corners = Corners(
        [line("CORRECT", strong=True, kept=True), line("left/right not stated in this file", strong=True, kept=True),
         line("spacing unknown: no measures in mm", strong=True, kept=True)],
        [line("Featherstonehaugh-Cholmondeley, Maximiliana Wilhelmina"), line("ID-123456789 · born 1960-01-02")],
        [line("134 of 512 · S 1234.5 mm · every 0.625 mm", "134 of 512 · S 1234.5 mm", "134 of 512"), line("Axial"),
         line("voxel 412, 305, 134"), line("L 123.4 · P 145.6 · S 1234.5 mm"), line("left kidney"), line("-1024 HU")],
        [line("W 12000 L 4000 SUVbw"), line("Mediastinum"), line("inverted")],
    )  # fmt: skip

    def paint(sheet: Sheet) -> None:
        letter = sheet.width_of("S", sheet.large)
        free = draw_corners(sheet, corners, Around(letter=letter, bar=bar_width(sheet, 1.7, "mm")))
        draw_scale_bar(sheet, 1.7, "mm", free)
        draw_edges(sheet, Edges("R", "L", "S", "I"))

    for size in ((330, 250), (250, 200), (500, 330), (1009, 690)):
        boxes.clear()
        painted(*size, paint)
        written = [words for words, *_ in boxes]
        assert {"R", "L", "S", "I", "CORRECT"} <= set(written)
        said = " ".join(written)
        assert "left/right" in said and "no measures" in said  # never cut, never left out
        for i, (a, *p) in enumerate(boxes):
            assert p[0] >= 0 and p[2] <= size[0] and p[1] >= -2 and p[3] <= size[1], (size, a)
            for b, *q in boxes[i + 1 :]:
                apart = p[2] <= q[0] or q[2] <= p[0] or p[3] <= q[1] + 1 or q[3] <= p[1] + 1
                assert apart, (size, a, b)


def test_a_3d_view_that_waits_for_its_volume_is_black(desk) -> None:
    """Its canvas keeps what it drew last: the patient before, under the letters of this one (seen)."""
    show(desk, scan_of())
    volume = desk.four()[3]
    desk.until(lambda: not desk.dock.tasks.names() and len(volume.viewer.layers) > 0)
    image = QImage(60, 60, QImage.Format.Format_RGB888)

    def middle() -> int:
        image.fill(0xFF0000)
        painter = QPainter(image)
        desk.dock.reading.annotations.cover(painter, None, volume)
        painter.end()
        return int(image.pixelColor(QPoint(30, 30)).red())

    assert middle() == 255
    volume.viewer.layers.clear()
    assert middle() == 0


# ---- scale bar, banner ---------------------------------------------------------------------------------------------


@given(st.floats(1e-4, 1e5))
def test_lengths_are_round_and_fit(longest: float) -> None:
    length = round_length(longest)
    assert length <= longest * (1 + 1e-9) and length > longest / 2.5 * (1 - 1e-9)
    digits = f"{length:e}".split("e")[0].rstrip("0").rstrip(".")
    assert digits in ("1", "2", "5")


def test_the_bar_is_as_long_as_it_says(desk) -> None:
    # 4 pixels per mm in 400 pixels: a quarter is 25 mm, so 20 mm in 80 pixels
    image = painted(400, 300, lambda sheet: draw_scale_bar(sheet, 4.0, "mm", 290.0))
    white = [x for x in range(400) if image.pixelColor(QPoint(x, 287)).lightness() > 200]
    assert 79 <= max(white) - min(white) <= 83


def test_two_patients_and_two_dates_are_named() -> None:
    jane = Who(("Doe^Jane", "1", "1960-01-02", "F"), "2024-01-31")
    later = replace(jane, date="2025-02-01")
    ann = Who(("Roe^Ann", "2", "1970-01-02", "F"), "2024-01-31")
    assert banner_words((jane,), True) == banner_words((jane, jane), True) == banner_words((), True) == ""
    assert banner_words((jane, ann), True) == "TWO PATIENTS: Doe, Jane 1 | Roe, Ann 2"
    hidden = banner_words((jane, ann, later), False)
    assert hidden == "TWO PATIENTS ON SCREEN"
    assert banner_words((jane, later), False) == "TWO DATES: 2024-01-31 | 2025-02-01"
    assert banner_words((jane, Who()), True) == ""


def test_the_banner_stands_over_every_view_and_in_the_dock(desk) -> None:
    pane = show(desk, scan_of())
    annotations = desk.dock.reading.annotations
    mine = desk.dock.session.who
    assert annotations.banner == "" and not mine.stated
    ann, bob = (Who((name, "", "", ""), "2024-01-31") for name in ("Roe^Ann", "Poe^Bob"))
    annotations.also_shown = lambda: (ann, bob)
    annotations.refresh()
    desk.idle(0.2)
    assert annotations.banner == "TWO PATIENTS: Roe, Ann | Poe, Bob"
    colour = pane.native.grab().toImage().pixelColor(QPoint(5, 5))
    assert (colour.red(), colour.green(), colour.blue()) == (0xA0, 0x2C, 0x00)
    assert desk.dock.header.warning.isVisible() and "Roe, Ann" in desk.dock.header.warning.text()
    desk.dock.header.names.click()
    desk.idle(0.1)
    assert "Ann" not in desk.dock.header.warning.text() and "TWO PATIENTS" in desk.dock.header.warning.text()
