"""NRRD (attached or with a detached data file) and 3D Slicer's .seg.nrrd.

Fields are parsed by pynrrd; voxels are decoded by `payload`.  Field meanings: teem.sourceforge.net/nrrd/format.html;
segment fields: Slicer's documentation, "Segmentations", section "Saving segmentations to file".
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nrrd
import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array, Float, Geometry, ras_to_lps
from napari_medcnn.core.labels import Label, LabelSet, default_colour
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import GeometryError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import Item, Kind, plain, shown, stem
from napari_medcnn.io.header_grid import GridHeader, is_singular
from napari_medcnn.io.inside import beside
from napari_medcnn.io.nifti_header import note_of
from napari_medcnn.io.payload import Encoding, Payload, read_payload
from napari_medcnn.io.straighten import resample_affine, straight_grid

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
_ENCODINGS: dict[str, Encoding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_CHANNEL_KINDS = ("color", "colour", "vector", "normal", "matrix", "complex", "quaternion", "gradient")
_MAX_HEADER = 8 << 20


@dataclass(frozen=True)
class Header(GridHeader):
    """A parsed header: `shape` and `axes` as the array will have them, `stored` the order in the file."""

    matrix: ClassVar[str] = "set of space directions"

    fields: dict[str, Any]
    stored: tuple[int, ...]
    frames_inside: bool
    layers: int
    data_start: int
    note: dict[str, Any]

    @property
    def is_mask(self) -> bool:
        """True for a Slicer segmentation, or a mask of ours."""
        return "labels" in self.note or any(k.startswith("Segment0_") for k in self.fields)


def read_header(path: Path) -> Header:
    """Return the checked header of a NRRD file.

    Raises
    ------
    InputError, UnsupportedError, IncompleteFileError
        Cut, not parseable, or of a layout that is not read; the message says which field.
    """
    fields, start = _fields(path)
    sizes = [int(n) for n in fields.get("sizes", [])]
    if not sizes or min(sizes) < 1 or len(sizes) != int(fields.get("dimension", -1)):
        raise InputError(f"{shown(path)}: expected sizes of at least 1 for each dimension, got {sizes}")
    code = next((k for k, names in _TYPES.items() if str(fields.get("type", "")).strip() in names), None)
    if code is None:
        raise UnsupportedError(f"{shown(path)}: voxels of type {plain(fields.get('type'))!r} are not read")
    order = ">" if str(fields.get("endian", "little")).strip() == "big" else "<"
    if code[1] != "1" and "endian" not in fields and str(fields.get("encoding")) in ("raw", *_ENCODINGS):
        raise InputError(f"{shown(path)}: the header does not state the byte order (field 'endian')")
    directions = fields.get("space directions")
    kinds = [str(k).lower() for k in fields.get("kinds", [])] or [""] * len(sizes)
    spatial = _spatial_axes(path, sizes, kinds, directions)
    axes, layers = _axes(path, sizes, kinds, spatial, bool([k for k in fields if k.startswith("Segment0_")]))
    stored = tuple(sizes[::-1])
    grid = (
        tuple(sizes[a] for a in reversed(spatial)) if len(spatial) == 3 else (1, *(sizes[a] for a in reversed(spatial)))
    )
    others = [n for a, n in enumerate(sizes) if a not in spatial]
    shape = {"zyx": grid, "tzyx": (*others[-1:], *grid), "zyxc": (*grid, *others[:1])}.get(
        axes, (*others[-1:], *grid, *others[:1])
    )
    note = note_of(_unescaped(str(fields.get("medcnn", ""))))
    affine, spacing, known, notes = _placement(fields, spatial)
    if note.get("spacing_known") is False:
        known = False
    inside = axes == "tzyx" and spatial[0] == 1
    dtype = np.dtype(order + code)
    return Header(path, axes, shape, dtype, affine, spacing, known, notes, fields, stored, inside, layers, start, note)


def _fields(path: Path) -> tuple[dict[str, Any], int]:
    """Return the parsed fields and the offset of attached data."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    lines, place = [], 0
    while place < len(head):
        end = head.find(b"\n", place)
        end = len(head) if end < 0 else end
        line = head[place:end].rstrip(b"\r")
        place = end + 1
        if not line:
            break
        lines.append(line.decode("utf-8", "replace"))
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
    return dict(fields), place


def _spatial_axes(path: Path, sizes: list[int], kinds: list[str], directions: Any) -> list[int]:
    """Return which file axes (fastest first) lie in space: those with a direction, else of kind domain or space."""
    if directions is not None:
        rows = [None if row is None or not np.all(np.isfinite(np.asarray(row, float))) else row for row in directions]
        found = [a for a, row in enumerate(rows) if row is not None]
    else:
        found = [a for a, kind in enumerate(kinds) if kind in ("domain", "space")]
        if not found and not any(kinds):
            found = list(range(min(len(sizes), 3)))
    if len(found) == 4 and found == [0, 1, 2, 3]:
        found = found[:3]  # ITK gives time a direction too, in a space of four dimensions without a name
    if len(found) not in (2, 3) or found != list(range(found[0], found[0] + len(found))):
        raise UnsupportedError(
            f"{shown(path)}: expected two or three neighbouring axes in space, got {len(found)} of {len(sizes)}"
        )
    return found


