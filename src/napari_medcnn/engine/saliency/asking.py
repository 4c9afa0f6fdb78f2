"""Put a question about one scan: what runs the model, how the scan is prepared, which windows, how memory is spared."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import METHODS
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.models import ModelCache, Plan
from napari_medcnn.engine.predict import smaller
from napari_medcnn.engine.saliency.explainer import Explainer
from napari_medcnn.engine.saliency.focus import focused
from napari_medcnn.engine.saliency.items import Usual
from napari_medcnn.engine.saliency.target import find_target
from napari_medcnn.engine.saliency.views import over_region, whole
from napari_medcnn.errors import UnsupportedError
from napari_medcnn.imaging import pipeline
from napari_medcnn.imaging.forecast import NETWORK_CHANNELS, free_bytes
from napari_medcnn.imaging.pipeline import Prepared
from napari_medcnn.worker.server import Context

_log = logging.getLogger(__name__)
#: Windows at a time: more gained nothing and took more memory (2D), or gained little (3D).
BATCH = {2: 4, 3: 2}
#: A gradient keeps what the layers gave on the way: a guess, as a multiple of a forward pass.
_BACKWARD = 3

Attempts = Callable[[], Iterator[tuple[Loaded | None, str]]]


@dataclass(frozen=True, eq=False)
class Scan:
    """What is explained: the scan, the region on its own grid or None, the options, and who waits for it."""

    volume: Volume
    region: npt.NDArray[np.bool_] | None
    options: ExplainOptions
    context: Context
    short_of_memory: tuple[type[BaseException], ...] = (MemoryError,)


def attempted(attempts: Attempts, scan: Scan, answer: Callable[[Explainer], dict[str, Any]]) -> dict[str, Any]:
    """Put a question until it fits into memory: fewer windows at a time, smaller ones, then the next device.

    Parameters
    ----------
    answer
        Asks and gives the body of the reply; its "warnings" are added to.
    """
    begun = time.monotonic()
    told: list[str] = []
    for loaded, device in attempts():
        load = time.monotonic() - begun
        if loaded is None:
            told.append(f"Memory was short on the {device}.")
            continue
        prepared = prepare_scan(loaded, scan)
        for tile, batch in _ways_down(loaded, prepared):
            try:
                asked, warnings = ask(loaded, prepared, scan, tile, batch)
                reply = answer(asked)
            except scan.short_of_memory as error:
                _log.info("short of memory on %s, %s x %d: %s", device, tile, batch, type(error).__name__)
                continue
            if tile != loaded.spec.tile:
                told.append(f"Memory was short: windows of {' x '.join(map(str, tile))} instead of the card's.")
            rest = time.monotonic() - begun - load - asked.seconds
            seconds = {"load": load, "forward": asked.seconds, "rest": max(rest, 0.0)}
            reply["warnings"] = [*prepared.record.notes, *told, *warnings, *reply.get("warnings", [])]
            return {**reply, "device": device, "seconds": {k: round(v, 4) for k, v in seconds.items()}}
        told.append(f"Memory was short on the {device}.")
    raise MemoryError


def prepare_scan(loaded: Loaded, scan: Scan) -> Prepared:
    """Bring the scan to what the network sees."""
    scan.context.progress(None, "Preparing the scan")
    preparation = loaded.spec.preparation
    volume = scan.volume.frame(scan.options.frame)
    return pipeline.prepare(volume, preparation, slices=scan.options.slices, check=scan.context.check_cancel)


def ask(
    loaded: Loaded, prepared: Prepared, scan: Scan, tile: tuple[int, ...], batch: int
) -> tuple[Explainer, tuple[str, ...]]:
    """Return the question with its class and windows, and what to say about the choice."""
    spec, options = loaded.spec, scan.options
    target = find_target(loaded, prepared, options, scan.region, scan.context, tile)
    shape = prepared.data.shape
    if target.region is None:
        views = whole((shape[0], shape[1], shape[2]), spec.preparation)
    else:
        fixed = any(n is not None for n in loaded.fixed_shape)
        views = over_region(target.region, tile, spec, fixed)
    part, views, box = focused(prepared, views)
    asked = Explainer(
        loaded,
        part,
        options,
        target.name,
        target.channel,
        None if target.region is None else target.region[box],
        views,
        scan.context,
        Usual.of(prepared.data),
        batch,
        scan.volume.modality,
    )
    return asked, target.warnings


def _ways_down(loaded: Loaded, prepared: Prepared) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield (window, windows at a time), each taking less memory than the one before; all that surely fit."""
    spec = loaded.spec
    dimensions = spec.preparation.dimensions
    free = free_bytes() if loaded.device.startswith("cpu") else None
    fixed = any(n is not None for n in loaded.fixed_shape)
    tile: tuple[int, ...] | None = spec.tile
    while tile is not None:
        size = tile if spec.task == "segmentation" else prepared.data.shape[3 - dimensions : 3]
        need = math.prod(size) * NETWORK_CHANNELS * 4 * _BACKWARD
        less = smaller(tile, spec.divisor) if spec.task == "segmentation" and not fixed else None
        batch = BATCH[dimensions]
        while batch:
            last = less is None and batch == 1
            if free is None or batch * need <= free or last:
                yield tile, batch
            batch //= 2
        tile = less


def question_plan(models: ModelCache, body: dict[str, Any], options: ExplainOptions, check: Callable[[], None]) -> Plan:
    """Decide what runs the model: Keras for what needs the inside of a network, else whatever is fastest.

    Raises
    ------
    UnsupportedError
        The model has no Keras weights and the method needs them.
    """
    method = METHODS[options.method]
    if method.needs == "answers":
        return models.plan(body, check)
    source = models.source(body)
    if source.native != "keras":
        raise UnsupportedError(
            f"{source.spec.name}: {method.title} looks inside the network, which needs Keras weights; this model has "
            "none. Choose the method occlusion."
        )
    return models.plan(body, check, engine="keras", precision="float32")
