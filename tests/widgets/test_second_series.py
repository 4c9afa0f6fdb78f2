"""Two series in a real window: fused and side by side by position, refused across patients, by real events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from dicom_files import MR, PET, uid, write_series
from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.imaging.align import RESAMPLED
from napari_medcnn.widgets.second_series.panel import ALONE, FUSED, SIDE
from reading_hands import open_both

pytestmark = pytest.mark.gui

#: LPS mm of the mark that every series holds.
MARK = np.array([12.0, -8.0, 30.0])


def turned(degrees: float) -> np.ndarray:
    """Return a turn about the patient's left-right axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def series(
    folder: Path,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    mark: tuple[float, float, float],
    direction: np.ndarray | None = None,
    **tags: Any,
) -> None:
    """Write a series of 100 whose voxel `mark` (z, y, x) is 1000 and lies at MARK, with its six neighbours."""
    direction = np.eye(3) if direction is None else direction
    voxels = np.full(shape, 100, np.int16)
    z, y, x = mark
    for axis in range(3):
        for step in (-1, 0, 1):
            at = [z, y, x]
            at[axis] += step
            voxels[tuple(at)] = 1000
    origin = MARK - direction @ (np.array(mark[::-1]) * np.array(spacing[::-1]))
    sop_class = tags.pop("sop_class", MR)
    write_series(folder, voxels, spacing, tags, origin=origin, direction=direction, sop_class=sop_class)


def patient(folder: Path, **other: Any) -> Path:
    """Write a first series, and a second one of other voxels, field of view and way round; `other` are its tags."""
    series(folder / "a", (12, 40, 44), (3.0, 1.0, 1.0), (6, 15, 25), SeriesInstanceUID=uid("one"), SeriesNumber=1,
           SeriesDescription="First")  # fmt: skip
    tags = {"SeriesInstanceUID": uid("two"), "SeriesNumber": 2, "SeriesDescription": "Second", **other}
    series(folder / "b", (9, 24, 20), (5.0, 2.0, 2.0), (4, 10, 9), tags.pop("direction", None), **tags)
    return folder


def pixel(widget: Any, at: tuple[float, float]) -> tuple[int, int, int]:
    """Return the colour on screen at a pixel of a canvas."""
    QApplication.processEvents()
    image = widget.grabFramebuffer() if hasattr(widget, "grabFramebuffer") else widget.grab().toImage()
    ratio = image.devicePixelRatio()
    colour = QColor(image.pixel(int(at[0] * ratio), int(at[1] * ratio)))
    return colour.red(), colour.green(), colour.blue()


def at_mark(desk: Any, pane: Any, grid: DisplayGrid, beside: tuple[float, float, float] = (0, 0, 0)) -> Any:
    """Return the colour at the mark, or `beside` it in LPS mm."""
    z, y, x = (float(v) for v in grid.world_of(MARK + np.array(beside)))
    return pixel(pane.native, pane.frame().to_canvas((z, y, x)))


