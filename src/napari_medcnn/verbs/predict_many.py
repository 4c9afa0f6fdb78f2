"""Run a model on many inputs one by one; one bad case never stops the rest, and a run that stopped can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Cancel, Event, Events, Progress, Result
from napari_medcnn.core.options import PredictOptions, to_json
from napari_medcnn.core.results import Classification, Provenance, Segmentation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled, ConsentNeededError, EngineError, InputError, MedcnnError
from napari_medcnn.io.commands import find_command
from napari_medcnn.io.packages import Package
from napari_medcnn.io.save import save_json, save_text, save_volume
from napari_medcnn.verbs import command_model, manifest, predict
from napari_medcnn.verbs.guard import Steps, guarded, plain_os_error, relay, stop_if
from napari_medcnn.verbs.many_cases import Case, cases_of, is_one_file, spare_input, targets_of
from napari_medcnn.verbs.names import provenance_path
from napari_medcnn.verbs.save import SaveRequest, predictions_table, write
from napari_medcnn.worker.client import Engine

#: So many deaths of the engine or program one after the other mean that the fault is not in the cases.
_DEATHS_TO_STOP = 3
_DONE_BEFORE = "Done in an earlier run with equal input, model and options; not run again."


@dataclass(frozen=True)
class ManyRequest:
    """Run `model` on files and folders `inputs`, results into `out` (a folder, or one image file for one input).

    An input may be several paths joined by ``|``: the channels of one case, on the grid of the first.  `model` is the
    name or path of a package, or the name of one of the user's command models.  `item` takes one item of a single
    input that holds several; `consent` allows what is refused unasked.  `resume` leaves out what ``manifest.json`` in
    `out` says is done with equal input, model and options.  Maps that `options` ask for (probabilities, uncertainty)
    become files beside the mask.
    """

    inputs: tuple[Path, ...]
    model: Path | str
    out: Path
    options: PredictOptions = field(default_factory=lambda: PredictOptions(uncertainty=False))
    code: tuple[str, ...] = ()
    item: str | None = None
    consent: Consent = NONE
    resume: bool = False


@dataclass(frozen=True)
class ManyResult:
    """`report` is what ``medcnn predict --json`` prints; `failed` counts its cases that have no result.

    `asks` names, case by case, the consent that a failed one needs, or "".
    """

    report: dict[str, Any]
    failed: int
    asks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Model:
    """What runs: a package in the engine, or a program of the user's; `mark` changes with anything that counts."""

    name: str
    sha256: str
    mark: str
    masks: bool
    channel_names: tuple[str, ...]
    package: Package | None = None
    command: CommandModel | None = None
    program: command_model.FoundProgram | None = None


@dataclass(frozen=True)
class _Work:
    request: ManyRequest
    model: _Model
    engine: Engine
    cancel: Cancel


@dataclass(frozen=True)
class _Outcome:
    """Row of the report, result or None, whether the engine or program died of it, the consent that it needs."""

    row: dict[str, Any]
    result: Segmentation | Classification | None = None
    died: bool = False
    asks: str = ""


@guarded
def run(request: ManyRequest, cancel: Cancel, engine: Engine) -> Events:
    """Predict all; the result is a `ManyResult`.

    Fails with
    ----------
    InputError, ModelError, SaveError
        What concerns all cases: no input, no such model, OUT cannot be written.  Faults of one case are in the report.
    """
    stop_if(cancel)
    if not request.inputs:
        raise InputError("IN: expected at least one file or folder")
    if request.item is not None and len(request.inputs) > 1:
        raise InputError(f"item: names one item of one input, got {len(request.inputs)} inputs")
    yield Progress(0.0, "Opening the model")
    model = yield from _open(request, cancel)
    work = _Work(request, model, engine, cancel)
    cases: list[Case] = []
    for path in request.inputs:
        stop_if(cancel)
        cases += cases_of(Path(path), request.item)
    out = Path(request.out)
    targets = targets_of(out, cases, model.masks)
    one_file = model.masks and is_one_file(out, len(cases))
    if one_file and request.resume:
        raise InputError("resume: needs OUT to be a folder, where the manifest stands")
    named = {"name": model.name, "sha256": model.sha256}
    log = manifest.Manifest(None if one_file else out, manifest.head(named), request.resume)
    rows, asks = yield from _all(work, cases, targets, log)
    failed = sum(row["status"] != "done" for row in rows)
    yield Result(ManyResult({"model": named, "cases": rows}, failed, asks))


