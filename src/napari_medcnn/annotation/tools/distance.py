"""Exact Euclidean distances in mm on uneven grids.

SimpleITK's Maurer filter (Maurer, Qi, Raghavan, IEEE TPAMI 25:265, 2003) in volumes: linear in the number of voxels, on
all cores. scipy's in single slices, where starting SimpleITK costs more than the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from napari_medcnn.annotation.tools.mask import ON_LIMIT, Bools

Floats = NDArray[np.float32]


def distance_to(region: Bools, spacing: Sequence[float]) -> Floats:
    """Return the distance in mm of every voxel's centre to the nearest centre of a True voxel.

    Parameters
    ----------
    region
        (z, y, x) or (y, x).
    spacing
        mm along the same axes.

    Returns
    -------
    float32 array
        0 in the region; infinite everywhere where it is empty. Exact but for the rounding of float32.
    """
    if not region.any():
        return np.full(region.shape, np.inf, np.float32)
    if 1 in region.shape or region.ndim == 2:
        return np.asarray(ndimage.distance_transform_edt(~region, sampling=spacing), np.float32)
    image = sitk.GetImageFromArray(region.view(np.uint8) if region.flags.c_contiguous else region.astype(np.uint8))
    image.SetSpacing([float(s) for s in reversed(spacing)])
    signed = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    return np.asarray(np.maximum(sitk.GetArrayViewFromImage(signed), 0), np.float32)


def within(region: Bools, length_mm: float, spacing: Sequence[float]) -> Bools:
    """Return the voxels whose centre lies `length_mm` or less from the centre of a True voxel."""
    return np.asarray(distance_to(region, spacing) <= length_mm * (1 + ON_LIMIT))


def grown(region: Bools, length_mm: float, spacing: Sequence[float]) -> Bools:
    """Return the region with everything `within` a length of it, in an array of the same shape."""
    return region.copy() if length_mm == 0 else within(region, length_mm, spacing)


def shrunk(region: Bools, length_mm: float, spacing: Sequence[float]) -> Bools:
    """Return the voxels further than a length from everything outside the region.

    What lies beyond the array is not outside: nobody knows what is there.
    """
    return region.copy() if length_mm == 0 else ~within(~region, length_mm, spacing)


def signed_distance(region: Bools, spacing: Sequence[float]) -> Floats:
    """Return the distance to the nearest voxel on the other side: above 0 in the region, below 0 outside it.

    No voxel has 0: the border runs midway between two voxels. Where one side is empty the other's distance is the
    diagonal of the array.
    """
    diagonal = float(np.linalg.norm(np.multiply(region.shape, spacing)))
    inside, outside = distance_to(~region, spacing), distance_to(region, spacing)
    return np.asarray(np.where(region, np.minimum(inside, diagonal), -np.minimum(outside, diagonal)), np.float32)
