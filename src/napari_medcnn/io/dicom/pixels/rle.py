"""RLE Lossless (DICOM PS3.5 Annex G): strict, so that a cut picture is an error and never zeros."""

from __future__ import annotations

import struct

import numpy as np

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

_HEADER = 64


def decode_rle(data: bytes, rows: int, columns: int, samples: int, bits: int) -> Array:
    """Return unsigned samples (y, x), or (y, x, sample) for several; packed bits come out as 0 and 1.

    Each segment holds one byte of every pixel of one sample, the most significant byte first (G.2).

    Parameters
    ----------
    bits
        Bits Allocated: 1, 8, 16, 32 or 64.

    Raises
    ------
    InputError
        The header does not fit the picture, or a segment holds too few bytes.
    """
    if len(data) < _HEADER:
        raise InputError(f"its RLE header has {len(data)} of {_HEADER} bytes")
    count, *offsets = struct.unpack("<16I", data[:_HEADER])
    width = max(1, bits // 8)
    if count != width * samples:
        raise InputError(f"{count} RLE segments, where {width * samples} were expected")
    size = (rows * columns + 7) // 8 if bits == 1 else rows * columns
    edges = [*offsets[:count], len(data)]
    out = np.empty((samples, size, width), np.uint8)
    for k in range(count):
        if not _HEADER <= edges[k] <= edges[k + 1] <= len(data):
            raise InputError("its RLE segments lie outside of the data")
        sample, place = divmod(k, width)
        segment = _unpacked(data[edges[k] : edges[k + 1]], size)
        out[sample, :, width - 1 - place] = np.frombuffer(segment, np.uint8)
    if bits == 1:
        flat = np.unpackbits(out[0, :, 0], bitorder="little")[: rows * columns]
        return flat.reshape(rows, columns)
    values = out.view(f"<u{width}")[..., 0].astype(f"=u{width}", copy=False).reshape(samples, rows, columns)
    return values[0] if samples == 1 else np.ascontiguousarray(np.moveaxis(values, 0, -1))


def _unpacked(segment: bytes, size: int) -> bytes:
    """Return `size` bytes of a PackBits segment (G.3.1)."""
    out = bytearray()
    place, end = 0, len(segment)
    while len(out) < size and place < end:
        head = segment[place]
        if head < 128:  # so many bytes as they stand
            out += segment[place + 1 : place + 2 + head]
            place += 2 + head
        elif head > 128:  # one byte repeated
            out += segment[place + 1 : place + 2] * (257 - head)
            place += 2
        else:
            place += 1
    if len(out) < size:
        raise InputError(f"an RLE segment holds {len(out)} of {size} bytes")
    return bytes(out[:size])
