"""How long the window stands still from Run to result, and how long adding the mask takes, apart.

python benchmarks/window.py     # needs a display; the engine is the one of the tests, which answers after 0.5 s

The first run adds a mask; the runs after it also take the mask before it away.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

_PRIVATE = Path(tempfile.mkdtemp(prefix="medcnn-bench-"))
os.environ["MEDCNN_HOME"] = str(_PRIVATE / "home")
os.environ["NAPARI_CONFIG"] = str(_PRIVATE / "napari.yaml")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


import fake_engine  # noqa: E402
from heartbeat import Heartbeat  # noqa: E402
from napari_medcnn.widgets import dock as dock_module  # noqa: E402
from napari_medcnn.widgets.demo_window import settle, wait_until  # noqa: E402
from napari_medcnn.widgets.engine_link import Preferences  # noqa: E402
from napari_medcnn.widgets.launch import open_window  # noqa: E402
from tiny_packages import package, segmenter  # noqa: E402

ROUNDS = 5
CASES = (("fundus", "tiny-photo"), ("phantom", "tiny-mask"))


def one_run(dock, model: str) -> tuple[float, float]:
    """Run a model; return the longest stall before its result came and the seconds that adding the layer took."""
    dock.tabs.setCurrentIndex(1)
    wait_until(lambda: dock.ai.choose(model) and dock.ai.run.isEnabled())
    show, beat, measured = dock.session.show_predicted, Heartbeat(), []

    def timed(predicted) -> None:
        measured.append(beat.stop())
        start = time.perf_counter()
        show(predicted)
        measured.append(time.perf_counter() - start)

    dock.session.show_predicted = timed
    dock.ai.run.click()
    wait_until(lambda: not dock.tasks.names())
    dock.session.show_predicted = show
    if len(measured) != 2:
        raise SystemExit(f"no result: {dock.ai.error.text()}")
    return measured[0], measured[1]


def main() -> None:
    models = _PRIVATE / "models"
    models.mkdir()
    package(models, segmenter("tiny-mask"))
    package(models, segmenter("tiny-photo", 2, 3, title="Bright pixels"))
    orders = _PRIVATE / "orders.json"
    orders.write_text(json.dumps({"slow": 0.5}))
    dock_module.read_preferences = lambda: Preferences(model_folder=str(models))
    viewer, dock = open_window(fake_engine.launch(orders))
    wait_until(lambda: dock.link.engine.state == "ready" and not dock.tasks.names())
    print(f"{'case':9} {'run':>12} {'stall Run->result ms':>21} {'adding the layer ms':>20}")
    for sample, model in CASES:
        dock.open_sample(sample)
        wait_until(lambda: dock.session.scan is not None and not dock.tasks.names())
        settle()
        runs = [one_run(dock, model) for _ in range(ROUNDS + 1)]
        lines = {
            "first": runs[0],
            f"median of {ROUNDS}": [statistics.median(v) for v in zip(*runs[1:], strict=True)],
            "worst": [max(v) for v in zip(*runs[1:], strict=True)],
        }
        for name, (stall, adding) in lines.items():
            print(f"{sample:9} {name:>12} {stall * 1000:21.0f} {adding * 1000:20.0f}")
    dock.shut_down()
    viewer.close()
    shutil.rmtree(_PRIVATE, ignore_errors=True)


if __name__ == "__main__":
    main()
