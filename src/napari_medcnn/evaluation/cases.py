"""What one case scores, and the mark of the labels it was scored against."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.evaluation.overlap import per_class
from napari_medcnn.evaluation.surface import surface_distances


@dataclass(frozen=True)
class CaseScore:
    """One case.

    Parameters
    ----------
    case, patient
        Ids; cases without a known patient are their own patient.
    reference_sha256
        Of the reference mask or class (`label_hash`, `class_hash`): comparing models on different labels is an error.
    scores
        Class name -> measure -> number; a measure without a value (NaN) is left out.
    flags
        Class name -> "both empty", "reference empty" or "prediction empty"; absent for ordinary cases.
    truth, probabilities
        For classifiers only.
    """

    case: str
    patient: str
    reference_sha256: str
    scores: Mapping[str, Mapping[str, float]]
    flags: Mapping[str, str] = field(default_factory=dict)
    truth: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        """Return the mean of a measure over the classes that have it; NaN if none has."""
        values = [s[measure] for s in self.scores.values() if measure in s]
        return float(np.mean(values)) if values else math.nan


def label_hash(mask: LabelMap) -> str:
    """Return the sha256 of a mask's shape and class ids, whatever whole-number type holds them."""
    digest = hashlib.sha256(repr(mask.array.shape).encode())
    for plane in mask.array:
        digest.update(np.ascontiguousarray(plane, dtype="<u2").tobytes())
    return digest.hexdigest()


def class_hash(name: str) -> str:
    """Return the sha256 of a case class."""
    return hashlib.sha256(name.encode()).hexdigest()


def score_mask(
    case: str, patient: str, reference: LabelMap, predicted: LabelMap, labels: LabelSet, tolerance_mm: float = 1.0
) -> CaseScore:
    """Score one mask against its reference.

    Parameters
    ----------
    labels
        Classes to score; both masks are read by id. Ids outside it count as background.
    tolerance_mm
        Of the normalised surface Dice; the measure is named after it ("nsd_1mm").

    Returns
    -------
    CaseScore
        dice, iou, volume_similarity, sensitivity, precision; where the reference's spacing is known also hd_mm,
        hd95_mm, assd_mm and nsd. Empty masks as `overlap` and `surface` say.

    Raises
    ------
    InputError
        The grids differ: a prediction must stand on the reference's grid.
    """
    if not reference.geometry.same_grid(predicted.geometry):
        raise InputError(
            f"case {case}: the prediction's grid {predicted.geometry.shape} is not that of the reference "
            f"{reference.geometry.shape} (shape, spacing, position or direction differ); predict on the same scan"
        )
    overlaps = per_class(reference.array, predicted.array, labels.ids)
    scores: dict[str, dict[str, float]] = {}
    flags = {}
    for label in labels:
        found = overlaps[label.id]
        plain = found.to_json()
        names = ("dice", "iou", "volume_similarity", "sensitivity", "precision")
        scores[label.name] = {n: float(v) for n in names if (v := plain[n]) is not None}
        if found.flag:
            flags[label.name] = found.flag
        if reference.geometry.spacing_known:
            surfaces = surface_distances(
                reference.array == label.id, predicted.array == label.id, reference.geometry.spacing_mm
            )
            scores[label.name] |= {
                "hd_mm": surfaces.hd_mm,
                "hd95_mm": surfaces.hd95_mm,
                "assd_mm": surfaces.assd_mm,
                f"nsd_{tolerance_mm:g}mm": surfaces.nsd(tolerance_mm),
            }
    return CaseScore(case, patient or case, label_hash(reference), scores, flags)


def score_class(case: str, patient: str, truth: str, probabilities: Mapping[str, float]) -> CaseScore:
    """Score one classified case: "correct" is 1 if the most probable class is the true one, else 0.

    Raises
    ------
    InputError
        There is no true class or no probability.
    """
    if not truth or not probabilities:
        raise InputError(f"case {case}: expected a true class and the model's probabilities; fill the class column")
    chosen = max(probabilities, key=lambda name: probabilities[name])
    scores = {truth: {"correct": float(chosen == truth)}}
    return CaseScore(case, patient or case, class_hash(truth), scores, truth=truth, probabilities=dict(probabilities))
