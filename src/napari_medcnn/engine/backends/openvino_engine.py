"""OpenVINO on a CPU: reads its own format or ONNX, and is told to calculate in float32.

Left alone it takes bfloat16 on processors that have it.  Its usage statistics are never loaded, so that nothing is
sent: without that module OpenVINO falls back to a stub of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from napari_medcnn.core.spec import Activation
from napari_medcnn.engine.backends import Float32, Forward, errors_of, failed, to_last
from napari_medcnn.errors import ModelError

_STATISTICS = "openvino_telemetry"
HINTS = {"float32": "f32", "bfloat16": "bf16"}


def library() -> ModuleType:
    """Import OpenVINO without its usage statistics."""
    if _STATISTICS not in sys.modules:
        sys.modules[_STATISTICS] = None  # type: ignore[assignment]
    import openvino

    return openvino


def _errors() -> tuple[type[Exception], ...]:
    return errors_of(library()._pyopenvino)


def convert_keras(model: Any, target: Path) -> None:
    """Write a `keras.Model` on TensorFlow as OpenVINO's ``.xml`` and ``.bin``, raw outputs, weights in float32.

    Raises
    ------
    ModelError
        OpenVINO does not know one of its operations.
    """
    import tensorflow as tf

    from napari_medcnn.engine.backends.plain_norms import with_plain_norms

    openvino = library()
    signature = [tf.TensorSpec(model.inputs[0].shape, tf.float32)]
    plain = with_plain_norms(model)
    function = tf.function(lambda x: tf.cast(plain(x, training=False), tf.float32), input_signature=signature)
    try:
        concrete = function.get_concrete_function()
        # named, because OpenVINO also returns sizes that were calculated on the way
        converted = openvino.convert_model(concrete, output=[tensor.name for tensor in concrete.outputs])
        openvino.save_model(converted, str(target), compress_to_fp16=False)
    except _errors() as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(f"OpenVINO {openvino.__version__} cannot convert this network ({words})") from error


class OpenVinoNetwork:
    """A network of OpenVINO's own format or ONNX, compiled once for each window shape.

    Parameters
    ----------
    precision
        "float32", or "bfloat16" where the processor has it.
    channels_first
        Its axes are (batch, channel, *spatial); arrays are turned inside the compiled network.
    """

    def __init__(self, path: Path, precision: str, channels_first: bool = False) -> None:
        openvino = library()
        self._openvino = openvino
        self._core = openvino.Core()
        try:
            self._model = self._core.read_model(str(path))
        except _errors() as error:
            words = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{path.name}: OpenVINO {openvino.__version__} cannot open this model ({words})"
            ) from error
        self._hint, self._first = HINTS[precision], channels_first
        self.inputs, self.outputs = self._model.inputs, self._model.outputs
        self.input_shape = to_last(_sizes(self.inputs[0]), channels_first)
        self.output_shape = to_last(_sizes(self.outputs[0]), channels_first)
        self._raw: dict[tuple[int, ...], Any] = {}

    def raw(self, batch: Float32) -> Float32:
        """Return the network's own output, channels last; the last shape stays compiled."""
        if batch.shape not in self._raw:
            self._raw = {batch.shape: self._compile(batch.shape, "none", 1.0)}
        return self._run(self._raw[batch.shape], batch)[0]

    def compile_forward(self, shape: tuple[int, ...], activation: Activation, temperature: float) -> Forward:
        """Return the forward pass for one shape; the way to probabilities is part of the compiled network."""
        compiled = self._compile(shape, activation, temperature)

        def forward(batch: Float32) -> tuple[Float32, Float32, Float32]:
            scores, low, high = self._run(compiled, batch)
            return scores, low, high

        return forward

    def _compile(self, shape: tuple[int, ...], activation: Activation, temperature: float) -> Any:
        from openvino import opset13 as ops

        try:
            model = self._model.clone()
            given = (shape[0], shape[-1], *shape[1:-1]) if self._first else shape
            model.reshape({model.input(0): self._openvino.PartialShape(list(given))})
            parameters = model.get_parameters()
            if self._first:
                outside = ops.parameter(list(shape), np.float32)
                turned = ops.transpose(outside, np.array([0, len(shape) - 1, *range(1, len(shape) - 1)]))
                for target in parameters[0].output(0).get_target_inputs():
                    target.replace_source_output(turned.output(0))
                parameters = [outside]
            raw = model.get_results()[0].input_value(0)
            rank = len(raw.get_partial_shape())
            if self._first and rank > 2:
                raw = ops.transpose(raw, np.array([0, *range(2, rank), 1])).output(0)
            scores = raw
            if activation != "none":
                scaled = ops.divide(raw, np.float32(temperature))
                scores = ops.softmax(scaled, rank - 1) if activation == "softmax" else ops.sigmoid(scaled)
            axes = np.arange(rank - 1)
            # copies, so that no result is an alias of another
            ends = [scores, ops.reduce_min(raw, axes, False), ops.reduce_max(raw, axes, False)]
            whole = self._openvino.Model([ops.result(end) for end in ends], parameters, "forward")
            return self._core.compile_model(whole, "CPU", {"INFERENCE_PRECISION_HINT": self._hint})
        except _errors() as error:
            raise failed(error, "OpenVINO") from error

    def _run(self, compiled: Any, batch: Float32) -> list[Float32]:
        try:
            answers = compiled(np.ascontiguousarray(batch, dtype=np.float32))
        except _errors() as error:
            raise failed(error, "OpenVINO") from error
        # its own copies already
        return [np.asarray(answers[index], dtype=np.float32) for index in range(3)]


def _sizes(port: Any) -> list[int | None]:
    return [n.get_length() if n.is_static else None for n in port.get_partial_shape()]
