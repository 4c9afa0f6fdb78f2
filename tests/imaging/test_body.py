"""The box of the body, against scikit-image's regionprops and by hand."""

import numpy as np
import pytest
from skimage import measure

from cases import ball
from napari_medcnn.imaging.body import body_box, filled_box


def box(*sides):
    return tuple(slice(*side) for side in sides)


def test_the_largest_part_decides_and_specks_do_not():
    values = np.full((40, 60, 80, 1), -1000, np.int16)
    values[ball((40, 60, 80), (20, 30, 40), 25.0, (2.0, 1.0, 1.0))] = 40
    values[1, 1, 1] = 3000
    parts = measure.label(values[..., 0] > -500, connectivity=3)
    largest = max(measure.regionprops(parts), key=lambda r: r.area)
    z0, y0, x0, z1, y1, x1 = largest.bbox
    assert body_box(values, -500.0) == box((z0, z1), (y0, y1), (x0, x1))


def test_two_legs_stay_together():
    values = np.zeros((10, 20, 40, 1))
    values[:, 5:15, 2:12] = 1
    values[:, 6:14, 25:33] = 1
    assert body_box(values, 0.5) == box((0, 10), (5, 15), (2, 33))


def test_a_large_scan_is_looked_at_in_steps_and_nothing_is_cut_off():
    values = np.zeros((3, 1000, 1000, 1), np.float32)
    values[1, 333:777, 205:602] = 1
    values[0, 0, 0] = np.nan
    found = body_box(values, 0.5)
    assert found[0] == slice(1, 2)
    for side, (start, stop) in zip(found[1:], [(333, 777), (205, 602)], strict=True):
        assert start - 7 < side.start <= start and stop <= side.stop < stop + 7
    assert body_box(values, 2.0) is None


def test_any_channel_counts():
    values = np.zeros((4, 4, 4, 2))
    values[1:3, 1:3, 1:3, 1] = 5
    assert body_box(values, 1.0) == filled_box(values) == box((1, 3), (1, 3), (1, 3))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_nothing_filled_means_everything(value):
    assert filled_box(np.full((2, 3, 4, 1), value)) == box((0, 2), (0, 3), (0, 4))
