"""Grids: all 48 orientations there and back, equality field by field, and the world as SimpleITK and nibabel see it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import ANISOTROPIC_MM
from napari_medcnn.core.geometry import GRID_TOLERANCE, Geometry, Reorientation
from napari_medcnn.errors import GeometryError

#: Every way to lay three array axes along the body: 6 orders and 8 sets of directions.
LETTERS = [
    tuple(letters)
    for axes in itertools.permutations(("RL", "AP", "IS"))
    for letters in itertools.product(*axes)
]  # fmt: skip


def rotation(x: float, y: float, z: float) -> np.ndarray:
    (cx, cy, cz), (sx, sy, sz) = np.cos([x, y, z]), np.sin([x, y, z])
    return (
        np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    )


angles = st.floats(-0.5, 0.5)
lengths = st.floats(0.2, 6.0)


@st.composite
def geometries(draw) -> Geometry:
    shape = tuple(draw(st.integers(1, 6)) for _ in range(3))
    order = draw(st.permutations(range(3)))
    signs = [draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)]
    axes = np.eye(3)[:, list(order)] * signs  # right- and left-handed
    direction = rotation(draw(angles), draw(angles), draw(angles)) @ axes
    spacing = tuple(draw(lengths) for _ in range(3))
    origin = tuple(draw(st.floats(-500, 500)) for _ in range(3))
    return Geometry(shape, spacing, origin, direction)


def test_there_are_48() -> None:
    assert len(set(LETTERS)) == 48


@given(geometries(), st.sampled_from(LETTERS))
@settings(max_examples=200, deadline=None)
def test_there_and_back_over_all_orientations(grid: Geometry, letters) -> None:
    """No voxel moves in the world, the letters are as asked, and the inverse gives the same grid and voxels."""
    how = grid.reorientation_to(letters)
    turned = grid.reoriented(how)
    voxels = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    moved = how.apply(voxels)
    assert moved.shape == turned.shape
    assert turned.orientation == "".join(letters[::-1])
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    index_turned = np.stack(np.meshgrid(*[np.arange(n) for n in turned.shape], indexing="ij"), -1)
    world = {int(v): p for v, p in zip(voxels.ravel(), grid.index_to_lps(index).reshape(-1, 3), strict=True)}
    for value, point in zip(moved.ravel(), turned.index_to_lps(index_turned).reshape(-1, 3), strict=True):
        assert np.allclose(point, world[int(value)], atol=1e-9)
    assert np.array_equal(how.inverse.apply(moved), voxels)
    back = turned.reoriented(how.inverse)
    assert back.same_grid(grid, 1e-9)
    assert (back.shape, back.spacing_mm) == (grid.shape, grid.spacing_mm)
    assert np.allclose(back.direction, grid.direction, atol=1e-15)


@pytest.mark.parametrize("letters", LETTERS)
def test_axis_aligned_letters_against_nibabel(letters) -> None:
    """Our x, y, z letters of a grid that runs to `letters` (z, y, x) are nibabel's axis codes."""
    grid = Geometry((3, 4, 5), ANISOTROPIC_MM, (1.0, 2.0, 3.0)).reoriented(
        Geometry((3, 4, 5)).reorientation_to(letters)
    )
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine_lps
    assert grid.orientation == "".join(nibabel.aff2axcodes(ras))
    assert grid.obliquity_deg == pytest.approx(0.0, abs=1e-6)


@given(geometries())
@settings(max_examples=100, deadline=None)
def test_world_is_simpleitk_s(grid: Geometry) -> None:
    image = SimpleITK.Image([int(n) for n in grid.shape[::-1]], SimpleITK.sitkUInt8)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_lps)
    image.SetDirection(grid.direction.ravel().tolist())
    corners = list(itertools.product(*[(0, n - 1) for n in grid.shape])) + [(0.25, 1.5, -2.75)]
    for index in corners:
        point = image.TransformContinuousIndexToPhysicalPoint([float(i) for i in index[::-1]])
        assert np.allclose(grid.index_to_lps(index), point, atol=1e-9)
        assert np.allclose(grid.lps_to_index(point), index, atol=1e-9)


