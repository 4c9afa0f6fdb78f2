"""Measuring with a real mouse: in every plane, in every pane, on pictures; nothing is ever painted by it."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medcnn.core import paths
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.measures import Measure
from napari_medcnn.core.volume import Volume

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
#: Anisotropic, its axes permuted and flipped: array axes run to Left, Anterior, Superior.
TURNED = Geometry((50, 40, 30), (1.0, 2.0, 3.0), (5.0, 7.0, -11.0), np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0.0]]))
#: Two marks in the file's own order (z, y, x), on one slice of each plane in turn.
MARKS = {0: ((20, 10, 8), (20, 31, 23)), 1: ((12, 18, 6), (41, 18, 25)), 2: ((9, 5, 14), (37, 33, 14))}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    """Measures are kept in a folder of the test's own."""
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def show(desk, scan: Volume) -> None:
    """Open a scan that is made here, by the road of files that were read."""
    from napari_medcnn.io.layerdata import scan_layers
    from napari_medcnn.widgets.jobs import Opened

    desk.dock.session.show_opened(Opened(scan, scan_layers(scan)))
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.1)


def turned(frames: int = 1, unit: str = "HU") -> Volume:
    shape = TURNED.shape if frames == 1 else (frames, *TURNED.shape)
    values = np.random.default_rng(1).normal(50, 10, shape).astype(np.float32)
    return Volume(values, TURNED, "zyx" if frames == 1 else "tzyx", name="Crate", modality="CT", value_unit=unit)


def board(desk):
    return desk.dock.reading.measuring.board


def pixel(desk, index, pane=None) -> tuple[float, float]:
    """Return the pixel of a place of the file in a pane, which is brought there."""
    grid = board(desk).grid
    place = tuple(float(v) for v in grid.world_of_source(index))
    return desk.dock.views.pane(pane or "main").frame().to_canvas(place)


def go(desk, index) -> None:
    desk.dock.views.go_to(tuple(float(v) for v in board(desk).grid.world_of_source(index)))
    desk.idle(0.1)


def millimetres(a, b, spacing=TURNED.spacing_mm) -> float:
    return math.sqrt(sum(((q - p) * s) ** 2 for p, q, s in zip(a, b, spacing, strict=True)))


def only(desk) -> Measure:
    (measure,) = board(desk).measures
    return measure


def value(desk, measure: Measure | None = None) -> str:
    from napari_medcnn.widgets.measuring.rows import value_words

    return value_words(board(desk), measure or only(desk))


# ---- lengths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_length_in_each_plane_of_2x2_is_that_of_the_marks(desk, mirrored) -> None:
    show(desk, turned())
    desk.four()
    if mirrored:
        desk.dock.reading.annotations.neurological.box.setChecked(True)
        desk.idle(0.1)
    planes = {desk.dock.views.grid.how.order[p.axis]: p.name for p in desk.dock.views.panes[:3]}
    assert sorted(planes) == [0, 1, 2]
    for number, (axis, (start, end)) in enumerate(MARKS.items(), 1):
        pane = planes[axis]
        go(desk, start)
        if mirrored and desk.dock.views.pane(pane).frame().depth_axis != 2:
            assert desk.dock.views.pane(pane).frame().mirrored
        one_px = 1 / desk.dock.views.pane(pane).frame().zoom
        desk.key(Qt.Key.Key_M)
        desk.drag(pixel(desk, start, pane), pixel(desk, end, pane), pane=pane)
        assert len(board(desk).measures) == number
        drawn = board(desk).measures[-1]
        assert drawn.axis == axis and drawn.points[0][axis] == drawn.points[1][axis] == start[axis]
        off = np.abs((np.array(drawn.points) - (start, end)) * TURNED.spacing_mm).max()
        assert off <= one_px + 1e-6, (drawn.points, start, end, axis, pane)
        from napari_medcnn.core.measures import length

        assert length(drawn, board(desk).ruler) == pytest.approx(millimetres(start, end), abs=2 * one_px)
    assert desk.dock.reading.measuring.hand.tool == ""


