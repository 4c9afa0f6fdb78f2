"""Run a model on many inputs one by one; one bad case never stops the rest."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.events import Cancel, Event, Events, Progress, Result
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled, EngineError, InputError, MedcnnError, SaveError, UnsupportedError
from napari_medcnn.io.packages import Package
from napari_medcnn.io.read import inspect, read_volume
from napari_medcnn.io.save import save_json, save_text, save_volume
from napari_medcnn.verbs import predict
from napari_medcnn.verbs.guard import guarded, plain_os_error, relay, stop_if
from napari_medcnn.verbs.names import has_image_suffix, output_stems, provenance_path
from napari_medcnn.verbs.save import SaveRequest, predictions_table, write
from napari_medcnn.worker.client import Engine

#: So many engine deaths one after the other mean that the fault is not in the cases.
_DEATHS_TO_STOP = 3


@dataclass(frozen=True)
class ManyRequest:
    """Run `model` on files and folders `inputs`, results into `out` (a folder, or one image file for one input).

    `item` takes one item of a single input that holds several; `resample` allows irregular series.
    """

    inputs: tuple[Path, ...]
    model: Path | str
    out: Path
    options: PredictOptions = field(default_factory=PredictOptions)
    code: tuple[str, ...] = ()
    item: str | None = None
    resample: bool = False


@dataclass(frozen=True)
class ManyResult:
    """`report` is what ``medcnn predict --json`` prints; `failed` counts its cases that have no result."""

    report: dict[str, Any]
    failed: int


@dataclass(frozen=True)
class _Case:
    """One item to run on: where it is, its id, whether others of its path run too, and why it cannot run (or "")."""

    path: Path
    item: str | None
    several: bool = False
    picture: bool = False
    error: str = ""


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
    package = predict.open_model(request.model)
    cases: list[_Case] = []
    for path in request.inputs:
        stop_if(cancel)
        cases += _cases(Path(path), request.item)
    targets = _targets(request, package.spec, cases)
    rows: list[dict[str, Any]] = []
    scores: list[tuple[str, Classification]] = []
    deaths = 0
    try:
        for number, (case, target) in enumerate(zip(cases, targets, strict=True)):
            stop_if(cancel)
            yield Progress(number / len(cases), f"{number + 1} of {len(cases)}: {case.path.name}")
            row, result, dead = yield from _one(request, package, case, target, cancel, engine)
            rows.append(row)
            if isinstance(result, Classification):
                scores.append((f"{case.path}#{case.item}" if case.several else str(case.path), result))
            deaths = deaths + 1 if dead else 0
            if deaths >= _DEATHS_TO_STOP:
                raise EngineError(f"The AI engine died {deaths} times in a row. {row['error']}", state="crashed")
    finally:  # whatever stops the run, classes already found are kept
        if scores:
            save_text(predictions_table(scores), request.out / "predictions.csv")
    model = {"name": package.spec.name, "sha256": package.spec.sha256}
    failed = sum(row["status"] != "done" for row in rows)
    yield Result(ManyResult({"model": model, "cases": rows}, failed))


def _one(
    request: ManyRequest, package: Package, case: _Case, target: Path, cancel: Cancel, engine: Engine
) -> Generator[Event, None, tuple[dict[str, Any], Segmentation | Classification | None, bool]]:
    """Run one case; returns its row, its result, and whether the engine died of it."""
    error, dead = case.error, False
    if not error:
        try:
            result, output, warnings = yield from _attempt(request, package, case, target, cancel, engine)
            return _row(case, result, output, warnings), result, False
        except Cancelled:
            raise
        except MedcnnError as fault:
            error, dead = str(fault), isinstance(fault, EngineError)
        except OSError as fault:
            error = plain_os_error(fault)
        except MemoryError:
            error = "There is not enough memory for this case."
    return _failed_row(case, error), None, dead


def _attempt(
    request: ManyRequest, package: Package, case: _Case, target: Path, cancel: Cancel, engine: Engine
) -> Generator[Event, None, tuple[Segmentation | Classification, Path, tuple[str, ...]]]:
    _spare_input(case.path, target)
    volume = read_volume(case.path, case.item, request.resample)
    work = predict.PredictRequest(volume, package.path, request.options, request.code)
    result = yield from relay(_named(predict.run(work, cancel, engine), case.path.name))
    if isinstance(result, Segmentation):
        write(SaveRequest(result, target))
        if result.probabilities is not None:
            _save_probabilities(result, volume, target)
    else:
        save_json(result.provenance.to_json(), target)
        target = request.out / "predictions.csv"
    fit = tuple(f"{i.topic}: {i.text}" for i in result.fit if i.level != "ok")
    return result, target, (*volume.notes, *fit, *result.warnings)


def _named(events: Events, name: str) -> Events:
    """Put the case's name before each message, and leave the fraction to the whole run."""
    try:
        for event in events:
            yield Progress(None, f"{name}: {event.message}") if isinstance(event, Progress) else event
    finally:
        events.close()


