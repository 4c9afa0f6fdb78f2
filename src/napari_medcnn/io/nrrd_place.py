"""Where a NRRD image lies in space and time: directions, origin, units, and the values of its time points."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Float, ras_to_lps

_SIGNS = {
    "left-posterior-superior": (1.0, 1.0, 1.0), "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0), "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0), "las": (1.0, -1.0, 1.0),
}  # fmt: skip
_MM = {
    "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3,
    "micron": 1e-3, "microns": 1e-3, "nm": 1e-6, "in": 25.4, "inch": 25.4,
}  # fmt: skip
_SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0,
}  # fmt: skip


@dataclass(frozen=True)
class PerAxis:
    """The fields that list one value per axis of the file, fastest first; NaN, "" and None where nothing is stated."""

    sizes: tuple[int, ...]
    kinds: tuple[str, ...]
    directions: tuple[Float | None, ...] | None
    spacings: tuple[float, ...]
    mins: tuple[float, ...]
    units: tuple[str, ...]

    @classmethod
    def of(cls, fields: dict[str, Any], sizes: list[int]) -> PerAxis:
        """Read the fields; lists of another length count as not stated."""
        count = len(sizes)

        def listed(name: str, empty: Any) -> list[Any]:
            values = fields.get(name)
            return list(values) if values is not None and len(values) == count else [empty] * count

        rows = fields.get("space directions")
        directions = None
        if rows is not None and len(rows) == count:
            wide = [None if row is None else np.asarray(row, dtype=np.float64) for row in rows]
            directions = tuple(None if row is None or not np.all(np.isfinite(row)) else row for row in wide)
        return cls(
            tuple(sizes),
            tuple(str(k).lower() for k in listed("kinds", "")),
            directions,
            tuple(float(s) for s in listed("spacings", math.nan)),
            tuple(float(s) for s in listed("axis mins", math.nan)),
            tuple(str(u).strip() for u in listed("units", "")),
        )

    def without_first(self) -> PerAxis:
        """Return the axes without the fastest one."""
        rows = None if self.directions is None else self.directions[1:]
        return replace(
            self, sizes=self.sizes[1:], kinds=self.kinds[1:], directions=rows, spacings=self.spacings[1:],
            mins=self.mins[1:], units=self.units[1:],
        )  # fmt: skip


def placement(
    fields: dict[str, Any], per_axis: PerAxis, spatial: list[int], notes: list[str], found: list[str]
) -> tuple[Float | None, tuple[float, float, float], bool]:
    """Return the LPS affine (None without a patient space), spacing (z, y, x) and whether it is known."""
    signs = _SIGNS.get(str(fields.get("space", "")).lower().replace("_", "-").removesuffix("-time"))
    factors = _length_factors(fields, per_axis, spatial, notes)
    rows = per_axis.directions
    if rows is None:
        steps = [per_axis.spacings[a] * f for a, f in zip(spatial, factors, strict=False)]
    else:
        steps = [float(np.linalg.norm(row[:3] * factors[: row.size])) for row in (rows[a] for a in spatial)
                 if row is not None]  # fmt: skip
    flat = len(spatial) == 2
    known = not flat and all(math.isfinite(s) and s > 0 for s in steps)
    if flat and all(math.isfinite(s) and s > 0 for s in steps):
        notes.append("A 2D image: its pixels have a size and no thickness, so volumes are not given.")
    elif not known:
        notes.append("The file does not state a usable voxel size; lengths and volumes in mm are not given.")
    usable = [s if math.isfinite(s) and s > 0 else 1.0 for s in [*steps, math.nan][:3]]
    spacing = (usable[2], usable[1], usable[0])
    if "measurement frame" in fields:
        found.append("The file states a measurement frame, which matters for vectors only; it is not applied.")
    if rows is None or signs is None or flat or any(row is None or row.size < 3 for row in (rows[a] for a in spatial)):
        notes.append(
            "Left/right is not stated in this file, so it does not say where left is; no orientation is shown."
        )
        return None, spacing, known
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([np.asarray(rows[a])[:3] for a in spatial]) * factors[:, np.newaxis]
    origin = fields.get("space origin")
    if origin is None or not np.all(np.isfinite(np.asarray(origin, float))):
        notes.append("The file states no origin; 0 is used.")
    else:
        affine[:3, 3] = np.asarray(origin, float)[:3] * factors
    if signs == (-1.0, -1.0, 1.0):
        return ras_to_lps(affine), spacing, known
    return np.diag([*signs, 1.0]) @ affine, spacing, known


def _length_factors(fields: dict[str, Any], per_axis: PerAxis, spatial: list[int], notes: list[str]) -> Float:
    """Return mm per stated unit for each direction in space (with directions) or each axis (without)."""
    stated = list(fields.get("space units", []))[:3] if per_axis.directions is not None else []
    if per_axis.directions is None:
        stated = [per_axis.units[a] for a in spatial]
    factors = [1.0, 1.0, 1.0]
    for k, unit in enumerate(stated):
        word = str(unit).strip().lower()
        if not word or word == "???":
            continue
        if word not in _MM:
            note = "The file states lengths in an unknown unit; mm are assumed."
            notes += [] if note in notes else [note]
        factors[k] = _MM.get(word, 1.0)
    if any(f != 1.0 for f in factors):
        notes.append("The file states lengths in another unit; shown in mm.")
    return np.array(factors)


def frame_values(
    fields: dict[str, Any], per_axis: PerAxis, axis: int, found: list[str]
) -> tuple[tuple[float, ...], str, str]:
    """Return value, unit and name of each time point; empty where the file does not state them with a unit.

    b-values of diffusion images as na-mic.org/wiki/NAMIC_Wiki:DTI:Nrrd_format: nominal b times the squared length of
    the gradient.
    """
    count = per_axis.sizes[axis]
    gradients = [fields.get(f"DWMRI_gradient_{k:04d}") for k in range(count)]
    if "DWMRI_b-value" in fields and all(g is not None for g in gradients):
        try:
            nominal = float(fields["DWMRI_b-value"])
            lengths = [sum(float(c) ** 2 for c in str(g).split()) for g in gradients]
        except ValueError:
            lengths = []
        if lengths and all(math.isfinite(nominal * v) for v in lengths):
            found.append(f"{count} diffusion images, b up to {nominal * max(lengths):g} s/mm².")
            return tuple(round(nominal * v, 3) for v in lengths), "s/mm2", "b"
    labels = fields.get("MultiVolume.FrameLabels")
    factor = _SECONDS.get(str(fields.get("MultiVolume.FrameIdentifyingDICOMTagUnits", "")).strip().lower())
    if labels is not None and factor is not None:
        try:
            values = tuple(round(float(v) * factor, 9) for v in str(labels).split(","))
        except ValueError:
            values = ()
        if len(values) == count and all(math.isfinite(v) for v in values):
            found.append(f"{count} time points, from {values[0]:g} to {values[-1]:g} s.")
            return values, "s", "t"
    rows = per_axis.directions
    step = per_axis.spacings[axis]
    if not math.isfinite(step) and rows is not None and rows[axis] is not None:
        step = float(np.linalg.norm(np.asarray(rows[axis])))
    factor = _SECONDS.get(per_axis.units[axis].lower())
    if math.isfinite(step) and step > 0 and factor is not None:
        start = per_axis.mins[axis] if math.isfinite(per_axis.mins[axis]) else 0.0
        found.append(f"{count} time points, every {step * factor:g} s.")
        return tuple(round((start + step * k) * factor, 9) for k in range(count)), "s", "t"
    stated = f"; their step is stated as {step:g} without a unit" if math.isfinite(step) and step > 0 else ""
    found.append(f"{count} time points or other frames{stated}.")
    return (), "", ""
