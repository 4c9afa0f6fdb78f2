"""Ask a model why: a map on the scan's own grid of what moved the score, and the check whether to believe it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn import __version__
from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.fit import check_fit
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.options import ExplainOptions, PredictOptions, to_json
from napari_medcnn.core.results import FitItem, Provenance
from napari_medcnn.core.saliency import CAUTION, Check, Pace, SaliencyMap
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.commands import find_command
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs import explain_program
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.verbs.place import component_at, inside, refuse_other_grid
from napari_medcnn.verbs.predict import class_names, model_record, one_frame, open_model, refuse_misfit, scan_key
from napari_medcnn.verbs.scan_record import scan_record, voxel_sha256
from napari_medcnn.worker.client import Engine
from napari_medcnn.worker.meta import volume_meta
from napari_medcnn.worker.protocol import ArrayRef


@dataclass(frozen=True)
class ExplainRequest:
    """Explain what `model` (name, path or open package; the name of a program) says of `volume`.

    Parameters
    ----------
    mask
        On the scan's grid. The score asked about is the sum over its voxels of the target class; with
        `options.voxel`, over the connected component at that voxel. None: the class of a whole case, or, of a
        segmenter, over the voxels it gives that class itself.
    code, keep
        As in `PredictRequest`.
    """

    volume: Volume
    model: Path | str | Package
    options: ExplainOptions = field(default_factory=ExplainOptions)
    mask: LabelMap | None = None
    code: tuple[str, ...] = ()
    keep: bool = False


@dataclass(frozen=True)
class _Job:
    request: ExplainRequest
    package: Package
    volume: Volume
    options: ExplainOptions
    region: Array | None
    fit: tuple[FitItem, ...]
    digest: str


@guarded
def run(request: ExplainRequest, cancel: Cancel, engine: Engine) -> Events:
    """Explain; the result is a `SaliencyMap`.

    Fails with
    ----------
    InputError
        The scan does not suit the model, the class is unknown, the voxel lies outside, the mask is empty there.
    UnsupportedError
        The network has no convolution, or no gradient, for this method; the message names one that works.
    ModelError, EngineError, Cancelled
        The model cannot be opened or answers the same whatever it is shown; the engine died; the user stopped.
    """
    stop_if(cancel)
    command = _command(request.model)
    if command is not None:
        yield from explain_program.run(command, request.volume, request.options, request.mask, cancel)
        return
    yield Progress(0.0, "Opening the model")
    job = _job(request)
    yield Progress(0.0, "Handing the scan over")
    with _arrays(job, engine, ("map",)) as arrays:
        reply = yield from relay(engine.run("explain", _body(job, arrays), cancel))
        values = np.array(engine.exchange.open(arrays["map"], "r"))
    yield Result(_map(job, values, reply))


@guarded
def check(
    request: ExplainRequest, made: SaliencyMap, reference: LabelMap | None, cancel: Cancel, engine: Engine
) -> Events:
    """Check a map that `run` made for the same request; the result is the map with its `Check`.

    Parameters
    ----------
    reference
        A mask that a person drew, on the scan's grid: its voxels of the target class (of a classifier: all that are
        not 0) are what the map is compared with. None leaves that comparison out.
    """
    stop_if(cancel)
    if _command(request.model) is not None:
        yield Result(explain_program.check(made, reference))
        return
    yield Progress(0.0, "Opening the model")
    job = _job(request)
    ref = None if reference is None else _wanted_voxels(job, reference)
    yield Progress(0.0, "Handing the scan over")
    with _arrays(job, engine, (), made.values, ref) as arrays:
        body = _body(job, arrays)
        body["layer"] = made.layer
        reply = yield from relay(engine.run("check_map", body, cancel))
    yield Result(replace(made, check=Check.from_json(reply["check"])))


def target_words(spec: ModelSpec, options: ExplainOptions, region: Array | None) -> str:
    """Return what was asked, for people: "score of pneumonia", "what spoke against vessel in 231 voxels"."""
    name = options.target or "the class the model gave"
    words = f"what spoke against {name}" if options.negate else f"score of {name}"
    if region is not None:
        count = int(np.count_nonzero(region))
        words += " at one voxel" if count == 1 else f" over {count} voxels"
    return words


def _command(model: Path | str | Package) -> CommandModel | None:
    """Return the program that is asked, None for a model package."""
    return find_command(model) if isinstance(model, str) else None


def _job(request: ExplainRequest) -> _Job:
    package = open_model(request.model)
    spec, options = package.spec, request.options
    volume = one_frame(request.volume, options.frame)
    fit = check_fit(volume, spec)
    refuse_misfit(fit, PredictOptions(device=options.device, ignore_fit=options.ignore_fit))
    options = _with_target(options, spec, request.mask)
    region = _region(request, volume, spec, options)
    return _Job(request, package, volume, options, region, fit, voxel_sha256(volume))


def _with_target(options: ExplainOptions, spec: ModelSpec, mask: LabelMap | None) -> ExplainOptions:
    """Return the options with the class named where the mask says which one is meant; refuse unknown classes."""
    names = class_names(spec)
    if not options.target and mask is not None and options.voxel is not None and spec.task == "segmentation":
        label = int(mask.array[options.voxel]) if inside(options.voxel, mask.array.shape) else 0
        if label in spec.labels:
            options = replace(options, target=spec.labels.name_of(label))
    if options.target and options.target not in names:
        raise InputError(f"target: expected one of {', '.join(names)}, got {options.target!r}")
    return options


def _region(request: ExplainRequest, volume: Volume, spec: ModelSpec, options: ExplainOptions) -> Array | None:
    """Return the voxels whose scores are summed, bool (z, y, x); None for a whole case, or what the model finds."""
    shape, voxel, mask = volume.geometry.shape, options.voxel, request.mask
    if mask is None and voxel is None:
        return None
    if spec.task == "classification":
        raise InputError("A classification model scores the whole case, not a voxel or a region; leave them out.")
    if voxel is not None and not inside(voxel, shape):
        raise InputError(f"voxel: expected an index inside {shape} (z, y, x), got {voxel}")
    if mask is None:
        one = np.zeros(shape, bool)
        one[voxel] = True
        return one
    refuse_other_grid("mask", mask, volume.geometry)
    if voxel is not None:
        return component_at(mask.array, voxel)
    label = _label(spec, options.target)
    region: Array = mask.array != 0 if label is None else mask.array == label
    if not region.any():
        raise InputError(f"mask: it has no voxel of {options.target or 'any class'}")
    return region


def _wanted_voxels(job: _Job, reference: LabelMap) -> Array:
    refuse_other_grid("reference", reference, job.volume.geometry)
    spec = job.package.spec
    masks = spec.task == "segmentation"
    label = _label(spec, job.options.target) if masks else None
    wanted: Array = reference.array == label if label is not None else reference.array != 0
    return wanted


def _label(spec: ModelSpec, name: str) -> int | None:
    return next((i for i in spec.decision.ids if i and spec.labels.name_of(i) == name), None)


def _body(job: _Job, arrays: Mapping[str, ArrayRef]) -> dict[str, Any]:
    return {
        "model": str(job.package.path),
        "code": list(job.request.code),
        "meta": volume_meta(job.volume),
        "options": to_json(job.options),
        **{name: ref.to_json() for name, ref in arrays.items()},
    }


@contextmanager
def _arrays(
    job: _Job, engine: Engine, out: tuple[str, ...], made: Array | None = None, reference: Array | None = None
) -> Iterator[dict[str, ArrayRef]]:
    """Hand over the scan and what goes with it, make room for answers; drop all but a kept scan afterwards."""
    exchange, mark = engine.exchange, uuid.uuid4().hex
    keep = job.request.keep
    keys = {"volume": scan_key(job.digest) if keep else f"scan-{mark}"}
    given = {"region": job.region, "map": made, "reference": reference}
    refs: dict[str, ArrayRef] = {}
    try:
        refs["volume"] = exchange.put(job.volume.array, keys["volume"])
        for name, array in given.items():
            if array is not None:
                keys[name] = f"{name}-{mark}"
                plain = array.astype(np.uint8) if array.dtype == bool else array
                refs[name] = exchange.put(plain, keys[name])
        for name in out:
            keys[name] = f"{name}-{mark}"
            refs[name] = exchange.new(job.volume.geometry.shape, "float32", keys[name])
        yield refs
    finally:
        for name, key in keys.items():
            if not (name == "volume" and keep):
                exchange.forget(key)


def _map(job: _Job, values: Array, reply: Mapping[str, Any]) -> SaliencyMap:
    options = replace(job.options, target=str(reply["target"]), layer=str(reply["layer"]))
    warnings = tuple(map(str, reply.get("warnings", ())))
    provenance = Provenance(
        model=model_record(job.package.spec, job.request.code),
        options=to_json(options),
        versions={"napari-medcnn": __version__, **{str(k): str(v) for k, v in reply.get("versions", {}).items()}},
        device=str(reply.get("device", "")),
        input=scan_record(job.volume, job.digest),
        time=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        seconds={str(k): float(v) for k, v in reply.get("seconds", {}).items()},
        notes=(CAUTION, *(f"{i.topic}: {i.text}" for i in job.fit if i.level != "ok"), *warnings),
    )
    seconds = reply.get("check_seconds")
    return SaliencyMap(
        values=values,
        geometry=job.volume.geometry,
        method=str(reply["method"]),
        target=target_words(job.package.spec, options, job.region),
        layer=str(reply["layer"]),
        score=float(reply["score"]),
        provenance=provenance,
        check_seconds=None if seconds is None else float(seconds),
        layers=tuple(map(str, reply.get("layers", ()))),
        facts=dict(reply.get("facts", {})),
        warnings=warnings,
        pace=None if reply.get("pace") is None else Pace(**reply["pace"]),
    )
