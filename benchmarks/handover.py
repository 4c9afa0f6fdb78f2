"""Handing a 512 x 512 x 300 volume to another process: our kept file against pickle through a pipe, as ratios.

python benchmarks/handover.py [--rounds 5] [--shape 300 512 512]

The time is from having the array until the other process has it open, read a plane of it and said so. "Pickle over a
pipe" is what `multiprocessing` does (`Connection.send`). Ways take turns; a ratio is the median of those of each round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import IO

import numpy as np
import numpy.typing as npt

from napari_medcnn.worker.arrays import Exchange, open_array
from napari_medcnn.worker.protocol import ArrayRef

Array = npt.NDArray[np.float32]


def receive(handle: int) -> None:
    """Be the other process: take volumes until standard input ends; answer with the mean of the middle plane."""
    source, private = sys.stdin.buffer, Connection(handle, writable=False)
    while line := source.readline():
        order = json.loads(line)
        array = open_array(ArrayRef.from_json(order["file"])) if "file" in order else private.recv()
        print(float(array[array.shape[0] // 2].mean()), flush=True)


def sender(
    pipe: IO[bytes], answers: IO[bytes], exchange: Exchange, private: Connection
) -> dict[str, Callable[[Array, int], float]]:
    """Return the ways: each sends a volume, the number of the round with it, and returns the answer."""

    def tell(order: dict[str, object]) -> None:
        pipe.write(json.dumps(order).encode() + b"\n")
        pipe.flush()

    def kept(array: Array, number: int) -> float:
        tell({"file": exchange.put(array, "scan").to_json()})
        return float(answers.readline())

    def fresh(array: Array, number: int) -> float:
        tell({"file": exchange.put(array, f"scan{number}").to_json()})
        return float(answers.readline())

    def pickled(array: Array, number: int) -> float:
        tell({"pickle": True})
        private.send(array)
        return float(answers.readline())

    def copied(array: Array, number: int) -> float:
        return float(array.copy()[array.shape[0] // 2].mean())

    return {
        "our file, kept from the run before": kept,
        "our file, new": fresh,
        "pickle over a pipe": pickled,
        "plain copy, no process": copied,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shape", type=int, nargs=3, default=[300, 512, 512])
    parser.add_argument("--receive", type=int)
    given = parser.parse_args()
    if given.receive is not None:
        receive(given.receive)
        return
    volume = np.random.default_rng(0).random(given.shape, np.float32)
    expected = float(volume[given.shape[0] // 2].mean())
    exchange = Exchange()
    far, near = os.pipe()
    command = [sys.executable, __file__, "--receive", str(far)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[far]) as other:
        if other.stdin is None or other.stdout is None:
            raise SystemExit("no pipe to the other process")
        try:
            ways = sender(other.stdin, other.stdout, exchange, Connection(near, readable=False))
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(-1, given.rounds):
                for name, way in ways.items():
                    started = time.perf_counter()
                    answer = way(volume, number)
                    if number >= 0:  # the first round makes the kept file
                        seconds[name].append(time.perf_counter() - started)
                    if not np.isclose(answer, expected):
                        raise SystemExit(f"{name}: another volume arrived")
                exchange.forget(f"scan{number}")
        finally:
            other.stdin.close()
            exchange.close()
    print(f"{volume.nbytes / 1e6:.0f} MB, {given.rounds} rounds")
    print(f"{'way':38}{'median ms':>10}{'vs pickle':>11}")
    slow = seconds["pickle over a pipe"]
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(times, slow, strict=True))
        asked = "  (asked: at most 0.1)" + (" MISSED" if ratio > 0.1 else "") if "kept" in name else ""
        print(f"{name:38}{statistics.median(times) * 1000:10.0f}{ratio:11.3f}{asked}")


if __name__ == "__main__":
    main()
