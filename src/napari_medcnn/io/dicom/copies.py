"""Whether two planes hold the same stored pixels; asked only of planes that lie at one place without a reason."""

from __future__ import annotations

import hashlib
import warnings

import pydicom

from napari_medcnn.io.dicom.elements import BROKEN
from napari_medcnn.io.dicom.facts import Plane


def same_pixels(one: Plane, other: Plane) -> bool:
    """Return True if both planes hold equal stored bytes of equal meaning; False where that cannot be told."""
    a, b = one.header, other.header
    if one.frame.index != other.frame.index and (a.stored is None or a.stored.offset is None):
        return False
    if (one.frame.slope, one.frame.intercept) != (other.frame.slope, other.frame.intercept):
        return False
    if a.stored is None or b.stored is None:
        return False
    how = [
        (s.rows, s.columns, s.samples, s.bits_allocated, s.bits_stored, s.signed, s.photometric, s.syntax)
        for s in (a.stored, b.stored)
    ]
    if how[0] != how[1] or one.frame.tile != other.frame.tile:
        return False
    mine, theirs = _digest(one), _digest(other)
    return mine == theirs and bool(mine)


def _digest(plane: Plane) -> bytes:
    """Return a hash of the stored bytes of a frame (of the whole file where it is compressed), b"" if unreadable."""
    stored, path = plane.header.stored, plane.header.path
    try:
        if stored is not None and stored.offset is not None and stored.length is not None:
            length = stored.length // stored.frames
            with open(path, "rb") as file:
                file.seek(stored.offset + plane.frame.index * length)
                return hashlib.sha256(file.read(length)).digest()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, force=True)
            return hashlib.sha256(data[stored.element if stored else "PixelData"].value).digest()
    except BROKEN:
        return b""
