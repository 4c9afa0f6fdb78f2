"""Whether to believe a map: the same question put to copies of the network with random weights, and its curves.

What is done and where the thresholds come from: docs/saliency.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from napari_medcnn.core.explain_time import CHANCE, DRAWS, STEPS, Passes, check_passes, forecast, score_count
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.saliency import Badge, Check, Curve, Randomised
from napari_medcnn.engine.saliency.asking import Attempts, Scan, attempted
from napari_medcnn.engine.saliency.baselines import baseline
from napari_medcnn.engine.saliency.explainer import Explainer, Float32
from napari_medcnn.engine.saliency.focus import one_window
from napari_medcnn.engine.saliency.items import Item, Want
from napari_medcnn.engine.saliency.randomise import RandomCopy, copy_of
from napari_medcnn.errors import ModelError
from napari_medcnn.evaluation.saliency import (
    Score,
    alike,
    badge_of,
    curves,
    energy_in_mask,
    points_into,
    precision_recall_area,
    randomised,
    rank_correlation,
    support_of,
)
from napari_medcnn.worker.server import Context

#: The curves, in maps, for the progress.
_CURVES = 4
_WORDS: Mapping[Badge, str] = {
    "depends on the model": "With random weights the map is another one ({numbers}): it depends on what the model "
    "learned.",
    "weakly": "With random weights part of the map stays ({numbers}): it depends on what the model learned, but only "
    "weakly.",
    "no": "With random weights the map stays much the same ({numbers}): it shows {shows}, not what the model learned. "
    "Do not rely on it.",
}
_EMPTY = "The map is the same everywhere: it shows nothing."
_NOT_COPIED = "The weights of this model cannot be replaced here, so it is not known whether the map depends on them."


def expected_seconds(asked: Explainer) -> float:
    """Return about how many seconds a check of the map that was just made takes; see `core.explain_time`.

    Where nothing but a first pass was timed, tracing included, one window is shown twice more.
    """
    if asked.clock.steady(False) is None and asked.clock.steady(True) is None:
        for _ in range(2):
            for _found in asked.look([Item(*_first(asked))], Want()):
                pass
    pace, whole = asked.pace, len(asked.views.views)
    if pace is None:
        return 0.0
    windows = whole if asked.region is None else 1
    share = windows / whole
    one = Passes(math.ceil(asked.clock.passes.answers * share), math.ceil(asked.clock.passes.gradients * share))
    return forecast(check_passes(one, asked.options.method, windows), pace)


def _first(asked: Explainer) -> tuple[Float32, Float32]:
    view = asked.views.views[0]
    return asked.views.cut(asked.data, view), view.weights


def check_map(attempts: Attempts, scan: Scan, values: Array, reference: Array | None) -> dict[str, Any]:
    """Check a map that `explain` made for the same question.

    Parameters
    ----------
    attempts
        As in `explain.explain`.
    values
        The map on the scan's grid (z, y, x).
    reference
        Where a person drew what the map is compared with, bool on the scan's grid; None leaves it out.

    Returns
    -------
    dict
        check (`Check.to_json`), warnings, device, seconds.

    Raises
    ------
    InputError, UnsupportedError, ModelError, Cancelled, MemoryError
        As `explain.explain`.
    """

    def answer(asked: Explainer) -> dict[str, Any]:
        started = time.monotonic()
        part = one_window(asked)
        found = examine(part)
        if part is not asked:
            count = len(asked.views.views)
            found = replace(found, words=f"{found.words} Looked at where most of it lies, one of {count} windows.")
        if reference is not None:
            scan.context.progress(None, "Comparing with the mask")
            found = against(found, values, reference)
        return {"check": replace(found, seconds=round(time.monotonic() - started, 3)).to_json()}

    return attempted(attempts, scan, answer)


def examine(asked: Explainer, draw: str = "normal") -> Check:
    """Return all of a check but the comparison with a mask; the network of `asked` is left as it is.

    Parameters
    ----------
    draw
        How weights are made random, see `randomise.RandomCopy`.
    """
    method, seed = asked.options.method, asked.options.seed
    work = _Work(asked.context, 1 + DRAWS + STEPS - 1 + (method in CHANCE) + _CURVES)
    asked = work.of(asked, "Making the map again")
    own = asked.saliency()  # on the grid of the network; notes what Integrated Gradients needed
    if own.min() == own.max():
        return Check("no", _EMPTY)
    copy = copy_of(asked.loaded, seed, draw) if asked.loaded.kind == "keras" else None
    cascade = () if copy is None else _cascade(own, asked, copy, work)
    repeat = None
    if method in CHANCE:
        again = work.of(asked, "Making the map with another seed").saliency(seed + 1)
        repeat = rank_correlation(np.abs(own), np.abs(again))
    insertion, deletion = _curves(own, asked, work)
    badge: Badge = badge_of(cascade[-1]) if cascade else "not checked"
    words = _NOT_COPIED
    if cascade:
        order, pattern = (round(value, 2) + 0.0 for value in (cascade[-1].rank, cascade[-1].similarity))
        numbers = f"same order {order:.2f}, same pattern {pattern:.2f}; the same map would be 1"
        shows = "the picture" if asked.region is None else "the picture and where you asked"
        words = _WORDS[badge].format(numbers=numbers, shows=shows)
    return Check(badge, f"{words} {_curve_words(insertion, deletion)}", cascade, insertion, deletion, repeat)


def against(found: Check, values: Array, reference: Array) -> Check:
    """Return a check with what a map (z, y, x) on the scan's grid says of a mask on the same grid."""
    return replace(
        found,
        energy=energy_in_mask(values, reference),
        pointing=points_into(values, reference),
        auprc=precision_recall_area(values, reference),
        prevalence=float(np.mean(reference)),
    )


