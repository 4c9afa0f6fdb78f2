"""Undo and redo: always back to exactly what was, inside the limit in bytes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.annotation.history import History, Step
from napari_medcnn.errors import InputError, ProjectError

SHAPE = (5, 7, 9)


def boxes(shape=SHAPE):
    def axis(n: int):
        return st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(
            lambda t: slice(min(t[0], t[1] - 1), max(t[0] + 1, t[1]))
        )

    return st.tuples(*[axis(n) for n in shape])


operations = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), boxes(), st.integers(0, 300)),
        st.tuples(st.just("scatter"), boxes(), st.integers(0, 2**31)),
        st.tuples(st.just("undo"), st.just(None), st.just(0)),
        st.tuples(st.just("redo"), st.just(None), st.just(0)),
    ),
    max_size=25,
)


@given(operations)
@settings(max_examples=60, deadline=None)
def test_random_work_is_undone_and_redone_exactly(todo) -> None:
    """Against a plain list of whole copies, the simplest history there is."""
    array = np.zeros(SHAPE, np.uint16)
    snapshot = array.copy()
    history = History()
    past, future = [array.copy()], []
    for kind, box, value in todo:
        if kind == "undo":
            step = history.undo(array)
            assert (step is None) == (len(past) == 1)
            if step:
                future.append(past.pop())
                snapshot[step.box] = array[step.box]
        elif kind == "redo":
            step = history.redo(array)
            assert (step is None) == (not future)
            if step:
                past.append(future.pop())
                snapshot[step.box] = array[step.box]
        else:
            if kind == "fill":
                array[box] = value
            else:
                array[box] = np.random.default_rng(value).integers(0, 4, array[box].shape)
            if history.record_change(kind, array, snapshot, box) is not None:
                past.append(array.copy())
                future.clear()
        assert np.array_equal(array, past[-1])
        assert np.array_equal(snapshot, array)
        assert len(history.names) == len(past) - 1
    while history.undo(array):
        past.pop()
        assert np.array_equal(array, past[-1])
    assert not array.any()


def test_a_step_says_what_changed_and_where_to_look() -> None:
    array, snapshot = np.zeros((4, 6, 8), np.uint8), np.zeros((4, 6, 8), np.uint8)
    array[2, 1:4, 3:6] = 7
    history = History()
    step = history.record_change("Brush", array, snapshot, (slice(0, 99), slice(None), slice(None)))
    assert step is not None
    assert (step.name, step.changed) == ("Brush", 9)
    assert step.box == (slice(2, 3), slice(1, 4), slice(3, 6))
    assert step.view == (2, 2, 4)
    assert history.undo(array) is step
    assert not array.any()


def test_nothing_changed_is_no_step_and_keeps_redo() -> None:
    array, snapshot, history = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8), History()
    everything = (slice(None),) * 3
    array[0, 0, 0] = 1
    history.record_change("one", array, snapshot, everything)
    history.undo(array)
    snapshot[:] = array
    assert history.record_change("none", array, snapshot, everything) is None
    assert history.can_redo
    assert history.redo_names == ("one",)


def test_views_of_another_order_are_written_through() -> None:
    """The mask on screen is a flipped and transposed view of the one that is saved."""
    stored = np.zeros((3, 4, 5), np.uint8)
    shown = stored.transpose(2, 0, 1)[::-1, :, ::-1]
    snapshot, history = shown.copy(), History()
    shown[1:3, 1, 2:] = 5
    history.record_change("Brush", shown, snapshot, (slice(None),) * 3)
    assert stored.sum() == 5 * 4
    history.undo(shown)
    assert not stored.any()


def test_memory_stays_under_the_limit_and_the_oldest_goes_first() -> None:
    """10,000 strokes, bounded memory, undo right for what is left (row 43)."""
    rng = np.random.default_rng(0)
    array = np.zeros((6, 64, 64), np.uint8)
    snapshot, history = array.copy(), History(cap_bytes=200_000)
    copies = []
    for k in range(10_000):
        z, y, x = rng.integers(0, (6, 56, 56))
        box = (slice(z, z + 1), slice(y, y + 8), slice(x, x + 8))
        array[box] = (k % 250) + 1
        step = history.record_change(f"stroke {k}", array, snapshot, box)
        assert step is not None
        assert history.nbytes <= 200_000
        copies = copies[-400:] + [array.copy()]
    kept = len(history.names)
    assert kept + history.dropped == 10_000
    assert 100 < kept < 400
    assert history.names[-1] == "stroke 9999"
    for back in range(kept):
        assert np.array_equal(array, copies[-1 - back])
        assert history.undo(array) is not None
        assert history.nbytes <= 200_000
    assert history.undo(array) is None


def test_a_step_above_the_limit_leaves_no_gap() -> None:
    array, history = np.zeros((4, 32, 32), np.uint8), History(cap_bytes=1500)
    snapshot, everything = array.copy(), (slice(None),) * 3
    array[0, 0, 0] = 1
    history.record_change("small", array, snapshot, everything)
    array[:] = np.random.default_rng(1).integers(0, 255, array.shape)
    step = history.record_change("noise", array, snapshot, everything)
    assert step is not None  # the journal still gets it
    assert not history.can_undo
    assert history.nbytes == 0
    assert np.array_equal(array, snapshot)


@pytest.mark.slow
def test_a_hundred_large_steps_on_a_whole_scan() -> None:
    """512 x 512 x 300: a hundred organ-sized changes fit the default limit and each comes back."""
    array = np.zeros((300, 512, 512), np.uint8)
    snapshot, history = array.copy(), History()
    y, x = np.ogrid[:512, :512]
    started = time.monotonic()
    for k in range(100):
        centre = (100 + 3 * k % 300, 120 + 5 * k % 280)
        disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 90**2
        box = (slice(2 * k, 2 * k + 10), slice(None), slice(None))
        array[box][:, disc] = k % 5 + 1
        assert history.record_change("Organ", array, snapshot, box)
    assert len(history.names) == 100
    assert history.nbytes < 64 * 1024 * 1024
    assert time.monotonic() - started < 60
    while history.undo(array):
        pass
    assert not array.any()


def test_a_step_of_another_case_is_refused_and_changes_nothing() -> None:
    history, array = History(), np.ones((4, 4, 4), np.uint8)
    history.record("x", (slice(3, 4), slice(0, 4), slice(0, 4)), np.zeros((1, 4, 4), np.uint8), array[:1])
    small = np.full((2, 4, 4), 9, np.uint8)
    with pytest.raises(ProjectError, match="another mask"):
        history.undo(small)
    assert (small == 9).all()
    assert history.can_undo
    history.clear()
    assert not history.can_undo
    assert history.nbytes == 0


def test_a_class_beyond_the_type_never_wraps() -> None:
    """Class 300 written back into a byte would become 44 (row 44)."""
    box = (slice(0, 1), slice(0, 1), slice(0, 1))
    step = Step.of("x", box, np.array([[[300]]], np.uint16), np.array([[[1]]], np.uint16))
    assert step is not None
    narrow = np.ones((1, 1, 1), np.uint8)
    with pytest.raises(ProjectError, match="300 does not fit into uint8"):
        step.apply(narrow, backwards=True)
    assert narrow[0, 0, 0] == 1
    wide = np.ones((1, 1, 1), np.uint16)
    step.apply(wide, backwards=True)
    assert wide[0, 0, 0] == 300


def test_reversed_step_does_what_undo_does() -> None:
    rng = np.random.default_rng(3)
    before, after = (rng.integers(0, 3, (3, 5, 7)).astype(np.uint8) for _ in range(2))
    step = Step.of("x", tuple(slice(0, n) for n in before.shape), before, after)
    assert step is not None
    array = after.copy()
    step.reversed().apply(array)
    assert np.array_equal(array, before)
    step.reversed().reversed().apply(array)
    assert np.array_equal(array, after)


def test_wrong_arguments_are_named() -> None:
    history = History()
    with pytest.raises(InputError, match="snapshot"):
        history.record_change("x", np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int), (slice(None),) * 3)
    with pytest.raises(InputError, match="fill"):
        history.record("x", (slice(0, 2),) * 3, np.zeros((2, 2, 2), int), np.zeros((2, 2, 1), int))
    with pytest.raises(InputError, match="whole numbers"):
        history.record("x", (slice(0, 1),) * 3, np.zeros((1, 1, 1)), np.ones((1, 1, 1)))
    with pytest.raises(InputError, match="cap_bytes"):
        History(0)


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_a_damaged_payload_is_a_named_error(payload: bytes) -> None:
    step = Step("x", (slice(0, 2), slice(0, 2), slice(0, 2)), (0, 0, 0), "|u1", 3, payload)
    array = np.zeros((2, 2, 2), np.uint8)
    with pytest.raises(ProjectError, match="damaged"):
        step.apply(array)
    assert not array.any()
