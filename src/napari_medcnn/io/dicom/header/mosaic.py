"""Siemens mosaics: one sheet of tiles is one volume, each tile a slice.

The position of a mosaic is that of the first pixel the sheet would have, were it one slice around the same centre;
tiles run in rows from the top left, slice after slice along the slice normal of Siemens' CSA header, which may be
opposite to the normal of rows and columns (as dcm2niix and nibabel treat it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medcnn.io.dicom.facts import Frame, Stored
from napari_medcnn.io.dicom.header.csa import csa_values, slice_positions
from napari_medcnn.io.dicom.header.elements import Key, number, private, raw_bytes

_CREATOR = "SIEMENS CSA HEADER"
_IMAGE = frozenset({"NumberOfImagesInMosaic", "SliceNormalVector"})
_SERIES = frozenset({"MrPhoenixProtocol", "MrProtocol"})


def is_mosaic(image_type: Sequence[str]) -> bool:
    """Return True for a sheet of slices by its image type (Siemens; United Imaging, which is refused by name)."""
    return "MOSAIC" in image_type or "VFRAME" in image_type


def mosaic_frames(data: Any, frame: Frame, stored: Stored) -> tuple[Frame, ...] | str:
    """Return one frame for each slice in its order on the sheet, or why the sheet cannot be taken apart."""
    csa = csa_values(raw_bytes(data, private(data, 0x0029, _CREATOR, 0x10)), _IMAGE)
    count = number(data, private(data, 0x0019, "SIEMENS MR HEADER", 0x0A) or "NumberOfFrames", "US") or 0.0
    if count < 1 or private(data, 0x0019, "SIEMENS MR HEADER", 0x0A) is None:
        count = _first(csa.get("NumberOfImagesInMosaic", ()))
    slices = int(count)
    if slices < 1:
        return "the number of its slices is not stated"
    across = math.ceil(math.sqrt(slices))
    if stored.rows % across or stored.columns % across:
        return f"{slices} slices do not divide its {stored.rows} x {stored.columns} pixels"
    rows, columns = stored.rows // across, stored.columns // across
    if frame.position is None or frame.row is None or frame.column is None or frame.pixel_mm is None:
        return "it does not state where it lies"
    normal = _normal(data, csa, np.cross(frame.row, frame.column))
    if normal is None:
        return "the order of its slices is not stated (Siemens' private header is missing)"
    step = abs(frame.between_mm or 0.0) or _protocol_step(data)
    if not step and slices > 1:
        return "the spacing between its slices is not stated"
    y, x = frame.pixel_mm
    corner = (
        np.array(frame.position)
        + np.array(frame.row) * (x * (stored.columns - columns) / 2)
        + np.array(frame.column) * (y * (stored.rows - rows) / 2)
    )
    found = []
    for k in range(slices):
        place = corner + k * step * normal
        tile = ((k // across) * rows, (k % across) * columns, rows, columns)
        found.append(replace(frame, position=(float(place[0]), float(place[1]), float(place[2])), tile=tile))
    return tuple(found)


def _first(values: Sequence[str]) -> float:
    try:
        return float(values[0]) if values else 0.0
    except ValueError:
        return 0.0


def _normal(data: Any, csa: dict[str, tuple[str, ...]], across: Any) -> Any:
    """Return the unit normal along which slices are counted: `across` or its opposite; None where not stated."""
    try:
        stated = np.array([float(v) for v in csa.get("SliceNormalVector", ())[:3]])
    except ValueError:
        stated = np.zeros(0)
    if stated.shape != (3,):
        places = _protocol_slices(data)
        stated = np.array(places[-1]) - np.array(places[0]) if len(places) > 1 else np.zeros(3)
    length = float(np.linalg.norm(stated))
    along = float(stated @ across) / length if length > 0 else 0.0
    return None if abs(along) < 0.99 else across * math.copysign(1.0, along)


def _protocol_slices(data: Any) -> list[tuple[float, float, float]]:
    key: Key | None = private(data, 0x0029, _CREATOR, 0x20)
    protocol = csa_values(raw_bytes(data, key), _SERIES)
    return slice_positions(" ".join(v for values in protocol.values() for v in values))


def _protocol_step(data: Any) -> float:
    places = np.array(_protocol_slices(data))
    return float(np.median(np.linalg.norm(np.diff(places, axis=0), axis=1))) if len(places) > 1 else 0.0
