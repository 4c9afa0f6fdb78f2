"""The methods that look at one layer: what its channels answer where, weighed by what moves the score.

Every map is made on the places of the layer and then brought to the voxels of the window, linear between the centres
of the places; negative values are cut off on the layer, as the papers have it. Where a region takes several windows,
the mean of those that see a voxel counts there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from napari_medcnn.engine.saliency.baselines import baseline, told_baseline
from napari_medcnn.engine.saliency.explainer import Explainer
from napari_medcnn.engine.saliency.items import Float32, Found, Item, Want
from napari_medcnn.engine.saliency.views import View
from napari_medcnn.errors import InputError


def grad_cam(asked: Explainer, seed: int) -> Float32:
    """ReLU of the channels, each times its mean gradient (Selvaraju et al. 2017, equations 1 and 2).

    With the score of a region this is Seg-Grad-CAM (Vinogradova et al. 2020). The mean is that over the places of all
    windows, so that no edges of windows show.
    """
    count = len(asked.views.views)
    if count == 1:

        def alone(found: Found) -> Float32:
            return _rectified(found.activation @ _mean_pull(found))

        return _maps(asked, alone, pulled=True)
    weights = sum(_mean_pull(found) for found in _answers(asked, asked.layer, pulled=True)) / count

    def weighed(found: Found) -> Float32:
        return _rectified(found.activation @ weights)

    return _maps(asked, weighed, pulled=False)


def _mean_pull(found: Found) -> Float32:
    mean: Float32 = found.pull.reshape(-1, found.pull.shape[-1]).mean(axis=0)
    return mean


def grad_cam_plus_plus(asked: Explainer, seed: int) -> Float32:
    """Grad-CAM with places weighed by alpha (Chattopadhay et al. 2018, equations 10 and 19, the score exponentiated).

    alpha = g^2 / (2 g^2 + sum(A) g^3), 0 where g is 0, with g the gradient at the place and A the channel; a channel
    weighs sum(alpha ReLU(g)). The factor exp(score), the same for all, is left out: it overflows.
    """

    def weighed(found: Found) -> Float32:
        channels = found.pull.shape[-1]
        pull = found.pull.reshape(-1, channels).astype(np.float64)
        total = found.activation.reshape(-1, channels).sum(axis=0, dtype=np.float64)
        below = 2 * pull**2 + total * pull**3
        alpha = np.divide(pull**2, below, out=np.zeros_like(pull), where=below != 0)
        weights = (alpha * np.maximum(pull, 0)).sum(axis=0)
        return _rectified(found.activation @ weights.astype(np.float32))

    return _maps(asked, weighed, pulled=True)


def layer_cam(asked: Explainer, seed: int) -> Float32:
    """ReLU of the channels, each place times its own positive gradient (Jiang et al. 2021, equations 4 to 6)."""

    def weighed(found: Found) -> Float32:
        return _rectified((found.activation * np.maximum(found.pull, 0)).sum(axis=-1))

    return _maps(asked, weighed, pulled=True)


def eigen_cam(asked: Explainer, seed: int) -> Float32:
    """ReLU of the channels projected on their first singular vector (Muhammad and Yeasin 2020), its sum positive."""

    def weighed(found: Found) -> Float32:
        places = found.activation.reshape(-1, found.activation.shape[-1]).astype(np.float64)
        _, vectors = np.linalg.eigh(places.T @ places)
        projected = places @ vectors[:, -1]
        projected = -projected if projected.sum() < 0 else projected
        return _rectified(projected.reshape(found.activation.shape[:-1]))

    return _maps(asked, weighed, pulled=False)


def feature_map(asked: Explainer, seed: int) -> Float32:
    """What one channel of the layer answers, signed."""
    channel = asked.options.channel
    count = asked.anatomy.part(asked.layer).channels
    if channel >= count:
        raise InputError(f"channel: {asked.layer} has the channels 0 to {count - 1}, got {channel}")
    asked.facts.update(channel=channel, channels=count)
    return _maps(asked, lambda found: found.activation[..., channel], pulled=False)


def score_cam(asked: Explainer, seed: int) -> Float32:
    """ReLU of the channels, each times the score of the scan seen through it (Wang et al. 2020, equations 5 to 9).

    The scan is seen through a channel by fading it to the baseline where the channel, scaled to 0 to 1, is low.
    `options.softmax_cam` takes the increase over the baseline's score and its softmax over the channels, as the paper;
    else the score itself weighs, as in tf-keras-vis. Scores of regions are means, so that the softmax does not depend
    on their size. One channel after the other is shown: memory does not grow with their number.
    """
    plain = baseline(asked)
    layer = asked.layer
    told_baseline(asked)
    asked.facts["weights"] = "softmax of the increase" if asked.options.softmax_cam else "score"
    mean = _Mean(asked)
    answers = list(_answers(asked, layer, pulled=False))
    active = [_active(found.activation) for found in answers]
    asked.total = asked.looked + sum(len(a) + 1 for a in active)
    for found, channels in zip(answers, active, strict=True):
        weights = np.zeros(found.activation.shape[-1], np.float32)
        if channels:
            weights[channels] = _channel_weights(asked, found, channels, plain)
        mean.add(found.mark, _rectified(found.activation @ weights))
    return mean.finished()


def _channel_weights(asked: Explainer, found: Found, channels: list[int], plain: Float32) -> Float32:
    view: View = found.mark
    seen, faded = asked.views.cut(asked.data, view), asked.views.cut(plain, view)

    def items() -> Iterator[Item]:
        yield Item(faded, view.weights)
        for channel in channels:
            values = found.activation[..., channel]
            scaled = _to_window(asked, (values - values.min()) / np.ptp(values))
            yield Item(faded + scaled[..., None] * (seen - faded), view.weights)

    scores = np.array([f.score for f in asked.look(items(), Want())]) / float(view.weights.sum())
    if not asked.options.softmax_cam:
        return scores[1:].astype(np.float32)
    increase = scores[1:] - scores[0]
    powers = np.exp(increase - increase.max())
    return (powers / powers.sum()).astype(np.float32)


def _active(activation: Float32) -> list[int]:
    """Return the channels that do not answer the same everywhere; scaling the others to 0 to 1 has no meaning."""
    flat = activation.reshape(-1, activation.shape[-1])
    active: list[int] = np.flatnonzero(np.ptp(flat, axis=0) > 0).tolist()
    return active


def _maps(asked: Explainer, made: Callable[[Found], Float32], pulled: bool) -> Float32:
    """Return the maps of all windows on the model's grid; see `_Mean`."""
    asked.total = asked.looked + len(asked.views.views)
    mean = _Mean(asked)
    for found in _answers(asked, asked.layer, pulled):
        mean.add(found.mark, made(found))
    return mean.finished()


