"""Measures of case classes.  A ratio without a denominator is NaN, and `reasons` says why.

Formulas of the confusion numbers: Metrics Reloaded (Nat Methods 2024, supplement 3); MCC: Matthews 1975; kappa:
Cohen 1960; Brier 1950; calibration error with equal-width bins: Naeini et al., AAAI 2015.  ROC areas come from
scikit-learn (exact, ties count half), never from fixed thresholds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True)
class Confusion:
    """Counts of a two-class decision: true and false positives and negatives."""

    tp: int
    fp: int
    fn: int
    tn: int

    def __post_init__(self) -> None:
        if min(self.tp, self.fp, self.fn, self.tn) < 0:
            raise InputError(f"counts: expected 0 or more, got {self}")

    @classmethod
    def of(cls, truth: Sequence[bool] | Array, decision: Sequence[bool] | Array) -> Confusion:
        """Count two lists of yes and no of equal length; empty lists give zeros."""
        a, b = np.asarray(truth, dtype=bool), np.asarray(decision, dtype=bool)
        if a.shape != b.shape or a.ndim != 1:
            raise InputError(f"truth and decision: expected two lists of equal length, got {a.shape} and {b.shape}")
        return cls(int((a & b).sum()), int((~a & b).sum()), int((a & ~b).sum()), int((~a & ~b).sum()))

    @property
    def n(self) -> int:
        """Number of cases."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        return _ratio(self.tp + self.tn, self.n)

    @property
    def majority_baseline(self) -> float:
        """Accuracy of always answering the more frequent class: what a model has to beat."""
        return _ratio(max(self.tp + self.fn, self.tn + self.fp), self.n)

    @property
    def prevalence(self) -> float:
        """Share of positive cases."""
        return _ratio(self.tp + self.fn, self.n)

    @property
    def sensitivity(self) -> float:
        """Recall: found among the positive; NaN without positive cases."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Cleared among the negative; NaN without negative cases."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        """Precision: right among the called; NaN if nothing was called."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """Right among the cleared; NaN if nothing was cleared."""
        return _ratio(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and PPV; NaN with neither positive nor called cases."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of sensitivity and specificity; NaN if either is."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def mcc(self) -> float:
        """Matthews' correlation, -1 to 1; NaN if a row or column of the table is empty."""
        product = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        return _ratio(self.tp * self.tn - self.fp * self.fn, math.sqrt(product))

    @property
    def kappa(self) -> float:
        """Cohen's kappa; NaN if truth and decisions both name one class only."""
        if not self.n:
            return math.nan
        chance = ((self.tp + self.fn) * (self.tp + self.fp) + (self.tn + self.fp) * (self.tn + self.fn)) / self.n**2
        return _ratio(self.accuracy - chance, 1 - chance)

    def reasons(self) -> dict[str, str]:
        """Say in words why each measure that is NaN has no value."""
        why = {
            "sensitivity": "no positive case",
            "specificity": "no negative case",
            "ppv": "no case was called positive",
            "npv": "no case was called negative",
            "f1": "no positive case and none called positive",
            "balanced_accuracy": "only one class is present",
            "mcc": "a class is absent from the truth or from the decisions",
            "kappa": "truth and decisions hold one class only",
            "accuracy": "no case",
        }
        return {name: text for name, text in why.items() if math.isnan(getattr(self, name))}

    def to_json(self) -> dict[str, Any]:
        """Return counts, measures (NaN as None) and the reasons in plain JSON types."""
        names = ["accuracy", "majority_baseline", "prevalence", "sensitivity", "specificity", "ppv", "npv", "f1"]
        names += ["balanced_accuracy", "mcc", "kappa"]
        values = {name: None if math.isnan(v := getattr(self, name)) else v for name in names}
        counts = {"n": self.n, "tp": self.tp, "fp": self.fp, "fn": self.fn, "tn": self.tn}
        return {**counts, **values, "reasons": self.reasons()}


def _checked(truth: Sequence[bool] | Array, probabilities: Sequence[float] | Array) -> tuple[Array, Array]:
    a, p = np.asarray(truth, dtype=bool), np.asarray(probabilities, dtype=float)
    if a.shape != p.shape or a.ndim != 1:
        raise InputError(f"truth and probabilities: expected two lists of equal length, got {a.shape} and {p.shape}")
    if p.size and not (np.all(np.isfinite(p)) and p.min() >= 0 and p.max() <= 1):
        raise InputError("probabilities: expected numbers from 0 to 1; apply the model's activation first")
    return a, p


def roc_auc(truth: Sequence[bool] | Array, probabilities: Sequence[float] | Array) -> float:
    """Return the exact area under the ROC curve; NaN unless both classes are present."""
    a, p = _checked(truth, probabilities)
    return float(roc_auc_score(a, p)) if 0 < a.sum() < a.size else math.nan


def average_precision(truth: Sequence[bool] | Array, probabilities: Sequence[float] | Array) -> float:
    """Return the average precision (step-wise area under precision-recall); NaN without positive cases."""
    a, p = _checked(truth, probabilities)
    return float(average_precision_score(a, p)) if a.any() else math.nan


def brier(truth: Sequence[bool] | Array, probabilities: Sequence[float] | Array) -> float:
    """Return the mean squared difference of probability and truth (0 or 1); NaN for no case."""
    a, p = _checked(truth, probabilities)
    return float(np.mean((p - a) ** 2)) if a.size else math.nan


def calibration_error(truth: Sequence[bool] | Array, probabilities: Sequence[float] | Array, bins: int = 10) -> float:
    """Return the expected calibration error of the positive class.

    Mean over equal-width bins of |share of positives - mean probability|, weighted by the cases in the bin; a bin
    holds its lower edge, the last one also 1. NaN for no case.
    """
    a, p = _checked(truth, probabilities)
    if bins < 1:
        raise InputError(f"bins: expected 1 or more, got {bins}")
    if not a.size:
        return math.nan
    index = np.minimum((p * bins).astype(int), bins - 1)
    gap = np.abs(np.bincount(index, a - p, minlength=bins))
    return float(gap.sum() / a.size)


def majority(truth: Sequence[str]) -> tuple[str, float]:
    """Return the most frequent class (first by name among equals) and the accuracy of always answering it."""
    if not truth:
        return "", math.nan
    name, count = min(Counter(truth).items(), key=lambda item: (-item[1], item[0]))
    return name, count / len(truth)


def one_against_rest(
    truth: Sequence[str], probabilities: Sequence[dict[str, float]], name: str, threshold: float = 0.5
) -> dict[str, Any]:
    """Measure one class against all others.

    Parameters
    ----------
    truth
        True class name per case.
    probabilities
        Probability per class name and case; a missing name is 0.
    threshold
        Called at or above it; state the model's own, 0.5 has no meaning of its own.

    Returns
    -------
    dict
        `Confusion.to_json` plus threshold, roc_auc, average_precision, brier and calibration_error (NaN as None).
    """
    positive = [t == name for t in truth]
    p = [float(case.get(name, 0.0)) for case in probabilities]
    table = Confusion.of(positive, [x >= threshold for x in p])
    extra = {
        "roc_auc": roc_auc(positive, p),
        "average_precision": average_precision(positive, p),
        "brier": brier(positive, p),
        "calibration_error": calibration_error(positive, p),
    }
    return {
        **table.to_json(),
        "threshold": threshold,
        **{k: None if math.isnan(v) else v for k, v in extra.items()},
    }
