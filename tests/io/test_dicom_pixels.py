"""Pixels of DICOM files against pydicom, against the uncompressed originals, and against numbers derived by hand."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tomllib
import warnings
from collections import Counter
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import jpeg_ls
import numpy as np
import openjpeg.utils
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.pixels.processing import convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cases import REPOSITORY, SHARED_DATA
from dicom_files import CR, SECONDARY, write_image
from napari_medcnn.errors import IncompleteFileError, InputError, MedcnnError, UnsupportedError
from napari_medcnn.io.dicom.codecs import decode_frame
from napari_medcnn.io.dicom.codestream import jpeg_facts
from napari_medcnn.io.dicom.colour import rgb_from_ybr
from napari_medcnn.io.dicom.decode import plane_into, read_planes
from napari_medcnn.io.dicom.facts import Frame, Header, Stored
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.pixelfile import opened

DATA = Path(__file__).parent.parent / "data" / "htj2k"
ROOT = "1.2.840.10008.1.2.4."
J2K, JLS, RLE = ROOT + "90", ROOT + "80", "1.2.840.10008.1.2.5"
ZOO = (
    "zoo-12bit", "zoo-charset", "zoo-ct-tilt", "zoo-dicom-seg", "zoo-dicom2nifti", "zoo-fodicom-bugs",
    "zoo-nih-siemens", "zoo-orientation-mosaic", "zoo-panimg", "zoo-pydicom", "zoo-pydicom-data", "zoo-rtstruct",
    "zoo-torchio-series", "zoo-transfer-syntax-ct", "zoo-wg04", "totalseg-ct",
)  # fmt: skip


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


# Against pydicom's decoders and the originals


@pytest.mark.parametrize("folder", ZOO)
def test_every_real_file_that_pydicom_decodes_is_equal(shared_data, folder: str) -> None:
    """Stored values exact; after a broken slope float32 against float64 arithmetic, 1e-6 relative."""
    seen: Counter[str] = Counter()
    for path in sorted(p for p in shared_data(folder).rglob("*") if p.is_file()):
        try:
            header = read_header(path)
        except MedcnnError:
            continue
        if header.kind not in ("image", "segmentation") or header.stored is None:
            continue
        frames = header.frames or tuple(Frame(index=k) for k in range(header.stored.frames))
        frames = tuple(replace(f, tile=None) for f in {f.index: f for f in frames}.values())
        try:
            expected = by_pydicom(path, frames)
        except Exception as error:  # what pydicom cannot decode is compared with originals below
            seen[type(error).__name__] += 1
            continue
        found = read_planes(header, frames)
        assert found.shape == expected.shape, path.name
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * float(np.abs(expected).max()))
        else:
            np.testing.assert_array_equal(found, expected, err_msg=path.name)
        seen["equal"] += 1
    assert seen["equal"] or not sum(seen.values()), seen


def by_pydicom(path: Path, frames: tuple[Frame, ...]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path, force=True)
        implicit, little = data.original_encoding
        if not getattr(data.file_meta, "TransferSyntaxUID", None):
            plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            data.file_meta.TransferSyntaxUID = plain if little else ExplicitVRBigEndian
        stored = data.pixel_array
        if data.PhotometricInterpretation == "PALETTE COLOR":
            stored = apply_color_lut(stored, data)
        elif "ModalityLUTSequence" in data:
            stored = apply_modality_lut(stored, data)
        if int(data.get("NumberOfFrames", 1) or 1) == 1:
            stored = stored[np.newaxis]
        if all((f.slope, f.intercept) == (1, 0) for f in frames):
            return stored[[f.index for f in frames]]
        scaled = np.stack([stored[f.index] * float(f.slope) + float(f.intercept) for f in frames])
        whole = all(float(f.slope).is_integer() and float(f.intercept).is_integer() for f in frames)
        return scaled.astype(np.int64) if whole and stored.dtype.kind in "iu" else scaled


LOSSLESS = [f"{kind}/{case}_{kind}" for kind in ("J2KR", "JPLL", "JLSL", "RLE") for case in ("CT1", "MR1", "NM1")]


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_of_wg04_equal_the_uncompressed_original(shared_data, name: str) -> None:
    original = shared_data(f"zoo-wg04/REF/{name.split('/')[1].split('_')[0]}_UNC")
    np.testing.assert_array_equal(pixels(shared_data(f"zoo-wg04/{name}")), pixels(original))


@pytest.mark.parametrize("name", ["MR1", "NM1"])
def test_lossy_jpeg_of_12_bits_is_as_near_as_its_quantisation(shared_data, name: str) -> None:
    """Rounding to multiples of q errs by at most q/2 a coefficient; the DCT is orthonormal (8x8, scaled by 1/8 ... 1 as
    in ISO 10918-1 A.3.3), so by Parseval the mean square error is at most the mean of q^2/4, and 1 for two roundings.
    """
    path = shared_data(f"zoo-wg04/JPLY/{name}_JPLY")
    stream = next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
    at = stream.index(b"\xff\xdb")
    precision = stream[at + 4] >> 4
    table = np.frombuffer(stream[at + 5 : at + 5 + 64 * (1 + precision)], ">u2" if precision else "u1").astype(float)
    error = pixels(path).astype(float) - pixels(shared_data(f"zoo-wg04/REF/{name}_UNC"))
    assert np.sqrt(np.mean(error**2)) <= np.sqrt(np.mean(table**2) / 4) + 1


@pytest.mark.parametrize("name", ["CT1", "MR1", "NM1"])
def test_near_lossless_jpeg_ls_stays_within_its_stated_bound(shared_data, name: str) -> None:
    """NEAR of the scan header is the largest difference of any sample (ISO 14495-1 A.1)."""
    path = shared_data(f"zoo-wg04/JLSN/{name}_JLSN")
    stream = next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
    scan = stream.index(b"\xff\xda")
    near = stream[scan + 4 + 1 + 2 * stream[scan + 4]]
    difference = pixels(path).astype(int) - pixels(shared_data(f"zoo-wg04/REF/{name}_UNC"))
    assert 0 < np.abs(difference).max() <= near


def test_one_ct_in_every_lossless_syntax_is_equal(shared_data) -> None:
    folder = shared_data("zoo-transfer-syntax-ct")
    reference = pixels(next(folder.glob("*LittleEndianExplicit*")))
    names = ("BigEndian", "Deflated", "Implicit", "2.4.90", "2.4.80", "2.4.57", "2.4.70", "RLE")
    for name in names:
        (path,) = folder.glob(f"CTImage*{name}*")
        np.testing.assert_array_equal(pixels(path), reference, err_msg=name)
    assert reference.dtype == np.int16


@pytest.mark.parametrize("syntax", ["50", "51", "53", "55", "81", "91"])
def test_one_ct_in_every_lossy_syntax_is_near(shared_data, syntax: str) -> None:
    """The files were made at visually lossless quality: mean difference under 1 % of the range of 4402 HU."""
    folder = shared_data("zoo-transfer-syntax-ct")
    reference = pixels(next(folder.glob("*LittleEndianExplicit*"))).astype(float)
    (path,) = folder.glob(f"CTImage*2.4.{syntax}.dcm")
    found = pixels(path)
    assert found.shape == reference.shape
    assert np.abs(found - reference).mean() < 0.01 * np.ptp(reference)


def test_fragments_without_an_offset_table_give_two_frames(shared_data) -> None:
    path = shared_data("zoo-transfer-syntax-ct/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm")
    found = pixels(path)
    assert found.shape == (2, 512, 512)
    assert abs(float(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1])) > 0.5  # neighbouring slices of one scan


# Stored plainly


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_plain_integers_come_as_stored(tmp_path: Path, syntax: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    stored = np.random.default_rng(1).integers(limits.min, limits.max, (3, 5, 7), endpoint=True).astype(dtype)
    found = pixels(write_image(tmp_path / "a.dcm", stored, syntax=syntax))
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, stored)


def test_bytes_of_big_endian_words_are_swapped_at_odd_lengths(tmp_path: Path) -> None:
    """8-bit samples in OW: the bytes of each word change places (PS3.5 8.1.1), also across two frames of 15 bytes."""
    stored = np.arange(30, dtype=np.uint8).reshape(2, 3, 5)

    def words(data: Dataset) -> None:
        data["PixelData"].VR = "OW"
        data.PixelData = stored.reshape(-1, 2)[:, ::-1].tobytes()

    path = write_image(tmp_path / "a.dcm", stored, syntax=ExplicitVRBigEndian, change=words)
    np.testing.assert_array_equal(pixels(path), stored)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_those_stored_are_cleared_and_the_sign_is_kept(tmp_path: Path, signed: bool) -> None:
    """12 of 16 bits: 0xF801 holds 0x801, which is 2049, or 2049 - 4096 = -2047 with a sign; 0x57FF holds 0x7FF."""
    raw = np.array([[0xF801, 0x57FF]], np.uint16)
    tags = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": int(signed)}
    found = pixels(write_image(tmp_path / "a.dcm", raw, tags))
    assert found.tolist() == [[[-2047 if signed else 2049, 2047]]]
    assert found.dtype == (np.int16 if signed else np.uint16)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_rgb_by_pixel_and_by_plane(tmp_path: Path, planar: int, dtype: str) -> None:
    colours = (np.arange(2 * 3 * 5 * 3) * 7).reshape(2, 3, 5, 3).astype(dtype)

    def by_plane(data: Dataset) -> None:
        data.PlanarConfiguration = planar
        raw = (np.moveaxis(colours, -1, 1) if planar else colours).tobytes()
        data.PixelData = raw + bytes(len(raw) % 2)

    np.testing.assert_array_equal(pixels(write_image(tmp_path / "a.dcm", colours, change=by_plane)), colours)


def test_packed_bits_of_frames_that_share_a_byte(tmp_path: Path) -> None:
    """Two frames of 3 x 5: 30 bits in 4 bytes, the first pixel in the lowest bit (PS3.5 8.1.1)."""
    bits = np.array(
        [1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1], np.uint8
    )

    def packed(data: Dataset) -> None:
        data.BitsAllocated = data.BitsStored = 1
        data.HighBit = 0
        data.PixelData = np.packbits(bits, bitorder="little").tobytes()

    path = write_image(tmp_path / "a.dcm", bits.reshape(2, 3, 5), change=packed)
    np.testing.assert_array_equal(pixels(path), bits.reshape(2, 3, 5))


def test_float_pixels(tmp_path: Path) -> None:
    values = np.array([[0.5, -3.25], [1e-3, 7.0]])
    for keyword, dtype in (("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")):

        def floats(data: Dataset, keyword: str = keyword, dtype: str = dtype) -> None:
            del data.PixelData
            data.BitsAllocated = 8 * np.dtype(dtype).itemsize
            setattr(data, keyword, values.astype(dtype).tobytes())

        path = write_image(tmp_path / f"{keyword}.dcm", values.astype(np.uint16), change=floats)
        found = pixels(path)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found[0], values.astype(dtype))


# What the numbers mean


def test_whole_rescale_stays_whole_and_is_exact(tmp_path: Path) -> None:
    """4000 x 3 - 1024 = 10976 fits int16; 60000 - 1024 does not and needs int32."""
    small = np.array([[0, 4000]], np.uint16)
    found = pixels(write_image(tmp_path / "a.dcm", small, {"RescaleSlope": 3, "RescaleIntercept": -1024}))
    assert (found.dtype, found.tolist()) == (np.int16, [[[-1024, 10976]]])
    large = np.array([[0, 60000]], np.uint16)
    found = pixels(write_image(tmp_path / "b.dcm", large, {"RescaleSlope": 1, "RescaleIntercept": -1024}))
    assert (found.dtype, found.tolist()) == (np.int32, [[[-1024, 58976]]])


def test_every_frame_has_its_own_rescale(tmp_path: Path) -> None:
    """Row 24: 10 x 0.5 + 1 = 6 and 10 x 4 = 40."""
    path = write_image(tmp_path / "a.dcm", np.full((2, 1, 2), 10, np.uint16))
    header = read_header(path)
    found = read_planes(header, [Frame(1, slope=4.0), Frame(0, slope=0.5, intercept=1.0)])
    assert found.dtype == np.float32
    assert found[:, 0, 0].tolist() == [40.0, 6.0]


def encodings(stored: np.ndarray, tmp_path: Path, **tags: object) -> dict[str, Path]:
    return {
        "plain": write_image(tmp_path / "plain.dcm", stored, tags, sop_class=CR),
        "rle": write_encoded(tmp_path / "rle.dcm", [rle(stored)], stored, RLE, **tags),
        "j2k": write_encoded(tmp_path / "j2k.dcm", [j2k(stored, 16)], stored, J2K, **tags),
        "jls": write_encoded(tmp_path / "jls.dcm", [jls(stored)], stored, JLS, **tags),
    }


def test_row_25_monochrome1_is_never_inverted_in_any_encoding(tmp_path: Path) -> None:
    """Stored x slope + intercept: the brightest display is of the smallest value, the value stays."""
    stored = grey()
    tags = {"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": 2, "RescaleIntercept": -7}
    for name, path in encodings(stored, tmp_path, **tags).items():
        np.testing.assert_array_equal(pixels(path)[0], stored.astype(np.int32) * 2 - 7, err_msg=name)


def test_monochrome1_in_lossless_jpeg(shared_data, tmp_path: Path) -> None:
    data = pydicom.dcmread(shared_data("zoo-wg04/JPLL/MR1_JPLL"))
    data.PhotometricInterpretation, data.RescaleSlope, data.RescaleIntercept = "MONOCHROME1", 1, 5
    data.save_as(tmp_path / "a.dcm")
    reference = pixels(shared_data("zoo-wg04/REF/MR1_UNC"))
    np.testing.assert_array_equal(pixels(tmp_path / "a.dcm"), reference.astype(np.int32) + 5)


def test_signed_values_in_every_encoding(tmp_path: Path) -> None:
    stored = (grey().astype(np.int32) - 2048).astype(np.int16)
    for name, path in encodings(stored, tmp_path).items():
        found = pixels(path)[0]
        assert found.dtype == np.int16, name
        np.testing.assert_array_equal(found, stored, err_msg=name)


def test_the_header_says_which_sign_the_bits_of_a_codestream_have(tmp_path: Path) -> None:
    """A codestream of 12 unsigned bits under a signed header: 0xFFF is -1, 0x7FF is 2047 (pydicom issue 1149)."""
    bits = np.array([[0xFFF, 0x7FF], [0x800, 1]] * 512, np.uint16).reshape(32, 64)
    tags = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    path = write_encoded(tmp_path / "a.dcm", [j2k(bits)], bits, J2K, **tags)
    expected = np.where(bits >= 0x800, bits.astype(int) - 4096, bits)
    np.testing.assert_array_equal(pixels(path)[0], expected)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, expected)


def test_modality_table_takes_the_place_of_slope_and_intercept(tmp_path: Path) -> None:
    """The table maps 2, 3, 4 to 100, 50, 7; below and above its ends hold (PS3.3 C.11.1.1.1)."""

    def table(data: Dataset) -> None:
        item = Dataset()
        item.LUTDescriptor = [3, 2, 16]
        item["LUTDescriptor"].VR = "US"
        item.ModalityLUTType, item.LUTData = "OD", [100, 50, 7]
        item["LUTData"].VR = "US"
        data.ModalityLUTSequence = Sequence([item])

    path = write_image(tmp_path / "a.dcm", np.array([[0, 2, 3, 4, 9]], np.uint16), change=table)
    assert pixels(path).tolist() == [[[100, 100, 50, 7, 7]]]


def test_tiles_are_cut_out_of_their_sheet(tmp_path: Path) -> None:
    sheet = np.arange(16, dtype=np.uint16).reshape(4, 4)
    header = read_header(write_image(tmp_path / "a.dcm", sheet))
    found = read_planes(header, [Frame(tile=(0, 0, 2, 2)), Frame(tile=(2, 2, 2, 2), slope=10.0)])
    assert found.tolist() == [[[0, 1], [4, 5]], [[100, 110], [140, 150]]]
    with pytest.raises(InputError, match="outside of the sheet"):
        read_planes(header, [Frame(tile=(3, 0, 2, 2))])


# Colours


def test_luminance_and_colour_differences_become_rgb() -> None:
    """Red is (76.245, 84.97, 255.5) by the standard's matrix; grey stays grey; pydicom on 20,000 random ones."""
    assert rgb_from_ybr(np.array([76, 85, 255], np.uint8)).tolist() == [254, 0, 0]
    assert rgb_from_ybr(np.array([130, 128, 128], np.uint8)).tolist() == [130, 130, 130]
    assert rgb_from_ybr(np.array([40000, 32768, 32768], np.uint16)).tolist() == [40000] * 3
    colours = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rgb_from_ybr(colours), convert_color_space(colours, "YBR_FULL", "RGB"))


