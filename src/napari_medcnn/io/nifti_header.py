"""NIfTI headers, checked: sizes, type, scaling, and where the voxels lie.

The class names of a mask that we wrote stand as JSON in a header extension (code 6, comment), which other programs
skip; see `note_of` and `save`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from napari_medcnn.core.volume import Axes
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.header_grid import GridHeader, settled
from napari_medcnn.io.inflate import first_bytes
from napari_medcnn.io.label_table import label_table
from napari_medcnn.io.nifti_place import placement
from napari_medcnn.io.sniff import head_of, is_gzip, is_nifti

RGB_CHANNELS = {128: 3, 2304: 4}
_LABEL_INTENT = 1002
#: Types that NIfTI defines and no NumPy on every computer has, and what to do.
_UNREAD = {
    1: "one bit each are not read; save them as 8 bit (uint8)",
    1536: "float128 are not read; save them as float64",
    2048: "complex256 are not read; save them as complex128",
}
_VECTORS, _COLOURS = (1006, 1007, 1008, 1011), (2003, 2004)
#: Codes of the fourth axis: seconds per unit, or another quantity.
_TIME_UNITS = {
    8: (1.0, "s"), 16: (1e-3, "s"), 24: (1e-6, "s"), 32: (1.0, "Hz"), 40: (1.0, "ppm"), 48: (1.0, "rad/s"),
}  # fmt: skip
_FIRST_CIFTI, _LAST_CIFTI = 3000, 3099
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

    @property
    def frames(self) -> tuple[tuple[float, ...], str]:
        """Value of each time point and their unit, both empty without a t axis or where the unit is not stated."""
        step = float(self.raw["pixdim"][4])
        factor, unit = _TIME_UNITS.get(int(self.raw["xyzt_units"]) & 56, (0.0, ""))
        if not self.axes.startswith("t") or not np.isfinite(step) or step <= 0 or not factor:
            return (), ""
        return tuple(round(step * factor * k, 9) for k in range(self.shape[0])), unit

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels where the header says what they are."""
        count = self.shape[-1] if self.axes.endswith("c") else 0
        intent = int(self.raw["intent_code"])
        if count == 3 and intent in _VECTORS:
            return ("x", "y", "z")
        return ("red", "green", "blue", "alpha")[:count] if intent in _COLOURS and count in (3, 4) else ()


def read_header(path: Path) -> Header:
    """Return the checked header of a NIfTI file.

    Raises
    ------
    InputError, UnsupportedError, IncompleteFileError
        The header is cut, of another kind, or states sizes or a type that cannot be.
    """
    head = head_of(path, 1024)
    raw, need, analyze = _raw_header(path, head)
    if _FIRST_CIFTI <= int(raw["intent_code"]) <= _LAST_CIFTI and not analyze:
        raise UnsupportedError(
            f"{shown(path)}: a CIFTI-2 file (values on brain surfaces and regions, not an image on one grid); open it "
            "in Connectome Workbench (wb_view)"
        )
    notes: list[str] = []
    found: list[str] = []
    shape, axes, dtype = _layout(path, raw)
    note = _extension(path, raw, need) if not analyze else {}
    slope, intercept = _analyze_scaling(head, notes) if analyze else _scaling(raw, notes)
    grid = shape[axes.index("z") :][:3]
    affine, spacing, known = placement(raw, grid, notes)
    affine = settled(affine, (grid[0], grid[1], grid[2]), notes)
    if analyze:
        notes.append("An Analyze 7.5 image, a format that cannot state left and right.")
    if note.get("spacing_known") is False:
        known = False
    if axes.startswith("t"):
        found.append(_time_words(raw, shape[0]))
    return Header(
        path, axes, shape, dtype, affine, spacing, known, tuple(notes), tuple(found), raw, slope, intercept, note
    )


def _time_words(raw: Any, count: int) -> str:
    step, code = float(raw["pixdim"][4]), int(raw["xyzt_units"]) & 56
    if not np.isfinite(step) or step <= 0:
        return f"{count} time points; the step between them is not stated."
    if code not in _TIME_UNITS:
        return f"{count} time points; their step is stated as {step:g} without a unit."
    factor, unit = _TIME_UNITS[code]
    return (
        f"{count} time points, every {step * factor:g} {unit}."
        if unit == "s"
        else (f"{count} steps of {step:g} {unit}.")
    )


def _raw_header(path: Path, head: bytes) -> tuple[Any, int, bool]:
    """Return the fields, the bytes they take, and whether the file is Analyze 7.5, the format NIfTI grew from."""
    analyze = not is_nifti(head)
    second = not analyze and head[4:7] in (b"n+2", b"ni2")
    need = 540 if second else 348
    if len(head) < need:
        raise IncompleteFileError(f"{shown(path)}: the header is incomplete ({len(head)} of {need} bytes)")
    try:
        raw = (nib.Nifti2Header if second else nib.Nifti1Header)(head[:need], check=False)
    except (ValueError, HeaderDataError) as error:
        raise InputError(f"{shown(path)}: not a valid NIfTI header ({plain(error)})") from error
    if analyze:  # what NIfTI added stands in fields that Analyze used otherwise
        for name in ("intent_code", "xyzt_units", "qform_code", "sform_code"):
            raw[name] = 0
        raw["magic"] = b"ni1"
    return raw, need, analyze


def _analyze_scaling(head: bytes, notes: list[str]) -> tuple[float, float]:
    """Return slope and intercept as SPM leaves them in Analyze headers; plain Analyze has none."""
    try:
        slope, intercept = nib.spm2analyze.Spm2AnalyzeHeader(head[:348], check=False).get_slope_inter()
    except (ValueError, HeaderDataError):
        return 1.0, 0.0
    if slope is None or not np.isfinite(slope):
        return 1.0, 0.0
    if (slope, intercept) != (1.0, 0.0):
        notes.append(f"Values are scaled by {slope:g}, as SPM writes it into an Analyze header.")
    return float(slope), float(intercept)


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
        if code in _UNREAD:
            raise UnsupportedError(f"{shown(path)}: voxels of type {_UNREAD[code]}")
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
    if is_gzip(path):
        return first_bytes(path, count)
    with path.open("rb") as file:
        return file.read(count)
