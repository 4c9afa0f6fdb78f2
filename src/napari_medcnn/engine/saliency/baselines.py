"""The plain image that a scan is compared with, in the values the network sees."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_medcnn.engine.saliency.explainer import Explainer
from napari_medcnn.engine.saliency.items import Float32
from napari_medcnn.imaging.pipeline import POINTWISE, STEPS

#: Hounsfield units of air.
AIR_HU = -1000.0
#: Standard deviation of the blur as a share of the longest side of what is looked at.
_BLUR = 1 / 16


def baseline(asked: Explainer) -> Float32:
    """Return the plain image (z, y, x, channel) that `options.baseline` names; read-only where it is one value.

    "mean" is the mean of each channel over the scan as the network sees it; "black" its lowest value; "air" is -1000 HU
    of a CT whose preparation treats every voxel alone, and else the lowest value; "blur" the image after a Gaussian.
    """
    data, kind = asked.data, asked.options.baseline
    if kind == "blur":
        sides = [s * n for s, n in zip(asked.record.model.spacing_mm, data.shape, strict=False)]
        wide = _BLUR * max(sides[1:] if asked.views.flat else sides)
        sigma = [wide / s for s in asked.record.model.spacing_mm]
        if asked.views.flat:
            sigma[0] = 0.0
        return np.asarray(ndimage.gaussian_filter(data, (*sigma, 0), mode="nearest"), np.float32)
    values = asked.usual.mean if kind == "mean" else asked.usual.lowest
    air = air_value(asked) if kind == "air" else None
    return np.broadcast_to(values if air is None else air, data.shape)


def told_baseline(asked: Explainer) -> None:
    """Note in the facts what was compared with."""
    kind = asked.options.baseline
    asked.facts["baseline"] = kind
    if kind == "blur":
        asked.facts["baseline_words"] = f"the image blurred, 1/{round(1 / _BLUR)} of its longest side"
        return
    values = baseline(asked)[0, 0, 0]
    asked.facts["baseline_values"] = [round(float(v), 6) for v in values]
    words = {"mean": "the mean of the scan", "black": "the lowest value of the scan", "air": "air, -1000 HU"}[kind]
    if kind == "air" and air_value(asked) is None:
        words = "the lowest value of the scan, because air has no fixed value for this model or scan"
    asked.facts["baseline_words"] = words


def air_value(asked: Explainer) -> Float32 | None:
    """Return air as the network sees it, (channel,); None if the scan is no CT or its preparation looks around."""
    preparation = asked.spec.preparation
    if asked.modality != "CT" or any(name not in POINTWISE for name, _ in preparation.steps):
        return None
    values = np.full((1, 1, 1, preparation.channels), AIR_HU, np.float32)
    for name, arguments in preparation.steps:
        values = STEPS[name](values, **arguments)
    return np.asarray(values[0, 0, 0], np.float32)
