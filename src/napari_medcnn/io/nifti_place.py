"""Where a NIfTI image lies: sform, qform, voxel sizes and units, and what is odd about them."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Float, ras_to_lps
from napari_medcnn.io.header_grid import is_singular

_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
#: Larger disagreements than these of the two forms are named: share of the smallest voxel edge.
_APART = 0.1

Placement = tuple[Float | None, tuple[float, float, float], bool]


def placement(raw: Any, grid: tuple[int, ...], notes: list[str]) -> Placement:
    """Return the LPS affine (None if the file does not say where left is), spacing (z, y, x) and whether it is known.

    The sform stands before the qform, as in nibabel (Nifti1Header.get_best_affine).
    """
    unit = int(raw["xyzt_units"]) & 7
    factor = _MM_PER_UNIT.get(unit, 1.0)
    if factor != 1.0:
        notes.append(f"The file states lengths in {'metres' if unit == 1 else 'micrometres'}; shown in mm.")
    elif unit not in _MM_PER_UNIT:
        notes.append(f"The file states lengths in an unknown unit (code {unit}); mm are assumed.")
    pixdim = [float(p) * factor for p in raw["pixdim"][1:4]]
    bad = [p for p in pixdim if not np.isfinite(p) or p <= 0]
    spacing = [p if np.isfinite(p) and p > 0 else 1.0 for p in pixdim]
    zyx = (spacing[2], spacing[1], spacing[0])
    qform = _qform(raw, spacing, factor) if int(raw["qform_code"]) > 0 else None
    if int(raw["sform_code"]) > 0:
        sform = ras_to_lps(np.diag([factor, factor, factor, 1.0]) @ np.asarray(raw.get_sform(), dtype=np.float64))
        if not is_singular(sform):
            _compare(sform, qform, [] if bad else spacing, grid, notes)
        return sform, zyx, True
    if bad:
        notes.append("The file does not state a usable voxel size; lengths and volumes in mm are not given.")
    if qform is not None:
        return qform, zyx, not bad
    notes.append(
        "Left/right is not stated in this file (both orientation codes are 0), so it does not say where left is; no "
        "orientation is shown."
    )
    return None, zyx, not bad


def _compare(sform: Float, qform: Float | None, spacing: list[float], grid: tuple[int, ...], notes: list[str]) -> None:
    """Say how far the qform and the voxel sizes (empty if unusable) are from the sform, which is used."""
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    if not spacing:
        notes.append("The header's voxel sizes are not usable; those of its matrix (sform) are used.")
        return
    if qform is not None and np.all(np.isfinite(qform)):
        far = np.array([grid[2] - 1, grid[1] - 1, grid[0] - 1, 1.0])
        corners = [far * [a, b, c, 1] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
        gap = max(float(np.linalg.norm(((sform - qform) @ p)[:3])) for p in corners)
        if gap > _APART * float(lengths.min()):
            notes.append(
                f"The file states two positions (sform, qform) up to {gap:.1f} mm apart and turned against each other "
                f"by {_turn_deg(sform, qform):.1f}°; the sform is used."
            )
            return
    differ = np.abs(lengths - spacing) / lengths
    if differ.max() > 0.01:
        stated = " x ".join(f"{s:.4g}" for s in spacing)
        used = " x ".join(f"{s:.4g}" for s in lengths)
        notes.append(
            f"The header's voxel sizes ({stated} mm) are not those of its matrix (sform, {used} mm); the sform is used."
        )


def _turn_deg(one: Float, other: Float) -> float:
    """Return the angle in degrees between the axes of two affines: 180 where an axis is mirrored."""
    units = [a[:3, :3] / np.maximum(np.linalg.norm(a[:3, :3], axis=0), 1e-12) for a in (one, other)]
    cosines = np.sum(units[0] * units[1], axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines.min(), -1.0, 1.0))))


def _qform(raw: Any, spacing: list[float], factor: float) -> Float:
    """Return the LPS affine of the quaternion (nifti1.h, method 2) with usable spacings."""
    quaternion = [float(raw[k]) for k in ("quatern_b", "quatern_c", "quatern_d")]
    offset = [float(raw[k]) * factor for k in ("qoffset_x", "qoffset_y", "qoffset_z")]
    b, c, d = quaternion
    a2 = 1.0 - (b * b + c * c + d * d)
    if not np.isfinite(a2):
        return np.full((4, 4), np.nan)
    if a2 < 1e-7:  # nifti_quatern_to_mat44: a half turn; renormalise
        length = np.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = float(np.sqrt(a2))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    handed = -1.0 if float(raw["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.array([spacing[0], spacing[1], spacing[2] * handed])
    affine[:3, 3] = offset
    return ras_to_lps(affine)
