"""A small copy of a volume for the 3D view: means of blocks, in the place of the whole.

A graphics card holds a whole scan only as a texture of several times its size (3 GB more for 512 x 512 x 1500), and no
screen shows that many voxels. Blocks are chosen by length in mm, so thick slices are not merged while pixels are.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.errors import InputError

Three = tuple[float, float, float]
_TOP = 65535


@dataclass(frozen=True, eq=False)
class Preview3D:
    """A small volume.

    Parameters
    ----------
    codes
        uint16 (z, y, x); value = `low` + code * `step`.
    low, step
        In the unit of the scan. They span all values of the preview, so another window needs no new preview.
    spacing, translate
        (z, y, x) of its voxels in the world of the scan it was made from.
    blocks
        How many voxels of the scan (z, y, x) each of its voxels is the mean of.
    """

    codes: npt.NDArray[np.uint16]
    low: float
    step: float
    spacing: Three
    translate: Three
    blocks: tuple[int, int, int]

    def code_of(self, value: float) -> float:
        """Return the code of a value of the scan; values beyond the preview have codes below 0 or above 65535."""
        return (value - self.low) / self.step

    @property
    def words(self) -> str:
        """Say how much coarser it is than the scan; "" if it is not."""
        factor = max(self.blocks)
        return f"3D preview {factor}x coarser" if factor > 1 else ""


def blocks_for(shape: tuple[int, ...], spacing: Three, side: int, largest: int) -> tuple[int, int, int]:
    """Return how many voxels to merge along (z, y, x).

    Parameters
    ----------
    shape, spacing
        Of the volume, (z, y, x).
    side
        The result holds at most ``side ** 3`` voxels ...
    largest
        ... and at most this many along one axis (what the graphics card takes).

    Notes
    -----
    Always the axis whose blocks are shortest in mm is merged next: the result is as near to cubes as the scan allows.
    """
    if len(shape) != 3 or min(shape) < 1 or side < 1 or largest < 1:
        raise InputError(f"shape: expected three counts (z, y, x) and limits of at least 1, got {shape}, {side}")
    blocks = [1, 1, 1]
    while True:
        size = [math.ceil(n / b) for n, b in zip(shape, blocks, strict=True)]
        too_long = [axis for axis in range(3) if size[axis] > largest]
        if not too_long and math.prod(size) <= side**3:
            return (blocks[0], blocks[1], blocks[2])
        open_axes = too_long or [axis for axis in range(3) if size[axis] > 1]
        axis = min(open_axes, key=lambda a: blocks[a] * spacing[a])
        blocks[axis] += 1


def block_means(
    volume: npt.NDArray[Any], blocks: tuple[int, int, int]
) -> Generator[float, None, npt.NDArray[np.float32]]:
    """Return means of blocks of (z, y, x), yielding the share that is done; the last block of an axis may be smaller.

    Values that are not finite count as the lowest finite value of their block, 0 where none is.
    """
    bz, by, bx = blocks
    depth, height, width = volume.shape
    rows, columns = np.arange(0, height, by), np.arange(0, width, bx)
    counts = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))[None, :]
    made = np.empty((math.ceil(depth / bz), len(rows), len(columns)), np.float32)
    for index in range(len(made)):
        slab = volume[index * bz : (index + 1) * bz]
        planes = len(slab)
        if slab.dtype.kind == "f" and not np.isfinite(slab).all():
            finite = slab[np.isfinite(slab)]
            slab = np.where(np.isfinite(slab), slab, finite.min() if finite.size else 0)
        summed = slab.sum(axis=0, dtype=np.float64 if slab.dtype.kind == "f" else np.int64)
        summed = summed.astype(np.float64, copy=False)
        if by > 1:
            summed = np.add.reduceat(summed, rows, axis=0)
        if bx > 1:
            summed = np.add.reduceat(summed, columns, axis=1)
        made[index] = summed / (counts * planes)
        yield (index + 1) / len(made)
    return made


def preview_of(
    volume: npt.NDArray[Any], spacing: Three, translate: Three, side: int = 256, largest: int = 256
) -> Generator[float, None, Preview3D]:
    """Make a preview of (z, y, x), yielding the share that is done.

    Parameters
    ----------
    volume
        One time point, one channel; any real numbers.
    spacing, translate
        Of its voxels in the world, (z, y, x).
    side, largest
        As `blocks_for` takes them.
    """
    if volume.ndim != 3:
        raise InputError(f"volume: expected one volume (z, y, x), got an array of {volume.ndim} axes")
    blocks = blocks_for(volume.shape, spacing, side, largest)
    means = yield from block_means(volume, blocks)
    low, high = float(means.min()), float(means.max())
    step = (high - low) / _TOP or 1.0
    codes = np.empty(means.shape, np.uint16)
    for index, plane in enumerate(means):
        codes[index] = np.rint((plane - low) / step)
    return Preview3D(
        codes, low, step,
        (spacing[0] * blocks[0], spacing[1] * blocks[1], spacing[2] * blocks[2]),
        tuple(t + (b - 1) / 2 * s for t, b, s in zip(translate, blocks, spacing, strict=True)),  # type: ignore[arg-type]
        blocks,
    )  # fmt: skip
