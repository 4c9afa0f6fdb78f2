"""Curves against the array and against numpy."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core import curves
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume

GRID = Geometry((3, 4, 5), (3.0, 1.0, 1.0))


def scan(**more) -> Volume:
    array = np.random.default_rng(1).integers(-900, 900, (6, 3, 4, 5)).astype(np.int16)
    return Volume(array, GRID, "tzyx", value_unit="HU", **more)


def test_a_voxel_is_the_array_over_the_steps_of_the_file() -> None:
    volume = scan(frame_values=(0.0, 1.5, 3.0, 6.0, 12.0, 24.0), frame_unit="s", frame_name="t")
    curve = curves.voxel_curve(volume, (2, 1, 4), "here")
    assert curve is not None and curve.name == "here"
    np.testing.assert_array_equal(curve.y, volume.array[:, 2, 1, 4])
    np.testing.assert_array_equal(curve.x, [0, 1.5, 3, 6, 12, 24])
    assert (curve.x_label, curve.y_label) == ("t (s)", "HU")
    assert curves.voxel_curve(volume, (3, 0, 0), "") is None and curves.voxel_curve(volume, (0, -1, 0), "") is None


def test_steps_that_are_not_stated_are_counted() -> None:
    x, label = curves.steps_of(scan())
    assert x.tolist() == [1, 2, 3, 4, 5, 6] and label == "step"
    assert curves.steps_of(scan(frame_values=(0.0, 50.0, 100.0, 400.0, 800.0, 1000.0), frame_unit="s/mm2",
                                frame_name="b"))[1] == "b (s/mm2)"  # fmt: skip


def test_a_region_is_numpys_mean() -> None:
    volume = scan()
    inside = np.random.default_rng(2).random((2, 3, 2)) > 0.4
    box = (slice(1, 3), slice(0, 3), slice(2, 4))
    means = list(curves.mean_steps(volume, box, inside))
    np.testing.assert_allclose(means, [frame[1:3, 0:3, 2:4][inside].mean() for frame in volume.array])
    np.testing.assert_array_equal(curves.mean_curve(volume, means, "r").y, means)
    assert np.isnan(list(curves.mean_steps(volume, box, np.zeros((2, 3, 2), bool)))).all()


def test_values_that_are_no_numbers_do_not_count_and_complex_ones_by_their_size() -> None:
    array = np.full((2, 3, 4, 5), np.nan)
    array[1, 0, 0, :2] = 4.0, 8.0
    everything = (slice(0, 3), slice(0, 4), slice(0, 5))
    volume = Volume(array, GRID, "tzyx")
    means = list(curves.mean_steps(volume, everything, np.ones((3, 4, 5), bool)))
    assert np.isnan(means[0]) and means[1] == 6.0
    wave = Volume(np.full((2, 3, 4, 5), 3 + 4j), GRID, "tzyx")
    curve = curves.voxel_curve(wave, (0, 0, 0), "")
    assert curve is not None and curve.y.tolist() == [5.0, 5.0] and curve.y_label == "as stored"


def test_only_several_steps_of_one_value_have_a_curve() -> None:
    assert curves.has_curve(scan()) and not curves.has_curve(None)
    assert not curves.has_curve(Volume(np.zeros((3, 4, 5)), GRID))
    assert not curves.has_curve(Volume(np.zeros((2, 3, 4, 5, 3), np.uint8), GRID, "tzyxc"))