def test_side_by_side_shows_the_same_place_in_other_voxels(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    assert feature.mode == SIDE and [side.number for side in feature.side.sides] == [1]
    views, side = desk.dock.views, feature.side.sides[0]
    assert side.linked and side.words.link_words() == "linked by position"
    grids = views.grid, DisplayGrid(side.second.scan.geometry)
    views.go_to(tuple(float(v) for v in grids[0].world_of(MARK)))
    desk.idle(0.1)
    frame = side.pane.frame()
    np.testing.assert_allclose(frame.depth, grids[1].world_of(MARK)[0], atol=1e-6)
    assert frame.zoom == pytest.approx(views.panes[0].frame().zoom)
    for pane, grid in zip((views.panes[0], side.pane), grids, strict=True):
        assert min(at_mark(desk, pane, grid)) > 200, pane.name
        assert max(at_mark(desk, pane, grid, (7, 7, 0))) < 60, pane.name
    wide = views.panes[0].native.width(), side.pane.native.width()
    assert abs(wide[0] - wide[1]) < 12

    # the wheel over the side: two slices of 5 mm up are 10 mm in the first, to its nearest slice
    viewer = side.pane.viewer
    before = views.place
    viewer.dims.set_current_step(0, viewer.dims.current_step[0] - 2)
    desk.idle(0.05)
    np.testing.assert_allclose(grids[0].lps_of(views.place) - grids[0].lps_of(before), (0, 0, 10), atol=1e-6)
    assert abs(views.panes[0].frame().depth - views.place[0]) <= 1.5  # half a slice of the first


def test_keys_move_both_and_the_camera_is_shared(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    side, views = feature.side.sides[0], desk.dock.views
    QTest.mouseClick(side.pane.native, Qt.MouseButton.LeftButton)
    desk.idle(0.05)
    assert desk.qt_window.focusWidget() is views.panes[0].native
    link = side.link
    for key, count in ((Qt.Key.Key_Home, 1), (Qt.Key.Key_Down, 3)):
        for _ in range(count):
            desk.key(key)
        expected = link.second.shown.lps_to_index(link.first.lps_of(views.place))[0]
        nearest = np.clip(np.rint(expected), 0, link.second.shown.shape[0] - 1)
        assert abs(side.pane.viewer.dims.current_step[0] - nearest) <= (0 if abs(expected % 1 - 0.5) > 0.01 else 1)
    camera, mine = views.panes[0].viewer.scene.camera, side.pane.viewer.scene.camera
    camera.zoom = 7.0
    camera.center = (0.0, 5.0, -3.0)
    assert mine.zoom == pytest.approx(7.0)
    first = views.panes[0].frame()
    here = link.first.lps_of(first.to_place(first.width / 2, first.height / 2))
    frame = side.pane.frame()
    there = link.second.lps_of(frame.to_place(frame.width / 2, frame.height / 2))
    np.testing.assert_allclose(here[:2], there[:2], atol=1e-6)
    mine.zoom = 5.0
    assert camera.zoom == pytest.approx(5.0)


def test_right_drag_in_a_side_is_its_own_window(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    side, scan = feature.side.sides[0], desk.dock.layers.scan
    before, second = tuple(scan.contrast_limits), side.second.layers[0]
    assert feature.target(side.pane.viewer) is second and feature.target() is scan
    limits = tuple(second.contrast_limits)
    right, kinds = Qt.MouseButton.RightButton, QEvent.Type
    desk.move((100, 100), pane=side.pane)
    desk.mouse(kinds.MouseButtonPress, (100, 100), right, right, pane=side.pane)
    for step in range(1, 7):
        desk.idle(0.02)  # what follows faster is dropped before napari hears of it
        desk.mouse(kinds.MouseMove, (100 + 10 * step, 100 + 5 * step), Qt.MouseButton.NoButton, right, pane=side.pane)
    desk.mouse(kinds.MouseButtonRelease, (160, 130), right, Qt.MouseButton.NoButton, pane=side.pane)
    assert tuple(second.contrast_limits) != limits and tuple(scan.contrast_limits) == before
    assert tuple(side.pane.viewer.layers[0].contrast_limits) == tuple(second.contrast_limits)


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_fused_marks_fall_together_and_the_slider_mixes(desk, tmp_path: Path, degrees: float) -> None:
    feature = open_both(desk, patient(tmp_path, direction=turned(degrees)))
    dock, panel = desk.dock, feature.panel
    feature.side.end()
    before = dock.layers.scan.opacity, dock.layers.scan.blending
    panel.modes[FUSED].click()
    desk.until(lambda: feature.mode == FUSED and not dock.tasks.names())
    grid, pane = dock.views.grid, dock.views.panes[0]
    first, second = feature.fusion.layers
    assert first is dock.layers.scan and second.colormap.name == "inferno"
    assert (RESAMPLED in panel.words.text()) == (degrees > 0)
    assert (second is dock.session.seconds[0].layers[0]) == (degrees == 0)
    dock.views.go_to(tuple(float(v) for v in grid.world_of(MARK)))
    for layer in (first, second):
        layer.contrast_limits = (0, 1000)
    feature.paint("gray")
    first.interpolation2d = second.interpolation2d = "nearest"
    desk.idle(0.1)
    seen = {}
    for share in (0, 50, 100):
        panel.slider.setValue(share)
        desk.idle(0.1)
        seen[share] = at_mark(desk, pane, grid)[0], at_mark(desk, pane, grid, (-8, 8, 0))[0]
    assert (first.opacity, second.opacity) == (0.0, 1.0)
    bright = seen[100][0] if degrees else 255  # resampled: a peak between voxels is lower
    assert bright > 120
    assert seen[0] == pytest.approx((255, 26), abs=3)
    assert seen[100] == pytest.approx((bright, 26), abs=3)
    assert seen[50] == pytest.approx(((255 + bright) / 2, 26), abs=4)

    # as it was, when looked at one at a time
    panel.modes[ALONE].click()
    desk.idle(0.05)
    assert (first.opacity, first.blending) == before
    feature._choose(0)
    assert [x.visible for x in (first, second)] == [True, False]


def test_fused_in_all_views(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    desk.dock.views.show_four()
    desk.idle(0.2)
    assert feature.mode == ALONE and feature.side.sides == ()  # 2x2 takes the place of side by side
    feature.panel.modes[FUSED].click()
    feature.mix(0.25)
    desk.idle(0.1)
    for pane in desk.dock.views.panes[1:3]:
        copies = [layer for layer in pane.viewer.layers if layer.visible]
        assert [(c.opacity, str(c.blending), c.colormap.name) for c in copies] == [
            (0.75, "additive", "gray"), (0.25, "additive", "inferno"),
        ], pane.name  # fmt: skip


def test_one_at_a_time_shows_nothing_of_the_other(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    feature.panel.modes[ALONE].click()
    scan, second = desk.dock.layers.scan, feature.second.layers[0]
    assert (scan.visible, second.visible) == (False, True)
    assert feature.seen is feature.second.scan
    feature.panel.shown.setCurrentIndex(0)
    assert (scan.visible, second.visible) == (True, False) and feature.seen is desk.dock.session.scan


def test_two_patients_are_named_and_never_fused_or_linked(desk, tmp_path: Path) -> None:
    other = {"PatientName": "Other^Body", "PatientID": "ID-9", "StudyInstanceUID": uid("other study")}
    feature = open_both(desk, patient(tmp_path, **other))
    dock, side = desk.dock, feature.side.sides[0]
    assert not side.linked and not feature.panel.link.isEnabled() and not feature.panel.here.isEnabled()
    assert "Two patients (names and patient numbers differ)" in feature.panel.words.text()
    banner = dock.reading.annotations.banner
    assert banner.startswith("TWO PATIENTS") and "Secret, Person" in banner and "Other, Body" in banner
    feature.link_from_here()
    feature._link(True)
    assert not side.linked
    place = dock.views.place
    side.pane.viewer.dims.set_current_step(0, 1)
    assert dock.views.place == place
    feature.panel.modes[FUSED].click()
    assert feature.mode == SIDE and feature.fusion.layers == ()
    assert "never fused" in dock.message.text() and "Other" not in dock.message.text()
    desk.click(dock.header.names)
    desk.idle(0.05)
    assert dock.reading.annotations.banner == "TWO PATIENTS ON SCREEN"
    dock.views.show_one()
    feature._choose(0)
    assert dock.reading.annotations.banner == ""


def test_two_dates_are_named_and_linked_from_where_the_user_says(desk, tmp_path: Path) -> None:
    later = {"StudyDate": "20240615", "StudyInstanceUID": uid("later"), "FrameOfReferenceUID": uid("other frame")}
    feature = open_both(desk, patient(tmp_path, **later))
    dock, side = desk.dock, feature.side.sides[0]
    assert dock.reading.annotations.banner == "TWO DATES: 2024-01-31 | 2024-06-15"
    assert not side.linked and "do not share a coordinate system" in feature.panel.words.text()
    # the first shows its slice 4, the side its slice 6: from now on these belong together
    dock.viewer.dims.set_current_step(0, 4)
    side.pane.viewer.dims.set_current_step(0, 6)
    desk.click(feature.panel.here)
    assert side.linked and side.words.link_words() == "linked from where you set it"
    dock.viewer.dims.set_current_step(0, 9)  # 15 mm further down are three slices of 5 mm
    desk.idle(0.05)
    assert side.pane.viewer.dims.current_step[0] == 8  # the last there is
    dock.viewer.dims.set_current_step(0, 0)  # 12 mm up: 2.4 slices
    assert side.pane.viewer.dims.current_step[0] == 4

    feature.panel.modes[FUSED].click()
    assert feature.mode == SIDE and feature.panel.agree.isVisibleTo(feature.panel)
    feature.panel.agree.click()
    assert feature.mode == FUSED and "alignment is not assured" in feature.panel.words.text()


def test_closing_one_and_opening_another_scan(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    feature.panel.remove.click()
    desk.idle(0.1)
    assert feature.side.sides == () and desk.dock.session.seconds == [] and len(desk.viewer.layers) == 1
    assert feature.panel.hint.isVisibleTo(feature.panel) and not feature.panel.shown.isVisibleTo(feature.panel)
    desk.open("fundus")
    assert feature.mode == ALONE and feature.number == 0


def test_pictures_stand_side_by_side_and_are_not_fused(desk, tmp_path: Path) -> None:
    desk.open("fundus")
    from PIL import Image as Picture

    rng = np.random.default_rng(0)
    Picture.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(tmp_path / "other.png")
    desk.dock.session.opening.beside([tmp_path / "other.png"])
    desk.until(lambda: desk.dock.session.seconds and not desk.dock.tasks.names())
    feature = desk.dock.reading.second_series
    feature.panel.modes[FUSED].click()
    assert feature.mode == ALONE and "picture" in desk.dock.message.text()
    feature.panel.modes[SIDE].click()
    desk.idle(0.1)
    side = feature.side.sides[0]
    assert not side.linked
    desk.click(feature.panel.here)
    ratio = side.pane.viewer.scene.camera.zoom / desk.dock.views.panes[0].viewer.scene.camera.zoom
    desk.dock.views.panes[0].viewer.scene.camera.zoom *= 2
    now = side.pane.viewer.scene.camera.zoom / desk.dock.views.panes[0].viewer.scene.camera.zoom
    assert side.linked and now == pytest.approx(ratio)


def test_a_mask_of_another_patient_is_not_laid_over(desk, tmp_path: Path) -> None:
    from napari_medcnn.core.volume import LabelMap
    from napari_medcnn.core.who import Who
    from napari_medcnn.errors import InputError
    from napari_medcnn.widgets import jobs

    open_both(desk, patient(tmp_path))
    scan, who = desk.dock.session.scan, desk.dock.session.who
    mask = LabelMap(np.zeros(scan.geometry.shape, np.uint8), scan.geometry)
    other = Who(("Other^Body", "ID-9", "", ""))
    with pytest.raises(InputError, match=r"another patient than the open scan .names and patient numbers differ"):
        jobs._over(mask, jobs.Over(scan, True, who), other)
    assert jobs._over(mask, jobs.Over(scan, False, who), Who()) is not None


def test_pet_over_ct_has_a_window_of_its_own(desk, tmp_path: Path) -> None:
    tags = {"Units": "CNTS", "CorrectedImage": [], "DecayCorrection": "NONE"}
    feature = open_both(desk, patient(tmp_path, sop_class=PET, **tags))
    feature.panel.modes[FUSED].click()
    windowing = desk.dock.viewing.windowing
    assert feature.target() is feature.fusion.layers[1]
    first = tuple(feature.fusion.layers[0].contrast_limits)
    windowing.set_window(0, 500)
    assert tuple(feature.fusion.layers[1].contrast_limits) == (0, 500)
    assert tuple(feature.fusion.layers[0].contrast_limits) == first
    windowing.choose(feature.fusion.layers[0])
    windowing.set_window(10, 90)
    assert tuple(feature.fusion.layers[0].contrast_limits) == (10, 90)


@pytest.mark.parametrize("lies", [((60, 12, 10), (0.7, 2.0, 2.0)), ((62, 12, 10), (3.0, 2.0, 2.0))])
def test_down_is_one_slice_of_the_first_whatever_lies_beside(desk, tmp_path: Path, lies: Any) -> None:
    """Napari's own steps would be as fine as those of any layer, hidden ones too."""
    folder = patient(tmp_path)
    fine = {"SeriesInstanceUID": uid("two"), "SeriesNumber": 2}
    for old in (folder / "b").iterdir():
        old.unlink()
    series(folder / "b", *lies, (30, 5, 5), **fine)
    feature = open_both(desk, folder)
    views = desk.dock.views
    for mode in (SIDE, FUSED):
        feature.panel.modes[mode].click()
        views.go_to(tuple(float(v) for v in views.grid.world_of_index((4, 0, 0))))
        for expected in (5, 6, 7):
            desk.key(Qt.Key.Key_Down)
            point = np.array([*desk.viewer.dims.point])
            assert views.grid.index_of(point)[0] == pytest.approx(expected, abs=1e-6)
        desk.wheel(1)
        assert views.grid.index_of(np.array([*desk.viewer.dims.point]))[0] == pytest.approx(6, abs=1e-6)


def test_the_mouse_is_marked_at_the_same_place_in_the_other_view_with_its_value(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    side, views = feature.side.sides[0], desk.dock.views
    views.go_to(tuple(float(v) for v in views.grid.world_of(MARK)))
    desk.idle(0.1)
    pane = views.panes[0]
    desk.move(pane.frame().to_canvas(tuple(views.grid.world_of(MARK))))
    desk.until(lambda: side.cursor is not None, 5)
    # a pixel of the first canvas is a fraction of a mm
    np.testing.assert_allclose(side.link.second.lps_of(side.cursor)[:2], MARK[:2], atol=0.3)
    said = [words for line in side.words.corners(side.pane.frame()).bottom_left for words in line.words]
    assert "1000 as stored" in said and "voxel 9, 10, 4" in said
    desk.move(side.pane.frame().to_canvas(tuple(side.link.second.world_of(MARK))), pane=side.pane)
    desk.until(lambda: feature.side._cursor is not None, 5)
    np.testing.assert_allclose(views.grid.lps_of(feature.side._cursor)[:2], MARK[:2], atol=0.3)


def test_who_is_seen_alone_is_who_is_named(desk, tmp_path: Path) -> None:
    other = {"PatientName": "Other^Body", "PatientID": "ID-9", "StudyInstanceUID": uid("other study")}
    feature = open_both(desk, patient(tmp_path, **other))
    dock = desk.dock
    assert "Secret" in dock.browsing.person().name
    feature.panel.modes[ALONE].click()
    assert feature.alone is dock.session.seconds[0] and "Other" in dock.browsing.person().name
    assert dock.reading.annotations.scan is dock.session.seconds[0].scan
    feature._choose(0)
    assert "Secret" in dock.browsing.person().name and dock.reading.annotations.scan is dock.session.scan


def test_numbers_of_the_scan_tab_reach_both_sides(desk, tmp_path: Path) -> None:
    feature = open_both(desk, patient(tmp_path))
    windowing, second = desk.dock.viewing.windowing, feature.side.sides[0].second.layers[0]
    assert windowing.layer is desk.dock.layers.scan
    windowing.choose(second)
    windowing.set_window(40, 80)
    assert tuple(second.contrast_limits) == (40, 80)
    assert tuple(feature.side.sides[0].pane.viewer.layers[0].contrast_limits) == (40, 80)
