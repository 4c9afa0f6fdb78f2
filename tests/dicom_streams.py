"""Compressed DICOM files of known content: encoders, and an RLE packer and a wrapper of fragments written by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import jpeg_ls
import numpy as np
import openjpeg.utils
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from dicom_files import CR, SECONDARY, write_image
from napari_medcnn.io.dicom.decode import read_planes
from napari_medcnn.io.dicom.headers import read_header

ROOT = "1.2.840.10008.1.2.4."
J2K, JLS, RLE = ROOT + "90", ROOT + "80", "1.2.840.10008.1.2.5"


def pixels(path: Path) -> np.ndarray:
    header = read_header(path)
    return read_planes(header, header.frames)


def grey(rows: int = 40, columns: int = 48) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return ((x * 131 + y * y * 57) % 4096).astype(np.uint16)


def write_encoded(path: Path, frames: list[bytes], like: np.ndarray, syntax: str, **tags: object) -> Path:
    """Write compressed frames; `like` (y, x[, 3]) gives size and type; `wrap` makes the value of Pixel Data."""
    wrap = tags.pop("wrap", encapsulate)

    def change(data: Dataset) -> None:
        data.file_meta.TransferSyntaxUID = syntax
        if len(frames) > 1:
            data.NumberOfFrames = len(frames)
        data.PixelData = wrap(frames)
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        for key, value in tags.items():
            setattr(data, key, value)

    return write_image(path, like, sop_class=SECONDARY, change=change)


def j2k(array: np.ndarray, bits: int = 12) -> bytes:
    return bytes(openjpeg.utils.encode_array(array, bits_stored=bits, use_mct=False))


def jls(array: np.ndarray, bits: int = 16) -> bytes:
    return bytes(jpeg_ls.encode_pixel_data(
        array.tobytes(), rows=array.shape[0], columns=array.shape[1], samples_per_pixel=1,
        bits_allocated=8 * array.itemsize, bits_stored=bits, pixel_representation=int(array.dtype.kind == "i"),
        photometric_interpretation="MONOCHROME2",
    ))  # fmt: skip


def packbits(row: bytes) -> bytes:
    """Encode as RLE runs of literals and repeats, by hand (PS3.5 G.3.1)."""
    out, k = bytearray(), 0
    while k < len(row):
        run = 1
        while run < 128 and k + run < len(row) and row[k + run] == row[k]:
            run += 1
        if run > 1:
            out += bytes([257 - run, row[k]])
        else:
            out += bytes([0, row[k]])
        k += run
    return bytes(out + b"\0" * (len(out) % 2))


def rle(array: np.ndarray) -> bytes:
    """Encode samples byte by byte, the most significant first (PS3.5 G.2)."""
    planes = array.reshape(*array.shape[:2], -1)
    big = planes.astype(planes.dtype.newbyteorder(">")).view(np.uint8).reshape(*planes.shape, array.itemsize)
    segments = [packbits(big[:, :, s, b].tobytes()) for s in range(planes.shape[2]) for b in range(array.itemsize)]
    starts = np.cumsum([64] + [len(s) for s in segments[:-1]]).tolist()
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(starts))) + b"".join(segments)


def encodings(stored: np.ndarray, tmp_path: Path, **tags: object) -> dict[str, Path]:
    return {
        "plain": write_image(tmp_path / "plain.dcm", stored, tags, sop_class=CR),
        "rle": write_encoded(tmp_path / "rle.dcm", [rle(stored)], stored, RLE, **tags),
        "j2k": write_encoded(tmp_path / "j2k.dcm", [j2k(stored, 16)], stored, J2K, **tags),
        "jls": write_encoded(tmp_path / "jls.dcm", [jls(stored)], stored, JLS, **tags),
    }


def fragmented(frames: list[bytes], pieces: int, table: bool) -> bytes:
    """Wrap each frame in several fragments, with or without a basic offset table (PS3.5 A.4)."""
    items, offsets = b"", []
    for frame in frames:
        offsets.append(len(items))
        size = -(-len(frame) // pieces // 2) * 2
        for k in range(0, len(frame), size):
            part = frame[k : k + size]
            items += struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part
    head = struct.pack(f"<{len(offsets)}I", *offsets) if table else b""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(head)) + head + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
