"""Curves in the strip of a real window: numbers of the array, at the mouse, the crosshair, a region, a class."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_medcnn.core.curves import Curve
from napari_medcnn.core.measures import RECTANGLE, Measure
from napari_medcnn.widgets.curve.plot import CurvePlot, ticks

pytestmark = pytest.mark.gui


def four_d(path: Path) -> np.ndarray:
    """Write 5 time points, 2.5 s apart, of (z, y, x) = (6, 9, 8) voxels, x and y flipped; return (t, z, y, x)."""
    array = np.random.default_rng(3).integers(0, 900, (8, 9, 6, 5)).astype(np.int16)
    image = nibabel.Nifti1Image(array, np.diag([-2.0, -2.0, 3.0, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.5
    nibabel.save(image, path)
    return np.ascontiguousarray(array.T)


def opened(desk: Any, tmp_path: Path) -> tuple[Any, np.ndarray]:
    """Open it, and the page."""
    array = four_d(tmp_path / "perfusion.nii.gz")
    desk.dock.open_path(tmp_path / "perfusion.nii.gz")
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.1)
    curves = desk.dock.reading.curves
    desk.click(curves.button)
    desk.until(lambda: desk.dock.reading.strip.page == "Curve")
    desk.idle(0.2)
    return curves, array


def test_under_the_mouse_the_curve_is_that_voxel(desk, tmp_path: Path) -> None:
    curves, array = opened(desk, tmp_path)
    pane = desk.dock.views.panes[0]
    grid = desk.dock.views.grid
    for index in ((5, 4, 3), (5, 7, 6)):
        place = tuple(float(v) for v in grid.world_of_source(index))
        desk.dock.views.go_to(place)
        desk.idle(0.05)
        desk.move(pane.frame().to_canvas(place))
        desk.until(lambda: curves.live is not None)
        desk.until(lambda at=index: np.array_equal(curves.live.y, array[:, at[0], at[1], at[2]]), 5)
    assert curves.live.name == "voxel 6, 7, 5" and curves.live.x_label == "t (s)"
    np.testing.assert_allclose(curves.live.x, [0, 2.5, 5, 7.5, 10])


def test_kept_curves_go_to_the_clipboard_and_to_a_file(desk, tmp_path: Path) -> None:
    curves, array = opened(desk, tmp_path)
    page, dock = curves.page, desk.dock
    page.source.setCurrentIndex(1)  # the crosshair
    dock.views.go_to(tuple(float(v) for v in dock.views.grid.world_of_source((2, 3, 4))))
    np.testing.assert_array_equal(curves.live.y, array[:, 2, 3, 4])
    desk.click(page.pin)
    dock.views.go_to(tuple(float(v) for v in dock.views.grid.world_of_source((1, 1, 1))))
    assert [number for number, _ in page.plot.curves] == [1, 0]
    desk.click(page.copy)
    rows = [line.split("\t") for line in QApplication.clipboard().text().splitlines()]
    assert rows[0] == ["t (s)", "voxel 4, 3, 2 (as stored)", "voxel 1, 1, 1 (as stored)"]
    assert [[float(cell) for cell in line] for line in rows[1:]] == [
        [2.5 * t, array[t, 2, 3, 4], array[t, 1, 1, 1]] for t in range(5)
    ]
    dock.dialogs.target = tmp_path / "curve.csv"
    desk.click(page.save)
    desk.until(lambda: dock.message.text() == "Saved: curve.csv")
    with open(tmp_path / "curve.csv", encoding="utf-8-sig", newline="") as file:
        assert [float(line[1]) for line in list(csv.reader(file))[1:]] == array[:, 2, 3, 4].tolist()
    desk.click(page.clear)
    assert [number for number, _ in page.plot.curves] == [0]


def test_a_region_and_a_class_are_numpys_means(desk, tmp_path: Path) -> None:
    curves, array = opened(desk, tmp_path)
    board, page = desk.dock.reading.measuring.board, curves.page
    board.add(Measure(RECTANGLE, ((3, 2, 1), (3, 5, 6)), 0, name="Box 1"))
    at = page.source.findText("Region: Box 1")
    assert at > 0
    page.source.setCurrentIndex(at)
    desk.until(lambda: curves.live is not None and curves.live.name == "Box 1, mean")
    np.testing.assert_allclose(curves.live.y, array[:, 3, 2:6, 1:7].mean(axis=(1, 2)))

    desk.dock.session.start_empty_mask()
    desk.until(lambda: desk.dock.layers.mask is not None)
    scan, mask = desk.dock.session.scan, desk.dock.layers.mask
    chosen = np.random.default_rng(5).random(scan.geometry.shape) > 0.7
    mask.data[...] = desk.dock.views.grid.how.apply(chosen).astype(mask.data.dtype)
    page.source.setCurrentIndex(page.source.findText("Class: Class 1"))
    desk.until(lambda: curves.live is not None and curves.live.name == "Class 1, mean")
    np.testing.assert_allclose(curves.live.y, [frame[chosen].mean() for frame in array])


def test_a_scan_without_steps_has_no_curve(desk) -> None:
    desk.open("phantom")
    curves = desk.dock.reading.curves
    assert not curves.button.isVisibleTo(curves.button.parentWidget())
    desk.dock.reading.strip.show_page("Curve")
    desk.idle(0.05)
    assert curves.page.plot.curves == () and not curves.page.pin.isEnabled()


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 10.0, 5, [0, 2, 4, 6, 8, 10]),
        (0.0, 10.0, 4, [0, 5, 10]),
        (-1.0, 1.0, 4, [-1, -0.5, 0, 0.5, 1]),
        (3.0, 3.0, 4, [3.0]),
        (980.0, 1020.0, 4, [980, 990, 1000, 1010, 1020]),
        (float("nan"), 1.0, 4, []),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, expected: list[float]) -> None:
    found = ticks(low, high, most)
    assert len(found) <= most + 1 and found == pytest.approx(expected)


def test_a_plot_shows_its_points_at_strip_height(qtbot) -> None:
    plot = CurvePlot()
    qtbot.addWidget(plot)
    plot.resize(500, 110)
    x = np.array([0.0, 1.0, 2.0])
    plot.show_curves([(1, Curve("one", x, np.array([0.0, 10.0, np.nan]), "t (s)", "HU"))], 1.0)
    plot.show()
    image = plot.grab().toImage()
    orange = [
        (at, down)
        for at in range(image.width())
        for down in range(image.height())
        if (image.pixelColor(at, down).red(), image.pixelColor(at, down).blue()) == (0xE6, 0x00)
    ]
    across = [at for at, _ in orange if at < 0.7 * image.width()]
    assert orange and min(across) < 80  # from the first point ...
    assert 200 < max(across) < 330  # ... to the second; nothing where there is no number
