"""Statistics of the values in a region of interest, and of each class of a mask.

A voxel belongs to a region if its centre lies in it, its edge included.  ``sd`` is that of a sample (divided by n - 1),
as ITK's LabelStatisticsImageFilter gives it.  Values that are not finite are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from napari_medcnn.core.measures import BALL, ELLIPSE, Measure
from napari_medcnn.core.ruler import Ruler

Array = NDArray[Any]
#: Radius in mm of a sphere of 1 cm3 (Wahl et al., PERCIST 1.0, J Nucl Med 2009;50 Suppl 1:122S-150S).
PEAK_RADIUS_MM = (3.0 * 1000.0 / (4.0 * math.pi)) ** (1.0 / 3.0)
_PARTS_MM = 0.25
_EDGE = 1e-9


@dataclass(frozen=True)
class Values:
    """Statistics of some values; every number but the counts is None where there are too few values for it.

    Parameters
    ----------
    count
        Finite values.
    mean, sd, minimum, maximum
        In the unit of the values; `sd` needs two of them.
    left_out
        Values that are not finite.
    """

    count: int
    mean: float | None = None
    sd: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    left_out: int = 0


@dataclass(frozen=True)
class RegionStats:
    """What is in a region.

    Parameters
    ----------
    channels
        One entry per channel.
    voxels
        Voxels of the scan whose centre lies in the region.
    area
        Of a flat region by these voxels, in square `unit`; None for a ball.
    volume_mm3
        Of a ball by its voxels; None where the size of a voxel is not stated.
    unit
        "mm" or "px".
    peak
        SUVpeak, None where it cannot be given.
    """

    channels: tuple[Values, ...]
    voxels: int
    area: float | None
    volume_mm3: float | None
    unit: str
    peak: float | None = None


@dataclass(frozen=True)
class Picked:
    """The voxels of a region: a box of the scan, (start, stop) along (z, y, x), and which of its voxels are in."""

    box: tuple[slice, slice, slice]
    inside: NDArray[np.bool_]


def pick(measure: Measure, shape: tuple[int, int, int], ruler: Ruler) -> Picked:
    """Return the voxels of a region that lie in the scan; an empty box if none does.

    A flat region takes those of the slice nearest to it; a ball is round in the ruler's unit.
    """
    if measure.kind == BALL:
        return _pick_ball(measure, shape, ruler)
    corners = np.array(measure.points)
    middle, half = corners.mean(axis=0), np.abs(corners[1] - corners[0]) / 2
    box, steps = [], []
    for axis in range(3):
        if axis == measure.axis:
            index = math.floor(middle[axis] + 0.5)
            box.append(_clipped(index, index, shape[axis]))
            steps.append(np.zeros(max(0, box[-1].stop - box[-1].start)))
            continue
        box.append(_clipped(math.ceil(middle[axis] - half[axis] - _EDGE), math.floor(middle[axis] + half[axis] + _EDGE),
                            shape[axis]))  # fmt: skip
        away = np.arange(box[-1].start, box[-1].stop) - middle[axis]
        steps.append(away / max(half[axis], _EDGE))
    if measure.kind == ELLIPSE:
        inside = _sum_of_squares(steps) <= 1.0 + _EDGE
    else:
        inside = np.ones([len(step) for step in steps], dtype=bool)
    return Picked((box[0], box[1], box[2]), inside)


def _pick_ball(measure: Measure, shape: tuple[int, int, int], ruler: Ruler) -> Picked:
    radius, centre = ruler.distance(*measure.points), measure.points[0]
    box, steps = [], []
    for axis in range(3):
        reach = radius / ruler.spacing[axis]
        box.append(_clipped(math.ceil(centre[axis] - reach - _EDGE), math.floor(centre[axis] + reach + _EDGE),
                            shape[axis]))  # fmt: skip
        steps.append((np.arange(box[-1].start, box[-1].stop) - centre[axis]) * ruler.spacing[axis])
    return Picked((box[0], box[1], box[2]), _sum_of_squares(steps) <= (radius + _EDGE) ** 2)


def _clipped(first: int, last: int, size: int) -> slice:
    start = min(max(first, 0), size)
    return slice(start, max(start, min(last + 1, size)))


def _sum_of_squares(steps: list[Array]) -> Array:
    z, y, x = steps
    return np.asarray(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)


def box_voxels(measure: Measure, ruler: Ruler, peak: bool = False) -> float:
    """Return about how many voxels are read for a region, with those around it that `peak` needs."""
    if measure.kind == BALL:
        sides = 2 * ruler.distance(*measure.points) / np.array(ruler.spacing) + 1
    else:
        sides = np.abs(np.subtract(measure.points[1], measure.points[0])) + 1
    return float(np.prod(sides + 2 * PEAK_RADIUS_MM / np.array(ruler.spacing) if peak else sides))


def region_stats(frame: Array, measure: Measure, ruler: Ruler, value_unit: str = "") -> RegionStats:
    """Return the statistics of a region.

    Parameters
    ----------
    frame
        One time point, (z, y, x) or (z, y, x, channel), in the file's order; complex numbers count as their magnitude.
    measure
        A region.
    value_unit
        Of the values: SUVpeak is given for those that begin with "SUV".
    """
    picked = pick(measure, (frame.shape[0], frame.shape[1], frame.shape[2]), ruler)
    part = frame[picked.box]
    planes = [part[..., c] for c in range(part.shape[3])] if part.ndim == 4 else [part]
    voxels = int(np.count_nonzero(picked.inside))
    area = None if measure.kind == BALL else voxels * ruler.pixel_area(measure.axis)
    volume = voxels * float(np.prod(ruler.spacing)) if measure.kind == BALL and ruler.has_volumes else None
    peak = suv_peak(frame, picked, ruler) if value_unit.startswith("SUV") and frame.ndim == 3 else None
    return RegionStats(
        tuple(values_of(plane[picked.inside]) for plane in planes), voxels, area, volume, ruler.unit, peak
    )


def values_of(values: Array) -> Values:
    """Return the statistics of some values in any order."""
    real = np.abs(values) if values.dtype.kind == "c" else values
    wide = real.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    left_out = int(wide.size - finite.size)
    if not finite.size:
        return Values(0, left_out=left_out)
    sd = float(finite.std(ddof=1)) if finite.size > 1 else None
    return Values(finite.size, float(finite.mean()), sd, float(finite.min()), float(finite.max()), left_out)


def suv_peak(frame: Array, picked: Picked, ruler: Ruler) -> float | None:
    """Return the highest mean of a sphere of 1 cm3 around the centre of any voxel of a region.

    Voxels count by the share of them that lies in the sphere. Spheres that reach beyond the scan or over values that
    are not finite do not count; None if none is left, or if the size of a voxel is not stated (Wahl 2009, PERCIST).
    """
    if not ruler.has_volumes or not picked.inside.any():
        return None
    weights = _sphere(ruler.spacing)
    reach = [n // 2 for n in weights.shape]
    around = tuple(
        slice(max(0, span.start - r), min(n, span.stop + r))
        for span, r, n in zip(picked.box, reach, frame.shape, strict=True)
    )
    values = np.asarray(frame[around], dtype=np.float64)
    if any(n < w for n, w in zip(values.shape, weights.shape, strict=True)):
        return None
    usable = np.isfinite(values)
    means = fftconvolve(np.where(usable, values, 0.0), weights, mode="valid")
    spoilt = np.zeros(means.shape, dtype=bool)
    if not usable.all():
        spoilt = fftconvolve((~usable).astype(np.float64), weights, mode="valid") > _EDGE
    # `means` begins at the first voxel whose sphere fits: here is where the region's voxels are in it
    first = [start.start + r for start, r in zip(around, reach, strict=True)]
    where = np.argwhere(picked.inside) + [span.start for span in picked.box] - first
    where = where[np.all((where >= 0) & (where < means.shape), axis=1)]
    index = tuple(where.T)
    found = means[index][~spoilt[index]]
    return float(found.max()) if found.size else None


def _sphere(spacing: tuple[float, ...]) -> Array:
    """Return the share of each voxel in a sphere of 1 cm3 around the centre of the middle one; they add up to 1."""
    offsets = []
    for s in spacing:
        reach = math.ceil(PEAK_RADIUS_MM / s - 0.5 + _EDGE)
        parts = min(16, max(2, math.ceil(s / _PARTS_MM)))
        inner = (np.arange(parts) + 0.5) / parts - 0.5
        offsets.append(((np.arange(-reach, reach + 1)[:, None] + inner) * s).ravel())
    inside = (_sum_of_squares(offsets) <= PEAK_RADIUS_MM**2).astype(np.float64)
    counts = inside
    for axis, (s, offset) in enumerate(zip(spacing, offsets, strict=True)):
        parts = min(16, max(2, math.ceil(s / _PARTS_MM)))
        shape = (*counts.shape[:axis], len(offset) // parts, parts, *counts.shape[axis + 1 :])
        counts = counts.reshape(shape).sum(axis=axis + 1)
    return np.asarray(counts / counts.sum())


def class_stats(frame: Array, mask: Array) -> Iterator[dict[int, Values]]:
    """Yield the statistics of each class of a mask: after every plane ``{}``, at the end the result.

    Parameters
    ----------
    frame
        One time point, (z, y, x), in the order of `mask`.
    mask
        Class ids (z, y, x) from 0 to 65535; 0 is background and left out. An empty mask gives ``{}``.
    """
    top = int(mask.max()) + 1 if mask.size else 1
    count, left_out = np.zeros(top, np.int64), np.zeros(top, np.int64)
    total, squares = np.zeros(top), np.zeros(top)
    low, high = np.full(top, np.inf), np.full(top, -np.inf)
    for values, ids in _planes(frame, mask):
        finite = np.isfinite(values)
        left_out += np.bincount(ids[~finite], minlength=top)
        values, ids = values[finite], ids[finite]
        count += np.bincount(ids, minlength=top)
        total += np.bincount(ids, values, minlength=top)
        np.minimum.at(low, ids, values)
        np.maximum.at(high, ids, values)
        yield {}
    mean = total / np.maximum(count, 1)
    for values, ids in _planes(frame, mask):  # a second time, around the mean: the one-pass formula loses digits
        finite = np.isfinite(values)
        squares += np.bincount(ids[finite], (values[finite] - mean[ids[finite]]) ** 2, minlength=top)
        yield {}
    yield {
        int(i): Values(
            int(count[i]), float(mean[i]), math.sqrt(squares[i] / (count[i] - 1)) if count[i] > 1 else None,
            float(low[i]), float(high[i]), int(left_out[i]),
        ) if count[i] else Values(0, left_out=int(left_out[i]))
        for i in np.flatnonzero(count + left_out)
    }  # fmt: skip


def _planes(frame: Array, mask: Array) -> Iterator[tuple[Array, Array]]:
    """Return values and ids of the voxels of each plane that are no background."""
    for plane, ids in zip(frame, mask, strict=True):
        inside = ids > 0
        values = np.abs(plane[inside]) if plane.dtype.kind == "c" else plane[inside]
        yield values.astype(np.float64), ids[inside].astype(np.int64)
