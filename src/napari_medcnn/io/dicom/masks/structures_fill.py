"""Contours into voxels: which voxel centres lie inside closed curves in one plane of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_medcnn.core.geometry import Array, Float, Geometry

#: Continuous indices are rounded to this: 1e-12 of arithmetic must not decide on which side of an edge a centre lies.
_DECIMALS = 6
#: A contour this far (in planes) from a plane of the grid counts as lying in it.
_IN_PLANE = 0.01


def inside(curves: Sequence[Float], shape: tuple[int, int]) -> Array:
    """Return the pixels (y, x) whose centres lie inside an odd number of closed curves.

    Parameters
    ----------
    curves
        Each (n, 2) vertices as continuous indices (y, x); the last joins the first.  Curves of fewer than 3 vertices
        hold nothing.  Vertices may lie outside.
    shape
        Rows and columns, each at least 1.

    Notes
    -----
    Even-odd rule (scan line): pixel (y, x) is inside if a ray from its centre towards smaller x crosses the curves an
    odd number of times.  So a curve inside another is a hole, and the two edges of a keyhole cancel.  A centre exactly
    on a border belongs to the region on the side of larger x, or of larger y for a horizontal border: regions that
    share a border share no pixel and leave none out.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), np.int32)
    for curve in curves:
        if len(curve) < 3:
            continue
        begin = np.round(np.clip(curve, -1e9, 1e9), _DECIMALS)
        end = np.roll(begin, -1, axis=0)
        low, high = np.minimum(begin[:, 0], end[:, 0]), np.maximum(begin[:, 0], end[:, 0])
        # rows with low <= y < high: an edge's upper end belongs to the next edge, a horizontal one to none
        first = np.clip(np.ceil(low), 0, rows).astype(np.int64)
        count = np.clip(np.ceil(high), 0, rows).astype(np.int64) - first
        edge = np.repeat(np.arange(len(begin)), count)
        y = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        share = (y - begin[edge, 0]) / (end[edge, 0] - begin[edge, 0])
        x = np.round(begin[edge, 1] + share * (end[edge, 1] - begin[edge, 1]), _DECIMALS)
        np.add.at(crossings, (y, np.clip(np.ceil(x), 0, columns).astype(np.int64)), 1)
    return (np.cumsum(crossings[:, :columns], axis=1) & 1).astype(bool)


@dataclass(frozen=True, eq=False)
class Patch:
    """What one region covers of one plane: `mask` (y, x) bool, its first pixel at `row`, `column`."""

    plane: int
    row: int
    column: int
    mask: Array

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the plane that the patch lies on."""
        height, width = self.mask.shape
        return slice(self.row, self.row + height), slice(self.column, self.column + width)


@dataclass(frozen=True, eq=False)
class Filled:
    """One region on a grid, and how many of its contours were left out or moved, by reason.

    Parameters
    ----------
    outside
        Contours beyond the first or last plane.
    across
        Contours that do not lie in a plane of the grid.
    moved
        Contours between two planes, drawn on the nearer one.
    dropped
        Contours for whose plane a nearer contour of the same region is there.
    """

    patches: tuple[Patch, ...]
    outside: int = 0
    across: int = 0
    moved: int = 0
    dropped: int = 0


def filled(contours: Sequence[Float], grid: Geometry) -> Filled:
    """Return the voxels of one region.

    Parameters
    ----------
    contours
        Closed curves, each (n, 3) LPS mm; those in one plane are combined by exclusive or: a curve within another is
        a hole.
    grid
        Of the series it was drawn on.  A contour belongs to the plane nearest to it along the normal, at most half a
        slice away.
    """
    by_plane: dict[int, list[tuple[float, Float]]] = {}
    outside = across = moved = dropped = 0
    for contour in contours:
        index = grid.lps_to_index(contour)
        if not np.all(np.isfinite(index)) or float(np.ptp(index[:, 0])) > 0.5:
            across += 1
            continue
        place = round(float(index[:, 0].mean()), 3)
        plane = int(np.floor(place + 0.5))
        if not 0 <= plane < grid.shape[0]:
            outside += 1
            continue
        by_plane.setdefault(plane, []).append((place - plane, index[:, 1:]))
    patches = []
    for plane, members in sorted(by_plane.items()):
        nearest = min(members, key=lambda one: abs(one[0]))[0]
        curves = [curve for gap, curve in members if abs(gap - nearest) <= _IN_PLANE]
        dropped += len(members) - len(curves)
        moved += len(curves) if abs(nearest) > _IN_PLANE else 0
        patch = _patch(plane, curves, grid.shape[1:])
        if patch is not None:
            patches.append(patch)
    return Filled(tuple(patches), outside, across, moved, dropped)


def _patch(plane: int, curves: Sequence[Float], shape: tuple[int, int]) -> Patch | None:
    """Return the pixels inside, cut to the box of the curves; None if the box holds no pixel."""
    corners = np.concatenate(curves)
    low = np.clip(np.floor(corners.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, shape).astype(int)
    if np.any(high <= low):
        return None
    mask = inside([curve - low for curve in curves], (int(high[0] - low[0]), int(high[1] - low[1])))
    return Patch(plane, int(low[0]), int(low[1]), mask)
