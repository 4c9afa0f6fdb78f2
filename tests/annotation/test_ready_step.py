"""A step that is worked out in a thread is the one that the window would have made."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medcnn.annotation import class_steps
from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.history import History
from napari_medcnn.annotation.ready_step import place_of, ready_mask, ready_step, won
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError

LABELS = LabelSet.for_ids([1, 2, 3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_it_is_what_the_history_makes_of_the_same_change(dtype) -> None:
    array = np.random.default_rng(0).choice([0, 1, 2, 3], (9, 20, 31), p=[0.7, 0.1, 0.1, 0.1]).astype(dtype)
    before = array.copy()
    made = class_steps.merge(LABELS, Mask(array), 2, 3)
    ready = ready_step(made, LABELS, array)
    np.testing.assert_array_equal(array, before)  # nothing is written yet
    voxels = int((before == 2).sum())
    assert ready is not None and dict(ready.counts) == {2: -voxels, 3: voxels}
    array[ready.box] = ready.after
    np.testing.assert_array_equal(array, np.where(before == 2, 3, before))
    history = History()
    whole = tuple(slice(0, n) for n in array.shape)
    step = history.record(made.name, whole, before, array, ready.step.view, ClassChange(LABELS, made.labels))
    assert ready.step == step
    assert before[ready.step.view] == 2  # the place that undo shows is one of those that changed
    kept = History()
    kept.keep(ready.step)
    assert kept.names == ("Class merged: Class 2 into Class 3",) and kept.nbytes == history.nbytes
    kept.undo(array)
    np.testing.assert_array_equal(array, before)


def test_a_class_without_voxels_changes_classes_alone() -> None:
    array = np.zeros((3, 4, 5), np.uint8)
    made = class_steps.delete(LABELS, Mask(array), 2)
    ready = ready_step(made, LABELS, array)
    assert ready is not None and ready.step.changed == 0 and not ready.counts
    assert ready.step.classes == ClassChange(LABELS, made.labels)
    array[ready.box] = ready.after
    assert not array.any()
    assert ready_step(class_steps.ClassStep("Nothing", LABELS), LABELS, array) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_whole_mask_is_what_the_history_makes_of_it_perhaps_with_wider_ids(dtype) -> None:
    random = np.random.default_rng(1)
    array = random.choice([0, 1, 2, 3], (9, 20, 31)).astype(np.uint8)
    after = random.choice([0, 1, 4, 4 if dtype == np.uint8 else 400], array.shape).astype(dtype)
    change = ClassChange(LABELS, LabelSet.for_ids([1, 4]))
    ready = ready_mask("Model: net", array, after, change)
    whole = tuple(slice(0, n) for n in array.shape)
    assert ready is not None
    assert ready.step == History().record("Model: net", whole, array.astype(dtype), after, ready.step.view, change)
    for label in (1, 2, 3, 4, 400):
        assert ready.counts.get(label, 0) == int((after == label).sum()) - int((array == label).sum())
    back = after.copy()
    ready.step.apply(back, backwards=True)
    np.testing.assert_array_equal(back, array)
    assert ready_mask("Model: net", array, array, ClassChange(LABELS, LABELS)) is None
    with pytest.raises(InputError, match="shape"):
        ready_mask("Model: net", array, after[:4, :5], change)


def test_counts_and_places_by_hand() -> None:
    assert won(np.array([1, 1, 0, 300]), np.array([2, 0, 1, 300])) == {1: -1, 2: 1}
    assert won(np.array([1, 1, 0], np.uint8), np.array([2, 2, 2], np.uint8)) == {0: -1, 1: -2, 2: 3}
    assert won(np.array([], np.uint8), np.array([], np.uint8)) == {}
    changed = np.zeros((2, 3, 4), bool)
    assert place_of((slice(5, 7), slice(1, 4), slice(0, 4)), changed) is None
    changed[1, 2, 3] = True
    assert place_of((slice(5, 7), slice(1, 4), slice(0, 4)), changed) == (6, 3, 3)
