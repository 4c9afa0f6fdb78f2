"""The sliding window against MONAI, nnU-Net, a naive loop, bare passes and OpenVINO: same network, weights and scan.

python benchmarks/sliding_window.py [--classes 5 25] [--rounds 3] [--shape 192 192 128] [--tile 96] [--only NAME ...]
MEDCNN_BENCH_PYTHON=path/of/a/python python benchmarks/sliding_window.py     # one that has requirements.txt installed

Each run is a process of its own: it opens the network, warms it up with one window (unless its name says otherwise),
then one whole scan is timed and the peak of its resident memory read. Engines take turns (A B C, A B C, ...) because
the speed of a shared machine drifts; a ratio is the median over the rounds of the ratio inside a round. CPU seconds
count what the processor did for the engine alone, so that they also hold where somebody else uses the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent / "contenders"
#: Name on the command line -> words, and the script that runs it.
ENGINES: Mapping[str, tuple[str, str]] = {
    "ours": ("ours: Keras on TensorFlow, fp32", "keras_side.py"),
    "ours-first": ("ours, its first trace included", "keras_side.py"),
    "ours-map": ("ours, with the uncertainty map", "keras_side.py"),
    "bare": ("bare forward passes, logits only", "keras_side.py"),
    "naive": ("naive model.predict, with first trace", "keras_side.py"),
    "openvino": ("ours on OpenVINO, fp32", "keras_side.py"),
    "openvino-bf16": ("ours on OpenVINO, bf16", "keras_side.py"),
    "monai": ("MONAI sliding_window_inference", "torch_side.py"),
    "nnunet": ("nnU-Net's predictor, no mirroring", "torch_side.py"),
}
#: What our path is asked to reach, as a share of another's time: (which of ours, of what, at 5 classes, at 25). A naive
#: loop traces its network in every script, so it is compared with our first run, which traces too. OpenVINO is what the
#: automatic choice takes where it was found equal and faster.
TARGETS = (
    ("openvino", "monai", 0.45, 0.45),
    ("openvino", "nnunet", 0.5, 0.5),
    ("ours", "monai", 0.45, 0.45),
    ("ours", "nnunet", 0.5, 0.5),
    ("ours-first", "naive", 0.6, 0.6),
    ("ours", "bare", 1.06, 1.15),
)
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def other_python() -> str | None:
    """Return the interpreter with PyTorch, None where there is none."""
    path = os.environ.get("MEDCNN_BENCH_PYTHON")
    if not path:
        return None
    check = subprocess.run([path, "-c", "import torch, monai, nnunetv2"], capture_output=True, check=False)
    return path if check.returncode == 0 else None


def skipped(engines: list[str], python: str | None) -> dict[str, str]:
    """Return which engines cannot run here, and why."""
    why = {}
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        flags = set()
    for name in engines:
        if ENGINES[name][1] == "torch_side.py" and python is None:
            why[name] = "MEDCNN_BENCH_PYTHON names no Python with benchmarks/requirements.txt"
        if name == "openvino-bf16" and not flags & BF16_FLAGS:
            why[name] = "this processor has no bfloat16 instructions"
        if name.startswith("openvino"):
            found = subprocess.run([sys.executable, "-c", "import openvino"], capture_output=True, check=False)
            if found.returncode:
                why[name] = "OpenVINO is not installed"
    return why


def run(name: str, python: str, job: Mapping[str, Any], script: str = "") -> dict[str, Any]:
    """Run one engine in a process of its own; return its report."""
    command = [python, str(HERE / (script or ENGINES[name][1])), json.dumps({"engine": name, **job})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(engines: list[str], given: argparse.Namespace, classes: int, python: str | None) -> dict[str, list[Any]]:
    """Run all engines in turn; return their reports, one a round."""
    reports: dict[str, list[Any]] = {name: [] for name in engines}
    with tempfile.TemporaryDirectory() as folder:
        job = {"shape": given.shape, "tile": given.tile, "classes": classes, "folder": folder}
        if any(name.startswith("openvino") for name in engines):
            run("convert", sys.executable, job, "keras_side.py")
        for number in range(given.rounds):
            for name in engines:
                there = python if ENGINES[name][1] == "torch_side.py" and python else sys.executable
                report = run(name, there, job)
                reports[name].append(report)
                told = f"round {number + 1}: {name} {report['seconds']:.2f} s, {report['peak_mb']:.0f} MB"
                print(told, f"(load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        for name in engines:
            if "labels" in reports[name][0]:
                reports[name][0]["map"] = np.load(reports[name][0]["labels"])
    return reports


def ratio(reports: dict[str, list[Any]], one: str, other: str, of: str = "seconds") -> float:
    """Return the median over the rounds of the times of one engine as a share of another's."""
    pairs = zip(reports[one], reports[other], strict=True)
    return statistics.median(a[of] / b[of] for a, b in pairs)


