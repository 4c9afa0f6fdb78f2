"""Grid changes: volumes kept, positions kept, an independent interpolator agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.imaging.resample import AxisMap, cropped, interpolate_plane, regrid, resample_image, resample_labels

spacings = st.tuples(*[st.floats(0.4, 4.0)] * 3)
OBLIQUE = np.linalg.qr(np.array([[1, 0.2, 0.1], [-0.2, 1, 0.3], [-0.1, -0.3, -1]]))[0]


def ball(grid: Geometry, radius_mm: float) -> np.ndarray:
    """Return a ball around the centre of the grid."""
    return (distance(grid) < radius_mm).astype(np.uint8)


def distance(grid: Geometry) -> np.ndarray:
    """Return each voxel's distance in mm to the centre of the grid."""
    centre = grid.index_to_lps([(n - 1) / 2 for n in grid.shape])
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return np.linalg.norm(grid.index_to_lps(index) - centre, axis=-1)


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE])
@pytest.mark.parametrize("target", [(1.0, 1.0, 1.0), (1.5, 1.2, 1.2), (3.0, 0.6, 0.6)])
def test_the_volume_of_a_ball_is_kept_within_one_percent(direction, target):
    grid = Geometry((40, 96, 100), (2.0, 0.8, 0.8), (11.0, -7.0, 3.0), direction)
    mask = ball(grid, 25.0)
    new = regrid(grid, target)
    image = resample_image(mask.astype(np.float32) * 100, grid, new)
    soft = resample_image(np.clip(25.5 - distance(grid), 0, 1), grid, new)
    exact = 4 / 3 * np.pi * 25**3
    assert mask.sum() * grid.voxel_mm3 == pytest.approx(exact, rel=0.01)
    assert image.sum() / 100 * new.voxel_mm3 == pytest.approx(exact, rel=0.01)
    assert soft.sum() * new.voxel_mm3 == pytest.approx(exact, rel=0.01)
    assert resample_labels(mask, grid, new).sum() * new.voxel_mm3 == pytest.approx(exact, rel=0.01)
    back = resample_labels(resample_labels(mask, grid, new), new, grid)
    assert back.sum() * grid.voxel_mm3 == pytest.approx(exact, rel=0.01)


@given(spacing=spacings, target=spacings, shape=st.tuples(*[st.integers(1, 20)] * 3))
@settings(max_examples=60, deadline=None)
def test_a_new_grid_has_the_same_centre_and_nearly_the_same_extent(spacing, target, shape):
    grid = Geometry(shape, spacing, (3.0, -40.0, 12.0), OBLIQUE)
    new = regrid(grid, target)
    middle = [grid.index_to_lps([(n - 1) / 2 for n in grid.shape]), new.index_to_lps([(n - 1) / 2 for n in new.shape])]
    np.testing.assert_allclose(*middle, atol=1e-6)
    for axis in range(3):
        extents = shape[axis] * spacing[axis], new.shape[axis] * target[axis]
        assert abs(extents[0] - extents[1]) <= target[axis] / 2 + 1e-9 or new.shape[axis] == 1


@given(spacing=spacings, target=spacings)
@settings(max_examples=25, deadline=None)
def test_a_linear_ramp_stays_the_same_ramp_in_the_world(spacing, target):
    """Linear interpolation reproduces a linear function of the position exactly, away from the border."""
    grid = Geometry((9, 11, 13), spacing, (5.0, 6.0, 7.0), OBLIQUE)
    slope = np.array([0.3, -0.7, 0.2])

    def ramp(g: Geometry) -> np.ndarray:
        index = np.stack(np.meshgrid(*[np.arange(n) for n in g.shape], indexing="ij"), axis=-1)
        return g.index_to_lps(index) @ slope

    new = regrid(grid, target)
    result = resample_image(ramp(grid), grid, new)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in new.shape], indexing="ij"), axis=-1)
    source = grid.lps_to_index(new.index_to_lps(index))
    inside = np.all((source >= 0) & (source <= np.array(grid.shape) - 1), axis=-1)
    np.testing.assert_allclose(result[inside], ramp(new)[inside], atol=1e-3)


def test_channels_are_resampled_one_by_one():
    grid = Geometry((4, 6, 8), (2.0, 1.0, 1.0))
    data = np.random.default_rng(0).normal(size=(4, 6, 8, 3)).astype(np.float32)
    new = regrid(grid, (1.0, 1.5, 0.7))
    whole = resample_image(data, grid, new)
    for channel in range(3):
        np.testing.assert_array_equal(whole[..., channel], resample_image(data[..., channel], grid, new))


def test_the_same_grid_changes_nothing():
    grid = Geometry((3, 4, 5), (2.0, 1.0, 0.5))
    data = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(resample_image(data, grid, grid), data)
    assert all(m.identity for m in AxisMap.between(grid, grid))


def test_labels_keep_their_type_and_never_mix():
    grid = Geometry((4, 5, 6), (3.0, 1.0, 1.0))
    labels = np.random.default_rng(0).choice(np.array([0, 2, 700], np.uint16), size=(4, 5, 6))
    new = resample_labels(labels, grid, regrid(grid, (1.0, 0.7, 1.3)))
    assert new.dtype == np.uint16
    assert set(np.unique(new)) <= {0, 2, 700}
    with pytest.raises(InputError):
        resample_labels(labels.astype(np.float32), grid, grid)


@given(spacing=spacings, target=spacings, shape=st.tuples(*[st.integers(1, 9)] * 3))
@settings(max_examples=60, deadline=None)
def test_axis_maps_agree_with_an_independent_interpolator(spacing, target, shape):
    """scipy's map_coordinates (clamped) is the oracle for every plane."""
    source = Geometry(shape, spacing, (1.0, 2.0, 3.0), OBLIQUE)
    grid = regrid(source, target)
    data = np.random.default_rng(5).normal(size=source.shape).astype(np.float32)
    maps = AxisMap.between(grid, source)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    where = np.moveaxis(source.lps_to_index(grid.index_to_lps(index)), -1, 0)
    expected = ndimage.map_coordinates(data, where, order=1, mode="nearest")
    for z in range(grid.shape[0]):
        low, high, share = maps[0].low[z], maps[0].high[z], maps[0].share[z]
        plane = interpolate_plane(data[low] * (1 - share) + data[high] * share, maps[1], maps[2])
        np.testing.assert_allclose(plane, expected[z], atol=1e-4)


def test_axis_maps_continue_the_border_outside_a_crop():
    grid = Geometry((6, 4, 4), (2.0, 1.0, 1.0))
    crop = cropped(grid, (2, 0, 0), (3, 4, 4))
    assert AxisMap.between(grid, crop)[0].low.tolist() == [0, 0, 0, 1, 2, 2]
    assert not AxisMap.between(grid, crop)[0].share.any()


def test_other_axes_are_refused():
    with pytest.raises(GeometryError):
        AxisMap.between(Geometry((2, 2, 2)), Geometry((2, 2, 2), direction=OBLIQUE))
    with pytest.raises(GeometryError):
        regrid(Geometry((2, 2, 2)), (1.0, 0.0, 1.0))