class _Mean:
    """Takes the maps of windows, on the places of the layer, together on the model's grid: their mean at each voxel."""

    def __init__(self, asked: Explainer) -> None:
        self._asked = asked
        self._total = np.zeros(asked.data.shape[:3], np.float32)
        self._count = np.zeros(asked.data.shape[:3], np.float32) if len(asked.views.views) > 1 else None

    def add(self, view: View, values: Float32) -> None:
        """Add the map of one window."""
        values = _to_window(self._asked, values)
        self._asked.views.add_map(self._total, view, values)
        if self._count is not None:
            self._asked.views.add_map(self._count, view, np.ones_like(values))

    def finished(self) -> Float32:
        """Return the mean; 0 where no window looked."""
        if self._count is not None:
            self._total /= np.maximum(self._count, 1)
        return self._total


def _answers(asked: Explainer, layer: str, pulled: bool) -> Iterator[Found]:
    """Yield what the layer answers in each window, marked with the window."""
    part = asked.anatomy.part(layer)
    if part.calls > 1:
        asked.warn(f"The layer {layer} is used {part.calls} times; its last use was looked at.")
    if part.final:
        asked.warn(f"The layer {layer} gives the answer itself; a layer before it says more.")
    asked.facts["layer_sizes"] = list(part.sizes)
    if len(asked.views.views) > 1:
        asked.facts["windows"] = len(asked.views.views)
    yield from asked.here(Want(layer=layer, to_layer=pulled))


def _rectified(values: Float32) -> Float32:
    return np.maximum(values, 0).astype(np.float32, copy=False)


def _to_window(asked: Explainer, values: Float32) -> Float32:
    return enlarge(values, asked.views.window_shape[:-1])


def enlarge(values: Float32, shape: tuple[int, ...]) -> Float32:
    """Return values (*places) of a layer at the voxels of a window of `shape`: linear between the places' centres.

    A place stands for the middle of the voxels it was strided over: place i of a layer of stride s lies at voxel
    s i + (s - 1) / 2. The stride is the power of two that explains the two sizes (rounded up or down); where none
    does, the places are spread evenly. A layer of stride 1 that lost its border (no padding) lies in the middle.
    """
    for axis, (count, length) in enumerate(zip(values.shape, shape, strict=True)):
        stride, begin = _stride(count, length)
        position = np.clip((np.arange(length) + 0.5 - begin) / stride - 0.5, 0, count - 1)
        low = np.floor(position).astype(np.intp)
        share = (position - low).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
        high = np.minimum(low + 1, count - 1)
        values = np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
    return np.ascontiguousarray(values, np.float32)


def _stride(count: int, length: int) -> tuple[float, float]:
    """Return the stride of a layer along an axis, and where its first place begins, in voxels."""
    power = 2.0 ** round(np.log2(length / count))
    if power >= 1 and abs(length - count * power) < power:
        return power, 0.0
    if power == 1 and count < length:
        return 1.0, (length - count) / 2
    return length / count, 0.0
