"""From stored bytes to voxels, with every claim of a header checked before memory is taken.

SimpleITK fills what is missing in a cut file with zeros and says nothing, so single-file formats are decoded here:
the size is compared first, compressed data is inflated straight into the array, and checksums are read to the end.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError
from napari_medcnn.io.found import shown
from napari_medcnn.io.inflate import Stream

Encoding = Literal["raw", "gzip", "zlib", "bzip2"]

#: Deflate cannot expand by more than this (RFC 1951: 258 bytes for 2 bits); a larger claim is a lie.
_DEFLATE_RATIO = 1032
#: A stream may hold this much more than its header says (padding); beyond it is refused.
_EXCESS = 16 << 20
#: What may follow even where nothing may.
_LINE_END = 2
#: Share of the free memory that one image may take, and that one may take unasked where a file expands.
_SHARE, _UNASKED = 0.8, 0.5
#: A first look inflates a file to its end only below these sizes (packed, inflated).
_LOOK_PACKED, _LOOK_INFLATED = 4 << 20, 128 << 20
#: The same where the format does not state the inflated size, so that every file would have to be inflated.
_LOOK_ALWAYS = 4 << 20

DAMAGED_NOTE = (
    "The file is damaged: its checksum is wrong, so voxels may be wrong anywhere. For looking only; do not measure, "
    "annotate or train on it."
)


@dataclass(frozen=True)
class Payload:
    """Where voxels lie: `offset` in the file for raw data, after inflating for the rest; `start` skips file bytes.

    `exact`: nothing may follow.  A data file of its own that is longer than its header says has a header of its own,
    and read from its first byte it would give shifted voxels.  `packed`: bytes of packed data that the
    header states, or 0.
    """

    path: Path
    encoding: Encoding = "raw"
    offset: int = 0
    start: int = 0
    exact: bool = False
    packed: int = 0


def free_memory() -> int | None:
    """Return bytes of memory that can be taken without swapping, None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    if sys.platform == "win32":  # pragma: no cover - run on Windows only
        import ctypes

        state = (ctypes.c_ulonglong * 8)(64)  # MEMORYSTATUSEX: two 32-bit fields, then seven 64-bit counts
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(state)):
            return int(state[2])
        return None
    try:
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None


def check_memory(path: Path, nbytes: int) -> None:
    """Raise `InputError` if an image of `nbytes` does not fit into the free memory."""
    free = free_memory()
    if free is not None and nbytes > _SHARE * free:
        raise InputError(
            f"{shown(path)}: its voxels need {size_words(nbytes)} and {size_words(free)} of memory are free; close "
            "other programs, or crop or downsample the image first"
        )


def check_expanded(path: Path, nbytes: int, consent: Consent = NONE, suspicious: bool = False) -> None:
    """As `check_memory`, for a file that expands: above half of the free memory, or if `suspicious`, only on consent.

    Raises
    ------
    ConsentNeededError
        Asks "large".
    InputError
        It does not fit even so.
    """
    check_memory(path, nbytes)
    free = free_memory()
    if not consent.large and (suspicious or (free is not None and nbytes > _UNASKED * free)):
        room = f"; {size_words(free)} of memory are free" if free is not None else ""
        raise ConsentNeededError(
            f"{shown(path)}: its {size_words(path.stat().st_size)} expand to {size_words(nbytes)}{room}; open it with "
            "'large' if you trust where it comes from",
            asks="large",
        )


def incomplete(path: Path, have: int, need: int) -> IncompleteFileError:
    """Return the error for a file that holds fewer bytes than its header says."""
    return IncompleteFileError(
        f"{shown(path)}: the file is incomplete ({have} of {need} bytes of image data); copy it again from its source"
    )


def check_claim(where: Payload, need: int) -> int:
    """Return where raw voxels begin in the file (0 for packed data), from sizes alone.

    Raises
    ------
    IncompleteFileError
        The file is shorter than `need` bytes of voxels, or cannot expand to as many.
    """
    size = where.path.stat().st_size
    if where.encoding == "raw":
        start = size - need if where.offset == -1 else where.start + where.offset
        if start < 0 or size - start < need:
            raise incomplete(where.path, max(0, size - max(start, 0)), need)
        _check_end(where, size - start, need)
        return start
    if where.packed > size - where.start:
        raise incomplete(where.path, max(0, size - where.start), where.packed)
    if where.encoding != "bzip2" and need > (size - where.start) * _DEFLATE_RATIO:
        raise IncompleteFileError(
            f"{shown(where.path)}: the header claims {size_words(need)} of image data, more than a file of {size} "
            "bytes can hold; the header is wrong or the file is cut"
        )
    return 0


def _check_end(where: Payload, have: int, need: int) -> None:
    if where.exact and where.offset >= 0 and have > need + _LINE_END:
        raise InputError(
            f"{shown(where.path)}: holds {have - need} bytes more than the {need} its header says, so where the voxels "
            "begin is not sure; if they are the last of the file, say so in the header (byte skip: -1, HeaderSize = -1)"
        )


