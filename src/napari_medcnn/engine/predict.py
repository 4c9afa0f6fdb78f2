"""Run a network over a scan and paint the answer onto the scan's own grid."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.errors import ModelError
from napari_medcnn.imaging import pipeline, postprocess
from napari_medcnn.imaging.patches import TilePlan, plan_tiles, stream_scores
from napari_medcnn.imaging.restore import LabelPainter
from napari_medcnn.worker.server import Context

Float32 = npt.NDArray[np.float32]
_log = logging.getLogger(__name__)


@dataclass
class Observed:
    """What the raw output of the network looked like over the whole scan, per channel; None before the first."""

    low: Float32 | None = None
    high: Float32 | None = None
    seconds: float = 0.0

    def add(self, low: Float32, high: Float32) -> None:
        """Widen the ranges."""
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)


@dataclass(frozen=True, eq=False)
class Outputs:
    """Where results go, all on the scan's grid: labels (z, y, x), uint8 uncertainty, probabilities (z, y, x, class)."""

    labels: npt.NDArray[Any] | None = None
    uncertainty: npt.NDArray[Any] | None = None
    probabilities: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class Run:
    """One attempt: the network on its device, windows of `tile`, and how to try again with less memory."""

    loaded: Loaded
    tile: tuple[int, ...]
    context: Context
    observed: Observed = field(default_factory=Observed)

    def scores(self, window: Float32) -> Float32:
        """Return probabilities (z, y, x, class) of a window (z, y, x, channel).

        A 2D network gets its window with the depth of 1 standing for the batch.

        Raises
        ------
        ModelError
            The output is not finite, has another shape, or is no probability where the card says it is.
        """
        self.context.check_cancel()
        flat = self.loaded.spec.preparation.dimensions == 2
        batch = window if flat else window[None]
        started = time.monotonic()
        scores, low, high = self.loaded.forward(batch.shape)(batch)
        self.observed.seconds += time.monotonic() - started
        check_output(scores, low, high, self.loaded)
        self.observed.add(low, high)
        if self.loaded.spec.task == "classification":
            return scores
        return scores if flat else scores[0]


def check_output(scores: Float32, low: Float32, high: Float32, loaded: Loaded) -> None:
    """Refuse an output that must not be shown as a result: no mask is better than a wrong one.

    Raises
    ------
    ModelError
        NaN or infinite values, another number of channels, or no probabilities although the card says so.
    """
    spec = loaded.spec
    if not (np.isfinite(low).all() and np.isfinite(high).all() and np.isfinite(scores).all()):
        raise ModelError(
            f"{spec.name}: the network gave values that are not numbers, so no result is shown. Check the scan's "
            "values and whether it suits the model."
        )
    if scores.shape[-1] != len(spec.decision.ids):
        raise ModelError(f"{spec.name}: expected {len(spec.decision.ids)} output channels, got {scores.shape[-1]}")
    if spec.activation == "none" and (low.min() < -1e-3 or high.max() > 1 + 1e-3):
        raise ModelError(
            f"{spec.name}: the card says the network gives probabilities, but it gave {low.min():.3g} to "
            f"{high.max():.3g}; its card needs an activation (sigmoid or softmax)."
        )


def judge(observed: Observed, loaded: Loaded) -> list[str]:
    """Look at the raw output of a whole scan; return what a person should know.

    Raises
    ------
    ModelError
        Every voxel got exactly the same output: the network does not see this scan.
    """
    spec = loaded.spec
    if observed.low is None or observed.high is None:
        raise ModelError(f"{spec.name}: the network was given nothing to look at")
    if spec.task == "segmentation" and bool(np.all(observed.low == observed.high)):
        raise ModelError(
            f"{spec.name}: the network gave the same output for every voxel, so no mask is shown. The scan's values "
            "are probably far from what it was trained on."
        )
    if spec.activation != "none" and observed.low.min() >= 0 and observed.high.max() <= 1:
        return ["The network's output lies within 0 and 1 already; the activation on its card may be one too many."]
    return []


def segment(run: Run, prepared: pipeline.Prepared, options: PredictOptions, out: Outputs) -> LabelPainter:
    """Slide windows over a prepared scan and paint what is finished onto the scan's grid."""
    spec = run.loaded.spec
    plan = make_plan(run, prepared)

    def on_tile(done: int, total: int) -> None:
        run.context.progress(done / total, f"Window {done} of {total}")

    slabs = stream_scores(prepared.data, plan, run.scores, on_tile=on_tile)
    return pipeline.restore_scores(
        slabs, prepared.record, spec.decision, uncertainty=options.uncertainty, probabilities=out.probabilities
    )


