"""Whether one grid lies exactly in another, voxel on voxel, and the copy that follows from it."""

from __future__ import annotations

import itertools

import numpy as np

from napari_medcnn.core.geometry import Array, Geometry, Reorientation

#: Voxel centres this near (in voxels) are the same voxel: files round positions, two different grids lie further apart.
PLACE_TOLERANCE = 0.02
#: Direction cosines of parallel axes differ from 1 by less; the corners decide the rest.
_PARALLEL = 1e-3


def placement(part: Geometry, grid: Geometry) -> tuple[Reorientation, tuple[int, int, int]] | None:
    """Return how `part` lies in `grid`: the flips and transposition of its axes, and then the index of its first voxel.

    None unless every voxel centre of `part` meets a voxel centre of the endless continuation of `grid` within
    `PLACE_TOLERANCE`.  Indices may be negative or beyond `grid`: the part need not lie inside.  Grids whose spacing or
    orientation is unknown have no place in each other.
    """
    if not (part.spacing_known and grid.spacing_known and part.orientation_known and grid.orientation_known):
        return None
    cosines = (grid.direction.T @ part.direction)[::-1, ::-1]  # rows: array axes of grid, columns: of part
    order = np.abs(cosines).argmax(axis=1)
    if sorted(order.tolist()) != [0, 1, 2] or np.abs(cosines).max(axis=1).min() < 1.0 - _PARALLEL:
        return None
    a, b, c = (int(n) for n in order)
    flips = [bool(cosines[axis, n] < 0) for axis, n in enumerate(order)]
    how = Reorientation((a, b, c), (flips[0], flips[1], flips[2]))
    turned = part.reoriented(how)
    # an axis of one voxel is tried with two: its thickness belongs to the grid, too
    corners = np.array(list(itertools.product(*[(0, max(1, n - 1)) for n in turned.shape])), dtype=np.float64)
    found = grid.lps_to_index(turned.index_to_lps(corners)) - corners
    first = np.rint(found[0])
    if not np.all(np.isfinite(found)) or np.abs(first).max() > 1e9 or np.abs(found - first).max() > PLACE_TOLERANCE:
        return None
    z, y, x = (int(n) for n in first)
    return how, (z, y, x)


def copied(array: Array, part: Geometry, grid: Geometry) -> tuple[Array, int] | None:
    """Return the voxels (z, y, x) of `part` on `grid`, 0 elsewhere, and how many voxels not 0 fell outside of it.

    None where `part` does not lie voxel on voxel in `grid`, or wholly outside.
    """
    place = placement(part, grid)
    if place is None:
        return None
    how, first = place
    spans = shared(first, how.apply(array).shape, grid.shape)
    if spans is None:
        return None
    turned = how.apply(array)
    inner = turned[tuple(slice(low - start, high - start) for start, (low, high) in zip(first, spans, strict=True))]
    out = np.zeros(grid.shape, array.dtype)
    out[tuple(slice(low, high) for low, high in spans)] = inner
    return out, int(np.count_nonzero(array)) - int(np.count_nonzero(inner))


def shared(first: tuple[int, ...], size: tuple[int, ...], room: tuple[int, ...]) -> tuple[tuple[int, int], ...] | None:
    """Return (start, stop) along each axis of what a box of `size` voxels at index `first` shares with `room` voxels.

    None if it lies outside.
    """
    spans = tuple((max(f, 0), min(f + n, r)) for f, n, r in zip(first, size, room, strict=True))
    return spans if all(low < high for low, high in spans) else None


def apart(part: Geometry, grid: Geometry) -> bool:
    """Return True if the boxes of two grids surely do not touch; voxels reach half a voxel beyond their centres."""
    edges = np.array(list(itertools.product(*[(-0.5, n - 0.5) for n in part.shape])))
    found = grid.lps_to_index(part.index_to_lps(edges))
    return bool(np.any(found.max(axis=0) < -0.5) or np.any(found.min(axis=0) > np.array(grid.shape) - 0.5))
