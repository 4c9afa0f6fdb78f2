"""A sheared or unevenly spaced stack onto a straight grid: only on the reader's consent, and said on the result."""

from __future__ import annotations

import itertools

import numpy as np
import SimpleITK as sitk

from napari_medcnn.core.geometry import Array, Float, Geometry
from napari_medcnn.errors import GeometryError

_SLAB = 16


def straight_grid(shape: tuple[int, int, int], affine_lps: Float) -> Geometry:
    """Return the smallest straight grid over a sheared one: the x axis and the x-y plane stay, z becomes its normal.

    Raises
    ------
    GeometryError
        The axes lie in one plane.
    """
    columns = np.asarray(affine_lps, dtype=np.float64)[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    x = columns[:, 0] / lengths[0]
    y = columns[:, 1] - x * (x @ columns[:, 1])
    y /= np.linalg.norm(y)
    z = np.cross(x, y)
    z *= np.sign(z @ columns[:, 2])
    frame = np.column_stack([x, y, z])
    spacing = np.abs(np.diag(frame.T @ columns))
    if not np.all(spacing > 1e-6 * lengths):
        raise GeometryError("affine: expected three independent axes, got axes in one plane (singular grid)")
    corners = np.array(list(itertools.product(*[(0, n - 1) for n in shape[::-1]])))
    points = (corners @ columns.T + np.asarray(affine_lps)[:3, 3]) @ frame
    low = points.min(axis=0)
    counts = np.floor((points.max(axis=0) - low) / spacing + 1e-6).astype(int) + 1
    origin = frame @ low
    return Geometry(
        (int(counts[2]), int(counts[1]), int(counts[0])),
        (float(spacing[2]), float(spacing[1]), float(spacing[0])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        frame,
    )


def resample_affine(array: Array, affine_lps: Float, target: Geometry, labels: bool = False) -> Array:
    """Return a (z, y, x) array of any invertible affine on `target`: linear, or nearest for labels.

    Outside of the source the smallest value stands (air in a CT), 0 for labels.  The type stays; whole numbers are
    rounded.
    """
    source = array if array.dtype.kind in "iu" and array.dtype.itemsize <= 4 else array.astype(np.float64)
    image = sitk.GetImageFromArray(np.ascontiguousarray(source))  # spacing 1, origin 0: its points are indices
    to_index = np.linalg.inv(np.asarray(affine_lps, dtype=np.float64))
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(to_index[:3, :3].ravel().tolist())
    transform.SetTranslation(to_index[:3, 3].tolist())
    work = sitk.ResampleImageFilter()
    work.SetTransform(transform)
    work.SetOutputSpacing([float(s) for s in target.spacing_mm[::-1]])
    work.SetOutputDirection(target.direction.ravel().tolist())
    work.SetInterpolator(sitk.sitkNearestNeighbor if labels else sitk.sitkLinear)
    outside = np.nanmin(array) if array.size and not np.all(np.isnan(array)) else 0.0
    work.SetDefaultPixelValue(0.0 if labels else float(outside))
    if not labels:
        work.SetOutputPixelType(sitk.sitkFloat64)
    out = np.empty(target.shape, array.dtype)
    for first in range(0, target.shape[0], _SLAB):  # slabs: never the whole volume in float64
        count = min(_SLAB, target.shape[0] - first)
        work.SetSize([target.shape[2], target.shape[1], count])
        work.SetOutputOrigin([float(o) for o in target.index_to_lps((first, 0, 0))])
        slab = sitk.GetArrayFromImage(work.Execute(image))
        if not labels and array.dtype.kind in "iu":
            np.rint(slab, out=slab)
        out[first : first + count] = slab
    return out


def even_slices(array: Array, positions_mm: Float, step_mm: float) -> Array:
    """Return slices interpolated linearly to an even step; `positions_mm` (n,) rise and belong to axis 0.

    The first position stays; the last target does not pass the last source.
    """
    count = int(np.floor((positions_mm[-1] - positions_mm[0]) / step_mm + 1e-6)) + 1
    out = np.empty((count, *array.shape[1:]), array.dtype)
    for k in range(count):
        place = min(positions_mm[0] + k * step_mm, positions_mm[-1])
        upper = int(np.clip(np.searchsorted(positions_mm, place), 1, len(positions_mm) - 1))
        share = (place - positions_mm[upper - 1]) / (positions_mm[upper] - positions_mm[upper - 1])
        mixed = array[upper - 1] * (1.0 - share) + array[upper] * share
        out[k] = np.rint(mixed) if array.dtype.kind in "iu" else mixed
    return out
