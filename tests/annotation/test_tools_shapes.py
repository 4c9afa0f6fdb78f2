"""Margin, smoothing and holes against SimpleITK, brute force and shapes worked out by hand, on an uneven grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial import KDTree

from napari_medcnn.annotation.tools.distance import signed_distance
from napari_medcnn.annotation.tools.holes import fill_holes
from napari_medcnn.annotation.tools.margin import margin
from napari_medcnn.annotation.tools.mask import Mask, Plane
from napari_medcnn.annotation.tools.parts import parts_of
from napari_medcnn.annotation.tools.smooth import smooth
from napari_medcnn.errors import Cancelled, GeometryError, InputError

MM = (5.0, 0.7, 1.3)
SHAPE = (9, 40, 30)


def blobs(shape=SHAPE, seed: int = 0, share: float = 0.5) -> np.ndarray:
    """Return a rough mask: smoothed noise above a level, with pieces, bays and holes, cut by the border."""
    noise = sitk.GetImageFromArray(np.random.default_rng(seed).random(shape))
    smoothed = sitk.GetArrayFromImage(sitk.DiscreteGaussian(noise, 1.5))
    return smoothed > np.quantile(smoothed, share)


def itk(region: np.ndarray, spacing=MM) -> sitk.Image:
    image = sitk.GetImageFromArray(region.astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    return image


def done(mask: Mask, edit) -> np.ndarray:
    array = mask.array.copy()
    edit.apply(array)
    return array


def nearest(region: np.ndarray, spacing=MM) -> np.ndarray:
    """Return the distance of each voxel to the nearest True one, found in a tree of points: no distance map."""
    places = np.argwhere(np.ones(region.shape, bool)) * spacing
    return KDTree(np.argwhere(region) * spacing).query(places)[0].reshape(region.shape)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [0.7, 1.0, 1.4, 2.6, 5.0, 7.3])
def test_a_margin_is_a_distance_in_mm(seed: int, length: float) -> None:
    """Against SimpleITK's distance map and against the nearest of all points."""
    region = blobs(seed=seed, share=0.8)
    mask = Mask(region.astype(np.uint8) * 3, MM)
    out = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(itk(region), insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    )
    wanted = out <= length + 1e-4
    assert np.array_equal(wanted, nearest(region) <= length + 1e-4)  # the oracles agree
    assert np.array_equal(done(mask, margin(mask, 3, length)) == 3, wanted)
    kept = nearest(~region) > length + 1e-4
    assert np.array_equal(done(mask, margin(mask, 3, -length)) == 3, kept)
    assert set(np.unique(done(mask, margin(mask, 3, -length)))) <= {0, 3}


def test_a_margin_by_hand() -> None:
    """2 mm reach 2 voxels of 0.7 mm and one of 1.3 mm, no slice of 5 mm; (1, 1) is 1.48 mm away, (2, 1) is 1.91."""
    array = np.zeros((3, 7, 7), np.uint8)
    array[1, 3, 3] = 1
    grown = done(Mask(array, MM), margin(Mask(array, MM), 1, 2.0))
    assert np.argwhere(grown[0]).size == np.argwhere(grown[2]).size == 0
    assert grown[1].tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


def test_the_scan_border_is_no_outside_and_other_classes_stay() -> None:
    array = np.ones((4, 6, 6), np.uint8)
    assert margin(Mask(array, MM), 1, -3.0).changed == 0
    array[:, 3:] = 2
    assert margin(Mask(array, MM), 1, 3.0).changed == 0
    over = Mask(array, MM, over={2})
    assert done(over, margin(over, 1, 1.4))[0, :, 0].tolist() == [1, 1, 1, 1, 1, 2]


def test_a_margin_in_one_slice_leaves_the_others() -> None:
    region = blobs(share=0.7)
    mask = Mask(region.astype(np.uint8), MM)
    grown = done(mask, margin(mask, 1, 6.0, Plane(0, 4))) == 1
    assert np.array_equal(np.delete(grown, 4, 0), np.delete(region, 4, 0))
    assert np.array_equal(grown[4], nearest(region[4], MM[1:]) <= 6.0 + 1e-4)


def test_unknown_spacing_counts_voxels() -> None:
    array = np.zeros((1, 5, 5), np.uint8)
    array[0, 2, 2] = 1
    assert done(Mask(array), margin(Mask(array), 1, 1.0)).sum() == 5


