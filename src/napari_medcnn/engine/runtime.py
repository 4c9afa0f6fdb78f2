"""What is installed to run networks, what it computes with, and which device to use.

Keras on TensorFlow is the default; ``KERAS_BACKEND=jax`` is honoured.  Looking whether an engine is there imports none.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from napari_medcnn import __version__
from napari_medcnn.engine.backends import EngineName
from napari_medcnn.errors import InputError, MissingExtraError

_WORDS = {"keras": "Keras", "onnx": "ONNX Runtime", "openvino": "OpenVINO", "tensorflow": "TensorFlow", "jax": "JAX"}
#: Engine -> module, extra.
_PARTS: dict[EngineName, tuple[str, str]] = {
    "keras": ("keras", "engine"),
    "onnx": ("onnxruntime", "onnx"),
    "openvino": ("openvino", "openvino"),
}


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

    def engine(self, name: EngineName, precision: str = "float32") -> str:
        """Return an engine in words: "Keras 3.15 on TensorFlow 2.21", "OpenVINO 2026.4, bfloat16"."""
        words = f"{_WORDS[name]} {_short(self.versions.get(_PARTS[name][0], ''))}".strip()
        if name == "keras":
            words += (
                f" on {_WORDS.get(self.backend, self.backend)} {_short(self.versions.get(self.backend, ''))}".rstrip()
            )
        return words if precision == "float32" else f"{words}, {precision}"


def installed(name: EngineName) -> bool:
    """Return True if an engine can be imported here; it is not imported."""
    wanted = ["keras", _backend()] if name == "keras" else [_PARTS[name][0]]
    return all(importlib.util.find_spec(module) is not None for module in wanted)


def engines() -> dict[str, bool]:
    """Return which engines are installed."""
    return {name: installed(name) for name in _PARTS}


def versions() -> dict[str, str]:
    """Return versions of what is installed, without importing it."""
    found = {"napari-medcnn": __version__, "numpy": np.__version__}
    for name in ("keras", "tensorflow", "jax", "onnxruntime", "openvino"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def missing(*names: EngineName) -> MissingExtraError:
    """Return the error that says which engine is not installed, with the one command."""
    words = " or ".join(_WORDS[name] for name in names)
    command = f'pip install "napari-medcnn[{_PARTS[names[0]][1]}]"'
    return MissingExtraError(f"Running this model needs {words}, not installed here. Install with: {command}")


def has_gpu() -> bool:
    """Return True where an NVIDIA driver is installed; nothing is imported."""
    return shutil.which("nvidia-smi") is not None


def light_runtime(name: EngineName) -> Runtime:
    """Return what ONNX Runtime or OpenVINO computes with here.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    if not installed(name):
        raise missing(name)
    gpus: tuple[str, ...] = ()
    if name == "onnx":
        from napari_medcnn.engine.backends import onnx_engine

        gpus = onnx_engine.gpus()
    wanted = {"napari-medcnn", "numpy", _PARTS[name][0]}
    return Runtime(name, gpus, {k: v for k, v in versions().items() if k in wanted})


def load_runtime() -> Runtime:
    """Import Keras with its backend and look for GPUs.

    Raises
    ------
    MissingExtraError
        Keras or its backend is not installed in this Python; the message holds the one command.
    """
    absent = [m for m in ("keras", _backend()) if importlib.util.find_spec(m) is None]
    if absent:
        raise MissingExtraError(
            f"Running models needs {' and '.join(absent)}, not installed here. "
            'Install with: pip install "napari-medcnn[engine]"'
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    found = {"napari-medcnn": __version__, "keras": keras.__version__, "numpy": np.__version__}
    gpus: tuple[str, ...] = ()
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        found["tensorflow"] = tf.__version__
        gpus = _tensorflow_gpus(tf)
    elif backend == "jax":
        import jax

        found["jax"] = jax.__version__
        gpus = tuple(d.device_kind for d in jax.devices() if d.platform == "gpu")
    return Runtime(backend, gpus, found)


def _backend() -> str:
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def _short(number: str) -> str:
    """Return "3.15" of "3.15.1"."""
    return ".".join(number.split(".")[:2])


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
