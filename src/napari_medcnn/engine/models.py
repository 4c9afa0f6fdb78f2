"""Which engine runs a model, and the opened models: the last few are kept, whatever runs them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine.backends import EngineName
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.parity import Verdict, Verdicts
from napari_medcnn.engine.prepare import Source, open_source, prepare
from napari_medcnn.engine.runtime import Runtime, installed, light_runtime, load_runtime, missing
from napari_medcnn.engine.trust import sha256_of, trust
from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.io.packages import Package, read_package

Check = Callable[[], None]


@dataclass(frozen=True)
class Plan:
    """What will run a model: `notes` say what a person should know about the choice."""

    source: Source
    kind: EngineName
    precision: str
    runtime: Runtime
    notes: tuple[str, ...] = ()


class ModelCache:
    """Opened models, the longest unused forgotten first.

    Parameters
    ----------
    runtime
        Of Keras, where it is loaded already; else it is imported when the first model needs it.
    cap_bytes
        About the memory of all models kept; one model may be larger.
    load_keras
        Imports Keras.
    """

    def __init__(
        self,
        runtime: Runtime | None = None,
        cap_bytes: int = 2 * 2**30,
        load_keras: Callable[[], Runtime] = load_runtime,
    ) -> None:
        self._load_keras = load_keras
        self._runtimes: dict[EngineName, Runtime] = {} if runtime is None else {"keras": runtime}
        self._cap = cap_bytes
        self._models: OrderedDict[tuple[str, ...], Loaded] = OrderedDict()
        self._packages: dict[Path, tuple[tuple[tuple[Any, ...], ...], Package]] = {}
        self.verdicts = Verdicts()

    def runtime(self, kind: EngineName) -> Runtime:
        """Return what an engine computes with; the first call imports it.

        Raises
        ------
        MissingExtraError
            It is not installed.
        """
        if kind not in self._runtimes:
            self._runtimes[kind] = self._load_keras() if kind == "keras" else light_runtime(kind)
        return self._runtimes[kind]

    def get(
        self, body: dict[str, Any], device: str, check: Check = lambda: None, engine: str = "", precision: str = ""
    ) -> Loaded:
        """Return the model that a request names, opened now or earlier.

        Parameters
        ----------
        body
            ``model``: path of a package, or of a ``.keras`` or ``.onnx`` file with its ``spec``; ``code``: trusted
            modules; ``options``: engine and precision, unless given here.
        device
            "cpu:0" or "gpu:0".
        check
            Called between steps; may raise to cancel.

        Raises
        ------
        ModelError, UnsafeModelError
            Damaged, unsafe, unknown layers, its input and output do not fit its card, or the engine asked for gives
            other results.
        """
        return self.open(self.plan(body, check, engine, precision), device)

    def plan(self, body: dict[str, Any], check: Check = lambda: None, engine: str = "", precision: str = "") -> Plan:
        """Decide what runs the model that a request names; see `get`."""
        options = dict(body.get("options") or {})
        engine = engine or str(options.get("engine") or "auto")
        precision = precision or str(options.get("precision") or "float32")
        on_gpu = str(options.get("device") or body.get("device") or "auto") == "gpu"
        source = self.source(body)
        check()
        if engine == "openvino" and on_gpu:
            raise InputError("device: OpenVINO runs on the CPU here; choose the device auto or cpu")
        if engine == "auto":
            kind, notes = self._best(source, precision, on_gpu)
        else:
            kind, notes = self._asked(source, engine), tuple[str, ...]()
        runtime = self.runtime(kind)  # says first what is not installed
        if kind == "onnx" and precision != "float32":
            raise InputError("precision: ONNX Runtime calculates in float32; choose float32, or the engine openvino")
        if (kind, precision) != (source.native, "float32"):
            notes += self._insist(source, kind, precision, check)
        return Plan(source, kind, precision, runtime, notes)

    def source(self, body: dict[str, Any]) -> Source:
        """Read what a request names; every sha256 of a package is compared whenever one of its files changed."""
        path = Path(str(body["model"]))
        package = None if "spec" in body else self._package(path)
        spec = package.spec if package else ModelSpec.from_json(body["spec"], sha256_of(path))
        weights = package.weights if package else path
        names = body.get("code") or ()
        if names:
            self.runtime("keras")  # such code imports Keras
        code = trust(names)
        return Source(spec, weights, package, code, spec.sha256 or sha256_of(weights))

    def _package(self, path: Path) -> Package:
        """Open a package, or take it as it was opened: reading its card costs more than running a small model."""
        if not path.is_dir():
            return read_package(path)
        state = _state(path)
        if path in self._packages and self._packages[path][0] == state:
            return self._packages[path][1]
        self._packages[path] = (state, read_package(path))
        return self._packages[path][1]

    def open(self, plan: Plan, device: str) -> Loaded:
        """Return the opened model of a plan."""
        source = plan.source
        kept = (source.sha256, repr(source.spec.to_json()), device, plan.kind, plan.precision, *source.code.values())
        if kept not in self._models:
            self._make_room(source.weights.stat().st_size)
            loaded = open_source(source, plan.kind, plan.precision, device, self.verdicts)
            loaded.engine = plan.runtime.engine(plan.kind, plan.precision)
            self._models[kept] = loaded
        self._models.move_to_end(kept)
        return self._models[kept]

    def prepare(self, source: Source, kind: EngineName, precision: str, check: Check) -> Verdict:
        """Convert and compare anew; see `prepare.prepare`."""
        self.runtime(self._asked(source, kind))
        native = source.native
        reference = self.runtime(native) if installed(native) else self.runtime(kind)
        return prepare(source, kind, precision, reference, self.verdicts, check)

    def clear(self) -> None:
        """Forget all models."""
        self._models.clear()
        self._packages.clear()
        if "keras" in self._runtimes:
            import keras

            keras.backend.clear_session()

    def _make_room(self, coming: int) -> None:
        while self._models and sum(m.memory_bytes for m in self._models.values()) + coming > self._cap:
            self._models.popitem(last=False)

    def _best(self, source: Source, precision: str, on_gpu: bool) -> tuple[EngineName, tuple[str, ...]]:
        """Return the fastest engine that is known to give equal results, and what to say about the choice."""
        notes: tuple[str, ...] = ()
        if installed("openvino") and not on_gpu and not source.code:
            verdict = self.verdicts.read(source.sha256, "openvino", precision)
            if verdict is not None and verdict.ok and verdict.faster and verdict.on == "test tensors":
                return "openvino", ()
            if verdict is not None and not verdict.ok:
                notes = (f"OpenVINO gives other results for this model ({verdict.words()}), so it is not used.",)
        if source.native == "onnx":
            for kind in ("onnx", "openvino"):
                if installed(kind):
                    return kind, notes
            raise missing("onnx", "openvino")
        if not installed("keras") and source.onnx is not None and installed("onnx"):
            return "onnx", notes
        return "keras", notes

    def _asked(self, source: Source, engine: str) -> EngineName:
        if engine == "keras" and source.native == "onnx":
            raise ModelError(f"{source.spec.name}: it holds no Keras weights; choose the engine auto, onnx or openvino")
        if engine == "onnx" and source.onnx is None:
            raise ModelError(
                f"{source.spec.name}: it holds no ONNX weights for ONNX Runtime; choose the engine auto, keras or "
                "openvino"
            )
        return engine  # type: ignore[return-value]

    def _insist(self, source: Source, kind: EngineName, precision: str, check: Check) -> tuple[str, ...]:
        """Refuse an engine that was not found equal; what was not compared yet is compared now."""
        untested = source.package is None or source.package.tests is None
        if untested and source.native == "onnx" and not installed("onnx"):
            return ("There is nothing to compare OpenVINO's results with: the model has no test tensors.",)
        verdict = self.verdicts.read(source.sha256, kind, precision)
        if verdict is None:
            verdict = self.prepare(source, kind, precision, check)
        if not verdict.ok:
            words = self.runtime(kind).engine(kind, precision)
            raise ModelError(
                f"{source.spec.name}: {words} gives other results than {source.native} in float32 "
                f"({verdict.words()}), so it is refused; choose the engine auto and the precision float32"
            )
        return ()


def _state(folder: Path) -> tuple[tuple[Any, ...], ...]:
    """Return what changes with any file of a folder; the time of the last change (ctime) cannot be set back."""
    found = [(file.name, file.lstat()) for file in sorted(folder.iterdir())]
    return tuple((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in found)
