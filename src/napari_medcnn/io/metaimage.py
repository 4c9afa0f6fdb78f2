"""MetaImage (.mha, and .mhd with its data file): own reader, since a cut file must never open.

Keys as in ITK's MetaIO documentation: ``TransformMatrix`` lists the direction columns one after the other, lengths
are mm, positions LPS.  Class names of our masks stand in one ``medcnn_label_<id>`` line each (MetaIO keeps unknown
keys as metadata and reads on).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import Item, plain, shown
from napari_medcnn.io.gridded import item_of, report_of, volume_of
from napari_medcnn.io.header_grid import GridHeader, settled
from napari_medcnn.io.payload import Payload
from napari_medcnn.io.several import counted_names, listed_files, read_several
from napari_medcnn.io.text_numbers import read_numbers

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_MAX_HEADER = 1 << 20
LABEL_KEY = "medcnn_label_"
#: Counts the lines of a header that are no "key = value"; no key of a file holds a line feed.
_SKIPPED = "\n"


@dataclass(frozen=True)
class Header(GridHeader):
    """Parsed keys and what they mean for the array (see `read_header`)."""

    matrix: ClassVar[str] = "TransformMatrix"

    keys: dict[str, str]
    data_start: int
    listed: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        """True if the voxels are written as text."""
        return self.keys.get("BinaryData", "True").lower() not in ("true", "1")

    @property
    def window(self) -> tuple[float, float] | None:
        """The display window of the keys WindowCenter and WindowWidth, if there is exactly one."""
        try:
            centre, width = (float(self.keys[k].strip("[] ")) for k in ("WindowCenter", "WindowWidth"))
        except (KeyError, ValueError):
            return None
        fits = math.isfinite(centre) and math.isfinite(width) and width > 0
        return (centre - width / 2, centre + width / 2) if fits else None

    @property
    def is_mask(self) -> bool:
        """True for a mask that we wrote."""
        return self.keys.get("medcnn_kind") == "labels"


def read_header(path: Path) -> Header:
    """Return the checked header.

    Raises
    ------
    InputError, UnsupportedError, IncompleteFileError
        The header is cut, contradictory, or of a layout that is not read.
    """
    keys, start, listed = _keys(path)
    try:
        dims = [int(n) for n in keys["DimSize"].split()]
        count, channels = int(keys["NDims"]), int(keys.get("ElementNumberOfChannels", "1"))
        spacing = _floats(keys, ("ElementSpacing", "ElementSize"))
        matrix = _floats(keys, ("TransformMatrix", "Rotation", "Orientation"))
        origin = _floats(keys, ("Offset", "Position", "Origin"))
    except KeyError as error:
        raise InputError(f"{shown(path)}: not a valid MetaImage header (it lacks {plain(error)})") from error
    except ValueError as error:
        raise InputError(f"{shown(path)}: not a valid MetaImage header ({plain(error)})") from error
    if count != len(dims) or count not in (2, 3, 4) or min(dims) < 1 or not 1 <= channels <= 1024:
        raise InputError(
            f"{shown(path)}: expected 2 to 4 sizes of at least 1, got {plain(dims)} ({count} dimensions); save one "
            "part of it on its own"
        )
    kind = keys.get("ElementType", "").removesuffix("_ARRAY")
    if kind not in _TYPES:
        raise UnsupportedError(f"{shown(path)}: voxels of type {plain(kind)!r} are not read")
    big = keys.get("BinaryDataByteOrderMSB", keys.get("ElementByteOrderMSB", "False")).lower() in ("true", "1")
    grid = tuple(dims[2::-1]) if count >= 3 else (1, dims[1], dims[0])
    axes: Axes = "tzyx" if count == 4 else "zyx"
    shape = (dims[3], *grid) if count == 4 else grid
    if channels > 1:
        axes, shape = ("tzyxc" if count == 4 else "zyxc"), (*shape, channels)
    notes: list[str] = []
    found: list[str] = []
    if count == 4:
        step = spacing[3] if spacing is not None and len(spacing) == 4 else math.nan
        stated = f"their step is stated as {step:g} without a unit" if math.isfinite(step) else "their step is unknown"
        found.append(f"{dims[3]} time points; {stated}.")
    if _SKIPPED in keys:
        notes.append(f"Lines of the header that state nothing ({len(keys[_SKIPPED])}) were passed over.")
    affine, zyx, known = _placement(count, spacing, matrix, origin, notes)
    known = known and keys.get("medcnn_spacing_known", "1") != "0"
    if keys.get("medcnn_orientation_known", "1") == "0":
        affine = None
    affine = settled(affine, (grid[0], grid[1], grid[2]), notes)
    dtype = np.dtype((">" if big else "<") + _TYPES[kind])
    return Header(path, axes, shape, dtype, affine, zyx, known, tuple(notes), tuple(found), keys, start, listed)


def _keys(path: Path) -> tuple[dict[str, str], int, tuple[str, ...]]:
    """Return the keys, where the header ends, and the file names that follow "ElementDataFile = LIST"."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    keys: dict[str, str] = {}
    place = 0
    while (end := head.find(b"\n", place)) >= 0 or place < len(head):
        end = end if end >= 0 else len(head)
        line = head[place:end].decode("utf-8", "replace")
        place = end + 1
        key, equals, value = line.partition("=")
        if equals:
            keys[key.strip()] = value.strip()
        elif line.strip():
            keys[_SKIPPED] = keys.get(_SKIPPED, "") + "."
        if equals and key.strip() == "ElementDataFile":  # the last key by definition
            rest = head[place:] if value.split()[:1] == ["LIST"] else b""
            return keys, place, tuple(n.strip() for n in rest.decode("utf-8", "replace").splitlines() if n.strip())
    raise IncompleteFileError(f"{shown(path)}: the header is incomplete, it has no ElementDataFile")


