"""Reports, their intervals, and the rule by which a model replaces another (goal: only if measurably better)."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from cases import ANISOTROPIC_MM, SURFACE_SPACING_MM, surface_pair
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.evaluation.report import (
    CaseScore,
    Report,
    bootstrap,
    gate,
    label_hash,
    score_class,
    score_mask,
)

NAMES = LabelSet.from_names(["vessel", "lesion"])


def segmentation(scores: dict[str, float], patients: dict[str, str] | None = None, **extra: float) -> Report:
    """Return a report with one class per case, and `extra` classes of equal score in every case."""
    cases = tuple(
        CaseScore(
            case,
            (patients or {}).get(case, case),
            f"hash of {case}",
            {"vessel": {"dice": value}} | {name: {"dice": other} for name, other in extra.items()},
        )
        for case, value in scores.items()
    )
    return Report("segmentation", cases)


def test_a_mask_is_scored_on_its_grid() -> None:
    reference, predicted = (m.astype(np.uint8) for m in surface_pair())
    geometry = Geometry(reference.shape, SURFACE_SPACING_MM)
    case = score_mask("7", "", LabelMap(reference, geometry, NAMES), LabelMap(predicted, geometry), NAMES)
    assert case.patient == "7"
    assert case.scores["vessel"]["dice"] == pytest.approx(0.855228, abs=5e-7)
    assert case.scores["vessel"]["hd95_mm"] == pytest.approx(3.2)
    assert case.scores["vessel"]["nsd_1mm"] == pytest.approx(0.619049, abs=1e-6)
    assert case.flags == {"lesion": "both empty"}
    assert case.scores["lesion"]["dice"] == 1.0
    assert "sensitivity" not in case.scores["lesion"]


def test_spacing_unknown_means_no_distances() -> None:
    array = np.zeros((1, 6, 7), np.uint8)
    array[0, 2:4, 2:4] = 1
    mask = LabelMap(array, Geometry.picture(6, 7))
    case = score_mask("p", "", mask, mask, LabelSet.from_names(["vessel"]))
    assert case.scores["vessel"]["dice"] == 1.0
    assert not any("mm" in name for name in case.scores["vessel"])


def test_another_grid_is_refused() -> None:
    array = np.ones((2, 3, 4), np.uint8)
    one = LabelMap(array, Geometry(array.shape, ANISOTROPIC_MM))
    moved = LabelMap(array, Geometry(array.shape, ANISOTROPIC_MM, (0.0, 0.0, 1.0)))
    with pytest.raises(InputError, match=r"case 3.*same scan"):
        score_mask("3", "", one, moved, NAMES)


def test_label_hash_follows_the_labels_and_not_their_type() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    geometry = Geometry(array.shape)
    mark = label_hash(LabelMap(array, geometry))
    assert mark == label_hash(LabelMap(array.astype(np.int64), geometry))
    assert mark == label_hash(LabelMap(np.asfortranarray(array), geometry))
    other = array.copy()
    other[1, 2, 3] = 0
    assert mark != label_hash(LabelMap(other, geometry))
    assert mark != label_hash(LabelMap(array.reshape(2, 4, 3), Geometry((2, 4, 3))))


def test_bootstrap_draws_patients() -> None:
    """Ten copies of each case add no knowledge: the interval stays as wide as with one copy."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.8, 0.1, 12)
    names = [str(k) for k in range(12)]
    one = bootstrap(values.tolist(), names, seed=3)
    copies = bootstrap(np.repeat(values, 10).tolist(), np.repeat(names, 10).tolist(), seed=3)
    assert (copies.mean, copies.low, copies.high) == pytest.approx((one.mean, one.low, one.high))
    assert (copies.cases, copies.patients) == (120, 12)
    assert one == bootstrap(values.tolist(), names, seed=3)
    assert one != bootstrap(values.tolist(), names, seed=4)
    normal = 1.96 * values.std() / math.sqrt(12)  # for large n the percentile interval tends to this
    assert one.low == pytest.approx(one.mean - normal, abs=0.2 * normal)
    assert one.high == pytest.approx(one.mean + normal, abs=0.2 * normal)


def test_bootstrap_of_two_patients_by_hand() -> None:
    """Draws of two give 0, 0.5 or 1 with chances 1/4, 1/2, 1/4: the 95 % interval is 0 to 1."""
    found = bootstrap([0.0, 1.0], ["a", "b"])
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)
    single = bootstrap([0.4, 0.6], ["a", "a"])
    assert single.mean == 0.5
    assert math.isnan(single.low)
    assert math.isnan(bootstrap([], []).mean)


def test_coverage_of_the_interval() -> None:
    """Of 200 samples of 30 patients the true mean lies inside about 95 %; binomial limits are wide of 4 sigma."""
    rng = np.random.default_rng(0)
    names = [str(k) for k in range(30)]
    inside = 0
    for seed in range(200):
        found = bootstrap(rng.normal(0.7, 0.1, 30).tolist(), names, seed=seed)
        inside += found.low <= 0.7 <= found.high
    assert 0.88 < inside / 200 < 0.99


