"""Edits of a mask as pure functions: the mask goes in, an `Edit` comes out, nothing is written until `Edit.apply`.

Locked classes: their voxels keep their id, whatever the edit, and no edit may give voxels to one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from napari_medcnn.annotation.box import Box, clipped, shape_of, whole
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import GeometryError, InputError


@dataclass(frozen=True, eq=False)
class Edit:
    """What an edit writes: class ids `after` (and `before`) filling `box`; the box may be empty."""

    box: Box
    before: Array
    after: Array

    @property
    def inverse(self) -> Edit:
        """The edit that takes this one back."""
        return Edit(self.box, self.after, self.before)

    @property
    def changed(self) -> int:
        """How many voxels get another class."""
        return int((self.before != self.after).sum())

    def apply(self, array: Array) -> None:
        """Write the edit into `array` in place."""
        array[self.box] = self.after


def widened(array: Array, label: int) -> Array:
    """Return `array` itself if it can hold `label`, else a copy in the smallest type that can; ids never wrap.

    Raises
    ------
    InputError
        `label` is not from 0 to 65535.
    """
    if not 0 <= label <= 65535:
        raise InputError(f"class id: expected 0 to 65535, got {label}")
    if array.dtype.kind == "b":
        return array.astype(np.uint8 if label <= 255 else np.uint16)
    return array if label <= np.iinfo(array.dtype).max else array.astype(np.uint16)


def paint_ball(
    array: Array,
    centre_zyx: Sequence[float],
    radius_mm: float,
    spacing_mm: Sequence[float],
    label: int,
    locked: Collection[int] = (),
) -> Edit:
    """Give every voxel whose centre lies within `radius_mm` of `centre_zyx` to a class; 0 erases.

    Parameters
    ----------
    array
        Class ids (z, y, x).
    centre_zyx
        Voxel index, fractions allowed, may lie outside; a picture has z = 0.
    radius_mm
        0 or more; a ball in millimetres, so an ellipsoid in voxels. The boundary belongs to it.
    spacing_mm
        (z, y, x); ones to count in voxels where the spacing is unknown.
    """
    spacing, centre = np.asarray(spacing_mm, float), np.asarray(centre_zyx, float)
    if spacing.shape != (array.ndim,) or not np.all(np.isfinite(spacing)) or spacing.min() <= 0:
        raise GeometryError(f"spacing_mm: expected {array.ndim} lengths above 0, got {spacing_mm}")
    if not (np.isfinite(radius_mm) and radius_mm >= 0) or not np.all(np.isfinite(centre)):
        raise InputError(f"ball: expected a radius of 0 mm or more and a finite centre, got {radius_mm}, {centre_zyx}")
    low = np.ceil(centre - radius_mm / spacing - 1e-9).astype(int)
    high = np.floor(centre + radius_mm / spacing + 1e-9).astype(int) + 1
    box = clipped([slice(int(a), int(max(a, b))) for a, b in zip(low, high, strict=True)], array.shape)
    grids = np.ogrid[box]
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, spacing, strict=True))
    return give(array, box, np.broadcast_to(squared <= radius_mm**2 * (1 + 1e-12), shape_of(box)), label, locked)


def erase_ball(
    array: Array,
    centre_zyx: Sequence[float],
    radius_mm: float,
    spacing_mm: Sequence[float],
    locked: Collection[int] = (),
) -> Edit:
    """Give a ball to the background; see `paint_ball`."""
    return paint_ball(array, centre_zyx, radius_mm, spacing_mm, 0, locked)


def fill_box(array: Array, box: Sequence[slice], label: int, locked: Collection[int] = ()) -> Edit:
    """Give a whole box to a class; the box is cut to the mask."""
    inside = clipped(box, array.shape)
    return give(array, inside, np.ones(shape_of(inside), dtype=bool), label, locked)


def give(array: Array, box: Sequence[slice], region: Array, label: int, locked: Collection[int] = ()) -> Edit:
    """Give the True voxels of `region`, which fills `box`, to a class.

    Raises
    ------
    InputError
        The class is locked, does not fit the mask's type (see `widened`), or `region` does not fill the box.
    """
    inside = clipped(box, array.shape)
    if region.shape != shape_of(inside):
        raise InputError(f"region: expected shape {shape_of(inside)}, got {region.shape}")
    values = np.full(region.shape, _fitting(array, label), dtype=array.dtype)
    return _write(array, inside, region, values, locked)


def replace_box(array: Array, box: Sequence[slice], values: Array, locked: Collection[int] = ()) -> Edit:
    """Take over `values` (the model's ids, filling `box`), except where either side is a locked class."""
    inside = clipped(box, array.shape)
    if values.shape != shape_of(inside) or values.dtype.kind not in "biu":
        raise InputError(f"values: expected class ids of shape {shape_of(inside)}, got {values.shape} {values.dtype}")
    _fitting(array, int(values.max(initial=0)))
    allowed = ~np.isin(values, list(locked))
    return _write(array, inside, allowed, values.astype(array.dtype), locked)


def relabel(array: Array, old: int, new: int, locked: Collection[int] = ()) -> Edit:
    """Give every voxel of class `old` to class `new`.

    Raises
    ------
    InputError
        Either class is locked, or `new` does not fit the mask's type.
    """
    if old in locked:
        raise InputError(f"class {old} is locked; unlock it in the class table to change it")
    box = whole(array.shape)
    return give(array, box, array == old, new, locked)


def _fitting(array: Array, label: int) -> int:
    largest = 1 if array.dtype.kind == "b" else int(np.iinfo(array.dtype).max)
    if not 0 <= label <= min(largest, 65535):
        raise InputError(f"class {label} does not fit into a mask of {array.dtype}; widen the mask first")
    return label


def _write(array: Array, box: Box, region: Array, values: Array, locked: Collection[int]) -> Edit:
    before = array[box].copy()
    free = region if not locked else region & ~np.isin(before, list(locked))
    wanted = set(np.unique(values[region]).tolist()) & set(locked)
    if wanted:
        raise InputError(f"class {min(wanted)} is locked; unlock it in the class table to change it")
    return Edit(box, before, np.where(free, values, before))
