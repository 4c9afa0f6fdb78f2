"""Scores per case and class, their means with intervals over patients, as one JSON record.

Each case is scored alone; voxels of different cases are never pooled.  Means carry a 95 % interval by bootstrap over
patients (percentile method, Efron and Tibshirani 1993, chapter 13; seeded), because two cases of one patient are not
two independent observations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.errors import InputError
from napari_medcnn.evaluation.cases import CaseScore, class_hash, label_hash, score_class, score_mask
from napari_medcnn.evaluation.classification import majority, one_against_rest

__all__ = ["CaseScore", "GateDecision", "Interval", "Report", "bootstrap", "gate"]
__all__ += ["class_hash", "label_hash", "score_class", "score_mask"]

DRAWS = 2000
#: The score that decides, per task; higher is better.
MAIN_SCORE = {"segmentation": "dice", "classification": "correct"}
REPORT_VERSION = 1


@dataclass(frozen=True)
class Interval:
    """A mean over cases with its 95 % interval over patients; NaN for no case, no interval below two patients."""

    mean: float
    low: float
    high: float
    cases: int
    patients: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return plain JSON types, NaN as None."""
        numbers = {"mean": self.mean, "low": self.low, "high": self.high}
        out: dict[str, float | int | None] = {k: None if math.isnan(v) else v for k, v in numbers.items()}
        return {**out, "cases": self.cases, "patients": self.patients}


