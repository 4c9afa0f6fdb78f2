"""Brush, lasso, fill and region: against whole-grid formulas, SimpleITK and shapes worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cases import ball
from napari_medcnn.annotation.tools.brush import Brush, Range, learn_range, paint
from napari_medcnn.annotation.tools.flood import fill
from napari_medcnn.annotation.tools.grow import Reach, flood_levels, grow_to
from napari_medcnn.annotation.tools.lasso import fill_polygon
from napari_medcnn.annotation.tools.mask import Mask, Plane
from napari_medcnn.errors import InputError

MM = (5.0, 0.7, 1.3)
SHAPE = (7, 30, 24)


def empty() -> Mask:
    return Mask(np.zeros(SHAPE, np.uint8), MM)


def done(mask: Mask, edit) -> np.ndarray:
    array = mask.array.copy()
    edit.apply(array)
    return array


points = st.tuples(*[st.floats(-2, n + 1) for n in SHAPE])


@given(points, st.floats(0.01, 9))
@settings(max_examples=30, deadline=None)
def test_one_click_of_a_ball_is_the_ball_and_the_voxel_under_it(point, radius: float) -> None:
    made = done(empty(), paint(empty(), Brush(radius), [point], 1))
    wanted = ball(SHAPE, point, radius * (1 + 1e-12), MM).astype(np.uint8)  # the edge belongs to it
    nearest = tuple(math.floor(p + 0.5) for p in point)
    if all(0 <= i < n for i, n in zip(nearest, SHAPE, strict=True)):
        wanted[nearest] = 1
    assert np.array_equal(made, wanted)


def near_path(path, radius: float, axes=(0, 1, 2)) -> np.ndarray:
    """Return the voxels within a radius of a path, measured to 2,000 points on every part of it."""
    found = np.zeros(SHAPE, bool)
    places = np.argwhere(np.ones(SHAPE, bool))
    for a, b in zip(path, path[1:] if len(path) > 1 else path, strict=False):
        line = np.array(a) + np.linspace(0, 1, 2001)[:, None] * (np.array(b) - np.array(a))
        away = (places[:, None, axes] - line[None, ::20, axes]) * np.array(MM)[list(axes)]
        found |= ((away**2).sum(axis=2).min(axis=1) <= radius**2).reshape(SHAPE)
    return found


def test_a_stroke_is_a_swept_ball() -> None:
    path = [(1.2, 4.1, 3.3), (4.4, 20.2, 8.1), (4.9, 25.0, 20.3)]
    made = done(empty(), paint(empty(), Brush(3.0), path, 1)) == 1
    least, most = near_path(path, 2.995), near_path(path, 3.05)
    assert not (least & ~made).any()
    line = done(empty(), paint(empty(), Brush(0.0), path, 1)) == 1
    assert not (made & ~most & ~line).any()
    assert made.sum() > 200


@pytest.mark.parametrize("axis", range(3))
def test_a_disc_stays_in_its_slice(axis: int) -> None:
    inside = [a for a in range(3) if a != axis]
    start, stop = [3.2, 5.0, 6.0], [3.4, 5.0, 6.0]
    for a, to in zip(inside, (0.6, 0.8), strict=True):
        stop[a] = SHAPE[a] * to
    made = done(empty(), paint(empty(), Brush(2.5, axis), [start, stop], 1)) == 1
    index = round(start[axis])
    assert not np.delete(made, index, axis).any()
    start[axis] = stop[axis] = index
    line = done(empty(), paint(empty(), Brush(0.0, axis), [start, stop], 1)) == 1
    least = near_path([start, stop], 2.49, inside).take(index, axis)
    most = near_path([start, stop], 2.55, inside).take(index, axis)
    assert not (least & ~made.take(index, axis)).any()
    assert not (made.take(index, axis) & ~most & ~line.take(index, axis)).any()


@given(st.lists(points, min_size=2, max_size=4), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=40, deadline=None)
def test_a_thin_stroke_has_no_gaps(path, radius: float) -> None:
    """However fast the hand moves: inside the scan the voxels of a stroke hang together."""
    inside = [tuple(min(max(p, 0), n - 1) for p, n in zip(point, SHAPE, strict=True)) for point in path]
    made = done(empty(), paint(empty(), Brush(radius), inside, 1))
    pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(made), True)
    assert int(sitk.GetArrayFromImage(pieces).max()) == 1


def test_a_limited_brush_paints_only_its_range() -> None:
    scan = np.random.default_rng(3).normal(100, 30, SHAPE).astype(np.float32)
    scan[3, 10, 10] = np.nan
    limits = Range(90, 120)
    made = done(empty(), paint(empty(), Brush(6.0, limits=limits), [(3, 10, 10)], 2, scan)) == 2
    assert np.array_equal(made, ball(SHAPE, (3, 10, 10), 6.0 + 1e-9, MM) & (scan >= 90) & (scan <= 120))
    with pytest.raises(InputError, match="scan"):
        paint(empty(), Brush(6.0, limits=limits), [(3, 10, 10)], 2)


def test_a_range_is_learned_from_what_lies_under_the_brush() -> None:
    """Discs of 1.4 mm in a slice: 5 voxels along y, 3 along x, 11 in all by hand."""
    scan = np.zeros(SHAPE, np.float32)
    values = [50.0, 10, 20, 30, 40, 60, 70, 80, 90, 100, np.nan]
    places = [(-2, 0), (-1, 0), (0, 0), (1, 0), (2, 0), (0, -1), (0, 1)]
    for (y, x), value in zip(places, values, strict=False):
        scan[3, 10 + y, 10 + x] = value
    learned = learn_range(empty(), Brush(1.4, 0), (3, 10, 10), scan, (0, 100))
    assert (learned.low, learned.high) == (10.0, 70.0)
    middle = learn_range(empty(), Brush(1.4, 0), (3, 10, 10), scan, (50, 50))
    assert middle.low == middle.high == 40.0
    with pytest.raises(InputError, match="no value"):
        learn_range(empty(), Brush(1.0), (3, 10, 10), np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(InputError, match="range"):
        Range(2.0, 1.0)


def test_a_polygon_by_hand() -> None:
    """Centres on the outline belong to it; between (1, 1), (1, 5), (4, 5), the slanted side passes (2.5, 3)."""
    made = done(empty(), fill_polygon(empty(), Plane(0, 2), [(1, 1), (1, 5), (4, 5)], 1))
    assert np.argwhere(made[2]).tolist() == [
        [1, 1], [1, 2], [1, 3], [1, 4], [1, 5], [2, 3], [2, 4], [2, 5], [3, 4], [3, 5], [4, 5],
    ]  # fmt: skip
    assert made.sum() == made[2].sum()


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("seed", range(4))
def test_a_polygon_holds_what_its_outline_goes_round(axis: int, seed: int) -> None:
    """Against the angle under which the outline is seen from a voxel: odd turns are inside (even-odd)."""
    flat = [n for a, n in enumerate(SHAPE) if a != axis]
    corners = np.random.default_rng(seed).uniform(-4, np.array(flat) + 4, (7, 2))
    made = done(empty(), fill_polygon(empty(), Plane(axis, 3), corners, 1)).take(3, axis)
    for place in np.ndindex(*flat):
        away = (corners - place) @ (1, 1j)
        turns = np.angle(np.roll(away, -1) / away).sum() / (2 * np.pi)
        assert made[place] == round(turns) % 2


def test_a_polygon_needs_three_corners() -> None:
    with pytest.raises(InputError, match="corners"):
        fill_polygon(empty(), Plane(0, 2), [(1, 1), (1, 5)], 1)
    assert fill_polygon(empty(), Plane(0, 2), [(-9, -9), (-9, -5), (-5, -5)], 1).changed == 0


def classes(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, SHAPE).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_a_fill_takes_the_connected_piece(seed: int) -> None:
    """Against SimpleITK: classes through corners, in 3D and in a slice."""
    array = classes(seed)
    place = tuple(np.argwhere(array == 1)[seed * 7])
    whole = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray((array == 1).astype(np.uint8)), True))
    mask = Mask(array, MM)
    assert np.array_equal(done(mask, fill(mask, place, 9)) == 9, whole == whole[place])
    flat = sitk.GetImageFromArray((array[place[0]] == 1).astype(np.uint8))
    piece = sitk.GetArrayFromImage(sitk.ConnectedComponent(flat, True))
    made = done(mask, fill(mask, place, 9, Plane(0, int(place[0]))))
    assert np.array_equal(made[place[0]] == 9, piece == piece[place[1:]])
    assert (made == 9).sum() == (made[place[0]] == 9).sum()


def test_a_hole_is_filled_and_the_outside_is_not() -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[1:6, 5:20, 5:20] = 1
    array[2:5, 8:15, 8:15] = 0
    array[2:5, 8:15, 11] = 2  # a wall through the hole
    mask = Mask(array, MM)
    made = done(mask, fill(mask, (3, 9, 9), 4))
    assert (made == 4).sum() == 3 * 7 * 3
    assert (made[:, :, 12:] == array[:, :, 12:]).all()
    assert (done(mask, fill(mask, (3, 9, 9), 4, Plane(0, 3))) == 4).sum() == 7 * 3
    for place, plane in (((3, 1, 1), None), ((3, 1, 1), Plane(0, 3)), ((0, 9, 9), Plane(0, 0))):
        with pytest.raises(InputError, match="close the outline"):
            fill(mask, place, 4, plane)
    outside = done(mask, fill(mask, (3, 1, 1), 4, Plane(0, 3), open_too=True))
    assert (outside[3] == 4).sum() == 30 * 24 - 15 * 15
    array[2, 9, 5:8] = 0  # a tunnel to the outside
    with pytest.raises(InputError, match="close the outline"):
        fill(mask, (3, 9, 9), 4)
    with pytest.raises(InputError, match="inside the scan"):
        fill(mask, (3, 99, 9), 4)
    with pytest.raises(InputError, match="slice 3"):
        fill(mask, (2, 9, 9), 4, Plane(0, 3))


def scan(seed: int = 0) -> np.ndarray:
    noise = sitk.GetImageFromArray(np.random.default_rng(seed).normal(0, 400, SHAPE))
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(noise, 1.0)).astype(np.int16)


def grown(mask: Mask, values: np.ndarray, place: tuple[int, ...], tolerance: float, reach: Reach) -> np.ndarray:
    """Return the mask with class 1 grown at one tolerance."""
    levels = flood_levels(mask, values, place, reach, tolerance)
    return done(mask, grow_to(mask, levels, min(tolerance, levels.largest), 1))


@pytest.mark.parametrize("seed", range(3))
def test_a_region_grows_through_near_values(seed: int) -> None:
    """Against SimpleITK's ConnectedThreshold, with what is too far away made unreachable."""
    values, place = scan(seed), (3, 15, 12)
    far = ~ball(SHAPE, place, 8.0 + 1e-6, MM)
    for tolerance in (10, 60, 150):
        image = sitk.GetImageFromArray(np.where(far, 9999, values).astype(np.int32))
        low, high = float(values[place]) - tolerance, float(values[place]) + tolerance
        wanted = sitk.GetArrayFromImage(sitk.ConnectedThreshold(image, [place[::-1]], low, high)) == 1
        assert np.array_equal(grown(empty(), values, place, tolerance, Reach(8.0)) == 1, wanted)


