"""The header pass over DICOM files: which files are images, and which belong together.

pydicom reads up to the pixels; nothing here decodes.  Names and numbers of patients are never read out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from napari_medcnn.core.geometry import Float
from napari_medcnn.errors import InputError
from napari_medcnn.io.found import plain, shown

_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
#: What pydicom raises on broken files.
BROKEN = (
    InvalidDicomError, BytesLengthException, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
    OSError, NotImplementedError, OverflowError, LookupError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Slice:
    """What the header of one image file says; None or empty where it does not.

    `position` and `row`, `column` directions are LPS mm and unit vectors; `pixel_mm` is (y, x).
    """

    path: Path
    series_uid: str
    series_number: str
    description: str
    modality: str
    sop_class: str
    rows: int
    columns: int
    samples: int
    frames: int
    bits: int
    signed: bool
    photometric: str
    syntax: str
    image_type: tuple[str, ...]
    position: Float | None
    directions: Float | None
    pixel_mm: tuple[float, float] | None
    imager_mm: tuple[float, float] | None
    thickness_mm: float | None
    stated_tilt_deg: float
    instance: int
    moment: tuple[str, ...]
    slope: float
    intercept: float
    rescale_type: str
    window: tuple[float, float] | None
    notes: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_segmentation(self) -> bool:
        """True for a DICOM SEG object."""
        return self.sop_class in _SEGMENTATION

    @property
    def is_mosaic(self) -> bool:
        """True for Siemens' sheet of many slices in one image."""
        return "MOSAIC" in self.image_type


def open_dataset(path: Path, pixels: bool = False) -> Any:
    """Return pydicom's dataset, leniently, without the pixels unless asked for.

    Raises
    ------
    InputError
        Not DICOM, or too broken to be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
    except BROKEN as error:
        raise InputError(
            f"{shown(path)}: this DICOM file cannot be read ({plain(error, 100)}); it may be cut"
        ) from error


def read_slice(path: Path) -> Slice | None:
    """Return the header of an image file, None for DICOM without an image (a report, a plan, a DICOMDIR).

    Raises
    ------
    InputError
        The file is broken, or its header contradicts itself.
    """
    data = open_dataset(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rows, columns = _whole(data, "Rows"), _whole(data, "Columns")
            if not rows or not columns or "BitsAllocated" not in data:
                return None
            return _slice(path, data, rows, columns)
        except BROKEN as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{shown(path)}: its DICOM header is damaged ({plain(error, 100)})") from error


def _slice(path: Path, data: Any, rows: int, columns: int) -> Slice:
    notes: list[str] = []
    position, directions = _numbers(data, "ImagePositionPatient", 3), _numbers(data, "ImageOrientationPatient", 6)
    axes = None
    if directions is not None:
        axes = np.array(directions).reshape(2, 3)
        lengths = np.linalg.norm(axes, axis=1)
        if lengths.min() < 0.5 or abs(float(axes[0] @ axes[1])) > 1e-3 or abs(lengths - 1.0).max() > 1e-2:
            notes.append("The stated orientation is not two directions at right angles and is left out.")
            axes = None
        else:  # remove rounding: Gram-Schmidt on the two directions
            axes = axes / lengths[:, np.newaxis]
            axes[1] -= axes[0] * (axes[0] @ axes[1])
            axes[1] /= np.linalg.norm(axes[1])
    pixel, imager = _pair(data, "PixelSpacing"), _pair(data, "ImagerPixelSpacing")
    slope, intercept = _one(data, "RescaleSlope", 1.0), _one(data, "RescaleIntercept", 0.0)
    if not math.isfinite(slope) or slope == 0.0:
        notes.append(f"The file states no usable scaling (slope {slope:g}); values are as stored.")
        slope, intercept = 1.0, 0.0
    centre, width = _numbers(data, "WindowCenter", 1), _numbers(data, "WindowWidth", 1)
    window = None
    if centre and width and width[0] > 0:
        window = (centre[0] - width[0] / 2, centre[0] + width[0] / 2)
    moment = ("AcquisitionNumber", "AcquisitionTime", "TemporalPositionIdentifier", "EchoNumbers", "EchoTime",
              "TriggerTime", "DiffusionBValue", "ContentTime", "InstanceNumber")  # fmt: skip
    meta = getattr(data, "file_meta", None)
    return Slice(
        path,
        plain(data.get("SeriesInstanceUID", ""), 64),
        plain(data.get("SeriesNumber", "") or "", 12),
        plain(data.get("SeriesDescription", "") or "", 60),
        plain(data.get("Modality", "") or "", 16),
        plain(data.get("SOPClassUID", "") or "", 64),
        rows,
        columns,
        _whole(data, "SamplesPerPixel") or 1,
        max(1, _whole(data, "NumberOfFrames") or 1),
        _whole(data, "BitsAllocated") or 0,
        _whole(data, "PixelRepresentation") == 1,
        plain(data.get("PhotometricInterpretation", "") or "", 20),
        plain(getattr(meta, "TransferSyntaxUID", "") or "", 64),
        tuple(plain(v, 20).upper() for v in _several(data.get("ImageType"))),
        None if position is None else np.array(position),
        axes,
        pixel,
        imager,
        next((t for t in (_positive(data, "SpacingBetweenSlices"), _positive(data, "SliceThickness")) if t), None),
        _one(data, "GantryDetectorTilt", 0.0),
        _whole(data, "InstanceNumber") or 0,
        tuple(f"{name}={plain(data.get(name), 24)}" for name in moment if name in data and name != "InstanceNumber"),
        slope,
        intercept,
        plain(data.get("RescaleType", "") or "", 16),
        window,
        tuple(notes),
        {"lut": "ModalityLUTSequence" in data, "sop": plain(data.get("SOPInstanceUID", "") or "", 64)},
    )


def _several(value: Any) -> Iterable[Any]:
    return () if value is None else (value,) if isinstance(value, str) else value


def _numbers(data: Any, name: str, count: int) -> list[float] | None:
    """Return the first `count` numbers of an element, None if it is absent, shorter or not finite."""
    value = data.get(name)
    if value is None or value == "":
        return None
    try:
        found = [float(v) for v in (value if hasattr(value, "__iter__") and not isinstance(value, str) else [value])]
    except (TypeError, ValueError):
        return None
    return found[:count] if len(found) >= count and all(math.isfinite(v) for v in found[:count]) else None


def _one(data: Any, name: str, default: float) -> float:
    value = data.get(name)
    try:
        return default if value is None or value == "" else float(value)
    except (TypeError, ValueError):
        return default


def _positive(data: Any, name: str) -> float | None:
    value = abs(_one(data, name, 0.0))
    return value if math.isfinite(value) and value > 0 else None


def _pair(data: Any, name: str) -> tuple[float, float] | None:
    found = _numbers(data, name, 2)
    return (found[0], found[1]) if found and min(found) > 0 else None


def _whole(data: Any, name: str) -> int | None:
    value = data.get(name)
    try:
        return None if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        return None
