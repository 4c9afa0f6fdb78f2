"""What a prediction will take, said before it runs: memory, and how many windows. From the grid alone, no voxels.

The numbers follow what `pipeline.prepare`, `patches.stream_scores` and `restore.LabelPainter` hold at a time; a test
and `benchmarks/memory.py` compare them with what was measured. Boxes that only the voxels tell (body, non-zero) are
taken as the whole scan, so the forecast is the most it can be. The memory of the network itself is a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import InputError
from napari_medcnn.imaging import pipeline
from napari_medcnn.imaging.boxes import turned_region, whole_box
from napari_medcnn.imaging.patches import TilePlan, plan_tiles
from napari_medcnn.imaging.record import Record
from napari_medcnn.imaging.restore import BLOCK
from napari_medcnn.imaging.shrink import centre_box, filled
from napari_medcnn.imaging.slicing import turn

Shape = tuple[int, int, int]
#: A guess of what a network holds while it looks at one window: so many float32 numbers for each of its voxels. The
#: U-Net of the benchmarks (16 filters at full size) took about 80; nnU-Net's begin with 32.
NETWORK_CHANNELS = 128
_FLOAT = 4


@dataclass(frozen=True)
class Forecast:
    """What a run takes: bytes at its peak (a guess of the network's share included), windows, both in words."""

    bytes_needed: int
    windows: int
    words: str


@dataclass(frozen=True)
class Need:
    """What the memory of a segmentation depends on.

    Parameters
    ----------
    source_shape, source_dtype, channels : (z, y, x) of the scan as read, its type, and how many channels it has.
    grid_shape : (z, y, x) of the network's grid that is prepared.
    plan : the windows on that grid, or on the part of it that is run.
    classes : channels of the network's output.
    network : bytes the network itself takes for one window.
    probabilities, uncertainty : whether those are asked for as well. Probabilities go to a file.
    mirrored : the runs of a window, 1 without test-time flips.
    converted : voxels of the scan that are resampled to the network's grid, 0 where voxels stay as they are.
    cleaned : whether the card asks for components or holes to be looked at.
    """

    source_shape: Shape
    source_dtype: npt.DTypeLike
    channels: int
    grid_shape: Shape
    plan: TilePlan
    classes: int
    network: int = 0
    probabilities: bool = False
    uncertainty: bool = False
    mirrored: int = 1
    converted: int = 0
    cleaned: bool = False


def forecast(need: Need) -> Forecast:
    """Return the largest of what preparing, sliding and cleaning up hold at a time."""
    voxels, seen = math.prod(need.source_shape), math.prod(need.grid_shape)
    scan = voxels * need.channels * np.dtype(need.source_dtype).itemsize
    data = math.prod(need.plan.shape) * need.channels * _FLOAT
    # one channel at a time as float32, twice (numpy and ITK), and its result twice; or a step: old, new, which finite
    resampling = 2 * _FLOAT * (need.converted + seen) if need.converted else 0
    preparing = scan + max(seen * need.channels * _FLOAT + resampling, seen * need.channels * (2 * _FLOAT + 2))
    held = math.prod(need.plan.held) * need.classes * _FLOAT
    # the network's answer in the backend and in numpy; mirrored runs keep their mean and its squares too
    answers = (2 if need.mirrored == 1 else 6) * math.prod(need.plan.tile) * need.classes * _FLOAT
    painted = voxels * (1 + int(need.uncertainty))
    # between two grids a plane is kept, one mixed, one read; deciding a block of rows takes a few of its size
    plane = math.prod(need.plan.held) // need.plan.tile[need.plan.axis] * need.classes
    deciding = _FLOAT * ((3 * plane if need.converted else 0) + 4 * min(plane, BLOCK))
    sliding = scan + data + held + answers + painted + deciding + need.network
    # components are numbered in int32, and a mask of each class is looked at beside them
    cleaning = scan + data + painted + (10 * voxels if need.cleaned else 0)
    windows = need.plan.count
    most = max(preparing, sliding, cleaning)
    written = voxels * need.classes * 2 if need.probabilities else 0
    return Forecast(most, windows, _words(most, windows, need.mirrored, written))


def forecast_for(geometry: Geometry, dtype: npt.DTypeLike, spec: ModelSpec, options: PredictOptions) -> Forecast:
    """Return the forecast for a scan of which only the grid is known.

    Raises
    ------
    InputError
        A region outside the scan, or slices this model has not: as the run itself would say.
    GeometryError
        The model works in mm and the voxel size of the scan is unknown.
    """
    prepared = spec.preparation
    model, seen, converted = grids(geometry, spec, options)
    tile = spec.tile or (model if prepared.dimensions == 3 else model[1:])
    z, y, x = (1, *tile) if len(tile) == 2 else tile
    divisor = spec.divisor if spec.tile else 1
    depth = 1 if len(tile) == 2 else divisor
    plan = plan_tiles(seen, (z, y, x), spec.overlap if spec.tile else 0.0, (depth, divisor, divisor))
    segmentation = spec.task == "segmentation"
    mirrored = 2 ** len(spec.symmetric) if options.flips else 1
    doubt = options.uncertainty and options.uncertainty_kind == "variance"
    return forecast(
        Need(
            source_shape=geometry.shape,
            source_dtype=dtype,
            channels=prepared.channels,
            grid_shape=model,
            plan=plan,
            classes=len(spec.decision.ids) + int(doubt) if segmentation else 0,
            network=math.prod(plan.tile) * NETWORK_CHANNELS * _FLOAT,
            probabilities=options.probabilities and segmentation,
            uncertainty=options.uncertainty and segmentation,
            mirrored=mirrored,
            converted=converted,
            cleaned=bool(spec.postprocess),
        )
    )


def grids(geometry: Geometry, spec: ModelSpec, options: PredictOptions) -> tuple[Shape, Shape, int]:
    """Return the network's grid as far as it is prepared, the part of it that is run, and how many voxels resampled."""
    how, _ = turn(geometry, spec.preparation, options.slices)
    turned = geometry.reoriented(how)
    box = whole = whole_box(turned.shape)
    if options.region is not None:
        box = turned_region(options.region, geometry.shape, how)
    steps = spec.preparation.steps
    first = steps[0][0] if steps else ""
    fits = first in (pipeline.FIT, pipeline.FILL)
    kept = box if fits else whole
    if first == pipeline.FILL:
        kept = centre_box(kept, **steps[0][1])
    part = Record(geometry, how, kept, geometry).part
    model = pipeline.model_grid(part, spec.preparation)
    if fits:
        model = (filled if first == pipeline.FILL else pipeline.fitted)(model, **steps[0][1])
    shape = model.shape
    converted = 0 if model == part else math.prod(part.shape)
    if fits or options.region is None:
        return shape, shape, converted
    context = spec.tile if len(spec.tile) == 3 else (2 * spec.preparation.neighbours, *(spec.tile or (0, 0)))
    z, y, x = (
        min(n, math.ceil((side.stop - side.start) * n / have) + more)
        for n, side, have, more in zip(shape, box, part.shape, context, strict=True)
    )
    if all(name in pipeline.POINTWISE for name, _ in steps):
        # only the region and what lies around it is touched
        return (z, y, x), (z, y, x), converted * z * y * x // math.prod(shape)
    return shape, (z, y, x), converted


def _words(needed: int, windows: int, mirrored: int, written: int) -> str:
    ways = f", each mirrored {mirrored} ways" if mirrored > 1 else ""
    disk = f" Probabilities take {gigabytes(written)} on disk." if written else ""
    free = free_bytes()
    there = "" if free is None else f"; {gigabytes(free)} are free"
    return f"About {gigabytes(needed)} of memory, {windows} window{'s' * (windows != 1)}{ways}{there}.{disk}"


def gigabytes(count: int) -> str:
    """Return a number of bytes for people: "3.1 GB", "240 MB"."""
    if count < 0:
        raise InputError(f"bytes: expected 0 or more, got {count}")
    return f"{count / 1e9:.1f} GB" if count >= 995e6 else f"{max(1, round(count / 1e6))} MB"


def free_bytes() -> int | None:
    """Return the memory that can still be taken, None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None
