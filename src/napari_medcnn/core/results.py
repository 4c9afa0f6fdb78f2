"""What a verb gives back; every result says how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from napari_medcnn.core.geometry import Array
from napari_medcnn.core.volume import LabelMap


@dataclass(frozen=True)
class Provenance:
    """How a result was made; written as ``<stem>.provenance.json`` beside the output.  No patient identifiers.

    `input` holds the sha256 of the voxels, shape and spacing, never a path with a name in it.
    `time` is ISO 8601 with the zone. `seconds` has load, forward, rest; of a prediction also window, one pass of the
    network, and start, what compiling it took.
    """

    model: Mapping[str, Any]
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    device: str
    input: Mapping[str, Any]
    time: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    research_use: str = "Research use only, not for diagnosis."

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        data = asdict(self)
        data["notes"] = list(self.notes)
        return data


@dataclass(frozen=True)
class FitItem:
    """One line of the fit check. `level`: "ok", "warn" (look), "override" (stops unless confirmed) or "stop"."""

    level: Literal["ok", "warn", "override", "stop"]
    topic: str
    text: str


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A mask that a model drew, on the scan's own grid.

    Parameters
    ----------
    mask
        Class ids and names.
    scores
        Mean probability per class name over the voxels it won; classes that won none are left out.
    uncertainty
        uint8 (z, y, x), 0 sure to 255 undecided, or None.
    probabilities
        float16/float32 (z, y, x, channel), a memory-mapped file, or None; channel order as `channel_names`.
    """

    mask: LabelMap
    scores: Mapping[str, float]
    provenance: Provenance
    fit: tuple[FitItem, ...] = ()
    uncertainty: Array | None = None
    probabilities: Array | None = None
    channel_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Classification:
    """What class a model gives a whole case: `probabilities` per class name, `chosen` names at or above threshold."""

    probabilities: Mapping[str, float]
    chosen: tuple[str, ...]
    provenance: Provenance
    fit: tuple[FitItem, ...] = ()
    warnings: tuple[str, ...] = ()