def _all(work: _Work, cases: list[Case], targets: list[Path], log: manifest.Manifest) -> Steps:
    """Run all cases; returns their rows and what they ask.  Whatever stops the run, what is done is on disk."""
    rows: list[dict[str, Any]] = []
    asks: list[str] = []
    scores: list[tuple[str, Classification]] = []
    deaths = 0
    try:
        for number, (case, target) in enumerate(zip(cases, targets, strict=True)):
            stop_if(work.cancel)
            yield Progress(number / len(cases), f"{number + 1} of {len(cases)}: {case.path.name}")
            key = _key(work, case) if not case.error else {}
            before = log.done_before(key)
            if before is not None:
                outcome = _again(before)
            else:
                steps = _one(work, case, target)
                outcome = yield from _share(steps, number, len(cases), case.path.name)
                chosen = list(outcome.result.chosen) if isinstance(outcome.result, Classification) else None
                error = (outcome.row["error"] or "").partition(command_model.SAID)[0] or None
                log.add({**outcome.row, "error": error, "chosen": chosen, **key})
            rows.append(outcome.row)
            asks.append(outcome.asks)
            if isinstance(outcome.result, Classification):
                scores.append((f"{case.name}#{case.item}" if case.several else case.name, outcome.result))
            deaths = deaths + 1 if outcome.died else 0
            if deaths >= _DEATHS_TO_STOP:
                what = "The AI engine" if work.model.command is None else work.model.command.title
                raise EngineError(f"{what} died {deaths} times in a row. {outcome.row['error']}", state="crashed")
    finally:
        log.write()
        if scores:
            save_text(predictions_table(scores), work.request.out / "predictions.csv")
    return rows, tuple(asks)


def _open(request: ManyRequest, cancel: Cancel) -> Generator[Event, None, _Model]:
    command = find_command(request.model)
    if command is None:
        package = predict.open_model(request.model)
        spec = package.spec
        text = json.dumps([spec.to_json(), spec.sha256], sort_keys=True)
        mark = hashlib.sha256(text.encode("utf-8")).hexdigest()
        channels = spec.preparation.channel_names
        return _Model(spec.name, spec.sha256, mark, spec.task == "segmentation", channels, package)
    command_model.refuse_options(command, request.options)
    program = yield from relay(command_model.look_up(command, cancel))
    mark = command_model.definition_sha256(command, program)
    return _Model(command.name, mark, mark, True, command.channels, command=command, program=program)


def _key(work: _Work, case: Case) -> dict[str, Any]:
    """Return what must be equal for a case not to be run again; {} where its files cannot be read."""
    request = work.request
    try:
        digest = manifest.files_sha256(case.files)
    except OSError:
        return {}
    options = {**to_json(request.options), "consent": request.consent.to_json(), "code": list(request.code)}
    return {"input": case.name, "item": case.item, "input_sha256": digest, "model_sha256": work.model.mark,
            "options": options}  # fmt: skip


def _again(before: Mapping[str, Any]) -> _Outcome:
    """Return the outcome of a case that an earlier run did."""
    row: dict[str, Any] = {name: before.get(name) for name in _COLUMNS}
    row["warnings"] = [*(row["warnings"] or []), _DONE_BEFORE]
    if before.get("chosen") is None:
        return _Outcome(row)
    nothing = Provenance({}, {}, {}, "", {}, "")
    return _Outcome(row, Classification(dict(row["classes"] or {}), tuple(before["chosen"]), nothing))


