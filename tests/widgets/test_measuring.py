"""Measuring with a real mouse: in every plane, in every pane, on pictures; nothing is ever painted by it."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from measuring_hands import MARKS, TURNED, board, go, millimetres, only, pixel, show, turned, value
from napari_medcnn.core.measures import length

pytestmark = pytest.mark.gui
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    """Measures are kept in a folder of the test's own."""
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


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


def test_a_double_click_with_a_tool_armed_makes_no_view_large(desk) -> None:
    show(desk, turned())
    desk.four()
    desk.key(Qt.Key.Key_M)
    desk.double_click()
    assert desk.dock.views.layout == "four"


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
    answers = type(desk.dock.dialogs)
    monkeypatch.setattr(answers, "known_length", lambda _self, drawn, _has: asked.append(drawn) or 12.5, raising=False)
    desk.dock.reading.measuring.toggle_table()
    desk.idle()
    desk.click(table.scale)
    assert asked == [value_px(200 / zoom)] and value(desk) == "12.5 mm"
    assert "scale set by you" in table.rows.item(0, table.rows.columnCount() - 1).text()
    assert desk.dock.reading.measuring.panel.note.text() == "Scale set by you."
    said = desk.dock.reading.annotations.words(desk.dock.views.panes[0])
    assert "scale set by you" in said and not any("spacing unknown" in words for words in said)
    desk.key(Qt.Key.Key_A)
    desk.drag((x - 50, y + 50), (x + 50, y + 150))
    assert board(desk).stats(board(desk).measures[1]).unit == "mm"
    assert len(board(desk).stats(board(desk).measures[1]).channels) == 3


def value_px(length: float) -> str:
    return f"{length:.1f} px"


def test_a_stated_size_is_never_overruled(desk) -> None:
    desk.open("phantom")
    assert not desk.dock.reading.measuring.table.scale.isEnabled() and not board(desk).can_set_scale


def test_nothing_is_measured_while_another_scan_is_seen_alone(desk, monkeypatch) -> None:
    desk.open("phantom")
    (x, y), measuring = desk.centre(), desk.dock.reading.measuring
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 50, y), (x + 50, y))
    before = only(desk)
    other = turned()
    monkeypatch.setattr(type(desk.dock.reading.second_series), "seen", property(lambda _self: other))
    desk.key(Qt.Key.Key_M)
    assert measuring.hand.tool == "" and "Another scan is seen" in desk.dock.message.text()
    desk.drag((x + 50, y), (x + 90, y))
    assert only(desk) == before


def test_large_regions_are_counted_in_a_task_and_suv_has_a_peak(desk, monkeypatch) -> None:
    from napari_medcnn.imaging.region_stats import region_stats
    from napari_medcnn.widgets.measuring import board as board_module
    from napari_medcnn.widgets.measuring.rows import picture_lines

    monkeypatch.setattr(board_module, "PEAK_AT_ONCE", 10)
    scan = turned(unit="SUVbw")
    show(desk, scan)
    x, y = desk.centre()
    desk.key(Qt.Key.Key_A)
    desk.drag((x - 30, y - 30), (x + 30, y + 30))
    desk.until(lambda: not desk.dock.tasks.names())
    wanted = region_stats(scan.array, only(desk), board(desk).ruler, "SUVbw")
    assert board(desk).stats(only(desk)) == wanted and wanted.peak is not None
    assert any(words.startswith("max ") and "peak" in words for words in picture_lines(board(desk), only(desk)))
    assert f"SUVpeak {wanted.peak:.3g}" in desk.dock.reading.measuring.table.rows.item(0, 9).text()
