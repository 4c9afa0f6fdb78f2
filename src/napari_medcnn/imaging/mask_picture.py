"""A small picture of a mask, to tell one from another in a list."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core.geometry import Array
from napari_medcnn.core.volume import LabelMap


def mask_picture(mask: LabelMap, size: int) -> Array:
    """Return the slice across z with the most voxels of a class, in the colours of the classes on black.

    Parameters
    ----------
    mask
        (z, y, x) class ids.
    size
        Pixels of the longer side; the other one is as long in mm as it is.

    Returns
    -------
    Array
        uint8, (rows, columns, 3); black for an empty mask.
    """
    ids = mask.array[int(np.argmax(np.count_nonzero(mask.array, axis=(1, 2))))]
    spacing = np.asarray(mask.geometry.spacing_mm[1:]) if mask.geometry.spacing_known else np.ones(2)
    extent = np.asarray(ids.shape) * spacing
    rows, columns = np.maximum(np.rint(extent * size / extent.max()).astype(int), 1)
    at = np.ix_(*((np.arange(n) * m) // n for n, m in ((rows, ids.shape[0]), (columns, ids.shape[1]))))
    colours = np.zeros((int(ids.max()) + 1, 3), np.uint8)
    for label in mask.labels:
        if label.id < len(colours):
            colours[label.id] = label.colour
    picture: Array = colours[ids[at]]
    return picture
