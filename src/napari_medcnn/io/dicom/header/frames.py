"""The planes of one file: where each lies, how it is scaled, and what tells it apart from others at its place.

One frame: from the top of the data set.  Several: from the functional groups of enhanced objects (`functional`),
or from vectors of older multi-frame objects.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medcnn.io.dicom.facts import Frame, Vector
from napari_medcnn.io.dicom.header.elements import (
    date,
    finite,
    first_item,
    has,
    number,
    numbers,
    pair,
    positive,
    private,
    seconds,
    text,
    texts,
    whole,
)  # fmt: skip
from napari_medcnn.io.dicom.header.kinds import RT_DOSE

_DAY_S = 86400.0
_ABSOLUTE_MM, _UPRIGHT = 0.05, 0.999  # rounding of a dose grid's own z, and how nearly axial its planes are
_FARTHEST_MM, _LARGEST_MM, _SMALLEST_MM = 1e5, 1e4, 1e-6  # beyond these a length is a mistake
#: Numbers that tell images at one place apart, in the unit of the standard (ms, s/mm2, degrees, counts).
NUMBERED = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex", "TemporalPositionTimeOffset",
    "EchoNumbers", "EchoTime", "TriggerTime", "DiffusionBValue", "InversionTime", "FlipAngle", "RepetitionTime",
    "FrameReferenceTime", "CardiacNumberOfImages", "NominalPercentageOfCardiacPhase", "KVP", "SliceLocation",
)  # fmt: skip
_WORDED = ("StackID", "ComplexImageComponent", "SequenceName", "FilterType", "ConvolutionKernel", "ContrastBolusAgent")
_GE_COMPONENTS = {0.0: "MAGNITUDE", 1.0: "PHASE", 2.0: "REAL", 3.0: "IMAGINARY"}
#: Group, element, representation and private creator of the b-value before the standard had one.
_DIFFUSION = ((0x0019, 0x0C, "IS", "SIEMENS"), (0x2001, 0x03, "FL", "PHILIPS"), (0x0043, 0x39, "IS", "GEMS"))


def single_frame(data: Any, notes: list[str], sop_class: str = "") -> Frame:
    """Return the frame that the top of a data set describes."""
    row, column = directions(finite(data, "ImageOrientationPatient", 6), notes)
    slope, intercept = scaling(data, notes, "DoseGridScaling" if sop_class == RT_DOSE else "RescaleSlope")
    unit = text(data, "RescaleType", 16)
    if sop_class == RT_DOSE:
        unit = "Gy" if text(data, "DoseUnits") == "GY" else "relative dose"
    return Frame(
        0,
        place(data, notes),
        row,
        column,
        spacing(data, notes),
        thickness(data),
        number(data, "SpacingBetweenSlices"),
        slope,
        intercept,
        unit,
        windows(data),
        moment(data),
        None,
        whole(data, "InstanceNumber"),
    )


def place(data: Any, notes: list[str]) -> Vector | None:
    """Return the position in LPS mm; None, with a note, where it lies more than 100 m away."""
    found = finite(data, "ImagePositionPatient", 3)
    if found is None:
        return None
    if max(abs(v) for v in found) > _FARTHEST_MM:
        notes.append("The stated position lies more than 100 m away and is left out.")
        return None
    return (found[0], found[1], found[2])


def thickness(data: Any) -> float | None:
    """Return SliceThickness in mm, None if it is absent or no length."""
    found = positive(data, "SliceThickness")
    return found if found is not None and _SMALLEST_MM < found < _FARTHEST_MM else None


def directions(values: tuple[float, ...] | None, notes: list[str]) -> tuple[Vector | None, Vector | None]:
    """Return unit vectors at right angles, rounding removed, or None twice where the file states no such."""
    if values is None:
        return None, None
    row, column = np.array(values[:3]), np.array(values[3:])
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    if min(lengths) < 0.5 or max(abs(n - 1.0) for n in lengths) > 1e-2 or abs(float(row @ column)) > 1e-3:
        notes.append("The stated orientation is not two directions at right angles and is left out.")
        return None, None
    row = row / lengths[0]
    column = column - row * float(row @ column)
    column = column / np.linalg.norm(column)
    return (float(row[0]), float(row[1]), float(row[2])), (float(column[0]), float(column[1]), float(column[2]))


def spacing(data: Any, notes: list[str], key: str = "PixelSpacing") -> tuple[float, float] | None:
    """Return PixelSpacing (y, x) in mm; None, with a note, where it is stated and no length."""
    found = pair(data, key)
    if found is not None and not (min(found) > _SMALLEST_MM and max(found) < _LARGEST_MM):
        found = None
    if found is None and text(data, key):
        notes.append("The stated pixel spacing is not two lengths above 0 mm and is left out.")
    return found


def scaling(data: Any, notes: list[str], slope_key: str = "RescaleSlope") -> tuple[float, float]:
    """Return slope and intercept; 1 and 0, with a note, where the slope is 0 or no number."""
    stated = numbers(data, slope_key)
    slope = stated[0] if stated else 1.0
    offset = numbers(data, "RescaleIntercept") if slope_key == "RescaleSlope" else ()
    intercept = offset[0] if offset else 0.0
    if not math.isfinite(slope) or slope == 0.0 or not math.isfinite(intercept):
        notes.append(
            f"The file states no usable scaling (slope {slope:g}, intercept {intercept:g}); values are as stored."
        )
        return 1.0, 0.0
    return slope, intercept


def windows(data: Any) -> tuple[tuple[str, float, float], ...]:
    """Return (name, low, high) of every display window."""
    centres, widths = numbers(data, "WindowCenter"), numbers(data, "WindowWidth")
    names = texts(data, "WindowCenterWidthExplanation", 32)
    found = []
    for k, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        if math.isfinite(centre) and math.isfinite(width) and width > 0:
            found.append((names[k] if k < len(names) else "", centre - width / 2, centre + width / 2))
    return tuple(found)


def moment(data: Any) -> dict[str, float | str]:
    """Return what can tell this image from others at its place; only what the file states."""
    found: dict[str, float | str] = {}
    for key in NUMBERED:
        value = number(data, key)
        if value is not None:
            found[key] = value
    for key in _WORDED:
        words = text(data, key, 32)
        if words:
            found[key] = words
    for name in ("Acquisition", "Content"):
        value = _stamped(data, name)
        if value is not None:
            found[f"{name}Time"] = value
    raw_type = private(data, 0x0043, "GEMS_PARM", 0x2F)
    if raw_type is not None and "ComplexImageComponent" not in found:  # GE: images of one series in turn
        part = number(data, raw_type, "SS")
        if part in _GE_COMPONENTS:
            found["ComplexImageComponent"] = _GE_COMPONENTS[part]
    b_value = diffusion(data)
    if b_value is not None:
        found["DiffusionBValue"] = b_value
    way = finite(data, "DiffusionGradientOrientation", 3)
    if way is not None:
        found["DiffusionGradientOrientation"] = " ".join(f"{v:.6g}" for v in way)
    return found


def _stamped(data: Any, name: str) -> float | None:
    """Return the seconds from the midnight before the series' day: a clock alone turns back at the next one.

    Without a date of its own, a time more than half a day before that of the series lies on the day after.  A date and
    time in one element (AcquisitionDateTime) counts from year 0.
    """
    stamp = text(data, f"{name}DateTime", 32) if name == "Acquisition" else ""
    clocked = seconds(stamp or text(data, f"{name}Time", 32))
    if stamp or clocked is None:
        return clocked
    dates = [date(data, key).replace("-", "") for key in (f"{name}Date", "SeriesDate", "StudyDate")]
    own, day = (seconds(stated + "00") if stated else None for stated in (dates[0], dates[1] or dates[2]))
    if own is not None and day is not None:
        return clocked + (own - day)
    began = seconds(text(data, "SeriesTime", 32) or text(data, "StudyTime", 32))
    late = own is None and began is not None and clocked < began - _DAY_S / 2
    return clocked + (_DAY_S if late else own or 0.0)


def diffusion(data: Any) -> float | None:
    """Return the b-value in s/mm2: of the standard, else of Siemens, Philips or GE (which adds multiples of 1e9)."""
    value = number(data, "DiffusionBValue")
    if value is not None and value >= 0:
        return value
    for group, element, vr, creator in _DIFFUSION:
        key = private(data, group, creator, element)
        value = None if key is None else number(data, key, vr)
        if value is not None and value >= 0:
            return math.fmod(value, 1e5) if creator == "GEMS" and value > 1e5 else value
    return None


def several_frames(data: Any, count: int, notes: list[str], sop_class: str = "") -> tuple[Frame, ...]:
    """Return the frames of a multi-frame object without functional groups."""
    base = single_frame(data, notes, sop_class)
    offsets = numbers(data, "GridFrameOffsetVector")
    if len(offsets) == count and all(math.isfinite(v) for v in offsets):
        return _dose_planes(base, offsets, notes)
    detector = first_item(data, "DetectorInformationSequence")
    if detector is not None and base.position is None:
        position = place(detector, notes)
        row, column = directions(finite(detector, "ImageOrientationPatient", 6), notes)
        if position is not None and row is not None:
            base = replace(base, position=position, row=row, column=column)
    slices = numbers(data, "SliceVector")
    if has(data, "SliceVector") and len(slices) == count and base.between_mm and base.position and base.row:
        return _nuclear_slices(base, slices)
    return tuple(replace(base, index=k, position=base.position if k == 0 else None) for k in range(count))


def _dose_planes(base: Frame, offsets: tuple[float, ...], notes: list[str]) -> tuple[Frame, ...]:
    """Place the planes of an RT dose (PS3.3 C.8.8.3.2): offsets along the normal, relative to the first or absolute."""
    if base.position is None or base.row is None or base.column is None:
        return tuple(replace(base, index=k, position=None) for k in range(len(offsets)))
    normal = np.cross(base.row, base.column)
    start, along = np.array(base.position), np.array(offsets) - offsets[0]
    if offsets[0] == 0:
        places = start + np.outer(along, normal)
    elif abs(offsets[0] - base.position[2]) < _ABSOLUTE_MM and abs(normal[2]) > _UPRIGHT:
        places = start + np.outer(along, (0.0, 0.0, 1.0))
    else:
        notes.append(
            f"The planes of the dose begin at an offset of {offsets[0]:g} mm, which is neither 0 nor the z position of "
            "the grid; where they lie is not known."
        )
        return tuple(replace(base, index=k, position=None) for k in range(len(offsets)))
    return tuple(replace(base, index=k, position=(float(p[0]), float(p[1]), float(p[2]))) for k, p in enumerate(places))


def _nuclear_slices(base: Frame, slices: tuple[float, ...]) -> tuple[Frame, ...]:
    """Place the slices of a reconstructed nuclear medicine image: a step of SpacingBetweenSlices along the normal."""
    normal = np.cross(np.array(base.row), np.array(base.column))
    start, step = np.array(base.position), base.between_mm or 0.0
    found = []
    for k, slice_number in enumerate(slices):
        place = start + (slice_number - slices[0]) * step * normal
        found.append(replace(base, index=k, position=(float(place[0]), float(place[1]), float(place[2]))))
    return tuple(found)
