"""NIfTI headers, checked: sizes, type, scaling, and where the voxels lie.

The class names of a mask that we wrote stand as JSON in a header extension (code 6, comment), which other programs
skip; see `note_of` and `save`.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from napari_medcnn.core.geometry import Float, ras_to_lps
from napari_medcnn.core.volume import Axes
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.header_grid import GridHeader, is_singular
from napari_medcnn.io.label_table import label_table
from napari_medcnn.io.sniff import head_of, is_gzip, is_nifti

RGB_CHANNELS = {128: 3, 2304: 4}
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_LABEL_INTENT = 1002
#: Header extensions that may name classes: unknown (TotalSegmentator), comment (ours), Caret (Connectome Workbench).
_TEXTS = (0, 6, 30)
#: Largest header extension block that is looked at.
_MAX_EXTENSION = 1 << 20


@dataclass(frozen=True)
class Header(GridHeader):
    """What a NIfTI header says, checked: the fields as nibabel read them, scaling, and our own note."""

    matrix: ClassVar[str] = "matrix (sform or qform)"

    raw: Any
    slope: float
    intercept: float
    note: dict[str, Any]

    @property
    def is_mask(self) -> bool:
        """True if the file says of itself that it is a mask."""
        return "labels" in self.note or int(self.raw["intent_code"]) == _LABEL_INTENT


def read_header(path: Path) -> Header:
    """Return the checked header of a NIfTI file.

    Raises
    ------
    InputError, UnsupportedError, IncompleteFileError
        The header is cut, of another kind, or states sizes or a type that cannot be.
    """
    head = head_of(path, 1024)
    if not is_nifti(head):
        raise UnsupportedError(
            f"{shown(path)}: an Analyze 7.5 header, which does not say which side is left; convert it to NIfTI first"
        )
    second = head[4:7] in (b"n+2", b"ni2")
    need = 540 if second else 348
    if len(head) < need:
        raise IncompleteFileError(f"{shown(path)}: the header is incomplete ({len(head)} of {need} bytes)")
    kind = nib.Nifti2Header if second else nib.Nifti1Header
    try:
        raw = kind(head[:need], check=False)
    except (ValueError, HeaderDataError) as error:
        raise InputError(f"{shown(path)}: not a valid NIfTI header ({plain(error)})") from error
    notes: list[str] = []
    shape, axes, dtype = _layout(path, raw)
    note = _extension(path, raw, need)
    slope, intercept = _scaling(raw, notes)
    affine, spacing, known = _placement(path, raw, shape[axes.index("z") :][:3], notes)
    if note.get("spacing_known") is False:
        known = False
    return Header(path, axes, shape, dtype, affine, spacing, known, tuple(notes), raw, slope, intercept, note)


def _layout(path: Path, raw: Any) -> tuple[tuple[int, ...], Axes, np.dtype[Any]]:
    dims = [int(n) for n in raw["dim"]]
    count = dims[0]
    if not 1 <= count <= 7:
        raise InputError(f"{shown(path)}: expected 1 to 7 dimensions, the header says {count}; the file is damaged")
    sizes = dims[1 : count + 1]
    if min(sizes) < 1:
        raise InputError(f"{shown(path)}: expected sizes of at least 1, the header says {sizes}; the file is damaged")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) > 5:
        raise UnsupportedError(f"{shown(path)}: {len(sizes)} dimensions ({sizes}); up to five are read")
    sizes += [1] * (3 - len(sizes))
    code = int(raw["datatype"])
    channels = RGB_CHANNELS.get(code, 0)
    if channels and len(sizes) > 4:
        raise UnsupportedError(f"{shown(path)}: colour in five dimensions ({sizes}) is not read")
    try:
        dtype = np.dtype(np.uint8) if channels else np.dtype(raw.get_data_dtype())
    except (KeyError, ValueError, HeaderDataError) as error:
        raise UnsupportedError(f"{shown(path)}: voxel type {code} is not known") from error
    if dtype.kind not in "iufc" or dtype.itemsize > 16 or dtype.name in ("float128", "longdouble"):
        raise UnsupportedError(f"{shown(path)}: voxels of type {plain(dtype.name)} are not read; save them as float64")
    if not channels:
        dtype = dtype.newbyteorder(raw.endianness)
    spatial = (sizes[2], sizes[1], sizes[0])
    if channels:
        return (
            ((sizes[3], *spatial, channels), "tzyxc", dtype)
            if len(sizes) == 4
            else ((*spatial, channels), "zyxc", dtype)
        )
    if len(sizes) == 5:
        return (
            ((*spatial, sizes[4]), "zyxc", dtype) if sizes[3] == 1 else ((sizes[3], *spatial, sizes[4]), "tzyxc", dtype)
        )
    return ((sizes[3], *spatial), "tzyx", dtype) if len(sizes) == 4 else (spatial, "zyx", dtype)


def _scaling(raw: Any, notes: list[str]) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0, NaN or infinity means "as stored" (nifti1.h, "DATA SCALING")."""
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if not np.isfinite(slope) or slope == 0.0:
        notes.append(f"The file states no usable scaling (slope {slope:g}); values are as stored.")
        return 1.0, 0.0
    if not np.isfinite(intercept):
        notes.append(f"The file's intercept is {intercept:g}; 0 is used.")
        intercept = 0.0
    return slope, intercept


