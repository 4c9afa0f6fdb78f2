"""Why a model said that: the methods, a map on the scan's grid, and the check that says whether to believe it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.results import Provenance

#: What a map takes of a network: a gradient to the input, a layer with places (convolution), or nothing but answers.
Needs = Literal["gradient", "layer", "answers"]
Badge = Literal["not checked", "depends on the model", "weakly", "no"]
#: A pass with its gradient in passes without, where nobody has timed one: 1.9 to 2.1 on the shipped models.
GRADIENT = 2.0
#: Stands beside every map.
CAUTION = "Shows what moved the score, not where disease is."


@dataclass(frozen=True)
class Method:
    """One way to ask.

    Parameters
    ----------
    title
        Its name in the literature.
    line
        What it shows, one line in plain words.
    needs
        What it takes of the network.
    signed
        Negative values mean "spoke against".
    plain
        The words of the first level in the window ("Where it looked"); "" for those under More methods.
    warning
        Known not to depend on the model, say; "" for none.
    """

    title: str
    line: str
    needs: Needs
    signed: bool = False
    plain: str = ""
    warning: str = ""


#: Method by the name that the command line, the library and the protocol use.
METHODS: Mapping[str, Method] = {
    "grad-cam": Method("Grad-CAM", "Coarse regions whose features raised the score", "layer", plain="Where it looked"),
    "integrated-gradients": Method(
        "Integrated Gradients",
        "Each voxel's share of the score, compared with a plain image",
        "gradient",
        signed=True,
        plain="Fine detail",
    ),
    "occlusion": Method(
        "Occlusion",
        "How much the score falls when a patch is blanked out",
        "answers",
        signed=True,
        plain="What if this were gone",
    ),
    "gradient": Method("Gradient", "Where a small change would change the score most", "gradient"),
    "gradient-x-input": Method("Gradient x input", "The gradient weighed by the value there", "gradient", signed=True),
    "smoothgrad": Method("SmoothGrad", "The gradient, averaged over noisy copies", "gradient"),
    "guided-backprop": Method(
        "Guided backpropagation",
        "Sharp edges that raised the score",
        "gradient",
        signed=True,
        warning="Looks convincing for any model: it is known to change little when the network is replaced by a random "
        "one (Adebayo 2018).",
    ),
    "grad-cam++": Method("Grad-CAM++", "As Grad-CAM, several small regions rather than one", "layer"),
    "layer-cam": Method("Layer-CAM", "As Grad-CAM, finer: each place has its own weight", "layer"),
    "eigen-cam": Method(
        "Eigen-CAM",
        "The strongest pattern in the network's features, for any class",
        "layer",
        warning="Does not know which class was asked for.",
    ),
    "score-cam": Method("Score-CAM", "Regions that keep the score when all else fades to a plain image; slow", "layer"),
    "feature-map": Method("Feature map", "What one channel of one layer answers", "layer", signed=True),
}


@dataclass(frozen=True)
class Randomised:
    """One step of the cascade: layers from the output down to `layer` were filled with new random weights.

    `rank` is Spearman's correlation, without its sign, and `similarity` SSIM, both of absolute values, to the map of
    the trained model; means over the random copies.
    """

    layer: str
    rank: float
    similarity: float


@dataclass(frozen=True)
class Curve:
    """The score while voxels are inserted or deleted, best first: `share` of voxels, `score`, and for a `random` order.

    `area` and `random_area` are the areas under both, by the trapezium rule over share.
    """

    share: tuple[float, ...]
    score: tuple[float, ...]
    random: tuple[float, ...]
    area: float
    random_area: float


@dataclass(frozen=True)
class Check:
    """What "Check this map" found.

    Parameters
    ----------
    badge
        The verdict; its thresholds stand in docs/saliency.md.
    words
        Why, one sentence for people.
    cascade
        Randomisation, from the output down to the whole network.
    insertion, deletion
        None where the score cannot be followed so.
    repeatability
        Rank correlation between maps of two seeds; None for a method without chance (it is exactly repeatable).
    energy, pointing, auprc
        Against a reference mask: share of the positive map inside it, whether the largest value lies inside, and the
        area under precision and recall; `prevalence` is what chance gives for energy and auprc. None without a mask.
    seconds
        What it took.
    """

    badge: Badge
    words: str
    cascade: tuple[Randomised, ...] = ()
    insertion: Curve | None = None
    deletion: Curve | None = None
    repeatability: float | None = None
    energy: float | None = None
    pointing: bool | None = None
    auprc: float | None = None
    prevalence: float | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Check:
        """Read what `to_json` wrote."""
        given = dict(data)
        given["cascade"] = tuple(Randomised(**step) for step in given.get("cascade") or ())
        for name in ("insertion", "deletion"):
            if given.get(name) is not None:
                points = {k: tuple(given[name][k]) for k in ("share", "score", "random")}
                given[name] = Curve(**{**given[name], **points})
        return cls(**given)


@dataclass(frozen=True)
class Pace:
    """Seconds that one window takes: for an answer, for an answer with its gradient; and before the first one.

    `start` is what tracing the network takes, 0 where it is not known.
    """

    answer: float
    gradient: float
    start: float = 0.0

    @classmethod
    def of_run(cls, seconds: float, windows: int) -> Pace | None:
        """Return the pace of a prediction whose network took so long for so many windows; None where that says nothing.

        A gradient is taken for `GRADIENT` answers.
        """
        if windows < 1 or not 0 < seconds < math.inf:
            return None
        return cls(seconds / windows, GRADIENT * seconds / windows)


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """A map on the scan's own grid.

    Parameters
    ----------
    values
        float32 (z, y, x), raw: not normalised, signed where the method is; 0 where the model did not look.
    method, target, layer
        Which method, what was asked for in words ("score of pneumonia"), and the layer it looked at ("" for none).
    score
        What was explained: the value before the softmax or sigmoid, summed over the region that was asked for.
    layers
        The layers that could have been chosen, from input to output.
    check_seconds
        About what a check would take.
    pace
        What one window took, to say how long the next question will take (`core.explain_time`).
    facts
        Numbers of the method, plain JSON (steps and residual of Integrated Gradients, baseline, seed, stride_mm...).
    """

    values: Array
    geometry: Geometry
    method: str
    target: str
    layer: str
    score: float
    provenance: Provenance
    check: Check | None = None
    check_seconds: float | None = None
    layers: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    pace: Pace | None = None

    @property
    def signed(self) -> bool:
        """True if negative values mean "spoke against"."""
        return METHODS[self.method].signed

    @property
    def badge(self) -> Badge:
        """The verdict of the check."""
        return "not checked" if self.check is None else self.check.badge
