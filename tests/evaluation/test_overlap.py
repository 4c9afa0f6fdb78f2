"""Overlap against numbers by hand and against SimpleITK."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import surface_pair
from napari_medcnn.errors import InputError
from napari_medcnn.evaluation import overlap


def test_by_hand() -> None:
    """Six voxels: reference 1 1 1 0 2 2, predicted 1 0 1 1 2 0."""
    reference = np.array([[[1, 1, 1, 0, 2, 2]]], np.uint8)
    predicted = np.array([[[1, 0, 1, 1, 2, 0]]], np.uint8)
    found = overlap.per_class(reference, predicted, [1, 2])
    assert found[1] == overlap.Overlap(both=2, reference=3, predicted=3)
    assert found[1].dice == pytest.approx(4 / 6)
    assert found[1].iou == pytest.approx(2 / 4)
    assert found[1].volume_similarity == 1.0
    assert found[2].dice == pytest.approx(2 / 3)
    assert found[2].iou == pytest.approx(1 / 2)
    assert found[2].volume_similarity == pytest.approx(1 - 1 / 3)
    assert (found[2].sensitivity, found[2].precision) == (0.5, 1.0)
    assert found[1].flag == ""


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint16", "int64"])
def test_against_simpleitk(dtype: str) -> None:
    rng = np.random.default_rng(4)
    reference = rng.integers(0, 4, (5, 31, 17)).astype(dtype)
    predicted = np.where(rng.random(reference.shape) < 0.4, rng.integers(0, 4, reference.shape), reference)
    predicted = predicted.astype(dtype)
    found = overlap.per_class(reference, predicted, [3, 1, 2])
    assert list(found) == [3, 1, 2]
    oracle = SimpleITK.LabelOverlapMeasuresImageFilter()
    # ITK calls the second image the target: its false negatives are what the first one lacks.
    oracle.Execute(*(SimpleITK.GetImageFromArray(a.astype(np.uint8)) for a in (predicted, reference)))
    for label, ours in found.items():
        assert ours.dice == pytest.approx(oracle.GetDiceCoefficient(label), abs=1e-12)
        assert ours.iou == pytest.approx(oracle.GetJaccardCoefficient(label), abs=1e-12)
        assert ours.volume_similarity == pytest.approx(1 - abs(oracle.GetVolumeSimilarity(label)) / 2, abs=1e-12)
        assert 1 - ours.sensitivity == pytest.approx(oracle.GetFalseNegativeError(label), abs=1e-12)
        assert ours.dice == overlap.dice(reference, predicted, label)
        assert ours.iou == overlap.iou(reference, predicted, label)


def test_golden_pair() -> None:
    """Dice and Jaccard of the shared pair as five tools agree (seeds-and-models, section 5)."""
    reference, predicted = surface_pair()
    assert overlap.dice(reference, predicted) == pytest.approx(0.855228, abs=5e-7)
    assert overlap.iou(reference, predicted) == pytest.approx(0.747074, abs=5e-7)


@pytest.mark.parametrize(
    ("reference", "predicted", "expected", "flag"),
    [(0, 0, 1.0, "both empty"), (0, 1, 0.0, "reference empty"), (1, 0, 0.0, "prediction empty"), (1, 1, 1.0, "")],
)
def test_empty_policy(reference: int, predicted: int, expected: float, flag: str) -> None:
    masks = (np.full((2, 3, 4), v, np.uint8) for v in (reference, predicted))
    found = overlap.per_class(*masks, [1])[1]
    assert (found.dice, found.iou, found.volume_similarity, found.flag) == (expected, expected, expected, flag)
    assert math.isnan(found.sensitivity) == (reference == 0)
    assert found.to_json()["precision"] == (None if predicted == 0 else expected)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_bounds_symmetry_and_the_two_formulas(pairs) -> None:
    a, b = (np.array([p[k] for p in pairs], np.uint8).reshape(1, 1, -1) for k in (0, 1))
    for label in (1, 2, 3):
        one, other = overlap.per_class(a, b, [label])[label], overlap.per_class(b, a, [label])[label]
        assert one.dice == other.dice
        assert 0 <= one.iou <= one.dice <= 1
        assert one.dice == pytest.approx(2 * one.iou / (1 + one.iou))
        assert (one.sensitivity, one.precision) == pytest.approx((other.precision, other.sensitivity), nan_ok=True)


def test_ids_beyond_a_byte_do_not_meet_their_remainder() -> None:
    """256 + 1 is not 1 (row 44)."""
    reference = np.array([[[257, 1, 0]]], np.uint16)
    predicted = np.array([[[1, 1, 257]]], np.int64)
    found = overlap.per_class(reference, predicted, [1, 257])
    assert found[1] == overlap.Overlap(1, 1, 2)
    assert found[257] == overlap.Overlap(0, 1, 1)


@pytest.mark.parametrize("count", [14, 15, 16, 254, 255, 256, 300])
def test_many_classes_against_plain_counting(count: int) -> None:
    """Around every size at which the codes need a wider type (row 44)."""
    rng = np.random.default_rng(count)
    masks = [rng.integers(0, count + 3, (5, 20, 60)).astype(np.uint16) for _ in range(2)]
    found = overlap.per_class(*masks, list(range(1, count + 1)))
    for label, ours in found.items():
        a, b = (mask == label for mask in masks)
        assert ours == overlap.Overlap(int((a & b).sum()), int(a.sum()), int(b.sum()))


def test_more_voxels_than_one_pass_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    masks = [rng.integers(0, 3, (7, 11, 13)).astype(np.uint8) for _ in range(2)]
    whole = overlap.per_class(*masks, [1, 2])
    monkeypatch.setattr(overlap, "_CHUNK", 100)
    assert overlap.per_class(*masks, [1, 2]) == whole


def test_views_are_read_in_their_own_order() -> None:
    rng = np.random.default_rng(3)
    masks = [rng.integers(0, 3, (4, 5, 6)).astype(np.uint8) for _ in range(2)]
    flipped = [m.transpose(2, 0, 1)[::-1] for m in masks]
    assert overlap.per_class(*flipped, [1, 2]) == overlap.per_class(*masks, [1, 2])


def test_wrong_arguments_are_named() -> None:
    ones = np.ones((2, 3, 4), np.uint8)
    with pytest.raises(InputError, match="reference's grid"):
        overlap.dice(ones, ones[:1])
    with pytest.raises(InputError, match="predicted: expected class ids"):
        overlap.dice(ones, ones.astype(float))
    with pytest.raises(InputError, match="ids"):
        overlap.per_class(ones, ones, [1, 1])
    with pytest.raises(InputError, match="ids"):
        overlap.per_class(ones, ones, [-1])
