"""What is shown to a network, what is wanted of it, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Item:
    """A window to be shown to the network, the weights of what counts of its answer, and a mark to know it by."""

    window: Float32
    weights: Float32
    mark: Any = None


@dataclass(frozen=True, eq=False)
class Found:
    """What the network said to one `Item`; the fields are those of `gradients.Answer` without the batch.

    They are float32 arrays, None where they were not wanted.
    """

    mark: Any
    score: float
    gradient: Any = None
    activation: Any = None
    pull: Any = None


@dataclass(frozen=True)
class Want:
    """What is wanted besides scores: the gradient to the input, a layer's answer, the gradient to it; guided ReLUs."""

    to_input: bool = False
    layer: str = ""
    to_layer: bool = False
    guided: bool = False


@dataclass(frozen=True, eq=False)
class Usual:
    """Mean, lowest and highest value of each channel of the whole scan as the network sees it, (channel,) float32."""

    mean: Float32
    lowest: Float32
    highest: Float32

    @property
    def width(self) -> float:
        """The range of all values."""
        return float(self.highest.max() - self.lowest.min())

    @classmethod
    def of(cls, data: Float32) -> Usual:
        """Return those of data (z, y, x, channel)."""
        axes = (0, 1, 2)
        mean = data.mean(axis=axes, dtype=np.float64).astype(np.float32)
        return cls(mean, data.min(axis=axes), data.max(axis=axes))
