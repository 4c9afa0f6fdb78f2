"""Surfaces of the classes of a mask: closed, outward, in the place of the voxels.

Marching cubes (Lewiner et al., J. Graphics Tools 8, 2003) on the class as a smooth field, not on its steps: a surface
of bare voxels has a tenth too much area and looks like stairs. The field is cut at one half, and where that would lose
thin parts, vessels of one voxel, at the level that as many voxels lie above as the class has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import marching_cubes

from napari_medcnn.errors import InputError
from napari_medcnn.imaging.preview import Three, block_means, blocks_for

#: A class of a box with more voxels than ``SIDE ** 3`` is brought to blocks of voxels first: about 400,000 triangles.
SIDE = 160
#: No surface for a screen is brought to fewer blocks: it would be another shape.
COARSEST = 12
#: Standard deviation of the smoothing, in voxels (or blocks).
_SIGMA = 0.8
#: Where to cut the field, and which share of the voxels must lie above it.
_HALF, _KEPT = 0.5, 0.9
#: Empty voxels around a class: the field is 0 there, so the surface is closed also where the scan ends.
_PAD = 4


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface.

    Parameters
    ----------
    label_id
        The class.
    vertices
        (n, 3) float32, world coordinates (z, y, x).
    faces
        (m, 3) int32 indices; seen from outside the corners go counterclockwise in the right-handed frame of (z, y, x).
    coarser
        How many voxels along the most merged axis make one of the field: 1 for the mask as it is.
    """

    label_id: int
    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]
    coarser: int = 1

    @property
    def area(self) -> float:
        """Area in square units of the world (mm2 where the spacing is known)."""
        return float(np.linalg.norm(self._crosses(), axis=1).sum() / 2)

    @property
    def volume(self) -> float:
        """Enclosed volume by the divergence theorem; positive if the faces look outward."""
        corners = self.vertices.astype(np.float64)[self.faces]
        return float(np.einsum("ij,ij->i", corners[:, 0], self._crosses()).sum() / 6)

    def _crosses(self) -> npt.NDArray[np.float64]:
        a, b, c = np.moveaxis(self.vertices.astype(np.float64)[self.faces], 1, 0)
        return np.asarray(np.cross(b - a, c - a))


def boxes_of(mask: npt.NDArray[Any]) -> dict[int, tuple[slice, slice, slice]]:
    """Return the box (z, y, x) that holds each class present, without background."""
    if mask.ndim != 3 or mask.dtype.kind not in "iu":
        raise InputError(f"mask: expected class ids (z, y, x), got {mask.dtype} of {mask.ndim} axes")
    found = ndimage.find_objects(mask)
    return {index: box for index, box in enumerate(found, 1) if box is not None}


def surface_of(
    mask: npt.NDArray[Any],
    label_id: int,
    box: tuple[slice, slice, slice],
    spacing: Three,
    translate: Three,
    side: int = SIDE,
) -> Surface:
    """Return the surface of a class.

    Parameters
    ----------
    mask
        Class ids (z, y, x).
    label_id
        The class; it must be present in `box` (see `boxes_of`).
    box
        Where to look.
    spacing, translate
        Of the voxels in the world, (z, y, x).
    side
        A class of a box with more than ``side ** 3`` voxels is brought to blocks of voxels first.

    Raises
    ------
    InputError
        The class is not there.
    """
    inside = mask[box] == label_id
    if not inside.any():
        raise InputError(f"class {label_id}: expected at least one voxel, got none; it has no surface")
    blocks = blocks_for(inside.shape, spacing, side, 4 * side)
    field = _means(inside, blocks)
    spacing_b = np.array(spacing) * blocks
    start = np.array([part.start for part in box]) * spacing + np.array(translate)
    corner = start + (np.array(blocks) - 1) / 2 * np.array(spacing) - _PAD * spacing_b
    field = np.pad(field, _PAD)
    wanted = float(field.sum())
    smooth = ndimage.gaussian_filter(field, _SIGMA, mode="constant", truncate=3.0)
    vertices, faces, _normals, _values = marching_cubes(smooth, _level(smooth, wanted))
    turned = np.ascontiguousarray(faces[:, ::-1], dtype=np.int32)
    return Surface(label_id, (vertices * spacing_b + corner).astype(np.float32), turned, max(blocks))


def coarser_side(surface: Surface, shape: tuple[int, ...], most: int) -> int:
    """Return the `side` with which a class of a box of this shape has about `most` triangles, `COARSEST` at least.

    Triangles follow the square of how fine the field is.
    """
    now = math.prod(math.ceil(n / surface.coarser) for n in shape) ** (1 / 3)
    return max(COARSEST, int(min(now, SIDE) * math.sqrt(most / max(1, len(surface.faces)))))


def _means(inside: npt.NDArray[np.bool_], blocks: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Return the share of each block that is inside; the last block of an axis counts what it lacks as outside."""
    lacking = [(0, -n % b) for n, b in zip(inside.shape, blocks, strict=True)]
    whole = np.pad(inside, lacking) if any(after for _, after in lacking) else inside
    if math.prod(blocks) == 1:
        return whole.astype(np.float32)
    parts = block_means(whole.view(np.uint8), blocks)
    while True:
        try:
            next(parts)
        except StopIteration as end:
            made: npt.NDArray[np.float32] = end.value
            return made


def _level(field: npt.NDArray[np.float32], wanted: float) -> float:
    """Return 0.5, or for what is so thin that smoothing eats it, the level above which `wanted` voxels lie."""
    if np.count_nonzero(field > _HALF) >= _KEPT * wanted:
        return _HALF
    count = min(max(1, round(wanted)), field.size - 1)
    ordered = np.partition(field.ravel(), (field.size - count - 1, field.size - count))
    below, above = float(ordered[field.size - count - 1]), float(ordered[field.size - count])
    level = (below + above) / 2
    return level if level > 0 else above / 2
