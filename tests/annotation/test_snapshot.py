"""What strokes are found against equals a plain copy of the mask after the last step, whatever was drawn where."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medcnn.annotation.snapshot import Snapshot


@pytest.mark.parametrize("seed", range(4))
def test_a_snapshot_is_a_plain_copy_to_whoever_reads_it(seed):
    rng = np.random.default_rng(seed)
    pristine = rng.integers(0, 9, (7, 6, 5)).astype(np.uint8)[:, ::-1]
    before, copy = pristine.copy(), pristine.copy()
    pristine.setflags(write=False)
    snapshot = Snapshot(pristine)
    for _ in range(40):
        ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in copy.shape]
        box = tuple(slice(int(a), int(b)) for a, b in ends)
        assert np.array_equal(snapshot[box], copy[box])
        values = rng.integers(0, 9, copy[box].shape)
        snapshot[box] = values
        copy[box] = values
        assert np.array_equal(snapshot[:, :, :], copy)
    assert np.array_equal(pristine, before)
    assert not np.array_equal(copy, before)


@pytest.mark.parametrize("drawn", [0, 2, 5])
def test_a_widened_snapshot_holds_what_it_held_and_takes_wider_ids(drawn):
    """Where nothing was copied yet, some slices, or all."""
    pristine = np.full((5, 4, 3), 9, np.uint8)
    snapshot, copy = Snapshot(pristine), pristine.astype(np.uint16)
    box = (slice(0, drawn), slice(0, 4), slice(0, 2))
    snapshot[box] = copy[box] = 7
    snapshot.widen(np.uint16)
    assert snapshot[:, :, :].dtype == np.uint16
    assert np.array_equal(snapshot[:, :, :], copy)
    box = (slice(1, 3), slice(0, 1), slice(0, 3))
    snapshot[box] = copy[box] = 300
    assert np.array_equal(snapshot[:, :, :], copy)
    assert pristine.min() == pristine.max() == 9


def test_only_slices_that_are_drawn_in_are_copied():
    pristine = np.zeros((5, 4, 3), np.uint8)
    snapshot = Snapshot(pristine)
    everything = (slice(None),) * 3
    assert snapshot[everything].base is pristine
    snapshot[(slice(2, 3), slice(0, 4), slice(0, 2))] = 7
    assert pristine.max() == 0
    assert snapshot[(slice(3, 5), slice(None), slice(None))].base is pristine
    assert int(snapshot[everything].sum()) == 7 * 8


def test_a_copy_is_what_boxes_say_and_copies_nothing_inside() -> None:
    random = np.random.default_rng(3)
    pristine = random.integers(0, 5, (6, 7, 8)).astype(np.uint8)
    snapshot, wanted = Snapshot(pristine), pristine.copy()
    np.testing.assert_array_equal(snapshot.copy(), wanted)
    for box in (np.s_[2:4, 1:3, 5:8], np.s_[3:5, :, 0:2], np.s_[0:6, 0:7, 0:1]):
        wanted[box] = random.integers(5, 9, wanted[box].shape)
        snapshot[box] = wanted[box]
        made = snapshot.copy()
        np.testing.assert_array_equal(made, wanted)
        made[:] = 77  # it is an array of its own
        np.testing.assert_array_equal(snapshot.copy(), wanted)
    snapshot.widen(np.uint16)
    np.testing.assert_array_equal(snapshot.copy(), wanted)
    assert snapshot.copy().dtype == np.uint16