def test_far_pieces_are_worked_on_apart_with_the_same_result() -> None:
    """Two balls and a stray voxel in 1.9 million voxels: several boxes, and what one box would give."""
    region = np.zeros((60, 180, 180), bool)
    grids = np.ogrid[:60, :180, :180]
    for centre in ((10, 30, 30), (12, 62, 30), (50, 150, 160)):
        region |= sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)) < 64
    region[58, 2, 170] = True
    parts = parts_of(region, (1, 9, 5))
    assert len(parts) > 1
    counted = np.zeros(region.shape, int)
    for part in parts:
        counted[part] += 1
    assert counted.max() == 1
    assert counted[region].all()
    mask = Mask(region.astype(np.uint8), MM)
    out = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(itk(region), False, False, True))
    assert np.array_equal(done(mask, margin(mask, 1, 6.0)) == 1, out <= 6.0 + 1e-4)
    small = sum(np.array_equal(done(mask, smooth(mask, 1, m, 3.0)) == 1, region) for m in ("median", "gaussian"))
    assert small == 0


def test_margin_and_smoothing_tell_their_progress_and_stop() -> None:
    mask = Mask(blobs().astype(np.uint8), MM)
    told: list[tuple[int, int]] = []
    margin(mask, 1, 2.0, progress=lambda i, n: told.append((i, n)))
    smooth(mask, 1, "median", 2.0, progress=lambda i, n: told.append((i, n)))
    assert told == [(0, 1), (1, 1)] * 2

    def stop(_i: int, _n: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        margin(mask, 1, 2.0, progress=stop)


def test_parts_whose_boxes_overlap_are_one() -> None:
    """A spot in the corner of an L: apart from it, but inside its box; and a spot far from both."""
    region = np.zeros((30, 200, 200), bool)
    region[4, 5:150, 5] = region[4, 5, 5:150] = region[4, 140, 140] = region[27, 195, 195] = True
    parts = parts_of(region, (1, 4, 4))
    counted = np.zeros(region.shape, int)
    for part in parts:
        counted[part] += 1
    assert len(parts) == 2
    assert counted.max() == 1
    assert counted[region].all()


@pytest.mark.parametrize("seed", range(3))
def test_opening_and_closing_by_brute_force(seed: int) -> None:
    region = blobs((5, 24, 20), seed)
    mask = Mask(region.astype(np.uint8), MM)
    for radius in (0.7, 1.6, 5.2):
        less = nearest(~region) > radius + 1e-4
        opened = nearest(less) <= radius + 1e-4 if less.any() else less
        more = nearest(region) <= radius + 1e-4
        closed = nearest(~more) > radius + 1e-4 if not more.all() else more
        assert np.array_equal(done(mask, smooth(mask, 1, "opening", radius)) == 1, opened)
        assert np.array_equal(done(mask, smooth(mask, 1, "closing", radius)) == 1, closed)


def test_median_counts_neighbours_within_the_radius() -> None:
    region = blobs((5, 20, 18), 1)
    wide = np.pad(region, 8, mode="edge")
    for radius in (1.4, 5.0):
        offsets = [
            (z, y, x)
            for z in range(-1, 2)
            for y in range(-7, 8)
            for x in range(-4, 5)
            if np.hypot(np.hypot(z * 5.0, y * 0.7), x * 1.3) <= radius + 1e-4
        ]
        count = sum(wide[8 + z : 13 + z, 8 + y : 28 + y, 8 + x : 26 + x].astype(int) for z, y, x in offsets)
        wanted = 2 * count > len(offsets)
        mask = Mask(region.astype(np.uint8), MM)
        assert np.array_equal(done(mask, smooth(mask, 1, "median", radius)) == 1, wanted)


def test_gaussian_against_simpleitk() -> None:
    """ITK's discrete kernel is another one, so voxels whose value is near one half may differ, and no others."""
    region = np.pad(blobs((6, 30, 26), 2), ((3, 3), (12, 12), (8, 8)))
    soft = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.Cast(itk(region), sitk.sitkFloat32), 2.5))
    mask = Mask(region.astype(np.uint8), MM)
    ours = done(mask, smooth(mask, 1, "gaussian", 2.5)) == 1
    clear = np.abs(soft - 0.5) > 0.03
    assert clear.mean() > 0.9
    assert np.array_equal(ours[clear], (soft > 0.5)[clear])


