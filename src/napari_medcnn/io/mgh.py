"""FreeSurfer's MGH and MGZ volumes.

Fields as in surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat: big endian, direction cosines and the RAS place
of the volume's centre.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Float, ras_to_lps
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import Item, shown
from napari_medcnn.io.gridded import item_of, report_of, stored_volume
from napari_medcnn.io.header_grid import GridHeader, settled
from napari_medcnn.io.payload import Payload
from napari_medcnn.io.sniff import head_of, is_gzip

_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
_VOXELS_AT = 284


@dataclass(frozen=True)
class Header(GridHeader):
    """A checked header."""

    matrix: ClassVar[str] = "set of direction cosines"


def read_header(path: Path) -> Header:
    """Return the checked header.

    Raises
    ------
    InputError, UnsupportedError, IncompleteFileError
        The header is cut, or states sizes or a type that cannot be.
    """
    head = head_of(path, _VOXELS_AT)
    if len(head) < 90:
        raise IncompleteFileError(f"{shown(path)}: the header is incomplete ({len(head)} of {_VOXELS_AT} bytes)")
    _, width, height, depth, frames, kind, _, good = struct.unpack(">7ih", head[:30])
    if min(width, height, depth, frames) < 1:
        raise InputError(
            f"{shown(path)}: expected sizes of at least 1, the header says {(width, height, depth, frames)}; the file "
            "is damaged"
        )
    if kind not in _TYPES:
        raise UnsupportedError(f"{shown(path)}: voxels of type {kind} are not read; convert it with mri_convert")
    notes: list[str] = []
    numbers = np.array(struct.unpack(">15f", head[30:90]), dtype=np.float64)
    grid = (depth, height, width)
    affine, spacing, known = _placement(numbers, grid, good == 1, notes)
    axes: Axes = "tzyx" if frames > 1 else "zyx"
    shape = (frames, *grid) if frames > 1 else grid
    found = (f"{frames} frames; their step is not looked at.",) if frames > 1 else ()
    return Header(path, axes, shape, np.dtype(_TYPES[kind]), affine, spacing, known, tuple(notes), found)


def _placement(
    numbers: Float, grid: tuple[int, int, int], good: bool, notes: list[str]
) -> tuple[Float | None, tuple[float, float, float], bool]:
    """Return the LPS affine, spacing (z, y, x) and whether it is known, from spacing, cosines and centre."""
    steps, cosines, centre = numbers[:3], numbers[3:12].reshape(3, 3).T, numbers[12:]
    if not good:
        notes.append(
            "Left/right is not stated in this file (no good RAS information), so it does not say where left is; no "
            "orientation is shown."
        )
        return None, (1.0, 1.0, 1.0), False
    known = bool(np.all(np.isfinite(steps)) and steps.min() > 0)
    if not known:
        notes.append("The file does not state a usable voxel size; lengths and volumes in mm are not given.")
        steps = np.where(np.isfinite(steps) & (steps > 0), steps, 1.0)
    affine = np.eye(4)
    affine[:3, :3] = cosines * steps
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(grid[::-1]) / 2)
    settled_affine = settled(ras_to_lps(affine), grid, notes)
    return settled_affine, (float(steps[2]), float(steps[1]), float(steps[0])), known


def _where(header: Header) -> Payload:
    return Payload(header.path, "gzip" if is_gzip(header.path) else "raw", _VOXELS_AT)


def inspect_mgh(path: Path) -> tuple[Item, ...]:
    """Return the one item of a MGH or MGZ file."""
    header = read_header(path)
    return (item_of(header, report_of(header, _where(header))),)


def read_mgh(path: Path, consent: Consent = NONE, as_ids: bool = False) -> Volume:
    """Return the image; errors as `read_header`, `payload.read_payload` and `gridded.stored_volume`."""
    header = read_header(path)
    return stored_volume(header, _where(header), consent, as_ids)
