"""Frames that are stored plainly (DICOM PS3.5 8.1): packed bits, integers and floats of any byte order."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core.geometry import Array
from napari_medcnn.io.dicom.facts import Stored
from napari_medcnn.io.dicom.pixels.colour import expanded_422


def frame_length(stored: Stored) -> int:
    """Return the bytes of one frame that is stored plainly; packed bits may share their last byte with the next."""
    pixels = stored.rows * stored.columns
    if stored.bits_allocated == 1:
        return (pixels * stored.samples + 7) // 8
    if stored.photometric == "YBR_FULL_422":
        return pixels * 2 * stored.bits_allocated // 8
    return pixels * stored.samples * stored.bits_allocated // 8


def native_samples(data: bytes, stored: Stored, bit: int = 0, swapped: bool = False) -> Array:
    """Return (y, x) or (y, x, sample) samples of a frame that is stored plainly, in the machine's byte order.

    Parameters
    ----------
    bit
        Where a frame of packed bits begins in the first byte.
    swapped
        True for big endian.
    """
    size = (stored.rows, stored.columns)
    if stored.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[bit : bit + size[0] * size[1]].reshape(size)
    kind = {"FloatPixelData": "f", "DoubleFloatPixelData": "f"}.get(stored.element, "u")
    flat: Array = np.frombuffer(data, f"{'>' if swapped else '<'}{kind}{stored.bits_allocated // 8}")
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if stored.samples == 1:
        frame: Array = flat.reshape(size)
    elif stored.photometric == "YBR_FULL_422":
        frame = expanded_422(flat, *size)
    elif stored.planar == 1:
        frame = np.moveaxis(flat.reshape(stored.samples, *size), 0, -1)
    else:
        frame = flat.reshape(*size, stored.samples)
    return frame if kind == "f" else as_declared(frame, stored, shifts(stored)[0])


def shifts(stored: Stored) -> tuple[int, int]:
    """Return by how many bits plainly stored samples are shifted up, then down with their sign, to stand alone.

    Values end at the high bit (PS3.5 8.1.1): today always at that of the stored bits, in old files anywhere above.
    """
    down = max(0, stored.bits_allocated - stored.bits_stored)
    above = stored.bits_allocated - 1 - stored.high_bit
    return (above if 0 <= above < down else down), down


def as_declared(raw: Array, stored: Stored, up: int | None = None) -> Array:
    """Return unsigned samples with the header's sign and without what stands in bits that are not stored.

    Old scanners left overlays or noise above the stored bits (PS3.5 8.1.1); shifts clear them and extend the sign.
    `up` is the first of them, by default as many bits as are not stored.
    """
    values = raw.view(f"i{raw.dtype.itemsize}") if stored.signed else raw
    extra = 8 * raw.dtype.itemsize - stored.bits_stored
    if extra <= 0 or stored.bits_allocated == 1 or stored.bits_stored <= 0:
        return values
    return (values << (extra if up is None else up)) >> extra
