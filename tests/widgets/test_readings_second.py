"""A saved reading brings back fusion, side by side, 3D, the side of the display and the speed of the film."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.reading_state import folder, list_readings
from napari_medcnn.io.save import save_volume

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def settled(desk) -> None:
    desk.idle(0.2)
    desk.until(lambda: not desk.dock.tasks.names(), 60)
    desk.idle(0.3)


@pytest.fixture
def two(desk, tmp_path: Path):
    """Two scans of one space, the second turned by 20 degrees and finer, both open."""
    voxels = np.random.default_rng(5).integers(0, 500, (12, 30, 40)).astype(np.int16)
    turn = np.radians(20)
    direction = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    grids = Geometry((12, 30, 40), (3.0, 0.8, 0.7)), Geometry((12, 30, 40), (2.0, 0.6, 0.6), direction=direction)
    for name, grid in zip(("first", "second"), grids, strict=True):
        save_volume(Volume(voxels, grid), tmp_path / f"{name}.nii.gz")
    desk.dock.open_path(tmp_path / "first.nii.gz")
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.dock.session.opening.beside([tmp_path / "second.nii.gz"])
    desk.until(lambda: desk.dock.session.beside)
    settled(desk)
    return desk


def again(desk) -> None:
    """Save the reading, change everything, and go on with it."""
    dock = desk.dock
    dock.reading.readings.save()
    desk.until(lambda: "Reading saved" in dock.message.text())
    settled(desk)
    dock.session.close_scan()
    dock.reading.annotations.neurological.box.setChecked(False)
    dock.reading.cine.restore({"per_second": 10.0})
    desk.idle(0.2)
    dock.reading.readings.go_on(list_readings()[0])
    desk.until(lambda: dock.session.beside, 60)
    settled(desk)
    settled(desk)


def test_fusion_3d_neurological_and_the_speed_come_back(two) -> None:
    desk, dock = two, two.dock
    series = dock.reading.second_series
    desk.four()
    settled(desk)
    series.number = 1
    series.show_mode("fused")  # the second is turned onto the axes of the first, in a task
    desk.until(lambda: series.mode == "fused", 60)
    series.mix(0.3)
    series.paint("hot")
    series.target().contrast_limits = (40.0, 333.0)
    dock.viewing.windowing.set_window(100.0, 300.0, dock.layers.scan)
    dock.reading.annotations.neurological.box.click()
    dock.reading.cine.row.speed.typed.emit(3.5)
    panel = dock.reading.volume_view.panel
    panel.rendering.setCurrentIndex(1)
    camera = dock.views.pane("volume").viewer.scene.camera
    camera.angles, camera.zoom = (10.0, 20.0, 30.0), camera.zoom * 2
    desk.idle(0.3)
    angles, zoom = tuple(camera.angles), camera.zoom
    again(desk)
    assert (series.mode, series.number, series.fusion.share, series.fusion.colour) == ("fused", 1, 0.3, "hot")
    first, second = series.fusion.layers
    assert (first.opacity, second.opacity) == (0.7, 0.3) and second.colormap.name == "hot"
    assert tuple(second.contrast_limits) == (40.0, 333.0)
    assert tuple(dock.layers.scan.contrast_limits) == (100.0, 300.0)
    assert dock.reading.annotations.neurological.box.isChecked()
    assert dock.reading.cine.per_second == 3.5 and dock.reading.cine.row.speed.text() == "3.5"
    assert dock.reading.volume_view.scene.image.rendering == "attenuated_mip"
    camera = dock.views.pane("volume").viewer.scene.camera
    assert tuple(camera.angles) == pytest.approx(angles, abs=1e-3) and camera.zoom == pytest.approx(zoom, rel=1e-3)
    assert "could not be brought back" not in dock.message.text()


def test_side_by_side_and_its_link_come_back_and_an_old_file_still_opens(two) -> None:
    desk, dock = two, two.dock
    series = dock.reading.second_series
    series.show_newest()
    desk.idle(0.3)
    (side,) = series.side.sides
    series._link(False)
    dims = side.pane.viewer.dims
    dims.set_current_step(0, 2)
    series.link_from_here()
    main = dock.views.pane("main")
    main.look = type(main.look)((10.0, 12.0), 1.8)
    desk.idle(0.3)
    kept = (side.linked, tuple(side.link.shift), tuple(dims.point), main.look, side.pane.look)
    assert any(side.link.shift)
    again(desk)
    (side,) = series.side.sides
    assert series.mode == "side" and side.linked is kept[0]
    assert tuple(side.link.shift) == pytest.approx(kept[1], abs=1e-6)
    assert tuple(side.pane.viewer.dims.point) == pytest.approx(kept[2], abs=1e-6)
    for look, before in ((main.look, kept[3]), (side.pane.look, kept[4])):
        assert (*look.centre, look.zoom) == pytest.approx((*before.centre, before.zoom), rel=2e-2)
    assert "could not be brought back" not in dock.message.text()
    # a file of the version before, which knew nothing of this
    (file,) = folder().glob("*.reading.json")
    data = json.loads(file.read_text())
    for name in ("SecondSeries", "VolumeView", "Cine"):
        data["features"].pop(name)
    data["view"].pop("neurological")
    file.write_text(json.dumps(data))
    dock.session.close_scan()
    desk.idle(0.2)
    dock.reading.readings.go_on(list_readings()[0])
    desk.until(lambda: dock.session.beside, 60)
    settled(desk)
    assert series.mode == "alone" and "could not be brought back" not in dock.message.text()
    # another number of scans than was kept: said, and nothing is mixed up
    data["features"]["SecondSeries"] = {"count": 3, "mode": "fused", "number": 2}
    file.write_text(json.dumps(data))
    dock.session.close_scan()
    desk.idle(0.2)
    dock.reading.readings.go_on(list_readings()[0])
    desk.until(lambda: "could not be brought back" in dock.message.text(), 60)
    assert series.mode == "alone"
