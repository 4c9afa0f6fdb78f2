"""One question put to one network about one prepared scan; the methods ask it for scores, gradients and layers."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.explain_time import Passes
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import METHODS, Pace
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.saliency.clock import Clock, Lap
from napari_medcnn.engine.saliency.items import Found, Item, Usual, Want
from napari_medcnn.engine.saliency.views import Views
from napari_medcnn.errors import ModelError, UnsupportedError
from napari_medcnn.imaging.pipeline import Prepared
from napari_medcnn.imaging.record import Record
from napari_medcnn.worker.server import Context

Float32 = npt.NDArray[np.float32]
_TRACES_KEPT = 8
_LOGIT = (
    "The network gives probabilities and its last step could not be taken off; the logit of the probability was "
    "explained, which is flat where the network is sure."
)


@dataclass(eq=False)
class Explainer:
    """A question: which class, summed over which voxels, on which prepared scan, by which method.

    The score is the network's answer before its softmax or sigmoid (its logit; a saturated probability has no
    gradient), so the temperature of the card plays no part. Of a segmenter it is summed over the region; of a 2D
    classifier on a volume it is the mean over the slices; with `options.negate` its negative.

    Parameters
    ----------
    loaded
        The network.
    prepared
        What it sees, and how that came about.
    options
        The method and its numbers.
    target, channel
        Name of the class, and which output it is.
    region
        Where the score is summed, bool (z, y, x) on the model's grid; None of a classifier.
    views
        The windows.
    batch
        How many windows are shown at a time.
    usual, modality
        Of the whole scan; `prepared` may hold only the part that is looked at.
    copied
        The network is a copy with other weights: what is repeated until it is exact is done once.
    facts, warnings
        Filled by the method.
    total
        Windows that the method will look at, for the progress; 0 if it cannot say.
    known_score
        The score of the unchanged data, once a method has met it.
    steps
        That Integrated Gradients took, 0 before.
    seconds, looked
        What the network took, and how many windows it was shown.
    clock
        The pace of that; the same for all questions that were made of this one.
    """

    loaded: Loaded
    prepared: Prepared
    options: ExplainOptions
    target: str
    channel: int
    region: npt.NDArray[np.bool_] | None
    views: Views
    context: Context
    usual: Usual
    batch: int = 1
    modality: str = ""
    copied: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    total: int = 0
    known_score: float | None = None
    steps: int = 0
    seconds: float = 0.0
    looked: int = 0
    clock: Clock = field(default_factory=Clock)

    @property
    def spec(self) -> ModelSpec:
        """The model's card."""
        return self.loaded.spec

    @property
    def data(self) -> Float32:
        """What the network sees, (z, y, x, channel) float32."""
        return self.prepared.data

    @property
    def record(self) -> Record:
        """How the scan became `data`."""
        return self.prepared.record

    @property
    def anatomy(self) -> Any:
        """The layers of the network, for the size of these windows.

        Raises
        ------
        UnsupportedError
            Another engine than Keras runs it.
        """
        self.needs_keras()
        from napari_medcnn.engine.saliency.anatomy import study

        shape = (1, *self.views.window_shape)
        return self._kept(("anatomy", shape), partial(study, self.loaded.model, shape))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that could be looked at, from input to output; none where Keras does not run it."""
        if self.loaded.kind != "keras":
            return ()
        return tuple(p.name for p in self.anatomy.parts if p.places > 1)

    @property
    def layer(self) -> str:
        """Name of the layer that is looked at; "" for a method that looks at none."""
        if METHODS[self.options.method].needs != "layer":
            return ""
        if self.options.layer:
            return str(self.anatomy.part(self.options.layer).name)
        return str(self.anatomy.choose(self.spec.task == "segmentation").name)

    @property
    def pace(self) -> Pace | None:
        """What a window takes, and what tracing this network took; None before anything was shown."""
        found = self.clock.pace
        return None if found is None else replace(found, start=sum(self.loaded.starts.values()))

    def saliency(self, seed: int | None = None) -> Float32:
        """Return the raw map (z, y, x) on the model's grid, float32; the same seed gives the same map.

        Parameters
        ----------
        seed
            Of what the method draws at random; None takes that of the options.

        Raises
        ------
        UnsupportedError
            The network has not what the method needs; the message names one that works.
        InputError
            An unknown layer or channel.
        ModelError
            The network answers with numbers that are not finite, or the same whatever it is shown.
        Cancelled
            It is not wanted any more.
        """
        from napari_medcnn.engine.saliency.methods import MAPS

        self.facts.clear()
        self.warnings.clear()
        self.total = self.looked = 0
        self.clock.passes = Passes()
        found = MAPS[self.options.method](self, self.options.seed if seed is None else seed)
        if not np.isfinite(found).all():
            raise ModelError(f"{self.spec.name}: the map holds values that are not numbers, so it is not shown.")
        return found.astype(np.float32, copy=False)

    def score(self, data: Float32) -> float:
        """Return the score of changed data (z, y, x, channel)."""
        return float(self.scores([data])[0])

    def scores(self, batch: Iterable[Float32]) -> Float32:
        """Return the score of each of several changed data (z, y, x, channel), taken one by one; (n,) float32."""
        totals: list[float] = []
        for found in self.look(self.items(batch), Want()):
            while len(totals) <= found.mark[0]:
                totals.append(0.0)
            totals[found.mark[0]] += found.score
        return np.array(totals, np.float32)

    def with_network(self, model: Any) -> Explainer:
        """Return the same question put to another network of the same layers.

        What is traced reads the weights at each call, so the copy may be filled with new weights again and again. Steps
        of Integrated Gradients are those the original needed.
        """
        loaded = replace(self.loaded, model=model, traces=OrderedDict(), _compiled=OrderedDict())
        return replace(self, loaded=loaded, copied=True, facts={}, warnings=[], known_score=None)

    def gradient(self, guided: bool = False) -> Float32:
        """Return the gradient of the score to the data themselves, (z, y, x, channel) float32."""
        self.total = self.looked + len(self.views.views)
        total = np.zeros_like(self.data)
        for found in self.here(Want(to_input=True, guided=guided)):
            self.views.add_gradient(total, found.mark, found.gradient)
        return total

    def here(self, want: Want) -> Iterator[Found]:
        """Yield what the network says to each window of the data themselves, marked with the window."""
        score = 0.0
        items = (Item(self.views.cut(self.data, view), view.weights, view) for view in self.views.views)
        for found in self.look(items, want):
            score += found.score
            yield found
        self.known_score = score

    def items(self, batch: Iterable[Float32]) -> Iterator[Item]:
        """Yield the windows of several data, marked (number of the data, window)."""
        for number, data in enumerate(batch):
            for view in self.views.views:
                yield Item(self.views.cut(data, view), view.weights, (number, view))

    def gradients(self, batch: Iterable[Float32]) -> Iterator[Float32]:
        """Yield the gradient of the score to each of several data, (z, y, x, channel) float32.

        Raises
        ------
        UnsupportedError
            No path leads from the score to the input.
        """
        count = len(self.views.views)
        total = np.zeros(0, np.float32)
        for done, found in enumerate(self.look(self.items(batch), Want(to_input=True))):
            if done % count == 0:
                total = np.zeros_like(self.data)
            self.views.add_gradient(total, found.mark[1], found.gradient)
            if done % count == count - 1:
                yield total

    def look(self, items: Iterable[Item], want: Want) -> Iterator[Found]:
        """Show windows to the network, a batch at a time, and yield what it said to each, in order."""
        chunk: list[Item] = []
        for item in items:
            chunk.append(item)
            if len(chunk) == self.batch:
                yield from self._look(chunk, want)
                chunk = []
        if chunk:
            yield from self._look(chunk, want)

    def needs_keras(self) -> None:
        """Refuse what needs the inside of a network where another engine than Keras runs it."""
        if self.loaded.kind != "keras":
            raise UnsupportedError(
                f"{self.spec.name}: {METHODS[self.options.method].title} needs Keras weights, and this model has none; "
                "choose the method occlusion."
            )

    def _look(self, chunk: list[Item], want: Want) -> Iterator[Found]:
        self.context.check_cancel()
        count = len(chunk)
        if 1 < count < self.batch:  # a rest is filled up: another shape would be traced anew
            chunk = [*chunk, *[chunk[-1]] * (self.batch - count)]
        batch = np.stack([item.window for item in chunk])
        mapped = self.spec.task == "segmentation"
        stacked = [self.views.squeeze(item.weights) if mapped else item.weights[0] for item in chunk]
        weights = np.stack(stacked).astype(np.float32)
        pick = np.zeros(len(self.spec.decision.ids), np.float32)
        pick[self.channel] = -1 if self.options.negate else 1
        fresh = self.loaded.kind == "keras" and _scores_key(batch.shape, want) not in self.loaded.traces
        started = time.monotonic()
        if self.loaded.kind == "keras":
            if self.spec.activation == "none" and self.anatomy.head is None:
                self.warn(_LOGIT)
            answer = self._scorer(batch.shape, want)(batch, weights, pick)
            if answer.cut:
                raise self._no_path(want)
            parts = (answer.gradient, answer.activation, answer.pull)
            scores = answer.scores
        else:
            scores, parts = self._plain_scores(batch, weights, pick), (None, None, None)
        took = time.monotonic() - started
        self.seconds += took
        if fresh:
            self.loaded.starts[want.to_input or want.to_layer] = took
        self.clock.add(want.to_input or want.to_layer, count, Lap(took, len(chunk)), fresh)
        self.looked += count
        if not all(np.isfinite(p).all() for p in (scores, *parts) if p is not None):
            raise ModelError(
                f"{self.spec.name}: the network gave values that are not numbers, so no map is shown. Check the "
                "scan's values and whether it suits the model."
            )
        self._tell(want)
        share = min(self.looked / self.total, 1.0) if self.total else None
        words = f" of {max(self.total, self.looked)}" if self.total else ""
        self.context.progress(share, f"{METHODS[self.options.method].title}: {self.looked}{words}")
        for index in range(count):
            yield Found(chunk[index].mark, float(scores[index]), *(None if p is None else p[index] for p in parts))

    def _tell(self, want: Want) -> None:
        """Say about how long it all takes, once: as soon as a window of the kind that is shown most was timed."""
        one = self.clock.steady(want.to_input or want.to_layer)
        if one is None or self.clock.told or self.total <= self.looked:
            return
        self.clock.told = True
        title = METHODS[self.options.method].title
        self.context.expect(self.seconds + (self.total - self.looked) * one, f"{title}: {self.looked} of {self.total}")

    def _scorer(self, shape: tuple[int, ...], want: Want) -> Any:
        return self._kept(_scores_key(shape, want), partial(self._compile, shape, want))

    def _compile(self, shape: tuple[int, ...], want: Want) -> Any:
        from napari_medcnn.engine.gradients import Trace, compile_scores, guided_relu
        from napari_medcnn.engine.saliency.anatomy import surgery

        anatomy, changes = self.anatomy, []
        logit = False
        if self.spec.activation == "none":
            logit = anatomy.head is None
            changes = [] if logit else [anatomy.head]
        if want.guided:
            changes.append(guided_relu())
        part = anatomy.part(want.layer) if want.layer else None
        trace = Trace(
            model=self.loaded.model,
            surgery=surgery(changes, part),
            shape=shape,
            outputs=len(self.spec.decision.ids),
            mapped=self.spec.task == "segmentation",
            to_input=want.to_input,
            layer_shape=None if part is None else (shape[0], *part.sizes, part.channels),
            to_layer=want.to_layer,
            logit=logit,
        )
        return compile_scores(trace, self.loaded.device)

    def _plain_scores(self, batch: Float32, weights: Float32, pick: Float32) -> Float32:
        raw = self.loaded.raw(batch)
        if self.spec.activation == "none":
            self.warn(_LOGIT)
            raw = np.clip(raw, 1e-7, 1 - 1e-7)
            raw = np.log(raw) - np.log1p(-raw)
        chosen = raw @ pick
        axes = tuple(range(1, chosen.ndim))
        return np.asarray((chosen * weights).sum(axis=axes) if axes else chosen * weights, np.float32)

    def warn(self, words: str) -> None:
        """Say something once."""
        if words not in self.warnings:
            self.warnings.append(words)

    def _no_path(self, want: Want) -> UnsupportedError:
        if want.to_layer:
            return UnsupportedError(
                f"layer: no path leads from {want.layer} to the score of {self.target}; choose a layer further on, or "
                "the method occlusion."
            )
        return UnsupportedError(
            f"{self.spec.name}: the network lets no gradient through (a step in it has none), so "
            f"{METHODS[self.options.method].title} cannot be calculated; choose the method occlusion."
        )

    def _kept(self, key: Any, make: Any) -> Any:
        """Return what was traced before, or trace it; the last few are kept with the network."""
        traces = self.loaded.traces
        if key not in traces:
            while len(traces) >= _TRACES_KEPT:
                traces.popitem(last=False)
            traces[key] = make()
        traces.move_to_end(key)
        return traces[key]


def _scores_key(shape: tuple[int, ...], want: Want) -> tuple[str, tuple[int, ...], Want]:
    """Return under which name the trace for a batch of this shape is kept."""
    return ("scores", shape, want)
