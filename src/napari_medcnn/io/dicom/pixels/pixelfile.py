"""One open DICOM file and its frames as stored samples: where they lie, whether all of them are there."""

from __future__ import annotations

import io
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.dicom.facts import Header, Stored
from napari_medcnn.io.dicom.header.elements import BROKEN
from napari_medcnn.io.dicom.pixels.codecs import BIG, DEFLATED, NATIVE, check_syntax, decode_frame
from napari_medcnn.io.dicom.pixels.encapsulated import Span, frame_bytes, frame_spans
from napari_medcnn.io.dicom.pixels.native import frame_length, native_samples, shifts
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.payload import incomplete

_LONG_VR = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN")
_PIXELS = (b"\xe0\x7f\x10\x00", b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")
_UNDEFINED = 0xFFFFFFFF
_LITTLE = sys.byteorder == "little"
_GREY_OR_COLOUR = {
    1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    3: ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
}


class PixelFile:
    """Frames of one file, read when asked for; used by one thread at a time.  Opened by `opened`.

    Parameters
    ----------
    header
        Of the file; its `stored` is trusted as `headers.read_header` filled it.
    file
        Open for reading; `opened` closes it.
    """

    def __init__(self, header: Header, file: BinaryIO) -> None:
        if header.stored is None:
            raise InputError(f"{shown(header.path)}: it holds no pixels")
        self.path: Path = header.path
        self.stored: Stored = header.stored
        check_readable(self.path, self.stored)
        self._file, self._start, self._length = file, self.stored.offset, self.stored.length
        self._spans: list[list[Span]] = []
        self._dataset: Any = None
        self._last: tuple[int, Array, str] | None = None  # the sheet of a mosaic is decoded once for all its tiles
        if self._start is None:
            self._look_up()
        self._swapped = self._is_swapped()

    @property
    def dataset(self) -> Any:
        """The data set without pixels, for palettes and look-up tables."""
        if self._dataset is None:
            self._file.seek(0)
            self._dataset = _parsed(self.path, self._file)
        return self._dataset

    def samples(self, index: int) -> tuple[Array, str]:
        """Return (y, x) or (y, x, sample) samples of a frame as stored, and what colours its codestream states.

        Raises
        ------
        IncompleteFileError
            The file ends before the frame does, or the compressed picture is damaged.
        InputError
            There is no such frame.
        """
        if self._last is not None and self._last[0] == index:
            return self._last[1], self._last[2]
        if not 0 <= index < self.stored.frames:
            raise InputError(f"{shown(self.path)}: frame {index + 1} was asked for, and it holds {self.stored.frames}")
        if self._spans:
            array, said = decode_frame(self.path, frame_bytes(self._file, self._spans[index]), self.stored)
        else:
            array, said = self._native(index), ""
        self._last = (index, array, said)
        return array, said

    def read_into(self, index: int, target: Array) -> bool:
        """Read a plain integer frame into a C-contiguous array of its width, sign and order of bytes put right.

        Returns False, with nothing read, for what is not stored as such.

        Raises
        ------
        IncompleteFileError
            The file ends before the frame does.
        """
        stored = self.stored
        if self._spans or stored.element != "PixelData" or stored.bits_allocated not in (8, 16, 32, 64):
            return False
        if (self._swapped and stored.bits_allocated == 8) or not target.flags.c_contiguous or not _LITTLE:
            return False
        raw = target.reshape(-1).view(np.uint8)
        start = self._check_length(len(raw) * stored.frames)
        self._file.seek(start + index * len(raw))
        if self._file.readinto(raw) != len(raw):  # type: ignore[attr-defined]
            raise incomplete(self.path, 0, len(raw))
        if self._swapped:
            target.byteswap(inplace=True)
        up, down = shifts(stored)
        if down > 0:
            bits = target.view(f"{'i' if stored.signed else 'u'}{target.itemsize}")
            np.left_shift(bits, up, out=bits)
            np.right_shift(bits, down, out=bits)
        return True

    def _check_length(self, need: int) -> int:
        """Return the first byte of the pixels after making sure that all of them are there."""
        start = self._start or 0
        have = self._file.seek(0, io.SEEK_END) - start
        have = have if self._length is None else min(have, self._length)
        if have < need:
            raise incomplete(self.path, max(0, have), need)
        return start

    def _native(self, index: int) -> Array:
        stored = self.stored
        bit = 0
        if stored.bits_allocated == 1:  # frames follow each other without a gap (PS3.5 8.1.1)
            pixels = stored.rows * stored.columns
            first, bit = divmod(index * pixels, 8)
            count = (bit + pixels + 7) // 8
            need = (stored.frames * pixels + 7) // 8
        else:
            count = frame_length(stored)
            first, need = index * count, count * stored.frames
        start = self._check_length(need)
        if self._swapped and stored.bits_allocated == 8 and self._words():
            even = first // 2 * 2
            self._file.seek(start + even)
            data = _swapped_pairs(self._file.read((count + first - even + 1) // 2 * 2))[first - even :][:count]
        else:
            self._file.seek(start + first)
            data = self._file.read(count)
        return native_samples(data, stored, bit, self._swapped)

    def _look_up(self) -> None:
        """Find the pixels of a file where `headers` did not: compressed, deflated, private syntaxes."""
        stored = self.stored
        if stored.syntax == DEFLATED:
            value = _parsed(self.path, self._file, pixels=True).get(stored.element or "PixelData")
            if not isinstance(value, bytes):
                raise incomplete(self.path, 0, frame_length(stored) * stored.frames)
            self._file, self._start, self._length = io.BytesIO(value), 0, len(value)
            return
        if stored.wrapped_at is not None and stored.frames == 1 and stored.syntax not in ("", *NATIVE):
            self._spans = frame_spans(self.path, self._file, stored.wrapped_at, 1)  # no offset table is needed
            return
        stated = _parsed(self.path, self._file, only=["ExtendedOffsetTable"])
        start = self._file.tell()
        head = self._file.read(12)
        if head[:4] not in _PIXELS:
            raise InputError(f"{shown(self.path)}: its pixels are not where its header ends; the file is damaged")
        if head[4:6] in _LONG_VR:
            start, length = start + 12, struct.unpack("<I", head[8:12])[0]
        else:
            start, length = start + 8, struct.unpack("<I", head[4:8])[0]
        if stored.syntax in NATIVE or not stored.syntax:
            if length == _UNDEFINED:
                raise InputError(
                    f"{shown(self.path)}: it says that its pixels are not compressed and stores them as compressed "
                    "ones; the file is damaged"
                )
            self._start, self._length = start, length
            return
        table = stated.get("ExtendedOffsetTable") or b""
        extended = struct.unpack(f"<{len(table) // 8}Q", table[: len(table) // 8 * 8])
        self._spans = frame_spans(self.path, self._file, start, stored.frames, extended)

    def _is_swapped(self) -> bool:
        """Return True for big endian; a file without a stated syntax tells by its tag."""
        if self.stored.syntax or self._start is None or self._start < 12:
            return self.stored.syntax == BIG
        self._file.seek(self._start - 12)
        return self._file.read(2) == b"\x7f\xe0"

    def _words(self) -> bool:
        """Return True if samples of a byte are stored as words (OW), whose bytes big endian swaps."""
        self._file.seek(max(0, (self._start or 0) - 8))
        return self._file.read(2) == b"OW"


@contextmanager
def opened(header: Header) -> Iterator[PixelFile]:
    """Open a file for its frames.

    Raises
    ------
    InputError
        It cannot be opened, or its structure is broken.
    UnsupportedError
        Its pixels are of a kind that is not read; the message names it and what reads it.
    """
    try:
        file = open(header.path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError(f"{shown(header.path)}: it cannot be opened ({plain(error.strerror or error, 80)})") from error
    try:
        yield PixelFile(header, file)
    finally:
        file.close()


def check_readable(path: Path, stored: Stored) -> None:
    """Refuse what is not read, by name.

    Raises
    ------
    UnsupportedError
        The transfer syntax, colours or width of the samples.
    """
    check_syntax(path, stored.syntax)
    kinds = _GREY_OR_COLOUR.get(stored.samples)
    colours = stored.photometric or "no stated colours"
    if kinds is None or (stored.samples == 3 and colours not in kinds):
        raise UnsupportedError(
            f"{shown(path)}: {stored.samples} {'value' if stored.samples == 1 else 'values'} per pixel as "
            f"{plain(colours, 20)} are not read; grey, palettes, RGB and YBR_FULL are. Convert it with dcmtk's dcmj2pnm"
        )
    if stored.bits_allocated not in (1, 8, 16, 32, 64):
        raise UnsupportedError(
            f"{shown(path)}: {stored.bits_allocated} bits for each value are not read; 1, 8, 16, 32 and 64 are"
        )


def _parsed(path: Path, file: BinaryIO, pixels: bool = False, only: list[str | int] | None = None) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(file, stop_before_pixels=not pixels, force=True, specific_tags=only)
    except BROKEN as error:
        raise InputError(f"{shown(path)}: this DICOM file cannot be read ({plain(error, 100)})") from error


def _swapped_pairs(data: bytes) -> bytes:
    data += b"\0" * (len(data) % 2)
    return np.frombuffer(data, np.uint16).byteswap().tobytes()
