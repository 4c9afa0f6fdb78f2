"""One options value per verb: it feeds the form, the command line, the protocol and the run record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from napari_medcnn.errors import InputError

Device = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True)
class PredictOptions:
    """How to run a model on a scan.

    Parameters
    ----------
    device
        "auto" takes a GPU when one works.
    probabilities
        Also return the probability of every class on the scan's grid.
    uncertainty
        Also return a uint8 map, 0 sure to 255 undecided.
    frame
        Time point of a 4D scan, from 0.
    ignore_fit
        Run although the fit check says stop for a reason the user may override (never for channels or dimensions).
    """

    device: Device = "auto"
    probabilities: bool = False
    uncertainty: bool = True
    frame: int = 0
    ignore_fit: bool = False

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "gpu"):
            raise InputError(f"device: expected auto, cpu or gpu, got {self.device!r}")
        if self.frame < 0:
            raise InputError(f"frame: expected 0 or above, got {self.frame}")


@dataclass(frozen=True)
class TrainOptions:
    """How to fine-tune a model on a dataset table.

    Parameters
    ----------
    epochs, steps_per_epoch, batch
        Amount of training; `steps_per_epoch` patches batches are drawn at random each epoch.
    learning_rate
        Adam's first learning rate; cosine decay to 1 % of it.
    seed
        Of patch sampling and augmentation.
    patience
        Stop after so many epochs without a better validation score; 0 never stops early.
    flips
        Array axes (0, 1, 2 = z, y, x of the model's grid) that may be mirrored: only where sides have no meaning.
    device
        As in `PredictOptions`.
    """

    epochs: int = 10
    steps_per_epoch: int = 20
    batch: int = 4
    learning_rate: float = 1e-4
    seed: int = 0
    patience: int = 0
    flips: tuple[int, ...] = ()
    device: Device = "auto"

    def __post_init__(self) -> None:
        for name, low, high in (("epochs", 1, 10_000), ("steps_per_epoch", 1, 100_000), ("batch", 1, 256)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name}: expected {low} to {high}, got {getattr(self, name)}")
        if not 0 < self.learning_rate <= 1:
            raise InputError(f"learning_rate: expected above 0 and at most 1, got {self.learning_rate}")
        if any(axis not in (0, 1, 2) for axis in self.flips):
            raise InputError(f"flips: expected axes among 0, 1, 2, got {self.flips}")


def to_json(options: PredictOptions | TrainOptions) -> dict[str, Any]:
    """Return plain JSON types."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}
