"""Whether two planes hold the same pixels; asked only of planes that lie at one place without a reason."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pydicom

from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.decode import read_planes
from napari_medcnn.io.dicom.facts import Plane
from napari_medcnn.io.dicom.header.elements import BROKEN


def same_pixels(one: Plane, other: Plane) -> bool:
    """Return True if both planes hold equal values; False where that cannot be told.

    Stored bytes of equal meaning are compared first; where one of two is compressed, or their transfer syntaxes differ,
    the decoded values are.
    """
    a, b = one.header.stored, other.header.stored
    if a is None or b is None or one.frame.tile != other.frame.tile:
        return False
    if (one.frame.slope, one.frame.intercept) != (other.frame.slope, other.frame.intercept):
        return False
    plain = a.offset is not None and b.offset is not None
    how = [
        (s.rows, s.columns, s.samples, s.bits_allocated, s.bits_stored, s.signed, s.photometric, s.syntax)
        for s in (a, b)
    ]
    if how[0] == how[1] and (plain or one.frame.index == other.frame.index):
        mine, theirs = _digest(one), _digest(other)
        if plain or (mine == theirs and mine):
            return mine == theirs and bool(mine)
    return how[0][:3] == how[1][:3] and (not plain or a.syntax != b.syntax) and _same_values(one, other)


def _same_values(one: Plane, other: Plane) -> bool:
    try:
        mine, theirs = (read_planes(p.header, [p.frame]) for p in (one, other))
    except InputError:
        return False
    return bool(np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"))


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
