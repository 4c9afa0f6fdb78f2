"""What a DICOM Segmentation says before its pixels: classes, frames and where each lies (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom

from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.dicom.facts import Header, Vector
from napari_medcnn.io.dicom.header.elements import BROKEN, finite, first_item, has, items, pair, positive, text, whole
from napari_medcnn.io.dicom.headers import open_dataset
from napari_medcnn.io.dicom.masks.seg_names import Segment, segment_of
from napari_medcnn.io.found import plain, shown

Manner = Literal["BINARY", "FRACTIONAL", "LABELMAP"]
_MAX_SEGMENTS = 65535


@dataclass(frozen=True)
class SegFrame:
    """One stored frame.

    Parameters
    ----------
    index
        In the file, from 0.
    segment
        The number of the class it is of; 0 in a label map, whose pixels are the numbers.
    position, row, column
        As of `facts.Frame`; None where not stated.
    pixel_mm, thickness_mm, between_mm
        As of `facts.Frame`.
    """

    index: int
    segment: int
    position: Vector | None
    row: Vector | None
    column: Vector | None
    pixel_mm: tuple[float, float] | None
    thickness_mm: float | None
    between_mm: float | None


@dataclass(frozen=True)
class Segmentation:
    """All that one file says; `segments` by number, background left out.

    Parameters
    ----------
    maximum
        The stored value that stands for 1, of a fractional segmentation.
    fraction
        "PROBABILITY" or "OCCUPANCY", or "".
    background
        Pixel values of a label map that are no class.
    slide
        True if the frames lie on a microscope slide.
    assumed
        What was missing and taken for granted.
    """

    header: Header
    manner: Manner
    segments: Mapping[int, Segment]
    frames: tuple[SegFrame, ...]
    maximum: int = 1
    fraction: str = ""
    background: frozenset[int] = frozenset({0})
    slide: bool = False
    assumed: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of a frame."""
        return 0 if self.header.stored is None else self.header.stored.rows

    @property
    def columns(self) -> int:
        """Columns of a frame."""
        return 0 if self.header.stored is None else self.header.stored.columns


