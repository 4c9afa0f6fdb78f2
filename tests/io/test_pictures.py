"""Pictures against the arrays they were made from, written by Pillow, tifffile and SimpleITK."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from napari_medcnn.core.consent import Consent
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError
from napari_medcnn.io.read import inspect, read, read_labels, read_volume

GREY = np.random.default_rng(0).integers(0, 256, (37, 53), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (37, 53, 3), dtype=np.uint8)
DEEP = np.random.default_rng(2).integers(0, 65536, (37, 53), dtype=np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_lossless_pictures(tmp_path: Path, suffix: str) -> None:
    for name, data in (("grey", GREY), ("rgb", RGB)):
        path = tmp_path / f"{name}{suffix}"
        Image.fromarray(data).save(path)
        volume = read(path)
        np.testing.assert_array_equal(volume.array[0], data)
        assert volume.axes == ("zyxc" if data.ndim == 3 else "zyx")
        assert volume.is_picture
        assert not volume.geometry.spacing_known
        assert volume.modality == "picture"
        (item,) = inspect(path).items
        assert (item.kind, item.shape, item.axes, item.dtype) == ("picture", volume.array.shape, volume.axes, "uint8")


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg", quality=90)
    np.testing.assert_array_equal(read(tmp_path / "a.jpg").array[0], np.asarray(Image.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_row_15_sixteen_bits_grey_and_colour(tmp_path: Path, suffix: str) -> None:
    colour = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], -1)
    sitk.WriteImage(sitk.GetImageFromArray(DEEP), str(tmp_path / f"g{suffix}"))
    sitk.WriteImage(sitk.GetImageFromArray(colour, isVector=True), str(tmp_path / f"c{suffix}"))
    grey, rgb = read(tmp_path / f"g{suffix}"), read(tmp_path / f"c{suffix}")
    assert (grey.array.dtype, rgb.array.dtype) == (np.uint16, np.uint16)
    np.testing.assert_array_equal(grey.array[0], DEEP)
    np.testing.assert_array_equal(rgb.array[0], colour)


def test_transparency_is_left_out_with_a_note(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, GREY])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    volume = read(tmp_path / "a.png")
    np.testing.assert_array_equal(volume.array[0], RGB)
    assert any("transparency" in note for note in volume.notes)


def test_palette_is_colour_for_a_picture_and_numbers_for_a_mask(tmp_path: Path) -> None:
    ids = GREY % 3
    image = Image.fromarray(ids)
    image.putpalette([0, 0, 0, 200, 10, 20, 30, 40, 250])
    image.save(tmp_path / "p.png")
    table = np.array([[0, 0, 0], [200, 10, 20], [30, 40, 250]], np.uint8)
    np.testing.assert_array_equal(read(tmp_path / "p.png").array[0], table[ids])
    np.testing.assert_array_equal(read_labels(tmp_path / "p.png").array[0], ids)


def test_masks_of_one_bit_and_grey_in_three_channels(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.png").array[0], GREY > 100)
    Image.fromarray(np.dstack([GREY] * 3)).save(tmp_path / "t.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "t.png").array[0], GREY)
    Image.fromarray(RGB).save(tmp_path / "c.png")
    with pytest.raises(InputError, match="one class number"):
        read_labels(tmp_path / "c.png")


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_a_stack_of_pages(tmp_path: Path, compression: str | None) -> None:
    stack = np.stack([DEEP, DEEP + 1, DEEP + 2])
    path = tmp_path / "s.tif"
    if compression == "lzw":
        images = [Image.fromarray(page) for page in stack]
        images[0].save(path, save_all=True, append_images=images[1:], compression="tiff_lzw")
    else:
        tifffile.imwrite(path, stack, compression=compression, photometric="minisblack")
    volume = read(path)
    np.testing.assert_array_equal(volume.array, stack)
    assert volume.axes == "zyx"
    assert not volume.geometry.orientation_known
    assert inspect(path).items[0].shape == stack.shape


def test_pages_of_different_size_are_items_of_their_own(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "m.tif") as writer:
        writer.write(GREY)
        writer.write(GREY[:10])
        writer.write(GREY[:10])
    with pytest.raises(InputError, match=r"pages differ.*page-1 \(53 x 37\), page-2 \(53 x 10\)"):
        read(tmp_path / "m.tif")
    items = inspect(tmp_path / "m.tif").items
    assert [(i.id, i.shape) for i in items] == [("page-1", (1, 37, 53)), ("page-2", (2, 10, 53))]
    np.testing.assert_array_equal(read(tmp_path / "m.tif", "page-2").array, [GREY[:10]] * 2)
    assert [i.id for i in inspect(tmp_path).items] == ["m.tif:page-1", "m.tif:page-2"]
    np.testing.assert_array_equal(read(tmp_path, "m.tif:page-1").array[0], GREY)


@pytest.mark.parametrize("packed", [False, True])
def test_row_4_a_cut_stack_asks_and_then_shows_its_whole_pages(tmp_path: Path, packed: bool) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (24, 32, 32), dtype=np.uint8)
    images = [Image.fromarray(page) for page in stack]
    path = tmp_path / "s.tif"
    # Pillow writes page after page, so a cut file has whole pages in front.
    images[0].save(path, save_all=True, append_images=images[1:], compression="tiff_deflate" if packed else None)
    whole = path.read_bytes()
    np.testing.assert_array_equal(read(path).array, stack)
    for share in (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError) as caught:
            read(path)
        if share < 0.1:
            assert not isinstance(caught.value, ConsentNeededError)
            continue
        assert caught.value.asks == "damaged"
        left = read(path, consent=Consent(damaged=True))
        pages = len(left.array)
        assert 24 * share - 2 <= pages < 24  # a page is 1 of 24 equal parts
        np.testing.assert_array_equal(left.array, stack[:pages])
        assert any(f"pages {pages + 1} and on are missing" in note for note in left.notes)
        (item,) = inspect(path).items
        assert (item.report.asks, item.shape) == ("damaged", left.array.shape)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_row_4_a_cut_picture_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.kron(RGB, np.ones((8, 8, 1), np.uint8))).save(path)
    whole = path.read_bytes()
    for keep in (0, 1, 9, 30, 200, len(whole) // 3, len(whole) - 2000, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(InputError):
            read(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IncompleteFileError if suffix == ".bmp" else ConsentNeededError):
        read(path)


@pytest.mark.parametrize(("suffix", "options"), [(".jpg", {}), (".jpg", {"progressive": True}), (".png", {})])
def test_row_4_on_consent_the_rest_is_shown_and_the_missing_part_named(tmp_path: Path, suffix: str, options) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.kron(RGB, np.ones((8, 8, 1), np.uint8))).save(path, **options)
    full = np.asarray(Image.open(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (item,) = inspect(path).items
    assert item.report.asks == "damaged"
    left = read(path, consent=Consent(damaged=True))
    assert left.array.shape == (1, *full.shape)
    assert "missing" in left.notes[-1]
    assert "do not measure" in left.notes[-1]
    if not options:
        rows = int(re.search(r"lower (\d+) of its 296 rows", left.notes[-1])[1])
        assert 100 < rows < 200
        safe = 296 - rows - 18  # the last row of blocks (16) may be half there, and its colours reach one row up
        np.testing.assert_array_equal(left.array[0, :safe], full[:safe])


def test_row_6_a_picture_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 300_000, 300_000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(InputError, match=r"too large|memory"):
        read(tmp_path / "bomb.png")


def test_row_6_thirty_thousand_pixels_square_are_asked_about(tmp_path: Path) -> None:
    """reliability.md 2.1: 0.9 MB that SimpleITK turns into a gigabyte without a word."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(30_001 * 100)) for _ in range(300)) + packer.flush()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match=r"expand to 0\.9 GB|0\.9 GB and") as caught:
        read(path)
    (item,) = inspect(path).items
    assert item.report.refused
    if isinstance(caught.value, ConsentNeededError):  # unless the machine has no memory for it at all
        assert item.report.asks == caught.value.asks == "large"


