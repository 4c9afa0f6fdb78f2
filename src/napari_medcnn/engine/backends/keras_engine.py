"""Keras on TensorFlow or JAX: opens ``.keras`` files safely, and compiles forward passes.

XLA stays off: on a CPU it made the forward pass nine times slower.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from napari_medcnn.core.spec import Activation
from napari_medcnn.engine.backends import Float32, Forward
from napari_medcnn.engine.weights import check_weights
from napari_medcnn.errors import ModelError
from napari_medcnn.io.prescan import check_keras_file

#: What Keras and its backends raise for files that are damaged or of another version.
LOAD_ERRORS = (
    UserWarning, TypeError, ValueError, KeyError, AttributeError, ImportError, OSError, IndexError, RuntimeError
)  # fmt: skip
_BRAIN_FLOAT = "mixed_bfloat16"


def open_keras(weights: Path, device: str, custom: bool = False) -> tuple[Any, int]:
    """Look into a ``.keras`` file, then load it in Keras's safe mode; return the model and the bytes of its weights.

    Parameters
    ----------
    custom
        Classes that trusted code has registered may be named in it.
    """
    check_keras_file(weights, tuple(keras.saving.get_custom_objects()) if custom else ())
    size = max(check_weights(weights), weights.stat().st_size)
    return load_keras(weights, device), size


def load_keras(path: Path, device: str = "cpu:0") -> Any:
    """Load a ``.keras`` file that has been looked into; what Keras says is put into one sentence."""
    try:
        with keras.device(device), warnings.catch_warnings():
            # Keras only warns when weights are missing and leaves random ones in their place
            warnings.filterwarnings("error", message="(?s).*(freshly-initialized|Skipping|could not be loaded)")
            return keras.models.load_model(path, safe_mode=True, compile=False)
    except LOAD_ERRORS as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path.name}: Keras {keras.__version__} cannot open this model ({type(error).__name__}: {words}). If it "
            "has layers of its own, name their Python module with code=[...]; else save it again with this Keras."
        ) from error


def in_bfloat16(model: Any) -> Any:
    """Return a copy of a network that calculates in bfloat16 and keeps its weights in float32.

    Raises
    ------
    ModelError
        A layer cannot be made anew with another precision.
    """

    def again(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=again)
        return layer.__class__.from_config({**layer.get_config(), "dtype": _BRAIN_FLOAT})

    try:
        copy = keras.models.clone_model(model, clone_function=again)
        copy.set_weights(model.get_weights())
    except LOAD_ERRORS as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(f"This network cannot calculate in bfloat16 ({words}); choose float32") from error
    return copy


def raw(model: Any, batch: Float32, device: str) -> Float32:
    """Return the network's own output, float32."""
    with keras.device(device):
        return keras.ops.convert_to_numpy(keras.ops.cast(model(batch, training=False), "float32"))


def compile_forward(
    model: Any, shape: tuple[int, ...], activation: Activation, temperature: float, device: str
) -> Forward:
    """Compile one forward pass for one input shape.

    Parameters
    ----------
    model
        A `keras.Model` with one input and one output, channels last.
    shape
        (batch, *spatial, channel) of every input.
    activation, temperature
        From the network's output to probabilities: output / temperature, then softmax over the channels, sigmoid,
        or nothing.

    Returns
    -------
    Forward
        float32 of `shape` -> (probabilities, low, high), float32; low and high, (channel,), of the raw output. The
    probabilities may be read-only.
    """
    ops = keras.ops

    def calculate(answer: Any) -> tuple[Any, Any, Any]:
        answer = ops.cast(answer, "float32")
        axes = list(range(len(answer.shape) - 1))
        scaled = answer if temperature == 1 else answer / temperature
        if activation == "softmax":
            scaled = ops.softmax(scaled, axis=-1)
        elif activation == "sigmoid":
            scaled = ops.sigmoid(scaled)
        return scaled, ops.min(answer, axis=axes), ops.max(answer, axis=axes)

    compiled = _traced(model, calculate, shape)
    # a view: copying the scores of 25 classes costs a few percent of the forward pass
    view = keras.config.backend() == "tensorflow" and device.startswith("cpu")

    def forward(batch: Float32) -> tuple[Float32, Float32, Float32]:
        with keras.device(device):
            scores, low, high = compiled(ops.convert_to_tensor(batch, "float32"))
        found = np.asarray(memoryview(scores)) if view else ops.convert_to_numpy(scores)
        return found, ops.convert_to_numpy(low), ops.convert_to_numpy(high)

    return forward


def _traced(model: Any, calculate: Any, shape: tuple[int, ...]) -> Any:
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec(shape, tf.float32)]
        return tf.function(lambda x: calculate(model(x, training=False)), input_signature=signature, jit_compile=False)
    if backend == "jax":
        import jax

        traced = jax.jit(lambda own, rest, x: calculate(model.stateless_call(own, rest, x, training=False)[0]))

        def compiled(x: Any) -> Any:
            # read at each call: training changes them
            own = [v.value for v in model.trainable_variables]
            return traced(own, [v.value for v in model.non_trainable_variables], x)

        return compiled
    raise ModelError(f"KERAS_BACKEND: expected tensorflow or jax, got {backend!r}")
