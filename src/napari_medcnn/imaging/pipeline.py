"""From a scan to what a network sees, and from what it answers back to the scan's own grid.

Training, prediction and explanation all call these functions, so none of them can see an image differently.
The order is fixed: turn to the model's orientation (or the slices asked for), crop to the body and to what is not zero,
resample to the model's voxel size, then the intensity steps in the order the specification lists them, then cut to the
region asked for. `Prepared.record` remembers what was done, so that labels, scores and maps go back exactly onto the
grid of the scan.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import Slices
from napari_medcnn.core.spec import Decision, Preparation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.imaging import intensity
from napari_medcnn.imaging.body import body_box, filled_box
from napari_medcnn.imaging.boxes import Region, common, covering, turned_region, whole_box
from napari_medcnn.imaging.patches import Slab, TilePlan, plan_tiles
from napari_medcnn.imaging.record import Box, Record
from napari_medcnn.imaging.resample import AxisMap, cropped, linear, nearest, regrid, resample_image, resample_labels
from napari_medcnn.imaging.restore import LabelPainter
from napari_medcnn.imaging.shrink import centre_box, filled, shrink
from napari_medcnn.imaging.slicing import turn

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


#: The steps that change the grid; they must come first. For networks that take one size only.
#: `fit_shape` keeps all of the picture and pads; `fill_shape` cuts it to the proportions, around its centre.
FIT, FILL = "fit_shape", "fill_shape"
#: Turns the values round where the file says that small ones are to be shown bright (MONOCHROME1).
AS_DISPLAYED = "as_displayed"


#: Steps that treat each voxel alone: a part of the scan gives what the whole scan gives there.
POINTWISE = frozenset({"clip", "scale_linear", "fixed_zscore", "weigh_channels"})


def _never() -> None:
    """Stand for "nobody can cancel this"."""


def prepare(
    volume: Volume,
    spec: Preparation,
    *,
    slices: Slices = "card",
    region: Region | None = None,
    window: tuple[int, ...] = (),
    check: Callable[[], None] = _never,
) -> Prepared:
    """Bring a scan to what the network sees.

    Parameters
    ----------
    volume : one time point, axes zyx or zyxc. A picture has depth 1.
    spec : the model's preparation.
    slices : which slices a 2D network sees of a volume; see `slicing.turn`.
    region : only this box of the scan's own grid, (start, stop) voxels along its axes z, y, x, will be painted.
        What the network sees there is what it would see in the whole scan: the grid, the body box and the statistics
        of the intensity steps are those of the whole scan, and half a `window` of scan around the region stays for
        context, so that the border of the region is judged as well as its middle. Only a model whose pipeline starts
        with `fit_shape` is shown the region as if it were the picture.
    window : (y, x) or (z, y, x) voxels of the sliding window, for that context; empty keeps none.
    check : called between steps; may raise to cancel.

    Returns
    -------
    Prepared
        float32 (z, y, x, channel) on the model's grid, with the record that undoes it.

    Raises
    ------
    InputError
        Several time points, another number of channels than the model takes, slices of a 3D model or of a picture, a
        region outside the scan.
    GeometryError
        The model works at a voxel size in mm and the scan's is unknown.
    UnsupportedError
        Complex numbers, or a step this version does not know.
    """
    data = _channels_last(volume, spec.channels)
    how, turned = turn(volume.geometry, spec, slices)
    notes = list(turned)
    data = how.apply(data, "zyxc")
    box = None if region is None else turned_region(region, volume.geometry.shape, how)
    whole = _kept_box(data, spec, box, notes)
    check()
    grid_step = spec.steps[0][0] if spec.steps else ""
    fits = grid_step in (FIT, FILL)
    painted = whole if box is None else common(whole, box) or whole
    whole = painted if fits else whole
    if grid_step == FILL:
        whole = painted = centre_box(whole, **spec.steps[0][1])
    record = Record(volume.geometry, how, whole, volume.geometry)
    part, steps = record.part, spec.steps
    model = model_grid(part, spec)
    if fits:
        model, steps = (filled if grid_step == FILL else fitted)(model, **steps[0][1]), steps[1:]
    seen = None
    if painted != whole:
        inner = replace(record, box=painted).part
        seen = covering(inner, model, _context(window, spec))
    early = seen is not None and all(name in POINTWISE for name, _ in steps)
    data = _on_grid(data[whole], part, model, seen if early else None, notes, smooth=grid_step == FILL)
    check()
    for name, arguments in steps:
        data = _as_displayed(data, volume) if name == AS_DISPLAYED else _run_step(data, name, arguments)
        check()
    if seen is not None:
        data = data if early else data[seen]
        model = _cut_grid(model, seen)
    ready = np.ascontiguousarray(data, dtype=np.float32)
    if not np.isfinite(ready).all():
        ready = np.where(np.isfinite(ready), ready, np.float32(intensity.FILL))
    return Prepared(ready, Record(volume.geometry, how, painted, model, tuple(notes)))


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


def _as_displayed(data: npt.NDArray[Any], volume: Volume) -> Float32:
    """Return the values so that large ones are bright on screen, within the same range."""
    values = data.astype(np.float32)
    if not volume.inverted:
        return values
    finite = values[np.isfinite(values)]
    turned: Float32 = finite.min(initial=np.inf) + finite.max(initial=-np.inf) - values
    return turned


def _check_grid(array: npt.NDArray[Any], record: Record) -> None:
    if array.shape != record.model.shape:
        raise InputError(f"array: expected the model grid's shape {record.model.shape} (z, y, x), got {array.shape}")


def _channels_last(volume: Volume, channels: int) -> npt.NDArray[Any]:
    """Return (z, y, x, channel), a view, after refusing what no network takes."""
    if volume.axes.startswith("t"):
        raise InputError(f"volume: expected one time point, got {volume.frames}; choose one with Volume.frame")
    if volume.array.dtype.kind == "c":
        raise UnsupportedError("volume: expected real numbers, got complex ones; save magnitude or phase first")
    if channels == 1:
        volume = volume.as_grey() or volume
    if volume.channels != channels:
        raise InputError(f"volume: expected {channels} channels, got {volume.channels}; choose another model or image")
    return volume.array if volume.axes == "zyxc" else volume.array[..., None]


def model_grid(part: Geometry, spec: Preparation) -> Geometry:
    """Return the grid of the network's voxel size over the kept part."""
    if spec.spacing_mm is None or all(s is None for s in spec.spacing_mm):
        return part
    part.require_spacing("This model works at a voxel size of its own and")
    z, y, x = (own if wanted is None else wanted for own, wanted in zip(part.spacing_mm, spec.spacing_mm, strict=True))
    if np.allclose((z, y, x), part.spacing_mm, rtol=1e-4):
        return part  # header rounding is no reason to interpolate
    return regrid(part, (z, y, x))