def test_plain_ybr_full_422_is_expanded(tmp_path: Path) -> None:
    """Two pixels Y 76 and 130 share CB 85, CR 255: red, and (130 + 1.402 x 127, ..) = (255, 54, 54) by hand."""

    def shared(data: Dataset) -> None:
        data.PhotometricInterpretation = "YBR_FULL_422"
        data.PixelData = bytes([76, 130, 85, 255])

    path = write_image(tmp_path / "a.dcm", np.zeros((1, 2, 3), np.uint8), change=shared)
    assert pixels(path).tolist() == [[[[254, 0, 0], [255, 54, 54]]]]


def test_colours_in_rle_and_in_htj2k(tmp_path: Path) -> None:
    colours = (np.arange(4 * 6 * 3) * 3).reshape(4, 6, 3).astype(np.uint8)
    found = pixels(write_encoded(tmp_path / "a.dcm", [rle(colours)], colours, RLE))
    np.testing.assert_array_equal(found[0], colours)
    deep = (colours.astype(np.uint16) + 1) * 251
    found = pixels(write_encoded(tmp_path / "b.dcm", [rle(deep)], deep, RLE))
    np.testing.assert_array_equal(found[0], deep)


@pytest.mark.parametrize("syntax", ["201", "202", "203"])
def test_htj2k(tmp_path: Path, syntax: str) -> None:
    y, x = np.mgrid[:24, :32]
    rgb = np.stack([x * 7 % 256, y * 9 % 256, (x + y) % 256], -1).astype(np.uint8)
    signed = (grey(24, 32).astype(np.int32) - 2048).astype(np.int16)
    for name, expected in (("grey", grey(24, 32)), ("signed", signed), ("rgb", rgb)):
        stream = (DATA / f"{name}.j2c").read_bytes()
        tags = {"PhotometricInterpretation": "YBR_RCT"} if name == "rgb" else {}
        path = write_encoded(tmp_path / f"{name}.dcm", [stream], expected, ROOT + syntax, **tags)
        np.testing.assert_array_equal(pixels(path)[0], expected)


