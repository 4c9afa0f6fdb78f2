"""Overlap of two masks, voxel by voxel.

Definitions after Metrics Reloaded (Maier-Hein et al., Nat Methods 2024) and Taha and Hanbury (BMC Med Imaging 2015).
Policy for empty masks, the same everywhere: a class absent from both masks scores 1; absent from one of them it
scores 0; either way the result carries a flag, so that a report can count such cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

_CHUNK = 1 << 18  # voxels coded at a time: fits the processor's cache, and a large pair needs no copy of itself


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one class and what follows from them; a ratio without a denominator is NaN.

    Parameters
    ----------
    both, reference, predicted
        Voxels of the class in both masks, in the reference, in the prediction.
    """

    both: int
    reference: int
    predicted: int

    @property
    def flag(self) -> str:
        """Which mask lacks the class: "both empty", "reference empty", "prediction empty" or ""."""
        if not self.reference and not self.predicted:
            return "both empty"
        if not self.reference:
            return "reference empty"
        return "" if self.predicted else "prediction empty"

    @property
    def dice(self) -> float:
        """2 |A and B| / (|A| + |B|), 0 to 1; 1 if both are empty."""
        total = self.reference + self.predicted
        return 2.0 * self.both / total if total else 1.0

    @property
    def iou(self) -> float:
        """|A and B| / |A or B| (Jaccard), 0 to 1; 1 if both are empty."""
        union = self.reference + self.predicted - self.both
        return self.both / union if union else 1.0

    @property
    def volume_similarity(self) -> float:
        """1 - |P - R| / (P + R), 0 to 1 (Taha and Hanbury, eq. 13); sizes only; 1 if both are empty."""
        total = self.reference + self.predicted
        return 1.0 - abs(self.predicted - self.reference) / total if total else 1.0

    @property
    def sensitivity(self) -> float:
        """Share of the reference that was found; NaN if the reference is empty."""
        return self.both / self.reference if self.reference else math.nan

    @property
    def precision(self) -> float:
        """Share of the prediction that is right; NaN if the prediction is empty."""
        return self.both / self.predicted if self.predicted else math.nan

    def to_json(self) -> dict[str, float | int | str | None]:
        """Return the counts and every metric in plain JSON types; NaN becomes None."""
        values = {
            name: getattr(self, name) for name in ("dice", "iou", "volume_similarity", "sensitivity", "precision")
        }
        out: dict[str, float | int | str | None] = {name: None if math.isnan(v) else v for name, v in values.items()}
        return {"both": self.both, "reference": self.reference, "predicted": self.predicted, "flag": self.flag, **out}


def per_class(reference: Array, predicted: Array, ids: Sequence[int]) -> dict[int, Overlap]:
    """Compare two masks for several classes in one pass.

    Parameters
    ----------
    reference, predicted
        Whole numbers or bool, equal shape, same grid (the caller checks the geometry).
    ids
        Class ids to compare, each 0 or above; ids that neither mask holds give "both empty".

    Returns
    -------
    dict
        Id -> `Overlap`, in the order of `ids`.

    Raises
    ------
    InputError
        Shapes differ, values are not whole numbers, or an id is negative.
    """
    if reference.shape != predicted.shape:
        raise InputError(
            f"masks: expected equal shapes, got {reference.shape} (reference) and {predicted.shape} (predicted); "
            "bring the prediction onto the reference's grid first"
        )
    for name, mask in (("reference", reference), ("predicted", predicted)):
        if mask.dtype.kind not in "biu":
            raise InputError(f"{name}: expected class ids (whole numbers), got dtype {mask.dtype}")
    wanted = [int(i) for i in ids]
    if len(set(wanted)) != len(wanted) or min(wanted, default=0) < 0 or max(wanted, default=0) > 65535:
        raise InputError(f"ids: expected different class ids from 0 to 65535, got {wanted}")
    n = len(wanted) + 1  # code 0 gathers every other id
    # The narrowest type that holds every code of a pair: three times as fast as int64.
    table = np.zeros(65536, dtype=np.uint8 if n * n <= 256 else np.uint16 if n <= 256 else np.uint32)
    table[wanted] = np.arange(1, n)
    counts = np.zeros(n * n, dtype=np.int64)
    flat_reference, flat_predicted = reference.reshape(-1), predicted.reshape(-1)
    for start in range(0, flat_reference.size, _CHUNK):
        a, b = (_codes(flat[start : start + _CHUNK], table) for flat in (flat_reference, flat_predicted))
        counts += np.bincount(a * table.dtype.type(n) + b, minlength=n * n)
    joint = counts.reshape(n, n)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    return {label: Overlap(int(joint[k, k]), int(rows[k]), int(columns[k])) for k, label in enumerate(wanted, start=1)}


def _codes(part: Array, table: Array) -> Array:
    if part.dtype.kind == "b":
        part = part.astype(np.uint8)
    if part.dtype.itemsize > 2 or part.dtype.kind == "i":
        inside = (part >= 0) & (part <= 65535)
        return np.where(inside, table[np.where(inside, part, 0)], table.dtype.type(0))
    return np.asarray(table[part])


def dice(reference: Array, predicted: Array, id: int = 1) -> float:
    """Return the Dice score of one class, 0 to 1; empty masks as the module says. Errors as `per_class`."""
    return per_class(reference, predicted, [id])[id].dice


def iou(reference: Array, predicted: Array, id: int = 1) -> float:
    """Return the intersection over union of one class, 0 to 1; empty masks as the module says."""
    return per_class(reference, predicted, [id])[id].iou