def test_a_large_picture_opens_on_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medcnn.io import payload

    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((1000, 1000), np.uint8)).save(path)
    monkeypatch.setattr(payload, "free_memory", lambda: 1_500_000)  # row 6: above half, row 7: below all of it
    with pytest.raises(ConsentNeededError, match=r"expand to 1\.0 MB"):
        read(path)
    assert read(path, consent=Consent(large=True)).array.shape == (1, 1000, 1000)


@pytest.mark.parametrize(
    ("turn", "words"), [(3, "180°"), (6, "90° clockwise"), (8, "counter-clockwise"), (2, "mirrored")]
)
def test_how_the_camera_was_held_is_said_and_not_applied(tmp_path: Path, turn: int, words: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    volume = read(tmp_path / "a.jpg")
    assert any(words in note for note in volume.report.assumed)
    np.testing.assert_array_equal(volume.array[0], np.asarray(Image.open(tmp_path / "a.jpg")))
    assert inspect(tmp_path / "a.jpg").items[0].warnings == volume.notes


def test_cmyk_photographs_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "k.jpg", quality=95)
    volume = read(tmp_path / "k.jpg")
    np.testing.assert_array_equal(volume.array[0], np.asarray(Image.open(tmp_path / "k.jpg").convert("RGB")))
    assert any("CMYK" in note for note in volume.notes)
    assert inspect(tmp_path / "k.jpg").items[0].shape == volume.array.shape


