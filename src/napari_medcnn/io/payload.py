"""From stored bytes to voxels, with every claim of a header checked before memory is taken.

SimpleITK fills what is missing in a cut file with zeros and says nothing, so single-file formats are decoded here:
the size is compared first, compressed data is inflated straight into the array, and checksums are read to the end.
"""

from __future__ import annotations

import bz2
import math
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.found import shown

Encoding = Literal["raw", "gzip", "zlib", "bzip2"]

_CHUNK = 1 << 20
#: Deflate cannot expand by more than this (RFC 1951: 258 bytes for 2 bits); a larger claim is a lie.
_DEFLATE_RATIO = 1032
#: A stream may hold this much more than its header says (padding); beyond it is refused.
_EXCESS = 16 << 20
#: Share of the free memory that one image may take.
_SHARE = 0.8


@dataclass(frozen=True)
class Payload:
    """Where voxels lie: `offset` in the file for raw data, after inflating for the rest; `start` skips file bytes."""

    path: Path
    encoding: Encoding = "raw"
    offset: int = 0
    start: int = 0


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
            f"{shown(path)}: its voxels need {_size(nbytes)} and {_size(free)} of memory are free; close other "
            "programs, or crop or downsample the image first"
        )


def incomplete(path: Path, have: int, need: int) -> IncompleteFileError:
    """Return the error for a file that holds fewer bytes than its header says."""
    return IncompleteFileError(
        f"{shown(path)}: the file is incomplete ({have} of {need} bytes of image data); copy it again from its source"
    )


def damaged(path: Path, detail: str) -> IncompleteFileError:
    """Return the error for compressed data whose checksum or structure is wrong."""
    return IncompleteFileError(
        f"{shown(path)}: the compressed data is damaged ({detail}); copy the file again from its source"
    )


def read_payload(where: Payload, dtype: Any, shape: tuple[int, ...]) -> Array:
    """Return voxels of `dtype` (may be byte-swapped or structured) in C order, in native byte order.

    An offset of -1 means that the voxels are the last bytes of the data (NRRD's "byte skip: -1").

    Raises
    ------
    IncompleteFileError
        The file is cut, claims more than it can hold, or its checksum is wrong.
    InputError
        The image does not fit into memory, or the data is far longer than the header says.
    """
    stored = np.dtype(dtype)
    need = math.prod(shape) * stored.itemsize
    size = where.path.stat().st_size
    if where.encoding == "raw":
        start = size - need if where.offset == -1 else where.start + where.offset
        if start < 0 or size - start < need:
            raise incomplete(where.path, max(0, size - max(start, 0)), need)
    elif where.encoding != "bzip2" and need > (size - where.start) * _DEFLATE_RATIO:
        raise IncompleteFileError(
            f"{shown(where.path)}: the header claims {_size(need)} of image data, more than a file of {size} bytes "
            "can hold; the header is wrong or the file is cut"
        )
    check_memory(where.path, need)
    if where.encoding == "raw":
        array = np.empty(shape, stored)
        with where.path.open("rb") as file:
            file.seek(start)
            have = file.readinto(_raw(array))
        if have != need:
            raise incomplete(where.path, have, need)
    else:
        array = np.empty(shape, stored)
        _inflate(where, _raw(array))
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


def _inflate(where: Payload, target: memoryview) -> None:
    """Inflate into `target`, skipping `offset` bytes, to the end of the stream so that the checksum is looked at."""
    need = len(target)
    if where.offset == -1:
        tail = _last_bytes(where, need)
        target[:] = tail
        return
    skip, filled, seen = where.offset, 0, 0
    with where.path.open("rb") as file:
        file.seek(where.start)
        for block in _blocks(where, file):
            seen += len(block)
            if seen > where.offset + need + _EXCESS:
                raise InputError(
                    f"{shown(where.path)}: holds far more data than the {need} bytes its header says; "
                    "the header does not fit the file"
                )
            if skip >= len(block):
                skip -= len(block)
                continue
            take = min(len(block) - skip, need - filled)
            target[filled : filled + take] = memoryview(block)[skip : skip + take]
            filled, skip = filled + take, 0
    if filled < need:
        raise incomplete(where.path, filled, need)


def _last_bytes(where: Payload, need: int) -> bytes:
    data = bytearray()
    with where.path.open("rb") as file:
        file.seek(where.start)
        for block in _blocks(where, file):
            data += block
            if len(data) > need + _EXCESS:
                raise InputError(f"{shown(where.path)}: holds far more data than the {need} bytes its header says")
    if len(data) < need:
        raise incomplete(where.path, len(data), need)
    return bytes(data[len(data) - need :])


def _blocks(where: Payload, file: BinaryIO) -> Iterator[bytes]:
    """Yield inflated blocks of bounded size; several members one after the other are one stream (RFC 1952, 2.2)."""
    bits = {"gzip": 31, "zlib": 15}.get(where.encoding, 0)
    members = 0
    pending = file.read(_CHUNK)
    while pending:
        if members and where.encoding != "zlib" and not pending.strip(b"\0"):
            return  # zero padding after the last member, as tape tools leave it
        if members and (where.encoding == "zlib" or pending[:2] not in (b"\x1f\x8b", b"BZ")):
            return  # something else after the data; the voxel count decides whether anything is missing
        inflater: Any = zlib.decompressobj(bits) if bits else bz2.BZ2Decompressor()
        try:
            while not inflater.eof:
                block = inflater.decompress(pending, _CHUNK)
                pending = inflater.unconsumed_tail if bits else b""
                if block:
                    yield block
                if inflater.eof or pending:
                    continue
                pending = file.read(_CHUNK)
                if not pending and not block:  # nothing came out and nothing is left to go in
                    raise damaged(where.path, "it ends too early: the file is incomplete")
        except (zlib.error, OSError, ValueError) as error:
            raise damaged(where.path, str(error)) from error
        members += 1
        pending = inflater.unused_data or file.read(_CHUNK)


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e8 else f"{nbytes / 1e6:.1f} MB"
