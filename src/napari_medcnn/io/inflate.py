"""Compressed data as a stream of blocks of bounded size, with its checksums looked at by us.

zlib's own check throws the last block away together with the error; here a wrong checksum is a verdict, so that the
reader may be asked whether to look at the picture all the same.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from napari_medcnn.errors import IncompleteFileError
from napari_medcnn.io.found import shown

Packing = Literal["gzip", "zlib", "bzip2"]

_CHUNK = 1 << 20
#: Longest gzip header (it may hold a name and a comment) that is believed.
_MAX_HEAD = 1 << 16


def damaged(path: Path, detail: str) -> IncompleteFileError:
    """Return the error for compressed data whose structure is wrong."""
    return IncompleteFileError(
        f"{shown(path)}: the compressed data is damaged ({detail}); copy the file again from its source"
    )


@dataclass
class Stream:
    """Inflated data of a file from `start` on.

    Several members one after the other are one stream (RFC 1952, 2.2).  `wrong` is empty, or says after the last
    block which checksum did not match.

    Raises
    ------
    IncompleteFileError
        While iterating: the data ends too early or cannot be inflated.
    """

    path: Path
    packing: Packing
    start: int = 0
    wrong: str = field(default="", init=False)

    def blocks(self) -> Iterator[bytes]:
        """Yield the data in blocks of at most a megabyte."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            pending = file.read(_CHUNK)
            members = 0
            while pending:
                if members and self.packing != "zlib" and not pending.strip(b"\0"):
                    return  # zero padding after the last member, as tape tools leave it
                if members and (self.packing == "zlib" or pending[:2] not in (b"\x1f\x8b", b"BZ")):
                    return  # something else after the data; the voxel count decides whether anything is missing
                pending = yield from self._member(file, pending)
                members += 1
                pending = pending or file.read(_CHUNK)

    def _member(self, file: BinaryIO, pending: bytes) -> Any:
        """Yield the blocks of one member; returns what was read beyond its end."""
        deflate = self.packing != "bzip2"
        if deflate:
            pending = pending[member_head(self.path, self.packing, pending) :]
        inflater: Any = zlib.decompressobj(-15) if deflate else bz2.BZ2Decompressor()
        adler = self.packing == "zlib"
        check = zlib.adler32 if adler else zlib.crc32
        value, size = check(b""), 0
        try:
            while not inflater.eof:
                block = inflater.decompress(pending, _CHUNK)
                pending = inflater.unconsumed_tail if deflate else b""
                if block:
                    if deflate:
                        value, size = check(block, value), size + len(block)
                    yield block
                if inflater.eof or pending:
                    continue
                pending = file.read(_CHUNK)
                if not pending and not block:  # nothing came out and nothing is left to go in
                    raise damaged(self.path, "it ends too early: the file is incomplete")
        except (zlib.error, OSError, ValueError) as error:
            raise damaged(self.path, str(error)) from error
        rest: bytes = inflater.unused_data
        if not deflate:
            return rest
        length = 4 if adler else 8
        if len(rest) < length:
            rest += file.read(_CHUNK)
        if len(rest) < length:
            raise damaged(self.path, "it ends before its checksum: the file is incomplete")
        if adler:
            right = int.from_bytes(rest[:4], "big") == value
        else:
            right = int.from_bytes(rest[:4], "little") == value
            right = right and int.from_bytes(rest[4:8], "little") == size & 0xFFFFFFFF
        if not right:
            self.wrong = "its checksum does not match its content"
        return rest[length:]


def member_head(path: Path, packing: Packing, data: bytes) -> int:
    """Return the length of a member's header (RFC 1952, 2.3; RFC 1950, 2.2).

    Raises
    ------
    IncompleteFileError
        It is cut, or none.
    """
    if packing == "zlib":
        if len(data) < 2 or data[0] & 15 != 8 or (data[0] * 256 + data[1]) % 31 or data[1] & 32:
            raise damaged(path, "incorrect header")
        return 2
    if len(data) < 10 or data[:3] != b"\x1f\x8b\x08" or data[3] & 0xE0:
        raise damaged(path, "incorrect header")
    flags, place = data[3], 10
    if flags & 4:
        place += 2 + int.from_bytes(data[place : place + 2], "little")
    for bit in (8, 16):  # name, comment: each ends with a zero byte
        if flags & bit:
            end = data.find(b"\0", place, place + _MAX_HEAD)
            if end < 0:
                raise damaged(path, "incorrect header")
            place = end + 1
    place += 2 if flags & 2 else 0
    if place >= len(data):
        raise damaged(path, "it ends too early: the file is incomplete")
    return place


def first_bytes(path: Path, count: int) -> bytes:
    """Return up to `count` of the first bytes that a gzip file holds; fewer where it is cut or broken later on.

    Raises
    ------
    IncompleteFileError
        It is broken at its very beginning.
    """
    out = bytearray()
    with path.open("rb") as file:
        pending = file.read(max(4096, min(2 * count, _CHUNK)))
        inflater = zlib.decompressobj(-15)
        pending = pending[member_head(path, "gzip", pending) :]
        while len(out) < count and pending and not inflater.eof:
            try:
                out += inflater.decompress(pending, count - len(out))
            except zlib.error as error:
                if not out:
                    raise damaged(path, str(error)) from error
                break
            pending = inflater.unconsumed_tail or file.read(_CHUNK)
    return bytes(out)
