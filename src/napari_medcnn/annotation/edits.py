"""Edits of a mask as pure functions: the mask goes in, an `Edit` comes out, nothing is written until `Edit.apply`.

Locked classes: their voxels keep their id, whatever the edit, and no edit may give voxels to one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from napari_medcnn.annotation.box import Box, clipped, shape_of
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError


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


def give(array: Array, box: Sequence[slice], region: Array, label: int, locked: Collection[int] = ()) -> Edit:
    """Give the True voxels of `region`, which fills `box`, to a class.

    Raises
    ------
    InputError
        The class is locked, does not fit the mask's type, or `region` does not fill the box.
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
