"""NIfTI-1 and NIfTI-2, single file or pair, plain or gzip; Analyze 7.5, from which the format grew.

Header fields are read through nibabel; voxels are decoded by `payload`, since a cut file must never open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.found import Item, plain, shown
from napari_medcnn.io.gridded import item_of, report_of, volume_of
from napari_medcnn.io.nifti_header import RGB_CHANNELS, Header, read_header
from napari_medcnn.io.payload import Payload, read_payload, rescaled
from napari_medcnn.io.sniff import is_gzip


def inspect_nifti(path: Path) -> tuple[Item, ...]:
    """Return the one item of a NIfTI file."""
    header = read_header(path)
    where = _where(header)
    files = (path,) if where.path == path else (path, where.path)
    return (item_of(header, report_of(header, where), files=files),)


def read_nifti(path: Path, consent: Consent = NONE, as_ids: bool = False) -> tuple[Volume, dict[str, Any], bool]:
    """Return the image, the record our writers left (see `note_of`), and whether the file says it is a mask.

    Whole numbers stay whole where slope and intercept are; otherwise scaled values are float32 for stored types of
    up to 16 bits and float64 above.  Sheared images and complex numbers ask first.

    Raises
    ------
    InputError
        Named in `payload.read_payload`, `read_header` and `gridded.volume_of`.
    GeometryError
        The grid is singular.
    """
    header = read_header(path)
    colour = int(header.raw["datatype"]) in RGB_CHANNELS

    def voxels(notes: list[str]) -> Array:
        stored = _voxels(header, consent, notes)
        return stored if colour else rescaled(stored, header.slope, header.intercept)  # nifti1.h: never for RGB

    frames = header.frames
    volume = volume_of(
        header,
        voxels,
        consent,
        as_ids=as_ids,
        frame_values=frames[0],
        frame_unit=frames[1],
        frame_name="t" if frames[0] else "",
        channel_names=header.channel_names,
    )
    return volume, header.note, header.is_mask


def _where(header: Header) -> Payload:
    pair = header.raw["magic"].tobytes()[:2] == b"ni"
    path = _pair_of(header.path) if pair else header.path
    offset = float(header.raw["vox_offset"])
    least = 0 if pair else int(header.raw.sizeof_hdr)
    if not np.isfinite(offset) or offset < 0 or offset > 1 << 40:
        raise InputError(f"{shown(header.path)}: the header's data offset is {offset:g}; the file is damaged")
    return Payload(path, "gzip" if is_gzip(path) else "raw", max(int(offset), least))


def _voxels(header: Header, consent: Consent, notes: list[str]) -> Array:
    where = _where(header)
    if not header.axes.endswith("c") or int(header.raw["datatype"]) in RGB_CHANNELS:  # RGB lies interleaved
        return read_payload(where, header.dtype, header.shape, consent, notes)
    stored = (header.shape[-1], *header.shape[:-1])  # vectors are the slowest axis in the file
    array = read_payload(where, header.dtype, stored, consent, notes)
    return np.ascontiguousarray(np.moveaxis(array, 0, -1))


def _pair_of(path: Path) -> Path:
    base = path.name
    for suffix in (".gz", ".hdr"):
        base = base[: -len(suffix)] if base.lower().endswith(suffix) else base
    for suffix in (".img", ".img.gz", ".IMG"):
        if (path.parent / (base + suffix)).is_file():
            return path.parent / (base + suffix)
    raise IncompleteFileError(f"{shown(path)}: a header without voxels; expected {plain(base)}.img beside it")
