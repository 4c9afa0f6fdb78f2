"""What the engine answers: one function per verb, each from plain JSON to plain JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.options import PredictOptions, TrainOptions
from napari_medcnn.engine.runtime import Runtime, load_runtime, out_of_memory_errors
from napari_medcnn.errors import EngineError, InputError
from napari_medcnn.worker.arrays import open_array
from napari_medcnn.worker.meta import volume_from_meta
from napari_medcnn.worker.protocol import PROTOCOL_VERSION, ArrayRef
from napari_medcnn.worker.server import Context, Handler

if TYPE_CHECKING:
    from napari_medcnn.engine.loading import Loaded, ModelCache


def make_handlers() -> dict[str, Handler]:
    """Return verb -> handler; Keras is imported by the first of them, so that its absence is an answer too."""
    engine = _Engine()
    return {
        "hello": engine.hello,
        "warm": engine.warm,
        "self_test": engine.self_test,
        "try_out": engine.try_out,
        "predict": engine.predict,
        "train": engine.train,
        "forget": engine.forget,
    }


class _Engine:
    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._models: ModelCache | None = None

    def _ready(self) -> tuple[Runtime, ModelCache]:
        if self._runtime is None or self._models is None:
            self._runtime = load_runtime()
            from napari_medcnn.engine.loading import ModelCache

            self._models = ModelCache(self._runtime)
        return self._runtime, self._models

    def hello(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Import everything slow, and say what there is."""
        runtime, _ = self._ready()
        return {
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "backend": runtime.backend,
            "versions": runtime.versions,
            "devices": ["CPU", *runtime.gpus],
        }

    def warm(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Open a model and trace it at its own window, so that the first click is fast."""
        runtime, models = self._ready()
        device = runtime.device(str(body.get("device", "auto")))
        loaded = models.get(body, device, context.check_cancel)
        context.check_cancel()
        spec = loaded.spec
        if spec.tile:
            shape = (1, *spec.tile, spec.preparation.network_channels)
            loaded.forward(shape)(np.zeros(shape, np.float32))
        return {"name": spec.name, "sha256": spec.sha256, "device": runtime.describe(device)}

    def self_test(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Compare the network's output with the package's test tensors."""
        from napari_medcnn.engine.loading import self_test

        runtime, models = self._ready()
        device = runtime.device(str(body.get("device", "auto")))
        tested = self_test(models.get(body, device, context.check_cancel))
        return {**tested, "device": runtime.describe(device), "versions": runtime.versions}

    def try_out(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Run a model that nobody has run yet on the noise it is given; its raw answer goes into ``output``."""
        from napari_medcnn.engine.loading import try_out

        runtime, models = self._ready()
        device = runtime.device(str(body.get("device", "auto")))
        loaded = models.get(body, device, context.check_cancel)
        output = _array(body, "output", "r+")
        output[...] = try_out(loaded, np.array(_array(body, "input")), output.shape)
        return {"device": runtime.describe(device), "versions": runtime.versions}

    def predict(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Run a model on a scan; the mask goes into the arrays the request names."""
        from napari_medcnn.engine.predict import predict
        from napari_medcnn.engine.windows import Outputs

        runtime, models = self._ready()
        options = PredictOptions.from_json(body.get("options") or {})
        volume = volume_from_meta(_array(body, "volume"), body["meta"])
        if options.frame >= volume.frames:  # a frame may have been chosen before the hand-over
            if volume.axes.startswith("t"):
                raise InputError(f"frame: expected 0 to {volume.frames - 1}, got {options.frame}")
            options = replace(options, frame=0)
        context.progress(None, "Opening the model")

        short = out_of_memory_errors(runtime)

        def opened(device: str) -> Loaded | None:
            try:
                return models.get(body, device, context.check_cancel)
            except short:  # the weights alone can be too much for a GPU that others use
                return None

        def attempts() -> Iterator[tuple[Loaded | None, str]]:
            device = runtime.device(options.device)
            yield opened(device), runtime.describe(device)
            if device != "cpu:0":
                yield opened("cpu:0"), runtime.describe("cpu:0")

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
        return {**result, "versions": runtime.versions}

    def train(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Fine-tune a model on a dataset table into a new package."""
        from napari_medcnn.engine.train import TrainJob, train

        runtime, models = self._ready()
        options = dict(body.get("options") or {})
        options["flips"] = tuple(options.get("flips") or ())
        wanted = TrainOptions(**options)
        job = TrainJob.from_body(body, wanted, runtime)
        loaded = models.get(body, runtime.device(wanted.device), context.check_cancel)
        try:
            return train(job, loaded, context)
        finally:
            models.clear()  # its weights were changed: the cached model is no longer the package's

    def forget(self, body: dict[str, Any], context: Context) -> dict[str, Any]:
        """Drop all models; the process and the libraries stay."""
        _, models = self._ready()
        models.clear()
        return {}


def _array(body: dict[str, Any], key: str, mode: Any = "r") -> npt.NDArray[Any]:
    return open_array(ArrayRef.from_json(body[key]), mode)
