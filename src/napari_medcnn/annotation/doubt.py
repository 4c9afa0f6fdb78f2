"""Where to look next: the regions a model was undecided about, or where the mask differs from the model's, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.tools.connect import PIECES, numbered
from napari_medcnn.annotation.tools.mask import Mask, Progress, check_length, tell
from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.errors import InputError

#: A class counts as involved where the model gives it at least this mean probability in the region.
_INVOLVED = 0.15
#: Steps that progress is told in.
_STEPS = 4


@dataclass(frozen=True)
class Finding:
    """What counts as a doubtful region.

    Parameters
    ----------
    threshold
        Above 0, at most 1: a voxel as undecided as this, or more, belongs to a region.
    smallest_ml
        Smaller regions are left out; 0 keeps all.
    smallest_voxels
        The same in voxels, where the spacing is not known.
    smooth_mm
        Standard deviation of a Gaussian that doubt is averaged with first (in voxels where the spacing is not known):
        the thin seam of doubt that runs along every border falls below the threshold, thick regions stay. 0 for none.
    most
        How many regions are given at most.
    """

    threshold: float = 0.5
    smallest_ml: float = 0.01
    smallest_voxels: int = 10
    smooth_mm: float = 0.0
    most: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold: expected above 0 to 1, got {self.threshold}")
        if not np.isfinite(self.smallest_ml) or self.smallest_ml < 0 or self.smallest_voxels < 0:
            raise InputError(
                f"smallest region: expected 0 or more, got {self.smallest_ml} ml, {self.smallest_voxels} voxels"
            )
        check_length(self.smooth_mm, "smooth_mm")
        if self.most < 0:
            raise InputError(f"most: expected 0 or more, got {self.most}")


@dataclass(frozen=True, eq=False)
class Spot:
    """One doubtful region, connected through faces, edges and corners.

    Parameters
    ----------
    voxels
        int64 (n,), n > 0, ascending: which voxels, as flat indices (z, y, x) of the mask in C order.
    doubt
        The sum of the doubt of its voxels, 1 for one that is fully undecided, times the volume of a voxel in ml; in
        voxels where the spacing is not known.
    volume_ml
        None where the spacing is not known.
    place
        The voxel (z, y, x) of the region that lies nearest, in mm, to the middle of its doubt.
    box
        Of the mask, tight.
    classes
        Ids that may be meant, the most likely first, background last; one at least.
    """

    voxels: NDArray[np.int64]
    doubt: float
    volume_ml: float | None
    place: tuple[int, int, int]
    box: Box
    classes: tuple[int, ...]


def undecided(
    mask: Mask, doubt: Array, how: Finding | None = None, progress: Progress | None = None
) -> tuple[Spot, ...]:
    """Return the regions where a model was undecided, that with the most doubt in all first.

    Parameters
    ----------
    mask
        Names the classes involved: those in a region and right beside it.
    doubt
        (z, y, x), 0 sure to 255 undecided as bytes, or 0 to 1 as floats; NaN counts as sure.
    progress
        Told between the parts of the work; it may raise to cancel.

    Returns
    -------
    tuple
        Empty where nothing reaches the threshold or all of it is too small. Equal ones come in array order.

    Raises
    ------
    InputError
        The map is on another grid, or neither bytes nor floats.
    """
    how = how or Finding()
    if doubt.shape != mask.shape or (doubt.dtype != np.uint8 and doubt.dtype.kind != "f"):
        raise InputError(
            f"doubt: expected bytes or floats of the mask's shape {mask.shape}, got {doubt.dtype} of {doubt.shape}"
        )
    scale = 255.0 if doubt.dtype == np.uint8 else 1.0
    if how.smooth_mm > 0 and doubt.size:
        wide = doubt.astype(np.float32) / np.float32(scale)
        np.nan_to_num(wide, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        sigmas = [0.0 if n == 1 else how.smooth_mm / s for n, s in zip(wide.shape, mask.spacing, strict=True)]
        doubt, scale = ndimage.gaussian_filter(wide, sigmas, mode="nearest", truncate=3.0), 1.0
    tell(progress, 1, _STEPS)
    region = np.asarray(doubt >= how.threshold * scale)
    found = _ranked(mask, region, doubt[region] / scale, how, progress)
    return tuple(_spot(mask, flat, weight, _nearby(mask.array, flat)) for flat, weight in found)


def differing(
    mask: Mask, other: Array, how: Finding | None = None, progress: Progress | None = None
) -> tuple[Spot, ...]:
    """Return the regions where a mask differs from another one (the model's), the largest first.

    Parameters
    ----------
    other
        Class ids on the same grid.
    how
        Its size limits hold; threshold and smoothing do not, for voxels differ or do not.

    Returns
    -------
    tuple
        As `undecided`; the classes of a region are those that either mask has there.

    Raises
    ------
    InputError
        Masks of different shape.
    """
    how = how or Finding()
    if other.shape != mask.shape or other.dtype.kind not in "biu":
        raise InputError(f"other: expected class ids of shape {mask.shape}, got {other.dtype} of {other.shape}")
    tell(progress, 1, _STEPS)
    region = np.asarray(mask.array != other)
    weights = np.ones(int(np.count_nonzero(region)))
    spots = []
    for flat, weight in _ranked(mask, region, weights, how, progress):
        at = np.unravel_index(flat, mask.shape)
        spots.append(_spot(mask, flat, weight, _by_count(np.concatenate([mask.array[at], other[at]]))))
    return tuple(spots)


def margin_doubt(probabilities: Array) -> NDArray[np.float32]:
    """Return 1 minus the lead of the likeliest class over the next: 1 where two are equal, 0 where one is certain.

    Parameters
    ----------
    probabilities
        (..., class), 0 to 1, 1 in sum, two classes or more.

    Returns
    -------
    ndarray
        float32 (...).

    Raises
    ------
    InputError
        Fewer than two classes.
    """
    if probabilities.ndim < 1 or probabilities.shape[-1] < 2:
        raise InputError(f"probabilities: expected (..., class) with 2 classes or more, got {probabilities.shape}")
    best = np.partition(np.asarray(probabilities, np.float32), probabilities.shape[-1] - 2, axis=-1)[..., -2:]
    return np.asarray(np.clip(1 - (best[..., 1] - best[..., 0]), 0, 1), np.float32)


def likely(spot: Spot, ids: Sequence[int], probabilities: Array) -> tuple[int, ...]:
    """Return the classes that a model holds for possible in a region, the likeliest first, background last.

    Parameters
    ----------
    ids
        The class of each channel.
    probabilities
        (z, y, x, class), 0 to 1; may be a memory-mapped file, of which only the region is read.
    """
    means = probabilities[np.unravel_index(spot.voxels, probabilities.shape[:3])].astype(np.float32).mean(axis=0)
    order = [ids[int(i)] for i in np.argsort(-means, kind="stable") if means[i] >= _INVOLVED]
    return _background_last(order) or spot.classes


def _ranked(
    mask: Mask, region: NDArray[np.bool_], weights: Float, how: Finding, progress: Progress | None
) -> list[tuple[NDArray[np.int64], Float]]:
    """Return flat indices and weights of each region that is large enough, the most weight first."""
    pieces, count = numbered(region, PIECES)
    tell(progress, 2, _STEPS)
    flat = np.flatnonzero(region).astype(np.int64)
    numbers = pieces.reshape(-1)[flat]
    sizes = np.bincount(numbers, minlength=count + 1)
    sums = np.bincount(numbers, weights, minlength=count + 1)
    if mask.voxel_mm3 is None:
        large = sizes >= how.smallest_voxels
    else:
        large = sizes * mask.voxel_mm3 >= 1000 * how.smallest_ml * (1 - 1e-9)
    large[0] = False
    chosen = np.flatnonzero(large)
    chosen = chosen[np.argsort(-sums[chosen], kind="stable")][: how.most]
    order = np.argsort(numbers, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    tell(progress, 3, _STEPS)
    parts = [order[starts[n] : starts[n + 1]] for n in chosen.tolist()]
    return [(flat[part], weights[part]) for part in parts]


def _spot(mask: Mask, flat: NDArray[np.int64], weights: Float, classes: tuple[int, ...]) -> Spot:
    at = np.stack(np.unravel_index(flat, mask.shape), axis=1)
    spacing = np.array(mask.spacing)
    middle = np.average(at * spacing, axis=0, weights=weights)
    z, y, x = (int(i) for i in at[((at * spacing - middle) ** 2).sum(axis=1).argmin()])
    box = tuple(slice(int(a), int(b) + 1) for a, b in zip(at.min(axis=0), at.max(axis=0), strict=True))
    ml = None if mask.voxel_mm3 is None else mask.voxel_mm3 / 1000
    return Spot(flat, float(weights.sum()) * (ml or 1.0), ml and len(flat) * ml, (z, y, x), box, classes)


def _nearby(ids: Array, flat: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the classes of a region and of the voxels that touch it, the commonest first, background last."""
    at = np.stack(np.unravel_index(flat, ids.shape), axis=1)
    low = np.maximum(at.min(axis=0) - 1, 0)
    high = np.minimum(at.max(axis=0) + 2, ids.shape)
    inside = np.zeros(tuple(high - low), bool)
    inside[tuple((at - low).T)] = True
    wide = ndimage.binary_dilation(inside, ndimage.generate_binary_structure(3, PIECES))
    return _by_count(ids[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))][wide])


def _by_count(values: Array) -> tuple[int, ...]:
    found, counts = np.unique(values, return_counts=True)
    return _background_last([int(found[i]) for i in np.argsort(-counts, kind="stable")])


def _background_last(ids: Sequence[int]) -> tuple[int, ...]:
    return (*(i for i in ids if i != 0), *(i for i in ids if i == 0))
