"""Instance normalisation written out plainly, so that converters recognise it.

Keras's `GroupNormalization` with one channel a group splits the channels into an axis of its own.  In that form
OpenVINO calculates it step by step (two thirds of the time of a 3D U-Net); written as (x - mean) / deviation over the
spatial axes it becomes one operation there.  The values are the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import ops


class PlainInstanceNorm(keras.layers.Layer):
    """What `norm`, a `GroupNormalization` of one channel a group, calculates, on (batch, *spatial, channel)."""

    def __init__(self, norm: Any) -> None:
        super().__init__(name=norm.name, dtype=norm.dtype_policy)
        self._norm = norm

    def call(self, x: Any) -> Any:
        """Return x, normalised over its spatial axes, times the scale plus the offset of the layer it stands for."""
        axes = tuple(range(1, len(x.shape) - 1))
        apart = x - ops.mean(x, axis=axes, keepdims=True)
        plain = apart / ops.sqrt(ops.mean(ops.square(apart), axis=axes, keepdims=True) + self._norm.epsilon)
        if self._norm.scale:
            plain = plain * ops.cast(self._norm.gamma, plain.dtype)
        return plain + ops.cast(self._norm.beta, plain.dtype) if self._norm.center else plain

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def with_plain_norms(model: Any) -> Any:
    """Return the model with every instance norm written out; it shares all other layers and all weights.

    A model that is not a graph of layers (subclassed, with code of its own) is returned as it is.
    """
    if not any(is_instance_norm(layer) for layer in _layers(model)):
        return model
    try:
        return keras.models.clone_model(model, clone_function=_plain, recursive=True)
    except (ValueError, TypeError):
        return model


def is_instance_norm(layer: Any) -> bool:
    """Say whether a layer normalises each channel by itself, channels last."""
    if not isinstance(layer, keras.layers.GroupNormalization) or layer.axis != -1 or not layer.built:
        return False
    weights = layer.get_weights()
    return layer.groups == -1 or bool(weights and layer.groups == weights[0].shape[0])


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def _plain(layer: Any) -> Any:
    return PlainInstanceNorm(layer) if is_instance_norm(layer) else layer
