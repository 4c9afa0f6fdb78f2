"""Explain one scan: a map that says something, what to say beside it, and the map on the scan's own grid."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.saliency import METHODS
from napari_medcnn.engine.saliency.asking import Attempts, Scan, attempted
from napari_medcnn.engine.saliency.check import expected_seconds
from napari_medcnn.engine.saliency.explainer import Explainer
from napari_medcnn.engine.saliency.items import Float32
from napari_medcnn.errors import ModelError, UnsupportedError
from napari_medcnn.imaging.pipeline import restore_map


def explain(attempts: Attempts, scan: Scan, out: npt.NDArray[Any] | None) -> dict[str, Any]:
    """Explain a scan; the map goes into `out` (z, y, x) on the scan's grid.

    Parameters
    ----------
    attempts
        Yields the model on the device wanted, then on the CPU: the way down when memory is short. None in its place
        where it did not even fit into that device.

    Returns
    -------
    dict
        method, target, layer, score, layers, facts, check_seconds, pace, warnings, device, seconds.

    Raises
    ------
    InputError, UnsupportedError, ModelError, Cancelled
        See `Explainer.saliency` and `target.find_target`; nothing was written then.
    MemoryError
        Also the smallest window does not fit.
    """

    def answer(asked: Explainer) -> dict[str, Any]:
        asked, values = speaking(asked)
        expected = round(expected_seconds(asked), 2)
        facts, warnings, layer = dict(asked.facts), list(asked.warnings), asked.layer
        score = asked.score(asked.data) if asked.known_score is None else asked.known_score
        refuse_blank(asked, values, score)
        other = other_class(asked)
        if other:
            name = asked.target
            warnings.append(f"The model calls this place {other}, not {name}; the map is of the score of {name} there.")
        if out is not None:
            out[...] = restore_map(values, asked.record)
        return {
            "method": asked.options.method,
            "target": asked.target,
            "layer": layer,
            "score": score,
            "layers": list(asked.layers),
            "facts": facts,
            "check_seconds": expected,
            "pace": None if asked.pace is None else asdict(asked.pace),
            "warnings": warnings,
        }

    return attempted(attempts, scan, answer)


def speaking(asked: Explainer) -> tuple[Explainer, Float32]:
    """Return a map, and the question it answers: with another layer where the one chosen by itself gave nothing.

    The features of a bottleneck can all speak against a class whose score comes from the layers after it. Then the last
    convolution of each size on the way to the answer is asked in turn. A layer that the user named is never exchanged.
    """
    values = asked.saliency()
    if METHODS[asked.options.method].needs != "layer" or asked.options.layer or values.any():
        return asked, values
    first, facts, warnings = asked.layer, dict(asked.facts), list(asked.warnings)
    for name in asked.anatomy.after(first):
        other = replace(asked, options=replace(asked.options, layer=name), facts={}, warnings=[])
        found = other.saliency()
        if found.any():
            other.warn(f"Nothing that the layer {first} answers raised the score, so {name}, after it, was looked at.")
            return other, found
    asked.facts.update(facts)
    asked.warnings.extend(w for w in warnings if w not in asked.warnings)
    return asked, values


def other_class(asked: Explainer) -> str:
    """Return what the model calls a place that somebody pointed at, where it is not the class that is explained.

    "" where it is, where nobody pointed, and where the place takes several windows (its mask says it then).
    """
    decision, region = asked.spec.decision, asked.region
    if region is None or asked.options.voxel is None or len(asked.views.views) > 1:
        return ""
    plain = replace(asked, options=replace(asked.options, negate=False), facts={}, warnings=[])
    means = [
        replace(plain, channel=channel, known_score=None).score(asked.data) / np.count_nonzero(region)
        for channel in range(len(decision.ids))
    ]
    if decision.exclusive:
        best = int(np.argmax(means))
        called = asked.spec.labels.name_of(decision.ids[best])
        return "" if best == asked.channel else called
    threshold = decision.thresholds[asked.channel]
    return "" if means[asked.channel] >= math.log(threshold / (1 - threshold)) else "something else"


def refuse_blank(asked: Explainer, values: Float32, score: float) -> None:
    """Refuse a map that is 0 everywhere, with the reason: an empty picture is no answer.

    Raises
    ------
    ModelError
        The network answers the same whatever it is shown.
    UnsupportedError
        The method has nothing to say here; the message names one that has.
    """
    if values.any() or asked.options.method == "feature-map":
        return
    data, wide = asked.data, np.float32(asked.usual.width or 1)
    noise = wide * np.random.default_rng(0).standard_normal(data.shape, np.float32)
    others = asked.scores([data + noise, noise, -data, data + 5 * wide, data - 5 * wide])
    if all(float(other) == score for other in others):
        raise ModelError(
            f"{asked.spec.name}: the score of {asked.target} is {score:.4g} whatever the network is shown, so there is "
            "nothing to explain."
        )
    method = METHODS[asked.options.method]
    if method.needs == "layer":
        raise UnsupportedError(
            f"{method.title}: nothing that the layer {asked.layer} answers raised the score of {asked.target}. Ask "
            "what spoke against it, choose another layer, or the method integrated-gradients."
        )
    if method.needs == "gradient":
        raise UnsupportedError(
            f"{method.title}: the score of {asked.target} does not change with small changes of this scan (it is flat "
            "there); choose the method occlusion."
        )
    raise UnsupportedError(
        f"{method.title}: the score of {asked.target} does not change with any piece blanked out; choose another "
        "baseline, or larger patches."
    )