def _floats(keys: dict[str, str], names: tuple[str, ...]) -> list[float] | None:
    text = next((keys[n] for n in names if n in keys), None)
    return None if text is None else [float(word) for word in text.split()]


def _placement(
    count: int, spacing: list[float] | None, matrix: list[float] | None, origin: list[float] | None, notes: list[str]
) -> tuple[Float | None, tuple[float, float, float], bool]:
    steps = (list(spacing[:3]) if spacing is not None and len(spacing) >= min(count, 3) else []) or [math.nan] * 3
    steps += [math.nan] * (3 - len(steps))
    known = all(math.isfinite(s) and s > 0 for s in steps)
    if count == 2 and all(math.isfinite(s) and s > 0 for s in steps[:2]):
        notes.append("A 2D image: its pixels have a size and no thickness, so volumes are not given.")
    elif not known:
        notes.append("The file does not state a usable voxel size; lengths and volumes in mm are not given.")
    steps = [s if math.isfinite(s) and s > 0 else 1.0 for s in steps]
    zyx = (steps[2], steps[1], steps[0])
    if count == 2 or matrix is None or len(matrix) != count * count:
        notes.append(
            "Left/right is not stated in this file, so it does not say where left is; no orientation is shown."
        )
        return None, zyx, known
    columns = np.array(matrix).reshape(count, count)[:3, :3].T
    affine = np.eye(4)
    affine[:3, :3] = columns * np.array(steps)
    if origin is not None and len(origin) == count and np.all(np.isfinite(origin)):
        affine[:3, 3] = origin[:3]
    else:
        notes.append("The file states no usable origin; 0 is used.")
    return affine, zyx, known


def inspect_metaimage(path: Path) -> tuple[Item, ...]:
    """Return the one item of a MetaImage file."""
    header = read_header(path)
    where = _where(header)
    files = tuple(dict.fromkeys((path, *(w.path for w in where))))
    return (item_of(header, report_of(header, *([] if header.is_text else where)), files=files),)


def read_metaimage(path: Path, consent: Consent = NONE, as_ids: bool = False) -> tuple[Volume, LabelSet | None]:
    """Return the image and, for a mask of ours, its classes (may be empty); None otherwise.

    Raises
    ------
    InputError
        Cut, contradictory, its data file lies elsewhere, or what `gridded.volume_of` names.
    GeometryError
        The grid is singular.
    """
    header = read_header(path)
    volume = volume_of(
        header, lambda notes: _voxels(header, consent, notes), consent, as_ids=as_ids, window=header.window
    )
    labels = None
    if header.is_mask:
        try:
            labels = LabelSet.from_json([json.loads(v) for k, v in header.keys.items() if k.startswith(LABEL_KEY)])
        except ValueError as error:
            raise InputError(f"{shown(path)}: its class names are damaged ({plain(error)})") from error
    return volume, labels


def _voxels(header: Header, consent: Consent, notes: list[str]) -> Array:
    where = _where(header)
    if header.is_text:
        return read_numbers(where[0].path, where[0].start, header.dtype, header.shape)
    return read_several(where, header.dtype, header.shape, consent, notes)


def _where(header: Header) -> tuple[Payload, ...]:
    """Return where the voxels lie: after the header, in one file beside it, or in several."""
    keys, path = header.keys, header.path
    name = keys["ElementDataFile"]
    words = name.split()
    files: tuple[Path, ...]
    if name.upper() == "LOCAL":
        files, start = (path,), header.data_start
    elif words[:1] == ["LIST"]:
        files, start = listed_files(path, list(header.listed)), 0
    else:
        names = counted_names(path, name) if "%" in name and len(words) > 2 else [name]
        files, start = listed_files(path, names), 0
    if header.is_text and len(files) > 1:
        raise UnsupportedError(f"{shown(path)}: numbers as text in several files are not read; save it as binary")
    try:
        skip = int(keys.get("HeaderSize", "0"))
    except ValueError as error:
        raise InputError(f"{shown(header.path)}: HeaderSize is not a number") from error
    if skip < -1 or (skip > 0 and start):
        raise InputError(f"{shown(header.path)}: expected a HeaderSize of -1 or more, got {skip}")
    if keys.get("CompressedData", "False").lower() in ("true", "1"):
        stated = keys.get("CompressedDataSize", "0")
        packed = int(stated) if stated.isdecimal() and len(files) == 1 else 0
        return tuple(Payload(file, "zlib", 0, start, file != path, packed) for file in files)
    return tuple(Payload(file, "raw", skip, start, file != path) for file in files)