def test_report_says_everything_and_reads_back() -> None:
    report = segmentation({"a": 0.5, "b": 0.7, "c": 0.9}, lesion=0.2)
    flagged = tuple(replace(c, flags={"lesion": "reference empty"}) for c in report.cases)
    report = replace(report, cases=flagged, model={"name": "m", "sha256": "00"}, notes=("one case left out",))
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["classes"]["vessel"]["dice"]["mean"] == pytest.approx(0.7)
    assert data["overall"]["mean"] == pytest.approx((0.35 + 0.45 + 0.55) / 3)
    assert data["empty"] == {"lesion": {"reference empty": 3}}
    assert data["research_use"].startswith("Research use only")
    assert Report.from_json(data) == report
    with pytest.raises(InputError, match="version"):
        Report.from_json({"report_version": 99})
    with pytest.raises(InputError, match="damaged"):
        Report.from_json({"report_version": 1, "task": "segmentation"})
    with pytest.raises(InputError, match="once"):
        replace(report, cases=report.cases + report.cases[:1])


def test_classification_report_names_the_majority() -> None:
    truth = ["ill", "well", "well", "well"]
    p = [{"ill": 0.6, "well": 0.4}, {"ill": 0.7, "well": 0.3}, {"ill": 0.1, "well": 0.9}, {"ill": 0.2, "well": 0.8}]
    cases = tuple(score_class(str(k), "", t, q) for k, (t, q) in enumerate(zip(truth, p, strict=True)))
    data = json.loads(json.dumps(Report("classification", cases).to_json(), allow_nan=False))
    assert data["overall"]["mean"] == 0.75
    assert data["majority_baseline"] == {"class": "well", "accuracy": 0.75}
    assert data["one_against_rest"]["ill"]["sensitivity"] == 1.0
    assert data["one_against_rest"]["ill"]["roc_auc"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="case 9"):
        score_class("9", "", "", {"ill": 1.0})


OLD = {"a": 0.70, "b": 0.75, "c": 0.72, "d": 0.80}
BETTER = {case: value + gain for (case, value), gain in zip(OLD.items(), (0.05, 0.04, 0.08, 0.03), strict=True)}


def test_a_better_model_is_accepted_and_a_worse_one_is_not() -> None:
    decision = gate(segmentation(OLD), segmentation(BETTER))
    assert decision.accepted
    assert decision.old == pytest.approx(0.7425)
    assert decision.new == pytest.approx(0.7925)
    assert "0.7425 before, 0.7925 now" in decision.reason
    back = gate(segmentation(BETTER), segmentation(OLD))
    assert not back.accepted
    assert "not better" in back.reason
    assert json.loads(json.dumps(back.to_json(), allow_nan=False))["accepted"] is False


def test_the_same_model_does_not_replace_itself() -> None:
    decision = gate(segmentation(OLD), segmentation(OLD))
    assert not decision.accepted
    assert "not better" in decision.reason


def test_a_gain_that_may_be_chance_is_refused() -> None:
    lucky = {"a": 0.90, "b": 0.74, "c": 0.71, "d": 0.79}
    decision = gate(segmentation(OLD), segmentation(lucky))
    assert decision.new > decision.old
    assert not decision.accepted
    assert "may be chance" in decision.reason


def test_many_cases_of_one_patient_are_one_patient() -> None:
    one = dict.fromkeys(OLD, "same person")
    decision = gate(segmentation(OLD, one), segmentation(BETTER, one))
    assert not decision.accepted
    assert "4 of 1 patient" in decision.reason


def test_too_few_cases_are_refused_with_the_number_needed() -> None:
    decision = gate(segmentation({"a": 0.1, "b": 0.1}), segmentation({"a": 0.9, "b": 0.9}))
    assert not decision.accepted
    assert "at least 3 cases of 2 patients" in decision.reason
    assert gate(segmentation({"a": 0.1, "b": 0.1}), segmentation({"a": 0.9, "b": 0.9}), minimum_cases=2).accepted
    assert not gate(segmentation({}), segmentation({})).accepted


def test_a_class_may_not_pay_for_the_others() -> None:
    new = segmentation({c: v + 0.2 for c, v in OLD.items()}, lesion=0.47)
    decision = gate(segmentation(OLD, lesion=0.5), new, margin=0.02)
    assert not decision.accepted
    assert "Class lesion got worse by 0.0300" in decision.reason
    assert gate(segmentation(OLD, lesion=0.5), new, margin=0.05).accepted


def test_other_labels_or_cases_are_not_compared() -> None:
    """Two results on different labels were once captioned "an improved model" (seeds, E9)."""
    old, new = segmentation(OLD), segmentation(BETTER)
    relabelled = replace(new, cases=(replace(new.cases[0], reference_sha256="changed"), *new.cases[1:]))
    moved = replace(new, cases=(replace(new.cases[0], patient="z"), *new.cases[1:]))
    for other, word in (
        (relabelled, "labels of a changed"),
        (replace(new, cases=new.cases[:3]), "same cases"),
        (moved, "other patients"),
        (segmentation(BETTER, lesion=1.0), "other classes"),
        (Report("classification", ()), "classification"),
    ):
        decision = gate(old, other)
        assert not decision.accepted
        assert "Not comparable" in decision.reason
        assert word in decision.reason
        assert math.isnan(decision.new)


def test_gate_arguments_are_named() -> None:
    with pytest.raises(InputError, match="margin"):
        gate(segmentation(OLD), segmentation(BETTER), margin=-0.1)
    with pytest.raises(InputError, match="minimum_cases"):
        gate(segmentation(OLD), segmentation(BETTER), minimum_cases=1)
