"""From a scan to what a network sees, and from what it answers back to the scan's own grid.

Training, prediction and explanation all call these functions, so none of them can see an image differently.
The order is fixed: turn to the model's orientation, crop to the filled box, resample to the model's voxel size, then
the intensity steps in the order the specification lists them. `Prepared.record` remembers what was done, so that
labels, scores and maps go back exactly onto the grid of the scan.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.core.spec import Decision, Preparation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.imaging import intensity
from napari_medcnn.imaging.patches import Slab, TilePlan, plan_tiles
from napari_medcnn.imaging.record import Box, Record
from napari_medcnn.imaging.resample import AxisMap, linear, nearest, regrid, resample_image, resample_labels
from napari_medcnn.imaging.restore import LabelPainter

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the network sees: `data` (z, y, x, channel) float32, channels last, and how it came about."""

    data: Float32
    record: Record


#: The closed list of intensity steps a model may ask for.
STEPS: Mapping[str, Callable[..., Float32]] = {
    "clip": intensity.clip,
    "percentile_clip": intensity.percentile_clip,
    "scale_linear": intensity.scale_linear,
    "scale_range": intensity.scale_range,
    "zscore": intensity.zscore,
    "fixed_zscore": intensity.fixed_zscore,
    "local_normalise": intensity.local_normalise,
    "local_contrast": intensity.local_contrast,
    "weigh_channels": intensity.weigh_channels,
}


#: The one step that changes the grid; it must come first. For networks that take one size only.
FIT = "fit_shape"


def prepare(volume: Volume, spec: Preparation) -> Prepared:
    """Bring a scan to what the network sees.

    Parameters
    ----------
    volume : one time point, axes zyx or zyxc. A picture has depth 1.
    spec : the model's preparation.

    Returns
    -------
    Prepared
        float32 (z, y, x, channel) on the model's grid, with the record that undoes it.

    Raises
    ------
    InputError
        Several time points, or another number of channels than the model takes.
    GeometryError
        The model works at a voxel size in mm and the scan's is unknown.
    UnsupportedError
        Complex numbers, or a step this version does not know.
    """
    data = _channels_last(volume, spec.channels)
    notes: list[str] = []
    how = Reorientation((0, 1, 2), (False, False, False))
    if spec.orientation is not None:
        how = volume.geometry.reorientation_to(spec.orientation)
        if not volume.geometry.orientation_known:
            notes.append("The file does not state where left is; the scan was taken as stored.")
    data = how.apply(data, "zyxc")
    box = _filled_box(data) if spec.crop_nonzero else _whole_box(data)
    record = Record(volume.geometry, how, box, volume.geometry)
    data, part = data[box], record.part
    model, steps = _model_grid(part, spec), spec.steps
    if steps and steps[0][0] == FIT:
        model, steps = _fitted(model, **steps[0][1]), steps[1:]
    if model != part:
        data, bad = _without_gaps(data)
        if bad:
            notes.append(f"{bad} values are not numbers; the lowest value stands for them.")
        data = resample_image(data, part, model, fill=float(data.min()))
    for name, arguments in steps:
        data = _run_step(data, name, arguments)
    ready = np.ascontiguousarray(data, dtype=np.float32)
    if not np.isfinite(ready).all():
        ready = np.where(np.isfinite(ready), ready, np.float32(intensity.FILL))
    return Prepared(ready, Record(volume.geometry, how, box, model, tuple(notes)))


def prepare_labels(mask: LabelMap, record: Record) -> npt.NDArray[Any]:
    """Bring a mask on the scan's grid to the model's grid (nearest neighbour), to train or to score there."""
    if not mask.geometry.same_grid(record.source):
        raise InputError("mask: expected the grid of its scan; resample or save it on that grid first")
    part = np.ascontiguousarray(record.how.apply(mask.array)[record.box])
    return resample_labels(part, record.part, record.model)


def plan(prepared: Prepared, tile: tuple[int, ...], overlap: float, divisor: int = 1) -> TilePlan:
    """Plan the windows of a prepared scan.

    Parameters
    ----------
    tile : (y, x) for a 2D network, which then runs slice by slice, or (z, y, x).
    divisor : what spatial sizes must be a multiple of (`spatial_divisor` of the network).
    """
    if len(tile) not in (2, 3):
        raise InputError(f"tile: expected (y, x) or (z, y, x), got {tile}")
    z, y, x = (1, *tile) if len(tile) == 2 else tile
    depth = 1 if len(tile) == 2 else divisor
    shape = prepared.data.shape
    return plan_tiles((shape[0], shape[1], shape[2]), (z, y, x), overlap, (depth, divisor, divisor))


def restore_scores(
    slabs: Iterable[Slab],
    record: Record,
    decision: Decision,
    *,
    uncertainty: bool = False,
    probabilities: npt.NDArray[Any] | None = None,
) -> LabelPainter:
    """Paint streamed probabilities onto the scan's grid; the result holds `labels`, `mean_scores`, `uncertainty`."""
    painter = LabelPainter(record, decision, uncertainty=uncertainty, probabilities=probabilities)
    for slab in slabs:
        painter.add(slab)
    return painter


