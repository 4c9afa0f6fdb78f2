"""NRRD, MetaImage, MGH and GIPL beyond the plain case, against pynrrd, SimpleITK, nibabel or a formula."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from cases import ANISOTROPIC_MM, noise
from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.formats import inspect_file, read_file
from napari_medcnn.io.metaimage import read_metaimage
from napari_medcnn.io.nrrd import inspect_nrrd, read_nrrd
from napari_medcnn.io.sniff import sniff

HEAD = "NRRD0005\ntype: short\nendian: little\nencoding: raw\n"
SPACE = "space: left-posterior-superior\nspace origin: (1,2,3)\n"
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def load(path: Path, **consent: object) -> Volume:
    return read_file(path, sniff(path), None, Consent(**consent))[0]


def raw_nrrd(path: Path, fields: str, data: np.ndarray, head: str = HEAD) -> Path:
    path.write_bytes((head + fields + "\n").encode() + data.tobytes())
    return path


def test_list_axis_before_and_time_axis_behind(tmp_path: Path) -> None:
    frames = noise((2, 4, 5, 6))
    fields = SPACE + "dimension: 4\nsizes: 2 6 5 4\nspace directions: none (1,0,0) (0,1,0) (0,0,2)\n"
    path = raw_nrrd(tmp_path / "l.nrrd", fields + "kinds: list domain domain domain\n", np.moveaxis(frames, 0, -1))
    volume = load(path)
    assert volume.axes == "tzyx"
    np.testing.assert_array_equal(volume.array, frames)
    np.testing.assert_array_equal(volume.array, np.moveaxis(nrrd.read(str(path), index_order="C")[0], -1, 0))
    fields = SPACE + "dimension: 4\nsizes: 6 5 4 2\nspace directions: (1,0,0) (0,1,0) (0,0,2) none\n"
    timed = 'kinds: domain domain domain time\nspacings: nan nan nan 500\nunits: "" "" "" "ms"\n'
    timed += "axis mins: nan nan nan 250\n"
    volume = load(raw_nrrd(tmp_path / "t.nrrd", fields + timed, frames))
    np.testing.assert_array_equal(volume.array, frames)
    assert (volume.frame_values, volume.frame_unit, volume.frame_name) == ((0.25, 0.75), "s", "t")
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2, 1, 1))


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize(("kind", "names"), [("RGB-color", ("red", "green", "blue")), ("covariant-vector", ())])
def test_colours_and_vectors_come_last(tmp_path: Path, place: int, kind: str, names: tuple) -> None:
    data = noise((4, 5, 6, 3))
    rows, kinds, sizes = ["(1,0,0)", "(0,1,0)", "(0,0,2)"], ["domain"] * 3, ["6", "5", "4"]
    for listed, value in ((rows, "none"), (kinds, kind), (sizes, "3")):
        listed.insert(place, value)
    fields = f"dimension: 4\nsizes: {' '.join(sizes)}\nspace directions: {' '.join(rows)}\nkinds: {' '.join(kinds)}\n"
    volume = load(raw_nrrd(tmp_path / "c.nrrd", SPACE + fields, data if place == 0 else np.moveaxis(data, -1, 0)))
    assert (volume.axes, volume.channel_names) == ("zyxc", names)
    np.testing.assert_array_equal(volume.array, data)


def test_row_15_complex_numbers_ask_which_part(tmp_path: Path) -> None:
    data = (noise((4, 5, 6)) + 1j * noise((4, 5, 6), seed=1)).astype("complex64")
    fields = "dimension: 4\nsizes: 2 6 5 4\nkinds: complex domain domain domain\nspacings: nan 1 1 2\n"
    path = raw_nrrd(tmp_path / "z.nrrd", fields, data.view("float32"), HEAD.replace("short", "float"))
    with pytest.raises(ConsentNeededError, match="complex") as caught:
        load(path)
    assert caught.value.asks == inspect_nrrd(path)[0].report.asks == "complex_part"
    np.testing.assert_array_equal(load(path, complex_part="imaginary").array, data.imag)
    np.testing.assert_allclose(load(path, complex_part="phase").array, np.angle(data), rtol=1e-6)


def test_b_values_of_diffusion_images(tmp_path: Path) -> None:
    gradients = ("0 0 0", "0.6 0 0.8", "0 0.5 0.5")
    extra = "DWMRI_b-value:=1000\n" + "".join(f"DWMRI_gradient_{k:04d}:={g}\n" for k, g in enumerate(gradients))
    fields = "dimension: 4\nsizes: 6 5 4 3\nspace directions: (1,0,0) (0,1,0) (0,0,2) none\n"
    fields += "measurement frame: (1,0,0) (0,1,0) (0,0,1)\n"
    volume = load(raw_nrrd(tmp_path / "d.nrrd", SPACE + fields + extra, noise((3, 4, 5, 6))))
    assert (volume.frame_values, volume.frame_unit, volume.frame_name) == ((0.0, 1000.0, 500.0), "s/mm2", "b")
    assert any("measurement frame" in line for line in volume.report.found)


@pytest.mark.parametrize(
    ("unit", "factor", "noted"), [("mm", 1, False), ("cm", 10, True), ("um", 1e-3, True), ("parsec", 1, True)]
)
def test_lengths_in_other_units(tmp_path: Path, unit: str, factor: float, noted: bool) -> None:
    fields = (
        "dimension: 3\nsizes: 6 5 4\nspace directions: (0,-0.7,0) (0.8,0,0) (0,0,3)\n"
        + f'space units: "{unit}" "{unit}" "{unit}"\n'
    )
    volume = load(raw_nrrd(tmp_path / "u.nrrd", SPACE + fields, noise((4, 5, 6))))
    np.testing.assert_allclose(volume.geometry.spacing_mm, np.array([3, 0.8, 0.7]) * factor)
    np.testing.assert_allclose(volume.geometry.origin_lps, np.array([1, 2, 3]) * factor)
    assert any("unit" in note for note in volume.notes) == noted


def test_hexadecimal_and_cut_text(tmp_path: Path) -> None:
    data = noise((4, 5, 6))
    fields = "dimension: 3\nsizes: 6 5 4\nspacings: 1 1 2\n"
    head = HEAD.replace("raw", "hex")
    digits = data.tobytes().hex()
    path = tmp_path / "h.nrrd"
    path.write_text(head + fields + "\n" + "\n".join(digits[k : k + 70] for k in range(0, len(digits), 70)) + "\n")
    np.testing.assert_array_equal(load(path).array, data)
    path.write_text(head + fields + "\n" + digits[:-2])
    with pytest.raises(IncompleteFileError):
        load(path)
    path.write_text(head + fields + "\n" + "zz" + digits[2:])
    with pytest.raises(InputError, match="hexadecimal"):
        load(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["nhdr", "mhd"])
@pytest.mark.parametrize("how", ["list", "pattern"])
def test_voxels_in_one_file_per_slice(tmp_path: Path, packed: bool, kind: str, how: str) -> None:
    data = noise((4, 5, 6))
    import zlib

    for k, plane in enumerate(data):
        body = plane.tobytes()
        (tmp_path / f"s{k:02d}.raw").write_bytes(
            (gzip.compress if kind == "nhdr" else zlib.compress)(body) if packed else body
        )
    listed = "LIST\n" + "\n".join(f"s{k:02d}.raw" for k in range(4)) if how == "list" else "s%02d.raw 0 3 1"
    path = tmp_path / f"a.{kind}"
    if kind == "nhdr":
        head = HEAD.replace("raw", "gzip") if packed else HEAD
        path.write_text(
            head
            + SPACE
            + "dimension: 3\nsizes: 6 5 4\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n"
            + f"data file: {listed}\n"
        )
    else:
        path.write_text(
            f"ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\nCompressedData = {packed}\n"
            f"ElementSpacing = 1 1 2\nElementDataFile = {listed}\n"
        )
    np.testing.assert_array_equal(load(path).array, data)
    if not packed:
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), data)
    (tmp_path / "s02.raw").write_bytes((tmp_path / "s02.raw").read_bytes()[:-9])
    assert "incomplete" in inspect_file(path, sniff(path))[0].report.refused[0]
    with pytest.raises(IncompleteFileError, match=r"s02\.raw"):
        load(path)
    (tmp_path / "s02.raw").unlink()
    with pytest.raises(IncompleteFileError, match="not beside"):
        load(path)


@pytest.mark.parametrize(
    "listed", ["../s%d.raw 0 1 1", "s%x.raw 0 1 1", "s%d.raw 0 nine 1", "s%d.raw 0 99999999 1", "s%d.raw 5 1 1"]
)
def test_row_32_patterns_that_lead_out_or_do_not_count(tmp_path: Path, listed: str) -> None:
    for k in range(2):
        (tmp_path / f"s{k}.raw").write_bytes(bytes(60))
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.nhdr"
    path.write_text(HEAD + "dimension: 3\nsizes: 6 5 2\n" + f"data file: {listed}\n")
    with pytest.raises(InputError, match=r"refused|expected data files"):
        load(path)


def test_a_data_file_with_a_header_of_its_own_is_not_read_shifted(tmp_path: Path) -> None:
    data = noise((4, 5, 6))
    (tmp_path / "d.raw").write_bytes(bytes(352) + data.tobytes())
    fields = HEAD + "dimension: 3\nsizes: 6 5 4\nspacings: 1 1 2\n"
    (tmp_path / "a.nhdr").write_text(fields + "data file: d.raw\n")
    with pytest.raises(InputError, match="352 bytes more than the 240"):
        load(tmp_path / "a.nhdr")
    (tmp_path / "a.nhdr").write_text(fields + "byte skip: -1\ndata file: d.raw\n")
    np.testing.assert_array_equal(load(tmp_path / "a.nhdr").array, data)


@pytest.mark.parametrize("matrix", ["TransformMatrix", "Rotation", "Orientation"])
@pytest.mark.parametrize("origin", ["Offset", "Position", "Origin"])
def test_metaimage_names_of_direction_and_origin(tmp_path: Path, matrix: str, origin: str) -> None:
    turn = Rotation.from_euler("xyz", [12, -7, 25], degrees=True).as_matrix()
    image = sitk.GetImageFromArray(noise((4, 5, 6)))
    image.SetSpacing(ANISOTROPIC_MM[::-1])
    image.SetOrigin((10.0, -20.5, 33.0))
    image.SetDirection(turn.ravel().tolist())
    path = tmp_path / "m.mha"
    sitk.WriteImage(image, str(path))
    text = path.read_bytes().replace(b"TransformMatrix", matrix.encode()).replace(b"Offset", origin.encode())
    path.write_bytes(text.replace(b"CenterOfRotation = 0 0 0", b"CenterOfRotation = 5 6 7"))
    other, volume = sitk.ReadImage(str(path)), load(path)
    np.testing.assert_allclose(volume.geometry.direction.ravel(), other.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(volume.geometry.origin_lps, other.GetOrigin())
    np.testing.assert_allclose(volume.geometry.spacing_mm, other.GetSpacing()[::-1])


def test_metaimage_as_text_big_endian_and_with_a_window(tmp_path: Path) -> None:
    data = noise((2, 3, 4))
    head = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementSpacing = 1 1 2\nElementType = MET_SHORT\n"
    path = tmp_path / "a.mha"
    path.write_text(head + "BinaryData = False\nElementDataFile = LOCAL\n" + " ".join(map(str, data.ravel())) + "\n")
    np.testing.assert_array_equal(load(path).array, data)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), data)
    more = "BinaryDataByteOrderMSB = True\nWindowCenter = 40\nWindowWidth = 400\nElementDataFile = LOCAL\n"
    path.write_bytes((head + more).encode() + data.astype(">i2").tobytes())
    np.testing.assert_array_equal(load(path).array, data)
    assert load(path).window == (-160.0, 240.0)
    path.write_bytes((head + "ElementSpacing = 0,7 0,8 3\n" + more).encode() + data.astype(">i2").tobytes())
    with pytest.raises(InputError, match="0,7"):  # row 62: a decimal comma is named, never read as 0 or 7
        load(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_row_12_shear_in_four_dimensions(tmp_path: Path, suffix: str) -> None:
    data = np.stack([np.full((4, 5, 6), 7, "int16"), np.full((4, 5, 6), 9, "int16")])
    path = tmp_path / f"s{suffix}"
    if suffix == ".nrrd":
        raw_nrrd(path, SPACE + "dimension: 4\nsizes: 6 5 4 2\nspace directions: (1,0,0) (0,1,0) (0,0.5,2) none\n", data)
    else:
        path.write_bytes(
            b"ObjectType = Image\nNDims = 4\nDimSize = 6 5 4 2\nElementSpacing = 1 1 2 1\nOffset = 0 0 0 0\n"
            b"TransformMatrix = 1 0 0 0 0 1 0 0 0 0.5 1 0 0 0 0 1\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
            + data.tobytes()
        )
    with pytest.raises(ConsentNeededError, match="sheared"):
        load(path)
    volume = load(path, resample=True)
    centre = (slice(None), *(n // 2 for n in volume.geometry.shape))
    np.testing.assert_array_equal(volume.array[centre], [7, 9])


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_row_2_a_wrong_checksum_asks_and_is_marked(tmp_path: Path, suffix: str) -> None:
    image = sitk.GetImageFromArray(noise((16, 15, 14)))
    path = tmp_path / f"d{suffix}"
    sitk.WriteImage(image, str(path), True)
    data = bytearray(path.read_bytes())
    data[-5 if suffix == ".nrrd" else -1] ^= 0xFF  # CRC-32 and length of gzip; Adler-32 of zlib
    path.write_bytes(data)
    with pytest.raises(ConsentNeededError, match="damaged") as caught:
        load(path)
    assert caught.value.asks == "damaged"
    volume = load(path, damaged=True)
    np.testing.assert_array_equal(volume.array, noise((16, 15, 14)))
    assert any("checksum is wrong" in note for note in volume.notes)


@pytest.mark.parametrize("size", [16, 160])
def test_row_1_a_first_look_tells_a_cut_metaimage_by_its_stated_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "c.mha"
    sitk.WriteImage(sitk.GetImageFromArray(noise((size, 160, 100))), str(path), True)
    assert inspect_file(path, "metaimage")[0].report.warnings == ()
    assert not any("not checked" in line for line in inspect_file(path, "metaimage")[0].report.found)
    path.write_bytes(path.read_bytes()[:-50])
    assert "incomplete" in inspect_file(path, "metaimage")[0].report.refused[0]


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("frames", [1, 3])
def test_mgh_equals_nibabel(tmp_path: Path, suffix: str, dtype: str, frames: int) -> None:
    turn = Rotation.from_euler("xyz", [12, -7, 25], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.7, 0.8, 3.0])
    affine[:3, 3] = [10, -20, 30]
    data = noise((6, 5, 4, frames)[: 3 + (frames > 1)]).astype(dtype)
    path = tmp_path / f"a{suffix}"
    nib.save(nib.MGHImage(data, affine), path)
    raw = path.read_bytes()  # nibabel leaves a .mgh file open
    volume, other = load(path), nib.MGHImage.from_bytes(gzip.decompress(raw) if suffix == ".mgz" else raw)
    np.testing.assert_array_equal(volume.array, np.asarray(other.dataobj).T)
    assert volume.array.dtype == np.dtype(dtype)
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ other.affine, atol=1e-4)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(IncompleteFileError):
        load(path)


def test_mgh_without_a_direction_and_of_an_unknown_type(tmp_path: Path) -> None:
    path = tmp_path / "a.mgh"
    nib.save(nib.MGHImage(noise((6, 5, 4)), np.eye(4)), path)
    data = bytearray(path.read_bytes())
    data[28:30] = b"\0\0"
    path.write_bytes(data)
    assert load(path).geometry.orientation is None
    data[20:24] = (9).to_bytes(4, "big")
    path.write_bytes(data)
    assert sniff(path) is None  # four small numbers alone make no MGH file


@pytest.mark.parametrize("suffix", [".gipl", ".gipl.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "float32", "float64"])
def test_gipl_equals_simpleitk(tmp_path: Path, suffix: str, dtype: str) -> None:
    image = sitk.GetImageFromArray(noise((4, 5, 6)).astype(dtype))
    image.SetSpacing(ANISOTROPIC_MM[::-1])
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image, str(path))
    volume = load(path)
    np.testing.assert_array_equal(volume.array, noise((4, 5, 6)).astype(dtype))
    np.testing.assert_allclose(volume.geometry.spacing_mm, ANISOTROPIC_MM, rtol=1e-6)
    assert volume.geometry.orientation is None
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(IncompleteFileError):
        load(path)


def test_what_is_not_read_is_named_with_what_opens_it(tmp_path: Path) -> None:
    for encoding in ("hexx", "zrl"):
        path = raw_nrrd(
            tmp_path / "e.nrrd", "dimension: 3\nsizes: 6 5 4\n", noise((4, 5, 6)), HEAD.replace("raw", encoding)
        )
        with pytest.raises((UnsupportedError, InputError), match=encoding):
            read_nrrd(path)
    path = tmp_path / "five.mha"
    path.write_text(
        "ObjectType = Image\nNDims = 5\nDimSize = 2 2 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    with pytest.raises(InputError, match="5 dimensions"):
        read_metaimage(path)


@pytest.mark.parametrize("colour", ["1e999 0 0", "nan 0 0", "red"])
def test_row_61_a_colour_that_is_none_is_named(tmp_path: Path, colour: str) -> None:
    fields = f"dimension: 3\nsizes: 6 5 4\nSegment0_ID:=a\nSegment0_LabelValue:=1\nSegment0_Color:={colour}\n"
    with pytest.raises(InputError, match="colour"):
        load(raw_nrrd(tmp_path / "a.seg.nrrd", fields, noise((4, 5, 6))))
