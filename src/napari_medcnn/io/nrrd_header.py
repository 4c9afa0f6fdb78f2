"""NRRD headers, checked.

Fields are parsed by pynrrd; their meanings: teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nrrd
import numpy as np

from napari_medcnn.core.volume import Axes
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.header_grid import GridHeader, settled
from napari_medcnn.io.nifti_header import note_of
from napari_medcnn.io.nrrd_place import PerAxis, frame_values, placement

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_CHANNEL_KINDS = ("color", "colour", "vector", "normal", "matrix", "complex", "quaternion", "gradient")
_COLOURS = ("red", "green", "blue", "alpha")
_MAX_HEADER = 8 << 20


@dataclass(frozen=True)
class Header(GridHeader):
    """A parsed header: `shape` and `axes` as the array will have them.

    `stored` is the shape and `order` the letters of the axes as they lie in the file, slowest first; `layers` counts
    those of an overlapping segmentation, which come as t.
    """

    matrix: ClassVar[str] = "set of space directions"

    fields: dict[str, Any]
    stored: tuple[int, ...]
    order: str
    layers: int
    data_start: int
    listed: tuple[str, ...]
    note: dict[str, Any]
    frames: tuple[tuple[float, ...], str, str]

    @property
    def is_mask(self) -> bool:
        """True for a Slicer segmentation, or a mask of ours."""
        return "labels" in self.note or any(k.startswith("Segment0_") for k in self.fields)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of colours, empty otherwise."""
        kinds = [str(k).lower() for k in self.fields.get("kinds", [])]
        count = self.shape[-1] if self.axes.endswith("c") else 0
        return _COLOURS[:count] if count in (3, 4) and any("color" in kind for kind in kinds) else ()


def read_header(path: Path) -> Header:
    """Return the checked header of a NRRD file.

    Raises
    ------
    InputError, UnsupportedError, IncompleteFileError
        Cut, not parseable, or of a layout that is not read; the message says which field.
    """
    fields, start, listed = _fields(path)
    sizes = [int(n) for n in fields.get("sizes", [])]
    if not sizes or min(sizes) < 1 or len(sizes) != int(fields.get("dimension", -1)):
        raise InputError(f"{shown(path)}: expected sizes of at least 1 for each dimension, got {plain(sizes)}")
    per_axis = PerAxis.of(fields, sizes)
    dtype = _dtype(path, fields)
    is_complex = per_axis.kinds[0] == "complex" and sizes[0] == 2 and dtype.kind == "f" and len(sizes) > 2
    if is_complex:  # real and imaginary part lie side by side: one complex number
        per_axis = per_axis.without_first()
        dtype = np.dtype(f"{dtype.byteorder}c{2 * dtype.itemsize}")
    spatial = _spatial_axes(path, per_axis)
    segments = any(k.startswith("Segment0_") for k in fields)
    order = _order(path, per_axis, spatial, segments)
    stored = tuple(per_axis.sizes[::-1])
    if len(spatial) == 2:  # a picture: depth 1
        at = order.index("y")
        order, stored = order[:at] + "z" + order[at:], (*stored[:at], 1, *stored[at:])
    axes = "".join(letter for letter in "tzyxc" if letter in order)
    shape = tuple(stored[order.index(letter)] for letter in axes)
    layers = stored[order.index("t")] if segments and "t" in order else 1
    note = note_of(unescaped(str(fields.get("medcnn", ""))))
    notes: list[str] = []
    found: list[str] = []
    affine, spacing, known = placement(fields, per_axis, spatial, notes, found)
    first = axes.index("z")
    affine = settled(affine, (shape[first], shape[first + 1], shape[first + 2]), notes)
    if note.get("spacing_known") is False:
        known = False
    frames: tuple[tuple[float, ...], str, str] = ((), "", "")
    if "t" in order and not segments:
        frames = frame_values(fields, per_axis, len(order) - 1 - order.index("t") if len(spatial) == 3 else -1, found)
    return Header(
        path, _as_axes(axes), shape, dtype, affine, spacing, known, tuple(notes), tuple(found), fields, stored, order,
        layers, start, listed, note, frames,
    )  # fmt: skip


