"""The box of the scan that is worth looking at: the body in a CT, what is not 0 in a skull-stripped MR."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_medcnn.imaging.boxes import whole_box
from napari_medcnn.imaging.record import Box

#: About so many voxels along each axis are looked at; a body is much thicker than the step between them.
_LOOKED_AT = 128
#: Other parts this large, compared with the largest, belong to the body: the second leg, an arm above the head.
_SHARE = 0.2


def body_box(data: npt.NDArray[Any], above: float) -> Box | None:
    """Return the box of the body: the largest connected part above a value, and parts at least a fifth its size.

    Every n-th voxel is looked at, so that about 128 to 255 remain along each axis, and the box is widened to the voxels
    between: it is never smaller than what was seen. The couch stays inside where it touches the body at that value.

    Parameters
    ----------
    data : (z, y, x, channel); a voxel counts if any channel lies above. Not finite values never do.
    above : in the scan's own values, -500 for HU.

    Returns
    -------
    None if nothing lies above.
    """
    steps = [max(1, n // _LOOKED_AT) for n in data.shape[:3]]
    looked = np.any(data[:: steps[0], :: steps[1], :: steps[2]] > above, axis=-1)
    parts, count = ndimage.label(looked, structure=np.ones((3, 3, 3), dtype=bool))
    if not count:
        return None
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = np.flatnonzero(sizes >= _SHARE * sizes.max())
    found = ndimage.find_objects(parts)
    sides = []
    for axis, step in enumerate(steps):
        start = min(found[label - 1][axis].start for label in kept)
        stop = max(found[label - 1][axis].stop for label in kept)
        # a voxel that was looked at stands for those up to the next one on both sides; with step 1 for itself
        sides.append(slice(max(0, start * step - (step - 1)), min(data.shape[axis], (stop - 1) * step + step)))
    return (sides[0], sides[1], sides[2])


def filled_box(data: npt.NDArray[Any]) -> Box:
    """Return the box of values that are finite and not 0, (z, y, x, channel); everything if there are none."""
    filled = np.any(np.isfinite(data) & (data != 0), axis=-1)
    if not filled.any():
        return whole_box(data.shape)
    sides = []
    for axis in range(3):
        used = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append(slice(int(used[0]), int(used[-1]) + 1))
    return (sides[0], sides[1], sides[2])
