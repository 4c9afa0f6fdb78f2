"""A network in memory with its card, whichever engine runs it; and the checks that it is what its card says."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine.backends import EngineName, Float32, Forward
from napari_medcnn.engine.weights import check_room
from napari_medcnn.errors import ModelError
from napari_medcnn.io.onnx_header import check_onnx_file
from napari_medcnn.io.packages import Package, load_tests

#: Largest relative difference between what a package promises and what the network gives here (other CPUs sum in
#: another order: 1e-5; a wrong weight or layer: above 1e-2).
SELF_TEST_TOLERANCE = 1e-3
_COMPILED_KEPT = 4
#: Engines that lay weights out anew for the processor hold them twice.
_COPIES = {"keras": 1, "onnx": 2, "openvino": 2}


@dataclass(eq=False)
class Loaded:
    """A network in memory with all that is needed to run it.

    Parameters
    ----------
    model
        A `keras.Model`, or a `backends.Network` of another engine.
    weight_bytes
        What its weights take.
    code
        sha256 by name of the trusted modules it was opened with.
    kind, engine
        What runs it, and in words with versions.
    traces
        What `engine.saliency` has traced of it: it lives as long as the network does.
    starts
        Seconds that tracing it took there last, by whether a gradient was wanted.
    """

    model: Any
    spec: ModelSpec
    device: str
    weight_bytes: int
    package: Package | None = None
    code: dict[str, str] = field(default_factory=dict)
    kind: EngineName = "keras"
    engine: str = ""
    traces: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    starts: dict[bool, float] = field(default_factory=dict)
    _compiled: OrderedDict[tuple[int, ...], Forward] = field(default_factory=OrderedDict)

    def forward(self, shape: tuple[int, ...]) -> Forward:
        """Return the compiled forward pass for inputs (batch, *spatial, channel); the last few shapes are kept."""
        if shape not in self._compiled:
            while len(self._compiled) >= _COMPILED_KEPT:
                self._compiled.popitem(last=False)
            self._compiled[shape] = self._compile(shape)
        self._compiled.move_to_end(shape)
        return self._compiled[shape]

    def ready(self, shape: tuple[int, ...]) -> bool:
        """Return True if `forward` was compiled for this shape before."""
        return shape in self._compiled

    def raw(self, batch: Float32) -> Float32:
        """Return the network's own output, float32, for inputs (batch, *spatial, channel)."""
        if self.kind == "keras":
            from napari_medcnn.engine.backends.keras_engine import raw

            return raw(self.model, batch, self.device)
        return np.asarray(self.model.raw(batch))

    @property
    def fixed_shape(self) -> tuple[int | None, ...]:
        """Spatial sizes the network insists on, None where it takes any."""
        return tuple(self.model.input_shape[1:-1])

    @property
    def memory_bytes(self) -> int:
        """About what it takes in memory while it waits."""
        return self.weight_bytes * _COPIES[self.kind]

    def _compile(self, shape: tuple[int, ...]) -> Forward:
        spec = self.spec
        if self.kind == "keras":
            from napari_medcnn.engine.backends.keras_engine import compile_forward

            return compile_forward(self.model, shape, spec.activation, spec.temperature, self.device)
        forward: Forward = self.model.compile_forward(shape, spec.activation, spec.temperature)
        return forward


def open_model(weights: Path, spec: ModelSpec, device: str, package: Package | None, code: dict[str, str]) -> Loaded:
    """Look into a ``.keras`` file, then load it in Keras's safe mode and compare it with its card."""
    from napari_medcnn.engine.backends.keras_engine import open_keras

    model, size = open_keras(weights, device, bool(code))
    return fitting(Loaded(model, spec, device, size, package, code))


def open_onnx(weights: Path, spec: ModelSpec, device: str, package: Package | None, code: dict[str, str]) -> Loaded:
    """Look into an ``.onnx`` file, then open it with ONNX Runtime and compare it with its card."""
    from napari_medcnn.engine.backends.onnx_engine import OnnxNetwork

    first = channels_first(weights, package)
    check_room(weights)
    network = OnnxNetwork(weights, device, first)
    return fitting(Loaded(network, spec, device, weights.stat().st_size, package, code, "onnx"))


