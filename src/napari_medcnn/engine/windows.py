"""The network over the windows of a prepared scan: mirrored runs, neighbouring slices, a first look, the checks."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Reorientation
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.errors import ModelError
from napari_medcnn.imaging import pipeline
from napari_medcnn.imaging.boxes import whole_box
from napari_medcnn.imaging.decide import sure_background
from napari_medcnn.imaging.patches import TilePlan, plan_tiles, stream_scores
from napari_medcnn.imaging.record import Box, Record
from napari_medcnn.imaging.restore import LabelPainter
from napari_medcnn.imaging.slicing import flipped, with_neighbours
from napari_medcnn.worker.server import Context

Float32 = npt.NDArray[np.float32]
#: A standard deviation of probabilities is at most this; the map of doubt says 1 there.
_LARGEST_SPREAD = 0.5


@dataclass
class Observed:
    """What the raw output of the network looked like over the whole scan, per channel; None before the first.

    `seconds` and `windows` count all; `first` is what the pass took for which the network was compiled, `steady` the
    `timed` others together, and `shape` the input of the last.
    """

    low: Float32 | None = None
    high: Float32 | None = None
    seconds: float = 0.0
    windows: int = 0
    shape: tuple[int, ...] = ()
    first: float = 0.0
    steady: float = 0.0
    timed: int = 0

    def lap(self, shape: tuple[int, ...], seconds: float, fresh: bool) -> None:
        """Note what a pass took; `fresh` if the network was compiled for it."""
        self.shape, self.seconds = shape, self.seconds + seconds
        if fresh:
            self.first = seconds
        else:
            self.steady, self.timed = self.steady + seconds, self.timed + 1

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
    """One attempt: the network on its device, windows of `tile`.

    Parameters
    ----------
    flips
        Axes of the network's grid; every combination of them is run mirrored as well, and the mean counts.
    spread
        Give the standard deviation between those runs as one more channel.
    """

    loaded: Loaded
    tile: tuple[int, ...]
    context: Context
    observed: Observed = field(default_factory=Observed)
    flips: tuple[int, ...] = ()
    spread: bool = False

    def scores(self, window: Float32) -> Float32:
        """Return probabilities (z, y, x, class) of a window (z, y, x, channel); (1, class) of a classifier.

        With `spread` the last channel is the standard deviation between the mirrored runs, the largest over the
        classes, as a share of the largest there can be (0.5): 0 they agree, 1 half say yes and half say no.

        Raises
        ------
        ModelError
            The output is not finite, has another shape, or is no probability where the card says it is.
        """
        self.observed.windows += 1
        if not self.flips:
            return self._once(window)
        mapped = self.loaded.spec.task == "segmentation"
        mean: Any = 0.0
        squares: Any = 0.0
        ways = [c for n in range(len(self.flips) + 1) for c in itertools.combinations(self.flips, n)]
        for number, axes in enumerate(ways, start=1):
            turned = flipped(window, axes, self.loaded.spec.preparation)
            scores = self._once(np.ascontiguousarray(turned))
            scores = np.flip(scores, axes) if mapped and axes else scores
            # Welford's running variance: one pass, no cancellation, memory for two runs whatever their number
            step = scores - mean
            mean = mean + step / number
            squares = squares + step * (scores - mean)
        if not (self.spread and mapped):
            return np.asarray(mean, np.float32)
        deviation = np.sqrt(squares / len(ways)).max(axis=-1, keepdims=True) / _LARGEST_SPREAD
        return np.concatenate([mean, np.clip(deviation, 0, 1)], axis=-1).astype(np.float32)

    def _once(self, window: Float32) -> Float32:
        """Run the network. A 2D network gets its window with the depth of 1 standing for the batch."""
        self.context.check_cancel()
        flat = self.loaded.spec.preparation.dimensions == 2
        batch = window if flat else window[None]
        fresh = not self.loaded.ready(batch.shape)
        started = time.monotonic()
        scores, low, high = self.loaded.forward(batch.shape)(batch)
        self.observed.lap(batch.shape, time.monotonic() - started, fresh)
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
    # the scores of a window are looked at when they stream out as slabs: once a voxel, not once a window
    known = (low, high) if spec.task == "segmentation" else (low, high, scores)
    if not all(np.isfinite(values).all() for values in known):
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


def judge(observed: Observed, loaded: Loaded, seen: Float32) -> list[str]:
    """Look at the raw output of a whole scan; return what a person should know.

    Parameters
    ----------
    seen
        What the network was shown, (z, y, x, channel).

    Raises
    ------
    ModelError
        Every voxel got exactly the same output although the voxels differ: the network does not see this scan.
    """
    spec = loaded.spec
    if observed.low is None or observed.high is None:
        raise ModelError(f"{spec.name}: the network was given nothing to look at")
    if spec.task == "segmentation" and bool(np.all(observed.low == observed.high)):
        if seen.min() == seen.max():  # a region of nothing but air, say
            return ["There is one value only where the network looked, so it gave one answer everywhere."]
        raise ModelError(
            f"{spec.name}: the network gave the same output for every voxel, so no mask is shown. The scan's values "
            "are probably far from what it was trained on."
        )
    if spec.activation != "none" and observed.low.min() >= 0 and observed.high.max() <= 1:
        return ["The network's output lies within 0 and 1 already; the activation on its card may be one too many."]
    return []


def segment(run: Run, prepared: pipeline.Prepared, options: PredictOptions, out: Outputs) -> LabelPainter:
    """Slide windows over a prepared scan and paint what is finished onto the scan's grid.

    With `options.coarse` windows side by side look first; then windows with the card's overlap run wherever something
    was found within half a window. Where nothing was found at all the first look is the answer.
    """
    spec = run.loaded.spec
    plan = make_plan(run, prepared)
    data = with_neighbours(prepared.data, spec.preparation)
    wanted, begin = None, 0.0
    if options.coarse and plan.count > make_plan(run, prepared, overlap=0.0).count:
        begin = 0.3
        found, painter = _first_look(run, prepared, options, out, begin)
        if not found.any():
            return painter
        wanted = near(found, plan.tile)
    sure = sure_background(spec.decision, doubt=run.spread)
    told = _told(run, "Window", begin, 1.0)
    slabs = stream_scores(data, plan, run.scores, on_tile=told, wanted=wanted, background=sure)
    return pipeline.restore_scores(
        slabs, prepared.record, spec.decision, uncertainty=options.uncertainty, probabilities=out.probabilities
    )


def _told(run: Run, word: str, begin: float, end: float) -> Callable[[int, int], None]:
    def on_tile(done: int, total: int) -> None:
        run.context.progress(begin + (end - begin) * done / total, f"{word} {done} of {total}")

    return on_tile


def _first_look(
    run: Run, prepared: pipeline.Prepared, options: PredictOptions, out: Outputs, end: float
) -> tuple[npt.NDArray[Any], LabelPainter]:
    """Return what one pass without overlap found: labels on the model's grid, and painted on the scan's."""
    spec, model = run.loaded.spec, prepared.record.model
    upright = Reorientation((0, 1, 2), (False, False, False))
    here = LabelPainter(Record(model, upright, whole_box(model.shape), model), spec.decision)
    painter = LabelPainter(
        prepared.record, spec.decision, uncertainty=options.uncertainty, probabilities=out.probabilities
    )
    # with a map of disagreement wanted, this pass must know it too: it is the answer where nothing is found
    plain = run if run.spread else replace(run, flips=())
    data = with_neighbours(prepared.data, spec.preparation)
    plan = make_plan(run, prepared, overlap=0.0)
    for slab in stream_scores(data, plan, plain.scores, on_tile=_told(run, "First look, window", 0.0, end)):
        here.add(slab)
        painter.add(slab)
    return here.labels, painter


def near(found: npt.NDArray[Any], tile: tuple[int, int, int]) -> Callable[[Box], bool]:
    """Return whether a box of the grid holds a found voxel, or would if it were half a window larger on all sides."""

    def wanted(box: Box) -> bool:
        wide = tuple(slice(max(0, side.start - n // 2), side.stop + n // 2) for side, n in zip(box, tile, strict=True))
        return bool(found[wide].any())

    return wanted


def make_plan(run: Run, prepared: pipeline.Prepared, overlap: float | None = None) -> TilePlan:
    """Plan the windows; a network of fixed size gets full windows, with padding where the scan is smaller."""
    spec = run.loaded.spec
    share = spec.overlap if overlap is None else overlap
    if any(n is not None for n in run.loaded.fixed_shape):
        z, y, x = (1, *run.tile) if len(run.tile) == 2 else run.tile
        depth, height, width = prepared.data.shape[:3]
        return plan_tiles((depth, height, width), (z, y, x), share)
    return pipeline.plan(prepared, run.tile, share, spec.divisor)


def classify(run: Run, prepared: pipeline.Prepared) -> dict[str, float]:
    """Return the probability of each class name for the whole prepared image.

    A 2D network on a volume sees slice after slice, and the mean of their probabilities counts.
    """
    spec = run.loaded.spec
    data = with_neighbours(prepared.data, spec.preparation)
    if spec.preparation.dimensions == 3:
        scores = run.scores(data)
    else:
        total = data.shape[0]
        parts = []
        for index in range(total):
            parts.append(run.scores(data[index : index + 1, :, :]))
            run.context.progress((index + 1) / total, f"Slice {index + 1} of {total}")
        scores = np.mean(parts, axis=0)
    names = [spec.labels.name_of(i) for i in spec.decision.ids]
    return {name: float(p) for name, p in zip(names, scores[0], strict=True)}
