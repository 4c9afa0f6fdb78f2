"""Decide on cases kept for it whether a new model may replace the old one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.evaluation.report import Report
from napari_medcnn.evaluation.report import gate as decide
from napari_medcnn.verbs import evaluate
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.worker.client import Engine


@dataclass(frozen=True)
class GateRequest:
    """Compare the packages `old` and `new` on the rows of `split` in the table `dataset`.

    `margin` is the loss of a single class that is tolerated.
    """

    old: Path | str
    new: Path | str
    dataset: Path
    split: str = "gate"
    margin: float = 0.02


@guarded
def run(request: GateRequest, cancel: Cancel, engine: Engine) -> Events:
    """Evaluate both and decide; the result is an `evaluation.report.GateDecision`."""
    reports: list[Report] = []
    for model, words in ((request.old, "old model"), (request.new, "new model")):
        stop_if(cancel)
        yield Progress(len(reports) / 2, f"Measuring the {words}")
        work = evaluate.EvaluateRequest(request.dataset, model=model, split=request.split)
        reports.append((yield from relay(evaluate.run(work, cancel, engine))))
    yield Result(decide(reports[0], reports[1], request.margin))
