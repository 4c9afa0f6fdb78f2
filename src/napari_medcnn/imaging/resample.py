"""Bring images and labels from one grid to another.

`resample_image` and `resample_labels` work between any two grids (SimpleITK: linear for images, nearest for labels).
`AxisMap` and `interpolate_plane` serve the way back from the model grid, where both grids have the same axes, so that
scores can be interpolated separably, one plane and one class at a time.

Alignment: `regrid` puts the new grid's centre on the old grid's centre, so both cover the same field of view to within
half a voxel and there and back does not drift. A point outside the source by up to half a voxel takes the value at its
border; further out it takes `fill`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import GeometryError, InputError

Float32 = npt.NDArray[np.float32]


def regrid(source: Geometry, spacing_mm: tuple[float, float, float]) -> Geometry:
    """Return the grid of another voxel size over the same field of view, on the same axes and centre.

    Parameters
    ----------
    source : any grid. Where its spacing is unknown its unit is the pixel, and so is `spacing_mm`.
    spacing_mm : (z, y, x), above 0. The number of voxels is rounded to the nearest whole number, at least 1.
    """
    if min(spacing_mm) <= 0:
        raise GeometryError(f"spacing_mm: expected three lengths above 0 (z, y, x), got {spacing_mm}")
    nz, ny, nx = (
        max(1, round(n * old / new)) for n, old, new in zip(source.shape, source.spacing_mm, spacing_mm, strict=True)
    )
    shape = (nz, ny, nx)
    centre = source.index_to_lps([(n - 1) / 2 for n in source.shape])
    grid = replace(source, shape=shape, spacing_mm=spacing_mm, origin_lps=(0.0, 0.0, 0.0))
    origin = centre - grid.index_to_lps([(n - 1) / 2 for n in shape])
    return replace(grid, origin_lps=tuple(origin.tolist()))


def cropped(source: Geometry, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Geometry:
    """Return the grid of the box of `shape` voxels that begins at index `start` (which may lie outside)."""
    return replace(source, shape=shape, origin_lps=tuple(source.index_to_lps(start).tolist()))


def resample_image(array: npt.NDArray[Any], source: Geometry, target: Geometry, fill: float = 0.0) -> Float32:
    """Return the image on `target` by linear interpolation.

    Parameters
    ----------
    array : (z, y, x) or (z, y, x, channel) real numbers on `source`. Not finite values spread to their neighbours:
        clean them first.
    fill : value of points outside `source`.

    Returns
    -------
    float32 array of `target`'s shape, with the channels of `array`.
    """
    if array.shape[:3] != source.shape or array.ndim not in (3, 4):
        raise InputError(f"array: expected the grid's shape {source.shape} (z, y, x[, channel]), got {array.shape}")
    if source == target:
        return np.array(array, dtype=np.float32)
    if array.ndim == 3:
        return _resample(array.astype(np.float32, copy=False), source, target, sitk.sitkLinear, fill).astype(np.float32)
    result = np.empty((*target.shape, array.shape[3]), np.float32)
    for channel in range(array.shape[3]):
        # one channel at a time: no second copy of the whole image
        values = np.ascontiguousarray(array[..., channel], dtype=np.float32)
        result[..., channel] = _resample(values, source, target, sitk.sitkLinear, fill)
    return result


def resample_labels(array: npt.NDArray[Any], source: Geometry, target: Geometry, fill: int = 0) -> npt.NDArray[Any]:
    """Return labels (z, y, x) on `target` by nearest neighbour, dtype kept; outside is `fill`. Ids never mix."""
    if array.shape != source.shape:
        raise InputError(f"array: expected the grid's shape {source.shape} (z, y, x), got {array.shape}")
    if array.dtype.kind not in "iu":
        raise InputError(f"array: expected whole numbers (class ids), got dtype {array.dtype}")
    if source == target:
        return array.copy()
    resampled = _resample(np.ascontiguousarray(array), source, target, sitk.sitkNearestNeighbor, fill)
    return resampled.astype(array.dtype, copy=False)


def _resample(
    array: npt.NDArray[Any], source: Geometry, target: Geometry, interpolator: int, fill: float
) -> npt.NDArray[Any]:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(source.spacing_mm[::-1])
    image.SetOrigin(source.origin_lps)
    image.SetDirection(source.direction.ravel().tolist())
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.shape[::-1])
    resampler.SetOutputSpacing(target.spacing_mm[::-1])
    resampler.SetOutputOrigin(target.origin_lps)
    resampler.SetOutputDirection(target.direction.ravel().tolist())
    resampler.SetInterpolator(interpolator)
    resampler.SetDefaultPixelValue(fill)
    # a copy, not a view: a view of a temporary image is freed memory
    result: npt.NDArray[Any] = sitk.GetArrayFromImage(resampler.Execute(image))
    return result


@dataclass(frozen=True)
class AxisMap:
    """Where each voxel of one axis of a target grid lies on the matching axis of a source grid.

    Parameters
    ----------
    low : (n,) index of the source voxel below (or at) each target voxel, clamped to the source.
    high : (n,) index of the one above, clamped.
    share : (n,) float32 weight of `high`, 0 to 1.

    Notes
    -----
    Outside the source the border value continues: the rounding in `regrid` may leave up to half a voxel of the target
    there, and that must not turn into background.
    """

    low: npt.NDArray[np.intp]
    high: npt.NDArray[np.intp]
    share: npt.NDArray[np.float32]

    @property
    def identity(self) -> bool:
        """True if target voxel i is source voxel i for every i."""
        straight = np.array_equal(self.low, np.arange(len(self.low)))
        return bool(straight and np.all(self.share == 0))

    @classmethod
    def between(cls, target: Geometry, source: Geometry) -> tuple[AxisMap, AxisMap, AxisMap]:
        """Return the maps of axes z, y, x for reading `source` at the voxels of `target`.

        Raises
        ------
        GeometryError
            The grids do not have the same axes.
        """
        if not np.allclose(target.direction, source.direction, atol=1e-6):
            raise GeometryError("target: expected a grid with the source's axes; resample with resample_image instead")
        offset = source.lps_to_index(target.index_to_lps([0, 0, 0]))
        return (
            cls._axis(target, source, 0, float(offset[0])),
            cls._axis(target, source, 1, float(offset[1])),
            cls._axis(target, source, 2, float(offset[2])),
        )

    @classmethod
    def _axis(cls, target: Geometry, source: Geometry, axis: int, offset: float) -> AxisMap:
        count, last = target.shape[axis], source.shape[axis] - 1
        position = offset + np.arange(count) * (target.spacing_mm[axis] / source.spacing_mm[axis])
        # lps arithmetic leaves 1e-12: without rounding, equal grids would interpolate between neighbours
        position = np.where(np.abs(position - np.rint(position)) < 1e-6, np.rint(position), position)
        clamped = np.clip(position, 0, last)
        low = np.floor(clamped).astype(np.intp)
        return cls(low, np.minimum(low + 1, last), (clamped - low).astype(np.float32))


def interpolate_plane(plane: Float32, first: AxisMap, second: AxisMap) -> Float32:
    """Return a plane (a, b) read at the voxels of two axis maps, bilinear: (len(first.low), len(second.low))."""
    if not first.identity or len(first.low) != plane.shape[0]:
        share = first.share[:, None]
        plane = plane[first.low] * (1 - share) + plane[first.high] * share
    if not second.identity or len(second.low) != plane.shape[1]:
        share = second.share[None, :]
        plane = plane[:, second.low] * (1 - share) + plane[:, second.high] * share
    return plane


def nearest(array: npt.NDArray[Any], maps: tuple[AxisMap, AxisMap, AxisMap]) -> npt.NDArray[Any]:
    """Return (z, y, x) values read at the voxels of three axis maps, nearest neighbour, dtype kept."""
    z, y, x = (np.where(m.share > 0.5, m.high, m.low) for m in maps)
    result: npt.NDArray[Any] = array[np.ix_(z, y, x)]
    return result


def linear(array: Float32, maps: tuple[AxisMap, AxisMap, AxisMap]) -> Float32:
    """Return (z, y, x) values read at the voxels of three axis maps, trilinear, plane by plane."""
    result = np.empty(tuple(len(m.low) for m in maps), np.float32)
    along = maps[0]
    for z, (low, high, share) in enumerate(zip(along.low, along.high, along.share, strict=True)):
        plane = array[low] if share == 0 else array[low] * (1 - share) + array[high] * share
        result[z] = interpolate_plane(plane, maps[1], maps[2])
    return result