def test_clicks_work_as_drags_and_the_value_is_live(desk) -> None:
    show(desk, turned())
    start, end = MARKS[2] if desk.dock.views.grid.how.order[0] == 2 else MARKS[desk.dock.views.grid.how.order[0]]
    go(desk, start)
    a, b = pixel(desk, start), pixel(desk, end)
    desk.key(Qt.Key.Key_M)
    desk.drag(a, a, steps=1)
    assert board(desk).measures == () and board(desk).pending is not None
    desk.move(b)
    live = value(desk, board(desk).pending)
    desk.drag(b, b, steps=1)
    assert value(desk) == live and float(live.split()[0]) == pytest.approx(millimetres(start, end), abs=2.0)


def test_the_armed_tool_takes_the_drag_from_moving_the_picture_and_gives_it_back(desk) -> None:
    desk.open("phantom")
    camera = desk.viewer.scene.camera
    before = tuple(camera.center)
    x, y = desk.centre()
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 60, y), (x + 60, y + 20))
    assert tuple(camera.center) == before and len(board(desk).measures) == 1
    desk.drag((x - 60, y + 100), (x + 60, y + 120))
    assert tuple(camera.center) != before and len(board(desk).measures) == 1


def test_right_drag_and_wheel_stay_themselves_while_a_tool_is_armed(desk) -> None:
    desk.open("phantom")
    layer, x, y = desk.dock.layers.scan, *desk.centre()
    window, step = tuple(layer.contrast_limits), tuple(desk.viewer.dims.current_step)
    desk.key(Qt.Key.Key_M)
    desk.drag((x, y), (x + 50, y + 30), button=Qt.MouseButton.RightButton)
    desk.wheel(-1)
    assert tuple(layer.contrast_limits) != window and tuple(desk.viewer.dims.current_step) != step
    assert board(desk).measures == () and desk.dock.reading.measuring.hand.tool == "length"


def test_escape_gives_up_the_line_then_the_tool(desk) -> None:
    desk.open("phantom")
    hand, (x, y) = desk.dock.reading.measuring.hand, desk.centre()
    desk.key(Qt.Key.Key_M)
    desk.drag((x, y), (x, y), steps=1)
    assert board(desk).pending is not None
    desk.key(Qt.Key.Key_Escape)
    assert board(desk).pending is None and hand.tool == "length"
    desk.key(Qt.Key.Key_Escape)
    assert hand.tool == "" and board(desk).measures == ()


def test_the_key_again_puts_the_tool_away_and_a_kept_tool_stays(desk) -> None:
    desk.open("phantom")
    measuring, (x, y) = desk.dock.reading.measuring, desk.centre()
    desk.key(Qt.Key.Key_M)
    assert measuring.panel.tools["length"].isChecked()
    desk.key(Qt.Key.Key_M)
    assert not measuring.panel.tools["length"].isChecked() and measuring.hand.tool == ""
    measuring.section.title.setChecked(True)
    measuring.panel.keep.setChecked(True)
    desk.idle(0.05)
    desk.click(measuring.panel.tools["length"])
    desk.drag((x, y), (x + 50, y))
    desk.drag((x, y + 40), (x + 50, y + 40))
    assert len(board(desk).measures) == 2 and measuring.hand.tool == "length"
    assert [m.name for m in board(desk).measures] == ["Length 1", "Length 2"]