# Frames and fragments


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


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("pieces", [1, 3])
def test_frames_in_fragments(tmp_path: Path, table: bool, pieces: int) -> None:
    volume = np.stack([grey(), grey()[::-1], grey(48, 40).T])
    streams = [even(j2k(np.ascontiguousarray(p))) for p in volume]
    path = write_encoded(
        tmp_path / "a.dcm", streams, volume[0], J2K, wrap=lambda frames: fragmented(frames, pieces, table)
    )
    header = read_header(path)
    np.testing.assert_array_equal(read_planes(header, header.frames), volume)
    np.testing.assert_array_equal(read_planes(header, [header.frames[2], header.frames[0]]), volume[[2, 0]])


def test_extended_offset_table(tmp_path: Path) -> None:
    volume = np.stack([grey(), grey()[::-1]])
    streams = [even(jls(np.ascontiguousarray(p))) for p in volume]
    value, offsets, lengths = encapsulate_extended(streams)
    path = write_encoded(
        tmp_path / "a.dcm", streams, volume[0], JLS, wrap=lambda _: value, ExtendedOffsetTable=offsets,
        ExtendedOffsetTableLengths=lengths,
    )  # fmt: skip
    np.testing.assert_array_equal(pixels(path), volume)


# What is cut, damaged or not read


