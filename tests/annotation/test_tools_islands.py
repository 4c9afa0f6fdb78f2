"""Pieces, booleans, thresholds, slices and boxes: against SimpleITK, set arithmetic and masks worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.annotation.tools.brush import Range
from napari_medcnn.annotation.tools.combine import combine, copy_slice, threshold
from napari_medcnn.annotation.tools.islands import (
    give_piece,
    keep_largest,
    keep_piece,
    pieces,
    remove_piece,
    remove_small,
    split,
)
from napari_medcnn.annotation.tools.mask import Mask, Plane
from napari_medcnn.annotation.tools.model import accept_model, reject_model
from napari_medcnn.errors import GeometryError, InputError

MM = (5.0, 0.7, 1.3)
SHAPE = (7, 30, 24)
VOXEL = 5.0 * 0.7 * 1.3


def done(mask: Mask, edit) -> np.ndarray:
    array = mask.array.copy()
    edit.apply(array)
    return array


def specks(seed: int, share: float = 0.85) -> Mask:
    """Return a mask of class 2 with pieces of many sizes, and class 1 elsewhere here and there."""
    rng = np.random.default_rng(seed)
    array = np.where(rng.random(SHAPE) > share, 2, 0).astype(np.uint16)
    array[(rng.random(SHAPE) > 0.9) & (array == 0)] = 1
    return Mask(array, MM)


def components(region: np.ndarray) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(region.astype(np.uint8)), True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("plane", [None, Plane(0, 3), Plane(1, 11), Plane(2, 5)])
def test_pieces_against_simpleitk(seed: int, plane: Plane | None) -> None:
    mask = specks(seed)
    region = mask.array == 2
    if plane is not None:
        only = np.zeros_like(region)
        only[plane.box(SHAPE)] = region[plane.box(SHAPE)]
        region = only
    theirs = components(region)
    found = pieces(mask, 2, plane)
    whole = np.zeros(SHAPE, int)
    whole[found.box] = found.numbers
    # the same pieces under other numbers
    pairs = set(zip(theirs.ravel().tolist(), whole.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(found) + 1
    sizes = np.bincount(whole.ravel())[1:]
    assert found.voxels.tolist() == sizes.tolist() == sorted(sizes, reverse=True)
    for row in found.table(5):
        places = np.argwhere(whole == row.number)
        assert row.voxels == len(places)
        assert row.volume_mm3 == pytest.approx(len(places) * VOXEL)
        assert row.centre == pytest.approx(places.mean(axis=0))
        assert [(p.start, p.stop) for p in row.box] == list(
            zip(places.min(axis=0).tolist(), (places.max(axis=0) + 1).tolist(), strict=True)
        )


@pytest.mark.parametrize("seed", range(3))
def test_the_clicked_piece_is_kept_removed_or_given(seed: int) -> None:
    mask = specks(seed)
    theirs = components(mask.array == 2)
    place = tuple(np.argwhere(mask.array == 2)[31])
    clicked = theirs == theirs[place]
    kept = np.where((mask.array == 2) & ~clicked, 0, mask.array)
    assert np.array_equal(done(mask, keep_piece(mask, place)), kept)
    assert np.array_equal(done(mask, remove_piece(mask, place)), np.where(clicked, 0, mask.array))
    assert np.array_equal(done(mask, give_piece(mask, place, 5)), np.where(clicked, 5, mask.array))
    flat = components(mask.array[:, place[1] : place[1] + 1] == 2)
    here = flat == flat[place[0], 0, place[2]]
    wanted = mask.array.copy()
    wanted[:, place[1] : place[1] + 1][here] = 0
    assert np.array_equal(done(mask, remove_piece(mask, place, Plane(1, int(place[1])))), wanted)


@pytest.mark.parametrize("seed", range(3))
def test_sizes_decide_what_stays(seed: int) -> None:
    mask = specks(seed)
    theirs = components(mask.array == 2)
    sizes = np.bincount(theirs.ravel())
    sizes[0] = 0
    for limit in (2, 5, 9):
        wanted = np.where((mask.array == 2) & (sizes[theirs] < limit), 0, mask.array)
        assert np.array_equal(done(mask, remove_small(mask, 2, minimum_voxels=limit)), wanted)
        assert np.array_equal(done(mask, remove_small(mask, 2, limit * VOXEL)), wanted)
    largest = done(mask, keep_largest(mask, 2)) == 2
    assert largest.sum() == sizes.max()
    assert len(np.unique(theirs[largest])) == 1
    with pytest.raises(GeometryError, match="voxels"):
        remove_small(Mask(mask.array), 2, 100.0)
    with pytest.raises(InputError, match="either"):
        remove_small(mask, 2)


def test_split_gives_each_piece_a_class() -> None:
    array = np.zeros((1, 4, 12), np.uint8)
    array[0, 0, :2] = array[0, 3, :5] = array[0, 0, 6:9] = 4
    array[0, 1, 2] = 4  # joined by a corner
    mask = Mask(array, MM)
    made = done(mask, split(mask, 4, [7, 9, 11]))
    assert made[0, 3, :5].tolist() == [4] * 5
    assert made[0, 0].tolist() == [7, 7, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0] or made[0, 0, 6:9].tolist() == [7] * 3
    assert sorted(np.bincount(made.ravel())[[4, 7, 9]].tolist()) == [3, 3, 5]
    assert made[0, 1, 2] == made[0, 0, 0]
    with pytest.raises(InputError, match="3 pieces"):
        split(mask, 4, [7])
    with pytest.raises(InputError, match="different"):
        split(mask, 4, [7, 7])
    with pytest.raises(InputError, match="does not fit"):
        split(mask, 4, [7, 700])


def test_pieces_of_nothing_and_of_locked_classes() -> None:
    mask = Mask(np.zeros(SHAPE, np.int16), MM)
    assert len(pieces(mask, 3)) == 0
    assert pieces(mask, 3).table() == ()
    for edit in (keep_largest(mask, 3), remove_small(mask, 3, 5.0), split(mask, 3, [4])):
        assert edit.changed == 0
    with pytest.raises(InputError, match="no class"):
        keep_piece(mask, (0, 0, 0))
    with pytest.raises(InputError, match="background"):
        pieces(mask, 0)
    locked = Mask(np.full(SHAPE, 3, np.int16), MM, {3})
    for call in (lambda: keep_piece(locked, (0, 0, 0)), lambda: keep_largest(locked, 3), lambda: split(locked, 3, [4])):
        with pytest.raises(InputError, match="locked"):
            call()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("locked", [(), (3,)])
def test_booleans_are_set_arithmetic(seed: int, locked) -> None:
    rng = np.random.default_rng(seed)
    array, other = rng.integers(0, 4, SHAPE).astype(np.uint8), rng.integers(0, 4, SHAPE).astype(np.int32)
    mask = Mask(array, MM, locked)
    ours = {tuple(p) for p in np.argwhere(array == 1)}
    theirs = {tuple(p) for p in np.argwhere(other == 2)}
    fixed = {tuple(p) for p in np.argwhere(np.isin(array, locked))}
    for how, wanted in (
        ("union", ours | (theirs - fixed)),
        ("intersect", ours & theirs),
        ("subtract", ours - theirs),
    ):
        made = done(mask, combine(mask, 1, other, 2, how))
        assert {tuple(p) for p in np.argwhere(made == 1)} == wanted
        rest = np.ones(SHAPE, bool)
        for place in wanted ^ ours:
            rest[place] = False
        assert np.array_equal(made[rest], array[rest])
        assert all(made[place] == 0 for place in ours - wanted)


def test_booleans_with_nothing() -> None:
    array = np.ones(SHAPE, np.uint8)
    mask = Mask(array, MM)
    assert combine(mask, 1, array, 9, "union").changed == 0
    assert combine(mask, 1, array, 9, "subtract").changed == 0
    assert combine(mask, 1, array, 9, "intersect").changed == array.size
    assert combine(mask, 5, array, 1, "union").changed == array.size
    for call in (
        lambda: combine(mask, 1, array[:2], 9, "union"),
        lambda: combine(mask, 1, array, 9, "xor"),  # type: ignore[arg-type]
        lambda: combine(mask, 0, array, 1, "union"),
        lambda: combine(Mask(array, MM, {1}), 5, array, 1, "union"),
    ):
        with pytest.raises(InputError):
            call()


def test_a_threshold_becomes_a_class() -> None:
    scan = np.random.default_rng(0).normal(0, 100, SHAPE)
    scan[0, 0, 0] = np.nan
    mask = specks(1)
    inside = (scan >= -20) & (scan <= 60)
    assert np.array_equal(
        done(mask, threshold(mask, scan, Range(-20, 60), 3)), np.where(inside & (mask.array == 0), 3, mask.array)
    )
    box = (slice(1, 4), slice(5, 90), slice(0, 10))
    wanted = mask.array.copy()
    wanted[box][(inside & (mask.array == 0))[box]] = 3
    assert np.array_equal(done(mask, threshold(mask, scan, Range(-20, 60), 3, box)), wanted)
    assert np.array_equal(
        done(mask, threshold(mask, scan, Range(-20, 60), 3, inside=2)),
        np.where(inside & (mask.array == 2), 3, mask.array),
    )
    erased = done(Mask(mask.array, MM, {1}), threshold(Mask(mask.array, MM, {1}), scan, Range(-20, np.inf), 0))
    assert np.array_equal(erased, np.where((scan >= -20) & (mask.array == 2), 0, mask.array))
    assert threshold(mask, scan, Range(9000, 9001), 3).changed == 0
    assert threshold(mask, scan, Range(-20, 60), 3, inside=8).changed == 0
    with pytest.raises(InputError, match="locked"):
        threshold(Mask(mask.array, MM, {2}), scan, Range(-20, 60), 3, inside=2)


@pytest.mark.parametrize("axis", range(3))
def test_a_slice_is_copied(axis: int) -> None:
    mask = specks(3)
    source, target = mask.array.take(2, axis), mask.array.take(3, axis)
    made = done(mask, copy_slice(mask, Plane(axis, 2), 3))
    assert np.array_equal(np.delete(made, 3, axis), np.delete(mask.array, 3, axis))
    assert np.array_equal(made.take(3, axis), np.where(target == 0, source, target))
    one = done(mask, copy_slice(mask, Plane(axis, 2), 3, [2], replace=True)).take(3, axis)
    wanted = np.where(target == 2, 0, target)
    assert np.array_equal(one, np.where((source == 2) & (wanted == 0), 2, wanted))
    locked = Mask(mask.array, MM, {2})
    assert np.array_equal(done(locked, copy_slice(locked, Plane(axis, 2), 3)) == 2, mask.array == 2)
    with pytest.raises(InputError, match="locked"):
        copy_slice(locked, Plane(axis, 2), 3, [2])
    with pytest.raises(InputError, match="slice"):
        copy_slice(mask, Plane(axis, 2), 99)
    empty = Mask(np.zeros(SHAPE, np.uint8), MM)
    assert copy_slice(empty, Plane(axis, 2), 3).changed == 0


def test_the_model_is_accepted_and_rejected_in_a_box() -> None:
    rng = np.random.default_rng(4)
    array, other = rng.integers(0, 4, SHAPE).astype(np.uint8), rng.integers(0, 4, SHAPE).astype(np.int16)
    mask, box = Mask(array, MM, {3}), (slice(2, 5), slice(-4, 12), slice(3, 99))
    inside = np.zeros(SHAPE, bool)
    inside[2:5, :12, 3:] = True
    wanted = np.where(inside & (array != 3) & (other != 3), other, array)
    assert np.array_equal(done(mask, accept_model(mask, box, other)), wanted)
    assert np.array_equal(done(mask, reject_model(mask, box, Snapshot(other))), wanted)
    one = np.where((other == 1) | (array == 1), wanted, array)
    assert np.array_equal(done(mask, accept_model(mask, box, other, [1])), one)
    free = Mask(array, MM)
    accept_model(free, box, other).apply(changed := array.copy())
    reject_model(Mask(changed, MM), box, array).apply(changed)
    assert np.array_equal(changed, array)
    assert accept_model(free, (slice(0, 0),) * 3, other).changed == accept_model(free, box, array).changed == 0
    with pytest.raises(InputError, match="model's mask"):
        accept_model(mask, box, other[:3])
    with pytest.raises(InputError, match="does not fit"):
        accept_model(mask, box, np.full(SHAPE, 300))
