"""Threshold to a class, booleans with a class of another mask, and copying a slice to another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, get_args

import numpy as np

from napari_medcnn.annotation.box import clipped, whole
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.brush import Range
from napari_medcnn.annotation.tools.mask import Mask, Plane, box_of
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

How = Literal["union", "intersect", "subtract"]


def threshold(
    mask: Mask,
    scan: Array,
    limits: Range,
    label: int,
    box: Sequence[slice] | None = None,
    inside: int | None = None,
) -> Edit:
    """Give every voxel whose value lies in a range to a class; 0 erases.

    Parameters
    ----------
    scan
        Values (z, y, x).
    box
        Only there; None for the whole scan.
    inside
        Only voxels of this class, which loses them. None: voxels that may be overwritten (see `Mask.over`: by default
        the background; erasing takes from every class that is not locked).

    Returns
    -------
    Edit
        Empty where no voxel qualifies.

    Raises
    ------
    InputError
        The scan does not fit, or one of the classes is locked.
    """
    mask.require_scan(scan)
    mask.require_free(label)
    region = whole(mask.shape) if box is None else clipped(box, mask.shape)
    if inside is not None:
        mask.require_free(inside)
        found = box_of(mask.array, inside, region)
        if found is None:
            return mask.nothing()
        return mask.given(found, limits.holds(scan[found]) & (mask.array[found] == inside), label)
    may = mask.writable(region, drawn=label == 0)
    return mask.given(region, limits.holds(scan[region]) & may & (mask.array[region] != label), label)


def combine(mask: Mask, label: int, other: Array, other_label: int, how: How) -> Edit:
    """Change a class by a class of another mask on the same grid (another reader's, the model's, or this one).

    union : the class also gets the other's voxels, from everything that is not locked.
    intersect : the class keeps what both have; the rest of it becomes background.
    subtract : what both have becomes background.

    Parameters
    ----------
    other
        Class ids (z, y, x).

    Returns
    -------
    Edit
        Empty where nothing changes; intersecting with a class that has no voxel empties the class.

    Raises
    ------
    InputError
        Another grid, a locked class, class 0, or `how` is none of the three.
    """
    mask.require_free(label)
    if how not in get_args(How):
        raise InputError(f"how: expected {', '.join(get_args(How))}, got {how!r}")
    if label == 0:
        raise InputError("class: expected one of the classes, got 0, the background")
    if other.shape != mask.shape or other.dtype.kind not in "biu":
        raise InputError(f"other mask: expected class ids of shape {mask.shape}, got {other.dtype} of {other.shape}")
    if other is mask.array and how == "union":
        mask.require_free(other_label)
    box = box_of(other, other_label) if how == "union" else box_of(mask.array, label)
    if box is None:
        return mask.nothing()
    theirs = np.asarray(other[box] == other_label)
    ours = np.asarray(mask.array[box] == label)
    if how == "union":
        return mask.given(box, theirs & ~ours & mask.writable(box, drawn=True), label)
    return mask.given(box, ours & (theirs if how == "subtract" else ~theirs), 0)


def copy_slice(
    mask: Mask, plane: Plane, to_index: int, labels: Collection[int] | None = None, *, replace: bool = False
) -> Edit:
    """Copy the classes of a slice to another slice across the same axis.

    Only voxels that may be overwritten are written (see `Mask.over`: by default the background).

    Parameters
    ----------
    labels
        Classes to copy; None for all that are not locked.
    replace
        Also take the copied classes away where the target has them and the source has not: their voxels become
        background first.

    Returns
    -------
    Edit
        Empty where nothing changes.

    Raises
    ------
    InputError
        There is no such slice, or a named class is 0 or locked.
    """
    source = mask.array[plane.box(mask.shape)]
    target_box = Plane(plane.axis, to_index).box(mask.shape)
    now = mask.array[target_box]
    if labels is None:
        wanted = set(np.unique(source).tolist()) - {0} - set(mask.locked)
    else:
        mask.require_free(*labels)
        if 0 in labels:
            raise InputError("classes: expected classes to copy, got 0, the background")
        wanted = set(labels)
    copied = np.isin(source, sorted(wanted))
    values = now.copy()
    writable = mask.writable(target_box, drawn=False)
    if replace:
        old = np.isin(now, sorted(wanted))
        values[old] = 0
        writable |= old
    values = np.where(copied & writable, source, values)
    return mask.replaced(target_box, values)
