"""Fill between slices: the shapes between drawn slices, from the shapes in them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medcnn.annotation.box import Box, around
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.distance import signed_distance
from napari_medcnn.annotation.tools.mask import Bools, Mask, Progress, box_of, check_axis, tell
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

_OUTSIDE = np.float32(-np.inf)


@dataclass(frozen=True)
class _Gap:
    """The slices between two drawn ones, and where in them a class can be."""

    label: int
    first: int
    last: int
    box: Box  # of the slice: two spans


def fill_between(
    mask: Mask,
    axis: int = 0,
    labels: Collection[int] | None = None,
    drawn: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Edit:
    """Give the slices between drawn ones the shapes in between.

    Shape-based interpolation (Raya, Udupa, IEEE TMI 9:32, 1990): the signed distance in mm to the outline, above 0
    inside, is worked out in both drawn slices and mixed by the distance to each; where the mixture is 0 or more the
    voxel belongs to the class. Where the two shapes have no voxel in common, but lie no further apart than they are
    wide together, they are brought over each other along the line between their centres, so that a slanted vessel goes
    on. Of two classes that claim a voxel, the one that is
    deeper inside its outline gets it; of equal ones the smaller id.

    Nothing is written in drawn slices, before the first or after the last, nor over other classes (see `Mask.over`:
    by default only the background is filled).

    Parameters
    ----------
    axis
        The slices are across this axis, 0, 1 or 2 for z, y, x.
    labels
        Classes to fill; None for all that are not locked.
    drawn
        The slices to go by, for a class that is drawn everywhere: the slices between them are made anew. None: the
        slices in which a class has voxels.
    progress
        Told after each gap; it may raise to cancel.

    Returns
    -------
    Edit
        Empty where no class has two drawn slices with a gap between them.

    Raises
    ------
    InputError
        A named class is 0 or locked, or one of `drawn` is no slice of the mask.
    """
    check_axis(axis)
    named = _named(mask, labels)
    depth = mask.shape[axis]
    if drawn is not None and not all(0 <= int(i) < depth for i in drawn):
        raise InputError(f"drawn slices: expected 0 to {depth - 1} along axis {axis}, got {list(drawn)}")
    ids = np.moveaxis(mask.array, axis, 0)
    gaps = [gap for label in named for gap in _gaps(mask, ids, label, axis, drawn)]
    box = _hull(gaps)
    if box is None:
        return mask.nothing()
    # how deep inside its outline the class lies that has a voxel so far
    shape = tuple(part.stop - part.start for part in box)
    depths, values = np.full(shape, _OUTSIDE, np.float32), ids[box].copy()
    turned = tuple(box[1:][:axis]) + (box[0],) + tuple(box[1:][axis:])
    free = np.moveaxis(mask.writable(turned, drawn=False), axis, 0)
    if drawn is not None:
        for gap in gaps:
            own = values[_within(gap, box)]
            own[own == gap.label] = 0
            remade = free[_within(gap, box)]
            remade |= ids[box][_within(gap, box)] == gap.label
    plane_mm = [s for a, s in enumerate(mask.spacing) if a != axis]
    for done, gap in enumerate(gaps, 1):
        _fill(ids, gap, plane_mm, (values, depths, free), box)
        tell(progress, done, len(gaps))
    return mask.replaced(turned, np.moveaxis(values, 0, axis))


def _named(mask: Mask, labels: Collection[int] | None) -> list[int]:
    if labels is None:
        return sorted(set(_present(mask.array)) - {0} - set(mask.locked))
    mask.require_free(*labels)
    if 0 in labels:
        raise InputError("classes: expected classes to fill, got 0, the background")
    return sorted(set(labels))


def _present(ids: Array) -> list[int]:
    """Return the ids of a mask; slice by slice, since sorting a whole scan takes seconds."""
    found: set[int] = set()
    for plane in ids:
        if plane.any():
            found.update(np.flatnonzero(np.bincount(plane.ravel())).tolist())
    return sorted(found)


def _gaps(mask: Mask, ids: Array, label: int, axis: int, drawn: Sequence[int] | None) -> list[_Gap]:
    box = box_of(mask.array, label)
    if box is None:
        return []
    span, flat = box[axis], tuple(part for a, part in enumerate(box) if a != axis)
    has = (ids[(span, *flat)] == label).any(axis=(1, 2))
    keys = {span.start + int(i) for i in np.flatnonzero(has)}
    if drawn is not None:
        keys &= {int(i) for i in drawn}
    found = []
    for i, j in itertools.pairwise(sorted(keys)):
        if j - i > 1:
            both = (ids[i][flat] == label) | (ids[j][flat] == label)
            if drawn is not None:
                both = both | (ids[i + 1 : j][(slice(None), *flat)] == label).any(axis=0)
            tight = around(both, flat) or flat
            # one voxel of outside around the shapes, where the scan goes on
            wide = tuple(
                slice(max(part.start - 1, 0), min(part.stop + 1, n))
                for part, n in zip(tight, ids.shape[1:], strict=True)
            )
            found.append(_Gap(label, i, j, wide))
    return found


def _hull(gaps: list[_Gap]) -> Box | None:
    if not gaps:
        return None
    spans = [(slice(gap.first + 1, gap.last), *gap.box) for gap in gaps]
    return tuple(slice(min(p.start for p in parts), max(p.stop for p in parts)) for parts in zip(*spans, strict=True))


def _within(gap: _Gap, box: Box) -> Box:
    parts = (slice(gap.first + 1, gap.last), *gap.box)
    return tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(parts, box, strict=True))


def _fill(
    ids: Array, gap: _Gap, plane_mm: Sequence[float], made: tuple[Array, NDArray[np.float32], Bools], box: Box
) -> None:
    """Write the class of one gap into `made`: ids, how deep each lies, and where it may be written, filling `box`."""
    ends = [np.asarray(ids[i][gap.box] == gap.label) for i in (gap.first, gap.last)]
    shift = _shift(ends[0], ends[1], plane_mm)
    place = _within(gap, box)
    values, depths, free = made[0][place], made[1][place], made[2][place]
    first, last = (signed_distance(end, plane_mm) for end in ends)
    for step in range(1, gap.last - gap.first):
        share = step / (gap.last - gap.first)
        a, b = first, last
        if shift is not None:
            a = ndimage.shift(first, share * shift, order=1, mode="nearest")
            b = ndimage.shift(last, (share - 1) * shift, order=1, mode="nearest")
        deep = (1 - share) * a + share * b
        deepest = depths[step - 1]
        wins = (deep >= 0) & (deep > deepest) & free[step - 1]
        deepest[wins] = deep[wins]
        values[step - 1][wins] = gap.label


def _shift(first: Bools, last: Bools, plane_mm: Sequence[float]) -> NDArray[np.float64] | None:
    """Return how many voxels the shape moves on the way, None where it stays.

    Only shapes without a voxel in common move, and no further than discs of their areas are wide together: what is
    further apart are two things.
    """
    if (first & last).any():
        return None
    shift = np.argwhere(last).mean(axis=0) - np.argwhere(first).mean(axis=0)
    pixel_mm2 = float(np.prod(plane_mm))
    widths = sum(2 * float(np.sqrt(shape.sum() * pixel_mm2 / np.pi)) for shape in (first, last))
    return shift if float(np.linalg.norm(shift * plane_mm)) <= widths else None