@given(geometries())
@settings(max_examples=100, deadline=None)
def test_affine_there_and_back(grid: Geometry) -> None:
    """Through our matrix, and through nibabel's spacing and orientation of the same matrix in RAS."""
    again = Geometry.from_affine(grid.shape, grid.affine_lps)
    assert again.same_grid(grid, 1e-9)
    assert np.allclose(again.spacing_mm, grid.spacing_mm)
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine_lps
    assert np.allclose(nibabel.affines.voxel_sizes(ras)[::-1], grid.spacing_mm)
    obliquity = np.degrees(nibabel.affines.obliquity(ras).max())
    assert (grid.obliquity_deg < 1e-5) == (obliquity < 1e-5)


BASE = Geometry((4, 5, 6), ANISOTROPIC_MM, (-10.0, 20.0, 30.5), rotation(0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (5, 5, 6)},
        {"shape": (4, 5, 7)},
        {"spacing_mm": (3.0, 0.8, 0.7 + 1e-12)},
        {"spacing_mm": (3.1, 0.8, 0.7)},
        {"origin_lps": (-10.0, 20.0, 30.5 + 1e-9)},
        {"origin_lps": (-10.1, 20.0, 30.5)},
        {"direction": rotation(0.1, 0.2, 0.3 + 1e-9)},
        {"spacing_known": False},
        {"orientation_known": False},
    ],
)
def test_equality_sees_one_changed_field(change) -> None:
    assert replace(BASE) == BASE
    assert replace(BASE, direction=BASE.direction.copy()) == BASE
    assert replace(BASE, **change) != BASE
    assert BASE != "a grid"


@pytest.mark.parametrize("axis", range(3))
def test_same_grid_tolerance_from_both_sides(axis: int) -> None:
    """A thousandth of the smallest spacing (0.7 mm): 0.0006 mm is the same grid, 0.0008 mm is not."""
    for shift, same in ((0.0006, True), (0.0008, False)):
        origin = list(BASE.origin_lps)
        origin[axis] += shift
        assert BASE.same_grid(replace(BASE, origin_lps=tuple(origin))) is same
    assert not BASE.same_grid(replace(BASE, shape=(4, 5, 7)))
    assert GRID_TOLERANCE == 1e-3
    # A spacing is judged by where it moves the far corner, so by the size of the grid.
    wide = Geometry((2, 2, 1001), (1.0, 1.0, 1.0))
    assert wide.same_grid(replace(wide, spacing_mm=(1.0, 1.0, 1.0 + 0.9e-6)))
    assert not wide.same_grid(replace(wide, spacing_mm=(1.0, 1.0, 1.0 + 1.1e-6)))
    # One slice still has a normal.
    flat = Geometry((1, 4, 4))
    assert not flat.same_grid(replace(flat, direction=np.diag([1.0, 1.0, -1.0])))


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"shape": (0, 4, 4)}, "shape"),
        ({"shape": (4, 4)}, "shape"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm"),
        ({"spacing_mm": (1.0, -1.0, 1.0)}, "spacing_mm"),
        ({"spacing_mm": (1.0, float("nan"), 1.0)}, "spacing_mm"),
        ({"spacing_mm": (1.0, float("inf"), 1.0)}, "spacing_mm"),
        ({"origin_lps": (0.0, 0.0, float("nan"))}, "origin_lps"),
        ({"direction": np.zeros((3, 3))}, "direction"),
        ({"direction": np.array([[1, 0.1, 0], [0, 1, 0], [0, 0, 1]])}, "direction"),
        ({"direction": np.eye(2)}, "direction"),
    ],
)
def test_unusable_grids_are_refused_by_name(bad, word: str) -> None:
    """Zero, negative, endless and sheared grids (rows 8, 10 and 12)."""
    with pytest.raises(GeometryError, match=word):
        Geometry(**{"shape": (4, 5, 6), **bad})


