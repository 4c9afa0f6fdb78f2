"""TIFF beyond the plain stack, written by tifffile and Pillow and compared with the arrays they were given."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io import payload
from napari_medcnn.io.formats import inspect_file, read_file
from napari_medcnn.io.read import read_labels

RNG = np.random.default_rng(0)
RGB = np.kron(RNG.integers(0, 256, (10, 12, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))


def load(path: Path, item: str | None = None, **consent: object) -> Volume:
    volume, _ = read_file(path, "tiff", item, Consent(**consent))
    for entry in inspect_file(path, "tiff"):
        if item in (None, entry.id):
            assert (entry.axes, entry.shape, entry.geometry) == (volume.axes, volume.array.shape, volume.geometry)
            assert entry.dtype == volume.array.dtype.name
            assert entry.report.assumed == entry.warnings
    assert volume.notes == volume.report.warnings
    return volume


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_byte_orders_and_bigtiff(tmp_path: Path, dtype: str, big: bool, order: str) -> None:
    data = RNG.integers(0, 200, (3, 20, 31)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", data, bigtiff=big, byteorder=order, photometric="minisblack", metadata=None)
    np.testing.assert_array_equal(load(tmp_path / "a.tif").array, data)


def test_imagej_order_sizes_and_times(tmp_path: Path) -> None:
    data = RNG.integers(0, 60000, (2, 4, 3, 20, 31)).astype("uint16")  # t, z, c, y, x
    tifffile.imwrite(
        tmp_path / "a.tif", data, imagej=True, resolution=(1 / 0.5, 1 / 0.25),
        metadata={"axes": "TZCYX", "unit": "um", "spacing": 2.0, "finterval": 30.0},
    )  # fmt: skip
    volume = load(tmp_path / "a.tif")
    assert volume.axes == "tzyx" or volume.axes == "tzyxc"
    np.testing.assert_array_equal(volume.array, np.moveaxis(data, 2, -1))
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2e-3, 0.25e-3, 0.5e-3))
    assert volume.geometry.spacing_known
    assert volume.geometry.orientation is None
    assert (volume.frame_values, volume.frame_unit) == ((0.0, 30.0), "s")
    assert any("0.5 x 0.25 µm" in line for line in volume.report.found)


def test_imagej_stack_whose_pages_are_not_listed(tmp_path: Path) -> None:
    """ImageJ leaves the page table out above 4 GB: one entry, the voxels one after the other behind it."""
    data = RNG.integers(0, 60000, (6, 20, 31)).astype(">u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as tif:
        entries, first = len(tif.pages[0].tags), tif.pages[0].offset
    whole = bytearray(path.read_bytes())
    struct.pack_into(">I", whole, first + 2 + 12 * entries, 0)  # no second page
    path.write_bytes(whole)
    np.testing.assert_array_equal(load(path).array, data)


@pytest.mark.parametrize("order", ["XYZCT", "XYCZT", "XYCTZ"])
def test_ome_order_and_sizes(tmp_path: Path, order: str) -> None:
    axes = order[:1:-1]  # slowest first
    sizes = {"T": 2, "C": 3, "Z": 4}
    data = RNG.integers(0, 60000, (*(sizes[a] for a in axes), 20, 31)).astype("uint16")
    meta = {"axes": axes + "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 250,
            "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 2.0, "TimeIncrement": 500,
            "TimeIncrementUnit": "ms"}  # fmt: skip
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata=meta, photometric="minisblack")
    volume = load(tmp_path / "a.ome.tif")
    assert volume.axes == "tzyxc"
    expected = np.transpose(data, [axes.index("T"), axes.index("Z"), 3, 4, axes.index("C")])
    np.testing.assert_array_equal(volume.array, expected)
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2e-3, 0.25e-3, 0.5e-3))
    assert volume.frame_values == (0.0, 0.5)


def test_a_single_page_has_a_pixel_size_and_no_thickness(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB[..., 0], imagej=True, resolution=(4, 4), metadata={"unit": "mm"})
    volume = load(tmp_path / "a.tif")
    assert volume.is_picture
    assert not volume.geometry.spacing_known
    assert any("0.25 x 0.25 mm" in line for line in volume.report.found)


def test_cmyk_and_jpeg_pages_are_turned_into_rgb_and_not_cut(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "k.tif")
    volume = load(tmp_path / "k.tif")
    np.testing.assert_array_equal(volume.array[0], np.array(Image.open(tmp_path / "k.tif").convert("RGB")))
    assert any("CMYK" in note for note in volume.notes)
    Image.fromarray(RGB).save(tmp_path / "j.tif", compression="jpeg", quality=95)
    volume = load(tmp_path / "j.tif")
    np.testing.assert_array_equal(volume.array[0], np.array(Image.open(tmp_path / "j.tif").convert("RGB")))
    assert np.abs(volume.array[0].astype(int) - RGB).mean() < 5


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
def test_palettes_and_transparency(tmp_path: Path, compression: str | None) -> None:
    ids = RNG.integers(0, 3, (20, 31), dtype=np.uint8)
    image = Image.fromarray(ids)
    image.putpalette([0, 0, 0, 200, 10, 20, 30, 40, 250])
    image.save(tmp_path / "p.tif", compression=compression)
    table = np.array([[0, 0, 0], [200, 10, 20], [30, 40, 250]], np.uint8)
    np.testing.assert_array_equal(load(tmp_path / "p.tif").array[0], table[ids])
    np.testing.assert_array_equal(read_labels(tmp_path / "p.tif").array[0], ids)
    Image.fromarray(np.dstack([RGB, RGB[..., 0]])).save(tmp_path / "t.tif", compression=compression)
    volume = load(tmp_path / "t.tif")
    np.testing.assert_array_equal(volume.array[0], RGB)
    assert any("transparency" in note for note in volume.notes)


def test_white_is_zero_is_shown_inverted_with_values_kept(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "w.tif", RGB[..., 0], photometric="miniswhite")
    volume = load(tmp_path / "w.tif")
    assert volume.inverted
    np.testing.assert_array_equal(volume.array[0], RGB[..., 0])


def test_compressed_pages_of_different_sizes(tmp_path: Path) -> None:
    pages = [Image.fromarray(RGB), Image.fromarray(RGB[:40]), Image.fromarray(RGB[:40] // 2)]
    pages[0].save(tmp_path / "m.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    assert [i.id for i in inspect_file(tmp_path / "m.tif", "tiff")] == ["page-1", "page-2"]
    np.testing.assert_array_equal(load(tmp_path / "m.tif", "page-1").array[0], RGB)
    np.testing.assert_array_equal(load(tmp_path / "m.tif", "page-2").array, [RGB[:40], RGB[:40] // 2])
    with pytest.raises(InputError, match=r"page-1 \(96 x 80\), page-2 \(96 x 40\)"):
        read_file(tmp_path / "m.tif", "tiff")


def test_colours_that_are_not_read_are_named(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("LAB").save(tmp_path / "l.tif")
    with pytest.raises(UnsupportedError, match="CIELAB"):
        read_file(tmp_path / "l.tif", "tiff")


def test_row_4_pages_that_point_back_or_hold_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as tif:
        entries, first = len(tif.pages[0].tags), tif.pages[0].offset
        counts = tif.pages[0].tags["StripByteCounts"]
    whole = path.read_bytes()
    looped = bytearray(whole)
    struct.pack_into("<I", looped, first + 2 + 12 * entries, first)
    path.write_bytes(looped)
    with pytest.raises(InputError, match="point back"):
        read_file(path, "tiff")
    emptied = bytearray(whole)
    struct.pack_into("<I", emptied, counts.offset + 8, 0)
    path.write_bytes(emptied)
    with pytest.raises(InputError, match=r"incomplete|hold no data"):
        read_file(path, "tiff")


def test_row_4_rows_without_a_strip_are_not_filled_with_zeros(tmp_path: Path) -> None:
    """tifffile and libtiff put zeros where the table names fewer strips than the picture has rows."""
    path = tmp_path / "b.tif"
    tifffile.imwrite(path, RGB[..., 0], compression="zlib", metadata=None, rowsperstrip=80)
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages[0].tags["ImageLength"]
    data = bytearray(path.read_bytes())
    struct.pack_into({3: "<H", 4: "<I"}[int(tag.dtype)], data, tag.offset + 8, 160)
    path.write_bytes(data)
    assert tifffile.imread(path)[80:].max() == 0  # what must not happen here
    for damaged in (False, True):
        with pytest.raises(IncompleteFileError):
            read_file(path, "tiff", None, Consent(damaged=damaged))


def test_row_6_a_tiff_that_expands_beyond_half_of_the_memory_asks(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "b.tif"
    tifffile.imwrite(path, np.zeros((1000, 1000), np.uint8), compression="zlib", metadata=None)
    monkeypatch.setattr(payload, "free_memory", lambda: 1_500_000)
    with pytest.raises(ConsentNeededError, match=r"expand to 1\.0 MB; 1\.5 MB of memory are free") as caught:
        read_file(path, "tiff")
    assert caught.value.asks == inspect_file(path, "tiff")[0].report.asks == "large"
    assert read_file(path, "tiff", None, Consent(large=True))[0].array.shape == (1, 1000, 1000)


def test_row_5_a_tiff_that_claims_what_no_compression_could_hold(tmp_path: Path) -> None:
    path = tmp_path / "b.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8), compression="zlib", metadata=None, rowsperstrip=64)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = tif.pages[0].tags[name]
            struct.pack_into({3: "<H", 4: "<I"}[int(tag.dtype)], data, tag.offset + 8, 25_000)
    path.write_bytes(data)
    with pytest.raises(IncompleteFileError):
        read_file(path, "tiff", None, Consent(large=True, damaged=True))


def test_row_4_nothing_left_is_an_error_whatever_is_agreed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], photometric="minisblack", metadata=None)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(IncompleteFileError):
        read_file(path, "tiff", None, Consent(damaged=True))