def table(reports: dict[str, list[Any]]) -> None:
    """Print the engines; ratios are to our own time."""
    base = "ours" if "ours" in reports else next(iter(reports))
    heads = f"{'median s':>9}{'ratio':>9}{'CPU s':>8}{'ratio':>9}{'peak MB':>9}{'same label':>12}"
    print(f"Ratios are to: {ENGINES[base][0]}")
    print(f"{'engine':40}{heads}  versions")
    for name, rows in reports.items():
        seconds = statistics.median(r["seconds"] for r in rows)
        peak = statistics.median(r["peak_mb"] for r in rows)
        same = ""
        if "map" in rows[0] and "map" in reports[base][0]:
            same = f"{100 * np.mean(rows[0]['map'] == reports[base][0]['map']):.2f} %"
        busy = statistics.median(r["busy"] for r in rows)
        times = f"{seconds:9.2f}{ratio(reports, name, base):9.2f}{busy:8.1f}{ratio(reports, name, base, 'busy'):9.2f}"
        print(f"{ENGINES[name][0]:40}{times}{peak:9.0f}{same:>12}  {rows[0]['versions']}")


def verdicts(reports: dict[str, list[Any]], classes: int) -> None:
    """Print our ratios beside what was asked for."""
    for own, other, few, many in TARGETS:
        if own in reports and other in reports:
            limit, found = (few if classes < 25 else many), ratio(reports, own, other)
            busy, missed = ratio(reports, own, other, "busy"), "" if found <= limit else " MISSED"
            told = f"{found:.2f}, of CPU seconds {busy:.2f} (asked: at most {limit}){missed}"
            print(f"  {own} / {ENGINES[other][0]}: {told}")
    for name in ("openvino", "openvino-bf16"):
        if "ours" in reports and name in reports:
            time, share = ratio(reports, name, "ours"), reports[name][0]["peak_mb"] / reports["ours"][0]["peak_mb"]
            print(f"  {ENGINES[name][0]}: {time:.2f} of the time and {share:.2f} of the memory of ours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 25])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shape", type=int, nargs=3, default=[192, 192, 128])
    parser.add_argument("--tile", type=int, default=96)
    parser.add_argument("--only", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    given = parser.parse_args()
    python = other_python()
    why = skipped(given.only, python)
    for name, reason in why.items():
        print(f"skipped: {ENGINES[name][0]}: {reason}")
    engines = [name for name in given.only if name not in why]
    for classes in given.classes:
        shape = " x ".join(map(str, given.shape))
        print(f"\n{shape}, windows of {given.tile}, half shared, Gaussian; {classes} classes; {given.rounds} rounds")
        reports = measure(engines, given, classes, python)
        table(reports)
        verdicts(reports, classes)
    print(
        "\nThe difference to MONAI and nnU-Net is mostly the engine (3D convolutions of PyTorch on a CPU), "
        "not their code.\nGPU: not measured."
    )


if __name__ == "__main__":
    main()
