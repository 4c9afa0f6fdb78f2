"""What an RT Structure Set says: regions, their contours, and the series they were drawn on (PS3.3 A.19, C.8.8)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataelem import RawDataElement

from napari_medcnn.core.geometry import Float
from napari_medcnn.core.labels import Colour
from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.dicom.facts import Header
from napari_medcnn.io.dicom.header.elements import BROKEN, first_item, has, items, numbers, text, whole
from napari_medcnn.io.dicom.headers import open_dataset
from napari_medcnn.io.dicom.masks.seg_names import Segment, code_of
from napari_medcnn.io.found import plain, shown

_UNDEFINED = 0xFFFFFFFF
#: Contours that enclose an area; the second as PS3.3 C.8.8.6.1 spells it for curves combined by exclusive or.
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True, eq=False)
class Region:
    """One region of interest.

    Parameters
    ----------
    segment
        Its number, name, colour and code.
    kind
        RTROIInterpretedType ("ORGAN", "PTV", ...), or "".
    contours
        Closed planar curves, each (n, 3) LPS mm, n at least 3.
    left_out
        Other contours by type, and how many; "BROKEN" for coordinates that are no points.
    frame_of_reference
        UID of the space its coordinates are in, or "".
    """

    segment: Segment
    kind: str
    contours: tuple[Float, ...]
    left_out: Mapping[str, int]
    frame_of_reference: str


@dataclass(frozen=True, eq=False)
class Structures:
    """All that one file says; `series` are the series it names, each once."""

    header: Header
    regions: tuple[Region, ...]
    series: tuple[str, ...]
    label: str = ""


def structures_of(header: Header) -> Structures:
    """Return what the file of a header says.

    Raises
    ------
    InputError
        The file is damaged, or describes no region.
    """
    data = open_dataset(header.path)
    _require_whole(shown(header.path), data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _structures(header, data)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(
            f"{shown(header.path)}: the header of these structures is damaged ({plain(error, 100)})"
        ) from error


def _require_whole(name: str, data: Any) -> None:
    """Refuse a cut file: pydicom hands over what is left of its last element, and contours would be missing unseen."""
    for element in data.values():
        if isinstance(element, RawDataElement) and element.length != _UNDEFINED:
            there = len(element.value or b"")
            if there < element.length:
                raise IncompleteFileError(
                    f"{name}: the file is incomplete ({there} of {element.length} bytes of its last element); copy it "
                    "again from its source"
                )
    if not has(data, "ROIContourSequence"):  # type 1 in every structure set (PS3.3 C.8.8.6)
        raise IncompleteFileError(
            f"{name}: these structures hold no contours at all (no ROI Contour Sequence); the file may be cut. Copy it "
            "again from its source"
        )


def _structures(header: Header, data: Any) -> Structures:
    name = shown(header.path)
    drawn: dict[int, Any] = {}
    for item in items(data, "ROIContourSequence"):
        number = whole(item, "ReferencedROINumber", -1)
        if number in drawn:
            raise InputError(
                f"{name}: the contours of region {number} stand in the file twice; which hold is not stated"
            )
        drawn[number] = item
    seen = {whole(item, "ReferencedROINumber", -1): item for item in items(data, "RTROIObservationsSequence")}
    regions = []
    known: set[int] = set()
    for item in items(data, "StructureSetROISequence"):
        number = whole(item, "ROINumber", -1)
        if number in known:
            raise InputError(f"{name}: two regions have the number {number}; which contours belong to which is unclear")
        known.add(number)
        regions.append(_region(number, item, drawn.get(number), seen.get(number)))
    for number in sorted(set(drawn) - known):
        regions.append(_region(number, None, drawn[number], seen.get(number)))
    if not regions:
        raise InputError(
            f"{name}: these structures describe no region (Structure Set ROI Sequence is missing or empty)"
        )
    return Structures(header, tuple(regions), _series(data), text(data, "StructureSetLabel", 40))


def _region(number: int, named: Any, drawn: Any, seen: Any) -> Region:
    contours: list[Float] = []
    left_out: dict[str, int] = {}
    for item in () if drawn is None else items(drawn, "ContourSequence"):
        kind = text(item, "ContourGeometricType", 24).upper() or "CLOSED_PLANAR"
        points = _points(item)
        if kind not in _CLOSED:
            left_out[kind] = left_out.get(kind, 0) + 1
        elif points is None:
            left_out["BROKEN"] = left_out.get("BROKEN", 0) + 1
        elif len(points) < 3:
            left_out["POINT"] = left_out.get("POINT", 0) + 1
        else:
            contours.append(points)
    code = None if seen is None else code_of(first_item(seen, "RTROIIdentificationCodeSequence"))
    title = "" if named is None else text(named, "ROIName", 200)
    return Region(
        Segment(number, title, code, None if drawn is None else _colour(drawn)),
        "" if seen is None else text(seen, "RTROIInterpretedType", 24).upper(),
        tuple(contours),
        left_out,
        "" if named is None else text(named, "ReferencedFrameOfReferenceUID"),
    )


def _points(item: Any) -> Float | None:
    """Return Contour Data as (n, 3), None if it is no list of finite points."""
    values = np.array(numbers(item, "ContourData"), dtype=np.float64)
    if not len(values) or len(values) % 3 or not np.all(np.isfinite(values)):
        return None
    return values.reshape(-1, 3)


def _colour(drawn: Any) -> Colour | None:
    found = numbers(drawn, "ROIDisplayColor")
    if len(found) != 3 or not all(0 <= v <= 255 for v in found):
        return None
    return (int(found[0]), int(found[1]), int(found[2]))


def _series(data: Any) -> tuple[str, ...]:
    """Return the series named under Referenced Frame of Reference Sequence, each once."""
    named = [
        text(series, "SeriesInstanceUID")
        for frame in items(data, "ReferencedFrameOfReferenceSequence")
        for study in items(frame, "RTReferencedStudySequence")
        for series in items(study, "RTReferencedSeriesSequence")
    ]
    return tuple(dict.fromkeys(uid for uid in named if uid))
