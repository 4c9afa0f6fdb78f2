"""Boxes of a mask: one slice per array axis, always with start, stop and no step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

Box = tuple[slice, ...]


def whole(shape: Sequence[int]) -> Box:
    """Return the box of a whole array."""
    return tuple(slice(0, int(n)) for n in shape)


def clipped(box: Sequence[slice], shape: Sequence[int]) -> Box:
    """Return `box` cut to an array of `shape`; open ends run to the border; may be empty.

    Raises
    ------
    InputError
        Another number of axes, or a step.
    """
    if len(box) != len(shape):
        raise InputError(f"box: expected {len(shape)} slices, got {len(box)}")
    out = []
    for part, n in zip(box, shape, strict=True):
        if part.step not in (None, 1):
            raise InputError(f"box: expected slices without a step, got {part}")
        start = 0 if part.start is None else min(max(int(part.start), 0), n)
        stop = n if part.stop is None else min(max(int(part.stop), start), n)
        out.append(slice(start, stop))
    return tuple(out)


def shape_of(box: Box) -> tuple[int, ...]:
    """Return the shape of an array that fills the box."""
    return tuple(part.stop - part.start for part in box)


def around(changed: Array, offset: Box) -> Box | None:
    """Return the tight box of True voxels, `changed` being the part of a mask in `offset`; None if there are none."""
    out = []
    for axis in range(changed.ndim):
        hit = np.flatnonzero(changed.any(axis=tuple(a for a in range(changed.ndim) if a != axis)))
        if hit.size == 0:
            return None
        start = offset[axis].start
        out.append(slice(start + int(hit[0]), start + int(hit[-1]) + 1))
    return tuple(out)
