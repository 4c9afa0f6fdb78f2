"""Brush and eraser: a disc in a slice or a ball, swept along a path, on chosen values of the scan if wanted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_medcnn.annotation.box import Box, clipped
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.mask import Bools, Mask, check_axis, check_length, shape_in
from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.errors import InputError

_EDGE = 1e-12  # of the squared radius: the edge belongs to the ball


@dataclass(frozen=True)
class Range:
    """Values of the scan from `low` to `high`, both included; a value that is not a number is never in.

    Raises
    ------
    InputError
        `low` is above `high`, or one of them is not a number. An infinite end leaves that side open.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InputError(f"range: expected low to high, got {self.low} to {self.high}")

    def holds(self, values: Array) -> Bools:
        """Return where values lie in the range."""
        return np.asarray((values >= self.low) & (values <= self.high))


@dataclass(frozen=True)
class Brush:
    """What is swept along a path.

    Parameters
    ----------
    radius_mm
        0 or more; its border belongs to it. The voxel under the pointer always does, so a brush smaller than a voxel
        paints one voxel.
    axis
        The slice drawn in is across this axis (0, 1, 2 for z, y, x) and the brush is a disc in it; None for a ball.
    limits
        Paint only voxels whose value in the scan lies in this range; None for all.
    """

    radius_mm: float
    axis: int | None = None
    limits: Range | None = None

    def __post_init__(self) -> None:
        check_length(self.radius_mm, "radius_mm")
        if self.axis is not None:
            check_axis(self.axis)


def paint(mask: Mask, brush: Brush, path: Sequence[Sequence[float]], label: int, scan: Array | None = None) -> Edit:
    """Give what a brush sweeps over to a class; 0 erases.

    The region is every voxel whose centre lies within the radius, in mm, of the line through the points, and the voxels
    nearest to that line: no gaps, however fast the hand moves.

    Parameters
    ----------
    path
        One or more voxel indices (z, y, x), fractions allowed; they may lie outside the mask.
    scan
        Values (z, y, x), needed where the brush has limits.

    Returns
    -------
    Edit
        Empty where the path misses the mask.

    Raises
    ------
    InputError
        No point, points of a disc in different slices, a scan that does not fit, a locked class.
    """
    box, swept = swept_region(mask, brush, path)
    if brush.limits is not None:
        if scan is None:
            raise InputError("scan: expected the scan's values for a brush that is limited to a range, got none")
        mask.require_scan(scan)
        swept &= brush.limits.holds(scan[box])
    return mask.given(box, swept & mask.writable(box, drawn=True), label)


def swept_region(mask: Mask, brush: Brush, path: Sequence[Sequence[float]]) -> tuple[Box, Bools]:
    """Return the box that a brush sweeps, cut to the mask, and which of its voxels belong to it; see `paint`."""
    points = np.asarray(path, float)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points) or not np.all(np.isfinite(points)):
        raise InputError(f"path: expected one or more voxel indices (z, y, x), got shape {points.shape}")
    spacing = np.array(mask.spacing)
    radii = brush.radius_mm / spacing
    if brush.axis is not None:
        slices = np.floor(points[:, brush.axis] + 0.5)
        if np.ptp(slices):
            raise InputError(f"path: expected one slice across axis {brush.axis} for a disc, got {np.unique(slices)}")
        points[:, brush.axis] = slices
        radii[brush.axis] = 0
    line = _line(points)
    low = np.minimum(np.ceil(points.min(axis=0) - radii - 1e-9), line.min(axis=0)).astype(int)
    high = np.maximum(np.floor(points.max(axis=0) + radii + 1e-9), line.max(axis=0)).astype(int) + 1
    box = clipped([slice(int(a), int(max(a, b))) for a, b in zip(low, high, strict=True)], mask.shape)
    swept = np.zeros(shape_in(box), bool)
    if not swept.size:
        return box, swept
    for start, stop in itertools.pairwise(points) if len(points) > 1 else [(points[0], points[0])]:
        _sweep(swept, box, (start, stop), radii, spacing)
    corner = np.array([part.start for part in box])
    line = line[((line >= corner) & (line < corner + swept.shape)).all(axis=1)] - corner
    swept[tuple(line.T)] = True
    return box, swept


def _sweep(swept: Bools, box: Box, ends: tuple[Float, Float], radii: Float, spacing: Float) -> None:
    """Add the voxels within the radius of one straight part of the path, looking only at its own box."""
    start, stop = ends
    low = np.ceil(np.minimum(start, stop) - radii - 1e-9).astype(int)
    high = np.floor(np.maximum(start, stop) + radii + 1e-9).astype(int) + 1
    own = tuple(
        slice(max(int(a), b.start), max(int(a), b.start, min(int(h), b.stop)))
        for a, h, b in zip(low, high, box, strict=True)
    )
    # the axis across a disc has no radius and its box is one slice
    axes = [a for a in range(3) if radii[a] > 0]
    if not axes or any(part.start >= part.stop for part in own):
        return
    along = ((stop - start) * spacing)[axes]
    grids = [g.astype(float) for g in np.ogrid[own]]
    away = [(grids[a] - start[a]) * spacing[a] for a in axes]
    length = float(along @ along)
    share: Array | float = 0.0
    if length > 0:
        share = np.clip(sum(d * v for d, v in zip(away, along, strict=True)) / length, 0.0, 1.0)
    squared = sum((d - share * v) ** 2 for d, v in zip(away, along, strict=True))
    radius = float((radii * spacing).max())
    place = tuple(slice(o.start - b.start, o.stop - b.start) for o, b in zip(own, box, strict=True))
    swept[place] |= np.broadcast_to(squared <= radius**2 * (1 + _EDGE), swept[place].shape)


def _line(points: Float) -> Array:
    """Return the voxels (n, 3) nearest to the line through the points; neighbours in it touch."""
    found = [points[:1]]
    for start, stop in itertools.pairwise(points):
        steps = int(np.ceil(np.abs(stop - start).max())) + 1
        found.append(start + np.linspace(0.0, 1.0, steps + 1)[1:, None] * (stop - start))
    return np.unique(np.floor(np.concatenate(found) + 0.5).astype(int), axis=0)


def learn_range(
    mask: Mask, brush: Brush, point: Sequence[float], scan: Array, percentiles: tuple[float, float] = (5.0, 95.0)
) -> Range:
    """Return the range of the scan's values under the brush at one point, for a brush with limits.

    Parameters
    ----------
    percentiles
        Lower and upper, 0 to 100 (numpy's linear method): a few voxels of another tissue do not widen the range.

    Raises
    ------
    InputError
        Percentiles out of order, or no finite value under the brush.
    """
    low, high = percentiles
    if not 0 <= low <= high <= 100:
        raise InputError(f"percentiles: expected two numbers in order from 0 to 100, got {percentiles}")
    mask.require_scan(scan)
    box, swept = swept_region(mask, brush, [point])
    values = scan[box][swept].astype(float)
    values = values[np.isfinite(values)]
    if not values.size:
        raise InputError("range: there is no value under the brush here; hold it over the tissue to learn from")
    first, last = np.percentile(values, [low, high])
    return Range(float(first), float(last))
