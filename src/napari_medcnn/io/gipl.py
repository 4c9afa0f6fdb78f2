"""GIPL, the format of the Guy's Image Processing Lab, which ITK-SNAP still writes.

Layout as in ITK's GiplImageIO: a header of 256 bytes, all big endian, with sizes, voxel sizes and an origin, and
nothing on where left is.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import Item, shown
from napari_medcnn.io.gridded import item_of, report_of, stored_volume
from napari_medcnn.io.header_grid import GridHeader
from napari_medcnn.io.payload import Payload
from napari_medcnn.io.sniff import head_of, is_gzip

_TYPES = {7: ">i1", 8: ">u1", 15: ">i2", 16: ">u2", 64: ">f4", 65: ">f8"}
_HEADER = 256


@dataclass(frozen=True)
class Header(GridHeader):
    """A checked header."""


def read_header(path: Path) -> Header:
    """Return the checked header.

    Raises
    ------
    InputError, UnsupportedError, IncompleteFileError
        The header is cut, or states sizes or a type that cannot be.
    """
    head = head_of(path, _HEADER)
    if len(head) < _HEADER:
        raise IncompleteFileError(f"{shown(path)}: the header is incomplete ({len(head)} of {_HEADER} bytes)")
    width, height, depth, frames, kind = struct.unpack(">5H", head[:10])
    steps = struct.unpack(">4f", head[10:26])
    depth, frames = max(depth, 1), max(frames, 1)  # a picture leaves them 0
    if min(width, height) < 1:
        raise InputError(
            f"{shown(path)}: expected sizes of at least 1, the header says {(width, height)}; the file is damaged"
        )
    if kind not in _TYPES:
        raise UnsupportedError(f"{shown(path)}: voxels of type {kind} are not read; save it as NIfTI in ITK-SNAP")
    notes = ["Left/right is not stated in a GIPL file, so it does not say where left is; no orientation is shown."]
    known = all(math.isfinite(s) and s > 0 for s in steps[:3])
    if not known:
        notes.append("The file does not state a usable voxel size; lengths and volumes in mm are not given.")
    usable = [s if math.isfinite(s) and s > 0 else 1.0 for s in steps[:3]]
    grid = (depth, height, width)
    axes: Axes = "tzyx" if frames > 1 else "zyx"
    shape = (frames, *grid) if frames > 1 else grid
    found = (f"{frames} time points; their step is not stated.",) if frames > 1 else ()
    spacing = (usable[2], usable[1], usable[0])
    return Header(path, axes, shape, np.dtype(_TYPES[kind]), None, spacing, known, tuple(notes), found)


def _where(header: Header) -> Payload:
    return Payload(header.path, "gzip" if is_gzip(header.path) else "raw", _HEADER)


def inspect_gipl(path: Path) -> tuple[Item, ...]:
    """Return the one item of a GIPL file."""
    header = read_header(path)
    return (item_of(header, report_of(header, _where(header))),)


def read_gipl(path: Path, consent: Consent = NONE, as_ids: bool = False) -> Volume:
    """Return the image; errors as `read_header`, `payload.read_payload` and `gridded.stored_volume`."""
    header = read_header(path)
    return stored_volume(header, _where(header), consent, as_ids)