def fitted(grid: Geometry, shape: tuple[int, ...]) -> Geometry:
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


def _kept_box(data: npt.NDArray[Any], spec: Preparation, region: Box | None, notes: list[str]) -> Box:
    """Return the box of the turned scan that the model looks at, before any region: body first, then not zero."""
    kept = whole_box(data.shape)
    if spec.crop_above is not None:
        body = body_box(data, spec.crop_above)
        if body is None:
            notes.append(f"Nothing in this scan lies above {spec.crop_above:g}; all of it was looked at.")
        elif region is not None and common(body, region) is None:
            notes.append("The region lies outside the body that was found; it was looked at all the same.")
        else:
            kept = body
    if not spec.crop_nonzero:
        return kept
    inner = filled_box(data[kept])
    z, y, x = (slice(k.start + i.start, k.start + i.stop) for k, i in zip(kept, inner, strict=True))
    if region is not None and common((z, y, x), region) is None:
        notes.append("The region holds nothing but zeros; it was looked at all the same.")
        return kept
    return (z, y, x)


def _context(window: tuple[int, ...], spec: Preparation) -> tuple[int, int, int]:
    """Return the voxels of the model's grid to keep around a region: half a window, and the neighbours of a slice."""
    if len(window) == 3:
        return (window[0] // 2, window[1] // 2, window[2] // 2)
    return (spec.neighbours, window[0] // 2, window[1] // 2) if window else (spec.neighbours, 0, 0)


def _cut_grid(grid: Geometry, box: Box) -> Geometry:
    z, y, x = (s.stop - s.start for s in box)
    return cropped(grid, (box[0].start, box[1].start, box[2].start), (z, y, x))


def _on_grid(
    data: npt.NDArray[Any],
    part: Geometry,
    model: Geometry,
    seen: Box | None,
    notes: list[str],
    smooth: bool = False,
) -> npt.NDArray[Any]:
    """Return the data of `part` on the model's grid, or in the box `seen` of it, touching no more than that takes."""
    if model == part:
        return data if seen is None else data[seen]
    lowest = _lowest(data)
    target = model if seen is None else _cut_grid(model, seen)
    if seen is not None:
        source = covering(target, part)
        data, part = data[source], _cut_grid(part, source)
    if data.dtype.kind == "f":
        data, bad = _without_gaps(data)
        if bad:
            notes.append(f"{bad} values are not numbers; the lowest value stands for them.")
    return shrink(data, target.shape[1:]) if smooth else resample_image(data, part, target, fill=lowest)


def _lowest(data: npt.NDArray[Any]) -> float:
    """Return the smallest finite value, 0 if there is none."""
    if data.dtype.kind != "f":
        return float(data.min())
    lowest = float(np.min(data, initial=np.inf, where=np.isfinite(data)))
    return lowest if np.isfinite(lowest) else 0.0
