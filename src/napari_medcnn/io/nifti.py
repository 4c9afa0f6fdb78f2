"""NIfTI-1 and NIfTI-2, single file or pair, plain or gzip.

Header fields are read through nibabel; voxels are decoded by `payload`, since a cut file must never open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import GeometryError, IncompleteFileError, InputError
from napari_medcnn.io.found import Item, Kind, plain, shown, stem
from napari_medcnn.io.header_grid import is_singular
from napari_medcnn.io.nifti_header import RGB_CHANNELS, Header, read_header
from napari_medcnn.io.payload import Payload, read_payload, rescaled
from napari_medcnn.io.sniff import is_gzip
from napari_medcnn.io.straighten import resample_affine, straight_grid

_SECONDS_PER_UNIT = {8: 1.0, 16: 1e-3, 24: 1e-6}


def inspect_nifti(path: Path) -> tuple[Item, ...]:
    """Return the one item of a NIfTI file."""
    header = read_header(path)
    warnings = header.notes
    try:
        geometry: Geometry | None = header.geometry()
    except GeometryError as error:
        geometry, warnings = None, (*warnings, str(error))
    kind: Kind = "labels" if header.is_mask else "volume"
    dtype = header.dtype.newbyteorder("=").name
    return (
        Item(
            path.name,
            kind,
            header.axes,
            header.shape,
            dtype,
            geometry,
            title=stem(path),
            warnings=warnings,
            files=(path,),
        ),
    )


def read_nifti(path: Path, consent: Consent = NONE) -> tuple[Volume, dict[str, Any], bool]:
    """Return the image, the record our writers left (see `note_of`), and whether the file says it is a mask.

    Whole numbers stay whole where slope and intercept are; otherwise scaled values are float32 for stored types of
    up to 16 bits and float64 above.

    Raises
    ------
    InputError
        Named in `payload.read_payload` and `read_header`.
    GeometryError
        The grid is singular; or sheared, without consent to resample.
    """
    header = read_header(path)
    notes = list(header.notes)
    sheared = False
    try:
        geometry = header.geometry()
    except GeometryError:
        sheared = True
        if not consent.resample or header.affine_lps is None or is_singular(header.affine_lps):
            raise
        if header.axes != "zyx":
            raise
        geometry = straight_grid(header.grid, header.affine_lps)
    array = rescaled(_voxels(header), header.slope, header.intercept)
    if sheared and header.affine_lps is not None:
        array = resample_affine(array, header.affine_lps, geometry, labels=header.is_mask)
        notes.append("The grid was sheared; the image was resampled onto a straight one.")
    if array.dtype.kind == "c":
        notes.append("Complex numbers, kept as they are.")
    frames: tuple[float, ...] = ()
    step = float(header.raw["pixdim"][4]) * _SECONDS_PER_UNIT.get(int(header.raw["xyzt_units"]) & 56, 0.0)
    if header.axes.startswith("t") and np.isfinite(step) and step > 0:
        frames = tuple(round(step * k, 9) for k in range(header.shape[0]))
    volume = Volume(
        array,
        geometry,
        header.axes,
        stem(path),
        frame_values=frames,
        frame_unit="s" if frames else "",
        notes=tuple(notes),
    )
    return volume, header.note, header.is_mask


def _voxels(header: Header) -> Array:
    pair = header.raw["magic"].tobytes()[:2] == b"ni"
    path = _pair_of(header.path) if pair else header.path
    offset = float(header.raw["vox_offset"])
    least = 0 if pair else header.raw.sizeof_hdr if hasattr(header.raw, "sizeof_hdr") else 348
    if not np.isfinite(offset) or offset < 0 or offset > 1 << 40:
        raise InputError(f"{shown(header.path)}: the header's data offset is {offset:g}; the file is damaged")
    where = Payload(path, "gzip" if is_gzip(path) else "raw", max(int(offset), least))
    if header.dtype.itemsize == 1 and header.axes.endswith("c") and int(header.raw["datatype"]) in RGB_CHANNELS:
        return read_payload(where, header.dtype, header.shape)  # RGB lies interleaved
    if not header.axes.endswith("c"):
        return read_payload(where, header.dtype, header.shape)
    stored = (header.shape[-1], *header.shape[:-1])  # vectors are the slowest axis in the file
    return np.ascontiguousarray(np.moveaxis(read_payload(where, header.dtype, stored), 0, -1))


def _pair_of(path: Path) -> Path:
    base = path.name.removesuffix(".gz").removesuffix(".hdr")
    for suffix in (".img", ".img.gz"):
        if (path.parent / (base + suffix)).is_file():
            return path.parent / (base + suffix)
    raise IncompleteFileError(f"{shown(path)}: a NIfTI header without voxels; expected {plain(base)}.img beside it")
