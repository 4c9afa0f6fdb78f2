"""Make a model ready for another engine: convert, compare with the reference, time both, keep the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine import loading
from napari_medcnn.engine.backends import EngineName, Float32
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.parity import Verdict, Verdicts, compare, save_verdict, seconds_of
from napari_medcnn.engine.runtime import Runtime, installed
from napari_medcnn.engine.trust import sha256_of
from napari_medcnn.errors import ModelError
from napari_medcnn.io.packages import Package, load_tests

_SEED = 20261121
_NOISE = {2: 64, 3: 32}


@dataclass(frozen=True)
class Source:
    """A model as a request names it: its card, its native weights (``.keras`` or ``.onnx``), its package or None."""

    spec: ModelSpec
    weights: Path
    package: Package | None
    code: dict[str, str]
    sha256: str

    @property
    def native(self) -> EngineName:
        """The engine its weights were made for."""
        return "onnx" if self.weights.suffix.lower() == ".onnx" else "keras"

    @property
    def onnx(self) -> Path | None:
        """Its ONNX weights."""
        if self.native == "onnx":
            return self.weights
        return self.package.onnx if self.package is not None else None


def open_source(source: Source, kind: EngineName, precision: str, device: str, verdicts: Verdicts) -> Loaded:
    """Open a model with one engine; for OpenVINO from Keras it must have been converted."""
    spec, package, code = source.spec, source.package, source.code
    if kind == "keras":
        loaded = loading.open_model(source.weights, spec, device, package, code)
        if precision == "bfloat16":
            from napari_medcnn.engine.backends.keras_engine import in_bfloat16

            loaded.model = in_bfloat16(loaded.model)
        return loaded
    if kind == "onnx":
        if source.onnx is None:
            raise ModelError(
                f"{spec.name}: it holds no ONNX weights for ONNX Runtime; choose the engine auto, keras or openvino"
            )
        return loading.open_onnx(source.onnx, spec, device, package, code)
    path = source.weights if source.native == "onnx" else verdicts.converted(source.sha256, kind, precision)
    return loading.open_openvino(path, spec, precision, package, code)


def prepare(
    source: Source, kind: EngineName, precision: str, runtime: Runtime, verdicts: Verdicts,
    check: Callable[[], None] = lambda: None,
) -> Verdict:  # fmt: skip
    """Convert where needed, compare on the model's test tensors (else on seeded noise), time, and keep the verdict.

    Parameters
    ----------
    runtime
        Of the reference engine, for its device.

    Raises
    ------
    ModelError
        It cannot be converted, or there is nothing to compare with.
    """
    name, sha = source.spec.name, source.sha256
    given, promised = _tests(source)
    reference = _reference(source, kind, runtime, verdicts)
    check()
    with verdicts.writing(sha, kind, precision) as folder:
        if kind == "openvino" and source.native == "keras":
            if reference is None:
                raise ModelError(f"{name}: converting it needs Keras, which is not installed here")
            from napari_medcnn.engine.backends import openvino_engine

            path = folder / "model.xml"
            openvino_engine.convert_keras(reference.model, path)
            check()
            other = loading.open_openvino(path, source.spec, precision, source.package, source.code)
        else:
            other = open_source(source, kind, precision, "cpu:0", verdicts)
        check()
        expected = reference.raw(given) if reference is not None else promised
        if expected is None:
            raise ModelError(
                f"{name}: there is nothing to compare {kind} with: the package has no test tensors, and no other "
                "engine is installed"
            )
        parity = compare(expected, other.raw(given), source.spec, precision)
        rivals = {"other": other} if reference is None else {"other": other, reference.kind: reference}
        runs = [partial(rival.forward(given.shape), given) for rival in rivals.values()]
        seconds = dict(zip(rivals, seconds_of(runs, check), strict=True))
        files = {p.name: sha256_of(p) for p in sorted(folder.iterdir())}
        on = "test tensors" if promised is not None else "noise"
        verdict = Verdict(verdicts.key(sha, kind, precision), kind, parity, seconds, files, on)
        save_verdict(folder, verdict)
    return verdict


def _tests(source: Source) -> tuple[Float32, Float32 | None]:
    """Return the test input and promised output; seeded noise of the network's size and None where there are none."""
    if source.package is not None and source.package.tests is not None:
        given, promised = load_tests(source.package)
        return given, promised
    spec = source.spec
    size = spec.tile or (_NOISE[spec.preparation.dimensions],) * spec.preparation.dimensions
    for name, arguments in spec.preparation.steps:
        size = tuple(arguments["shape"]) if name == "fit_shape" else size
    shape = (1, *size, spec.preparation.network_channels)
    return np.random.default_rng(_SEED).standard_normal(shape, dtype=np.float32), None


def _reference(source: Source, kind: EngineName, runtime: Runtime, verdicts: Verdicts) -> Any:
    """Open the model with its native engine in float32; None where that is not installed."""
    if not installed(source.native):
        return None
    if source.native == kind == "onnx":
        return None
    return open_source(source, source.native, "float32", runtime.device("auto"), verdicts)