def _axes(path: Path, sizes: list[int], kinds: list[str], spatial: list[int], segments: bool) -> tuple[Axes, int]:
    """Return array axes and, for an overlapping segmentation, its number of layers (they come as t)."""
    others = [a for a in range(len(sizes)) if a not in spatial]
    if not others:
        return "zyx", 1
    if segments and len(others) == 1:
        return "tzyx", sizes[others[0]]
    if len(others) == 1:
        before = others[0] < spatial[0]
        channel = any(word in kinds[others[0]] for word in _CHANNEL_KINDS) and before
        return ("zyxc" if channel else "tzyx"), 1
    if len(others) == 2 and others[0] < spatial[0] and others[1] > spatial[-1]:
        return "tzyxc", 1
    raise UnsupportedError(f"{shown(path)}: {len(sizes)} dimensions of kinds {plain(kinds)} are not read")


def _placement(
    fields: dict[str, Any], spatial: list[int]
) -> tuple[Float | None, tuple[float, float, float], bool, tuple[str, ...]]:
    """Return the LPS affine (None without a patient space), spacing (z, y, x), whether it is known, and notes."""
    notes: list[str] = []
    space = str(fields.get("space", "")).lower().replace("_", "-")
    name = {"las": "left-anterior-superior", "lps": "left-posterior-superior", "ras": "right-anterior-superior"}.get(
        space.removesuffix("-time").removesuffix("t") if len(space) <= 4 else "", space
    )
    signs = {
        "left-posterior-superior": (1, 1, 1),
        "right-anterior-superior": (-1, -1, 1),
        "left-anterior-superior": (1, -1, 1),
    }.get(name.removesuffix("-time"))
    directions = fields.get("space directions")
    if directions is None:
        raw = fields.get("spacings")
        steps = [float(raw[a]) for a in spatial] if raw is not None else [math.nan] * 3
    else:
        steps = [float(np.linalg.norm(np.asarray(directions[a], float))) for a in spatial]
    steps += [math.nan] * (3 - len(steps)) if len(steps) < 3 else []
    known = all(math.isfinite(s) and s > 0 for s in steps)
    usable = [s if math.isfinite(s) and s > 0 else 1.0 for s in steps]
    spacing = (usable[2], usable[1], usable[0])
    if not known:
        notes.append("The file does not state a usable voxel size; lengths and volumes in mm are off.")
    if directions is None or signs is None or len(spatial) != 3 or np.asarray(directions[spatial[0]]).size != 3:
        notes.append("The file does not say where left is; no orientation is shown.")
        return None, spacing, known, tuple(notes)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([np.asarray(directions[a], float) for a in spatial])
    origin = fields.get("space origin")
    if origin is None or not np.all(np.isfinite(np.asarray(origin, float))):
        notes.append("The file states no origin; 0 is used.")
    else:
        affine[:3, 3] = np.asarray(origin, float)[:3]
    if signs == (-1, -1, 1):
        affine = ras_to_lps(affine)
    elif signs == (1, -1, 1):
        affine = np.diag([1.0, -1.0, 1.0, 1.0]) @ affine
    return affine, spacing, known, tuple(notes)


def inspect_nrrd(path: Path) -> tuple[Item, ...]:
    """Return the item of a NRRD file; one per layer for an overlapping segmentation."""
    header = read_header(path)
    notes = header.notes
    try:
        geometry: Geometry | None = header.geometry()
    except GeometryError as error:
        geometry, notes = None, (*notes, str(error))
    dtype = header.dtype.newbyteorder("=").name
    if header.is_mask and header.layers > 1:
        return tuple(
            Item(f"layer-{k}", "labels", "zyx", header.grid, dtype, geometry, title=f"{stem(path)}, layer {k}",
                 warnings=notes, files=(path,))
            for k in range(header.layers)
        )  # fmt: skip
    kind: Kind = "labels" if header.is_mask else "volume"
    item = Item(
        path.name, kind, header.axes, header.shape, dtype, geometry, title=stem(path), warnings=notes, files=(path,)
    )
    return (item,)


