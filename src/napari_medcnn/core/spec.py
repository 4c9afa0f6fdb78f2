"""What a model is, in full: the card that people read and the pipeline that we run.

Stored as ``config.medcnn`` of a BioImage.IO 0.5 package; plain JSON types, string keys, finite numbers.  The standard
fields of the package are a derived copy, written only where exactly equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError, ModelError

SPEC_VERSION = 1
Task = Literal["segmentation", "classification"]
Activation = Literal["softmax", "sigmoid", "none"]
Steps = tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True)
class Preparation:
    """How a scan becomes what the network sees.

    Parameters
    ----------
    dimensions
        2 (a network for pictures, or for the slices of a volume along the first axis) or 3.
    channels
        How many the scan must have.
    neighbours
        2.5D: slices before and after that a 2D network sees as further channels; its input then has
        `network_channels`, the first slice's channels first. Beyond the ends the last slice is repeated.
    channel_names
        Words for the channels of the scan ("T1", "FLAIR"), in order; empty or one each.
    orientation
        Letters that array axes 0, 1, 2 must run to, None to take the scan as stored.
    spacing_mm
        Voxel size (z, y, x) of the network's grid; None, or None for one axis, keeps the scan's own.
    crop_nonzero
        Crop to the box of values other than 0 first (skull-stripped MR).
    crop_above
        Crop to the box of the body first: the largest connected part above this value (-500 HU for CT), and parts at
        least a fifth its size (the second leg).
    steps
        (name, arguments) of the intensity steps, in order; names are the keys of `imaging.pipeline.STEPS`.
    """

    dimensions: int
    channels: int
    orientation: tuple[str, str, str] | None = None
    spacing_mm: tuple[float | None, float | None, float | None] | None = None
    crop_nonzero: bool = False
    steps: Steps = ()
    neighbours: int = 0
    channel_names: tuple[str, ...] = ()
    crop_above: float | None = None

    def __post_init__(self) -> None:
        if self.dimensions not in (2, 3):
            raise InputError(f"dimensions: expected 2 or 3, got {self.dimensions!r}")
        if not 1 <= self.channels <= 64:
            raise InputError(f"channels: expected 1 to 64, got {self.channels!r}")
        if not 0 <= self.neighbours <= 16 or (self.neighbours and self.dimensions == 3):
            raise InputError(f"neighbours: expected 0 to 16, and 0 for a 3D network, got {self.neighbours!r}")
        if self.channel_names and len(self.channel_names) != self.channels:
            raise InputError(f"channel_names: expected {self.channels} or none, got {self.channel_names}")
        if self.crop_above is not None and not math.isfinite(self.crop_above):
            raise InputError(f"crop_above: expected a number, got {self.crop_above!r}")

    @property
    def network_channels(self) -> int:
        """Channels of the network's input: those of the scan, once for each slice it sees."""
        return self.channels * (2 * self.neighbours + 1)


@dataclass(frozen=True)
class Decision:
    """How the probabilities of one voxel become a class id.

    Parameters
    ----------
    ids
        Class id of each score channel; 0 is background.
    exclusive
        True: the largest probability wins (softmax). False: each channel is judged alone (sigmoid): among those at or
        above their threshold the one furthest above wins, and none means background.
    thresholds
        Per channel, inside (0, 1); used only where not exclusive.
    rule
        Where not exclusive and several channels reach their threshold: "furthest" above wins, or the "last" of them
        in channel order (nested regions, painted one over the other, as nnU-Net's region classes).
    """

    ids: tuple[int, ...]
    exclusive: bool
    thresholds: tuple[float, ...] = ()
    rule: Literal["furthest", "last"] = "furthest"

    def __post_init__(self) -> None:
        if not self.ids or min(self.ids) < 0 or max(self.ids) > 65535:
            raise InputError(f"ids: expected one class id from 0 to 65535 for each score channel, got {self.ids}")
        valid = len(self.thresholds) == len(self.ids) and all(0 < t < 1 for t in self.thresholds)
        if not self.exclusive and not valid:
            raise InputError(f"thresholds: expected {len(self.ids)} numbers between 0 and 1, got {self.thresholds}")
        if self.rule not in ("furthest", "last"):
            raise InputError(f"rule: expected furthest or last, got {self.rule!r}")

    @property
    def dtype(self) -> str:
        """Smallest label type that holds every id."""
        return "uint8" if max(self.ids) <= 255 else "uint16"


