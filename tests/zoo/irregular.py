"""Whether the planes of a series form a straight, even grid, worked out from positions alone."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core.volume import Volume
from zoo.oracle_dicom import Frame

#: As highdicom: a hundredth of the distance between slices.
SHARE = 0.01


def problems(frames: list[Frame]) -> set[str]:
    """Return what keeps the planes from a straight, even grid: keys of WORDS; empty for an even one."""
    placed = [f for f in frames if f.placed]
    out = set()
    if not placed:
        return out
    if len({f.pixels.shape for f in placed}) > 1:
        out.add("sizes")
    turned = np.array([[*f.row, *f.column] for f in placed])
    if np.abs(turned - turned[0]).max() > 1e-3:
        return out | {"orientations"}
    normal = placed[0].normal
    along = np.array([f.position @ normal for f in placed])
    steps = np.unique(np.round(along, 3))
    if len(steps) < len(along):
        counts = {int(np.sum(np.abs(along - s) < 2e-3)) for s in steps}
        out.add("duplicates" if len(counts) > 1 else "moments")
    if len(steps) < 2:
        return out
    gaps = np.diff(steps)
    if np.abs(gaps - np.median(gaps)).max() > SHARE * np.median(gaps):
        out.add("gaps")
    order = np.argsort(along, kind="stable")
    way = placed[order[-1]].position - placed[order[0]].position
    if np.linalg.norm(way - normal * (way @ normal)) > max(0.05, SHARE * np.median(gaps) * len(steps)):
        out.add("tilt")
    return out


#: What a refusal must speak of, whatever the exact words.
WORDS = {
    "tilt": ("tilt", "shear", "slant"),
    "gaps": ("gap", "uneven", "missing", "distance"),
    "duplicates": ("duplicate", "same place", "same position", "several", "one place"),
    "moments": ("same place", "same position", "several", "one place", "differ"),
    "sizes": ("size",),
    "orientations": ("orientation", "direction"),
}


def chosen(frames: list[Frame], which: str) -> list[Frame]:
    """Return of the frames at one place the one with the lowest ("first") or highest InstanceNumber."""
    best: dict[tuple[int, ...], Frame] = {}
    for frame in frames:
        key = tuple(np.rint(frame.position * 100).astype(int))
        other = best.get(key)
        if other is None or (frame.instance < other.instance) == (which == "first"):
            best[key] = frame
    return list(best.values())


def straightened(volume: Volume, frames: list[Frame], count: int = 4000) -> float:
    """Return how far the voxels of a straightened series lie from the two slices around them, as a share of the range.

    Each of some random voxels is looked up in the slice below and above (bilinear, at the same place of the sheet)
    and mixed by distance; mean of the absolute differences.
    """
    order = sorted((f for f in frames if f.placed), key=lambda f: float(f.position @ f.normal))
    along = np.array([f.position @ f.normal for f in order])
    along, index = np.unique(np.round(along, 4), return_index=True)
    order = [order[i] for i in index]
    rng = np.random.default_rng(0)
    shape = volume.array.shape
    voxels = np.column_stack([rng.integers(0, n, count) for n in shape])
    points = volume.geometry.index_to_lps(voxels)
    values = np.asarray(volume.array)[tuple(voxels.T)].astype(float)
    gaps, spread = [], float(np.ptp(np.concatenate([f.pixels.ravel() for f in order]).astype(float)))
    for point, value in zip(points, values, strict=True):
        s = float(point @ order[0].normal)
        k = int(np.clip(np.searchsorted(along, s) - 1, 0, len(along) - 2))
        f = (s - along[k]) / (along[k + 1] - along[k])
        if not 0 <= f <= 1:
            continue
        low, high = order[k], order[k + 1]
        from_corner = point - (low.position * (1 - f) + high.position * f)
        r, c = from_corner @ low.column / low.pixel_mm[0], from_corner @ low.row / low.pixel_mm[1]
        h, w = low.pixels.shape
        if not (0 <= r < h - 1 and 0 <= c < w - 1):
            continue
        y, x, dy, dx = int(r), int(c), r - int(r), c - int(c)
        mixed = 0.0
        for plane, share in ((low.pixels, 1 - f), (high.pixels, f)):
            box = plane[y : y + 2, x : x + 2].astype(float)
            mixed += share * float(np.array([1 - dy, dy]) @ box @ np.array([1 - dx, dx]))
        gaps.append(abs(mixed - value))
    return float(np.mean(gaps)) / max(spread, 1.0) if gaps else float("inf")
