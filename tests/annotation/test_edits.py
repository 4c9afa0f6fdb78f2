"""Edits change what they say and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import ANISOTROPIC_MM, ball
from napari_medcnn.annotation import edits
from napari_medcnn.errors import GeometryError, InputError

SHAPE = (6, 20, 22)


def mask(seed: int = 0, classes: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, SHAPE).astype(np.uint8)


centres = st.tuples(*[st.floats(-3, n + 3) for n in SHAPE])
some_edit = st.one_of(
    st.tuples(st.just("ball"), centres, st.floats(0, 12), st.integers(0, 4)),
    st.tuples(st.just("erase"), centres, st.floats(0, 12), st.just(0)),
    st.tuples(st.just("box"), centres, st.floats(0, 12), st.integers(0, 4)),
    st.tuples(st.just("relabel"), centres, st.integers(0, 4), st.integers(0, 4)),
    st.tuples(st.just("model"), centres, st.floats(0, 12), st.integers(0, 99)),
)


def make(array: np.ndarray, what, locked=()) -> edits.Edit:
    kind, centre, size, label = what
    box = tuple(slice(max(0, int(c)), max(0, int(c)) + 5) for c in centre)
    if kind == "ball":
        return edits.paint_ball(array, centre, size, ANISOTROPIC_MM, label, locked)
    if kind == "erase":
        return edits.erase_ball(array, centre, size, ANISOTROPIC_MM, locked)
    if kind == "box":
        return edits.fill_box(array, box, label, locked)
    if kind == "relabel":
        return edits.relabel(array, size, label, locked)
    return edits.replace_box(array, box, mask(label)[box], locked)


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


@pytest.mark.parametrize("spacing", [ANISOTROPIC_MM, (1.0, 1.0, 1.0), (0.7, 3.0, 0.8)])
def test_a_ball_is_round_in_millimetres(spacing) -> None:
    """Against a ball computed over the whole grid; 4.001 avoids voxels that lie on the boundary."""
    array = np.zeros(SHAPE, np.uint8)
    centre = (2.3, 9.0, 12.6)
    edits.paint_ball(array, centre, 4.001, spacing, 3).apply(array)
    assert np.array_equal(array, 3 * ball(SHAPE, centre, 4.001, spacing).astype(np.uint8))


def test_the_boundary_belongs_to_the_ball() -> None:
    array = np.zeros((1, 1, 9), np.uint8)
    edits.paint_ball(array, (0, 0, 4), 2.0, (5.0, 1.0, 1.0), 1).apply(array)
    assert array.ravel().tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    assert edits.paint_ball(array, (0, 0, 40), 2.0, (5.0, 1.0, 1.0), 1).changed == 0


def test_relabel_moves_a_class() -> None:
    array = mask()
    edits.relabel(array, 2, 4).apply(array)
    before = mask()
    before[before == 2] = 4
    assert np.array_equal(array, before)


def test_class_ids_never_wrap() -> None:
    """Class 300 in a byte: refused by the edit, and `widened` makes room without changing an id (row 44)."""
    array = mask()
    with pytest.raises(InputError, match="300 does not fit"):
        edits.fill_box(array, (slice(0, 1),) * 3, 300)
    wide = edits.widened(array, 300)
    assert wide.dtype == np.uint16
    edits.fill_box(wide, (slice(0, 1),) * 3, 300).apply(wide)
    assert wide[0, 0, 0] == 300
    assert np.array_equal(wide.ravel()[1:], array.ravel()[1:])
    assert edits.widened(array, 255) is array
    with pytest.raises(InputError, match="65535"):
        edits.widened(array, 70000)


def test_wrong_arguments_are_named() -> None:
    array = mask()
    with pytest.raises(GeometryError, match="spacing_mm"):
        edits.paint_ball(array, (0, 0, 0), 1.0, (1.0, 0.0, 1.0), 1)
    with pytest.raises(InputError, match="radius"):
        edits.paint_ball(array, (0, 0, 0), float("nan"), (1.0, 1.0, 1.0), 1)
    with pytest.raises(InputError, match="box"):
        edits.fill_box(array, (slice(0, 1),), 1)
    with pytest.raises(InputError, match="step"):
        edits.fill_box(array, (slice(0, 4, 2), slice(None), slice(None)), 1)
    with pytest.raises(InputError, match="region"):
        edits.give(array, (slice(0, 2),) * 3, np.ones((1, 1, 1), bool), 1)
    with pytest.raises(InputError, match="class ids"):
        edits.replace_box(array, (slice(0, 2),) * 3, np.ones((2, 2, 2)))
