"""Checkpoints of a training: each epoch is a folder that is complete or not there.

No pickle: the network is a ``.keras`` file without its training part, the optimiser plain arrays, the rest JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from napari_medcnn.errors import ProjectError

_PREFIX = "epoch-"


@dataclass
class Progressed:
    """Where a training stands: `epoch` done, `best` epoch and its `score`, one entry of `history` per epoch.

    `key` names what may not change when it goes on: parent model, dataset and options.
    """

    key: str
    epoch: int = 0
    best: int = 0
    score: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Checkpoints:
    """The checkpoints in a folder; only the newest and the best are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".writing-*"):  # of a training that was killed while it saved
            shutil.rmtree(left, ignore_errors=True)

    def network(self, epoch: int) -> Path:
        """Return the ``.keras`` file of an epoch."""
        return self.folder / f"{_PREFIX}{epoch:05d}" / "network.keras"

    def last(self) -> Progressed | None:
        """Return where the newest complete checkpoint stands, None if there is none.

        Raises
        ------
        ProjectError
            It is damaged.
        """
        folders = sorted(self.folder.glob(_PREFIX + "*"))
        if not folders:
            return None
        try:
            return Progressed(**json.loads((folders[-1] / "state.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ProjectError(f"{folders[-1]}: this checkpoint is damaged ({error}); remove it to go back") from error

    def save(self, model: Any, state: Progressed) -> None:
        """Write the checkpoint of `state.epoch`: a folder under another name, then one rename."""
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=self.folder))
        try:
            plain_network(model).save(temporary / "network.keras")
            arrays = {f"v{i}": np.asarray(v) for i, v in enumerate(map(_value, model.optimizer.variables))}
            np.savez(temporary / "optimizer.npz", **arrays)  # type: ignore[arg-type]
            (temporary / "state.json").write_text(json.dumps(asdict(state), allow_nan=False), encoding="utf-8")
            target = self.network(state.epoch).parent
            if target.exists():
                shutil.rmtree(target)
            os.replace(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        keep = {self.network(state.epoch).parent, self.network(state.best).parent}
        for old in self.folder.glob(_PREFIX + "*"):
            if old not in keep:
                shutil.rmtree(old, ignore_errors=True)

    def restore_optimizer(self, model: Any, epoch: int) -> None:
        """Put the optimiser of a compiled network back to where it was after `epoch`.

        Raises
        ------
        ProjectError
            The file belongs to another network or optimiser.
        """
        path = self.network(epoch).parent / "optimizer.npz"
        model.optimizer.build(model.trainable_variables)
        try:
            with np.load(path, allow_pickle=False) as stored:
                for i, variable in enumerate(model.optimizer.variables):
                    variable.assign(stored[f"v{i}"])
        except (OSError, ValueError, KeyError) as error:
            raise ProjectError(
                f"{path}: this checkpoint is damaged ({error}); start again in an empty folder"
            ) from error


def plain_network(model: Any) -> Any:
    """Return the same network, weights shared, without optimiser and loss."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def _value(variable: Any) -> Any:
    return keras.ops.convert_to_numpy(variable.value)
