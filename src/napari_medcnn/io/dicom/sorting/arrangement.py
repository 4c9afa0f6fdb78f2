"""What planes that repeat their places are arranged to: values shared by the modules that arrange them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.io.dicom.facts import Plane

Numbers = NDArray[np.intp]
_SHOWN = 3


@dataclass(frozen=True)
class Axis:
    """One explanation: the entry of `Frame.moment`, its name and unit on screen, and what one value is called."""

    key: str
    name: str
    unit: str
    word: str


#: In order of preference: what was set on the scanner explains more than when it happened.
AXES = (
    Axis("DiffusionBValue", "b", "s/mm2", "b-value"),
    Axis("EchoTime", "TE", "ms", "echo"),
    Axis("EchoNumbers", "echo", "", "echo"),
    Axis("InversionTime", "TI", "ms", "inversion time"),
    Axis("FlipAngle", "flip angle", "°", "flip angle"),
    Axis("KVP", "tube voltage", "kV", "tube voltage"),
    Axis("NominalPercentageOfCardiacPhase", "cardiac phase", "%", "cardiac phase"),
    Axis("TemporalPositionIndex", "t", "", "time point"),
    Axis("TemporalPositionIdentifier", "t", "", "time point"),
    Axis("TemporalPositionTimeOffset", "t", "s", "time point"),
    Axis("TriggerTime", "trigger", "ms", "trigger delay"),
    Axis("FrameReferenceTime", "t", "", "time point"),
    Axis("AcquisitionNumber", "t", "", "acquisition"),
    Axis("AcquisitionTime", "t", "", "time point"),
)
BY_TIME = AXES[7]


@dataclass(frozen=True)
class Arrangement:
    """What opens as one image: for each time point its planes in rising order, and what was said.

    `places` are the numbers of the places, rising; `axis` is None for a single time point.
    """

    times: tuple[tuple[Plane, ...], ...]
    places: tuple[int, ...]
    axis: Axis | None = None
    suffix: str = ""
    words: tuple[str, ...] = ()
    duplicates: tuple[tuple[int, int, Plane], ...] = ()
    copies: tuple[Plane, ...] = ()
    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def stated(plane: Plane, axis: Axis) -> float | str | None:
    """Return what a plane states on an axis, None if nothing; settings with a unit without rounding (4 digits)."""
    value = plane.frame.moment.get(axis.key)
    return float(f"{value:.4g}") if axis.unit and isinstance(value, float) else value


def once(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> Arrangement:
    """Return one image of planes that repeat no place."""
    order = np.argsort(of, kind="stable")
    return Arrangement(
        (tuple(planes[k] for k in order),), tuple(int(of[k]) for k in order), None, suffix, words
    )  # fmt: skip


def other_ranges(axis: Axis, found: Sequence[Arrangement], full: tuple[int, ...]) -> str:
    """Return what is said of values that do not cover the places of the rest."""
    told = []
    for other in found[1:]:
        lost = sorted(set(full) - set(other.places))
        where = f" (without slice {', '.join(str(k + 1) for k in lost[:_SHOWN])})" if 0 < len(lost) < len(full) else ""
        told.append(f"{other.words[-1]}: {slices_words(len(other.places))}{where}")
    more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return f"Not every {axis.word} covers the same {len(full)} slices; listed apart: {'; '.join(told[:_SHOWN])}{more}."


def slices_words(count: int) -> str:
    """Return "1 slice" or "5 slices"."""
    return "1 slice" if count == 1 else f"{count} slices"


def sortable(value: object) -> tuple[int, float, str]:
    """Return a key that sorts numbers before words."""
    return (0, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, str(value))


def shown_value(value: object) -> str:
    """Return a value as it is shown."""
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