def _as_axes(text: str) -> Axes:
    known: dict[str, Axes] = {"zyx": "zyx", "zyxc": "zyxc", "tzyx": "tzyx", "tzyxc": "tzyxc"}
    return known[text]


def _dtype(path: Path, fields: dict[str, Any]) -> np.dtype[Any]:
    code = next((k for k, names in _TYPES.items() if str(fields.get("type", "")).strip() in names), None)
    if code is None:
        raise UnsupportedError(f"{shown(path)}: voxels of type {plain(fields.get('type'))!r} are not read")
    written = str(fields.get("encoding", "")).strip().lower() in ("ascii", "text", "txt")
    if code[1] != "1" and "endian" not in fields and not written:
        raise InputError(f"{shown(path)}: the header does not state the byte order (field 'endian')")
    return np.dtype((">" if str(fields.get("endian", "little")).strip().lower() == "big" else "<") + code)


def _fields(path: Path) -> tuple[dict[str, Any], int, tuple[str, ...]]:
    """Return the parsed fields, the offset of attached data, and the file names after "data file: LIST"."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    lines: list[str] = []
    listed: list[str] | None = None
    place = 0
    while place < len(head):
        end = head.find(b"\n", place)
        end = len(head) if end < 0 else end
        line = head[place:end].rstrip(b"\r").decode("utf-8", "replace")
        place = end + 1
        if not line:
            break
        if listed is not None:
            listed.append(line.strip())
            continue
        lines.append(line)
        name, _, value = line.partition(":")
        if name.strip().lower() in ("data file", "datafile") and value.split()[:1] == ["LIST"]:
            listed = []
    else:
        if len(head) == _MAX_HEADER:
            raise InputError(f"{shown(path)}: its header has no end within {_MAX_HEADER >> 20} MB; the file is damaged")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fields = nrrd.read_header(iter(lines))
    except (nrrd.NRRDError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{shown(path)}: not a valid NRRD header ({plain(error)})") from error
    missing = [k for k in ("type", "dimension", "sizes", "encoding") if k not in fields]
    if missing:
        raise IncompleteFileError(f"{shown(path)}: the header is incomplete, it lacks {', '.join(missing)}")
    return dict(fields), place, tuple(listed or ())


def _spatial_axes(path: Path, per_axis: PerAxis) -> list[int]:
    """Return which file axes (fastest first) lie in space: those with a direction, else of kind domain or space."""
    kinds, count = per_axis.kinds, len(per_axis.sizes)
    if per_axis.directions is not None:
        found = [a for a, row in enumerate(per_axis.directions) if row is not None]
    else:
        found = [a for a, kind in enumerate(kinds) if kind in ("domain", "space")]
        if not found and not any(kinds):
            found = list(range(min(count, 3)))
    if found == [0, 1, 2, 3]:
        found = found[:3]  # ITK gives time a direction too, in a space of four dimensions without a name
    if len(found) not in (2, 3) or found != list(range(found[0], found[0] + len(found))):
        raise UnsupportedError(
            f"{shown(path)}: expected two or three neighbouring axes in space, got {len(found)} of {count}"
        )
    return found


def _order(path: Path, per_axis: PerAxis, spatial: list[int], segments: bool) -> str:
    """Return the letters of the file's axes, slowest first."""
    letters = dict(zip(spatial, "xyz", strict=False))
    others = [a for a in range(len(per_axis.sizes)) if a not in spatial]
    channels = [a for a in others if any(word in per_axis.kinds[a] for word in _CHANNEL_KINDS) and not segments]
    if not channels and len(others) == 2 and others[0] < spatial[0] and others[1] > spatial[-1]:
        channels = others[:1]
    rest = [a for a in others if a not in channels]
    if len(channels) > 1 or len(rest) > 1:
        raise UnsupportedError(
            f"{shown(path)}: {len(per_axis.sizes)} dimensions of kinds {plain(per_axis.kinds)} are not read"
        )
    letters |= dict.fromkeys(channels, "c") | dict.fromkeys(rest, "t")
    return "".join(letters[a] for a in reversed(range(len(per_axis.sizes))))


def unescaped(text: str) -> str:
    """Undo the two escapes of key/value pairs, "backslash n" and a doubled backslash; pynrrd leaves them."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
