"""Run a model on one scan: say first whether they suit, then hand over, run, and bring the result back."""

from __future__ import annotations

import hashlib
import importlib.util
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn import __version__
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.fit import check_fit, worst
from napari_medcnn.core.options import PredictOptions, to_json
from napari_medcnn.core.results import Classification, FitItem, Provenance, Segmentation
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import EngineError, InputError, ModelError
from napari_medcnn.imaging.asked import check_options
from napari_medcnn.imaging.forecast import forecast_for, free_bytes, gigabytes
from napari_medcnn.io.packages import Package, find_model, read_package
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.verbs.scan_record import scan_record, voxel_sha256
from napari_medcnn.worker.client import Engine
from napari_medcnn.worker.meta import volume_meta
from napari_medcnn.worker.protocol import ArrayRef

PROBABILITY_DTYPE = "float16"


@dataclass(frozen=True)
class PredictRequest:
    """Run `model` (the name or path of a package, or one that is open already) on `volume`.

    Parameters
    ----------
    code
        Python files or modules with custom layers that the user trusts; recorded by hash.
    keep
        Leave the voxels in the exchange folder for the next run on the same scan (an open viewer);
        `scan_key` names them to `engine.exchange.forget`.
    """

    volume: Volume
    model: Path | str | Package
    options: PredictOptions = field(default_factory=PredictOptions)
    code: tuple[str, ...] = ()
    keep: bool = False


@dataclass(frozen=True)
class _Job:
    """What is known before running: the time point asked for, its fit, and the hash of its voxels."""

    request: PredictRequest
    package: Package
    volume: Volume
    fit: tuple[FitItem, ...]
    digest: str


@guarded
def run(request: PredictRequest, cancel: Cancel, engine: Engine) -> Events:
    """Predict; the result is a Segmentation on the scan's own grid, or a Classification.

    Fails with
    ----------
    InputError
        The scan does not suit the model (every reason is named), there is no such time point, or the options ask for
        what this model or scan cannot give (slices of a 3D model, a region outside the scan, undeclared mirroring).
    ModelError, EngineError, Cancelled
        The model cannot be opened, the engine died, the user stopped.
    """
    stop_if(cancel)
    yield Progress(0.0, "Opening the model")
    package = open_model(request.model)
    spec = package.spec
    volume = one_frame(request.volume, request.options.frame)
    fit = check_fit(volume, spec)
    refuse_misfit(fit, request.options)
    check_options(volume, spec, request.options)
    words, scarce = forecast_words(volume, spec, request.options)
    yield Progress(0.0, words)
    stop_if(cancel)
    yield Progress(0.0, "Handing the scan over")
    job = _Job(request, package, volume, fit, voxel_sha256(volume))
    with _arrays(job, engine) as arrays:
        body = {
            "model": str(package.path),
            "code": list(request.code),
            "volume": arrays["volume"].to_json(),
            "meta": volume_meta(volume),
            "options": to_json(request.options),
            **{k: _ref(arrays.get(k)) for k in ("labels", "uncertainty", "probabilities")},
        }
        try:
            reply = yield from relay(engine.run("predict", body, cancel))
        except EngineError as error:
            if not scarce or error.state not in ("crashed", "killed"):
                raise
            # a process that ends for want of memory cannot say so itself
            raise EngineError(f"{error} {scarce[0]}", error.state, error.exit_code, error.stderr_tail) from error
        reply = {**reply, "warnings": [*scarce, *reply.get("warnings", ())]}
        provenance = _provenance(job, reply)
        value: Segmentation | Classification
        if spec.task == "classification":
            value = classification(spec, reply, provenance, fit)
        else:
            value = _segmentation(job, reply, provenance, engine, arrays)
    yield Result(value)


def forecast_words(volume: Volume, spec: ModelSpec, options: PredictOptions) -> tuple[str, tuple[str, ...]]:
    """Return what the run will take, in words, and what to keep on the result where that is more than there is.

    It is a forecast and no reason to refuse: the run takes smaller windows when memory is short, and may well end.
    """
    told = forecast_for(volume.geometry, volume.array.dtype, spec, options)
    free = free_bytes()
    if free is None or told.bytes_needed <= free:
        return told.words, ()
    return told.words, (
        f"Memory may be short: about {gigabytes(told.bytes_needed)} are needed and {gigabytes(free)} were free; choose "
        "a region, or close other programs.",
    )


def open_model(model: Path | str | Package) -> Package:
    """Return the package of a name or path; one that is open already (for many scans) is not read again."""
    if isinstance(model, Package):
        return model
    path = find_model(model)
    if path.suffix.lower() == ".keras":
        raise ModelError(
            f"{path.name}: a bare .keras file does not say how scans are prepared for it; add it once with: "
            f"medcnn models --add {path.name} (in Python: predict(..., spec=ModelSpec(...)))."
        )
    return read_package(path)


def one_frame(volume: Volume, frame: int) -> Volume:
    """Return the time point to run on; a scan without time has only frame 0."""
    if frame >= volume.frames:
        raise InputError(f"frame: this scan has {volume.frames} time points, expected 0 to {volume.frames - 1}")
    return volume.frame(frame)


def refuse_misfit(fit: tuple[FitItem, ...], options: PredictOptions) -> None:
    """Raise `InputError` naming every reason why this scan must not run, or must be insisted on."""
    grave = {"stop"} if options.ignore_fit else {"stop", "override"}
    if worst(fit) not in grave:
        return
    lines = "; ".join(f"{item.topic}: {item.text}" for item in fit if item.level in grave)
    hint = "" if worst(fit) == "stop" else " To run it all the same, set ignore_fit (--ignore-fit)."
    raise InputError(f"This scan does not suit the model. {lines}{hint}")