def test_measuring_paints_nothing_and_belongs_to_read(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    x, y = desk.centre()
    desk.drag((x + 40, y), (x + 90, y))
    mask = desk.dock.layers.mask
    painted = int(np.count_nonzero(mask.data))
    assert painted > 10
    desk.key(Qt.Key.Key_A)
    desk.key(Qt.Key.Key_M)
    assert desk.dock.reading.measuring.hand.tool == ""  # in Correct these keys are no tools of ours
    desk.key(Qt.Key.Key_T)
    for layer in (mask, desk.dock.layers.scan):
        desk.viewer.layers.selection.active = layer
        desk.key(Qt.Key.Key_A)
        assert desk.dock.reading.measuring.hand.tool == "ellipse"
        desk.drag((x - 80, y - 60), (x + 80, y + 60))
        desk.key(Qt.Key.Key_M, SHIFT)
        desk.drag((x - 60, y), (x, y))
        desk.drag((x, y + 50), (x, y + 50), steps=1)
    assert [m.kind for m in board(desk).measures] == ["ellipse", "angle"] * 2
    assert int(np.count_nonzero(mask.data)) == painted and desk.dock.strokes.history.names == ("Brush",)
    desk.key(Qt.Key.Key_M)
    desk.key(Qt.Key.Key_T)
    assert desk.dock.mode == "Correct" and desk.dock.reading.measuring.hand.tool == ""


# ---- angles and regions ----------------------------------------------------------------------------------------------


def test_a_right_angle_by_a_drag_and_a_click(desk) -> None:
    show(desk, turned())
    x, y = desk.centre()
    desk.key(Qt.Key.Key_M, SHIFT)
    desk.drag((x - 80, y), (x, y))
    desk.move((x, y + 70))
    desk.drag((x, y + 70), (x, y + 70), steps=1)
    assert value(desk) == "90.0°"


def test_statistics_of_an_ellipse_are_those_of_the_voxels_in_it(desk) -> None:
    scan = turned()
    show(desk, scan)
    axis = desk.dock.views.grid.how.order[0]
    start, end = MARKS[axis]
    go(desk, start)
    desk.key(Qt.Key.Key_A)
    desk.drag(pixel(desk, start), pixel(desk, end))
    measure = only(desk)
    middle, half = np.mean(measure.points, axis=0), np.abs(np.subtract(*measure.points)) / 2
    plane = [a for a in range(3) if a != axis]
    grid = np.moveaxis(np.indices(scan.array.shape), 0, -1)
    away = ((grid - middle)[..., plane] / half[plane]) ** 2
    inside = (away.sum(axis=-1) <= 1) & (grid[..., axis] == start[axis])
    stats = board(desk).stats(measure)
    assert stats.voxels == np.count_nonzero(inside) > 100
    assert stats.channels[0].mean == pytest.approx(scan.array[inside].astype(float).mean())
    spacing = [TURNED.spacing_mm[a] for a in plane]
    assert stats.area == pytest.approx(np.count_nonzero(inside) * spacing[0] * spacing[1])


def test_a_point_and_a_whole_measure_can_be_dragged_elsewhere(desk) -> None:
    desk.open("phantom")
    x, y = desk.centre()
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 50, y), (x + 50, y))
    before, first = only(desk), value(desk)
    centre = tuple(desk.viewer.scene.camera.center)
    desk.drag((x + 50, y), (x + 100, y))
    longer = only(desk)
    assert longer.id == before.id and longer.points[0] == before.points[0]
    assert float(value(desk).split()[0]) == pytest.approx(1.5 * float(first.split()[0]), rel=0.03)
    desk.drag((x, y), (x, y + 60))
    moved = only(desk)
    shift = np.subtract(moved.points, longer.points)
    np.testing.assert_allclose(shift[0], shift[1], atol=1e-9)
    assert shift[0][1] > 1 and shift[0][0] == 0
    assert tuple(desk.viewer.scene.camera.center) == centre


def test_a_measure_is_seen_on_its_own_slice_and_time_only(desk) -> None:
    show(desk, turned(frames=3))
    from napari_medcnn.widgets.measuring.drawing import seen

    x, y = desk.centre()
    desk.dock.viewer.dims.set_current_step(0, 1)
    desk.idle(0.05)
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 50, y), (x + 50, y))
    measure, pane = only(desk), desk.dock.views.panes[0]
    assert measure.frame == 1

    def is_seen() -> bool:
        return seen(board(desk), measure, pane.frame(), desk.dock.frame) is not None

    assert is_seen()
    desk.key(Qt.Key.Key_Down)
    assert not is_seen()
    desk.key(Qt.Key.Key_Up)
    desk.key(Qt.Key.Key_Left)
    assert not is_seen() and desk.dock.frame == 0
    desk.dock.reading.measuring.go_to(measure.id)
    assert is_seen() and desk.dock.frame == 1


