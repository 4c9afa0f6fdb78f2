"""Places of the window, of the file and of the patient against SimpleITK on tilted, flipped and permuted grids."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.geometry import Geometry

angle = st.integers(-1500, 1500).map(lambda n: n / 1000)  # no denormal numbers: ITK itself fails on those
spacing = st.tuples(*[st.floats(0.2, 7.0)] * 3)
origin = st.tuples(*[st.floats(-500.0, 500.0)] * 3)
shape = st.tuples(*[st.integers(1, 9)] * 3)
index = st.tuples(*[st.floats(-3.0, 12.0)] * 3)
corner = st.tuples(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))


def turned(a: float, b: float, c: float, flips) -> np.ndarray:
    """Three turns about x, y and z, then axes exchanged and mirrored."""
    turns = []
    for angle_, axis in ((a, 0), (b, 1), (c, 2)):
        m = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        m[i, i] = m[j, j] = np.cos(angle_)
        m[i, j], m[j, i] = -np.sin(angle_), np.sin(angle_)
        turns.append(m)
    order, signs = flips
    return (turns[0] @ turns[1] @ turns[2])[:, list(order)] * np.array(signs)


def image_of(grid: Geometry) -> sitk.Image:
    """The same grid as SimpleITK knows it."""
    image = sitk.Image([int(n) for n in grid.shape[::-1]], sitk.sitkUInt8)
    image.SetSpacing([float(s) for s in grid.spacing_mm[::-1]])
    image.SetOrigin([float(v) for v in grid.origin_lps])
    image.SetDirection([float(v) for v in np.asarray(grid.direction).ravel()])
    return image


@settings(max_examples=60, deadline=None)
@given(shape, spacing, origin, angle, angle, angle, corner, index)
def test_world_source_and_lps_agree_with_itk(shape, spacing, origin, a, b, c, flips, index) -> None:
    grid = Geometry(shape, spacing, origin, turned(a, b, c, flips))
    shown, image = DisplayGrid(grid), image_of(grid)
    lps = np.array(image.TransformContinuousIndexToPhysicalPoint([float(i) for i in index[::-1]]))
    world = shown.world_of(lps)
    np.testing.assert_allclose(shown.lps_of(world), lps, atol=1e-6)
    expected = np.array(image.TransformPhysicalPointToContinuousIndex([float(v) for v in lps]))[::-1]
    np.testing.assert_allclose(shown.source_of(world), expected, atol=1e-6)
    np.testing.assert_allclose(shown.world_of_source(expected), world, atol=1e-6)
    np.testing.assert_allclose(shown.world_of_index(shown.index_of(world)), world, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(shape, spacing, origin, angle, angle, angle, corner, st.randoms(use_true_random=False))
def test_a_voxel_of_the_display_is_that_voxel_of_the_file(shape, spacing, origin, a, b, c, flips, random) -> None:
    grid = Geometry(shape, spacing, origin, turned(a, b, c, flips))
    shown = DisplayGrid(grid)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    displayed = shown.how.apply(numbers)
    voxel = tuple(random.randrange(n) for n in displayed.shape)
    source = np.rint(shown.source_of(shown.world_of_index(voxel))).astype(int)
    assert numbers[tuple(source)] == displayed[voxel]


@settings(max_examples=30, deadline=None)
@given(shape, spacing, origin, angle, angle, angle, corner)
def test_axes_of_the_window_run_down_back_and_left(shape, spacing, origin, a, b, c, flips) -> None:
    """Each display axis lies nearest to its body axis, or none could be told for it; never the opposite way."""
    shown = DisplayGrid(Geometry(shape, spacing, origin, turned(a, b, c, flips)))
    at = shown.lps_of(np.zeros(3))
    for axis, (lps_axis, sign) in enumerate(((2, -1.0), (1, 1.0), (0, 1.0))):
        step = np.zeros(3)
        step[axis] = 1.0
        assert (shown.lps_of(step) - at)[lps_axis] * sign > -1e-9


def test_slices_are_told_in_mm_of_the_patient() -> None:
    grid = DisplayGrid(Geometry((10, 20, 30), (5.0, 2.0, 1.0), (-40.0, -100.0, 12.0)))
    for axis, lps_axis, mm in ((0, 2, 12.0 + 5 * 3), (1, 1, -100.0 + 2 * 7), (2, 0, -40.0 + 21)):
        source = np.array([3.0, 7.0, 21.0])
        world = grid.world_of_source(source)
        assert grid.slice_mm(axis, world[axis]) == pytest.approx(mm), lps_axis


def test_a_tilted_slice_is_where_its_middle_is() -> None:
    grid = Geometry((11, 21, 31), (4.0, 1.0, 1.0), (-20.0, 30.0, 5.0), turned(0.3, 0.0, 0.0, ((0, 1, 2), (1, 1, 1))))
    shown, image = DisplayGrid(grid), image_of(grid)
    lps = image.TransformContinuousIndexToPhysicalPoint([15.0, 10.0, 2.0])
    assert shown.slice_mm(0, float(shown.world_of(lps)[0])) == pytest.approx(lps[2])


def test_no_place_where_the_file_states_none() -> None:
    plain = Geometry((4, 5, 6), (1.0, 1.0, 1.0))
    assert DisplayGrid(plain).slice_mm(0, 0.0) is not None
    for unknown in ({"orientation_known": False}, {"spacing_known": False}):
        assert DisplayGrid(Geometry((4, 5, 6), (1.0, 1.0, 1.0), **unknown)).slice_mm(0, 0.0) is None


def test_holds_reaches_to_the_edges_of_the_outer_voxels() -> None:
    grid = DisplayGrid(Geometry((2, 3, 4), (2.0, 1.0, 1.0)))
    assert grid.holds(grid.world_of_index((-0.49, 2.49, 3.49)))
    assert not grid.holds(grid.world_of_index((-0.51, 0, 0))) and not grid.holds(grid.world_of_index((0, 2.51, 0)))


def test_names_and_letters_only_where_the_file_states_sides() -> None:
    stated = DisplayGrid(Geometry((4, 5, 6), (1.0, 1.0, 1.0)))
    assert [stated.ends(a) for a in range(3)] == [("S", "I"), ("A", "P"), ("R", "L")]
    assert [stated.plane(a) for a in range(3)] == ["axial", "coronal", "sagittal"]
    silent = DisplayGrid(Geometry((4, 5, 6), (1.0, 1.0, 1.0), orientation_known=False))
    assert silent.ends(0) == ("", "") and silent.plane(0) == ""
