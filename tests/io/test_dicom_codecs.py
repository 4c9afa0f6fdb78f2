"""Compressed DICOM pictures: colours, fragments, what is cut or not read; numbers by hand or from pydicom."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate_extended, generate_frames
from pydicom.pixels.processing import convert_color_space

from cases import REPOSITORY, SHARED_DATA
from dicom_files import write_image
from dicom_streams import J2K, JLS, RLE, ROOT, encodings, even, fragmented, grey, j2k, jls, pixels, rle, write_encoded
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.dicom.decode import plane_into, read_planes
from napari_medcnn.io.dicom.facts import Frame, Header, Stored
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.pixels.codecs import decode_frame
from napari_medcnn.io.dicom.pixels.codestream import jpeg_facts
from napari_medcnn.io.dicom.pixels.colour import rgb_from_ybr
from napari_medcnn.io.dicom.pixels.pixelfile import opened

DATA = Path(__file__).parent.parent / "data" / "htj2k"


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


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_large_jpeg_ls_pictures_take_the_other_decoder_and_are_as_exact(tmp_path: Path, dtype: str) -> None:
    limits = np.iinfo(dtype)
    stored = np.random.default_rng(0).integers(limits.min, limits.max, (1100, 1000), endpoint=True).astype(dtype)
    path = write_encoded(tmp_path / "a.dcm", [jls(stored, limits.bits)], stored, JLS)
    np.testing.assert_array_equal(pixels(path)[0], stored)


# Frames and fragments


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
    header = read_header(write_encoded(tmp_path / "a.dcm", [j2k(grey()), j2k(grey())], grey(), J2K))
    assert header.stored is not None
    claim = replace(header, stored=replace(header.stored, frames=3))
    with pytest.raises(IncompleteFileError, match="2 of 3 compressed pictures"):
        read_planes(claim, [Frame(0)])


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
