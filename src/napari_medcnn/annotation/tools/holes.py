"""Holes: background that a class encloses."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.connect import FACES
from napari_medcnn.annotation.tools.mask import Mask, Plane, box_of, check_axis
from napari_medcnn.errors import GeometryError, InputError


def fill_holes(
    mask: Mask, label: int, axis: int | None = None, plane: Plane | None = None, largest_mm3: float | None = None
) -> Edit:
    """Give the holes of a class to it.

    A hole is what the outside does not reach through faces when only this class stands in the way; an opening at the
    border of the scan is an opening. Other classes in a hole keep their voxels (unless `mask.over` names them).

    Parameters
    ----------
    axis
        Look at every slice across this axis for itself; None: a hole must be closed in 3D. A picture is one slice.
    plane
        Look at this slice only.
    largest_mm3
        Leave larger holes as they are; other classes in a hole count as part of it. None fills all.

    Returns
    -------
    Edit
        Empty where there is no hole or no such class.

    Raises
    ------
    InputError
        The class is 0 or locked, `axis` and `plane` are both given, or there is no such slice.
    GeometryError
        `largest_mm3` is given and the size of a voxel is not known.
    """
    mask.require_free(label)
    if label == 0:
        raise InputError("class: expected one of the classes, got 0, the background; it has no holes")
    if axis is not None and plane is not None:
        raise InputError("holes: expected either every slice across an axis or one slice, got both")
    if largest_mm3 is not None and mask.voxel_mm3 is None:
        raise GeometryError("largest hole: the file does not state the size of a voxel, so there are no mm3")
    box = box_of(mask.array, label, mask.region(plane))
    if box is None:
        return mask.nothing()
    across = plane.axis if plane is not None else axis
    if across is None and 1 in mask.shape:
        across = mask.shape.index(1)
    # the outside goes round the tight box: one voxel more along the axes that a hole must be closed along
    around = [(0, 0) if a == across else (1, 1) for a in range(3)]
    structure = ndimage.generate_binary_structure(3, FACES)
    if across is not None:
        structure[tuple([0, 2] if a == check_axis(across) else slice(None) for a in range(3))] = False
    free = np.pad(mask.array[box] != label, around, constant_values=True)
    found = np.zeros(free.shape, np.int32)
    count = ndimage.label(free, structure=structure, output=found)
    keep = np.ones(count + 1, bool)
    keep[0] = False
    for a, (before, _) in enumerate(around):
        if before:
            keep[np.unique(found.take([0, -1], axis=a))] = False
    if largest_mm3 is not None and mask.voxel_mm3 is not None:
        sizes = np.bincount(found.ravel(), minlength=count + 1)
        keep &= sizes * mask.voxel_mm3 <= largest_mm3 * (1 + 1e-9)
    holes = keep[found][tuple(slice(b, n - a) for (b, a), n in zip(around, free.shape, strict=True))]
    return mask.given(box, holes & mask.writable(box, drawn=False), label)