def restore_labels(labels: npt.NDArray[Any], record: Record) -> npt.NDArray[Any]:
    """Bring class ids (z, y, x) on the model's grid to the scan's grid: nearest neighbour, 0 where it was cropped."""
    _check_grid(labels, record)
    result = np.zeros(record.source.shape, labels.dtype)
    record.how.apply(result)[record.box] = nearest(labels, AxisMap.between(record.part, record.model))
    return result


def restore_map(values: Float32, record: Record, fill: float = 0.0) -> Float32:
    """Bring a map (z, y, x) from the model's grid to the scan's: linear, `fill` where it was cropped."""
    _check_grid(values, record)
    result = np.full(record.source.shape, fill, np.float32)
    record.how.apply(result)[record.box] = linear(values, AxisMap.between(record.part, record.model))
    return result


def _run_step(data: npt.NDArray[Any], name: str, arguments: Mapping[str, Any]) -> Float32:
    if name not in STEPS:
        raise UnsupportedError(f"pipeline: expected a step of {', '.join(STEPS)}, got {name!r}")
    try:
        inspect.signature(STEPS[name]).bind(data, **arguments)
    except TypeError as error:
        raise InputError(f"pipeline: step {name}: {error}") from error
    return STEPS[name](data, **arguments)


def _check_grid(array: npt.NDArray[Any], record: Record) -> None:
    if array.shape != record.model.shape:
        raise InputError(f"array: expected the model grid's shape {record.model.shape} (z, y, x), got {array.shape}")


def _channels_last(volume: Volume, channels: int) -> npt.NDArray[Any]:
    """Return (z, y, x, channel), a view, after refusing what no network takes."""
    if volume.axes.startswith("t"):
        raise InputError(f"volume: expected one time point, got {volume.frames}; choose one with Volume.frame")
    if volume.array.dtype.kind == "c":
        raise UnsupportedError("volume: expected real numbers, got complex ones; save magnitude or phase first")
    if volume.channels != channels:
        raise InputError(f"volume: expected {channels} channels, got {volume.channels}; choose another model or image")
    return volume.array if volume.axes == "zyxc" else volume.array[..., None]


def _model_grid(part: Geometry, spec: Preparation) -> Geometry:
    """Return the grid of the network's voxel size over the kept part."""
    if spec.spacing_mm is None or all(s is None for s in spec.spacing_mm):
        return part
    part.require_spacing("This model works at a voxel size of its own and")
    z, y, x = (own if wanted is None else wanted for own, wanted in zip(part.spacing_mm, spec.spacing_mm, strict=True))
    if np.allclose((z, y, x), part.spacing_mm, rtol=1e-4):
        return part  # header rounding is no reason to interpolate
    return regrid(part, (z, y, x))


def _fitted(grid: Geometry, shape: tuple[int, ...]) -> Geometry:
    """Return the grid of `shape`, (y, x) or (z, y, x), over all of `grid`: proportions kept, the rest is padding."""
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise InputError(f"{FIT}: expected a shape (y, x) or (z, y, x) of at least 1, got {shape}")
    free = 3 - len(shape)
    nz, ny, nx = (*grid.shape[:free], *shape)
    extents = [n * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    # one voxel length along all fitted axes, so that proportions are those of the body
    length = max(e / n for e, n in list(zip(extents, (nz, ny, nx), strict=True))[free:])
    z, y, x = (*grid.spacing_mm[:free], *([length] * len(shape)))
    resized = replace(grid, shape=(nz, ny, nx), spacing_mm=(z, y, x), origin_lps=(0.0, 0.0, 0.0))
    centre = grid.index_to_lps([(n - 1) / 2 for n in grid.shape])
    origin = centre - resized.index_to_lps([(n - 1) / 2 for n in resized.shape])
    return replace(resized, origin_lps=tuple(origin.tolist()))


def _without_gaps(data: npt.NDArray[Any]) -> tuple[Float32, int]:
    """Return finite float32 values, gaps filled with the lowest value of their channel, and how many were filled.

    Interpolation would spread one NaN over its neighbours; the lowest value is what lies around a body.
    """
    values = np.array(data, dtype=np.float32)
    finite = np.isfinite(values)
    bad = int(values.size - np.count_nonzero(finite))
    if bad:
        for channel in range(values.shape[-1]):
            good = finite[..., channel]
            values[..., channel][~good] = values[..., channel][good].min() if good.any() else 0
    return values, bad


def _whole_box(data: npt.NDArray[Any]) -> Box:
    return (slice(0, data.shape[0]), slice(0, data.shape[1]), slice(0, data.shape[2]))


def _filled_box(data: npt.NDArray[Any]) -> Box:
    """Return the box of values that are finite and not 0; everything if there are none."""
    filled = np.any(np.isfinite(data) & (data != 0), axis=-1)
    if not filled.any():
        return _whole_box(data)
    sides = []
    for axis in range(3):
        used = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append(slice(int(used[0]), int(used[-1]) + 1))
    return (sides[0], sides[1], sides[2])
