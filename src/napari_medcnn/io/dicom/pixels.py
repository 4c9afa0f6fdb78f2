"""Pixels of one DICOM file as numbers: stored value x slope + intercept, exact.

pydicom decodes what is stored plainly or as RLE; it needs no copy through ITK and keeps MONOCHROME1 and big-endian
values right, where SimpleITK does not.  The other compressions are decoded by SimpleITK.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.uid import UID

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import UnsupportedError
from napari_medcnn.io.dicom.header import BROKEN, Slice, open_dataset
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.payload import check_memory, incomplete, rescaled

_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
_RLE = "1.2.840.10008.1.2.5"


def read_pixels(s: Slice) -> Array:
    """Return (y, x) values after the modality rescale, or (y, x, 3) colours.

    Raises
    ------
    IncompleteFileError
        The file holds fewer pixels than rows x columns.
    UnsupportedError
        The compression cannot be decoded; the message names it.
    """
    check_memory(s.path, s.rows * s.columns * s.samples * max(1, s.bits // 8))
    if s.syntax in _NATIVE or not s.syntax or s.syntax == _RLE:
        return _by_pydicom(s)
    return _by_simpleitk(s)


def _by_pydicom(s: Slice) -> Array:
    need = s.rows * s.columns * s.samples * s.bits // 8
    data = open_dataset(s.path, pixels=True)
    name = next((k for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if k in data), None)
    if name is None:
        raise incomplete(s.path, 0, need)
    if s.syntax != _RLE:
        have = len(data[name].value or b"")
        whole = need if s.photometric != "YBR_FULL_422" else need * 2 // 3
        if have < whole:
            raise incomplete(s.path, have, whole)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not getattr(data.file_meta, "TransferSyntaxUID", None):
                data.file_meta.TransferSyntaxUID = UID(_NATIVE[1] if not data.original_encoding[0] else _NATIVE[0])
            stored = np.asarray(data.pixel_array)
            if s.photometric == "PALETTE COLOR":
                return _eight_bits(np.asarray(apply_color_lut(stored, data)))
            if s.samples == 3:
                return stored  # pydicom turns YBR into RGB
            if s.extra.get("lut"):
                return np.asarray(apply_modality_lut(stored, data))
            if name == "PixelData":
                stored = _without_high_bits(stored, data)
    except BROKEN as error:
        raise UnsupportedError(f"{shown(s.path)}: its pixels cannot be decoded ({plain(error, 120)})") from error
    except RuntimeError as error:
        raise UnsupportedError(f"{shown(s.path)}: its pixels cannot be decoded ({plain(error, 120)})") from error
    return rescaled(stored, s.slope, s.intercept)


def _eight_bits(rgb: Array) -> Array:
    """Return palette colours of 16 bits as 8 (DICOM palettes scale to the full range, PS3.3 C.7.6.3.1.5)."""
    return (rgb >> 8).astype(np.uint8) if rgb.dtype == np.uint16 and rgb.max(initial=0) > 255 else rgb.astype(np.uint8)


def _without_high_bits(stored: Array, data: Any) -> Array:
    """Clear what old scanners left in the bits above those stored, keeping the sign (overlays, dirty memory)."""
    extra = int(data.BitsAllocated) - int(data.get("BitsStored", data.BitsAllocated))
    if extra <= 0 or int(data.get("HighBit", 0)) != int(data.BitsStored) - 1 or stored.dtype.kind not in "iu":
        return stored
    return (stored << extra) >> extra


def _by_simpleitk(s: Slice) -> Array:
    try:
        syntax = UID(s.syntax).name
    except BROKEN:
        syntax = s.syntax
    if s.photometric == "MONOCHROME1" or s.extra.get("lut"):
        raise UnsupportedError(
            f"{shown(s.path)}: compressed ({plain(syntax)}) with inverted or tabled values; decompress it first"
        )
    try:
        image = sitk.ReadImage(str(s.path), imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise UnsupportedError(
            f"{shown(s.path)}: its compression ({plain(syntax)}) cannot be decoded here; decompress it first"
        ) from error
    array = np.array(sitk.GetArrayFromImage(image))
    array = array[0] if array.shape[0] == 1 and array.ndim >= 3 else array
    if array.shape[:2] != (s.rows, s.columns):
        raise incomplete(s.path, array.size, s.rows * s.columns * s.samples)
    if array.dtype.kind == "f" and s.slope.is_integer() and s.intercept.is_integer():
        whole = np.rint(array)
        if np.array_equal(whole, array):
            array = rescaled(whole.astype(np.int64), 1.0, 0.0).astype(np.int32)
    return array