def test_a_line_is_drawn_where_the_marks_are(desk) -> None:
    """Pixels of the overlay: yellow along the line, nothing of it on the next slice."""
    desk.open("phantom")
    desk.dock.layers.scan.visible = False
    x, y = desk.centre()

    def yellow() -> int:
        desk.idle(0.1)
        image = desk.dock.views.panes[0].overlay.grab().toImage()
        hits = 0
        for px in range(int(x) - 40, int(x) + 40):
            colour = image.pixelColor(px, int(y))
            hits += colour.red() > 200 and colour.green() > 190 and colour.blue() < 120
        return hits

    assert yellow() == 0
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 60, y), (x + 60, y))
    assert yellow() > 70
    desk.key(Qt.Key.Key_Down)
    assert yellow() == 0


# ---- pictures and scale ----------------------------------------------------------------------------------------------


def test_a_picture_measures_pixels_until_a_line_of_known_length_is_drawn(desk, monkeypatch) -> None:
    desk.open("fundus")
    x, y = desk.centre()
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 100, y), (x + 100, y))
    zoom = desk.viewer.scene.camera.zoom
    assert value(desk).endswith(" px") and float(value(desk).split()[0]) == pytest.approx(200 / zoom, rel=0.01)
    table = desk.dock.reading.measuring.table
    assert "mm" not in " ".join(table.rows.item(0, c).text() for c in range(table.rows.columnCount()))
    asked = []
    monkeypatch.setattr(
        desk.dock.dialogs, "known_length", lambda drawn, has: asked.append(drawn) or 12.5, raising=False
    )
    desk.dock.reading.measuring.toggle_table()
    desk.idle()
    desk.click(table.scale)
    assert asked == [value_px(200 / zoom)] and value(desk) == "12.5 mm"
    assert "scale set by you" in table.rows.item(0, table.rows.columnCount() - 1).text()
    assert "scale set by you" in desk.dock.reading.measuring.panel.note.text()
    desk.key(Qt.Key.Key_A)
    desk.drag((x - 50, y + 50), (x + 50, y + 150))
    assert board(desk).stats(board(desk).measures[1]).unit == "mm"
    assert len(board(desk).stats(board(desk).measures[1]).channels) == 3


def value_px(length: float) -> str:
    return f"{length:.1f} px"


def test_a_stated_size_is_never_overruled(desk) -> None:
    desk.open("phantom")
    assert not desk.dock.reading.measuring.table.scale.isEnabled() and not board(desk).can_set_scale


# ---- table -----------------------------------------------------------------------------------------------------------


def three(desk) -> None:
    x, y = desk.centre()
    for key, modifiers in ((Qt.Key.Key_M, None), (Qt.Key.Key_A, None)):
        desk.key(key, modifiers or Qt.KeyboardModifier.NoModifier)
        desk.drag((x - 60, y - 40), (x + 60, y + 40))
        desk.key(Qt.Key.Key_Down)
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 20, y - 40), (x + 20, y + 40))


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


def test_copy_and_csv_say_units_and_no_name_while_names_are_hidden(desk, tmp_path, monkeypatch) -> None:
    desk.open("phantom")
    three(desk)
    measuring = desk.dock.reading.measuring
    measuring.toggle_table()
    desk.idle()
    desk.click(measuring.table.copy)
    lines = QApplication.clipboard().text().splitlines()
    assert len(lines) == 4 and lines[1].startswith("CT phantom\tLength 1\tlength\t")
    monkeypatch.setattr(desk.dock.dialogs, "save_table", lambda _name: tmp_path / "out.csv", raising=False)
    desk.dock.header.hide_names.setChecked(True) if hasattr(desk.dock.header, "hide_names") else None
    desk.click(measuring.table.save)
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
    assert rows.item(0, 4).text() == f"{values.mean():.4g} HU"
    ml = values.size * 3 * 0.8 * 0.8 / 1000
    assert rows.item(0, 1).text() in (f"{ml:.4g} ml", f"{ml * 1000:.4g} mm³")


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


def test_a_double_click_with_a_tool_armed_makes_no_view_large(desk) -> None:
    show(desk, turned())
    desk.four()
    desk.key(Qt.Key.Key_M)
    desk.double_click()
    assert desk.dock.views.layout == "four"
    assert QEvent.Type.MouseButtonDblClick