@pytest.mark.parametrize("plane", [None, Plane(0, 3), Plane(2, 12)])
def test_the_live_threshold_is_the_region_at_every_tolerance(plane) -> None:
    """Against scipy's connected components of what is near, within the tolerance and not locked."""
    values, place, reach = scan(5), (3, 15, 12), Reach(9.0, plane)
    array = np.zeros(SHAPE, np.uint8)
    array[:, 18, 8:16] = 7  # a locked wall
    mask = Mask(array, MM, locked={7})
    told: list[tuple[int, int]] = []
    levels = flood_levels(mask, values, place, reach, 300, lambda i, n: told.append((i, n)))
    assert told == [(0, 2), (1, 2), (2, 2)]
    free = ball(SHAPE, place, 9.0 + 1e-6, MM) & (array == 0)
    if plane is not None:
        in_slice = np.zeros(SHAPE, bool)
        np.moveaxis(in_slice, plane.axis, 0)[plane.index] = True
        free &= in_slice
    away = np.abs(values.astype(int) - int(values[place]))
    counts = []
    for tolerance in (0, 5, 20, 33, 80, 150, levels.largest):
        pieces, _ = ndimage.label(free & (away <= tolerance))
        wanted = pieces == pieces[place]
        counts.append(levels.count(tolerance))
        assert counts[-1] == wanted.sum()
        assert np.array_equal(done(mask, grow_to(mask, levels, tolerance, 1)), np.where(wanted, 1, array))
    assert counts == sorted(counts)
    assert counts[0] < counts[-2]
    with pytest.raises(InputError, match="tolerance"):
        levels.count(301)


def test_a_region_does_not_go_through_what_is_locked() -> None:
    """A corridor of one value, with a locked door."""
    values = np.zeros((1, 1, 9), np.int16)
    array = np.array([[[0, 0, 0, 5, 0, 0, 0, 0, 0]]], np.uint8)
    for locked, count in (((), 9), ((5,), 3)):
        mask = Mask(array, (1.0, 1.0, 1.0), locked)
        assert (grown(mask, values, (0, 0, 0), 1.0, Reach(30.0)) == 1).sum() == count
    with pytest.raises(InputError, match="locked"):
        flood_levels(Mask(array, None, (5,)), values, (0, 0, 3), Reach(30.0))
    with pytest.raises(InputError, match="no value"):
        flood_levels(Mask(array), np.full((1, 1, 9), np.nan, np.float32), (0, 0, 3), Reach(30.0))
    with pytest.raises(InputError, match="one channel"):
        flood_levels(Mask(array), np.zeros((1, 1, 9, 3)), (0, 0, 3), Reach(30.0))
