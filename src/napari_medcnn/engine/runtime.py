"""Keras and its backend: what is installed, which device to use, and a compiled forward pass.

The only file that names a backend.  TensorFlow is the default; ``KERAS_BACKEND=jax`` is honoured.  XLA stays off: on a
CPU it made the forward pass nine times slower.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn import __version__
from napari_medcnn.core.spec import Activation
from napari_medcnn.errors import InputError, MissingExtraError, ModelError

Float32 = npt.NDArray[np.float32]
#: Takes (batch, *spatial, channel); gives probabilities, and the smallest and largest raw output of each channel.
Forward = Callable[[Float32], tuple[Float32, Float32, Float32]]

_MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch", "openvino": "openvino"}


@dataclass(frozen=True)
class Runtime:
    """What this process computes with: `backend` of Keras, working `gpus` by name, `versions` of what matters."""

    backend: str
    gpus: tuple[str, ...]
    versions: dict[str, str]

    def device(self, wanted: str) -> str:
        """Return "gpu:0" or "cpu:0" for the option "auto", "cpu" or "gpu".

        Raises
        ------
        InputError
            A GPU is asked for and none works.
        """
        if wanted == "gpu" and not self.gpus:
            raise InputError("device: no working GPU was found; choose auto or cpu, or run: medcnn doctor")
        return "gpu:0" if self.gpus and wanted != "cpu" else "cpu:0"

    def describe(self, device: str) -> str:
        """Return the device in words for the run record."""
        return f"GPU ({self.gpus[0]})" if device.startswith("gpu") and self.gpus else "CPU"


def load_runtime() -> Runtime:
    """Import Keras with its backend and look for GPUs.

    Raises
    ------
    MissingExtraError
        Keras or its backend is not installed in this Python; the message holds the one command.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    absent = [m for m in ("keras", _MODULES.get(backend, backend)) if importlib.util.find_spec(m) is None]
    if absent:
        raise MissingExtraError(
            f"Running models needs {' and '.join(absent)}, not installed here. "
            'Install with: pip install "napari-medcnn[engine]"'
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    versions = {"napari-medcnn": __version__, "keras": keras.__version__, "numpy": np.__version__}
    gpus: tuple[str, ...] = ()
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        versions["tensorflow"] = tf.__version__
        gpus = _tensorflow_gpus(tf)
    elif backend == "jax":
        import jax

        versions["jax"] = jax.__version__
        gpus = tuple(d.device_kind for d in jax.devices() if d.platform == "gpu")
    return Runtime(backend, gpus, versions)


def _tensorflow_gpus(tf: Any) -> tuple[str, ...]:
    names = []
    for number, device in enumerate(tf.config.list_physical_devices("GPU")):
        with contextlib.suppress(RuntimeError, ValueError):  # too late once the device is in use
            tf.config.experimental.set_memory_growth(device, True)
        details = tf.config.experimental.get_device_details(device)
        names.append(str(details.get("device_name", f"GPU {number}")))
    return tuple(names)


def out_of_memory_errors(runtime: Runtime) -> tuple[type[BaseException], ...]:
    """Return what the backend raises when memory is short or the device is lost."""
    if runtime.backend == "tensorflow":
        import tensorflow as tf

        return (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.InternalError, tf.errors.UnavailableError)
    return (MemoryError,)


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
        float32 of `shape` -> (probabilities, low, high), float32; low and high, (channel,), of the raw output.
    """
    import keras
    from keras import ops

    def calculate(raw: Any) -> tuple[Any, Any, Any]:
        raw = ops.cast(raw, "float32")
        axes = list(range(len(raw.shape) - 1))
        scaled = raw / temperature
        if activation == "softmax":
            scaled = ops.softmax(scaled, axis=-1)
        elif activation == "sigmoid":
            scaled = ops.sigmoid(scaled)
        return scaled, ops.min(raw, axis=axes), ops.max(raw, axis=axes)

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec(shape, tf.float32)]
        compiled = tf.function(
            lambda x: calculate(model(x, training=False)), input_signature=signature, jit_compile=False
        )
    elif backend == "jax":
        import jax

        traced = jax.jit(lambda own, rest, x: calculate(model.stateless_call(own, rest, x, training=False)[0]))

        def compiled(x: Any) -> Any:
            # read at each call: training changes them
            own = [v.value for v in model.trainable_variables]
            return traced(own, [v.value for v in model.non_trainable_variables], x)
    else:
        raise ModelError(f"KERAS_BACKEND: expected tensorflow or jax, got {backend!r}")

    def forward(batch: Float32) -> tuple[Float32, Float32, Float32]:
        with keras.device(device):
            scores, low, high = compiled(ops.convert_to_tensor(batch, "float32"))
        return ops.convert_to_numpy(scores), ops.convert_to_numpy(low), ops.convert_to_numpy(high)

    return forward


def free_memory_bytes() -> int | None:
    """Return the memory that can still be taken, None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None
