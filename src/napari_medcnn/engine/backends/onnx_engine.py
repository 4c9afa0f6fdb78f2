"""ONNX Runtime: runs a package's ``weights.onnx``, on a CPU or, with the GPU build of ONNX Runtime, on CUDA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.spec import Activation
from napari_medcnn.engine.backends import Float32, Forward, errors_of, failed, finish, to_last
from napari_medcnn.errors import ModelError

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def gpus() -> tuple[str, ...]:
    """Return the GPUs that this build of ONNX Runtime can use."""
    import onnxruntime

    return ("CUDA",) if CUDA in onnxruntime.get_available_providers() else ()


def _errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    return errors_of(native)


class OnnxNetwork:
    """An opened ONNX model whose file was looked into before (`io.onnx_header.check_onnx_file`).

    Parameters
    ----------
    channels_first
        Its axes are (batch, channel, *spatial); arrays are turned at the boundary.
    """

    def __init__(self, path: Path, device: str, channels_first: bool) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        providers = [CUDA, CPU] if device.startswith("gpu") else [CPU]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except _errors() as error:
            words = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{path.name}: ONNX Runtime {onnxruntime.__version__} cannot open this model ({words})"
            ) from error
        self._first = channels_first
        self.inputs, self.outputs = self._session.get_inputs(), self._session.get_outputs()
        self.input_shape = to_last(self.inputs[0].shape, channels_first)
        self.output_shape = to_last(self.outputs[0].shape, channels_first)

    def raw(self, batch: Float32) -> Float32:
        """Return the network's own output, channels last."""
        given = np.ascontiguousarray(np.moveaxis(batch, -1, 1) if self._first else batch, dtype=np.float32)
        try:
            answer: Any = self._session.run([self.outputs[0].name], {self.inputs[0].name: given})[0]
        except _errors() as error:
            raise failed(error, "ONNX Runtime") from error
        if self._first and answer.ndim > 2:
            answer = np.moveaxis(answer, 1, -1)
        return np.ascontiguousarray(answer, dtype=np.float32)

    def compile_forward(self, shape: tuple[int, ...], activation: Activation, temperature: float) -> Forward:
        """Return the forward pass; one session takes every shape."""
        return lambda batch: finish(self.raw(batch), activation, temperature)