def test_plain_pixels_cut_short_name_both_sizes(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16))
    header = read_header(path)
    path.write_bytes(path.read_bytes()[:-30])  # changed after its header was read
    with pytest.raises(IncompleteFileError, match="98 of 128 bytes"):
        read_planes(header, header.frames)
    target = np.empty((8, 8), np.uint16)
    with opened(header) as file, pytest.raises(IncompleteFileError, match="98 of 128 bytes"):
        plane_into(file, header.frames[0], target)


@pytest.mark.parametrize("syntax", [J2K, JLS, RLE])
def test_a_compressed_file_cut_anywhere_is_an_error(tmp_path: Path, syntax: str) -> None:
    stored = grey()
    stream = {J2K: j2k(stored), JLS: jls(stored), RLE: rle(stored)}[syntax]
    whole = write_encoded(tmp_path / "a.dcm", [even(stream)], stored, syntax).read_bytes()
    np.testing.assert_array_equal(pixels(tmp_path / "a.dcm")[0], stored)
    header = read_header(tmp_path / "a.dcm")
    for end in np.linspace(len(whole) - len(stream) - 8, len(whole) - 12, 30).astype(int):
        (tmp_path / "a.dcm").write_bytes(whole[:end])
        with pytest.raises(IncompleteFileError):
            read_planes(header, header.frames)