def _cascade(own: Float32, asked: Explainer, copy: RandomCopy, work: _Work) -> tuple[Randomised, ...]:
    """Return the steps from the output layer to the whole network; the network of `asked` is not touched."""
    layers = copy.layers()
    if not layers:
        return ()
    other = asked.with_network(copy.model)

    def made(words: str) -> Float32:
        try:
            return work.of(other, words).saliency()
        except ModelError:  # numbers that are not finite, or the same answer to everything: no map
            return np.zeros_like(own)

    wholes = []
    for number in range(DRAWS):
        copy.randomise(None, number)
        wholes.append(made(f"All weights random, copy {number + 1} of {DRAWS}"))
    support = support_of([own, *wholes])
    last = randomised(layers[-1][0], [alike(own, one, support) for one in wholes])
    del wholes
    copy.restore()
    steps, done = [], 0
    for stop in _stops(len(layers)):
        for _, indices in layers[done:stop]:
            copy.randomise(indices, DRAWS)
        done = stop
        name = layers[stop - 1][0]
        steps.append(randomised(name, [alike(own, made(f"Weights random down to {name}"), support)]))
    return (*steps, last)


def _stops(layers: int) -> list[int]:
    """Return how many layers are random at each step but the last, evenly spread from 1; each below `layers`."""
    wanted = np.rint(np.linspace(1, layers, STEPS)).astype(int)[:-1]
    return [int(n) for n in dict.fromkeys(wanted) if n < layers]


def _curves(own: Float32, asked: Explainer, work: _Work) -> tuple[Curve, Curve]:
    blurred = replace(asked, options=replace(asked.options, baseline="blur"))
    fill = np.array(baseline(blurred), np.float32)
    one = work.of(asked, "Inserting and deleting voxels", _CURVES)
    one.looked, one.total = 0, score_count() * len(asked.views.views)
    return curves(own, Score(asked.data, fill, one.scores), seed=asked.options.seed)


def _curve_words(insertion: Curve, deletion: Curve) -> str:
    if insertion.score[0] >= insertion.score[-1]:
        return "Blurring the whole picture does not lower the score, so insertion and deletion say nothing here."
    better = (insertion.area > insertion.random_area) + (deletion.area < deletion.random_area)
    return (
        "The places it marks carry the score no more than places at random.",
        "Of insertion and deletion only one moves the score more than places at random.",
        "The places it marks carry the score more than places at random.",
    )[better]


class _Work:
    """The parts of a check as one progress from 0 to 1; hands out the question with its own share of it."""

    def __init__(self, context: Any, units: int) -> None:
        self.context, self.units, self.done = context, units, 0

    def of(self, asked: Explainer, words: str, units: int = 1) -> Explainer:
        part = _Part(self.context, self.done / self.units, units / self.units, words)
        self.done += units
        part.progress(0.0, "")
        return replace(asked, context=cast(Context, part), facts={}, warnings=[])


@dataclass(frozen=True)
class _Part:
    """Stands in for `Context` during one part."""

    context: Any
    begin: float
    width: float
    words: str

    def progress(self, fraction: float | None, message: str) -> None:
        self.context.progress(self.begin + self.width * min(fraction or 0.0, 1.0), self.words)

    def expect(self, seconds: float, message: str) -> None:
        """What one map of a check takes is of no use to anybody."""

    def check_cancel(self) -> None:
        self.context.check_cancel()