@dataclass(frozen=True)
class Fingerprint:
    """What the model was trained on, for the fit check; None or empty means not stated.

    Ranges are (low, high). `spacing_mm` has one range per axis z, y, x; `field_of_view_mm` likewise.
    `size_px` is the range of in-plane sizes. `values` is the range in which nearly all training values lay.
    """

    modalities: tuple[str, ...] = ()
    spacing_mm: tuple[tuple[float, float], ...] = ()
    field_of_view_mm: tuple[tuple[float, float], ...] = ()
    size_px: tuple[float, float] | None = None
    values: tuple[float, float] | None = None
    population: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """A model without its weights.

    Parameters
    ----------
    name
        Short id, letters, digits and dashes ("retina-vessels").
    title, description, version
        Words for people.
    task
        What the output means.
    preparation
        From scan to network input.
    labels
        Named classes. A score channel whose id in `decision` is 0 is background and has no label here.
    decision
        From probabilities to class ids; for a classifier, ids of the case classes and their thresholds.
    activation
        What turns the network's output into probabilities; "none" if it gives probabilities already.
    temperature
        Logits are divided by it before the activation (calibration on held-out patients); 1 leaves them.
    tile, overlap, divisor
        Window (y, x) or (z, y, x) of the sliding window, share of overlap, and what sizes must be a multiple of.
        An empty tile (classifiers) means the whole prepared image, resized by a pipeline step if needed.
    symmetric
        Array axes (0, 1, 2 = z, y, x of the network's grid) along which a mirrored scan is as good as the scan, so
        that test-time flips are allowed; empty where left and right, or up and down, mean something.
    postprocess
        (name, arguments) in order; names are functions of `imaging.postprocess`.
    fingerprint
        What it was trained on.
    licence, training_data, intended_use, limits
        The card; `licence` is that of the weights (SPDX id where there is one).
    scores
        Published scores, plain JSON ({"dice": {"vessel": {"mean": .., "low": .., "high": .., "n": ..}}}).
    sha256
        Of the weights file; filled in by the package reader.
    """

    name: str
    title: str
    task: Task
    preparation: Preparation
    labels: LabelSet
    decision: Decision
    activation: Activation
    description: str = ""
    version: str = "1"
    temperature: float = 1.0
    tile: tuple[int, ...] = ()
    overlap: float = 0.5
    divisor: int = 1
    symmetric: tuple[int, ...] = ()
    postprocess: Steps = ()
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    licence: str = "unknown"
    training_data: str = ""
    intended_use: str = "Research use only, not for diagnosis."
    limits: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def __post_init__(self) -> None:
        if (
            not self.name
            or len(self.name) > 80
            or not all(c.isascii() and (c.isalnum() or c in "-_") for c in self.name)
        ):
            raise ModelError(f"model name: expected letters, digits, dashes, got {self.name[:80]!r}")
        if self.task not in ("segmentation", "classification"):
            raise ModelError(f"task: expected segmentation or classification, got {self.task!r}")
        if self.activation not in ("softmax", "sigmoid", "none"):
            raise ModelError(f"activation: expected softmax, sigmoid or none, got {self.activation!r}")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ModelError(f"temperature: expected a number above 0, got {self.temperature!r}")
        if not 0 <= self.overlap < 1:
            raise ModelError(f"overlap: expected 0 to below 1, got {self.overlap!r}")
        if self.tile and len(self.tile) != self.preparation.dimensions:
            raise ModelError(f"tile: expected {self.preparation.dimensions} sizes, got {self.tile}")
        if self.task == "segmentation" and not self.tile:
            raise ModelError("tile: a segmentation model needs the size of its window")
        if len(set(self.symmetric)) != len(self.symmetric) or not set(self.symmetric) <= {0, 1, 2}:
            raise ModelError(f"symmetric: expected axes among 0, 1, 2, each once, got {self.symmetric}")
        unnamed = [i for i in self.decision.ids if i != 0 and i not in self.labels]
        if unnamed:
            raise ModelError(f"labels: every class id of the output needs a name, none for {unnamed}")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, `sha256` left out (the package lists it beside the file)."""
        out: dict[str, Any] = {"spec_version": SPEC_VERSION}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "sha256":
                continue
            if item.name == "labels":
                value = value.to_json()
            elif item.name in ("preparation", "decision", "fingerprint"):
                value = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
            out[item.name] = _plain(value)
        return out

    @classmethod
    def from_json(cls, data: object, sha256: str = "") -> ModelSpec:
        """Read what `to_json` wrote; unknown keys and unknown versions are refused.

        Raises
        ------
        ModelError
            A key is missing, unknown or of another type.
        """
        if not isinstance(data, dict):
            raise ModelError(f"config.medcnn: expected a mapping, got {type(data).__name__}")
        data = dict(data)
        if data.pop("spec_version", None) != SPEC_VERSION:
            raise ModelError(f"config.medcnn: expected spec_version {SPEC_VERSION}; update napari-medcnn or the model")
        known = {f.name for f in fields(cls)} - {"sha256"}
        if set(data) - known:
            raise ModelError(f"config.medcnn: unknown entries {sorted(map(str, set(data) - known))[:5]}")
        try:
            data["preparation"] = Preparation(**_tuples(data["preparation"]))
            data["decision"] = Decision(**_tuples(data["decision"]))
            data["fingerprint"] = Fingerprint(**_tuples(data.get("fingerprint") or {}))
            data["labels"] = LabelSet.from_json(data["labels"])
            for key in ("tile", "symmetric", "postprocess"):
                data[key] = _deep_tuple(data.get(key) or ())
            return cls(**data, sha256=sha256)
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise ModelError(f"config.medcnn: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def _deep_tuple(value: Any) -> Any:
    """Lists to tuples; mappings (the arguments of steps) stay, with their lists as tuples."""
    if isinstance(value, Mapping):
        return {k: _deep_tuple(v) for k, v in value.items()}
    return tuple(_deep_tuple(v) for v in value) if isinstance(value, list | tuple) else value


def _tuples(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"expected a mapping, got {type(value).__name__}")
    return {str(k): _deep_tuple(v) for k, v in value.items()}