def _cases(path: Path, wanted: str | None) -> list[_Case]:
    """Return the items of one input; what cannot be looked at is a case that failed."""
    try:
        found = inspect(path)
    except MedcnnError as error:
        return [_Case(path, None, error=str(error))]
    except OSError as error:
        return [_Case(path, None, error=plain_os_error(error))]
    # A scan of whole numbers may look like a mask; masks beside scans are not run on.
    usable = [i for i in found.items if i.kind in ("volume", "picture")] or [
        i for i in found.items if i.kind == "labels"
    ]
    if wanted is not None:
        usable = [i for i in found.items if i.id == wanted]
        if not usable:
            ids = ", ".join(i.id for i in found.items)
            return [_Case(path, wanted, error=f"{path.name}: there is no item {wanted!r}, only {ids}")]
    if not usable:
        return [_Case(path, None, error=f"{path.name}: there is no image in it")]
    return [_Case(path, item.id, len(usable) > 1, item.kind == "picture") for item in usable]


def _targets(request: ManyRequest, spec: ModelSpec, cases: list[_Case]) -> list[Path]:
    """Return the file each case writes, after making OUT."""
    out = Path(request.out)
    if spec.task == "segmentation" and len(cases) == 1 and has_image_suffix(out) and not out.is_dir():
        if not out.parent.is_dir():
            raise InputError(f"{out.parent}: there is no such folder; make it first or choose another one.")
        return [out]
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for {len(cases)} results, got a file.")
    if has_image_suffix(out) and not out.exists():
        raise InputError(f"{out.name}: expected a folder; one file is written only for one input of a mask model.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(plain_os_error(error)) from error
    stems = output_stems([(case.path, case.item if case.several else None) for case in cases])
    if spec.task == "classification":
        return [out / f"{stem}.provenance.json" for stem in stems]
    return [out / f"{stem}{'.png' if case.picture else '.nii.gz'}" for case, stem in zip(cases, stems, strict=True)]


def _spare_input(source: Path, target: Path) -> None:
    """Refuse to write a result over what it was made from."""
    for path in (target, provenance_path(target)):
        if path.exists() and source.exists() and path.samefile(source):
            raise InputError(f"{target}: the result would replace the input; choose another OUT folder.")


def _save_probabilities(result: Segmentation, volume: Volume, target: Path) -> None:
    """Write scores as ``<stem>.probabilities.nii.gz``, one channel per class, on the scan's grid."""
    if result.probabilities is None:
        raise UnsupportedError("The model gave no probabilities.")
    scores = np.asarray(result.probabilities, dtype=np.float32)
    picture = Volume(scores, volume.geometry, "zyxc", channel_names=result.channel_names)
    name = provenance_path(target).name.removesuffix(".provenance.json")
    save_volume(picture, target.with_name(f"{name}.probabilities.nii.gz"))


def _row(case: _Case, result: Segmentation | Classification, output: Path, warnings: tuple[str, ...]) -> dict[str, Any]:
    seconds = {k: float(result.provenance.seconds.get(k, 0.0)) for k in ("load", "forward", "rest")}
    volumes = None
    if isinstance(result, Segmentation) and result.mask.geometry.spacing_known:
        found = result.mask.volumes_ml()
        volumes = {label.name: found.get(label.id, 0.0) for label in result.mask.labels}
    return {
        "input": str(case.path),
        "item": case.item,
        "status": "done",
        "output": str(output),
        "classes": dict(result.probabilities) if isinstance(result, Classification) else None,
        "volumes_ml": volumes,
        "device": result.provenance.device,
        "seconds": seconds,
        "warnings": list(dict.fromkeys(warnings)),
        "error": None,
    }


def _failed_row(case: _Case, error: str) -> dict[str, Any]:
    empty = dict.fromkeys(("output", "classes", "volumes_ml", "device", "seconds"))
    return {"input": str(case.path), "item": case.item, "status": "failed", **empty, "warnings": [], "error": error}
