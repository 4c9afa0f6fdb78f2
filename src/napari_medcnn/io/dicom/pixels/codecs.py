"""One compressed picture of a DICOM file as stored samples, by transfer syntax; permissive decoders only.

SimpleITK decodes the JPEG family, and JPEG 2000 while it is plain grey, since it frees the interpreter's lock; colour,
HTJ2K and everything odd go to pylibjpeg-openjpeg.  pyjpegls decodes JPEG-LS: with the lock held it is still faster than
SimpleITK in two threads; only large pictures (mammograms) are SimpleITK's, since a window must not wait for the lock.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import UID, UID_dictionary

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.dicom.facts import Stored
from napari_medcnn.io.dicom.pixels.codec_itk import decode_itk
from napari_medcnn.io.dicom.pixels.codestream import Codestream, j2k_facts, jpeg_facts
from napari_medcnn.io.dicom.pixels.encapsulated import check_end
from napari_medcnn.io.dicom.pixels.native import as_declared, frame_length, native_samples, shifts
from napari_medcnn.io.dicom.pixels.rle import decode_rle
from napari_medcnn.io.found import plain, shown

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = (IMPLICIT, EXPLICIT, BIG, DEFLATED, "1.2.840.113619.5.2")  # the last: GE's private implicit little endian
RLE = "1.2.840.10008.1.2.5"
_DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
_JPEG = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 57, 70))
_JPEG_LS = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81))
_J2K = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91))
_HTJ2K = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
_LARGE = 1 << 20  # pixels: pyjpegls would hold the lock for some 10 ms and more
_JPEG_XL = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))  # younger than pydicom's dictionary
#: What decodes the rest, outside of this program.
_ELSEWHERE = {
    "MPEG": "a video; convert it to pictures with ffmpeg",
    "HEVC": "a video; convert it to pictures with ffmpeg",
    "SMPTE": "a video; convert it to pictures with ffmpeg",
    "XL": "it needs a JPEG XL decoder, which no permissive DICOM package has yet; convert it with djxl",
    "JPIP": "its pixels lie on a server and not in the file; fetch it from the archive uncompressed",
}


def check_syntax(path: Path, syntax: str) -> None:
    """Refuse a transfer syntax that nothing here decodes.

    Raises
    ------
    UnsupportedError
        The message names the syntax and what reads it.
    """
    if not syntax or syntax in NATIVE or syntax in (RLE, _DEFLATED_FRAME, *_JPEG, *_JPEG_LS, *_J2K, *_HTJ2K):
        return
    name = UID(syntax).name if syntax in UID_dictionary else f"unknown syntax {plain(syntax, 64)}"
    name = "JPEG XL" if syntax in _JPEG_XL else name
    otherwise = "no decoder for it is at hand; decompress it with dcmtk's dcmdjpeg or gdcmconv --raw"
    how = next((words for key, words in _ELSEWHERE.items() if key in name), otherwise)
    raise UnsupportedError(f"{shown(path)}: its pixels are stored as {plain(name, 80)}: {how}")


def decode_frame(path: Path, data: bytes, stored: Stored) -> tuple[Array, str]:
    """Return (y, x) or (y, x, sample) samples in the header's type, and their colours: "RGB", "YBR" or "".

    Raises
    ------
    IncompleteFileError
        The picture is cut or damaged.
    UnsupportedError
        The syntax, or this use of it, has no decoder.
    """
    syntax = stored.syntax
    try:
        if syntax == RLE:
            raw = decode_rle(data, stored.rows, stored.columns, stored.samples, stored.bits_allocated)
            return as_declared(raw, stored, shifts(stored)[0]), ""
        if syntax == _DEFLATED_FRAME:
            return _inflated(data, stored), ""
        check_end(path, data)
        if syntax in (*_J2K, *_HTJ2K):
            return _by_j2k(data, stored)
        return _by_jpeg(data, stored)
    except (IncompleteFileError, UnsupportedError):
        raise
    except (InputError, RuntimeError, ValueError, TypeError, zlib.error) as error:
        raise IncompleteFileError(
            f"{shown(path)}: a compressed picture in it cannot be decoded ({plain(error, 120)}); the file is damaged "
            "or incomplete: copy it again from its source"
        ) from error


def _by_jpeg(data: bytes, stored: Stored) -> tuple[Array, str]:
    facts = jpeg_facts(data)
    _check_size(facts, stored)
    shape = (facts.rows, facts.columns, facts.components)
    large = facts.components == 1 and facts.rows * facts.columns > _LARGE
    if stored.syntax in _JPEG or large:
        raw = decode_itk(data, stored.syntax, shape, facts.precision, signed=False)
    else:
        try:
            raw = _by_charls(data, facts)
        except (RuntimeError, ValueError):  # strict about stray bytes that SimpleITK steps over
            raw = decode_itk(data, stored.syntax, shape, facts.precision, signed=False)
    return _signed(raw, facts.precision, stored), facts.colours


def _by_charls(data: bytes, facts: Codestream) -> Array:
    import jpeg_ls

    buffer, info = jpeg_ls.decode_pixel_data(data)
    flat = np.frombuffer(buffer, np.uint8 if facts.precision <= 8 else np.uint16)
    if facts.components == 1:
        return flat.reshape(facts.rows, facts.columns)
    if info["interleave_mode"] == 0:  # colour by plane
        return np.moveaxis(flat.reshape(facts.components, facts.rows, facts.columns), 0, -1)
    return flat.reshape(facts.rows, facts.columns, facts.components)


def _by_j2k(data: bytes, stored: Stored) -> tuple[Array, str]:
    facts = j2k_facts(data)
    _check_size(facts, stored)
    shape = (facts.rows, facts.columns, facts.components)
    raw: Array | None = None
    if data.startswith(b"\xff\x4f") and stored.syntax in _J2K and facts.components == 1 and 2 <= facts.precision <= 16:
        with contextlib.suppress(InputError):  # the other decoder has its say, and its reason
            raw = decode_itk(data, stored.syntax, shape, facts.precision, facts.signed)
    if raw is None:
        import openjpeg

        buffer: Any = openjpeg.decode_pixel_data(data, version=2)
        width = 1 if facts.precision <= 8 else 2 if facts.precision <= 16 else 4
        flat = np.frombuffer(buffer, f"{'i' if facts.signed else 'u'}{width}")
        raw = flat.reshape(shape[:2] if facts.components == 1 else shape)
    if facts.components == 1:
        return _declared_sign(raw, facts, stored), ""
    # the decoder undoes the codestream's own colour transform; only YBR_FULL says that another one is left
    return raw.astype(_dtype(stored), copy=False), ""


def _declared_sign(raw: Array, facts: Codestream, stored: Stored) -> Array:
    """Return samples with the header's sign where the codestream has another: its bits are kept, as pydicom does."""
    raw = raw.view(("i" if stored.signed else "u") + str(raw.dtype.itemsize))
    extra = 8 * raw.dtype.itemsize - facts.precision
    if extra and facts.signed != stored.signed:
        raw = (raw << extra) >> extra
    return raw.astype(_dtype(stored), copy=False)