def make_plan(run: Run, prepared: pipeline.Prepared) -> TilePlan:
    """Plan the windows; a network of fixed size gets full windows, with padding where the scan is smaller."""
    spec = run.loaded.spec
    if any(n is not None for n in run.loaded.fixed_shape):
        z, y, x = (1, *run.tile) if len(run.tile) == 2 else run.tile
        depth, height, width = prepared.data.shape[:3]
        return plan_tiles((depth, height, width), (z, y, x), spec.overlap)
    return pipeline.plan(prepared, run.tile, spec.overlap, spec.divisor)


def smaller(tile: tuple[int, ...], divisor: int) -> tuple[int, ...] | None:
    """Return a window of half the length on its longest axis, a multiple of `divisor`; None if it cannot shrink."""
    longest = max(range(len(tile)), key=lambda a: tile[a])
    half = tile[longest] // 2 // divisor * divisor
    if half < max(divisor, 16):
        return None
    return tuple(half if a == longest else n for a, n in enumerate(tile))


def classify(run: Run, prepared: pipeline.Prepared) -> dict[str, float]:
    """Return the probability of each class name for the whole prepared image.

    A 2D network on a volume sees slice after slice, and the mean of their probabilities counts.
    """
    spec, data = run.loaded.spec, prepared.data
    if spec.preparation.dimensions == 3:
        scores = run.scores(data)
    else:
        total = data.shape[0]
        parts = []
        for index in range(total):
            parts.append(run.scores(data[index : index + 1]))
            run.context.progress((index + 1) / total, f"Slice {index + 1} of {total}")
        scores = np.mean(parts, axis=0)
    names = [spec.labels.name_of(i) for i in spec.decision.ids]
    return {name: float(p) for name, p in zip(names, scores[0], strict=True)}


def predict(
    attempts: Callable[[], Iterator[tuple[Loaded, str]]],
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
        Yields the model on the device wanted, then on the CPU: the way down when memory is short.
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
    ModelError
        The output must not be shown (row 50): no label was written.
    MemoryError
        Also the smallest window does not fit.
    """
    warnings: list[str] = []
    begun = time.monotonic()
    prepared: pipeline.Prepared | None = None
    for loaded, device in attempts():
        loading = time.monotonic() - begun
        spec = loaded.spec
        if prepared is None:
            context.progress(None, "Preparing the scan")
            prepared = pipeline.prepare(volume.frame(options.frame), spec.preparation)
            warnings += prepared.record.notes
        fixed = any(n is not None for n in loaded.fixed_shape)
        tile: tuple[int, ...] | None = spec.tile
        while tile is not None:
            run = Run(loaded, tile, context)
            try:
                if spec.task == "classification":
                    scores = classify(run, prepared)
                    warnings += judge(run.observed, loaded)
                else:
                    painter = segment(run, prepared, options, out)
                    warnings += judge(run.observed, loaded)
                    scores = _write(painter, volume, loaded, out)
            except short_of_memory as error:
                _log.info("short of memory on %s with windows of %s: %s", device, tile, type(error).__name__)
                tile = None if fixed or not tile else smaller(tile, spec.divisor)
                continue
            if tile != spec.tile:
                warnings.append(f"Memory was short: windows of {' x '.join(map(str, tile))} instead of the card's.")
            return {
                "task": spec.task,
                "scores": scores,
                "device": device,
                "seconds": _seconds(begun, loading, run.observed.seconds),
                "warnings": warnings,
                "model": {"name": spec.name, "sha256": spec.sha256, "code": loaded.code},
            }
        warnings.append(f"Memory was short on the {device}.")
    raise MemoryError


def _write(painter: LabelPainter, volume: Volume, loaded: Loaded, out: Outputs) -> dict[str, float]:
    """Clean the labels up and copy everything out; the last step, so that a refused result leaves no trace."""
    spec = loaded.spec
    labels = postprocess.clean_up(painter.labels, volume.geometry, spec.postprocess)
    if out.labels is not None:
        out.labels[...] = labels
    if out.uncertainty is not None and painter.uncertainty is not None:
        out.uncertainty[...] = painter.uncertainty
    present = set(np.unique(labels).tolist()) | {0}
    return {spec.labels.name_of(i): p for i, p in painter.mean_scores.items() if i in present}


def _seconds(begun: float, load: float, forward: float) -> dict[str, float]:
    whole = time.monotonic() - begun
    return {"load": round(load, 4), "forward": round(forward, 4), "rest": round(max(whole - load - forward, 0.0), 4)}
