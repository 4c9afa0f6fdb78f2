"""Grow from seeds: a few strokes of each class, and the scan decides where between them the borders run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_medcnn.annotation.box import Box, clipped, shape_of, whole
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.connect import FACES
from napari_medcnn.annotation.tools.mask import Bools, Mask, Progress, box_of, check_length, tell, widened_box
from napari_medcnn.annotation.tools.walk import Walk, probabilities
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

Kind = Literal["watershed", "random walker"]

#: More voxels than this take the random walker longer than a minute.
WALK_LIMIT = 2_000_000


@dataclass(frozen=True)
class Growing:
    """How classes grow from seeds.

    Parameters
    ----------
    method
        "watershed": quick, borders where the scan changes most. "random walker": smoother where the scan shows no
        border, slower, at most 2 million voxels.
    background
        The id in the seeds that stands for "none of them"; what it wins becomes background. None: no seed does.
    margin_mm
        How far beyond the seeds' box classes may grow, where no box is given.
    smooth_mm
        Standard deviation of the Gaussian on the scan before its gradient is taken (watershed).
    walk
        Of the random walker.
    """

    method: Kind = "watershed"
    background: int | None = None
    margin_mm: float = 10.0
    smooth_mm: float = 1.0
    walk: Walk = field(default_factory=Walk)

    def __post_init__(self) -> None:
        if self.method not in get_args(Kind):
            raise InputError(f"method: expected {' or '.join(get_args(Kind))}, got {self.method!r}")
        check_length(self.margin_mm, "margin_mm")
        check_length(self.smooth_mm, "smooth_mm")


def grow_seeds(
    mask: Mask,
    scan: Array,
    how: Growing,
    box: Sequence[slice] | None = None,
    seeds: Array | None = None,
    progress: Progress | None = None,
) -> Edit:
    """Give every voxel of a box to the class whose seeds reach it first.

    Seeds keep their class. Locked classes are walls and no seeds; without `seeds` the classes of the mask are the seeds
    and only what `Mask.over` allows is written, the background by default.

    Parameters
    ----------
    scan
        Values (z, y, x).
    box
        Where to work; None for the seeds' box with `margin_mm` around.
    seeds
        Ids (z, y, x), 0 where nothing is marked; None for the mask itself.
    progress
        Told between the parts of the work, and at each step of the random walker; it may raise to cancel.

    Returns
    -------
    Edit
        Empty where the seeds' classes fill the box already.

    Raises
    ------
    InputError
        Fewer than two classes among the seeds (nothing would say where to stop), a seed of a locked class in `seeds`,
        a scan or seeds on another grid, a box too large for the random walker.
    """
    mask.require_scan(scan)
    marks = mask.array if seeds is None else seeds
    if marks.shape != mask.shape or marks.dtype.kind not in "biu":
        raise InputError(f"seeds: expected ids of shape {mask.shape}, got {marks.dtype} of shape {marks.shape}")
    region = seeds_box(mask, marks, how.margin_mm) if box is None else clipped(box, mask.shape)
    if region is None or 0 in shape_of(region):
        raise InputError("seeds: expected strokes of two classes or more in the box, got none")
    own, ids = marks[region].astype(np.int64), mask.array[region]
    walls = np.isin(ids, list(mask.locked))
    free = (mask.writable(region, drawn=False) | (own != 0)) & ~walls
    own[~free | (own < 0)] = 0
    present = [int(i) for i in np.unique(own) if i != 0]
    if len(present) < 2:
        raise InputError(
            f"seeds: expected strokes of two classes or more in the box, got {present or 'none'}; mark what is not the "
            "structure as well"
        )
    mask.require_free(*(i for i in present if i != how.background))
    numbers = np.searchsorted([0, *present], own).astype(np.int32)
    tell(progress, 0, 3)
    if how.method == "watershed":
        won = _watershed(scan[region], numbers, free, mask.spacing, how, progress)
    else:
        won = _walked(scan[region], numbers, free, mask.spacing, how, progress)
    tell(progress, 3, 3)
    classes = np.array([0, *(0 if i == how.background else i for i in present)], np.int64)
    may = mask.writable(region, drawn=False) | ((own != 0) & mask.writable(region, drawn=True))
    return mask.replaced(region, np.where((won > 0) & may, classes[won], ids))


def seeds_box(mask: Mask, marks: Array, margin_mm: float) -> Box | None:
    """Return the box of all marked voxels with a margin around, cut to the mask; None where nothing is marked."""
    limit = whole(mask.shape)
    tight = box_of(marks, None)
    return None if tight is None else widened_box(tight, margin_mm, mask.spacing, limit)


def _watershed(
    values: Array,
    numbers: NDArray[np.int32],
    free: Bools,
    spacing: Sequence[float],
    how: Growing,
    progress: Progress | None,
) -> NDArray[np.int32]:
    """Flood the size of the scan's gradient from the seeds (Beucher, Meyer 1993; Soille, Ansoult 1990)."""
    wide = values.astype(np.float32)
    wide = np.where(np.isfinite(wide), wide, 0)
    sigmas = [0.0 if n == 1 else how.smooth_mm / s for n, s in zip(wide.shape, spacing, strict=True)]
    soft = ndimage.gaussian_filter(wide, sigmas, mode="nearest")
    tell(progress, 1, 3)
    squared = np.zeros_like(soft)
    for axis, length in enumerate(spacing):
        if soft.shape[axis] > 1:
            squared += (np.gradient(soft, axis=axis) / length) ** 2
    tell(progress, 2, 3)
    cross = ndimage.generate_binary_structure(3, FACES)
    return np.asarray(watershed(np.sqrt(squared), numbers, connectivity=cross, mask=free), np.int32)


def _walked(
    values: Array,
    numbers: NDArray[np.int32],
    free: Bools,
    spacing: Sequence[float],
    how: Growing,
    progress: Progress | None,
) -> NDArray[np.int32]:
    if values.size > WALK_LIMIT:
        raise InputError(
            f"random walker: expected a box of at most {WALK_LIMIT} voxels, got {values.size}; draw a smaller box or "
            "use the watershed"
        )
    marks = np.where(free, numbers, -1).astype(np.int32)
    found = probabilities(values, marks, spacing, how.walk, step=lambda: tell(progress, 1, 3))
    won = np.asarray(found.argmax(axis=0) + 1, np.int32)
    return np.where(found.max(axis=0) > 0, won, 0).astype(np.int32)
