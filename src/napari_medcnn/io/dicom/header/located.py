"""Where the pixels of a file lie, and whether as many are there as its header claims: nothing is decoded."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from napari_medcnn.errors import IncompleteFileError
from napari_medcnn.io.dicom.facts import Stored
from napari_medcnn.io.found import shown
from napari_medcnn.io.payload import incomplete

_PLAIN = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG_VR = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN")
_ELEMENTS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xE000FFFE  # FFFE,E000 as one little-endian number
_DEFLATE_RATIO = 1032


def located(path: Path, file: BinaryIO, stored: Stored, size: int) -> Stored:
    """Return `stored` with the place of the pixels; refuse a file that ends before them or inside them."""
    if stored.syntax == _DEFLATED:  # inflated by pydicom: the decoder checks the length
        _check_deflated(path, stored, size)
        return replace(stored, element="PixelData")
    if not _standing_at_pixels(file):
        raise IncompleteFileError(
            f"{shown(path)}: its header claims {stored.rows} x {stored.columns} pixels and the file holds none; "
            "it may be cut. Copy it again from where it came"
        )
    start = file.tell()
    head = file.read(12)
    order = ">" if head[:2] == b"\x7f\xe0" else "<"
    group, element = struct.unpack(order + "HH", head[:4])
    name = _ELEMENTS[(group << 16) | element]
    if head[4:6] in _LONG_VR:  # as an implicit length these letters would be odd, which no length is
        length, offset = struct.unpack(order + "I", head[8:12])[0], start + 12
    else:
        length, offset = struct.unpack(order + "I", head[4:8])[0], start + 8
    if length == _UNDEFINED:
        _check_fragments(path, file, offset, stored.frames)
        return replace(stored, element=name, wrapped_at=offset)
    need = plain_length(stored)
    have = min(length, size - offset)
    if stored.syntax in _PLAIN:
        if have < need:
            raise incomplete(path, have, need)
        return replace(stored, element=name, offset=offset, length=have)
    if size - offset < length or not length:
        raise incomplete(path, size - offset, length)
    return replace(stored, element=name)


def _standing_at_pixels(file: BinaryIO) -> bool:
    """Return True if the file stands at the tag of a pixel element."""
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    if len(head) < 4:
        return False
    return any(
        ((group << 16) | element) in _ELEMENTS
        for group, element in (struct.unpack("<HH", head), struct.unpack(">HH", head))
    )


def plain_length(stored: Stored) -> int:
    """Return the bytes that uncompressed pixels take (PS3.5 8.1.1; YBR_FULL_422 shares colours, PS3.3 C.7.6.3.1.2)."""
    samples: float = stored.samples
    if stored.samples == 3 and stored.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        samples = 2
    elif stored.samples == 3 and stored.photometric == "YBR_PARTIAL_420":
        samples = 1.5
    bits = stored.rows * stored.columns * stored.frames * samples * stored.bits_allocated
    return -int(-bits // 8)


def _check_fragments(path: Path, file: BinaryIO, offset: int, frames: int) -> None:
    """Raise `IncompleteFileError` if an encapsulated stream ends inside a fragment or has too few (PS3.5 A.4)."""
    size = os.fstat(file.fileno()).st_size
    at, fragments = offset, -1  # the first item is the offset table
    while at + 8 <= size:
        file.seek(at)
        tag, length = struct.unpack("<II", file.read(8))
        if tag != _ITEM:
            break
        at += 8 + length
        if at > size or length == _UNDEFINED:
            raise incomplete(path, size - offset, min(at, 1 << 62) - offset)
        fragments += 1
    if fragments < frames:
        raise IncompleteFileError(
            f"{shown(path)}: the file is incomplete ({max(0, fragments)} of {frames} compressed pictures); copy it "
            "again from its source"
        )


def _check_deflated(path: Path, stored: Stored, size: int) -> None:
    """Raise `IncompleteFileError` if a deflated file cannot hold what its header claims (1032 to 1 at most)."""
    if plain_length(stored) > size * _DEFLATE_RATIO:
        raise incomplete(path, size, plain_length(stored) // _DEFLATE_RATIO)
