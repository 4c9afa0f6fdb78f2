"""Pixels of one DICOM file as numbers: stored value x slope + intercept, exact; colours as RGB.

MONOCHROME1 is not inverted: that small values are shown bright is a matter of display.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from pydicom.pixels import apply_modality_lut

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Frame, Header
from napari_medcnn.io.dicom.header.elements import BROKEN
from napari_medcnn.io.dicom.pixels.colour import YBR, rgb_from_palette, rgb_from_ybr
from napari_medcnn.io.dicom.pixels.pixelfile import PixelFile, opened
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.payload import check_memory, rescaled


def read_planes(header: Header, frames: Sequence[Frame]) -> Array:
    """Return the planes of some frames of one file.

    Parameters
    ----------
    header
        Of the file, from `headers.read_header`.
    frames
        Of that file, each with its own rescale; a frame with a tile is cut out of its sheet.

    Returns
    -------
    Array
        (n, y, x), or (n, y, x, 3) RGB in uint8 or uint16; (0, rows, columns) for no frames.  Stored integers stay
        integers while slope and intercept are whole, in the narrowest of int16, int32, int64 that holds them (as
        stored where slope is 1 and intercept 0); else float32, or float64 for stored types above 16 bits.

    Raises
    ------
    IncompleteFileError
        The file is cut or damaged.
    UnsupportedError
        The message names the transfer syntax and the missing package.
    InputError
        The frames differ in size, or do not fit into memory.
    """
    with opened(header) as file:
        stored = file.stored
        if not frames:
            return np.empty((0, stored.rows, stored.columns), np.uint16)
        width = max(1, stored.bits_allocated // 8) * (3 if stored.photometric == "PALETTE COLOR" else stored.samples)
        check_memory(header.path, len(frames) * math.prod(_size(header, frames[0])) * width)
        planes = [plane(file, frame) for frame in frames]
    if len({p.shape for p in planes}) > 1:
        raise InputError(f"{shown(header.path)}: the frames asked for differ in size")
    return planes[0][np.newaxis] if len(planes) == 1 else np.stack(planes)


def plane(file: PixelFile, frame: Frame) -> Array:
    """Return (y, x) values or (y, x, 3) colours of one frame; see `read_planes`; may be read-only."""
    stored = file.stored
    samples, said = file.samples(frame.index)
    if frame.tile is not None:
        samples = _tile(file, samples, frame.tile)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if stored.photometric == "PALETTE COLOR":
                return rgb_from_palette(samples, file.dataset)
            if stored.samples == 3:
                if said == "YBR" or (stored.photometric in YBR and said != "RGB"):
                    return rgb_from_ybr(samples)
                return samples
            if stored.lut:
                return np.asarray(apply_modality_lut(samples, file.dataset))
    except BROKEN as error:
        raise InputError(
            f"{shown(file.path)}: its table of values or colours is broken ({plain(error, 100)})"
        ) from error
    return rescaled(samples, float(frame.slope), float(frame.intercept))


def _size(header: Header, frame: Frame) -> tuple[int, int]:
    if frame.tile is not None:
        return frame.tile[2], frame.tile[3]
    return (header.stored.rows, header.stored.columns) if header.stored is not None else (0, 0)


def _tile(file: PixelFile, sheet: Array, tile: tuple[int, int, int, int]) -> Array:
    row, column, rows, columns = tile
    if min(row, column) < 0 or row + rows > sheet.shape[0] or column + columns > sheet.shape[1]:
        raise InputError(f"{shown(file.path)}: a slice of its mosaic lies outside of the sheet; the header is damaged")
    return sheet[row : row + rows, column : column + columns]


def plane_into(file: PixelFile, frame: Frame, target: Array) -> bool:
    """Read a plainly stored plane straight into `target` (y, x) and rescale it there; False if that is not possible.

    Possible for whole grey frames of the target's width whose rescaled values fit its type.  The result equals `plane`;
    after False the target holds anything.

    Raises
    ------
    IncompleteFileError
        The file is cut.
    """
    stored = file.stored
    if target.shape != (stored.rows, stored.columns) or target.dtype.kind not in "iu":
        return False
    if stored.lut or frame.tile is not None or stored.samples != 1 or stored.photometric == "PALETTE COLOR":
        return False
    slope, intercept = float(frame.slope), float(frame.intercept)
    if not (slope.is_integer() and intercept.is_integer()) or 8 * target.itemsize != stored.bits_allocated:
        return False
    kind, same = "i" if stored.signed else "u", (slope, intercept) == (1.0, 0.0)
    if target.dtype.kind != (kind if same else "i"):
        return False
    largest = np.iinfo(target.dtype).max
    if max(abs(slope), abs(intercept)) > largest or not file.read_into(frame.index, target):
        return False
    if same:
        return True
    top = 2 ** (stored.bits_stored - int(stored.signed))
    ends = (-top if stored.signed else 0, top - 1)
    if not _in_range(ends, slope, intercept, largest):  # not by the number of bits alone: look at the values
        raw = target.view(f"{kind}{target.itemsize}")
        if not _in_range((int(raw.min()), int(raw.max())), slope, intercept, largest):
            return False
    if slope != 1.0:
        target *= target.dtype.type(int(slope))  # sums may wrap on the way; the result is in range and right
    if intercept != 0.0:
        target += target.dtype.type(int(intercept))
    return True


def _in_range(ends: tuple[int, int], slope: float, intercept: float, largest: int) -> bool:
    return all(-largest - 1 <= int(slope) * v + int(intercept) <= largest for v in ends)
