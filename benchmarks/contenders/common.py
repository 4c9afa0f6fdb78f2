"""What every contender shares, in either environment: the job, its input, the weights, the report. NumPy only."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Job:
    """One run: which engine, on a scan of `shape` (z, y, x) with cubes of `tile`, weights from the file `weights`."""

    engine: str
    shape: tuple[int, int, int]
    tile: int
    classes: int
    folder: str

    @property
    def weights(self) -> Path:
        """The file of seeded weights, in Keras's shapes."""
        return Path(self.folder) / f"weights-{self.classes}.npz"

    @property
    def converted(self) -> Path:
        """The file that OpenVINO reads."""
        return Path(self.folder) / f"openvino-{self.classes}.xml"


def scan(job: Job) -> np.ndarray:
    """Return the same seeded noise for all, float32 (z, y, x)."""
    return np.random.default_rng(0).standard_normal(job.shape, np.float32)


def seeded_weights(classes: int) -> dict[str, np.ndarray]:
    """Return the weights of a U-Net by name, He-normal, in Keras's shapes; norms and biases a little off 1 and 0.

    Five levels of two 3-wide convolutions, max pooling, 2-wide transposed convolutions, a 1-wide head.
    """
    rng = np.random.default_rng(1)
    weights: dict[str, np.ndarray] = {}

    def kernel(name: str, size: int, channels: int, filters: int, transposed: bool = False) -> None:
        spread = np.sqrt(2 / (channels if transposed else channels * size**3))
        shape = (size, size, size, *((filters, channels) if transposed else (channels, filters)))
        weights[f"{name}.kernel"] = (rng.standard_normal(shape) * spread).astype(np.float32)

    def double(name: str, channels: int, filters: int) -> None:
        for index in (1, 2):
            kernel(f"{name}.{index}", 3, channels if index == 1 else filters, filters)
            weights[f"{name}.{index}.gamma"] = rng.uniform(0.8, 1.2, filters).astype(np.float32)
            weights[f"{name}.{index}.beta"] = rng.uniform(-0.2, 0.2, filters).astype(np.float32)

    channels = 1
    for level, filters in enumerate(LEVELS):
        double(f"down{level}", channels, filters)
        channels = filters
    for level in reversed(range(len(LEVELS) - 1)):
        kernel(f"grow{level}", 2, channels, LEVELS[level], transposed=True)
        weights[f"grow{level}.bias"] = rng.uniform(-0.1, 0.1, LEVELS[level]).astype(np.float32)
        double(f"up{level}", 2 * LEVELS[level], LEVELS[level])
        channels = LEVELS[level]
    kernel("head", 1, channels, classes)
    weights["head.bias"] = rng.uniform(-0.1, 0.1, classes).astype(np.float32)
    return weights


def peak_mb() -> float:
    """Return the largest resident memory of this process so far (not of who started it), MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def serve(prepare: Callable[[Job], Callable[[], np.ndarray]], versions: Callable[[], str]) -> None:
    """Run the job named on the command line: prepare and warm up, then time one run; report on the last line.

    `prepare` returns what is timed; that returns labels (z, y, x), or an empty array where none are made.
    """
    job = Job(**{**json.loads(sys.argv[1]), "shape": tuple(json.loads(sys.argv[1])["shape"])})
    work = prepare(job)
    started, busy = time.perf_counter(), time.process_time()
    labels = work()
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    report: dict[str, Any] = {"seconds": seconds, "busy": busy, "peak_mb": peak_mb(), "versions": versions()}
    if labels.size:
        name = Path(job.folder) / f"{job.engine}-{job.classes}.npy"
        np.save(name, labels.astype(np.uint8))
        report["labels"] = str(name)
    print(json.dumps(report))