def _signed(raw: Array, precision: int, stored: Stored) -> Array:
    """Return JPEG and JPEG-LS samples, which know no sign, with the sign bit that the header gives them.

    It is the highest of the stored bits; a codestream of fewer bits than those holds no negative value at all.
    """
    if not stored.signed:
        return raw.astype(_dtype(stored), copy=False)
    wide = raw.astype(f"u{max(1, stored.bits_allocated // 8)}", copy=False)
    extra = max(0, 8 * wide.dtype.itemsize - max(precision, stored.bits_stored))
    signed = wide.view(f"i{wide.dtype.itemsize}")
    return signed if not extra else ((signed << extra) >> extra).astype(_dtype(stored), copy=False)


def _check_size(facts: Codestream, stored: Stored) -> None:
    want = (stored.rows, stored.columns, stored.samples)
    have = (facts.rows, facts.columns, facts.components)
    if have != want:
        words = [" x ".join(map(str, size)) for size in (have, want)]
        raise InputError(f"the picture is {words[0]} (rows x columns x samples), the header says {words[1]}")


def _inflated(data: bytes, stored: Stored) -> Array:
    """Return one frame of Deflated Image Frame Compression (DICOM Supplement 244)."""
    need = frame_length(stored)
    inflater = zlib.decompressobj(-15)
    out = inflater.decompress(data, need)
    if len(out) < need:
        raise InputError(f"{len(out)} of {need} bytes came out of it")
    return native_samples(out, stored)


def _dtype(stored: Stored) -> np.dtype[Any]:
    width = max(1, stored.bits_allocated // 8)
    return np.dtype(f"{'i' if stored.signed else 'u'}{width}")