@pytest.mark.parametrize("syntax", [J2K, JLS, RLE])
def test_a_picture_cut_before_it_was_wrapped_is_an_error(tmp_path: Path, syntax: str) -> None:
    """All lengths of the file fit; the picture itself ends early, with and without an end marker put behind it."""
    stored = grey()
    stream = {J2K: j2k(stored), JLS: jls(stored), RLE: rle(stored)}[syntax]
    facts = Stored(syntax, 40, 48)
    np.testing.assert_array_equal(decode_frame(Path("x"), stream, facts)[0], stored)
    for end in np.linspace(0, len(stream) - 12, 30).astype(int):
        for tail in (b"", b"\xff\xd9"):
            with pytest.raises(IncompleteFileError, match="x: "):
                decode_frame(Path("x"), stream[:end] + tail, facts)


def test_jpeg_without_its_end_is_an_error(shared_data) -> None:
    path = shared_data("zoo-wg04/JPLL/MR1_JPLL")
    stream = next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
    stored = read_header(path).stored
    assert stored is not None
    for end in (100, len(stream) // 2, len(stream) - 8):
        with pytest.raises(IncompleteFileError, match="lacks its end"):
            decode_frame(path, stream[:end], stored)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    path = write_encoded(tmp_path / "a.dcm", [j2k(grey())], grey(), J2K, Rows=39)
    with pytest.raises(IncompleteFileError, match=r"40 x 48 x 1.*39 x 48 x 1"):
        pixels(path)


def test_fewer_pictures_than_frames_are_refused(tmp_path: Path) -> None:
    path = write_encoded(tmp_path / "a.dcm", [j2k(grey()), j2k(grey())], grey(), J2K, NumberOfFrames=3)
    header = read_header(path)
    with pytest.raises(IncompleteFileError, match="2 of 3 compressed pictures"):
        read_planes(header, [Frame(0)])


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        (ROOT + "100", "MPEG2.*video.*ffmpeg"),
        (ROOT + "102", "MPEG-4.*video.*ffmpeg"),
        (ROOT + "107", "HEVC.*video.*ffmpeg"),
        (ROOT + "110", "JPEG XL.*djxl"),
        (ROOT + "94", "JPIP.*server"),
        ("1.2.3.4.5", "unknown syntax 1.2.3.4.5.*gdcmconv"),
    ],
)
def test_row_27_syntaxes_that_are_not_read_are_named(tmp_path: Path, syntax: str, words: str) -> None:
    header = Header(tmp_path / "clip.dcm", stored=Stored(syntax, 4, 4), frames=(Frame(),))
    header.path.write_bytes(b"")
    with pytest.raises(UnsupportedError, match=f"clip.dcm.*{words}"):
        read_planes(header, header.frames)


