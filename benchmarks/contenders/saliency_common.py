"""What the sides of benchmarks/saliency.py share: network sizes, seeded weights, the picture, the line protocol."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from common import peak_mb

#: Filters of each level; at 224 x 224 this is about the work of a ResNet50, in 3D that of a U-Net's encoder.
FILTERS = {2: (32, 64, 128, 256, 512), 3: (16, 32, 64, 128, 256)}
SHAPES = {2: (224, 224), 3: (96, 96, 96)}
CHANNELS = {2: 3, 3: 1}
CLASSES, TARGET = 10, 3
STEPS, SAMPLES = 64, 20
BATCH = {2: 4, 3: 2}


def seeded_weights(dimensions: int) -> dict[str, np.ndarray]:
    """Return He-normal kernels (*kernel, in, out) by "level.number", and the head (in, out)."""
    rng = np.random.default_rng(dimensions)
    channels, weights = CHANNELS[dimensions], {}
    for level, filters in enumerate(FILTERS[dimensions]):
        for number in (1, 2):
            spread = np.sqrt(2 / (channels * 3**dimensions))
            shape = (*(3,) * dimensions, channels, filters)
            weights[f"{level}.{number}"] = (rng.standard_normal(shape) * spread).astype(np.float32)
            channels = filters
    weights["head"] = (rng.standard_normal((channels, CLASSES)) / np.sqrt(channels)).astype(np.float32)
    return weights


def picture(dimensions: int) -> np.ndarray:
    """Return seeded noise (*spatial, channel), float32, lowest value 0."""
    return np.random.default_rng(9).random((*SHAPES[dimensions], CHANNELS[dimensions]), dtype=np.float32)


def serve(
    works: Callable[[int], Mapping[str, Callable[[], np.ndarray]]], dimensions: Mapping[int, object], words: str
) -> None:
    """Answer orders {"dimensions", "name"} with {"seconds", "busy", "peak_mb", "low", "high"} until the input ends.

    The first order of a name is run once unmeasured before. The peak is that of this one run.
    """
    ready: dict[int, Mapping[str, Callable[[], np.ndarray]]] = {}
    warm: set[tuple[int, str]] = set()
    print(json.dumps({"words": words, "dimensions": list(dimensions)}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        where, name = int(order["dimensions"]), str(order["name"])
        if where not in ready:
            ready[where] = works(where)
        work = ready[where].get(name)
        if work is None:
            print(json.dumps({"absent": True}), flush=True)
            continue
        if (where, name) not in warm:
            work()
            warm.add((where, name))
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        started, busy = time.perf_counter(), time.process_time()
        found = np.asarray(work())
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        answer = {"seconds": seconds, "busy": busy, "peak_mb": peak_mb()}
        print(json.dumps({**answer, "low": float(found.min()), "high": float(found.max())}), flush=True)
