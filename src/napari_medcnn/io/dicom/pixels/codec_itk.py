"""SimpleITK as a pure decoder of one compressed picture: the JPEG family and JPEG 2000.

Asked to read a whole DICOM file it inverts MONOCHROME1, expands palettes, converts colours and rescales.  Here it is
given a nameless file that holds nothing but the picture, said to be plain grey or RGB, in a private temporary file.
It decodes without the interpreter's lock, so that several threads gain.
"""

from __future__ import annotations

import os
import struct
import tempfile

import numpy as np
import SimpleITK as sitk

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # a class whose values ITK does not rescale
_NOBODY = "1.2.826.0.1.3680043.8.498.1"
_WIDE = ("OB", "OW", "SQ", "UN")


def decode_itk(data: bytes, syntax: str, shape: tuple[int, int, int], precision: int, signed: bool) -> Array:
    """Return (y, x) or (y, x, 3) samples as the codestream holds them: colours unconverted.

    Parameters
    ----------
    data
        One compressed picture.
    syntax
        Transfer Syntax UID.
    shape
        (rows, columns, samples).
    precision, signed
        Of the codestream, 2 to 16 bits: the array is uint8, uint16, int8 or int16.

    Raises
    ------
    InputError
        SimpleITK cannot decode it.
    """
    handle, name = tempfile.mkstemp(suffix=".dcm", prefix="medcnn-")  # readable by its owner only
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_nameless(data, syntax, shape, precision, signed))
        image = sitk.ReadImage(name, imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise InputError("SimpleITK cannot decode it") from error
    finally:
        os.unlink(name)
    array = np.asarray(sitk.GetArrayViewFromImage(image))
    want = shape[:2] if shape[2] == 1 else shape
    if array.size != int(np.prod(want)):
        raise InputError(f"{array.size} samples came out of it, where {int(np.prod(want))} were expected")
    dtype = np.dtype(("i" if signed else "u") + ("1" if precision <= 8 else "2"))
    return array.reshape(want).astype(dtype)  # a copy: the view dies with the image


def _nameless(data: bytes, syntax: str, shape: tuple[int, int, int], precision: int, signed: bool) -> bytes:
    """Return a DICOM file (explicit little endian, PS3.10) around one compressed picture; it names nobody."""
    rows, columns, samples = shape
    allocated = 8 if precision <= 8 else 16
    meta = (
        _element(2, 1, "OB", b"\0\1") + _element(2, 2, "UI", _SECONDARY_CAPTURE) + _element(2, 3, "UI", _NOBODY)
        + _element(2, 0x10, "UI", syntax)
    )  # fmt: skip
    body = [
        _element(8, 0x16, "UI", _SECONDARY_CAPTURE), _element(8, 0x18, "UI", _NOBODY),
        _element(0x28, 2, "US", samples), _element(0x28, 4, "CS", "RGB" if samples == 3 else "MONOCHROME2"),
        _element(0x28, 6, "US", 0) if samples == 3 else b"",
        _element(0x28, 0x10, "US", rows), _element(0x28, 0x11, "US", columns), _element(0x28, 0x100, "US", allocated),
        _element(0x28, 0x101, "US", precision), _element(0x28, 0x102, "US", precision - 1),
        _element(0x28, 0x103, "US", int(signed)),
        struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF),
        struct.pack("<HHI", 0xFFFE, 0xE000, 0), struct.pack("<HHI", 0xFFFE, 0xE000, len(data) + len(data) % 2),
        data, b"\0" * (len(data) % 2), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
    ]  # fmt: skip
    head = b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return b"".join([head, meta, *body])


def _element(group: int, number: int, vr: str, value: str | int | bytes) -> bytes:
    if isinstance(value, int):
        value = struct.pack("<H", value)
    elif isinstance(value, str):
        value = value.encode("ascii") + (b" " if vr == "CS" else b"\0") * (len(value) % 2)
    if vr in _WIDE:
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value
