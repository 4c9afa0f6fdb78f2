"""The methods, by name: each takes a question and a seed, and gives its raw map on the model's grid.

Here are those that go by the gradient to the input; `cams` has those that look at a layer, `occlusion` the one that
takes nothing but answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from napari_medcnn.engine.saliency.baselines import baseline, told_baseline
from napari_medcnn.engine.saliency.cams import (
    eigen_cam,
    feature_map,
    grad_cam,
    grad_cam_plus_plus,
    layer_cam,
    score_cam,
)
from napari_medcnn.engine.saliency.explainer import Explainer
from napari_medcnn.engine.saliency.items import Float32
from napari_medcnn.engine.saliency.occlusion import occlusion
from napari_medcnn.errors import UnsupportedError

#: Integrated Gradients: the sum may miss the difference of the scores by this share of it.
COMPLETE = 0.01
MOST_STEPS = 4096
#: A difference of the scores below this share of the scores themselves is rounding.
_ROUNDING = 1e-3


def gradient(asked: Explainer, seed: int) -> Float32:
    """Largest absolute gradient over the channels (Simonyan et al. 2014, section 3.1)."""
    found: Float32 = np.abs(asked.gradient()).max(axis=-1)
    return found


def gradient_times_input(asked: Explainer, seed: int) -> Float32:
    """Sum over the channels of gradient times value (Shrikumar et al. 2016); exact for a linear network."""
    found: Float32 = (asked.gradient() * asked.data).sum(axis=-1)
    return found


def smoothgrad(asked: Explainer, seed: int) -> Float32:
    """Mean gradient over noisy copies, then its largest absolute value over the channels (Smilkov et al. 2017).

    The standard deviation of the noise is the share `options.noise` of the range of values the network sees.
    """
    count, level = asked.options.samples, asked.options.noise * asked.usual.width
    asked.total = count * len(asked.views.views)
    asked.facts.update(samples=count, noise=level, seed=seed)
    random = np.random.default_rng(seed)

    def noisy() -> Iterator[Float32]:
        for _ in range(count):
            yield asked.data + np.float32(level) * random.standard_normal(asked.data.shape, np.float32)

    total = np.zeros_like(asked.data)
    for found in asked.gradients(noisy()):
        total += found
    return np.abs(total / np.float32(count)).max(axis=-1)


def integrated_gradients(asked: Explainer, seed: int) -> Float32:
    """Each voxel's share of the score's difference to a baseline (Sundararajan et al. 2017), midpoint rule.

    The steps double until the shares sum up to that difference within 1 % (completeness), up to 4096, and no point is
    looked at twice (`_refined`); a randomised copy of the network (`Explainer.with_network`) is asked once, with the
    steps the original needed.
    """
    plain = baseline(asked)
    way = asked.data - plain
    high, low = (float(s) for s in asked.scores([asked.data, plain]))
    asked.known_score = high
    difference = high - low
    allowed = COMPLETE * max(abs(difference), _ROUNDING * max(abs(high), abs(low)))
    for found in _refined(asked, plain, way, asked.steps or asked.options.steps):
        shared: Float32 = (way * found[2]).sum(axis=-1)
        residual = abs(float(shared.sum(dtype=np.float64)) - difference)
        if residual <= allowed or asked.copied:
            break
    steps, rule, _ = found
    asked.steps = steps
    told_baseline(asked)
    asked.facts.update(steps=steps, rule=rule, difference=difference, residual=residual)
    if residual > allowed and not asked.copied:
        asked.warn(
            f"The shares of the voxels sum up to the difference of the scores only within {residual:.3g} of "
            f"{abs(difference):.3g}, after {steps} steps."
        )
    return shared


def _refined(asked: Explainer, plain: Float32, way: Float32, steps: int) -> Iterator[tuple[int, str, Float32]]:
    """Yield (steps, rule, mean gradient) on the way from the baseline, each finer than the last.

    The midpoint rule with n steps, M(n), comes first. The trapezium rule with 2n steps shares its points:
    T(2n) = (T(n) + M(n)) / 2, so doubling takes n more points, for T(n) at first (n + 1) and then for the next M. Each
    M is yielded as well: where the gradient is enormous at the baseline itself (a normalised plain image), only
    rules without the ends are of use.
    """
    ends_in = None
    while True:
        middle = _mean_gradient(asked, plain, way, ((2 * n + 1) / (2 * steps) for n in range(steps)), steps)
        yield steps, "midpoint", middle
        if 2 * steps > MOST_STEPS:
            return
        if ends_in is None:
            inner = _mean_gradient(asked, plain, way, (n / steps for n in range(1, steps)), steps)
            ends = _mean_gradient(asked, plain, way, (0.0, 1.0), 2 * steps)
            ends_in = inner + ends
        ends_in = np.asarray((ends_in + middle) / 2, np.float32)
        steps *= 2
        yield steps, "trapezium", ends_in


def _mean_gradient(asked: Explainer, plain: Float32, way: Float32, shares: Iterable[float], divisor: int) -> Float32:
    """Return the sum of the gradients at shares of the way, divided."""
    shares = list(shares)
    asked.total = asked.looked + len(shares) * len(asked.views.views)
    total = np.zeros_like(asked.data)
    for found in asked.gradients(plain + np.float32(share) * way for share in shares):
        total += found
    return total / np.float32(divisor)


def guided_backpropagation(asked: Explainer, seed: int) -> Float32:
    """Sum over the channels of the gradient that passes ReLUs only where positive (Springenberg et al. 2015).

    Every ReLU that the backend calculates is guided, also those that a custom layer asks for by itself.
    """
    asked.needs_keras()
    if not asked.anatomy.relus:
        raise UnsupportedError(
            f"{asked.spec.name}: this network calculates no ReLU, so guided backpropagation would be the plain "
            "gradient; choose the method gradient."
        )
    found: Float32 = asked.gradient(guided=True).sum(axis=-1)
    return found


#: Method by its name in `core.saliency.METHODS`.
MAPS: dict[str, Callable[[Explainer, int], Float32]] = {
    "gradient": gradient,
    "gradient-x-input": gradient_times_input,
    "smoothgrad": smoothgrad,
    "integrated-gradients": integrated_gradients,
    "guided-backprop": guided_backpropagation,
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_plus_plus,
    "layer-cam": layer_cam,
    "eigen-cam": eigen_cam,
    "score-cam": score_cam,
    "feature-map": feature_map,
    "occlusion": occlusion,
}