def open_openvino(
    weights: Path, spec: ModelSpec, precision: str, package: Package | None, code: dict[str, str]
) -> Loaded:
    """Open OpenVINO's own format, or an ``.onnx`` file after looking into it, and compare it with the card."""
    from napari_medcnn.engine.backends.openvino_engine import OpenVinoNetwork

    onnx = weights.suffix == ".onnx"
    first = onnx and channels_first(weights, package)
    check_room(weights if onnx else weights.with_suffix(".bin"))
    size = (weights if onnx else weights.with_suffix(".bin")).stat().st_size
    network = OpenVinoNetwork(weights, precision, first)
    return fitting(Loaded(network, spec, "cpu:0", size, package, code, "openvino"))


def channels_first(weights: Path, package: Package | None) -> bool:
    """Look into an ``.onnx`` file and return True if its axes are (batch, channel, *spatial)."""
    layout = check_onnx_file(weights)["layout"]
    return (package.layout if package is not None else layout) == "first"


def fitting(loaded: Loaded) -> Loaded:
    """Return a network that fits its card.

    Raises
    ------
    ModelError
        It does not.
    """
    problem = misfit(loaded.model, loaded.spec)
    if problem:
        raise ModelError(f"{loaded.spec.name}: {problem}")
    return loaded


def misfit(model: Any, spec: ModelSpec) -> str:
    """Return in words how the network differs from its card; "" if it does not."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return f"expected one input and one output, the network has {len(model.inputs)} and {len(model.outputs)}"
    dimensions, outputs = spec.preparation.dimensions, len(spec.decision.ids)
    channels = spec.preparation.network_channels
    given = model.input_shape
    if len(given) != dimensions + 2 or given[-1] not in (channels, None):
        return f"the card says {dimensions}D with {channels} channels, the network takes {given[1:]} (channels last)"
    got = model.output_shape
    wanted_rank = dimensions + 2 if spec.task == "segmentation" else 2
    if len(got) != wanted_rank:
        return f"the card says {spec.task}, but the network's output has the shape {got[1:]}"
    if got[-1] not in (outputs, None):
        return f"the card names {outputs} output channels, the network gives {got[-1]}"
    if spec.tile and any(n is not None and n != t for n, t in zip(given[1:-1], spec.tile, strict=True)):
        return f"the card says windows of {spec.tile}, the network takes only {given[1:-1]}"
    return ""


def self_test(loaded: Loaded) -> dict[str, Any]:
    """Run the package's test input and compare with its test output.

    Returns
    -------
    dict
        ``largest_difference``, relative to the largest value of the promised output, and ``shape``.

    Raises
    ------
    ModelError
        There are no test tensors, or the network gives something else than its package promises.
    """
    if loaded.package is None:
        raise ModelError(f"{loaded.spec.name}: a bare network has no test tensors; make a package of it first")
    given, promised = load_tests(loaded.package)
    got = loaded.raw(given)
    if got.shape != promised.shape:
        raise ModelError(f"{loaded.spec.name}: expected a test output of shape {promised.shape}, got {got.shape}")
    scale = max(float(np.abs(promised).max()), 1e-6)
    difference = float(np.abs(got - promised).max()) / scale
    if not difference <= SELF_TEST_TOLERANCE:  # also for NaN
        raise ModelError(
            f"{loaded.spec.name}: its output differs from the recorded one by {difference:.2g} of the largest value "
            f"(allowed {SELF_TEST_TOLERANCE:g}); the model or this computer's libraries are not to be trusted"
        )
    return {"ok": True, "largest_difference": difference, "shape": list(got.shape)}


def try_out(loaded: Loaded, given: Any, shape: tuple[int, ...]) -> Any:
    """Return the network's raw answer, float32, to `given` (1, *spatial, channel), after checking it.

    Raises
    ------
    ModelError
        The answer has not the `shape` its card promises, is not finite, or is no probability although the card says so.
    """
    name = loaded.spec.name
    try:
        got = loaded.raw(given)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError, ModelError) as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{name}: the network does not run on an input of {given.shape[1:]} ({type(error).__name__}: {words})"
        ) from error
    if got.shape != shape:
        raise ModelError(
            f"{name}: for an input of {given.shape[1:]} expected an output of {shape[1:]}, got {got.shape[1:]}; a "
            "segmentation network must answer at the size it is asked"
        )
    if not np.isfinite(got).all():
        raise ModelError(f"{name}: the network answers plain noise with numbers that are not finite; it is damaged")
    if loaded.spec.activation == "none" and (got.min() < -1e-3 or got.max() > 1 + 1e-3):
        raise ModelError(f"{name}: expected probabilities from 0 to 1, got {got.min():.3g} to {got.max():.3g}")
    return got
