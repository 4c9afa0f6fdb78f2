"""What the engine answers: one function per verb, each from plain JSON to plain JSON."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core import paths
from napari_medcnn.core.options import ExplainOptions, PredictOptions, TrainOptions
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.runtime import Runtime, engines, has_gpu, load_runtime, out_of_memory_errors, versions
from napari_medcnn.errors import EngineError, InputError, MedcnnError
from napari_medcnn.io.package_rdf import ONNX, WEIGHTS
from napari_medcnn.worker.arrays import open_array
from napari_medcnn.worker.meta import volume_from_meta
from napari_medcnn.worker.protocol import PROTOCOL_VERSION, ArrayRef
from napari_medcnn.worker.server import Context, Handler

if TYPE_CHECKING:
    from napari_medcnn.engine.loading import Loaded
    from napari_medcnn.engine.models import ModelCache, Plan
    from napari_medcnn.engine.saliency.asking import Scan

    Attempts = Callable[[], Iterator[tuple[Loaded | None, str]]]

#: Keras is imported in the background if no job comes for so long after the start.
_IDLE_SECONDS = 1.0


def make_handlers() -> dict[str, Handler]:
    """Return verb -> handler; engines are imported when a model needs them, and their absence is an answer too."""
    engine = _Engine()
    return {
        "hello": engine.hello,
        "warm": engine.warm,
        "self_test": engine.self_test,
        "try_out": engine.try_out,
        "prepare_engine": engine.prepare_engine,
        "predict": engine.predict,
        "explain": engine.explain,
        "check_map": engine.check_map,
        "train": engine.train,
        "forget": engine.forget,
    }


class _Engine:
    def __init__(self) -> None:
        self._models: ModelCache | None = None
        self._preloading: threading.Timer | None = None

    def _ready(self) -> ModelCache:
        """Return the models; from now on Keras is imported only if one of them needs it."""
        if self._preloading is not None:
            self._preloading.cancel()  # has no effect once it runs
        if self._models is None:
            from napari_medcnn.engine.models import ModelCache

            self._models = ModelCache(load_keras=self._keras)
        return self._models

    def _keras(self) -> Runtime:
        """Import Keras, after waiting for the import that hello may have begun."""
        if self._preloading is not None:
            self._preloading.join()
        return load_runtime()

    def hello(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Say what is installed, at once.

        If no job follows soon (a window was opened), Keras is imported in the background, so that the first run finds
        it; not where models are at hand that a lighter engine runs.
        """
        here = engines()
        if not any(here.values()):
            load_runtime()  # says what is missing
        if here["keras"] and self._models is None and self._preloading is None and not _lighter():
            self._preloading = threading.Timer(_IDLE_SECONDS, _preload)
            self._preloading.daemon = True
            self._preloading.start()
        return {
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "engines": here,
            "versions": versions(),
            "devices": ["CPU", *(["GPU"] if has_gpu() else [])],
        }

    def _open(self, body: dict[str, Any], context: Context) -> tuple[Loaded, Runtime, str]:
        """Return the model of a request, what runs it, and where, in words."""
        models = self._ready()
        plan = models.plan(body, context.check_cancel)
        device = plan.runtime.device(str(body.get("device", "auto")))
        loaded = models.open(plan, device)
        return loaded, plan.runtime, f"{plan.runtime.describe(device)}, {loaded.engine}"

    def warm(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Open a model and trace it at its own window, so that the first click is fast."""
        loaded, _, device = self._open(body, context)
        context.check_cancel()
        spec = loaded.spec
        if spec.tile:
            shape = (1, *spec.tile, spec.preparation.network_channels)
            loaded.forward(shape)(np.zeros(shape, np.float32))
        return {"name": spec.name, "sha256": spec.sha256, "device": device}

    def self_test(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Compare the network's output with the package's test tensors."""
        from napari_medcnn.engine.loading import self_test

        loaded, runtime, device = self._open(body, context)
        return {**self_test(loaded), "device": device, "versions": runtime.versions}

    def try_out(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Run a model that nobody has run yet on the noise it is given; its raw answer goes into ``output``."""
        from napari_medcnn.engine.loading import try_out

        loaded, runtime, device = self._open(body, context)
        output = _array(body, "output", "r+")
        output[...] = try_out(loaded, np.array(_array(body, "input")), output.shape)
        return {"device": device, "versions": runtime.versions}

    def prepare_engine(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Convert a model for another engine, compare, time both, and keep the verdict for the choice "auto"."""
        models = self._ready()
        kind, precision = str(body.get("engine", "openvino")), str(body.get("precision", "float32"))
        if kind not in ("keras", "onnx", "openvino") or precision not in ("float32", "bfloat16"):
            raise InputError(
                f"engine: expected keras, onnx or openvino in float32 or bfloat16, got {kind}, {precision}"
            )
        context.progress(None, "Opening the model")
        source = models.source(body)
        context.progress(None, "Preparing and comparing")
        verdict = models.prepare(source, kind, precision, context.check_cancel)  # type: ignore[arg-type]
        return {
            "engine": models.runtime(verdict.engine).engine(verdict.engine, precision),  # type: ignore[arg-type]
            "parity": verdict.parity,
            "seconds": verdict.seconds,
            "faster": verdict.faster,
            "on": verdict.on,
            "words": verdict.words(),
        }

    def predict(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Run a model on a scan; the mask goes into the arrays the request names."""
        from napari_medcnn.engine.predict import predict
        from napari_medcnn.engine.windows import Outputs

        options = PredictOptions.from_json(body.get("options") or {})
        volume = volume_from_meta(_array(body, "volume"), body["meta"])
        options = replace(options, frame=_frame(options.frame, volume))
        context.progress(None, "Opening the model")
        plan = self._ready().plan(body, context.check_cancel)
        runtime = plan.runtime
        attempts, short = self._attempts(plan, options.device)
        out = Outputs(
            *(_array(body, k, "r+") if body.get(k) else None for k in ("labels", "uncertainty", "probabilities"))
        )
        try:
            result = predict(attempts, volume, options, out, context, short)
        except MemoryError as error:
            raise EngineError(
                "There is not enough memory for this scan and model, even with smaller windows; close other programs "
                "or crop the scan.",
                state="out of memory",
            ) from error
        return {**result, "warnings": [*plan.notes, *result["warnings"]], "versions": runtime.versions}

    def _attempts(self, plan: Plan, wanted: str) -> tuple[Attempts, tuple[type[BaseException], ...]]:
        """Return what opens a model on the device wanted, then on the CPU, and what is raised where memory is short."""
        models, runtime = self._ready(), plan.runtime
        short = out_of_memory_errors(runtime)

        def opened(device: str) -> Loaded | None:
            try:
                return models.open(plan, device)
            except short:  # the weights alone can be too much for a GPU that others use
                return None

        def attempts() -> Iterator[tuple[Loaded | None, str]]:
            words = runtime.engine(plan.kind, plan.precision)
            device = runtime.device(wanted)
            yield opened(device), f"{runtime.describe(device)}, {words}"
            if device != "cpu:0":
                yield opened("cpu:0"), f"{runtime.describe('cpu:0')}, {words}"

        return attempts, short

    def explain(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Ask a model why; the map goes into the array ``map``."""
        from napari_medcnn.engine.saliency.explain import explain

        with _saliency_memory():
            attempts, scan, plan = self._question(body, context)
            result = explain(attempts, scan, _array(body, "map", "r+"))
        return {**result, "warnings": [*plan.notes, *result["warnings"]], "versions": plan.runtime.versions}

    def check_map(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Check a map that ``explain`` made for the same question."""
        from napari_medcnn.engine.saliency.check import check_map

        with _saliency_memory():
            attempts, scan, plan = self._question(body, context)
            reference = _array(body, "reference") != 0 if body.get("reference") else None
            result = check_map(attempts, scan, np.array(_array(body, "map")), reference)
        return {**result, "versions": plan.runtime.versions}

    def _question(self, body: dict[str, Any], context: Context) -> tuple[Attempts, Scan, Plan]:
        """Read a request about a map."""
        from napari_medcnn.engine.saliency.asking import Scan, question_plan

        options = ExplainOptions.from_json(body.get("options") or {})
        if body.get("layer"):
            options = replace(options, layer=str(body["layer"]))
        volume = volume_from_meta(_array(body, "volume"), body["meta"])
        options = replace(options, frame=_frame(options.frame, volume))
        region = _array(body, "region") != 0 if body.get("region") else None
        context.progress(None, "Opening the model")
        plan = question_plan(self._ready(), body, options, context.check_cancel)
        attempts, short = self._attempts(plan, options.device)
        return attempts, Scan(volume, region, options, context, short), plan

    def train(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Fine-tune a model on a dataset table into a new package."""
        from napari_medcnn.engine.train import TrainJob, train

        models = self._ready()
        runtime = models.runtime("keras")
        options = dict(body.get("options") or {})
        options["flips"] = tuple(options.get("flips") or ())
        wanted = TrainOptions(**options)
        job = TrainJob.from_body(body, wanted, runtime)
        loaded = models.get(body, runtime.device(wanted.device), context.check_cancel, "keras", "float32")
        try:
            return train(job, loaded, context)
        finally:
            models.clear()  # its weights were changed: the cached model is no longer the package's

    def forget(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Drop all models; the process and the libraries stay."""
        if self._models is not None:
            self._models.clear()
        return {}


@contextlib.contextmanager
def _saliency_memory() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise EngineError(
            "There is not enough memory to explain this scan, even with the smallest windows; close other programs, "
            "crop the scan, or choose the method occlusion.",
            state="out of memory",
        ) from error


def _frame(frame: int, volume: Volume) -> int:
    """Return the time point to take of what was handed over: one may have been chosen before the hand-over."""
    if frame < volume.frames:
        return frame
    if volume.axes.startswith("t"):
        raise InputError(f"frame: expected 0 to {volume.frames - 1}, got {frame}")
    return 0


def _lighter() -> bool:
    """Return True if a model of the user's is ONNX, or was made ready for OpenVINO and is faster with it."""
    from napari_medcnn.engine.parity import Verdicts

    onnx = any(not (file.parent / WEIGHTS).exists() for file in paths.user_models().glob(f"*/{ONNX}"))
    return onnx or Verdicts().any_faster()


def _preload() -> None:
    """Import Keras and its backend; what goes wrong is said by the first job that needs it."""
    with contextlib.suppress(MedcnnError, ImportError, OSError, RuntimeError, ValueError, AttributeError):
        load_runtime()


def _array(body: dict[str, Any], key: str, mode: Any = "r") -> npt.NDArray[Any]:
    return open_array(ArrayRef.from_json(body[key]), mode)