def _one(work: _Work, case: Case, target: Path) -> Generator[Event, None, _Outcome]:
    """Run one case, whatever happens to it."""
    error, died, asks = case.error, False, ""
    if not error:
        try:
            return (yield from _attempt(work, case, target))
        except Cancelled:
            raise
        except MedcnnError as fault:
            error, died = str(fault), isinstance(fault, EngineError)
            asks = fault.asks if isinstance(fault, ConsentNeededError) else ""
        except OSError as fault:
            error = plain_os_error(fault)
        except MemoryError:
            error = "There is not enough memory for this case."
    empty = dict.fromkeys(("output", "classes", "volumes_ml", "device", "seconds"))
    row: dict[str, Any] = {
        "input": case.name,
        "item": case.item,
        "status": "failed",
        **empty,
        "warnings": [],
        "error": error,
    }
    return _Outcome(row, None, died, asks)


def _attempt(work: _Work, case: Case, target: Path) -> Generator[Event, None, _Outcome]:
    request, model = work.request, work.model
    spare_input(case, target)
    volume = case.read(request.consent, model.channel_names)
    result: Segmentation | Classification = yield from relay(_predict(work, volume))
    warnings = [*volume.notes, *(f"{i.topic}: {i.text}" for i in result.fit if i.level != "ok"), *result.warnings]
    if isinstance(result, Segmentation):
        write(SaveRequest(result, target))
        warnings += _save_maps(result, volume, target, request.options)
    else:
        save_json(result.provenance.to_json(), target)
        target = request.out / "predictions.csv"
    return _Outcome(_row(case, result, target, warnings), result)


def _predict(work: _Work, volume: Volume) -> Events:
    request, model = work.request, work.model
    if model.command is not None:
        asked = command_model.CommandRequest(volume, model.command, request.options, model.program)
        return command_model.run(asked, work.cancel)
    run_on = predict.PredictRequest(volume, model.package or request.model, request.options, request.code)
    return predict.run(run_on, work.cancel, work.engine)


def _share(steps: Steps, number: int, count: int, name: str) -> Steps:
    """Pass on the progress of one case as its share of the whole run, its name in front."""
    try:
        while True:
            event = next(steps)
            if isinstance(event, Progress):
                fraction = None if event.fraction is None else (number + event.fraction) / count
                event = Progress(fraction, f"{name}: {event.message}")
            yield event
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _save_maps(result: Segmentation, volume: Volume, target: Path, options: PredictOptions) -> list[str]:
    """Write what was asked for beside the mask, on the scan's grid; returns what could not be."""
    stem = provenance_path(target).name.removesuffix(".provenance.json")
    missing = []
    if options.probabilities:
        if result.probabilities is None:
            missing.append("The model gave no probabilities.")
        else:
            scores = np.asarray(result.probabilities, dtype=np.float32)
            picture = Volume(scores, volume.geometry, "zyxc", channel_names=result.channel_names)
            save_volume(picture, target.with_name(f"{stem}.probabilities.nii.gz"))
    if options.uncertainty:
        if result.uncertainty is None:
            missing.append("The model gave no uncertainty map.")
        else:
            save_volume(Volume(result.uncertainty, volume.geometry), target.with_name(f"{stem}.uncertainty.nii.gz"))
    return missing


_COLUMNS = (
    "input", "item", "status", "output", "classes", "volumes_ml", "device", "seconds", "warnings", "error",
)  # fmt: skip


def _row(case: Case, result: Segmentation | Classification, output: Path, warnings: list[str]) -> dict[str, Any]:
    seconds = {k: float(result.provenance.seconds.get(k, 0.0)) for k in ("load", "forward", "rest")}
    volumes = None
    if isinstance(result, Segmentation) and result.mask.geometry.spacing_known:
        found = result.mask.volumes_ml()
        volumes = {label.name: found.get(label.id, 0.0) for label in result.mask.labels}
    values = (
        case.name,
        case.item,
        "done",
        str(output),
        dict(result.probabilities) if isinstance(result, Classification) else None,
        volumes,
        result.provenance.device,
        seconds,
        list(dict.fromkeys(warnings)),
        None,
    )
    return dict(zip(_COLUMNS, values, strict=True))
