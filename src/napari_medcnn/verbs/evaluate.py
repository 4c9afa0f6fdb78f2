"""Measure a model, or a folder of masks, against a dataset table."""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Event, Events, Progress, Result
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError, ProjectError
from napari_medcnn.evaluation.report import CaseScore, Report, score_class, score_mask
from napari_medcnn.evaluation.rows import located, row_image, row_mask
from napari_medcnn.io.commands import find_command
from napari_medcnn.io.dataset import Row, read_dataset
from napari_medcnn.io.packages import Package
from napari_medcnn.io.read import read_labels
from napari_medcnn.io.save import save_json, save_text
from napari_medcnn.verbs import command_model, predict
from napari_medcnn.verbs.command_model import CommandRequest, FoundProgram, definition_sha256, look_up
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.verbs.names import IMAGE_SUFFIXES, stem_of
from napari_medcnn.worker.client import Engine


@dataclass(frozen=True)
class EvaluateRequest:
    """Score `model` (a package, or a program of the user's) on the table `dataset`, or what lies in `predictions`:
    masks, or predictions.csv.

    `split` takes only rows of that split; `report` is a folder for report.json and report.html.
    """

    dataset: Path
    model: Path | str | None = None
    predictions: Path | None = None
    split: str | None = None
    report: Path | None = None
    code: tuple[str, ...] = ()
    options: PredictOptions = field(default_factory=lambda: PredictOptions(uncertainty=False))

    def __post_init__(self) -> None:
        if (self.model is None) == (self.predictions is None):
            raise InputError("evaluate: expected either a model or a folder of predictions, not both and not none.")


@guarded
def run(request: EvaluateRequest, cancel: Cancel, engine: Engine | None = None) -> Events:
    """Evaluate; the result is an `evaluation.report.Report`.  Any case that cannot be scored fails the whole.

    Fails with
    ----------
    ProjectError
        The table has no case to score.
    InputError
        A mask or class is missing, or stands on another grid; the message names the case.
    """
    stop_if(cancel)
    yield Progress(0.0, "Reading the table")
    dataset = read_dataset(Path(request.dataset))
    rows = [located(row, dataset) for row in dataset.rows if request.split is None or row.split == request.split]
    if not rows:
        splits = ", ".join(sorted({row.split or "(empty)" for row in dataset.rows})) or "none"
        where = f" of split {request.split!r}; there is {splits}" if request.split else ""
        raise ProjectError(f"{request.dataset}: no cases{where}.")
    source: _Model | _Program | _Folder
    command = None if request.model is None else find_command(request.model)
    if command is not None:
        program: FoundProgram = yield from relay(look_up(command, cancel))
        source = _Program(request, command, program, cancel)
    elif request.model is not None:
        if engine is None:
            raise InputError("evaluate: a model needs an engine.")
        source = _Model(request, predict.open_model(request.model), cancel, engine)
    else:
        source = _Folder(Path(str(request.predictions)), rows)
    scores: list[CaseScore] = []
    for number, row in enumerate(rows):
        stop_if(cancel)
        yield Progress(number / len(rows), f"{number + 1} of {len(rows)}: {row.case}")
        scores.append((yield from _score(row, source)))
    report = Report(source.task, tuple(scores), source.card)
    if request.report is not None:
        yield Progress(1.0, "Writing the report")
        write_report(report, Path(request.report))
    yield Result(report)


class _Model:
    """Predictions made now, by a model."""

    def __init__(self, request: EvaluateRequest, package: Package, cancel: Cancel, engine: Engine) -> None:
        self._request, self._package, self._cancel, self._engine = request, package, cancel, engine
        self.task = package.spec.task
        self.card = {"name": package.spec.name, "sha256": package.spec.sha256}
        self.labels: LabelSet | None = package.spec.labels if self.task == "segmentation" else None

    def of(self, row: Row) -> Generator[Event, None, LabelMap | dict[str, float]]:
        """Predict one case."""
        request = self._request
        work = predict.PredictRequest(row_image(row), self._package, request.options, request.code)
        result = yield from relay(_quiet(predict.run(work, self._cancel, self._engine), row.case))
        if isinstance(result, Classification):
            return dict(result.probabilities)
        if not isinstance(result, Segmentation):
            raise InputError(f"case {row.case}: the model gave neither a mask nor a class")
        return result.mask


class _Program:
    """Predictions made now, by a program of the user's; classes are matched by their numbers."""

    task = "segmentation"
    labels: LabelSet | None = None

    def __init__(self, request: EvaluateRequest, command: CommandModel, program: FoundProgram, cancel: Cancel) -> None:
        self._request, self._command, self._program, self._cancel = request, command, program, cancel
        self.card = {"name": command.name, "sha256": definition_sha256(command, program)}

    def of(self, row: Row) -> Generator[Event, None, LabelMap | dict[str, float]]:
        """Predict one case."""
        work = CommandRequest(row_image(row), self._command, self._request.options, self._program)
        result: Segmentation = yield from relay(_quiet(command_model.run(work, self._cancel), row.case))
        return result.mask


