"""Grow or shrink a class by a margin in mm."""

from __future__ import annotations

import numpy as np

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.distance import grown, shrunk
from napari_medcnn.annotation.tools.mask import Bools, Mask, Plane, Progress, check_length
from napari_medcnn.annotation.tools.parts import reshape_class
from napari_medcnn.errors import InputError


def margin(
    mask: Mask, label: int, margin_mm: float, plane: Plane | None = None, progress: Progress | None = None
) -> Edit:
    """Grow (above 0) or shrink (below 0) a class by an exact Euclidean distance in mm.

    Growing takes every voxel whose centre lies within the margin of the centre of a voxel of the class, of those that
    may be overwritten (see `Mask.over`: by default the background). Shrinking leaves the voxels whose centre lies
    further than the margin from every voxel centre outside the class; what it loses becomes background. What lies
    beyond the scan is not outside: a class that the scan cuts does not shrink at the cut.

    Parameters
    ----------
    margin_mm
        A margin smaller than the distance of two voxels along an axis changes nothing along it.
    plane
        In this slice only, in two dimensions.
    progress
        Told after each part of the class; it may raise to cancel.

    Returns
    -------
    Edit
        Empty where the class has no voxel, or none changes.

    Raises
    ------
    InputError
        The class is 0 or locked, or the margin is not finite.
    """
    mask.require_free(label)
    if not np.isfinite(margin_mm):
        raise InputError(f"margin_mm: expected a length in mm, got {margin_mm}")
    length = check_length(abs(margin_mm), "margin_mm")
    change = grown if margin_mm > 0 else shrunk
    reach = length if margin_mm > 0 else 0.0

    def changed(region: Bools) -> Bools:
        return change(region, length, mask.spacing)

    return reshape_class(mask, label, mask.region(plane), reach, changed, progress)
