"""Surfaces in a real window: which classes get one, how many triangles, turning, and files in mm."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.layerdata import scan_layers
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.volume_view import graphics
from napari_medcnn.widgets.volume_view.volume_view import NOT_MIRRORED

pytestmark = [pytest.mark.gui, pytest.mark.own_window]

#: Sagittal slices from left to right, turned by 20 degrees about the body's long axis; three different spacings.
C, S = math.cos(math.radians(20)), math.sin(math.radians(20))
GRID = Geometry((30, 70, 60), (2.5, 0.8, 1.0), (31.0, -24.0, 40.0), np.array([[S, 0, -C], [-C, 0, -S], [0, -1, 0]]))
RADIUS, BALL_AT, BOX = 14.0, (14.0, 38.0, 22.0), (slice(4, 14), slice(8, 28), slice(40, 54))
NAMES = LabelSet.from_names(["ball", "box", "absent"])


def mask() -> LabelMap:
    index = np.moveaxis(np.indices(GRID.shape), 0, -1)
    off = (index - BALL_AT) * GRID.spacing_mm
    array = np.where((off**2).sum(axis=-1) <= RADIUS**2, 1, 0).astype(np.uint8)
    array[BOX] = 2
    return LabelMap(array, GRID, NAMES)


def show(desk: Any) -> Any:
    scan = Volume(np.zeros(GRID.shape, np.int16), GRID, name="Doe, Jane", modality="MR")
    desk.dock.session.show_opened(jobs.Opened(scan, scan_layers(scan)))
    desk.dock.session.show_mask(jobs.prepare_mask(mask(), scan), "saved")
    desk.four()
    feature = desk.dock.reading.volume_view
    desk.until(lambda: feature.scene.image is not None and not desk.dock.tasks.names())
    feature.panel.parentWidget().title.setChecked(True)
    desk.idle(0.2)
    return feature


def make(desk: Any, feature: Any) -> None:
    desk.click(feature.panel.surfaces)
    desk.until(lambda: feature.surfaces and not desk.dock.tasks.names())
    desk.idle(0.1)


def tick(feature: Any, row: int) -> None:
    """Press space on a row of the list of classes."""
    feature.panel.classes.setCurrentRow(row)
    feature.panel.classes.setFocus()
    QTest.keyClick(feature.panel.classes, Qt.Key.Key_Space)


def drawn(feature: Any) -> int:
    """Return how many triangles stand in the 3D view."""
    return 0 if feature.scene.surface is None else len(feature.scene.surface.data[1])


def test_ticked_classes_get_a_surface_and_others_do_not(desk) -> None:
    feature = show(desk)
    listed = feature.panel.classes
    assert listed.isVisible() and [listed.item(row).text() for row in range(listed.count())] == ["ball", "box"]
    assert all(listed.item(row).checkState() == Qt.CheckState.Checked for row in range(2))
    colour = listed.item(1).icon().pixmap(12, 12).toImage().pixelColor(6, 6)
    assert (colour.red(), colour.green(), colour.blue()) == tuple(NAMES.by_id(2).colour)
    tick(feature, 0)
    make(desk, feature)
    assert set(feature.surfaces) == {2} and drawn(feature) == len(feature.surfaces[2].faces)
    tick(feature, 0)  # what is missing is made
    desk.until(lambda: set(feature.surfaces) == {1, 2} and not desk.dock.tasks.names())
    both = drawn(feature)
    tick(feature, 1)  # what is made is hidden at once
    assert drawn(feature) == len(feature.surfaces[1].faces) < both
    assert feature.panel.state.text().startswith(f"2 surfaces, {both} triangles")
    desk.dock.session.close_mask(keep=False)
    desk.idle(0.1)
    assert not listed.isVisible() and drawn(feature) == 0


def test_many_triangles_are_fewer_on_screen_and_that_is_said(desk, monkeypatch) -> None:
    feature = show(desk)
    make(desk, feature)
    fine = drawn(feature)
    small = len(feature.surfaces[2].faces)
    most = small + 2000
    assert fine > 1.5 * most
    monkeypatch.setattr(graphics, "_TRIANGLES_SOFTWARE", most)
    monkeypatch.setattr(graphics, "_TRIANGLES", most)
    make(desk, feature)
    assert drawn(feature) < 1.3 * most
    coarser = max(surface.coarser for surface in feature.surfaces.values())
    assert coarser > 1 and f"Surfaces {coarser}x coarser than the mask" in feature._notices()
    assert f"{coarser}x coarser than the mask" in feature.panel.state.text()
    for surface, volume in (
        (feature.surfaces[1], 4 / 3 * math.pi * RADIUS**3),
        (feature.surfaces[2], 10 * 20 * 14 * 2.0),
    ):
        assert surface.volume == pytest.approx(volume, rel=0.15)


def test_the_scan_makes_room_while_surfaces_are_turned_without_a_graphics_card(desk) -> None:
    feature = show(desk)
    make(desk, feature)
    assert feature._software == graphics.graphics_of(desk.on("volume")).software
    feature._software = True
    x, y = desk.centre("volume")
    image, seen = feature.scene.image, []
    image.events.visible.connect(lambda _event: seen.append(image.visible))
    desk.drag((x, y), (x + 60, y + 20), pane="volume")
    assert seen[:1] == [False] and feature.scene.surface.visible
    desk.until(lambda: image.visible, 3)
    feature.panel.shown.click()  # without surfaces there would be nothing to see
    seen.clear()
    desk.drag((x, y), (x - 60, y - 20), pane="volume")
    assert seen == [] and image.visible


def test_3d_says_that_it_is_not_mirrored_in_neurological_display(desk) -> None:
    feature = show(desk)
    assert not set(NOT_MIRRORED) & set(feature._notices())
    before = tuple(feature._pane.viewer.scene.camera.orientation)
    desk.dock.reading.annotations.neurological.box.setChecked(True)
    assert feature._notices()[-2:] == list(NOT_MIRRORED)
    assert tuple(feature._pane.viewer.scene.camera.orientation) == before
    assert desk.dock.views.panes[0].frame() is not None


def corners_of(path: Path) -> np.ndarray:
    """Return the corners (m, 3, 3) of a binary STL."""
    rows = np.fromfile(path, np.dtype([("f", "<f4", (4, 3)), ("n", "<u2")]), offset=84)
    return rows["f"][:, 1:].astype(float)


def test_saved_surfaces_lie_in_the_patient_in_mm(desk, tmp_path: Path) -> None:
    feature = show(desk)
    desk.dock.tabs.setCurrentIndex(0)
    desk.dock.dialogs.target = tmp_path / "out.stl"
    desk.click(feature.panel.save)
    desk.until(lambda: not desk.dock.tasks.names())
    assert sorted(p.name for p in tmp_path.glob("*.stl")) == ["out-1.stl", "out-2.stl"]
    ball, box = corners_of(tmp_path / "out-1.stl"), corners_of(tmp_path / "out-2.stl")
    volumes = [np.linalg.det(each).sum() / 6 for each in (ball, box)]
    assert volumes[0] == pytest.approx(4 / 3 * math.pi * RADIUS**3, rel=0.03)  # positive: faces look outward
    assert volumes[1] == pytest.approx(10 * 2.5 * 20 * 0.8 * 14 * 1.0, rel=0.05)
    crosses = np.cross(ball[:, 1] - ball[:, 0], ball[:, 2] - ball[:, 0])
    assert np.linalg.norm(crosses, axis=1).sum() / 2 == pytest.approx(4 * math.pi * RADIUS**2, rel=0.04)
    # the ball's middle and the corners of the box, by the file's own geometry: origin + direction @ (x, y, z) in mm
    middle = np.array(GRID.origin_lps) + GRID.direction @ (np.array(BALL_AT[::-1]) * np.array(GRID.spacing_mm[::-1]))
    np.testing.assert_allclose(
        (ball.reshape(-1, 3).min(axis=0) + ball.reshape(-1, 3).max(axis=0)) / 2, middle, atol=0.8
    )
    np.testing.assert_allclose(np.linalg.norm(ball.reshape(-1, 3) - middle, axis=1), RADIUS, atol=1.6)
    for ends in itertools.product(*[(part.start - 0.5, part.stop - 0.5) for part in BOX]):
        corner = np.array(GRID.origin_lps) + GRID.direction @ (np.array(ends[::-1]) * np.array(GRID.spacing_mm[::-1]))
        assert np.linalg.norm(box.reshape(-1, 3) - corner, axis=1).min() < 2.5
    raw = (tmp_path / "out-1.stl").read_bytes()
    assert b"Doe" not in raw and b"ball" not in raw
    tick(feature, 0)
    desk.dock.dialogs.target = tmp_path / "out.ply"
    desk.click(feature.panel.save)
    desk.until(lambda: not desk.dock.tasks.names())
    assert (tmp_path / "out.ply").exists() and "mm (LPS)" in desk.dock.message.text()


def test_no_surface_in_mm_without_a_stated_spacing(desk) -> None:
    from dataclasses import replace

    unknown = replace(GRID, spacing_known=False, spacing_mm=(1.0, 1.0, 1.0))
    scan = Volume(np.zeros(GRID.shape, np.int16), unknown, name="x")
    desk.dock.session.show_opened(jobs.Opened(scan, scan_layers(scan)))
    desk.dock.session.show_mask(jobs.prepare_mask(LabelMap(mask().array, unknown, NAMES), scan), "saved")
    desk.dock.reading.volume_view.panel.save_asked.emit()
    assert "states no spacing" in desk.dock.message.text()
