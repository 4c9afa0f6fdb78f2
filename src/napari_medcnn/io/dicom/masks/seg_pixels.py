"""The stored frames of a segmentation, one at a time: bits unpacked, values as stored, never scaled."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.dicom.facts import Header, Stored
from napari_medcnn.io.dicom.header.elements import BROKEN
from napari_medcnn.io.dicom.headers import open_dataset
from napari_medcnn.io.dicom.pixels.rle import decode_rle
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.payload import incomplete

_PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")
_RLE = "1.2.840.10008.1.2.5"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
#: Each frame deflated on its own (RFC 1951 without a wrapper; PS3.5 A.4.13); pydicom knows no decoder for it.
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"


class Frames(Protocol):
    """Reads one frame: (y, x) unsigned integers as stored; packed bits come out as 0 and 1."""

    def read(self, index: int) -> Array:
        """Return frame `index`, from 0."""
        ...


@contextmanager
def opened(header: Header) -> Iterator[Frames]:
    """Give a reader of the frames of a file; what is not compressed is read from disk one frame at a time.

    Raises
    ------
    IncompleteFileError
        The file holds less than its header claims.
    UnsupportedError
        The pixels are stored in a way that nothing installed reads; the message names it and the package.
    InputError
        The pixels are damaged, or are no grey or binary frames.
    """
    stored = check_readable(header)
    if stored.offset is not None and stored.length is not None and stored.syntax != _BIG_ENDIAN:
        with header.path.open("rb") as file:
            yield _Plain(header.path, file, stored)
    else:
        yield _Decoded(header.path, stored)


def check_readable(header: Header) -> Stored:
    """Return how the frames are stored if something installed reads them; looks at no pixel.  Errors as `opened`."""
    stored = header.stored
    if stored is None or not stored.element:
        raise InputError(f"{shown(header.path)}: this segmentation holds no pixels; it may be cut")
    if stored.samples != 1 or stored.element != "PixelData" or stored.bits_allocated not in (1, 8, 16):
        raise UnsupportedError(
            f"{shown(header.path)}: expected a segmentation of one sample of 1, 8 or 16 bits a pixel, got "
            f"{stored.samples} of {stored.bits_allocated} bits ({stored.element})"
        )
    if stored.syntax not in (*_PLAIN, _RLE, _DEFLATED_FRAMES):
        _decoder(header.path, stored.syntax)
    return stored


def _decoder(path: Path, syntax: str) -> Any:
    """Return pydicom's decoder of a transfer syntax."""
    named = _named(syntax)
    try:
        decoder = get_decoder(syntax)
    except (NotImplementedError, ValueError) as error:
        raise UnsupportedError(
            f"{shown(path)}: its pixels are stored as {named}, which no package we know of reads"
        ) from error
    if not decoder.is_available:
        wanted = "; ".join(plain(w, 120) for w in decoder.missing_dependencies)
        raise UnsupportedError(f"{shown(path)}: its pixels are stored as {named}; a decoder is missing ({wanted})")
    return decoder


def _named(syntax: str) -> str:
    return plain(UID(syntax).name, 80) or "an unstated transfer syntax"


class _Plain:
    """Little-endian frames that lie in the file as they are; packed bits run on from frame to frame (PS3.5 8.1.1)."""

    def __init__(self, path: Path, file: BinaryIO, stored: Stored) -> None:
        self._path, self._file, self._stored = path, file, stored
        bits = stored.rows * stored.columns * stored.bits_allocated * stored.frames
        if (bits + 7) // 8 > (stored.length or 0):
            raise incomplete(path, stored.length or 0, (bits + 7) // 8)

    def read(self, index: int) -> Array:
        s = self._stored
        count = s.rows * s.columns
        first = index * count * s.bits_allocated
        start, stop = first // 8, (first + count * s.bits_allocated + 7) // 8
        self._file.seek((s.offset or 0) + start)
        data = self._file.read(stop - start)
        if len(data) < stop - start:
            raise incomplete(self._path, len(data), stop - start)
        if s.bits_allocated == 1:
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return bits[first % 8 : first % 8 + count].reshape(s.rows, s.columns)
        return np.frombuffer(data, f"<u{s.bits_allocated // 8}").reshape(s.rows, s.columns)


class _Decoded:
    """Frames that are compressed or big endian: the compressed bytes are held, one frame is expanded at a time."""

    def __init__(self, path: Path, stored: Stored) -> None:
        self._path, self._stored = path, stored
        self._data: Any = open_dataset(path, pixels=True)
        self._pieces: list[bytes] = []
        self._decoder: Any = None
        if stored.syntax not in (_RLE, _DEFLATED_FRAMES):
            self._decoder = _decoder(path, stored.syntax)
            return
        try:
            self._pieces = list(generate_frames(self._data.PixelData, number_of_frames=stored.frames))
        except BROKEN as error:
            raise self._damaged(error) from error

    def read(self, index: int) -> Array:
        s = self._stored
        try:
            if s.syntax == _RLE:
                plane = decode_rle(self._piece(index), s.rows, s.columns, 1, s.bits_allocated)
            elif s.syntax == _DEFLATED_FRAMES:
                plane = self._inflated(index)
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    plane = next(self._decoder.iter_array(self._data, indices=[index], raw=True))[0]
        except InputError as error:
            if isinstance(error, IncompleteFileError):
                raise
            raise self._damaged(error) from error
        except (*BROKEN, RuntimeError, StopIteration) as error:
            raise self._damaged(error) from error
        if plane.shape != (s.rows, s.columns) or plane.dtype.kind not in "bu":
            raise self._damaged(f"a frame of {plane.shape} {plane.dtype} where {(s.rows, s.columns)} was stated")
        return np.asarray(plane)

    def _piece(self, index: int) -> bytes:
        if index >= len(self._pieces):
            raise incomplete(self._path, len(self._pieces), self._stored.frames)
        return self._pieces[index]

    def _inflated(self, index: int) -> Array:
        s = self._stored
        need = (s.rows * s.columns * s.bits_allocated + 7) // 8
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(self._piece(index), need)
        if len(data) < need:
            raise incomplete(self._path, len(data), need)
        if s.bits_allocated == 1:
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return bits[: s.rows * s.columns].reshape(s.rows, s.columns)
        return np.frombuffer(data, f"<u{s.bits_allocated // 8}").reshape(s.rows, s.columns)

    def _damaged(self, why: object) -> InputError:
        return InputError(
            f"{shown(self._path)}: its pixels ({_named(self._stored.syntax)}) cannot be decoded ({plain(why, 120)}); "
            "copy the file again from its source"
        )
