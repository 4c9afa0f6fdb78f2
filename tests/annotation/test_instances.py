"""Ids of pieces that last: a mask worked out by hand, scipy as oracle for the pieces, edits and their inverse."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_medcnn.annotation import instances
from napari_medcnn.annotation.instances import Instances, KeptInstances, listed
from napari_medcnn.annotation.tools.islands import pieces
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError

MM = (5.0, 0.7, 1.3)
SHAPE = (3, 5, 12)
SMALL = (2, 4, 5)
MASKS = hnp.arrays(np.uint8, SMALL, elements=st.sampled_from([0, 0, 1, 2]))


def look(array: np.ndarray, before: Instances | None = None, label: int = 2) -> Instances:
    return listed(pieces(Mask(array, MM), label), array.shape, before)


def id_map(array: np.ndarray, found: Instances, label: int = 2) -> np.ndarray:
    """Return the id of every voxel of a class; pieces are those of scipy, found by the places that were told."""
    numbers, count = ndimage.label(array == label, np.ones((3, 3, 3)))
    assert count == len(found)
    ids = np.zeros(count + 1, int)
    for each, place in zip(found.ids.tolist(), found.places.tolist(), strict=True):
        assert numbers[tuple(place)] and not ids[numbers[tuple(place)]]
        ids[numbers[tuple(place)]] = each
    assert np.bincount(numbers.ravel())[1:].tolist() == [
        dict(zip(found.ids.tolist(), found.voxels.tolist(), strict=True))[each] for each in ids[1:]
    ]
    return ids[numbers]


def told(found: Instances) -> list[tuple[int, int]]:
    return list(zip(found.ids.tolist(), found.voxels.tolist(), strict=True))


def test_by_hand_on_an_anisotropic_grid() -> None:
    """A bar of 10 and a block of 6: cut, erased, drawn, joined."""
    array = np.zeros(SHAPE, np.uint8)
    array[0, 0, 0:10] = 2
    array[1:3, 3:5, 0:3] = 2
    array[1:3, 4:5, 0:3] = 0
    first = look(array)
    assert told(first) == [(1, 10), (2, 6)] and first.next_id == 3
    assert first.places.tolist() == [[0, 0, 4], [1, 3, 1]]  # the middle of 0 to 9 is 4.5, even is rounded to
    array[0, 0, 3] = 0  # 3 and 6 are left of the bar
    cut = look(array, first)
    assert told(cut) == [(1, 6), (2, 6), (3, 3)]
    array[1:3, 3, 0:3] = 0  # the block goes
    gone = look(array, cut)
    assert told(gone) == [(1, 6), (3, 3)]
    array[2, 4, 9:12] = 2  # another one comes, and never gets the number of the block
    assert told(look(array, gone)) == [(1, 6), (3, 3), (4, 3)]
    array[0, 0, 3] = 2  # the bar is whole again
    joined = look(array, look(array, gone))
    assert told(joined) == [(1, 10), (4, 3)] and joined.next_id == 5
    array[1, 3, 9] = array[1, 1, 9] = array[1, 2, 9] = 2  # a bridge between bar (10) and the late piece (3)
    assert told(look(array, joined)) == [(1, 16)]


def test_the_larger_contribution_wins_and_ties_go_to_the_lower_id() -> None:
    array = np.zeros((1, 1, 9), np.uint8)
    array[0, 0, [0, 1, 4, 5, 8]] = 2
    before = look(array)
    assert told(before) == [(1, 2), (2, 2), (3, 1)]
    joined = array.copy()
    joined[0, 0, 2:4] = 2
    assert told(look(joined, before)) == [(1, 6), (3, 1)]  # two of 1, two of 2
    less = np.zeros_like(array)
    less[0, 0, 1:7] = 2
    assert told(look(less, before)) == [(2, 6)]  # one of 1, two of 2
    moved = np.zeros_like(array)
    moved[0, 0, 2:4] = 2
    assert told(look(moved, before)) == [(4, 2)]  # nothing in common with any
    # undo of the tie: the voxels are those that were listed first
    assert told(look(array, look(joined, before))) == told(before)


@given(st.lists(MASKS, min_size=2, max_size=6))
def test_ids_are_of_one_piece_and_follow_the_most_common_voxels(masks: list[np.ndarray]) -> None:
    seen: dict[bytes, np.ndarray] = {}
    found, top, before = None, 0, None
    for array in masks:
        found = look(array, found)
        ids = id_map(array, found)
        assert len(set(found.ids.tolist())) == len(found) and found.next_id > max(found.ids.tolist(), default=0)
        key = (array == 2).tobytes()
        if key in seen:
            np.testing.assert_array_equal(ids, seen[key])
        elif before is not None:
            fresh = set(found.ids.tolist()) - set(np.unique(before).tolist())
            assert all(each > top for each in fresh)  # no number is given a second time
            for each in fresh:  # whatever it meets, an id there went to a piece that has at least as much of it
                for old in set(before[ids == each].tolist()) - {0}:
                    mine = np.count_nonzero((ids == each) & (before == old))
                    assert np.count_nonzero((ids == old) & (before == old)) >= mine
        seen[key], before, top = ids, ids, max(top, found.next_id - 1)
        assert found.next_id - 1 >= top


@given(MASKS, st.lists(MASKS, min_size=1, max_size=4))
def test_an_edit_and_its_inverse_give_the_same_ids(start: np.ndarray, edits: list[np.ndarray]) -> None:
    arrays = [start, *edits]
    found, ids = None, []
    for array in arrays:
        found = look(array, found)
        ids.append(id_map(array, found))
    for array, there in reversed(list(zip(arrays, ids, strict=True))):
        found = look(array, found)
        np.testing.assert_array_equal(id_map(array, found), there)


@given(MASKS, MASKS)
def test_common_voxels_against_a_count_of_all(one: np.ndarray, other: np.ndarray) -> None:
    first, second = pieces(Mask(one), 2), pieces(Mask(other), 2)
    runs = [instances._runs_of(each, SMALL) for each in (first, second)]
    again = instances._Runs.unpacked(runs[0].packed())
    found = zip(*(each.tolist() for each in instances._common(again, runs[1], len(second))), strict=True)
    whole = np.zeros((2, *SMALL), int)
    for numbers, each in zip(whole, (first, second), strict=True):
        numbers[each.box] = each.numbers
    pairs = whole[:, (whole > 0).all(axis=0)].T - 1
    expected, counts = np.unique(pairs, axis=0, return_counts=True)
    assert list(found) == [(*pair, n) for pair, n in zip(expected.tolist(), counts.tolist(), strict=True)]


@given(MASKS)
def test_a_place_is_a_voxel_of_the_piece_nearest_to_its_middle(array: np.ndarray) -> None:
    found = look(array)
    ids = id_map(array, found)
    for each, place in zip(found.ids.tolist(), found.places, strict=True):
        voxels = np.argwhere(ids == each)
        far = ((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1)
        assert ((place - voxels.mean(axis=0)) ** 2).sum() == pytest.approx(far.min())


def test_an_empty_class_and_another_shape() -> None:
    array = np.zeros(SHAPE, np.uint8)
    nothing = look(array)
    assert len(nothing) == 0 and nothing.places.shape == (0, 3) and nothing.next_id == 1
    array[0, 0, 0] = 2
    assert told(look(array, nothing)) == [(1, 1)]
    assert told(look(np.zeros(SHAPE, np.uint8), look(array, nothing))) == []
    with pytest.raises(InputError, match="expected a mask of shape"):
        look(np.zeros((1, 2, 3), np.uint8), nothing)


def test_a_hundred_thousand_pieces_take_seconds_and_little_memory() -> None:
    rng = np.random.default_rng(0)
    array = (rng.random((60, 400, 400)) > 0.975).astype(np.uint8) * 2
    first = look(array)
    assert len(first) > 100_000
    array[30] = 0
    found = pieces(Mask(array), 2)
    tracemalloc.start()
    begun = time.thread_time()
    second = listed(found, array.shape, first)
    seconds, (kept, peak) = time.thread_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 60 and kept < 15e6 and peak < 200e6
    same = np.isin(first.ids, second.ids)
    assert 0.9 < same.mean() < 1 and len(second.ids) == len(np.unique(second.ids))


def test_only_so_many_listings_are_remembered(monkeypatch) -> None:
    monkeypatch.setattr(instances, "KNOWN_BYTES", 1000)
    array, found = np.zeros((1, 1, 40), np.uint8), None
    for at in range(0, 40, 2):
        array[0, 0, at] = 2
        found = look(array, found)
        assert len(found._known) <= 4 and found._known[-1][1] is found.ids
    assert sorted(found.ids.tolist()) == list(range(1, 21))


def test_listings_go_and_come_with_their_class() -> None:
    kept, here = KeptInstances(), LabelSet.from_names(["a", "lesion"])
    kept.follow(here)
    first = look(np.full(SHAPE, 2, np.uint8))
    kept.keep(2, first)
    kept.follow(here.without(2))
    assert kept.of(2) is None
    kept.follow(LabelSet.from_names(["a", "vessel"]))  # another class with the number that became free
    assert kept.of(2) is None and kept.of(1) is None
    kept.follow(here.without(2))
    kept.follow(here)
    assert kept.of(2) is first
    kept.follow(LabelSet.from_names(["a", "tumour"]))  # only another name
    assert kept.of(2) is first
    kept.forget()
    assert kept.of(2) is None