def look(where: Payload, need: int) -> str:
    """Check the voxels without keeping them, as far as that is cheap; return what was left unchecked, or "".

    A gzip file states its inflated size in its last bytes, which a cut file does not; what that leaves open is
    inflated to its end if it is small.

    Raises
    ------
    IncompleteFileError, ConsentNeededError, InputError
        As `read_payload` would.
    """
    check_claim(where, need)
    if where.encoding == "raw":
        check_memory(where.path, need)
        return ""
    check_expanded(where.path, need)
    size, total = where.path.stat().st_size, where.offset + need
    if where.encoding == "gzip" and where.offset >= 0:
        with where.path.open("rb") as file:
            file.seek(max(size - 4, 0))
            if int.from_bytes(file.read(4), "little") == total & 0xFFFFFFFF:
                return ""
    small = _LOOK_INFLATED if where.encoding == "gzip" else _LOOK_ALWAYS
    if size - where.start > _LOOK_PACKED or total > small:
        if where.packed:
            return ""
        return "Whether the compressed data is complete was not checked yet; opening it does."
    _inflate(where, None, need, NONE, None)
    return ""


def read_payload(
    where: Payload, dtype: Any, shape: tuple[int, ...], consent: Consent = NONE, assumed: list[str] | None = None
) -> Array:
    """Return voxels of `dtype` (may be byte-swapped or structured) in C order, in native byte order.

    An offset of -1 means that the voxels are the last bytes of the data (NRRD's "byte skip: -1").  What was done on
    consent is appended to `assumed`.

    Raises
    ------
    IncompleteFileError
        The file is cut, claims more than it can hold, or its compressed data is broken inside.
    ConsentNeededError
        All voxels are there and the checksum is wrong ("damaged"), or it expands beyond what is opened unasked.
    InputError
        The image does not fit into memory, or the data is far longer than the header says.
    """
    stored = np.dtype(dtype)
    need = math.prod(shape) * stored.itemsize
    start = check_claim(where, need)
    if where.encoding == "raw":
        check_memory(where.path, need)
        array = np.empty(shape, stored)
        with where.path.open("rb") as file:
            file.seek(start)
            have = file.readinto(_raw(array))
        if have != need:
            raise incomplete(where.path, have, need)
    else:
        check_expanded(where.path, need, consent)
        array = np.empty(shape, stored)
        _inflate(where, _raw(array), need, consent, assumed)
    return array if stored.isnative else array.astype(stored.newbyteorder("="))


def _raw(array: Array) -> memoryview:
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


def rescaled(stored: Array, slope: float, intercept: float) -> Array:
    """Return stored x slope + intercept: whole numbers stay whole, in the narrowest of int16, int32, int64.

    Otherwise float32 for stored types of up to 16 bits and float64 above; the same array for slope 1, intercept 0.
    """
    if slope == 1.0 and intercept == 0.0:
        return stored
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer() and stored.size:
        ends = (int(stored.min()) * slope + intercept, int(stored.max()) * slope + intercept, slope, intercept)
        for name in ("int16", "int32", "int64"):
            limits = np.iinfo(name)
            if limits.min <= min(ends) and max(ends) <= limits.max and max(map(abs, ends)) < 2**53:
                out: Array = stored.astype(name)  # intermediate sums may wrap; the result is in range and right
                out *= int(slope)
                out += int(intercept)
                return out
    if stored.dtype.kind == "c":
        return np.asarray(stored * slope + intercept)
    kind = np.float32 if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2 else np.float64
    scaled: Array = stored.astype(kind)
    scaled *= slope
    scaled += intercept
    return scaled


def _inflate(where: Payload, target: memoryview | None, need: int, consent: Consent, assumed: list[str] | None) -> None:
    """Inflate into `target` (None: count only) to the end of the stream, so that the checksum is looked at."""
    stream = Stream(where.path, where.encoding, where.start)  # type: ignore[arg-type]
    tail = bytearray() if where.offset == -1 else None
    skip, filled, seen = max(where.offset, 0), 0, 0
    for block in stream.blocks():
        seen += len(block)
        if seen > max(where.offset, 0) + need + _EXCESS:
            raise InputError(
                f"{shown(where.path)}: holds far more data than the {need} bytes its header says; "
                "the header does not fit the file"
            )
        if tail is not None:
            tail += block
        elif skip >= len(block):
            skip -= len(block)
        else:
            take = min(len(block) - skip, need - filled)
            if target is not None:
                target[filled : filled + take] = memoryview(block)[skip : skip + take]
            filled, skip = filled + take, 0
    if tail is not None:
        filled = min(len(tail), need)
        if target is not None and filled == need:
            target[:] = memoryview(tail)[len(tail) - need :]
    if filled < need:
        raise incomplete(where.path, filled, need)
    _check_end(where, seen - max(where.offset, 0), need)
    if stream.wrong:
        if not consent.damaged:
            raise ConsentNeededError(
                f"{shown(where.path)}: the file is damaged: {stream.wrong}, so voxels may be wrong anywhere; copy it "
                "again from its source, or open it with 'damaged' to look at it all the same",
                asks="damaged",
            )
        if assumed is not None:
            assumed.append(DAMAGED_NOTE)


def size_words(nbytes: int) -> str:
    """Return a count of bytes as "1.2 GB" or "3.4 MB"."""
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e8 else f"{nbytes / 1e6:.1f} MB"
