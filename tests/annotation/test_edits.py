"""Edits change what they say and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.annotation import edits
from napari_medcnn.errors import InputError

SHAPE = (6, 20, 22)


def mask(seed: int = 0, classes: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, SHAPE).astype(np.uint8)


corners = st.tuples(*[st.integers(-2, n + 2) for n in SHAPE])
some_edit = st.one_of(
    st.tuples(st.just("give"), corners, st.integers(0, 4)),
    st.tuples(st.just("scatter"), corners, st.integers(0, 4)),
    st.tuples(st.just("model"), corners, st.integers(0, 99)),
)


def make(array: np.ndarray, what, locked=()) -> edits.Edit:
    kind, corner, label = what
    box = tuple(slice(max(0, c), max(0, c) + 5) for c in corner)
    if kind == "model":
        return edits.replace_box(array, box, mask(label)[box], locked)
    region = np.ones(array[box].shape, bool) if kind == "give" else mask(9)[box] > 2
    return edits.give(array, box, region, label, locked)


@given(some_edit)
@settings(max_examples=120, deadline=None)
def test_an_edit_and_its_inverse_are_nothing(what) -> None:
    array = mask()
    edit = make(array, what)
    assert np.array_equal(array, mask())  # pure: nothing happens before apply
    edit.apply(array)
    assert int((array != mask()).sum()) == edit.changed
    edit.inverse.apply(array)
    assert np.array_equal(array, mask())


@given(some_edit, st.integers(0, 4))
@settings(max_examples=120, deadline=None)
def test_locked_classes_neither_lose_nor_win_a_voxel(what, locked: int) -> None:
    array = mask()
    try:
        edit = make(array, what, locked={locked})
    except InputError as error:
        assert "locked" in str(error)
        return
    edit.apply(array)
    assert np.array_equal(array == locked, mask() == locked)


def test_class_ids_never_wrap() -> None:
    """Class 300 in a byte would become 44: refused by every edit (row 44), and nothing is written."""
    array, corner = mask(), (slice(0, 1),) * 3
    with pytest.raises(InputError, match="300 does not fit"):
        edits.give(array, corner, np.ones((1, 1, 1), bool), 300)
    with pytest.raises(InputError, match="300 does not fit"):
        edits.replace_box(array, corner, np.full((1, 1, 1), 300, np.uint16))
    assert np.array_equal(array, mask())
    wide = array.astype(np.uint16)
    edits.give(wide, corner, np.ones((1, 1, 1), bool), 300).apply(wide)
    assert wide[0, 0, 0] == 300
    assert np.array_equal(wide.ravel()[1:], array.ravel()[1:])


def test_wrong_arguments_are_named() -> None:
    array, one = mask(), np.ones((1, 1, 1), bool)
    with pytest.raises(InputError, match="box"):
        edits.give(array, (slice(0, 1),), one, 1)
    with pytest.raises(InputError, match="step"):
        edits.give(array, (slice(0, 4, 2), slice(None), slice(None)), one, 1)
    with pytest.raises(InputError, match="region"):
        edits.give(array, (slice(0, 2),) * 3, one, 1)
    with pytest.raises(InputError, match="class ids"):
        edits.replace_box(array, (slice(0, 2),) * 3, np.ones((2, 2, 2)))