def facts_of(header: Header) -> Segmentation:
    """Return what the file of a header says.

    Raises
    ------
    InputError
        A part of the header that is needed is missing or contradicts another; the message names file and part.
    UnsupportedError
        A kind of segmentation that is not read.
    """
    data = open_dataset(header.path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _facts(header, data)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(
            f"{shown(header.path)}: the header of this segmentation is damaged ({plain(error, 100)})"
        ) from error


def _facts(header: Header, data: Any) -> Segmentation:
    name = shown(header.path)
    if header.stored is None:
        raise InputError(f"{name}: this segmentation states no rows and columns; it may be cut")
    manner = _manner(name, data, header)
    assumed: list[str] = []
    if not has(data, "SegmentationType"):
        assumed.append(f"The file does not say what kind of segmentation it is; taken for {manner.lower()}.")
    segments, background = _segments(name, data, manner)
    frames = _frames(name, data, header.stored.frames, manner, segments, assumed)
    maximum = 1
    if manner == "FRACTIONAL":
        maximum = whole(data, "MaximumFractionalValue")
        if not 1 <= maximum <= 255:
            raise InputError(
                f"{name}: a fractional segmentation needs MaximumFractionalValue (1 to 255), got {maximum or 'none'}"
            )
    per = first_item(data, "PerFrameFunctionalGroupsSequence")
    slide = per is not None and has(per, "PlanePositionSlideSequence")
    slide = slide or has(data, "TotalPixelMatrixOriginSequence") or has(data, "TotalPixelMatrixColumns")
    return Segmentation(
        header,
        manner,
        segments,
        frames,
        maximum,
        text(data, "SegmentationFractionalType", 16).upper() if manner == "FRACTIONAL" else "",
        background,
        slide,
        tuple(assumed),
    )


def _manner(name: str, data: Any, header: Header) -> Manner:
    stated = text(data, "SegmentationType", 16).upper()
    if stated == "BINARY":
        return "BINARY"
    if stated == "FRACTIONAL":
        return "FRACTIONAL"
    if stated == "LABELMAP" or (not stated and header.sop_class.endswith(".66.7")):
        return "LABELMAP"
    if not stated and header.stored is not None and header.stored.bits_allocated == 1:
        return "BINARY"
    raise UnsupportedError(
        f"{name}: expected a segmentation of type BINARY, FRACTIONAL or LABELMAP, got {stated or 'none'}"
    )


def _segments(name: str, data: Any, manner: Manner) -> tuple[dict[int, Segment], frozenset[int]]:
    """Return the classes by number, and the values that are none (of a label map: 0 and the padding value)."""
    background = {0}
    if manner == "LABELMAP" and has(data, "PixelPaddingValue"):
        background.add(whole(data, "PixelPaddingValue"))
    segments: dict[int, Segment] = {}
    for item in items(data, "SegmentSequence"):
        one = segment_of(item)
        if manner == "LABELMAP" and one.number in background:
            continue
        if not 1 <= one.number <= _MAX_SEGMENTS:
            raise InputError(f"{name}: a segment has the number {one.number}; expected 1 to {_MAX_SEGMENTS}")
        if one.number in segments:
            raise InputError(
                f"{name}: two segments have the number {one.number}, so which pixels belong to which is not stated; "
                "ask for the file to be written again"
            )
        segments[one.number] = one
    if not segments and manner != "LABELMAP":
        raise InputError(f"{name}: this segmentation names no segments (its Segment Sequence is missing or empty)")
    return segments, frozenset(background)


def _frames(
    name: str, data: Any, count: int, manner: Manner, segments: Mapping[int, Segment], assumed: list[str]
) -> tuple[SegFrame, ...]:
    shared = first_item(data, "SharedFunctionalGroupsSequence")
    groups = list(items(data, "PerFrameFunctionalGroupsSequence"))
    if len(groups) < count and (groups or count > 1):
        raise InputError(
            f"{name}: the file holds {count} frames and says of {len(groups)} of them where they belong (its Per-frame "
            "Functional Groups Sequence is missing or too short)"
        )
    if len(groups) > count:
        assumed.append(
            f"The header describes {len(groups)} frames and the file holds {count}; the first {count} descriptions "
            "were taken."
        )
    frames = []
    for index in range(count):
        own = groups[index] if groups else None
        frames.append(_frame(name, index, (own, shared), manner, segments))
    return tuple(frames)


def _frame(name: str, index: int, groups: tuple[Any, Any], manner: Manner, segments: Mapping[int, Segment]) -> SegFrame:
    place, lie = _group(groups, "PlanePositionSequence"), _group(groups, "PlaneOrientationSequence")
    measures = _group(groups, "PixelMeasuresSequence")
    segment = 0
    if manner != "LABELMAP":
        which = _group(groups, "SegmentIdentificationSequence")
        segment = whole(which, "ReferencedSegmentNumber") if which is not None else 0
        if segment not in segments and len(segments) == 1 and which is None:
            segment = next(iter(segments))
        if segment not in segments:
            raise InputError(
                f"{name}: frame {index + 1} belongs to segment {segment or 'none'}, which the file does not describe"
            )
    position = None if place is None else finite(place, "ImagePositionPatient", 3)
    row, column = _directions(name, None if lie is None else finite(lie, "ImageOrientationPatient", 6))
    return SegFrame(
        index,
        segment,
        None if position is None else (position[0], position[1], position[2]),
        row,
        column,
        None if measures is None else pair(measures, "PixelSpacing"),
        None if measures is None else positive(measures, "SliceThickness"),
        None if measures is None else positive(measures, "SpacingBetweenSlices"),
    )


def _group(groups: tuple[Any, Any], name: str) -> Any:
    """Return the functional group of a frame: its own, or else the shared one; None without either."""
    for group in groups:
        found = None if group is None else first_item(group, name)
        if found is not None:
            return found
    return None


def _directions(name: str, six: tuple[float, ...] | None) -> tuple[Vector | None, Vector | None]:
    """Return unit vectors at right angles, free of rounding; (None, None) where none are stated."""
    if six is None:
        return None, None
    row, column = np.array(six[:3]), np.array(six[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.5 or max(abs(n - 1.0) for n in lengths) > 1e-2 or abs(float(row @ column)) > 1e-3:
        raise InputError(f"{name}: the orientation of a frame is not two directions at right angles ({list(six)})")
    row = row / lengths[0]
    column = column - row * (row @ column)
    column /= np.linalg.norm(column)
    return _vector(row), _vector(column)


def _vector(values: Any) -> Vector:
    x, y, z = (float(v) for v in values)
    return (x, y, z)


def series_named(path: Path) -> tuple[str, ...]:
    """Return the series that Referenced Series Sequence names, each once; () where there are none or it is broken.

    Nothing else of the file is parsed: thousands of frames take seconds.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=["ReferencedSeriesSequence"]
            )
            named = [text(item, "SeriesInstanceUID") for item in items(data, "ReferencedSeriesSequence")]
    except BROKEN:
        return ()
    return tuple(dict.fromkeys(uid for uid in named if uid))
