"""Paints seeded strokes into a journal until it is killed; run by test_journal_kill.py as a process of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.journal import Journal, JournalInfo
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap

SHAPE = (12, 96, 80)


def base(seed: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[3:7, 20:60, 10:50] = seed % 3 + 1
    return array


def stroke(array: np.ndarray, seed: int, number: int) -> tuple[slice, ...]:
    """Change `array` and return where; every number is a stroke of its own."""
    rng = np.random.default_rng([seed, number])
    z, y, x = (int(rng.integers(0, n - 8)) if n > 20 else int(rng.integers(0, n)) for n in SHAPE)
    box = (slice(z, z + 1), slice(y, y + 8), slice(x, x + 8))
    array[box] = rng.integers(0, 5, array[box].shape)
    return box


def main() -> None:
    folder, seed, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    array = base(seed)
    geometry = Geometry(SHAPE, (3.0, 0.8, 0.7), (-12.5, 7.25, 100.1))
    mask = LabelMap(array, geometry, LabelSet.from_names(["liver", "kidney"]))
    journal = Journal.create(folder, mask, JournalInfo(f"case {seed}", {"sha256": "ab" * 32}))
    number = 0
    while True:
        before = array.copy()
        box = stroke(array, seed, number)
        step = Step.of("Brush", box, before[box], array[box])
        number += 1
        if step is None:
            continue
        journal.append(step)
        sys.stdout.write(f"{number} {time.monotonic()}\n")
        sys.stdout.flush()
        time.sleep(pause)


if __name__ == "__main__":
    main()