class _Folder:
    """Predictions that lie in a folder: a mask named after the case or its image, or predictions.csv."""

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder of predictions")
        self._folder = folder
        self._table = _read_predictions(folder / "predictions.csv")
        self.task = "classification" if self._table and not any(row.mask for row in rows) else "segmentation"
        self.card = {"name": folder.name, "sha256": ""}
        self.labels: LabelSet | None = None

    def of(self, row: Row) -> Generator[Event, None, LabelMap | dict[str, float]]:
        """Find one case."""
        yield from ()
        names = [row.case, *(stem_of(path) for path in row.image)]
        if self.task == "classification":
            for name in names:
                if name in self._table:
                    return self._table[name]
            raise InputError(f"case {row.case}: {self._folder / 'predictions.csv'} has no row for it")
        for name in names:
            for suffix in IMAGE_SUFFIXES:
                path = self._folder / f"{name}{suffix}"
                if path.is_file():
                    return read_labels(path)
        wanted = " or ".join(f"{name}.nii.gz" for name in dict.fromkeys(names))
        raise InputError(f"case {row.case}: no mask in {self._folder}; expected {wanted}, or another image format")


def _score(row: Row, source: _Model | _Program | _Folder) -> Generator[Event, None, CaseScore]:
    found = yield from source.of(row)
    if not isinstance(found, LabelMap):
        return score_class(row.case, row.patient, row.cls, found)
    reference = row_mask(row)
    labels = source.labels or _labels_of(reference, found)
    return score_mask(row.case, row.patient, _as_only_class(reference, labels), found, labels)


def _labels_of(reference: LabelMap, predicted: LabelMap) -> LabelSet:
    """Return the classes two masks without a model's card are scored on: all that either names or holds."""
    own = {*predicted.counts(), *predicted.labels.ids}
    # pictures of masks are drawn black and white more often than 0 and 1
    drawn = reference.is_picture and set(reference.counts()) == {255} and len(own) == 1
    ids = tuple(sorted(own if drawn else {*reference.counts(), *own}))
    if drawn:
        return predicted.labels.covering(ids)
    named = reference.labels.covering(tuple(i for i in ids if i not in reference.labels and i not in predicted.labels))
    for label in predicted.labels:
        if label.id not in named and label.name not in named.names:
            named = named.with_label(label)
    named = named.covering(ids)
    return named if len(named) else LabelSet.from_names(["foreground"])


def _as_only_class(mask: LabelMap, labels: LabelSet) -> LabelMap:
    """Take a mask with one single value (1, 255) for the only class there is, as training does."""
    if len(labels) != 1 or len(mask.counts()) != 1 or set(mask.counts()) == set(labels.ids):
        return mask
    array = np.where(mask.array > 0, np.uint16(labels.ids[0]), np.uint16(0))
    return LabelMap(array, mask.geometry, labels, mask.name)


def _read_predictions(path: Path) -> dict[str, dict[str, float]]:
    """Return probabilities per stem of the input, from a ``predictions.csv`` of ours; empty if there is none."""
    if not path.is_file():
        return {}
    table: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            scores = {k[2:]: v for k, v in row.items() if k and k.startswith("p_") and v}
            try:
                table[stem_of(Path(row["input"]))] = {k: float(v) for k, v in scores.items()}
            except (KeyError, ValueError) as error:
                raise InputError(f"{path}: expected columns input,class,p_<class>..., got {list(row)[:6]}") from error
    return table


def _quiet(events: Events, name: str) -> Events:
    try:
        for event in events:
            yield Progress(None, f"{name}: {event.message}") if isinstance(event, Progress) else event
    finally:
        events.close()


def write_report(report: Report, folder: Path) -> None:
    """Write ``report.json`` and ``report.html`` into `folder`, made on demand."""
    folder.mkdir(parents=True, exist_ok=True)
    save_json(report.to_json(), folder / "report.json")
    save_text(report_page(report), folder / "report.html")


def report_page(report: Report) -> str:
    """Return the report as one page of HTML without scripts; every name in it is escaped."""
    cells = html.escape
    overall = report.overall()
    measures = list(dict.fromkeys(m for c in report.cases for s in c.scores.values() for m in s))
    head = "".join(f"<th>{cells(m)}</th>" for m in measures)
    body = "".join(
        f"<tr><td>{cells(case.case)}</td><td>{cells(name)}</td>"
        + "".join(f"<td>{_number(scores.get(m, math.nan))}</td>" for m in measures)
        + "</tr>"
        for case in report.cases
        for name, scores in case.scores.items()
    )
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>MedCNN report</title>'
        "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left}</style>"
        f"<h1>{cells(str(report.model.get('name', '')))}</h1>"
        f"<p>{cells(report.measure)} {_number(overall.mean)}, 95 % interval {_number(overall.low)} to "
        f"{_number(overall.high)}; {overall.cases} cases of {overall.patients} patients.</p>"
        f"<table><tr><th>case</th><th>class</th>{head}</tr>{body}</table>"
        "<p>Research use only, not for diagnosis.</p></html>\n"
    )


def _number(value: Any) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"
