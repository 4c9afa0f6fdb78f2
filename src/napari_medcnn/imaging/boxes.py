"""Boxes of voxels: a region the user drew, on the scan, on the turned scan and on the model's grid."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.record import Box
from napari_medcnn.imaging.resample import AxisMap

Region = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def whole_box(shape: tuple[int, ...]) -> Box:
    """Return the box of all of a grid."""
    return (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))


def turned_region(region: Region, shape: tuple[int, int, int], how: Reorientation) -> Box:
    """Return a region of the scan's own grid as a box of the turned scan.

    Parameters
    ----------
    region : (start, stop) voxels along the scan's axes z, y, x.
    shape : of the scan, (z, y, x).

    Raises
    ------
    InputError
        The region is empty or reaches outside the scan.
    """
    for (start, stop), length in zip(region, shape, strict=True):
        if not 0 <= start < stop <= length:
            told = " x ".join(f"{a}:{b}" for a, b in region)
            raise InputError(
                f"region: expected a box inside the scan's {shape[0]} x {shape[1]} x {shape[2]} voxels (z, y, x), "
                f"got {told}; draw it on the scan itself"
            )
    sides = []
    for axis, flip in zip(how.order, how.flips, strict=True):
        start, stop = region[axis]
        sides.append(slice(shape[axis] - stop, shape[axis] - start) if flip else slice(start, stop))
    return (sides[0], sides[1], sides[2])


def common(one: Box, other: Box) -> Box | None:
    """Return what two boxes share, None for nothing."""
    z, y, x = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return None if any(side.start >= side.stop for side in (z, y, x)) else (z, y, x)


def covering(part: Geometry, grid: Geometry, margin: tuple[int, int, int] = (0, 0, 0)) -> Box:
    """Return the box of `grid` that reading it at every voxel of `part` takes, widened by `margin` where it can be.

    Both grids have the same axes. Voxels of `part` outside `grid` read its border.
    """
    sides = []
    for reading, more, length in zip(AxisMap.between(part, grid), margin, grid.shape, strict=True):
        last = np.where(reading.share > 0, reading.high, reading.low).max()
        sides.append(slice(max(0, int(reading.low.min()) - more), min(length, int(last) + 1 + more)))
    return (sides[0], sides[1], sides[2])