@pytest.mark.parametrize("what", ["shear", "singular", "nan", "shape"])
def test_unusable_matrices_are_refused(what: str) -> None:
    affine = np.diag([0.7, 0.8, 3.0, 1.0])
    affine = {"shear": affine, "singular": affine, "nan": affine, "shape": affine[:3]}[what].copy()
    if what == "shear":
        affine[0, 2] = 0.5
    elif what == "singular":
        affine[:, 1] = 0.0
    elif what == "nan":
        affine[0, 3] = np.nan
    with pytest.raises(GeometryError):
        Geometry.from_affine((4, 5, 6), affine)


def test_unknown_is_a_stated_fact() -> None:
    picture = Geometry.picture(10, 20)
    assert picture.shape == (1, 10, 20)
    assert picture.orientation is None
    assert picture.reorientation_to() == Reorientation((0, 1, 2), (False, False, False))
    with pytest.raises(GeometryError, match="voxel size"):
        _ = picture.voxel_mm3
    assert pytest.approx(3.0 * 0.8 * 0.7) == BASE.voxel_mm3
    assert replace(BASE, spacing_known=False).reoriented(BASE.reorientation_to()).spacing_known is False


def test_values_cannot_be_changed_from_outside() -> None:
    direction = np.eye(3)
    grid = Geometry((2, 2, 2), direction=direction)
    direction[0, 0] = -1.0
    assert grid.direction[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        grid.direction[0, 0] = -1.0


def test_display_translate_is_the_origin_on_the_grid_s_own_axes() -> None:
    """For a grid along the body it is the origin itself; a turned one keeps distances between grids."""
    assert Geometry((2, 3, 4), origin_lps=(1.0, 2.0, 3.0)).display_translate_mm() == (3.0, 2.0, 1.0)
    other = replace(BASE, origin_lps=tuple(BASE.index_to_lps((1, 2, 3)).tolist()))
    step = np.subtract(other.display_translate_mm(), BASE.display_translate_mm())
    assert np.allclose(step, np.multiply((1, 2, 3), ANISOTROPIC_MM))
    assert BASE.same_axes(other)
    assert not BASE.same_axes(replace(BASE, direction=rotation(0.1, 0.2, 0.31)))
    assert not BASE.same_axes(BASE.reoriented(Reorientation((0, 1, 2), (True, False, False))))


def test_wrong_reorientations_are_named() -> None:
    with pytest.raises(GeometryError, match="letters_zyx"):
        BASE.reorientation_to(("X", "P", "L"))
    with pytest.raises(GeometryError, match="three different"):
        BASE.reorientation_to(("L", "R", "S"))
    with pytest.raises(GeometryError, match="order"):
        Reorientation((0, 0, 1), (False, False, False))
    with pytest.raises(GeometryError, match="axes"):
        BASE.reorientation_to().apply(np.zeros((2, 2, 2)), "zxy")


def test_time_and_channels_stay_where_they_are() -> None:
    array = np.arange(2 * 3 * 4 * 5 * 3).reshape(2, 3, 4, 5, 3)
    how = Reorientation((2, 0, 1), (True, False, True))
    moved = how.apply(array, "tzyxc")
    assert moved.shape == (2, 5, 3, 4, 3)
    assert np.array_equal(moved[1, ..., 2], how.apply(array[1, ..., 2]))
    assert moved.base is not None  # a view, nothing copied


def test_a_box_follows_its_voxels_into_every_order() -> None:
    shape, box = (5, 6, 7), ((1, 3), (0, 4), (5, 7))
    marked = np.zeros(shape, bool)
    marked[tuple(slice(*span) for span in box)] = True
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            how = Reorientation(order, flips)
            there = how.box(box, shape)
            turned = np.zeros([shape[axis] for axis in order], bool)
            turned[tuple(slice(*span) for span in there)] = True
            np.testing.assert_array_equal(how.apply(marked), turned)
            assert how.inverse.box(there, turned.shape) == box