def test_a_picture_is_smoothed_in_its_plane() -> None:
    """A 3x3 cross survives a median of radius 1 in 2D: each arm's end has 2 of 5, the middle 5 of 5."""
    array = np.zeros((1, 5, 5), np.uint8)
    array[0, 2, 1:4] = array[0, 1:4, 2] = 1
    smoothed = done(Mask(array), smooth(Mask(array), 1, "median", 1.0))
    assert np.argwhere(smoothed).tolist() == [[0, 2, 2]]


@pytest.mark.parametrize("seed", range(4))
def test_holes_against_simpleitk(seed: int) -> None:
    region = blobs((7, 30, 28), seed, 0.3)
    mask = Mask(region.astype(np.uint8) * 2, MM)
    filled = done(mask, fill_holes(mask, 2))
    wanted = sitk.GetArrayFromImage(sitk.BinaryFillhole(itk(region), fullyConnected=False)) == 1
    assert wanted.sum() > region.sum()
    assert np.array_equal(filled == 2, wanted)
    for axis in range(3):
        turned = np.moveaxis(region, axis, 0)
        images = [sitk.GetImageFromArray(s.astype(np.uint8)) for s in turned]
        slices = [sitk.GetArrayFromImage(sitk.BinaryFillhole(image)) for image in images]
        wanted = np.moveaxis(np.stack(slices), 0, axis) == 1
        assert np.array_equal(done(mask, fill_holes(mask, 2, axis=axis)) == 2, wanted)
    one = done(mask, fill_holes(mask, 2, plane=Plane(1, 9)))
    assert np.array_equal(one[:, 9], done(mask, fill_holes(mask, 2, axis=1))[:, 9])
    assert np.array_equal(np.delete(one, 9, 1), np.delete(mask.array, 9, 1))


def test_holes_by_hand() -> None:
    """Two holes of 1 and 4 voxels; a class in the larger one stays; a gap at a corner does not open a hole."""
    array = np.zeros((1, 6, 9), np.uint8)
    array[0, 1:4, 1:4] = array[0, 1:5, 4:8] = 1
    array[0, 2, 2] = 0
    array[0, 1, 1] = 0  # the corner: outside, and no neighbour of the hole through a face
    array[0, 2:4, 5:7] = 0
    array[0, 2, 5] = 7
    mask = Mask(array, (1.0, 1.0, 1.0))
    filled = done(mask, fill_holes(mask, 1))
    assert filled[0, 2, 2] == 1
    assert filled[0, 2:4, 5:7].tolist() == [[7, 1], [1, 1]]
    assert filled[0, 1, 1] == 0
    only = done(mask, fill_holes(mask, 1, largest_mm3=1.0))
    assert only[0, 2, 2] == 1
    assert only[0, 3, 5] == 0
    with pytest.raises(GeometryError, match="size of a voxel"):
        fill_holes(Mask(array), 1, largest_mm3=1.0)


def test_signed_distance_has_its_border_between_voxels() -> None:
    line = np.array([[False, False, True, True, False]])
    assert np.allclose(signed_distance(line, (1.0, 0.5)), [[-1.0, -0.5, 0.5, 0.5, -0.5]])


def test_wrong_arguments_are_named() -> None:
    mask = Mask(np.ones((2, 3, 3), np.uint8), MM, locked={1})
    for call in (lambda: margin(mask, 1, 1.0), lambda: fill_holes(mask, 1), lambda: smooth(mask, 1, "median", 1.0)):
        with pytest.raises(InputError, match="locked"):
            call()
    free = Mask(mask.array, MM)
    with pytest.raises(InputError, match="more than 0 mm"):
        smooth(free, 1, "median", 0.0)
    with pytest.raises(InputError, match="margin_mm"):
        margin(free, 1, float("nan"))
    with pytest.raises(InputError, match="method"):
        smooth(free, 1, "mean", 1.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="slice"):
        margin(free, 1, 1.0, Plane(0, 2))
    with pytest.raises(InputError, match="background"):
        fill_holes(free, 0)
    with pytest.raises(GeometryError, match="spacing_mm"):
        Mask(mask.array, (1.0, 0.0, 1.0))
    with pytest.raises(InputError, match="whole numbers"):
        Mask(np.zeros((2, 2, 2)), MM)
    empty = Mask(np.zeros((2, 3, 3), np.int16), MM)
    for edit in (margin(empty, 1, 5.0), smooth(empty, 1, "closing", 5.0), fill_holes(empty, 1)):
        assert edit.changed == 0
