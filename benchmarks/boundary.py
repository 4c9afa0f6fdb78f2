"""Cost of the process boundary: start to hello, one round trip, and handing over a volume, as ratios to pickle.

python benchmarks/boundary.py [--real]     # --real starts Keras too
"""

from __future__ import annotations

import pickle
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import fake_engine
from napari_medcnn.core.events import result_of
from napari_medcnn.worker.client import Engine, Launch

ROUNDS = 5


def timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def start_to_hello(launch: Launch) -> float:
    engine = Engine(launch)
    try:
        return timed(
            lambda: result_of(engine.run("warm" if "fake" in launch.module else "forget", {}, threading.Event()))
        )
    finally:
        engine.close()


def main() -> None:
    fake = statistics.median(start_to_hello(fake_engine.launch()) for _ in range(ROUNDS))
    print(f"start to first answer, fake engine        {fake * 1000:8.1f} ms")
    if "--real" in sys.argv:
        print(f"start to first answer, Keras + TensorFlow {start_to_hello(Launch()) * 1000:8.1f} ms")
    engine = Engine(fake_engine.launch())
    try:
        result_of(engine.run("echo", {}, threading.Event()))
        trips = [timed(lambda: result_of(engine.run("echo", {"say": 1}, threading.Event()))) for _ in range(50)]
        print(f"round trip, median of 50                  {statistics.median(trips) * 1000:8.2f} ms")
        volume = np.random.default_rng(0).random((300, 512, 512), np.float32)
        first = timed(lambda: engine.exchange.put(volume, "scan"))
        kept = statistics.median(timed(lambda: engine.exchange.put(volume, "scan")) for _ in range(ROUNDS))
        copied = statistics.median(timed(volume.copy) for _ in range(ROUNDS))
        pickled = statistics.median(
            timed(lambda: pickle.loads(pickle.dumps(volume, protocol=5))) for _ in range(ROUNDS)
        )
        megabytes = volume.nbytes / 1e6
        print(f"hand-over of {megabytes:.0f} MB: first {first * 1000:.0f} ms, file kept {kept * 1000:.0f} ms")
        print(f"  ratio of kept: to first {kept / first:.2f}, to a plain copy {kept / copied:.2f},", end=" ")
        print(f"to pickle in one process, no pipe {kept / pickled:.2f}")
    finally:
        engine.close()


if __name__ == "__main__":
    main()
