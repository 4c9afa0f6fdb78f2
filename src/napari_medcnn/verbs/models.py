"""List the models there are: shipped ones, the user's own, one more folder, and the programs that run as models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.command import card as command_card
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.io.commands import list_commands
from napari_medcnn.io.packages import Package, list_models
from napari_medcnn.verbs.guard import guarded, stop_if


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
        "path": str(package.path),
    }
