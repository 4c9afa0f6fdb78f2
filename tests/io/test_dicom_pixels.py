"""Pixels of DICOM files against pydicom, against the uncompressed originals, and against numbers derived by hand."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_files import write_image
from dicom_streams import J2K, encodings, grey, j2k, pixels, write_encoded
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.dicom.decode import plane_into, read_planes
from napari_medcnn.io.dicom.facts import Frame
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.pixels.pixelfile import opened

ZOO = (
    "zoo-12bit", "zoo-charset", "zoo-ct-tilt", "zoo-dicom-seg", "zoo-dicom2nifti", "zoo-fodicom-bugs",
    "zoo-nih-siemens", "zoo-orientation-mosaic", "zoo-panimg", "zoo-pydicom", "zoo-pydicom-data", "zoo-rtstruct",
    "zoo-torchio-series", "zoo-transfer-syntax-ct", "zoo-wg04", "totalseg-ct",
)  # fmt: skip


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


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("rle", [False, True])
def test_values_end_at_the_high_bit(tmp_path: Path, signed: bool, rle: bool) -> None:
    """Twelve bits on top of sixteen, noise below them (PS3.5 8.1.1 before 2014)."""
    values = np.random.default_rng(2).integers(-2048 if signed else 0, 2048 if signed else 4096, (8, 6))
    stored = ((values << 4) | 9).astype(np.int16 if signed else np.uint16)
    path = write_image(tmp_path / "a.dcm", stored)
    data = pydicom.dcmread(path)
    if rle:
        data.compress("1.2.840.10008.1.2.5")
    data.BitsStored, data.HighBit = 12, 15
    data.save_as(path)
    header = read_header(path)
    np.testing.assert_array_equal(read_planes(header, header.frames)[0], values)
    target = np.empty((8, 6), stored.dtype)
    with opened(header) as file:
        assert plane_into(file, header.frames[0], target) is not rle
    if not rle:
        np.testing.assert_array_equal(target, values)
