"""Saliency against bare passes, tf-keras-vis and Captum: the same network, weights and picture, 2D and 96 x 96 x 96.

python benchmarks/saliency.py [--rounds 3] [--dimensions 2 3]
MEDCNN_BENCH_PYTHON=path/of/a/python python benchmarks/saliency.py     # one with torch and captum, for that column

Two processes, one a framework, take turns method by method, so that a ratio compares neighbours in time; a ratio is the
median over the rounds of the ratio inside a round. tf-keras-vis runs in our own process where it is installed. CPU
seconds count what the processor did for that process alone. The first run of each is not measured (tracing).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "contenders"
#: Ours, what it is measured against, on which side that is, and the ratio asked for (2D, 3D; None: just shown).
ROWS = (
    ("grad-cam", "forward", "keras", 4.0, 4.0),
    ("integrated-gradients", "bare passes", "keras", 1.15, 1.15),
    ("smoothgrad", "vis smoothgrad", "keras", 0.35, None),
    ("resnet smoothgrad", "resnet vis smoothgrad", "keras", 0.35, None),
    ("grad-cam", "vis grad-cam", "keras", None, None),
    ("gradient", "gradient", "torch", None, None),
    ("grad-cam", "grad-cam", "torch", None, None),
    ("smoothgrad", "smoothgrad", "torch", None, None),
    ("integrated-gradients", "integrated-gradients", "torch", None, None),
)


class Side:
    """One framework in a process of its own, kept for all rounds."""

    def __init__(self, python: str, script: str) -> None:
        self._process = subprocess.Popen(
            [python, str(HERE / script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        self.words = str(self._answer()["words"])

    def run(self, dimensions: int, name: str) -> dict[str, Any] | None:
        """Run one method; None where this side has none of that name."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"dimensions": dimensions, "name": name}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return None if answer.get("absent") else answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                return dict(json.loads(line))
        raise SystemExit("one side of the benchmark ended; run its script by hand to see why")


def other_python() -> str | None:
    """Return the interpreter with Captum, None where there is none."""
    path = os.environ.get("MEDCNN_BENCH_PYTHON")
    if not path:
        return None
    check = subprocess.run([path, "-c", "import torch, captum"], capture_output=True, check=False)
    return path if check.returncode == 0 else None


def measure(sides: dict[str, Side], dimensions: int, rounds: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Run every method of every side in turn; return the reports by (side, name)."""
    wanted = dict.fromkeys([("keras", own) for own, *_ in ROWS] + [(side, name) for _, name, side, *_ in ROWS])
    reports: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number in range(rounds):
        for side, name in wanted:
            answer = sides[side].run(dimensions, name) if side in sides else None
            if answer is not None:
                reports.setdefault((side, name), []).append(answer)
                told = f"round {number + 1}: {side} {name} {answer['seconds']:.3f} s, {answer['peak_mb']:.0f} MB"
                print(told, f"(load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
    return reports


def table(reports: dict[tuple[str, str], list[dict[str, Any]]], dimensions: int) -> None:
    """Print what was measured, and the ratios beside what was asked for."""
    print(f"{'':8}{'method':24}{'median s':>10}{'CPU s':>8}{'peak MB':>9}")
    for (side, name), rows in reports.items():
        middle = {key: statistics.median(r[key] for r in rows) for key in ("seconds", "busy", "peak_mb")}
        print(f"{side:8}{name:24}{middle['seconds']:10.3f}{middle['busy']:8.2f}{middle['peak_mb']:9.0f}")
    for own, other, side, flat, deep in ROWS:
        ours, theirs = reports.get(("keras", own)), reports.get((side, other))
        if not ours or not theirs:
            continue
        pairs = list(zip(ours, theirs, strict=True))
        ratio, busy = (statistics.median(a[key] / b[key] for a, b in pairs) for key in ("seconds", "busy"))
        limit = flat if dimensions == 2 else deep
        asked = "" if limit is None else f" (asked: at most {limit}){'' if ratio <= limit else ' MISSED'}"
        print(f"  ours {own} / {side} {other}: {ratio:.2f}, of CPU seconds {busy:.2f}{asked}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dimensions", type=int, nargs="+", choices=(2, 3), default=[2, 3])
    given = parser.parse_args()
    sides = {"keras": Side(sys.executable, "saliency_keras.py")}
    python = other_python()
    if python is None:
        print("skipped: Captum: MEDCNN_BENCH_PYTHON names no Python with torch and captum")
    else:
        sides["torch"] = Side(python, "saliency_torch.py")
    for side in sides.values():
        print(side.words)
    for dimensions in given.dimensions:
        print(f"\n{dimensions}D, {given.rounds} rounds")
        table(measure(sides, dimensions, given.rounds), dimensions)
    for side in sides.values():
        side.close()
    print("GPU: not measured.")


if __name__ == "__main__":
    main()
