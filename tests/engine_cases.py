"""What the engine's tests share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled

TILE = (16, 24, 24)


class FakeContext:
    """As `worker.server.Context`, and counts; `stop_after` cancels at the n-th look."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.messages: list[str] = []
        self.expected: list[float] = []
        self.looks = 0
        self.stop_after = stop_after
        self.cancelled = threading.Event()

    def progress(self, fraction: float | None, message: str) -> None:
        self.check_cancel()
        self.messages.append(message)

    def expect(self, seconds: float, message: str) -> None:
        self.expected.append(seconds)

    def check_cancel(self) -> None:
        self.looks += 1
        if self.stop_after is not None and self.looks > self.stop_after:
            raise Cancelled("Cancelled.")


def spec_3d(**changes: Any) -> ModelSpec:
    """Three classes by intensity; the network sees the scan as stored."""
    values: dict[str, Any] = {
        "name": "thresholds",
        "title": "Thresholds",
        "task": "segmentation",
        "preparation": Preparation(3, 1),
        "labels": LabelSet.from_names(("grey", "white")),
        "decision": Decision((0, 1, 2), exclusive=True),
        "activation": "softmax",
        "tile": TILE,
        "overlap": 0.5,
        "divisor": 1,
    }
    return ModelSpec(**{**values, **changes})


def opened(model: Any, spec: ModelSpec) -> Any:
    """Return a network as the engine holds it, after the check against its card."""
    from napari_medcnn.engine.loading import Loaded, misfit

    assert misfit(model, spec) == ""
    return Loaded(model, spec, "cpu:0", 0)


def run(
    loaded: Any, volume: Volume, options: PredictOptions | None = None, out: Any = None, context: Any = None
) -> Any:
    """Predict on the CPU."""
    from napari_medcnn.engine.predict import predict
    from napari_medcnn.engine.windows import Outputs

    def attempts() -> Iterator[tuple[Any, str]]:
        yield loaded, "CPU"

    options, context = options or PredictOptions(uncertainty=False), context or FakeContext()
    return predict(attempts, volume, options, out or Outputs(), context, (MemoryError,))


def outputs(volume: Volume, channels: int = 3) -> Any:
    """Return room for every result, full of 77, so that a test sees what was not written."""
    from napari_medcnn.engine.windows import Outputs

    shape = volume.geometry.shape
    return Outputs(
        np.full(shape, 77, np.uint8), np.full(shape, 77, np.uint8), np.full((*shape, channels), 77, np.float32)
    )