@dataclass(frozen=True)
class Report:
    """What a model scored on a set of cases.

    Parameters
    ----------
    task
        "segmentation" or "classification".
    cases
        Scores, each case once.
    model
        ``{"name", "sha256"}`` of the model, or of the folder of predictions; may be empty.
    notes
        What was left out and why, in words.
    """

    task: str
    cases: tuple[CaseScore, ...]
    model: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in MAIN_SCORE:
            raise InputError(f"task: expected segmentation or classification, got {self.task!r}")
        names = [c.case for c in self.cases]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise InputError(f"cases: expected each case once, got repeats of {repeated[:5]}")

    @property
    def measure(self) -> str:
        """Name of the score that decides."""
        return MAIN_SCORE[self.task]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names that any case scored, in order of first appearance."""
        return tuple(dict.fromkeys(name for case in self.cases for name in case.scores))

    def interval(self, class_name: str, measure: str) -> Interval:
        """Return mean and interval of one measure of one class."""
        have = [c for c in self.cases if measure in c.scores.get(class_name, {})]
        return bootstrap([c.scores[class_name][measure] for c in have], [c.patient for c in have], self.seed)

    def overall(self) -> Interval:
        """Return mean and interval of the deciding score: mean over the classes of a case, then over cases."""
        pairs = [(c.mean(self.measure), c.patient) for c in self.cases]
        pairs = [(value, patient) for value, patient in pairs if not math.isnan(value)]
        return bootstrap([v for v, _ in pairs], [p for _, p in pairs], self.seed)

    def to_json(self) -> dict[str, Any]:
        """Return the whole record in plain JSON types; `from_json` reads it back."""
        measures = tuple(dict.fromkeys(m for c in self.cases for s in c.scores.values() for m in s))
        summary: dict[str, Any] = {
            name: {m: self.interval(name, m).to_json() for m in measures} for name in self.classes
        }
        flags: dict[str, dict[str, int]] = {}
        for case in self.cases:
            for name, flag in case.flags.items():
                flags.setdefault(name, {}).setdefault(flag, 0)
                flags[name][flag] += 1
        out: dict[str, Any] = {
            "report_version": REPORT_VERSION,
            "task": self.task,
            "model": dict(self.model),
            "measure": self.measure,
            "overall": self.overall().to_json(),
            "classes": summary,
            "empty": flags,
            "seed": self.seed,
            "notes": list(self.notes),
            "cases": [
                {
                    "case": c.case,
                    "patient": c.patient,
                    "reference_sha256": c.reference_sha256,
                    "scores": {k: dict(v) for k, v in c.scores.items()},
                    "flags": dict(c.flags),
                    "truth": c.truth,
                    "probabilities": dict(c.probabilities),
                }
                for c in self.cases
            ],
            "research_use": "Research use only, not for diagnosis.",
        }
        if self.task == "classification":
            truth = [c.truth for c in self.cases]
            name, share = majority(truth)
            out["majority_baseline"] = {"class": name, "accuracy": None if math.isnan(share) else share}
            every = [dict(c.probabilities) for c in self.cases]
            names = dict.fromkeys([*truth, *(n for p in every for n in p)])
            out["one_against_rest"] = {n: one_against_rest(truth, every, n) for n in names}
        return out

    @classmethod
    def from_json(cls, data: object) -> Report:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            It is of another form or version.
        """
        if not isinstance(data, dict) or data.get("report_version") != REPORT_VERSION:
            raise InputError(f"report: expected a JSON report of version {REPORT_VERSION}; evaluate again")
        try:
            cases = tuple(CaseScore(**case) for case in data["cases"])
            return cls(data["task"], cases, data["model"], tuple(data["notes"]), int(data["seed"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"report: damaged, {error}; evaluate again") from error


def bootstrap(values: Sequence[float], patients: Sequence[str], seed: int = 0, share: float = 0.95) -> Interval:
    """Return the mean over cases and its interval by drawing patients with replacement.

    Parameters
    ----------
    values, patients
        One number and one patient id per case.
    share
        Of the interval (0.95 from the 2.5th to the 97.5th percentile).
    """
    numbers = np.asarray(values, dtype=float)
    names, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    n = len(names)
    mean = float(numbers.mean()) if numbers.size else math.nan
    if n < 2:
        return Interval(mean, math.nan, math.nan, numbers.size, n)
    draws = _draw_means(np.bincount(owner, numbers, minlength=n), np.bincount(owner, minlength=n), seed)
    low, high = np.percentile(draws, [50 * (1 - share), 50 * (1 + share)])
    return Interval(mean, float(low), float(high), numbers.size, n)


def _draw_means(sums: Array, counts: Array, seed: int) -> Float:
    drawn = np.random.default_rng(seed).integers(0, len(sums), size=(DRAWS, len(sums)))
    return np.asarray(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))


@dataclass(frozen=True)
class GateDecision:
    """Whether a new model may replace the old one, and why, in words that stand alone.

    Parameters
    ----------
    accepted, reason
        The decision and the whole of its reasons as one text; `reasons` holds them one by one.
    old, new
        Mean deciding score of each model over the same cases; NaN if they could not be compared.
    difference
        New minus old, mean over cases, with its 95 % interval over patients; None if not compared.
    """

    accepted: bool
    reason: str
    old: float
    new: float
    reasons: tuple[str, ...] = ()
    difference: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, NaN as None."""
        old, new = (None if math.isnan(v) else v for v in (self.old, self.new))
        return {
            "accepted": self.accepted,
            "reason": self.reason,
            "reasons": list(self.reasons),
            "old": old,
            "new": new,
            "difference": self.difference.to_json() if self.difference else None,
        }


def gate(old: Report, new: Report, margin: float = 0.02, minimum_cases: int = 3) -> GateDecision:
    """Decide whether a new model may replace the old one.

    The rule: both models are scored on the same cases, with the same reference labels (compared by hash), at least
    `minimum_cases` of them and of at least 2 patients. The new one is accepted if its deciding score (Dice, or share
    of cases classified right), paired by case, is better on average, the lower end of the 95 % interval of that
    difference over patients is above 0, and no class is worse by more than `margin` on average. Anything else keeps
    the old model: what is not shown to be better does not replace what works.

    Parameters
    ----------
    margin
        Loss of a single class that is tolerated, in units of the score; 0 or more.
    minimum_cases
        At least 2.

    Raises
    ------
    InputError
        `margin` or `minimum_cases` is out of range.
    """
    if not 0 <= margin <= 1 or minimum_cases < 2:
        raise InputError(f"gate: expected margin 0 to 1 and minimum_cases 2 or more, got {margin}, {minimum_cases}")
    against = _not_comparable(old, new)
    if against:
        return GateDecision(False, " ".join(against), math.nan, math.nan, tuple(against))
    before = {c.case: c for c in old.cases}
    measure = new.measure
    deltas = [c.mean(measure) - before[c.case].mean(measure) for c in new.cases]
    change = bootstrap(deltas, [c.patient for c in new.cases], new.seed)
    scores = old.overall().mean, new.overall().mean
    text = (
        f"{measure} {scores[0]:.4f} before, {scores[1]:.4f} now, on {change.cases} cases of {change.patients} patients"
    )
    if change.cases < minimum_cases or change.patients < 2:
        against.append(
            f"Too few cases to decide: {change.cases} of {change.patients} patient(s); "
            f"at least {minimum_cases} cases of 2 patients are needed. Keep more cases for the comparison."
        )
    elif not change.mean > 0:
        against.append(f"The new model is not better: {text}.")
    elif not change.low > 0:
        against.append(
            f"The gain may be chance: {text}; difference {change.mean:+.4f}, "
            f"95 % interval {change.low:+.4f} to {change.high:+.4f}. Compare on more cases."
        )
    for name in new.classes:
        pairs = [(before[c.case].scores.get(name, {}), c.scores.get(name, {})) for c in new.cases]
        drops = [a[measure] - b[measure] for a, b in pairs if measure in a and measure in b]
        if drops and float(np.mean(drops)) > margin:
            against.append(f"Class {name} got worse by {np.mean(drops):.4f} on average; at most {margin:g} is allowed.")
    if against:
        return GateDecision(False, " ".join(against), *scores, tuple(against), change)
    why = (
        f"The new model is better: {text}; difference {change.mean:+.4f}, 95 % interval {change.low:+.4f} to "
        f"{change.high:+.4f}; no class lost more than {margin:g}."
    )
    return GateDecision(True, why, *scores, (why,), change)


def _not_comparable(old: Report, new: Report) -> list[str]:
    """Return why two reports cannot be compared at all; empty if they can."""
    if old.task != new.task:
        return [f"Not comparable: the old model does {old.task}, the new one {new.task}."]
    before, after = ({c.case: c for c in report.cases} for report in (old, new))
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        return [
            f"Not comparable: not scored on the same cases ({', '.join(odd[:5])}). Evaluate both on the same table."
        ]
    changed = sorted(c for c in after if before[c].reference_sha256 != after[c].reference_sha256)
    if changed:
        return [
            f"Not comparable: the reference labels of {', '.join(changed[:5])} changed between the two evaluations. "
            "Evaluate the old model again on the present labels."
        ]
    moved = sorted(c for c in after if before[c].patient != after[c].patient)
    if moved:
        return [f"Not comparable: {', '.join(moved[:5])} belong to other patients in the two evaluations."]
    measure = new.measure
    unlike = sorted(
        c
        for c in after
        if {n for n, s in before[c].scores.items() if measure in s}
        != {n for n, s in after[c].scores.items() if measure in s}
    )
    if unlike:
        return [
            f"Not comparable: other classes were scored in {', '.join(unlike[:5])}. Both models need the same classes."
        ]
    if any(math.isnan(c.mean(measure)) for report in (old, new) for c in report.cases):
        return [f"Not comparable: a case has no {measure}. Evaluate again."]
    return []
