"""One file per engine that can run a network; each gives the same forward pass over channels-last arrays.

`engine.loading.Loaded` is the only one that calls them.  None of them is imported before a model needs it: importing
TensorFlow takes seconds and half a gigabyte, the others a tenth of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.spec import Activation
from napari_medcnn.errors import ModelError

Float32 = npt.NDArray[np.float32]
#: Takes (batch, *spatial, channel); gives probabilities, and the smallest and largest raw output of each channel.
Forward = Callable[[Float32], tuple[Float32, Float32, Float32]]
EngineName = Literal["keras", "onnx", "openvino"]
Sizes = tuple[int | None, ...]


class Network(Protocol):
    """What an engine besides Keras gives: shapes as Keras states them, (batch, *spatial, channel), None where free."""

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    input_shape: Sizes
    output_shape: Sizes

    def compile_forward(self, shape: tuple[int, ...], activation: Activation, temperature: float) -> Forward:
        """Return the forward pass for inputs of one shape."""

    def raw(self, batch: Float32) -> Float32:
        """Return the network's own output."""


def finish(raw: Float32, activation: Activation, temperature: float) -> tuple[Float32, Float32, Float32]:
    """Return probabilities, and the smallest and largest value of each channel, of a raw output (..., channel)."""
    axes = tuple(range(raw.ndim - 1))
    low, high = raw.min(axis=axes), raw.max(axis=axes)
    if activation == "none":
        return raw, low, high
    scaled: Float32 = raw / np.float32(temperature)
    if activation == "softmax":
        np.subtract(scaled, scaled.max(axis=-1, keepdims=True), out=scaled)
        np.exp(scaled, out=scaled)
        scaled /= scaled.sum(axis=-1, keepdims=True)
        return scaled, low, high
    np.multiply(scaled, 0.5, out=scaled)  # sigmoid(x) = (1 + tanh(x / 2)) / 2, which cannot overflow
    np.tanh(scaled, out=scaled)
    scaled += 1
    scaled *= 0.5
    return scaled, low, high


def to_last(shape: Sequence[Any], channels_first: bool) -> Sizes:
    """Return a shape with a batch axis in our order, free sizes as None."""
    sizes = [n if isinstance(n, int) and n > 0 else None for n in shape]
    return (sizes[0], *sizes[2:], sizes[1]) if channels_first and len(sizes) > 2 else tuple(sizes)


def errors_of(native: Any) -> tuple[type[Exception], ...]:
    """Return what an engine raises: classes of its native module, without a common base, and Python's own."""
    own = [e for e in vars(native).values() if isinstance(e, type) and issubclass(e, Exception)]
    return (*own, RuntimeError, TypeError, ValueError, KeyError, AttributeError, OSError, MemoryError)


def failed(error: Exception, engine: str) -> Exception:
    """Return what an engine raised as one of our errors: MemoryError where memory was short, else ModelError."""
    words = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(w in words.lower() for w in ("bad_alloc", "allocate", "out of memory")):
        return MemoryError(words[:200])
    return ModelError(f"{engine} cannot run this network ({type(error).__name__}: {words[:200]})")
