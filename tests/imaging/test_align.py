"""A second series on the axes of the first: fields and marks of known place, and SimpleITK's own resampling."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.imaging import align

CT = Geometry((20, 30, 40), (3.0, 0.9, 0.8), (-10.0, 12.0, 40.0))


def turned(degrees: float, axis: int) -> np.ndarray:
    """Return a rotation about LPS x, y or z, written out by hand."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    full = np.eye(3)
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    full[a, a], full[a, b], full[b, a], full[b, b] = c, -s, s, c
    return full


def done(steps):
    """Run to the end; return what came."""
    while True:
        try:
            assert 0.0 <= next(steps) <= 1.0
        except StopIteration as end:
            return end.value


def field(grid: Geometry) -> np.ndarray:
    """Return 2x - 3y + 5z + 7 (LPS mm) at every voxel centre: linear interpolation keeps it exactly."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return grid.index_to_lps(index) @ [2.0, -3.0, 5.0] + 7.0


@settings(max_examples=25, deadline=None)
@given(degrees=st.integers(-60, 60), axis=st.integers(0, 2), tilt=st.integers(-30, 30))
def test_a_linear_field_stays_where_it_is_in_the_patient(degrees: int, axis: int, tilt: int) -> None:
    direction = turned(degrees, axis) @ turned(tilt, (axis + 1) % 3)
    grid = Geometry((9, 11, 10), (4.1, 2.2, 1.7), (5.0, -3.0, 60.0), direction)
    found = done(align.align_steps(Volume(field(grid), grid), CT))
    inside = grid.lps_to_index(found.geometry.index_to_lps(np.argwhere(np.ones(found.geometry.shape))))
    inner = np.all((inside >= 0.01) & (inside <= np.array(grid.shape) - 1.01), axis=1)
    assert inner.sum() > 200
    np.testing.assert_allclose(
        found.array.ravel()[inner], field(found.geometry).ravel()[inner], atol=1e-6 * np.abs(field(grid)).max()
    )
    corners = np.array([[z, y, x] for z in (0, 8) for y in (0, 10) for x in (0, 9)])
    reach = found.geometry.lps_to_index(grid.index_to_lps(corners))
    assert np.all(reach >= -1e-6) and np.all(reach <= np.array(found.geometry.shape) - 1 + 1e-6)  # whole field of view


def test_the_same_as_simpleitk_with_the_images_own_direction() -> None:
    rng = np.random.default_rng(0)
    grid = Geometry((8, 16, 12), (5.0, 1.5, 2.0), (0.0, 30.0, 55.0), turned(20, 0))
    array = rng.normal(0, 100, grid.shape).astype(np.float32)
    found = done(align.align_steps(Volume(array, grid), CT))
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_lps)
    image.SetDirection(grid.direction.ravel().tolist())
    target = found.geometry
    expected = sitk.Resample(
        image, target.shape[::-1], sitk.Transform(), sitk.sitkLinear, target.origin_lps, target.spacing_mm[::-1],
        target.direction.ravel().tolist(), float(array.min()),
    )  # fmt: skip
    np.testing.assert_allclose(found.array, sitk.GetArrayFromImage(expected), atol=2e-3)


@pytest.mark.parametrize("letters", [np.eye(3), turned(90, 0), turned(90, 2), np.diag([-1.0, -1.0, 1.0])])
def test_a_mark_at_a_known_place_is_seen_at_that_place_of_the_first_series(letters: np.ndarray) -> None:
    """Through display coordinates, as the window shows it: tilted PET of other voxels, one hot voxel on a CT mark."""
    hot = np.array([2.0, 25.0, 70.0])  # LPS mm
    direction = letters @ turned(15, 0)
    grid = Geometry((21, 21, 21), (4.0, 4.0, 4.0), tuple(hot - direction @ np.full(3, 40.0)), direction)
    array = np.zeros(grid.shape, np.float32)
    array[10, 10, 10] = 1000.0
    found = done(align.align_steps(Volume(array, grid, modality="PT"), CT))
    shown = DisplayGrid(found.geometry).shown
    assert align.shares_axes(found.geometry, CT)
    values = DisplayGrid(found.geometry).how.apply(found.array)
    centre = (np.argwhere(values > 0) * values[values > 0][:, None]).sum(axis=0) / values.sum()
    # scale and shift alone, as a layer has them
    world = centre * np.array(shown.spacing_mm) + np.array(shown.display_translate_mm())
    np.testing.assert_allclose(DisplayGrid(CT).lps_of(world), hot, atol=0.5)
    assert values.max() >= 125  # half a voxel off along all three axes at worst: an eighth


def test_parallel_axes_need_nothing() -> None:
    other = Geometry((5, 6, 7), (9.0, 4.0, 4.0), (1.0, 2.0, 3.0), np.diag([-1.0, 1.0, -1.0]))
    volume = Volume(np.zeros((5, 6, 7), np.int16), other)
    assert done(align.align_steps(volume, CT)) is volume
    sagittal = Geometry((7, 6, 5), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0), turned(90, 1) @ turned(90, 0))
    assert align.shares_axes(sagittal, CT)
    assert not align.shares_axes(Geometry((7, 6, 5), direction=turned(1, 2)), CT)


def test_a_small_angle_counts_where_it_moves_voxels_far_out() -> None:
    small = turned(0.04, 2)
    assert align.shares_axes(Geometry((5, 100, 100), (3.0, 0.5, 0.5), direction=small), CT)
    far = Geometry((5, 512, 512), (3.0, 0.8, 0.8), (-800.0, 0.0, 0.0), small)  # 800 mm x 0.0007 is over 0.2 voxels
    assert not align.shares_axes(far, CT)


def test_type_unit_time_and_channels_stay() -> None:
    grid = Geometry((6, 7, 8), (3.0, 2.0, 2.0), direction=turned(10, 1))
    array = np.arange(2 * 6 * 7 * 8 * 2, dtype=np.int16).reshape(2, 6, 7, 8, 2)
    volume = Volume(array, grid, "tzyxc", name="PET", value_unit="SUV", frame_values=(0.0, 5.0), frame_unit="s")
    found = done(align.align_steps(volume, CT))
    assert found.array.dtype == np.int16 and found.array.shape == (2, *found.geometry.shape, 2)
    assert (found.value_unit, found.frame_values, found.name) == ("SUV", (0.0, 5.0), "PET")
    alone = done(align.align_steps(Volume(array[1, ..., 1], grid), CT))
    inner = alone.array > alone.array.min()  # outside stands the smallest value of each
    assert inner.sum() > 200
    np.testing.assert_array_equal(found.array[1, ..., 1][inner], alone.array[inner])
    assert align.RESAMPLED in found.notes


def test_outside_is_the_smallest_value() -> None:
    grid = Geometry((4, 5, 6), (3.0, 2.0, 2.0), direction=turned(30, 2))
    found = done(
        align.align_steps(Volume(np.full((4, 5, 6), -1000, np.int16) + np.arange(6, dtype=np.int16), grid), CT)
    )
    assert found.array[0, 0, 0] == found.array.min() == -1000


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (Geometry.picture(5, 6), "picture"),
        (Geometry((4, 5, 6), orientation_known=False), "where left"),
        (Geometry((4, 5, 6), spacing_known=False), "voxel size"),
    ],
)
def test_what_has_no_place_is_refused_by_name(geometry: Geometry, words: str) -> None:
    volume = Volume(np.zeros(geometry.shape), geometry, name="Second")
    assert words in align.no_place(volume)
    with pytest.raises(InputError, match=f"Second: .*{words}"):
        next(align.align_steps(volume, CT))


def test_unknown_reference_and_size_are_refused(monkeypatch) -> None:
    with pytest.raises(GeometryError, match="reference"):
        align.grid_along(CT, Geometry((4, 5, 6), orientation_known=False))
    monkeypatch.setattr(align, "MOST_BYTES", 100)
    tilted = Geometry((4, 5, 6), direction=turned(20, 0))
    with pytest.raises(InputError, match="side by side"):
        next(align.align_steps(Volume(np.zeros((4, 5, 6)), tilted), CT))