def scan_key(digest: str) -> str:
    """Return the key of a kept scan in the exchange folder; `digest` is its `voxel_sha256`."""
    return f"scan-{digest[:24]}"


def class_names(spec: ModelSpec) -> tuple[str, ...]:
    """Return the name of each score channel, in order."""
    return tuple(spec.labels.name_of(i) for i in spec.decision.ids)


def classification(
    spec: ModelSpec, reply: Mapping[str, Any], provenance: Provenance, fit: tuple[FitItem, ...]
) -> Classification:
    """Turn class scores into a decision: the largest where classes exclude each other, else all above threshold."""
    names = class_names(spec)
    scores = {str(k): float(v) for k, v in reply["scores"].items()}
    if set(scores) != set(names):
        raise ModelError(f"The model gave scores for {sorted(scores)}, its card names {sorted(names)}.")
    if spec.decision.exclusive:
        chosen: tuple[str, ...] = (max(names, key=lambda n: scores[n]),)
    else:
        chosen = tuple(n for n, low in zip(names, spec.decision.thresholds, strict=True) if scores[n] >= low)
    ordered = {n: scores[n] for n in names}
    return Classification(ordered, chosen, provenance, fit, tuple(map(str, reply.get("warnings", ()))))


def _segmentation(
    job: _Job, reply: Mapping[str, Any], provenance: Provenance, engine: Engine, arrays: Mapping[str, ArrayRef]
) -> Segmentation:
    spec = job.package.spec
    labels = np.array(engine.exchange.open(arrays["labels"], "r"))
    unnamed = set(np.unique(labels).tolist()) - {0, *spec.labels.ids}
    if unnamed:
        raise ModelError(f"The mask holds class ids {sorted(unnamed)} that the model's card does not name.")
    doubt = arrays.get("uncertainty")
    scores = arrays.get("probabilities")
    return Segmentation(
        mask=LabelMap(labels, job.volume.geometry, spec.labels, name=spec.title or spec.name),
        scores={str(k): float(v) for k, v in reply["scores"].items()},
        provenance=provenance,
        fit=job.fit,
        uncertainty=None if doubt is None else np.array(engine.exchange.open(doubt, "r")),
        probabilities=None if scores is None else engine.exchange.open(scores, "r"),
        channel_names=class_names(spec),
        warnings=tuple(map(str, reply.get("warnings", ()))),
    )


@contextmanager
def _arrays(job: _Job, engine: Engine) -> Iterator[dict[str, ArrayRef]]:
    """Put the scan into the exchange folder and make room for the answers; what nobody holds afterwards is dropped.

    Answers get names of their own, so that a queued run never writes into the result of another.  Probabilities stay:
    they are handed out as the mapped file itself and go with the engine.
    """
    exchange, options, spec = engine.exchange, job.request.options, job.package.spec
    mark = uuid.uuid4().hex
    keys = {"volume": scan_key(job.digest) if job.request.keep else f"scan-{mark}"}
    refs = {"volume": exchange.put(job.volume.array, keys["volume"])}
    wanted: dict[str, tuple[tuple[int, ...], str]] = {}
    shape = job.volume.geometry.shape
    if spec.task == "segmentation":
        wanted["labels"] = (shape, spec.decision.dtype)
        if options.uncertainty:
            wanted["uncertainty"] = (shape, "uint8")
        if options.probabilities:
            wanted["probabilities"] = ((*shape, len(spec.decision.ids)), PROBABILITY_DTYPE)
    try:
        for name, (size, dtype) in wanted.items():
            keys[name] = f"{name}-{mark}"
            refs[name] = exchange.new(size, dtype, keys[name])
        yield refs
    finally:
        for name, key in keys.items():
            if name != "probabilities" and not (name == "volume" and job.request.keep):
                exchange.forget(key)


def _ref(ref: ArrayRef | None) -> dict[str, Any] | None:
    return None if ref is None else ref.to_json()


def _provenance(job: _Job, reply: Mapping[str, Any]) -> Provenance:
    spec, volume = job.package.spec, job.volume
    warnings = tuple(map(str, reply.get("warnings", ())))
    return Provenance(
        model=model_record(spec, job.request.code),
        options=to_json(job.request.options),
        versions={"napari-medcnn": __version__, **{str(k): str(v) for k, v in reply.get("versions", {}).items()}},
        device=str(reply.get("device", "")),
        input=scan_record(volume, job.digest),
        time=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        seconds={str(k): float(v) for k, v in reply.get("seconds", {}).items()},
        notes=tuple(f"{i.topic}: {i.text}" for i in job.fit if i.level != "ok") + warnings,
    )


def model_record(spec: ModelSpec, code: tuple[str, ...]) -> dict[str, Any]:
    """Return what the record of a result says of the model: name, version, hash, licence, trusted code by hash."""
    model: dict[str, Any] = {
        "name": spec.name, "version": spec.version, "sha256": spec.sha256, "licence": spec.licence
    }  # fmt: skip
    if code:
        model["code"] = {name: _code_sha256(name) for name in code}
    return model


def _code_sha256(name: str) -> str:
    """Return the hash of a trusted file of layers, given as a path or as the name of a module."""
    path: Path | None = Path(name)
    if not name.endswith(".py"):
        found = importlib.util.find_spec(name.partition(".")[0])
        path = Path(found.origin) if found is not None and found.origin else None
    if path is None or not path.is_file():
        raise InputError(f"code: there is no Python file or module {name!r}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_source(volume: Volume, path: Path, item: str | None) -> Volume:
    """Return the volume with the path and item it came from, for "Copy as command"."""
    return replace(volume, source={**volume.source, "path": str(path), "item": item or ""})
