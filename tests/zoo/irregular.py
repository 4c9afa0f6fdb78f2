"""Whether the planes of a series form a straight, even grid, worked out from positions alone."""

from __future__ import annotations

import numpy as np

from zoo.oracle_dicom import Frame

#: As highdicom: a hundredth of the distance between slices.
SHARE = 0.01


def problem(frames: list[Frame]) -> str:
    """Return "", or what keeps the planes from a straight grid: one word of PROBLEMS."""
    placed = [f for f in frames if f.placed]
    if not placed:
        return ""
    if len({f.pixels.shape for f in placed}) > 1:
        return "sizes"
    turned = np.array([[*f.row, *f.column] for f in placed])
    if np.abs(turned - turned[0]).max() > 1e-3:
        return "orientations"
    normal = placed[0].normal
    along = np.array([f.position @ normal for f in placed])
    steps = np.unique(np.round(along, 3))
    if len(steps) < len(along):
        at = [f for f, a in zip(placed, along, strict=True) if abs(a - along[0]) < 1e-3]
        counts = np.array([np.sum(np.abs(along - s) < 2e-3) for s in steps])
        if len(set(counts.tolist())) > 1:
            return "duplicates"
        if len(at) == 2 and not np.array_equal(at[0].pixels, at[1].pixels):
            return "moments"
    if len(steps) < 2:
        return ""
    gaps = np.diff(steps)
    if np.abs(gaps - np.median(gaps)).max() > SHARE * np.median(gaps):
        return "gaps"
    order = np.argsort(along, kind="stable")
    first, last = placed[order[0]], placed[order[-1]]
    across = (last.position - first.position) - normal * ((last.position - first.position) @ normal)
    if np.linalg.norm(across) > max(0.05, SHARE * np.median(gaps) * len(steps)):
        return "tilt"
    return ""


#: What a refusal must speak of, whatever the exact words.
WORDS = {
    "tilt": ("tilt", "shear", "slant"),
    "gaps": ("gap", "uneven", "missing", "distance"),
    "duplicates": ("duplicate", "same place", "same position", "several", "one place"),
    "moments": ("same place", "same position", "several", "one place", "differ"),
    "sizes": ("size",),
    "orientations": ("orientation", "direction"),
}
