"""List the models there are: shipped ones, the user's own, one more folder, and the programs that run as models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_medcnn.core import paths
from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.command import card as command_card
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.commands import list_commands
from napari_medcnn.io.packages import Package, list_models
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.worker.client import Engine


@dataclass(frozen=True)
class ModelsRequest:
    """List models; `folder` adds the packages in it."""

    folder: Path | None = None


@dataclass(frozen=True)
class ModelList:
    """What was found: usable packages, the user's own programs, and in words what could not be used."""

    packages: tuple[Package, ...]
    problems: tuple[str, ...]
    commands: tuple[CommandModel, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what ``medcnn models --json`` prints."""
        return {
            "models": [card(p) for p in self.packages],
            "commands": [command_card(c) for c in self.commands],
            "problems": list(self.problems),
        }


@dataclass(frozen=True)
class RemoveRequest:
    """Remove one of the user's own packages, by name or path."""

    model: str | Path


@dataclass(frozen=True)
class Removed:
    """`name` is not listed any more; its package lies at `kept`, from where it can be added again."""

    name: str
    kept: Path


@guarded
def run(request: ModelsRequest, cancel: Cancel) -> Events:
    """List; the result is a ModelList."""
    stop_if(cancel)
    yield Progress(None, "Looking for models")
    found = list_models(request.folder)
    packages = tuple(entry for entry in found if isinstance(entry, Package))
    broken = tuple(f"{e.path.name}: {e.error}" for e in found if not isinstance(e, Package))
    listed = list_commands()
    commands = tuple(entry for entry in listed if isinstance(entry, CommandModel))
    broken += tuple(f"{e.name}: {e.error}" for e in listed if not isinstance(e, CommandModel))
    yield Result(ModelList(packages, broken, commands))


@guarded
def remove(request: RemoveRequest, cancel: Cancel, engine: Engine | None = None) -> Events:
    """Move a package out of the user's models into the folder ``removed`` beside them; the result is a `Removed`.

    Nothing is deleted.  A running engine is told to forget its models.

    Fails with
    ----------
    InputError
        No model of this name, or one that comes with the program or lies outside the user's own models.
    SaveError
        The disk refuses; nothing was changed.
    """
    stop_if(cancel)
    path, name = _own(request.model)
    yield Progress(None, f"Removing {name}")
    folder = paths.home() / "removed"
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    kept = folder / f"{path.stem if path.suffix == '.zip' else path.name}-{stamp}{path.suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.replace(path, kept)
    except OSError as error:
        raise SaveError(f"{path}: cannot be removed ({error.strerror or error}); nothing was changed") from error
    if engine is not None and engine.state in ("ready", "busy"):
        yield from relay(engine.run("forget", {}, cancel))
    yield Result(Removed(name, kept))


def _own(wanted: str | Path) -> tuple[Path, str]:
    """Return path and name of one of the user's packages, also of one that cannot be opened any more."""
    own = paths.user_models().resolve()
    for entry in list_models():
        name = entry.spec.name if isinstance(entry, Package) else entry.path.stem
        if str(wanted) not in (name, entry.path.name) and Path(wanted).absolute() != entry.path.absolute():
            continue
        if entry.path.parent.resolve() != own:
            raise InputError(f"{name}: comes with the program and stays; only your own models can be removed")
        return entry.path, name
    raise InputError(f"{wanted}: there is no model of this name among your own (see: medcnn models)")


def card(package: Package) -> dict[str, Any]:
    """Return a model's card as plain JSON types."""
    spec = package.spec
    return {
        "name": spec.name,
        "title": spec.title,
        "version": spec.version,
        "task": spec.task,
        "dimensions": spec.preparation.dimensions,
        "channels": spec.preparation.channels,
        "classes": list(spec.labels.names),
        "modalities": list(spec.fingerprint.modalities),
        "licence": spec.licence,
        "training_data": spec.training_data,
        "intended_use": spec.intended_use,
        "limits": spec.limits,
        "sha256": spec.sha256,
        "weights": list(package.kinds),
        "path": str(package.path),
    }
