"""Lasso and polygon: the inside of an outline drawn in one slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.brush import Range
from napari_medcnn.annotation.tools.mask import Bools, Mask, Plane
from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.errors import InputError

_ON = 1e-9  # voxels: a centre this near to the outline lies on it


def fill_polygon(
    mask: Mask,
    plane: Plane,
    corners: Sequence[Sequence[float]],
    label: int,
    scan: Array | None = None,
    limits: Range | None = None,
) -> Edit:
    """Give the inside of a polygon to a class; 0 erases.

    A voxel belongs to it if its centre lies inside or on the outline. Where the outline crosses itself, what it goes
    round twice is outside (even-odd rule).

    Parameters
    ----------
    plane
        The slice drawn in.
    corners
        (n, 2) voxel indices along the two other axes in their order (y, x in a slice across z; z, x across y; z, y
        across x), fractions allowed; they may lie outside. The last corner joins the first.
    scan, limits
        Where given, only voxels whose value lies in the range.

    Returns
    -------
    Edit
        Empty where no voxel centre is inside.

    Raises
    ------
    InputError
        Fewer than three corners, no such slice, a locked class, limits without a scan.
    """
    box, inside = polygon_region(mask.shape, plane, corners)
    if limits is not None:
        if scan is None:
            raise InputError("scan: expected the scan's values for an outline that is limited to a range, got none")
        mask.require_scan(scan)
        inside &= limits.holds(scan[box])
    return mask.given(box, inside & mask.writable(box, drawn=True), label)


def polygon_region(shape: Sequence[int], plane: Plane, corners: Sequence[Sequence[float]]) -> tuple[Box, Bools]:
    """Return the box of a polygon in a mask of `shape` (z, y, x) and the voxels inside it; see `fill_polygon`.

    A scanline fill: 0.5 s for a drawn outline of 400 points in 512 x 512 with `skimage.measure.grid_points_in_poly`,
    which asks every voxel about every corner; 10 ms here.
    """
    outline = np.asarray(corners, float)
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 3 or not np.all(np.isfinite(outline)):
        raise InputError(f"corners: expected three or more points with two numbers, got shape {outline.shape}")
    flat = plane.box(shape)
    u, v = [a for a in range(3) if a != plane.axis]
    low = np.clip(np.ceil(outline.min(axis=0) - _ON), 0, [shape[u], shape[v]]).astype(int)
    high = np.clip(np.floor(outline.max(axis=0) + _ON) + 1, low, [shape[u], shape[v]]).astype(int)
    spans = {u: slice(int(low[0]), int(high[0])), v: slice(int(low[1]), int(high[1]))}
    box: Box = tuple(spans.get(a, flat[a]) for a in range(3))
    inside = _scanned(outline - low, (int(high[0] - low[0]), int(high[1] - low[1])))
    return box, np.expand_dims(inside, plane.axis)


def _scanned(outline: Float, shape: tuple[int, int]) -> Bools:
    """Return the voxels of a rectangle from (0, 0) whose centres lie in a polygon or on its outline."""
    inside = np.zeros(shape, bool)
    if not inside.size:
        return inside
    start, stop = outline, np.roll(outline, -1, axis=0)
    flat = np.abs(stop[:, 0] - start[:, 0]) < _ON
    first, last = np.minimum(start[:, 0], stop[:, 0]), np.maximum(start[:, 0], stop[:, 0])
    slope = (stop[:, 1] - start[:, 1]) / np.where(flat, 1.0, stop[:, 0] - start[:, 0])
    for row in range(shape[0]):
        # an edge counts from its upper end up to, not including, its lower one: a corner is crossed once
        crossed = ~flat & (first <= row) & (row < last)
        across = np.sort(start[crossed, 1] + (row - start[crossed, 0]) * slope[crossed])
        spans = [(across[0::2], across[1::2])]
        # corners and level edges on this row that no crossing has seen
        level = flat & (np.abs(first - row) < _ON)
        spans.append((np.minimum(start[level, 1], stop[level, 1]), np.maximum(start[level, 1], stop[level, 1])))
        corner = start[np.abs(start[:, 0] - row) < _ON, 1]
        spans.append((corner, corner))
        for lefts, rights in spans:
            for left, right in zip(lefts, rights, strict=True):
                a, b = max(int(np.ceil(left - _ON)), 0), min(int(np.floor(right + _ON)), shape[1] - 1)
                inside[row, a : b + 1] |= a <= b
    return inside
