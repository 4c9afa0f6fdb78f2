"""Fine-tune a model on a dataset table; the original package is never touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.options import TrainOptions, to_json
from napari_medcnn.errors import InputError, ProjectError
from napari_medcnn.io.dataset import check_dataset, read_dataset
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.verbs.predict import open_model
from napari_medcnn.worker.client import Engine


@dataclass(frozen=True)
class TrainRequest:
    """Fine-tune `model` on the table `dataset`, writing checkpoints and the new package into the folder `out`.

    `resume` goes on from the last complete checkpoint in `out`.
    """

    model: Path | str
    dataset: Path
    out: Path
    options: TrainOptions = field(default_factory=TrainOptions)
    code: tuple[str, ...] = ()
    resume: bool = False


@dataclass(frozen=True)
class TrainResult:
    """`out` is the new package, of the epoch that `best` (epoch, score, measure) names.

    `history` has one entry per epoch (epoch, loss, score); `warnings` are in words.
    """

    best: dict[str, Any]
    history: list[dict[str, Any]]
    out: Path
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        lists = {"history": self.history, "warnings": list(self.warnings)}
        return {"best": self.best, **lists, "out": str(self.out)}


@guarded
def run(request: TrainRequest, cancel: Cancel, engine: Engine) -> Events:
    """Train; the result is a TrainResult.

    Fails with
    ----------
    ProjectError
        The table has faults (a patient in two splits, missing files, ...); all are named, and nothing was started.
    InputError
        `out` holds something and `resume` was not asked for, or is the model's own folder.
    """
    stop_if(cancel)
    yield Progress(0.0, "Opening the model")
    package = open_model(request.model)
    out = Path(request.out)
    if out.exists() and out.resolve() in (package.path.resolve(), *package.path.resolve().parents):
        raise InputError(f"{out}: the original model is in it and is never overwritten; choose another folder.")
    if out.exists() and not request.resume and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is not empty; go on from its last checkpoint with --resume, or choose another.")
    yield Progress(0.0, "Checking the dataset")
    check_table(Path(request.dataset), package.spec.task)
    out.mkdir(parents=True, exist_ok=True)
    body = {
        "model": str(package.path),
        "code": list(request.code),
        "dataset": str(Path(request.dataset).resolve()),
        "out": str(out.resolve()),
        "options": to_json(request.options),
        "resume": request.resume,
    }
    reply: Mapping[str, Any] = yield from relay(engine.run("train", body, cancel))
    warnings = tuple(map(str, reply.get("warnings", ())))
    yield Result(TrainResult(dict(reply["best"]), list(reply["history"]), Path(reply["out"]), warnings))


def check_table(csv: Path, task: str) -> None:
    """Raise `ProjectError` with every fault of a dataset table: training on a leak would only look good."""
    dataset = read_dataset(csv)
    if not dataset.rows:
        raise ProjectError(f"{csv}: the table has no cases.")
    problems = [str(problem) for problem in check_dataset(dataset) if problem.level == "stop"]
    if problems:
        more = f"And {len(problems) - 8} more. " if len(problems) > 8 else ""
        raise ProjectError(f"{csv}: {' '.join(problems[:8])} {more}Nothing was started.")