def test_colours_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"")
    for samples, kind in ((4, "CMYK"), (3, "YBR_PARTIAL_420"), (3, "HSV")):
        header = Header(tmp_path / "a.dcm", stored=Stored("", 4, 4, samples, photometric=kind), frames=(Frame(),))
        with pytest.raises(UnsupportedError, match=kind):
            read_planes(header, header.frames)


def test_jpeg_facts_by_hand() -> None:
    """SOI, an APP0 JFIF segment, SOF0 of 3 components, 8 bits, 5 rows, 7 columns."""
    sof = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 5, 7, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    jfif = b"\xff\xe0" + struct.pack(">H", 7) + b"JFIF\0"
    facts = jpeg_facts(b"\xff\xd8" + jfif + sof)
    assert (facts.rows, facts.columns, facts.components, facts.precision, facts.colours) == (5, 7, 3, 8, "YBR")
    named = sof[:10] + b"R\x11\0G\x11\0B\x11\0"
    assert jpeg_facts(b"\xff\xd8" + named).colours == "RGB"
    with pytest.raises(InputError):
        jpeg_facts(b"\xff\xd8" + jfif)


def test_no_decoder_under_the_gpl_is_needed(tmp_path: Path) -> None:
    """A process in which such packages cannot be imported decodes every kind of picture, lossless JPEG included."""
    stored = grey()
    paths = list(encodings(stored, tmp_path).values())
    paths.append(write_encoded(tmp_path / "ht.dcm", [(DATA / "grey.j2c").read_bytes()], grey(24, 32), ROOT + "201"))
    if (SHARED_DATA / "zoo-wg04/JPLL/MR1_JPLL").exists():
        paths.append(SHARED_DATA / "zoo-wg04/JPLL/MR1_JPLL")
    program = """
import sys
class Barred:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("libjpeg", "rle", "gdcm", "python_gdcm"):
            raise ImportError(f"{name} is barred")
sys.meta_path.insert(0, Barred())
from pathlib import Path
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.decode import read_planes
for name in sys.argv[1:]:
    header = read_header(Path(name))
    print(int(read_planes(header, header.frames).astype(int).sum()))
"""
    done = subprocess.run([sys.executable, "-c", program, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.split() == [str(int(pixels(path).astype(int).sum())) for path in paths]


def test_what_is_required_is_permissive() -> None:
    """No package of the base list states a GPL or LGPL licence; those stand in an extra of their own."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in project["dependencies"]:
        name = re.split(r"[<>=~! ;\[]", line)[0]
        told = metadata.metadata(name)
        words = [told.get("License-Expression") or told.get("License") or "", *(told.get_all("Classifier") or ())]
        assert not [w for w in words if re.search(r"\bL?GPL|General Public License", w[:200])], name


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    path = write_encoded(tmp_path / "a.dcm", [j2k(grey())], grey(), J2K)
    np.testing.assert_array_equal(pixels(path)[0], grey())
    assert list(place.iterdir()) == []
