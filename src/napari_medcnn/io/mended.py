"""What is left of a cut PNG or JPEG, as a picture whose missing part is named; only on the reader's consent."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin

from napari_medcnn.core.geometry import Array
from napari_medcnn.io.found import plain

_PNG = b"\x89PNG\r\n\x1a\n"
#: Samples per pixel for each PNG colour type (PNG specification, 11.2.2).
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png_is_whole(path: Path) -> bool:
    """Return True if the chunks run to IEND (PNG specification, 5.3)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        place = 8
        while place + 12 <= size:
            file.seek(place)
            length, name = struct.unpack(">I4s", file.read(8))
            place += 12 + length
            if name == b"IEND":
                return bool(place <= size)
    return False


def jpeg_is_whole(path: Path) -> bool:
    """Return True if an end-of-image marker stands in the file's last 64 KB (some cameras append data)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65536))
        return b"\xff\xd9" in file.read()


def mended(path: Path, kind: str) -> tuple[Image.Image, str] | None:
    """Return the picture that can still be decoded and what is missing in words, None if nothing can.

    The size in the header must have been checked before.
    """
    try:
        if kind == "jpeg":
            return _jpeg(path)
        return _png(path) if kind == "png" else None
    except (OSError, ValueError, SyntaxError, struct.error, EOFError, zlib.error):
        return None


def _jpeg(path: Path) -> tuple[Image.Image, str]:
    """Close the stream with an end-of-image marker: libjpeg fills what is missing with plain grey."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(path.read_bytes() + b"\xff\xd9"))
    progressive = bool(image.info.get("progressive"))
    image.load()
    if progressive:
        return image, "fine detail is missing in all of it"
    rows = _same_rows(np.asarray(image))
    return image, f"about the lower {rows} of its {image.height} rows are missing (shown plain)"


def _same_rows(array: Array) -> int:
    """Return how many rows at the lower end are of one and the same colour."""
    plain_rows = np.all(array == array[-1:, -1:], axis=tuple(range(1, array.ndim)))
    return int(len(plain_rows) if plain_rows.all() else np.argmin(plain_rows[::-1]))


def _png(path: Path) -> tuple[Image.Image, str] | None:
    """Inflate what is there, fill up with empty rows, and pack it as a new PNG in memory."""
    data = path.read_bytes()
    place, packed, before = 8, bytearray(), bytearray()
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if interlaced or colour not in _SAMPLES:
        return None
    while place + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        if name == b"IDAT":
            packed += data[place + 8 : place + 8 + length]
        elif name in (b"IHDR", b"PLTE", b"tRNS") and place + 12 + length <= len(data):
            before += _chunk(name, data[place + 8 : place + 8 + length])
        place += 12 + length
    row = (width * depth * _SAMPLES[colour] + 7) // 8 + 1
    rows = bytearray()
    inflater = zlib.decompressobj()
    for start in range(0, len(packed), 4096):  # small steps: a step that fails gives nothing
        try:
            rows += inflater.decompress(bytes(packed[start : start + 4096]), row * height - len(rows) or 1)
        except zlib.error:
            break
    have = min(len(rows) // row, height)
    if not have:
        return None
    body = bytes(rows[: have * row]) + bytes((height - have) * row)
    whole = _PNG + before + _chunk(b"IDAT", zlib.compress(body, 1)) + _chunk(b"IEND", b"")
    image = PngImagePlugin.PngImageFile(io.BytesIO(whole))
    image.load()
    return image, f"the lower {height - have} of its {height} rows are missing (shown as zeros)"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def missing_note(what: str) -> str:
    """Return the sentence that marks a picture of which a part is missing."""
    return f"The file is damaged: {plain(what, 200)}. For looking only; do not measure, annotate or train on it."
