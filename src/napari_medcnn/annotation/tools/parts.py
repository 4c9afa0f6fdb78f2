"""The boxes that a class needs: one stray voxel far away must not make a tool work on the whole scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medcnn.annotation.box import Box, shape_of
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.connect import numbered
from napari_medcnn.annotation.tools.mask import ON_LIMIT, Bools, Mask, Progress, box_of, tell, widened_box

_BLOCK = 16
_SMALL = 1_000_000  # voxels that are not worth a search for gaps
_MOST = 32


def parts_of(region: Bools, reach: Sequence[int]) -> list[Box]:
    """Return boxes that no two voxels nearer than twice `reach` voxels (z, y, x) lie in different ones of.

    Every True voxel lies in one of them, and in its box has `reach` voxels around it where the array goes on. The boxes
    have no voxel in common and come in array order; one box of everything where that is as good, none for nothing.
    """
    limit = tuple(slice(0, n) for n in region.shape)
    if region.size <= _SMALL:
        return [limit] if region.any() else []
    blocks = region
    for axis in range(3):
        blocks = np.logical_or.reduceat(blocks, np.arange(0, region.shape[axis], _BLOCK), axis=axis)
    if not blocks.any():
        return []
    found, count = ndimage.label(blocks, structure=np.ones((3, 3, 3), bool))
    if count > _MOST:
        return [limit]
    boxes = [
        tuple(
            slice(max(p.start * _BLOCK - r, 0), min(p.stop * _BLOCK + r, n))
            for p, r, n in zip(own, reach, region.shape, strict=True)
        )
        for own in ndimage.find_objects(found)
    ]
    boxes = _apart(boxes)
    return [limit] if sum(int(np.prod(shape_of(b))) for b in boxes) > 0.7 * region.size else boxes


def _apart(boxes: list[Box]) -> list[Box]:
    """Return boxes without a common voxel: those that overlap become the one around both."""
    left, done = list(boxes), list[Box]()
    while left:
        box = left.pop()
        meets = [b for b in left + done if _overlap(b, box)]
        if not meets:
            done.append(box)
            continue
        left = [b for b in left if b not in meets]
        done = [b for b in done if b not in meets]
        left.append(
            tuple(
                slice(min(p.start for p in parts), max(p.stop for p in parts))
                for parts in zip(box, *meets, strict=True)
            )
        )
    return sorted(done, key=lambda b: [p.start for p in b])


def _overlap(one: Box, other: Box) -> bool:
    return all(p.start < q.stop and q.start < p.stop for p, q in zip(one, other, strict=True))


def reshape_class(
    mask: Mask,
    label: int,
    limit: Box,
    reach_mm: float,
    change: Callable[[Bools], Bools],
    progress: Progress | None = None,
) -> Edit:
    """Return the edit that gives a class another shape, worked out where it has voxels.

    Parameters
    ----------
    limit
        Look and write there only.
    reach_mm
        `change` needs to see this far around the class, and makes nothing further away.
    change
        Takes the voxels of the class in a box and returns its new shape there.
    progress
        Told before the first part of the class and after each; it may raise to cancel.

    Returns
    -------
    Edit
        See `Mask.reshaped`; empty where the class has no voxel in `limit`.
    """
    mask.require_free(label)
    tight = box_of(mask.array, label, limit)
    if tight is None:
        return mask.nothing()
    box = widened_box(tight, reach_mm, mask.spacing, limit)
    region = np.asarray(mask.array[box] == label)
    reach = [max(1, int(np.ceil(reach_mm / s * (1 + ON_LIMIT)))) for s in mask.spacing]
    shape = np.zeros(region.shape, bool)
    parts = parts_of(region, reach)
    tell(progress, 0, len(parts))
    for done, part in enumerate(parts, 1):
        shape[part] = change(np.ascontiguousarray(region[part]))
        tell(progress, done, len(parts))
    return mask.reshaped(label, box, shape)


def numbered_parts(region: Bools, connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return connected pieces numbered from 1, the largest first, and how many voxels each has.

    Equal ones come in a fixed order: that of the array where the region is of one part.
    """
    numbers = np.zeros(region.shape, np.int32)  # memory that is not written to costs nothing
    parts = parts_of(region, (1, 1, 1))
    sizes, first = [np.zeros(0, np.int64)], 0
    for part in parts:
        found, count = numbered(region[part], connectivity)
        sizes.append(np.bincount(found.ravel(), minlength=count + 1)[1:])
        found[found > 0] += first
        numbers[part] = found
        first += count
    counts = np.concatenate(sizes)
    order = np.argsort(-counts, kind="stable")
    rank = np.zeros(len(counts) + 1, np.int32)
    rank[order + 1] = np.arange(1, len(counts) + 1)
    for part in parts:
        numbers[part] = rank[numbers[part]]
    return numbers, counts[order]
