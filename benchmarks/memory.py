"""Peak memory of a prediction beyond the network, measured in a process of its own, beside what the forecast says.

python benchmarks/memory.py [--shape Z Y X] [--classes N] [--tile N]

The network is a stub that returns random probabilities, so that all memory seen is ours: the scan (int16), what the
network sees (float32), the scores held, the labels and the map of uncertainty. Each row is a child process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MB = 1e6
#: Name -> voxel size (z, y, x) in mm that the network works at; the scan's is 1 x 0.8 x 0.8.
CASES: dict[str, tuple[float, float, float] | None] = {"same grid": None, "resampled to 1.5 mm": (1.5, 1.5, 1.5)}


def high_water() -> float:
    """Return the largest resident memory of this process so far, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / MB
    raise SystemExit("memory: this system does not say the peak of a process (no VmHWM)")


def reset() -> None:
    """Begin a new high-water mark."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(shape: tuple[int, int, int], classes: int, tile: int, spacing: list[float] | None) -> dict[str, Any]:
    """Run one prediction with the stub; return MB by stage, above what the imports took."""
    import numpy as np

    from napari_medcnn.core.geometry import Geometry
    from napari_medcnn.core.labels import Label, LabelSet
    from napari_medcnn.core.options import PredictOptions
    from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
    from napari_medcnn.core.volume import Volume
    from napari_medcnn.imaging import pipeline
    from napari_medcnn.imaging.forecast import forecast_for
    from napari_medcnn.imaging.patches import stream_scores

    labels = LabelSet(tuple(Label(i, f"class {i}", (i % 256, 90, 90)) for i in range(1, classes)))
    steps = (("clip", {"low": -1000, "high": 1000}), ("scale_linear", {"in_low": -1000, "in_high": 1000}))
    spec = ModelSpec(
        "stub", "Stub", "segmentation",
        Preparation(3, 1, spacing_mm=None if spacing is None else tuple(spacing), steps=steps),
        labels, Decision(tuple(range(classes)), True), "softmax", tile=(tile, tile, tile), divisor=16,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    floor = high_water()
    scan = rng.integers(-1000, 1000, shape, np.int16)
    volume = Volume(scan, Geometry(shape, (1.0, 0.8, 0.8)))
    reset()
    prepared = pipeline.prepare(volume, spec.preparation)
    peaks = {"scan": scan.nbytes / MB, "prepared": prepared.data.nbytes / MB, "preparing": high_water() - floor}
    reset()
    plan = pipeline.plan(prepared, spec.tile, spec.overlap, spec.divisor)
    answer = rng.random((*plan.tile, classes), np.float32)
    answer /= answer.sum(-1, keepdims=True)
    slabs = stream_scores(prepared.data, plan, lambda window: answer.copy())
    painter = pipeline.restore_scores(slabs, prepared.record, spec.decision, uncertainty=True)
    peaks["sliding"] = high_water() - floor
    told = forecast_for(volume.geometry, scan.dtype, spec, PredictOptions())
    return {
        **peaks,
        "beyond": peaks["sliding"] - peaks["scan"] - peaks["prepared"],
        "labels": len(np.unique(painter.labels)),
        "windows": plan.count,
        "forecast": told.bytes_needed / MB,
        "words": told.words,
    }


def in_child(*arguments: Any) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--child", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512))
    parser.add_argument("--classes", type=int, default=25)
    parser.add_argument("--tile", type=int, default=96)
    parser.add_argument("--child")
    given = parser.parse_args()
    if given.child:
        shape, classes, tile, spacing = json.loads(given.child)
        print(json.dumps(measure(tuple(shape), classes, tile, spacing)))
        return
    print(f"{' x '.join(map(str, given.shape))} int16, {given.classes} classes, windows of {given.tile}, MB")
    print(f"{'':22}{'scan':>8}{'prepared':>10}{'preparing':>11}{'sliding':>9}{'beyond both':>13}{'forecast':>10}")
    for name, spacing in CASES.items():
        row = in_child(given.shape, given.classes, given.tile, spacing)
        columns = f"{row['scan']:8.0f}{row['prepared']:10.0f}{row['preparing']:11.0f}{row['sliding']:9.0f}"
        print(f"{name:22}{columns}{row['beyond']:13.0f}{row['forecast']:10.0f}   {row['words']}")


if __name__ == "__main__":
    main()
