"""From the click to the first result: what the user waits beside the network's own computing, engine warm and cold.

python benchmarks/start.py [--model retina-vessels] [--rounds 5]

Warm: the engine runs and has the model open, as it is after the panel was opened and a model chosen; the time is from
calling `predict.run` on the fundus photograph to its Result, less the seconds the network computed. Cold: everything
from starting the process on. Beside them stand importing TensorFlow in a fresh process, which nobody can make shorter,
and one round trip of a message.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from napari_medcnn.core.events import result_of
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Segmentation
from napari_medcnn.io.samples import fundus
from napari_medcnn.verbs import predict
from napari_medcnn.worker.client import Engine

LIMIT = 1.5


def one(engine: Engine, model: str) -> tuple[float, float]:
    """Predict once; return the seconds from the request to the result, and those of the network in it."""
    request = predict.PredictRequest(fundus(), model, PredictOptions(), keep=True)
    started = time.perf_counter()
    result = result_of(predict.run(request, threading.Event(), engine))
    whole = time.perf_counter() - started
    if not isinstance(result, Segmentation):
        raise SystemExit("expected a segmentation model")
    return whole, float(result.provenance.seconds["forward"])


def importing() -> float:
    """Return how long a fresh process takes to import Keras with TensorFlow."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import keras"], check=True, capture_output=True)
    return time.perf_counter() - started


def round_trip(engine: Engine) -> float:
    """Return the seconds of one message there and back."""
    started = time.perf_counter()
    result_of(engine.run("hello", {}, threading.Event()))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="retina-vessels")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    model = str(Path(given.model)) if Path(given.model).exists() else given.model
    imports, cold, warm = [], [], []
    for _ in range(given.rounds):
        imports.append(importing())
        engine = Engine()
        try:
            whole, forward = one(engine, model)
            cold.append(whole - forward)
            one(engine, model)
            whole, forward = one(engine, model)
            warm.append((whole - forward, forward))
            trip = statistics.median(round_trip(engine) for _ in range(20))
        finally:
            engine.close()
    beside = statistics.median(w for w, _ in warm)
    ratio = statistics.median(c / i for c, i in zip(cold, imports, strict=True))
    print(f"fundus photograph, {given.model}, {given.rounds} rounds; seconds, the network's own computing left out")
    verdict = "" if beside <= LIMIT else " MISSED"
    print(f"warm: request to result      {beside:8.2f}   (asked: at most {LIMIT}){verdict}")
    print(f"      the network beside it  {statistics.median(f for _, f in warm):8.2f}")
    print(f"      one message            {trip:8.4f}")
    print(f"cold: request to result      {statistics.median(cold):8.2f}   {ratio:.2f} of importing TensorFlow")
    print(f"      importing TensorFlow   {statistics.median(imports):8.2f}")


if __name__ == "__main__":
    main()