def _placement(
    path: Path, raw: Any, grid: tuple[int, ...], notes: list[str]
) -> tuple[Float | None, tuple[float, float, float], bool]:
    """Return the LPS affine (None if the file does not say where left is), spacing (z, y, x) and whether it is known.

    The sform stands before the qform, as in nibabel (Nifti1Header.get_best_affine).
    """
    unit = int(raw["xyzt_units"]) & 7
    factor = _MM_PER_UNIT.get(unit, 1.0)
    if factor != 1.0:
        notes.append(f"The file states lengths in {'metres' if unit == 1 else 'micrometres'}; shown in mm.")
    pixdim = [float(p) * factor for p in raw["pixdim"][1:4]]
    bad = [p for p in pixdim if not np.isfinite(p) or p <= 0]
    spacing = [p if np.isfinite(p) and p > 0 else 1.0 for p in pixdim]
    zyx = (spacing[2], spacing[1], spacing[0])
    scale = np.diag([factor, factor, factor, 1.0])
    qform = _qform(raw, spacing, factor) if int(raw["qform_code"]) > 0 else None
    if int(raw["sform_code"]) > 0:
        sform = ras_to_lps(scale @ np.asarray(raw.get_sform(), dtype=np.float64))
        if qform is not None and not bad and not is_singular(sform):
            far = np.array([grid[2], grid[1], grid[0], 1.0]) - [1, 1, 1, 0]
            gap = max(float(np.linalg.norm(((sform - qform) @ p)[:3])) for p in (far, np.array([0.0, 0.0, 0.0, 1.0])))
            if gap > 0.1 * min(zyx):
                notes.append(
                    f"The file states two positions (sform, qform) up to {gap:.1f} mm apart; the sform is used."
                )
        if bad:
            notes.append("The header's voxel sizes are not usable; those of its matrix (sform) are used.")
        return sform, zyx, True
    if bad:
        notes.append("The file does not state a usable voxel size; lengths and volumes in mm are off.")
    if qform is not None:
        return qform, zyx, not bad
    notes.append("The file does not say where left is (both orientation codes are 0); no orientation is shown.")
    return None, zyx, not bad


def _qform(raw: Any, spacing: list[float], factor: float) -> Float:
    """Return the LPS affine of the quaternion (nifti1.h, method 2) with usable spacings."""
    quaternion = [float(raw[k]) for k in ("quatern_b", "quatern_c", "quatern_d")]
    offset = [float(raw[k]) * factor for k in ("qoffset_x", "qoffset_y", "qoffset_z")]
    b, c, d = quaternion
    a2 = 1.0 - (b * b + c * c + d * d)
    if not np.isfinite(a2):
        return np.full((4, 4), np.nan)
    if a2 < 1e-7:  # nifti_quatern_to_mat44: a half turn; renormalise
        length = np.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = float(np.sqrt(a2))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    handed = -1.0 if float(raw["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.array([spacing[0], spacing[1], spacing[2] * handed])
    affine[:3, 3] = offset
    return ras_to_lps(affine)


def _extension(path: Path, raw: Any, header_bytes: int) -> dict[str, Any]:
    """Return our own JSON, or the label table of another program, from the header extensions; {} if there is none."""
    end = int(raw["vox_offset"]) if np.isfinite(raw["vox_offset"]) else 0
    if not header_bytes + 4 < end <= _MAX_EXTENSION:
        return {}
    block = _leading(path, end)[header_bytes:end]
    if block[:1] == b"\0":
        return {}
    place, order = 4, "little" if raw.endianness == "<" else "big"
    while place + 8 <= len(block):
        size = int.from_bytes(block[place : place + 4], order)  # type: ignore[arg-type]
        code = int.from_bytes(block[place + 4 : place + 8], order)  # type: ignore[arg-type]
        if size < 16 or place + size > len(block):
            return {}
        text = block[place + 8 : place + size].rstrip(b"\0").decode("utf-8", "replace") if code in _TEXTS else ""
        if found := note_of(text):
            return found
        if named := label_table(text):
            return {"labels": named}
        place += size
    return {}


def note_of(text: str) -> dict[str, Any]:
    """Return the record that our writers leave in a header, ``{}`` for any other text.

    It holds ``medcnn`` (version 1), and where needed ``labels`` (`LabelSet.to_json`) and ``spacing_known``.
    """
    if not text.startswith('{"medcnn"'):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("medcnn") == 1 else {}


def _leading(path: Path, count: int) -> bytes:
    if not is_gzip(path):
        with path.open("rb") as file:
            return file.read(count)
    out, inflater = io.BytesIO(), zlib.decompressobj(31)
    with path.open("rb") as file:
        while out.tell() < count and (block := inflater.unconsumed_tail or file.read(1 << 16)):
            try:
                out.write(inflater.decompress(block, count - out.tell()))
            except zlib.error:
                break
    return out.getvalue()