@pytest.mark.parametrize(("suffix", "options"), [(".webp", {"lossless": True}), (".jp2", {"irreversible": False})])
def test_webp_and_jpeg_2000(tmp_path: Path, suffix: str, options) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(RGB).save(path, **options)
    np.testing.assert_array_equal(read(path).array[0], RGB)
    (item,) = inspect(path).items
    assert (item.kind, item.shape, item.dtype) == ("picture", (1, 37, 53, 3), "uint8")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError):
        read(path)


def test_sixteen_bit_jpeg_2000(tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(tmp_path / "a.jp2", irreversible=False)
    np.testing.assert_array_equal(read(tmp_path / "a.jp2").array[0], DEEP)


def test_a_gif_shows_its_first_picture_and_says_so(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    volume = read(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as other:
        first = np.asarray(other.convert("RGB"))
    shown = volume.array[0] if volume.array.ndim == 4 else np.dstack([volume.array[0]] * 3)
    np.testing.assert_array_equal(shown, first)
    assert any("holds 2 pictures" in note for note in volume.notes)


def test_row_3_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="empty"):
        read(tmp_path / "empty.png")
    with pytest.raises(InputError, match="nothing"):
        read(tmp_path / "absent.png")
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="no image in this folder"):
        read(tmp_path / "only")
    with pytest.raises(InputError, match="text file"):
        read(tmp_path / "only" / "notes.txt")


def test_row_16_extension_is_not_believed(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    (tmp_path / "scan.NII").write_bytes((tmp_path / "a.png").read_bytes())
    np.testing.assert_array_equal(read(tmp_path / "scan.NII").array[0], RGB)


def test_a_folder_of_pictures_lists_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    Image.fromarray(RGB).save(tmp_path / "a.png")
    Image.fromarray(GREY).save(tmp_path / "sub" / "b.png")
    found = inspect(tmp_path)
    assert [item.id for item in found.items] == ["a.png", "sub/b.png"]
    with pytest.raises(InputError, match=r"choose one.*a\.png.*sub/b\.png"):
        read(tmp_path)
    np.testing.assert_array_equal(read(tmp_path, "sub/b.png").array[0], GREY)


def test_fundus_photographs_equal_pillow(shared_data) -> None:
    path = next(iter(sorted(shared_data("chase-db1").rglob("*.jpg"))), None)
    if path is None:
        pytest.skip("no JPEG in chase-db1")
    np.testing.assert_array_equal(read_volume(path).array[0], np.asarray(Image.open(path)))
