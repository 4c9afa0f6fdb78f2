"""Class measures against the golden rows of the seeds and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from napari_medcnn.errors import InputError
from napari_medcnn.evaluation import classification as c
from napari_medcnn.evaluation.classification import Confusion

R1 = Confusion(tp=3800, fp=3390, fn=12385, tn=45164)
R2 = Confusion(tp=860, fp=845, fn=5482, tn=18181)
R3 = Confusion(tn=8919, fp=3814, fn=2576, tp=10059)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (R1, {"n": 64739, "accuracy": 0.7563, "ppv": 0.5285, "sensitivity": 0.2348}),
        (
            R2,
            {
                "n": 25368, "accuracy": 0.750591, "ppv": 0.504399, "sensitivity": 0.135604, "specificity": 0.955587,
                "npv": 0.768330, "f1": 0.213744, "balanced_accuracy": 0.5456, "kappa": 0.1206, "mcc": 0.1577,
                "majority_baseline": 0.7500,
            },
        ),
        (
            R3,
            {
                "n": 25368, "accuracy": 0.748108, "sensitivity": 0.796122, "specificity": 0.700463, "ppv": 0.725077,
                "npv": 0.775903, "f1": 0.758941, "kappa": 0.4964,
            },
        ),
    ],
    ids=["R1", "R2", "R3"],
)  # fmt: skip
def test_golden_rows(table: Confusion, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        digits = len(str(value).partition(".")[2])
        assert getattr(table, name) == pytest.approx(value, abs=0.5000001 * 10**-digits), name
    assert table.reasons() == {}


def test_the_base_classifier_is_no_better_than_always_negative() -> None:
    assert R2.accuracy - R2.majority_baseline < 0.0007
    assert R2.to_json()["majority_baseline"] == pytest.approx(0.75, abs=1e-4)


cases = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda k: k / 20)), min_size=1, max_size=40)


@given(cases)
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore::UserWarning")
def test_against_scikit_learn(pairs) -> None:
    truth = np.array([t for t, _ in pairs])
    p = np.array([x for _, x in pairs])
    decision = p >= 0.5
    table = Confusion.of(truth, decision)
    assert table.accuracy == pytest.approx(sk.accuracy_score(truth, decision))
    nan = float("nan")
    for ours, theirs in (
        (table.sensitivity, sk.recall_score(truth, decision, zero_division=nan)),
        (table.ppv, sk.precision_score(truth, decision, zero_division=nan)),
        (table.f1, sk.f1_score(truth, decision, zero_division=nan)),
        (table.specificity, sk.recall_score(~truth, ~decision, zero_division=nan)),
        (table.npv, sk.precision_score(~truth, ~decision, zero_division=nan)),
    ):
        assert ours == pytest.approx(theirs, nan_ok=True)
    if not math.isnan(table.mcc):
        assert table.mcc == pytest.approx(sk.matthews_corrcoef(truth, decision))
        assert table.kappa == pytest.approx(sk.cohen_kappa_score(truth, decision))
        assert table.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(truth, decision))
    assert c.brier(truth, p) == pytest.approx(np.mean((p - truth) ** 2))
    if 0 < truth.sum() < truth.size:
        pairs_won = [(a > b) + 0.5 * (a == b) for a in p[truth] for b in p[~truth]]
        assert c.roc_auc(truth, p) == pytest.approx(np.mean(pairs_won))  # Mann and Whitney's definition
    else:
        assert math.isnan(c.roc_auc(truth, p))


def test_compressed_scores_keep_their_rank() -> None:
    """Fixed thresholds gave 0.5 here; the exact area does not care about the scale."""
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.4
    scores = np.clip(rng.normal(0.3 * truth, 0.3) + 0.4, 0, 1)
    assert c.roc_auc(truth, scores) == pytest.approx(c.roc_auc(truth, 0.5 + 1e-6 * scores))


def test_undefined_numbers_are_nan_with_a_reason() -> None:
    table = Confusion(tp=0, fp=0, fn=0, tn=5)
    assert math.isnan(table.sensitivity)
    assert table.specificity == 1.0
    assert table.reasons()["sensitivity"] == "no positive case"
    assert table.reasons()["ppv"] == "no case was called positive"
    assert table.to_json()["kappa"] is None
    empty = Confusion.of([], [])
    assert empty.n == 0
    assert math.isnan(empty.accuracy)
    assert math.isnan(empty.kappa)


def test_calibration_by_hand() -> None:
    """Bins [0.2, 0.3): mean 0.25, share 1/2; [0.9, 1]: mean 0.95, share 1/2. (2 x 0.25 + 2 x 0.45) / 4 = 0.35."""
    truth, p = [True, False, True, False], [0.2, 0.299999999, 0.9, 1.0]
    assert c.calibration_error(truth, p) == pytest.approx(0.35, abs=1e-6)
    assert c.calibration_error([True, False, True, True], [0.75] * 4) == pytest.approx(0.0)
    assert c.brier([True, False], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)
    assert math.isnan(c.calibration_error([], []))


def test_one_class_against_the_rest() -> None:
    truth = ["a", "b", "c", "a"]
    probabilities = [{"a": 0.7, "b": 0.3}, {"a": 0.6, "b": 0.4}, {"c": 1.0}, {"a": 0.2, "b": 0.8}]
    found = c.one_against_rest(truth, probabilities, "a", threshold=0.5)
    assert (found["tp"], found["fp"], found["fn"], found["tn"]) == (1, 1, 1, 1)
    assert found["roc_auc"] == pytest.approx(0.75)
    assert c.majority(truth) == ("a", 0.5)
    assert c.majority(["b", "a"]) == ("a", 0.5)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(InputError, match="equal length"):
        Confusion.of([True], [True, False])
    with pytest.raises(InputError, match="0 to 1"):
        c.roc_auc([True, False], [2.0, -1.0])
    with pytest.raises(InputError, match="0 to 1"):
        c.brier([True], [float("nan")])
    with pytest.raises(InputError, match="bins"):
        c.calibration_error([True], [0.5], bins=0)
    with pytest.raises(InputError, match="counts"):
        Confusion(-1, 0, 0, 0)