def read_nrrd(path: Path, item: str | None = None, consent: Consent = NONE) -> tuple[Volume, LabelSet | None]:
    """Return the image and, for a mask, the classes its header names (may be empty); None for a scan.

    Raises
    ------
    InputError
        Cut or contradictory; or several layers of a segmentation and no `item`.
    GeometryError
        Sheared without consent to resample, or singular.
    """
    header = read_header(path)
    notes, labels = list(header.notes), _labels(header, item) if header.is_mask else None
    array = _voxels(header)
    axes: Axes = header.axes
    if header.layers > 1:
        wanted = [k for k in range(header.layers) if item == f"layer-{k}"]
        if not wanted:
            listed = ", ".join(f"layer-{k}" for k in range(header.layers))
            raise InputError(
                f"{shown(path)}: its segments overlap and lie in {header.layers} layers; choose one: {listed}"
            )
        array, axes = array[wanted[0]], "zyx"
    elif header.is_mask and axes == "tzyx" and header.shape[0] == 1:
        array, axes = array[0], "zyx"
    try:
        geometry = header.geometry()
    except GeometryError:
        if not consent.resample or header.affine_lps is None or is_singular(header.affine_lps) or axes != "zyx":
            raise
        geometry = straight_grid(header.grid, header.affine_lps)
        array = resample_affine(array, header.affine_lps, geometry, labels=header.is_mask)
        notes.append("The grid was sheared; the image was resampled onto a straight one.")
    return Volume(array, geometry, axes, stem(path), notes=tuple(notes)), labels


def _voxels(header: Header) -> Array:
    fields = header.fields
    name = fields.get("data file", fields.get("datafile"))
    encoding = str(fields["encoding"]).strip().lower()
    path, start = header.path, header.data_start
    if name is not None:
        if not isinstance(name, str) or name.split()[:1] == ["LIST"] or "%" in name:
            raise UnsupportedError(f"{shown(path)}: voxels spread over several data files are not read")
        path, start = beside(header.path, name), 0
    start = _after_lines(path, start, int(fields.get("line skip", fields.get("lineskip", 0))))
    skip = int(fields.get("byte skip", fields.get("byteskip", 0)))
    if skip < -1:
        raise InputError(f"{shown(header.path)}: expected a byte skip of -1 or more, got {skip}")
    if encoding in ("ascii", "text", "txt"):
        array = _numbers(path, start, header)
    elif encoding in _ENCODINGS:
        array = read_payload(Payload(path, _ENCODINGS[encoding], skip, start), header.dtype, header.stored)
    else:
        raise UnsupportedError(f"{shown(header.path)}: encoding {plain(encoding)!r} is not read (raw, gzip, bzip2 are)")
    if header.frames_inside:  # Slicer's sequences and segmentation layers
        array = np.moveaxis(array, -1, 0)
    return np.ascontiguousarray(array).reshape(header.shape)


def _after_lines(path: Path, start: int, lines: int) -> int:
    if lines <= 0:
        return start
    with path.open("rb") as file:
        file.seek(start)
        for _ in range(min(lines, 1_000_000)):
            if not file.readline(1 << 20):
                break
        return file.tell()


def _unescaped(text: str) -> str:
    """Undo the two escapes of key/value pairs, "backslash n" and a doubled backslash; pynrrd leaves them."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")


def _numbers(path: Path, start: int, header: Header) -> Array:
    need = math.prod(header.stored)
    if path.stat().st_size - start < need:  # a digit each, at least
        raise IncompleteFileError(f"{shown(path)}: the header claims {need} numbers, more than the file can hold")
    with path.open("rb") as file:
        file.seek(start)
        words = file.read().split()
    if len(words) != need:
        raise IncompleteFileError(f"{shown(path)}: the file is incomplete ({len(words)} of {need} numbers)")
    try:
        return np.array(words).astype(header.dtype.newbyteorder("=")).reshape(header.stored)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{shown(path)}: expected numbers of type {header.dtype.name} ({plain(error)})") from error


def _labels(header: Header, item: str | None) -> LabelSet:
    """Return the classes of the header: ours, or Slicer's segments (of one layer, if `item` names it)."""
    if "labels" in header.note:
        return LabelSet.from_json(header.note["labels"])
    found: dict[int, Label] = {}
    names: set[str] = set()
    number = 0
    while f"Segment{number}_ID" in header.fields or f"Segment{number}_Name" in header.fields:
        get = {k: header.fields.get(f"Segment{number}_{k}", "") for k in ("Name", "ID", "Color", "LabelValue", "Layer")}
        number += 1
        if header.layers > 1 and item != f"layer-{get['Layer'] or 0}":
            continue
        try:
            value = int(get["LabelValue"] or number)
            rgb = [round(255 * float(c)) for c in str(get["Color"]).split()]
        except ValueError as error:
            raise InputError(f"{shown(header.path)}: segment {number} has no usable value or colour") from error
        name = plain(_unescaped(str(get["Name"] or get["ID"])), 190) or f"Class {value}"
        name = name if name not in names else f"{name} ({value})"
        names.add(name)
        colour = (
            (rgb[0], rgb[1], rgb[2])
            if len(rgb) == 3 and all(0 <= c <= 255 for c in rgb)
            else default_colour(max(value, 1))
        )
        if value >= 1 and value not in found:
            found[value] = Label(value, name, colour)
    return LabelSet(tuple(found.values()))
