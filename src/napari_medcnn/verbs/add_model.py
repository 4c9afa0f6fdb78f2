"""Add a model to the user's own: a package is checked and copied, a bare network becomes a package first."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medcnn.core import paths
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import InputError, MissingExtraError, ModelError, SaveError
from napari_medcnn.io.packages import Package, list_models, package_from_keras, read_package
from napari_medcnn.verbs.guard import Steps, guarded, relay, stop_if
from napari_medcnn.verbs.model_answers import Draft, draft_answers, look_into
from napari_medcnn.worker.client import Engine

__all__ = ["AddModelRequest", "Added", "Draft", "draft_answers", "is_bare", "run"]

#: Sizes of the noise a network is tried with where it takes any size.
_TRY = {2: 64, 3: 32}
#: Test tensors larger than this are not kept in the package.
_MOST_TEST_BYTES = 16 * 2**20
_SEED = 20261121


@dataclass(frozen=True)
class AddModelRequest:
    """Add the model at `path`: the folder, zip or ``rdf.yaml`` of a package, or a bare network with its `answers`.

    Parameters
    ----------
    code
        Python files or modules with the network's own layers that the user trusts; they are not copied.
    folder
        One more folder of models whose names count as taken.
    """

    path: Path
    answers: ModelSpec | None = None
    code: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Added:
    """The package as it is listed now; `tested` is False, and `note` says why, where no engine could try it."""

    package: Package
    tested: bool
    note: str = ""


def is_bare(path: Path | str) -> bool:
    """Return True for a ``.keras`` or ``.onnx`` file, which needs answers."""
    return Path(path).suffix.lower() in (".keras", ".onnx")


@guarded
def run(request: AddModelRequest, cancel: Cancel, engine: Engine | None = None) -> Events:
    """Check, try out and add; the result is an `Added`.  Nothing is listed before it is whole and has run once.

    Fails with
    ----------
    InputError
        A bare network without answers (they are named), or a model of this name is here already.
    ModelError, UnsafeModelError, SaveError, EngineError
        The model is damaged, unsafe or does not run as its card says; the disk refuses; the engine died.
    """
    stop_if(cancel)
    path = Path(request.path)
    yield Progress(None, f"Looking into {path.name}")
    if is_bare(path):
        work = _add_bare(path, request, cancel, engine)
    else:
        work = _add_package(path, request, cancel, engine)
    added = yield from work
    yield Result(added)


def _add_bare(path: Path, request: AddModelRequest, cancel: Cancel, engine: Engine | None) -> Steps:
    spec, code = request.answers, request.code
    if spec is None:
        missing = ", ".join(draft_answers(path, code).open)
        raise InputError(f"{path.name}: a bare network does not say everything about itself; please answer: {missing}")
    summary = look_into(path, code)
    target = _free_place(spec, request.folder)
    sizes = tuple(summary["input_shapes"][0][:-1]) if summary["input_shapes"] else ()
    tests: tuple[Array, Array] | None = None
    note = "" if engine is not None else _UNTRIED
    with _private_copy(path) as copy:  # what is tried is what is kept, whatever happens to the file meanwhile
        if engine is not None:
            yield Progress(None, "Trying the model out")
            try:
                tests = yield from _try_out(copy, spec, sizes, request, cancel, engine)
            except MissingExtraError as error:
                note = f"{_UNTRIED} {error}"
        stop_if(cancel)
        yield Progress(None, "Writing the package")
        keep = tests if tests is not None and sum(a.nbytes for a in tests) <= _MOST_TEST_BYTES else (None, None)
        package_from_keras(copy, spec, target, *keep)
    return Added(read_package(target), tests is not None, note)


def _try_out(
    path: Path, spec: ModelSpec, sizes: tuple[int | None, ...], request: AddModelRequest, cancel: Cancel, engine: Engine
) -> Steps:
    """Run the network on seeded noise; return input and raw output, float32 with a batch axis."""
    near = max(spec.divisor, _TRY[spec.preparation.dimensions] // spec.divisor * spec.divisor)
    wanted = tuple(sizes) if len(sizes) == spec.preparation.dimensions else (None,) * spec.preparation.dimensions
    space = tuple(size or near for size in wanted)
    channels = spec.preparation.network_channels
    given = np.random.default_rng(_SEED).standard_normal((1, *space, channels), dtype=np.float32)
    outputs = len(spec.decision.ids)
    shape = (1, *space, outputs) if spec.task == "segmentation" else (1, outputs)
    job = uuid.uuid4().hex
    keys = f"try-in-{job}", f"try-out-{job}"
    try:
        body = {
            "model": str(path),
            "spec": spec.to_json(),
            "code": list(request.code),
            "input": engine.exchange.put(given, keys[0]).to_json(),
        }
        answer = engine.exchange.new(shape, np.float32, keys[1])
        yield from relay(engine.run("try_out", {**body, "output": answer.to_json()}, cancel))
        return given, np.array(engine.exchange.open(answer))
    finally:
        for key in keys:
            engine.exchange.forget(key)


def _add_package(path: Path, request: AddModelRequest, cancel: Cancel, engine: Engine | None) -> Steps:
    package = read_package(path)
    look_into(package.weights, request.code)
    target = _free_place(package.spec, request.folder)
    stop_if(cancel)
    temporary = Path(tempfile.mkdtemp(prefix=".adding-", dir=target.parent))
    tested, note = False, "" if engine is not None else _UNTRIED
    try:
        yield Progress(None, "Copying the model")
        copy = temporary / target.name
        copy.mkdir()
        for name in ("rdf.yaml", *package.files):
            shutil.copyfile(package.weights.parent / name, copy / name)
        if read_package(copy).spec.to_json() != package.spec.to_json():  # compares every sha256 of the copy
            raise ModelError(f"{path.name}: it was changed while it was copied; add it again")
        if engine is not None:
            yield Progress(None, "Trying the model out")
            body = {"model": str(copy), "code": list(request.code)}
            try:
                yield from relay(engine.run("self_test" if package.tests else "warm", body, cancel))
                tested = True
            except MissingExtraError as error:
                note = f"{_UNTRIED} {error}"
        stop_if(cancel)
        if target.exists():
            raise SaveError(f"{target.name}: meanwhile there is a model of this name; nothing was changed")
        os.replace(copy, target)
    except OSError as error:
        raise SaveError(f"{target}: cannot be written ({error.strerror or error}); nothing was changed") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Added(read_package(target), tested, note)


_UNTRIED = "The model was added without trying it out."


def _free_place(spec: ModelSpec, folder: Path | None) -> Path:
    """Return where the package goes; a model of its name, shipped or the user's, is never replaced or hidden."""
    target = paths.user_models() / spec.name
    models = list_models(folder)
    taken = {m.path.name.casefold() for m in models}
    taken |= {m.spec.name.casefold() for m in models if isinstance(m, Package)}
    if spec.name.casefold() in taken or target.exists():
        raise InputError(
            f"{spec.name}: there is already a model of this name, and models are never overwritten; give this one "
            "another name, or remove the old one first"
        )
    return target


@contextmanager
def _private_copy(path: Path) -> Iterator[Path]:
    """Lend a copy of a file in a folder of our own."""
    with tempfile.TemporaryDirectory(prefix="medcnn-model-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        yield copy
