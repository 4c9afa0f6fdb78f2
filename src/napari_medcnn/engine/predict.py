"""Run a model on one scan: prepare, try with less memory where it is short, judge, clean up, hand out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.windows import Outputs, Run, classify, judge, segment
from napari_medcnn.imaging import pipeline, postprocess
from napari_medcnn.imaging.asked import check_options, flip_axes
from napari_medcnn.imaging.forecast import NETWORK_CHANNELS, free_bytes
from napari_medcnn.imaging.record import Record
from napari_medcnn.imaging.restore import LabelPainter
from napari_medcnn.worker.server import Context

_log = logging.getLogger(__name__)
#: A first pass that took no longer is made once more, to know what one takes without compiling.
_PROBED_S = 2.0
#: Classes that do not exclude each other: said in words when more than this share of the marked voxels has several.
_MANY_SHARED = 0.05


def smaller(tile: tuple[int, ...], divisor: int) -> tuple[int, ...] | None:
    """Return a window of half the length on its longest axis, a multiple of `divisor`; None if it cannot shrink."""
    longest = max(range(len(tile)), key=lambda a: tile[a])
    half = tile[longest] // 2 // divisor * divisor
    if half < max(divisor, 16):
        return None
    return tuple(half if a == longest else n for a, n in enumerate(tile))


def affordable(tile: tuple[int, ...], divisor: int, free: int | None) -> tuple[int, ...]:
    """Return the card's window, or a smaller one where the network would surely take more than the memory that is free.

    On the CPU the failure itself cannot be waited for: the system may end the process, and TensorFlow 2.21 with oneDNN
    does not survive a failed allocation (seen as a segmentation fault).
    """
    while free is not None and math.prod(tile) * NETWORK_CHANNELS * 4 > free:
        less = smaller(tile, divisor)
        if less is None:
            break
        tile = less
    return tile


def predict(
    attempts: Callable[[], Iterator[tuple[Loaded | None, str]]],
    volume: Volume,
    options: PredictOptions,
    out: Outputs,
    context: Context,
    short_of_memory: tuple[type[BaseException], ...],
) -> dict[str, Any]:
    """Run a model on one scan.

    Parameters
    ----------
    attempts
        Yields the model on the device wanted, then on the CPU: the way down when memory is short. None in its place
        where it did not even fit into that device.
    volume
        The scan, perhaps with a time axis; `options.frame` chooses.
    short_of_memory
        What the backend raises then.

    Returns
    -------
    dict
        task, scores by class name (mean probability over the voxels a class won), device, seconds, warnings, windows.

    Raises
    ------
    InputError
        The options ask for what this model or scan cannot give.
    ModelError
        The output must not be shown (row 50): no label was written.
    MemoryError
        Also the smallest window does not fit.
    """
    warnings: list[str] = []
    begun = time.monotonic()
    prepared: pipeline.Prepared | None = None
    scan = volume.frame(options.frame)
    for loaded, device in attempts():
        loading = time.monotonic() - begun
        if loaded is None:
            warnings.append(f"Memory was short on the {device}.")
            continue
        spec = loaded.spec
        if prepared is None:
            prepared = prepare_scan(loaded, scan, options, context)
            warnings += prepared.record.notes
        flips = flip_axes(scan, spec, options.slices) if options.flips else ()
        spread = bool(flips) and options.uncertainty and options.uncertainty_kind == "variance"
        fixed = any(n is not None for n in loaded.fixed_shape)
        tile: tuple[int, ...] | None = spec.tile
        if tile and not fixed and device.startswith("CPU"):
            tile = affordable(tile, spec.divisor, free_bytes())
        while tile is not None:
            run = Run(loaded, tile, context, flips=flips, spread=spread)
            try:
                if spec.task == "classification":
                    scores = classify(run, prepared)
                    told = judge(run.observed, loaded, prepared.data)
                else:
                    painter = segment(run, prepared, options, out)
                    told = judge(run.observed, loaded, prepared.data)
                    scores = _write(painter, prepared.record, loaded, out, told)
            except short_of_memory as error:
                _log.info("short of memory on %s with windows of %s: %s", device, tile, type(error).__name__)
                tile = None if fixed or not tile else smaller(tile, spec.divisor)
                continue
            warnings += told
            if tile != spec.tile:
                warnings.append(f"Memory was short: windows of {' x '.join(map(str, tile))} instead of the card's.")
            return {
                "task": spec.task,
                "scores": scores,
                "device": device,
                "seconds": {**_seconds(begun, loading, run.observed.seconds), **_pace(run)},
                "warnings": warnings,
                "windows": run.observed.windows,
                "model": {"name": spec.name, "sha256": spec.sha256, "code": loaded.code},
            }
        warnings.append(f"Memory was short on the {device}.")
    raise MemoryError


def prepare_scan(loaded: Loaded, scan: Volume, options: PredictOptions, context: Context) -> pipeline.Prepared:
    """Refuse what cannot be done before anything takes time, then bring one time point to what the network sees."""
    spec = loaded.spec
    check_options(scan, spec, options)
    postprocess.check_steps(spec.postprocess)
    context.progress(None, "Preparing the scan")
    return pipeline.prepare(
        scan,
        spec.preparation,
        slices=options.slices,
        region=options.region,
        window=spec.tile,
        check=context.check_cancel,
    )


def _write(painter: LabelPainter, record: Record, loaded: Loaded, out: Outputs, told: list[str]) -> dict[str, float]:
    """Clean the labels up and copy everything out; the last step, so that a refused result leaves no trace."""
    spec = loaded.spec
    told += shared_voxels(painter, loaded)
    # a 2D network judged slice by slice, so its holes are closed slice by slice
    across = record.how.order[0] if spec.preparation.dimensions == 2 else None
    labels = postprocess.clean_up(painter.labels, record.source, spec.postprocess, across, told.append)
    if out.labels is not None:
        out.labels[...] = labels
    if out.uncertainty is not None and painter.uncertainty is not None:
        out.uncertainty[...] = painter.uncertainty
    present = set(np.unique(labels).tolist()) | {0}
    return {spec.labels.name_of(i): p for i, p in painter.mean_scores.items() if i in present}


def shared_voxels(painter: LabelPainter, loaded: Loaded) -> list[str]:
    """Say it when many voxels belong to several classes although a mask can show only one of them."""
    decision = loaded.spec.decision
    shared = painter.overlapping_voxels
    marked = int(np.count_nonzero(painter.labels))
    if decision.exclusive or decision.rule == "last" or not marked or shared <= _MANY_SHARED * marked:
        return []
    return [
        f"{shared / marked:.0%} of the marked voxels belong to several classes; the mask shows the one furthest above "
        "its threshold. Ask for probabilities to see them all."
    ]


def _pace(run: Run) -> dict[str, float]:
    """Return the seconds of one pass, and what compiling took where it did; for saying how long a question takes.

    Where only one pass was made, and a short one, it is made once more: the compiling in it would count as the network.
    """
    seen = run.observed
    if not seen.timed and seen.shape and seen.first < _PROBED_S:
        started = time.monotonic()
        run.loaded.forward(seen.shape)(np.zeros(seen.shape, np.float32))
        seen.lap(seen.shape, time.monotonic() - started, False)
    one = seen.steady / seen.timed if seen.timed else seen.first
    return {"window": round(one, 6), "start": round(max(seen.first - one, 0.0), 4)}


def _seconds(begun: float, load: float, forward: float) -> dict[str, float]:
    whole = time.monotonic() - begun
    return {"load": round(load, 4), "forward": round(forward, 4), "rest": round(max(whole - load - forward, 0.0), 4)}
