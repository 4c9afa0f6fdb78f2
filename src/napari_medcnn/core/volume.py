"""A scan or mask: voxels and the grid they stand on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Array, Geometry, Reorientation
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError

Axes = Literal["zyx", "zyxc", "tzyx", "tzyxc"]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, eq=False)
class Volume:
    """An image with its geometry.

    Parameters
    ----------
    array
        Voxels in the order of `axes`; real, bool or complex numbers of any width; held as a read-only view, not copied.
    geometry
        Grid of the (z, y, x) part.
    axes
        ``"zyx"``, ``"zyxc"`` (RGB and other channels last), ``"tzyx"`` or ``"tzyxc"``.
    name
        Shown on screen; never a patient identifier ("CT 5, Thorax 1 mm").
    modality
        DICOM modality code ("CT", "MR", "PT", "CR", ...), "picture", or "" if unknown.
    value_unit
        "HU", "SUV", or "" for raw numbers.
    channel_names
        One name per channel, or empty.
    frame_values, frame_unit, frame_name
        Value and unit of each time point, echo or b-value, and what it is: 34.2, "s", "t"; 800, "s/mm2", "b"; or empty.
    window
        (low, high) that the file offers for display, None if it offers none.
    windows
        Every display window the file offers as (name, low, high), the first being `window`; or empty.
    inverted
        True if small values are to be shown bright (MONOCHROME1); values are kept as stored.
    notes
        What was assumed or odd while reading, in words, shown to the reader.
    source
        Path and item id the voxels came from, for provenance: ``{"path": ..., "item": ..., "sha256": ...}``.
    report
        What the reader found, assumed and refused; `notes` repeats what must be seen.
    detector_mm
        (y, x) pixel size at the detector of a projection (ImagerPixelSpacing), None if not stated: never a size in
        the patient, so the grid's spacing stays unknown.
    patient_orientation
        DICOM Patient Orientation of a projection: where rows and where columns run to (("L", "F")), or empty.
    laterality
        "L", "R", "B" or "U" where the file states the side of a paired part, else "".
    frame_of_reference
        DICOM Frame of Reference UID: images that share it share one space; or empty.
    """

    array: Array
    geometry: Geometry
    axes: Axes = "zyx"
    name: str = "Scan"
    modality: str = ""
    value_unit: str = ""
    channel_names: tuple[str, ...] = ()
    frame_values: tuple[float, ...] = ()
    frame_unit: str = ""
    frame_name: str = ""
    window: tuple[float, float] | None = None
    windows: tuple[tuple[str, float, float], ...] = ()
    inverted: bool = False
    notes: tuple[str, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)
    report: Report = Report()
    detector_mm: tuple[float, float] | None = None
    patient_orientation: tuple[str, ...] = ()
    laterality: str = ""
    frame_of_reference: str = ""

    def __post_init__(self) -> None:
        if self.axes not in ("zyx", "zyxc", "tzyx", "tzyxc"):
            raise InputError(f"axes: expected zyx, zyxc, tzyx or tzyxc, got {self.axes!r}")
        if self.array.ndim != len(self.axes):
            raise InputError(f"array: expected {len(self.axes)} axes ({self.axes}), got shape {self.array.shape}")
        if self.array.dtype.kind not in "biufc":
            raise InputError(f"array: expected numbers, got dtype {self.array.dtype}")
        first = self.axes.index("z")
        if self.array.shape[first : first + 3] != self.geometry.shape:
            raise InputError(
                f"array: expected the grid's shape {self.geometry.shape}, got {self.array.shape} ({self.axes})"
            )
        if self.channel_names and len(self.channel_names) != self.channels:
            raise InputError(f"channel_names: expected {self.channels} names, got {len(self.channel_names)}")
        if self.frame_values and len(self.frame_values) != self.frames:
            raise InputError(f"frame_values: expected {self.frames} values, got {len(self.frame_values)}")
        object.__setattr__(self, "array", _read_only(self.array))

    @property
    def frames(self) -> int:
        """Number of time points; 1 without a t axis."""
        return int(self.array.shape[0]) if self.axes.startswith("t") else 1

    @property
    def channels(self) -> int:
        """Number of channels; 1 without a c axis."""
        return int(self.array.shape[-1]) if self.axes.endswith("c") else 1

    @property
    def is_picture(self) -> bool:
        """True for depth 1 with nothing known of space: shown as a 2D layer."""
        return self.geometry.shape[0] == 1 and not self.geometry.orientation_known

    def frame(self, index: int) -> Volume:
        """Return one time point without the t axis (a view)."""
        if not self.axes.startswith("t"):
            return self
        if not 0 <= index < self.frames:
            raise InputError(f"frame: expected 0 to {self.frames - 1}, got {index}")
        axes: Axes = "zyxc" if self.axes.endswith("c") else "zyx"
        return replace(self, array=self.array[index], axes=axes, frame_values=(), frame_unit="", frame_name="")

    def as_grey(self) -> Volume | None:
        """Return one channel (a view) of a single grey picture that is stored as RGB, None for anything else.

        JPEG makes equal channels differ by a step or two; up to 2/255 of the largest value is taken for that.
        """
        if self.channels != 3 or self.geometry.shape[0] != 1 or self.array.dtype.kind not in "biuf":
            return None
        wide = self.array.astype(np.float32)
        spread = wide.max(axis=-1) - wide.min(axis=-1)
        if not np.all(spread <= 2 / 255 * float(np.abs(wide).max(initial=0))):
            return None
        axes: Axes = "tzyx" if self.axes.startswith("t") else "zyx"
        return replace(self, array=self.array[..., 1], axes=axes, channel_names=())

    def reoriented(self, how: Reorientation) -> Volume:
        """Return the same voxels in another array order (a view), grid included."""
        return replace(self, array=how.apply(self.array, self.axes), geometry=self.geometry.reoriented(how))


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A mask: one class id per voxel.

    Parameters
    ----------
    array
        (z, y, x) unsigned or signed integers, never negative; 0 is background.  Held as given (may be writable:
        the annotator's own array); empty masks (all 0) are valid.
    geometry
        Grid of the mask, equal to its scan's grid unless `notes` say otherwise.
    labels
        Names of the classes; every id in `array` should have one (`LabelSet.covering`).
    report, frame_of_reference
        As of `Volume`.
    """

    array: Array
    geometry: Geometry
    labels: LabelSet = field(default_factory=LabelSet)
    name: str = "Mask"
    notes: tuple[str, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)
    report: Report = Report()
    frame_of_reference: str = ""

    def __post_init__(self) -> None:
        if self.array.dtype.kind not in "iu":
            raise InputError(f"array: expected whole numbers (class ids), got dtype {self.array.dtype}")
        if self.array.shape != self.geometry.shape:
            raise InputError(
                f"array: expected the grid's shape {self.geometry.shape} (z, y, x), got {self.array.shape}"
            )
        if self.array.dtype.kind == "i" and self.array.size and int(self.array.min()) < 0:
            raise InputError(f"array: expected class ids of 0 and up, got {int(self.array.min())}")

    @property
    def is_picture(self) -> bool:
        """True for the mask of a picture."""
        return self.geometry.shape[0] == 1 and not self.geometry.orientation_known

    def counts(self) -> dict[int, int]:
        """Return voxels per class id present, background left out; ``{}`` for an empty mask."""
        values, counts = np.unique(self.array, return_counts=True)
        return {int(v): int(n) for v, n in zip(values, counts, strict=True) if v != 0}

    def volumes_ml(self) -> dict[int, float]:
        """Return millilitres per class id present.

        Raises
        ------
        GeometryError
            The spacing is unknown.
        """
        ml = self.geometry.voxel_mm3 / 1000.0
        return {label: n * ml for label, n in self.counts().items()}

    def reoriented(self, how: Reorientation) -> LabelMap:
        """Return the same voxels in another array order (a view), grid included."""
        return replace(self, array=how.apply(self.array), geometry=self.geometry.reoriented(how))
