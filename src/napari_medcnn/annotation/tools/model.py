"""Accept or reject what a model drew, inside a box."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from napari_medcnn.annotation.box import clipped, shape_of
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError


def accept_model(
    mask: Mask, box: Sequence[slice], model: Array | Snapshot, labels: Collection[int] | None = None
) -> Edit:
    """Take over a model's classes inside a box.

    Parameters
    ----------
    box
        One slice per axis (z, y, x), cut to the mask.
    model
        Class ids of the whole mask (z, y, x).
    labels
        Only these classes: where the mask has one of them or the model puts one. None for all, the background included.

    Returns
    -------
    Edit
        Empty where both are the same. A voxel of which either side is a locked class stays as it is.

    Raises
    ------
    InputError
        Another grid, or an id that does not fit the mask's type (widen the mask first).
    """
    return _taken(mask, box, model, labels, "model's mask")


def reject_model(
    mask: Mask, box: Sequence[slice], saved: Array | Snapshot, labels: Collection[int] | None = None
) -> Edit:
    """Give back inside a box what stood before the model: the saved mask, or the annotator's; as for accepting."""
    return _taken(mask, box, saved, labels, "saved mask")


def _taken(
    mask: Mask, box: Sequence[slice], other: Array | Snapshot, labels: Collection[int] | None, name: str
) -> Edit:
    if tuple(other.shape) != mask.shape or np.dtype(other.dtype).kind not in "biu":
        raise InputError(f"{name}: expected class ids of shape {mask.shape}, got {other.dtype} of {other.shape}")
    region = clipped(box, mask.shape)
    if 0 in shape_of(region):
        return mask.nothing()
    theirs, ours = other[region], mask.array[region]
    if labels is not None:
        named = sorted(set(labels))
        theirs = np.where(np.isin(theirs, named) | np.isin(ours, named), theirs, ours)
    return mask.replaced(region, theirs)
