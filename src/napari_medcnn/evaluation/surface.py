"""Distances between the surfaces of two masks, in millimetres.

Definitions, fixed here once because tools differ by more than 100 mm (Podobnik and Vrtovec, arXiv 2410.02630):

- Surface voxels are voxels of the mask with a face neighbour outside it; the image border counts as outside. Every
  surface voxel counts once (as in MONAI and medpy). HD is the largest distance; HD95 is the larger of the two
  directed 95th percentiles (linear interpolation); ASSD is the mean over the surface voxels of both masks.
- NSD (normalised surface Dice, Nikolov et al., J Med Internet Res 2021) weights surface elements by their area
  (length in 2D): elements sit between voxels, on every 2x2x2 neighbourhood that is neither full nor empty, with the
  area of its marching-cubes triangles, as in DeepMind's surface-distance.
- A class absent from both masks: 0 mm and NSD 1. Absent from one: the diagonal of the image in mm and NSD 0. Flagged.

A picture (depth 1) is measured in its plane: its two sides are not surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.measure import marching_cubes

from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.errors import GeometryError, InputError


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances measured once, from which every surface metric follows.

    Parameters
    ----------
    to_predicted, to_reference
        mm from each surface voxel of the reference to the predicted surface, and back; sorted.
    elements_to_predicted, elements_to_reference
        (n, 2) mm and area (mm2; mm for pictures) of each surface element between voxels, for NSD.
    diagonal_mm
        Length of the image's diagonal, given where one mask is empty.
    flag
        As `overlap.Overlap.flag`.
    """

    to_predicted: Float
    to_reference: Float
    elements_to_predicted: Float
    elements_to_reference: Float
    diagonal_mm: float
    flag: str

    def _empty(self, both: float, one: float) -> float | None:
        if not self.flag:
            return None
        return both if self.flag == "both empty" else one

    def percentile_mm(self, percent: float) -> float:
        """Return the larger of the two directed percentiles, in mm."""
        empty = self._empty(0.0, self.diagonal_mm)
        if empty is not None:
            return empty
        return float(max(np.percentile(self.to_predicted, percent), np.percentile(self.to_reference, percent)))

    @property
    def hd_mm(self) -> float:
        """Hausdorff distance in mm."""
        return self.percentile_mm(100.0)

    @property
    def hd95_mm(self) -> float:
        """95 % Hausdorff distance in mm."""
        return self.percentile_mm(95.0)

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance in mm: the mean over all surface voxels of both masks."""
        empty = self._empty(0.0, self.diagonal_mm)
        if empty is not None:
            return empty
        total = float(self.to_predicted.sum() + self.to_reference.sum())
        return total / (self.to_predicted.size + self.to_reference.size)

    def nsd(self, tolerance_mm: float) -> float:
        """Return the share of both surfaces that lies within `tolerance_mm` of the other one, 0 to 1.

        Raises
        ------
        InputError
            The tolerance is negative or not a number.
        """
        if not tolerance_mm >= 0:
            raise InputError(f"tolerance_mm: expected 0 mm or more, got {tolerance_mm!r}")
        empty = self._empty(1.0, 0.0)
        if empty is not None:
            return empty
        both = np.concatenate([self.elements_to_predicted, self.elements_to_reference])
        return float(both[both[:, 0] <= tolerance_mm, 1].sum() / both[:, 1].sum())


def surface_distances(reference: Array, predicted: Array, spacing_mm: tuple[float, float, float]) -> SurfaceDistances:
    """Measure two masks of one class.

    Parameters
    ----------
    reference, predicted
        bool (or 0 and not 0), (z, y, x), equal shape and grid.
    spacing_mm
        Voxel size (z, y, x); required, since distances in voxels are no distances.

    Raises
    ------
    InputError
        Shapes differ or are not (z, y, x).
    GeometryError
        A spacing is not above 0.
    """
    reference, predicted = np.asarray(reference) != 0, np.asarray(predicted) != 0
    if reference.shape != predicted.shape or reference.ndim != 3:
        raise InputError(f"masks: expected equal shapes (z, y, x), got {reference.shape} and {predicted.shape}")
    spacing = np.asarray(spacing_mm, dtype=float)
    if spacing.shape != (3,) or not np.all(np.isfinite(spacing)) or spacing.min() <= 0:
        raise GeometryError(f"spacing_mm: expected three lengths above 0 mm (z, y, x), got {spacing_mm}")
    diagonal = float(np.linalg.norm(np.array(reference.shape) * spacing))
    some = bool(reference.any()), bool(predicted.any())
    if not all(some):
        flag = "prediction empty" if some[0] else "reference empty" if some[1] else "both empty"
        nothing = np.zeros(0)
        return SurfaceDistances(nothing, nothing, np.zeros((0, 2)), np.zeros((0, 2)), diagonal, flag)
    if reference.shape[0] == 1:
        reference, predicted, spacing = reference[0], predicted[0], spacing[1:]
    box = _box(reference | predicted)
    reference, predicted = np.pad(reference[box], 1), np.pad(predicted[box], 1)
    there, back = _between(_surface_voxels(reference), _surface_voxels(predicted), spacing)
    codes = [_codes(mask) for mask in (reference, predicted)]
    full = 2 ** (2**reference.ndim) - 1
    sides = [(code != 0) & (code != full) for code in codes]
    areas = _areas(tuple(spacing.tolist()))
    elements = [
        np.stack([distances, areas[code[side]]], axis=1)
        for distances, code, side in zip(_between(sides[0], sides[1], spacing), codes, sides, strict=True)
    ]
    return SurfaceDistances(np.sort(there), np.sort(back), elements[0], elements[1], diagonal, "")


def _box(mask: Array) -> tuple[slice, ...]:
    return tuple(ndimage.find_objects(mask.astype(np.uint8))[0])


def _surface_voxels(mask: Array) -> Array:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _between(first: Array, second: Array, spacing: Float) -> tuple[Float, Float]:
    """Return mm from each point of `first` to the nearest of `second`, and back; both hold points."""
    points = [np.argwhere(mask) * spacing for mask in (first, second)]
    trees = [KDTree(p, compact_nodes=False, balanced_tree=False) for p in points]  # regular points need no balance
    return trees[1].query(points[0])[0], trees[0].query(points[1])[0]


def _codes(mask: Array) -> Array:
    """Number each 2x2(x2) neighbourhood by which of its corners are inside; the mask has an empty rim."""
    code = np.zeros([n - 1 for n in mask.shape], dtype=np.uint8)
    for bit in range(2**mask.ndim):
        window = tuple(slice(bit >> axis & 1, n - 1 + (bit >> axis & 1)) for axis, n in enumerate(mask.shape))
        code |= mask[window].view(np.uint8) << np.uint8(bit)
    return code


@cache
def _areas(spacing: tuple[float, ...]) -> Float:
    """Return the area in mm2 (2D: length in mm) of the surface inside a neighbourhood, per code."""
    if len(spacing) == 2:
        corner = float(np.hypot(*spacing)) / 2
        # Bit 0 is corner (0, 0), bit 1 (1, 0), bit 2 (0, 1), bit 3 (1, 1): rows first.
        lengths = {0: 0.0, 15: 0.0, 6: 2 * corner, 9: 2 * corner}
        lengths |= {5: spacing[1], 10: spacing[1], 3: spacing[0], 12: spacing[0]}
        return np.array([lengths.get(code, corner) for code in range(16)])
    areas = np.zeros(256)
    for code in range(1, 255):
        cell = np.array([code >> bit & 1 for bit in range(8)], dtype=np.float32).reshape(2, 2, 2).transpose(2, 1, 0)
        vertices, faces, _, _ = marching_cubes(cell, 0.5, spacing=spacing, method="lorensen", allow_degenerate=False)
        corners = vertices[faces]
        areas[code] = (
            np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
        )
    return areas
