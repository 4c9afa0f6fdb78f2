"""NIfTI against nibabel, the format's second reader."""

from __future__ import annotations

import gzip
import itertools
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import (
    ConsentNeededError,
    GeometryError,
    IncompleteFileError,
    InputError,
    MedcnnError,
    UnsupportedError,
)
from napari_medcnn.io.read import inspect, read, read_labels

SHAPE_XYZ = (5, 4, 3)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINE_RAS = np.array([[0.7, 0, 0, -11], [0, 0.8, 0, 7], [0, 0, 3, 40], [0, 0, 0, 1.0]])


def voxels(dtype="int16", shape=SHAPE_XYZ):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def write(path: Path, data=None, affine=AFFINE_RAS, kind=nib.Nifti1Image, codes=(1, 1), **header) -> Path:
    data = voxels() if data is None else data
    image = kind(data, affine, dtype=data.dtype)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def patched(path: Path, offset: int, form: str, *values) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into("<" + form, data, offset, *values)
    path.write_bytes(data)
    return path


ORIENTATIONS = [
    np.array([[s if w == r else 0 for w, s in zip(order, signs, strict=True)] for r in range(3)], float)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize("number", range(48))
@pytest.mark.parametrize("tilt", [False, True], ids=["straight", "oblique"])
def test_all_48_orientations_equal_nibabel(tmp_path: Path, number: int, tilt: bool) -> None:
    turn = Rotation.from_euler("xyz", [7, -4, 11] if tilt else [0, 0, 0], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ ORIENTATIONS[number] @ np.diag([0.7, 0.8, 3.0])
    affine[:3, 3] = [12, -30.5, 99]
    path = write(tmp_path / "a.nii", affine=affine)
    other = nib.load(path)

    volume = read(path)

    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.array, np.asarray(other.dataobj).T)
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ other.affine, atol=1e-4)
    codes = "".join(nib.aff2axcodes(other.affine))
    assert volume.geometry.orientation == codes  # both name the direction an axis runs to, in x, y, z order


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_types_stay_rows_15_and_16(tmp_path: Path, kind, suffix: str, dtype: str) -> None:
    data = voxels(dtype)
    data.flat[0] = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 0.1
    volume = read(write(tmp_path / f"a{suffix}", data, kind=kind))
    assert volume.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.array, data.T)


def test_row_15_complex_and_rgb(tmp_path: Path) -> None:
    data = voxels("float32") * (1 + 2j)
    path = write(tmp_path / "c.nii", data.astype("complex64"))
    with pytest.raises(ConsentNeededError, match="complex") as asked:
        read(path)
    assert asked.value.asks == inspect(path).items[0].report.asks == "complex_part"
    parts = {"magnitude": np.abs(data), "phase": np.angle(data), "real": data.real, "imaginary": data.imag}
    for part, expected in parts.items():
        volume = read(path, consent=Consent(complex_part=part))
        np.testing.assert_allclose(volume.array, expected.T, rtol=1e-6)
        assert volume.array.dtype == np.float32
        assert part in volume.notes[-1]
    colour = np.zeros(SHAPE_XYZ, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["R"], colour["B"] = voxels("uint8"), 200
    rgb = read(write(tmp_path / "rgb.nii", colour))
    assert rgb.axes == "zyxc"
    np.testing.assert_array_equal(rgb.array[..., 0], voxels("uint8").T)
    assert (rgb.array[..., 1].max(), rgb.array[..., 2].min()) == (0, 200)


def test_big_endian(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(voxels().astype(">i2"), AFFINE_RAS, header), tmp_path / "b.nii")
    assert (tmp_path / "b.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read(tmp_path / "b.nii")
    np.testing.assert_array_equal(volume.array, voxels().T)
    assert volume.array.dtype == np.dtype("=i2")


def test_time_and_vectors(tmp_path: Path) -> None:
    series = voxels(shape=(5, 4, 3, 2))
    path = write(tmp_path / "t.nii.gz", series)
    patched_header = nib.load(path)
    patched_header.header.set_zooms((0.7, 0.8, 3, 2.5))
    patched_header.header.set_xyzt_units("mm", "sec")
    nib.save(patched_header, tmp_path / "t2.nii.gz")
    volume = read(tmp_path / "t2.nii.gz")
    assert (volume.axes, volume.frame_values, volume.frame_unit) == ("tzyx", (0.0, 2.5), "s")
    np.testing.assert_array_equal(volume.array, series.T)
    field = voxels("float32", (5, 4, 3, 1, 3))
    vectors = read(write(tmp_path / "v.nii", field))
    assert vectors.axes == "zyxc"
    np.testing.assert_array_equal(vectors.array, np.transpose(field[:, :, :, 0], (2, 1, 0, 3)))


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(2.0, -1000.0, "int16"), (1.0, 40000.0, "int32"), (0.5, 0.25, "float32")]
)
def test_scaling_equals_nibabel(tmp_path: Path, slope: float, intercept: float, dtype: str) -> None:
    path = patched(write(tmp_path / "s.nii"), 112, "ff", slope, intercept)
    volume = read(path)
    np.testing.assert_allclose(volume.array, nib.load(path).get_fdata().T, rtol=1e-6)
    assert volume.array.dtype == np.dtype(dtype)
    assert volume.notes == ()


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_row_13_a_slope_that_is_none(tmp_path: Path, slope: float) -> None:
    volume = read(patched(write(tmp_path / "s.nii"), 112, "ff", slope, 5.0))
    np.testing.assert_array_equal(volume.array, voxels().T)
    assert any("scaling" in note for note in volume.notes)


def test_row_14_nan_voxels_are_kept(tmp_path: Path) -> None:
    data = voxels("float32")
    data[1, 2, 0], data[0, 0, 0] = np.nan, np.inf
    np.testing.assert_array_equal(read(write(tmp_path / "n.nii", data)).array, data.T)


@pytest.mark.parametrize("bad", [np.nan, 0.0, -2.0, np.inf])
def test_row_8_spacing_that_is_none(tmp_path: Path, bad: float) -> None:
    path = write(tmp_path / "p.nii", codes=(0, 0))
    volume = read(patched(path, 76 + 4 * 3, "f", bad))
    assert not volume.geometry.spacing_known
    assert volume.geometry.spacing_mm[0] == 1.0
    np.testing.assert_allclose(volume.geometry.spacing_mm[1:], (0.8, 0.7), rtol=1e-6)
    with pytest.raises(GeometryError, match="voxel size"):
        _ = volume.geometry.voxel_mm3


def test_row_8_a_good_sform_states_the_spacing(tmp_path: Path) -> None:
    volume = read(patched(write(tmp_path / "p.nii"), 76 + 4, "f", np.nan))
    assert volume.geometry.spacing_known
    np.testing.assert_allclose(volume.geometry.spacing_mm, (3, 0.8, 0.7), rtol=1e-6)
    assert any("voxel sizes" in note for note in volume.notes)


def test_row_11_disagreeing_forms_follow_nibabel_with_a_note(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), AFFINE_RAS)
    other = AFFINE_RAS.copy()
    other[0, 3] += 25
    image.set_sform(AFFINE_RAS, 1)
    image.set_qform(other, 1)
    nib.save(image, tmp_path / "d.nii")
    volume = read(tmp_path / "d.nii")
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ nib.load(tmp_path / "d.nii").affine, atol=1e-4)
    assert any("25.0 mm apart" in note for note in volume.notes)
    assert read(write(tmp_path / "same.nii")).notes == ()


def test_row_11_qform_alone_equals_nibabel(tmp_path: Path) -> None:
    affine = AFFINE_RAS.copy()
    affine[:3, :3] = Rotation.from_euler("zyx", [170, 20, -65], degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 2] *= -1  # left-handed: qfac -1
    path = write(tmp_path / "q.nii", affine=affine, codes=(0, 1))
    np.testing.assert_allclose(read(path).geometry.affine_lps, LPS @ nib.load(path).affine, atol=1e-4)


def test_row_11_both_codes_zero_state_no_orientation(tmp_path: Path) -> None:
    volume = read(write(tmp_path / "z.nii", codes=(0, 0)))
    assert volume.geometry.orientation is None
    assert volume.geometry.spacing_known
    assert any("left" in note for note in volume.notes)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 0.001)])
def test_other_length_units_become_mm(tmp_path: Path, unit: str, factor: float) -> None:
    image = nib.Nifti1Image(voxels(), AFFINE_RAS)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "u.nii")
    volume = read(tmp_path / "u.nii")
    np.testing.assert_allclose(volume.geometry.spacing_mm, np.array([3, 0.8, 0.7]) * factor, rtol=1e-6)
    assert volume.notes


def sheared(tmp_path: Path) -> Path:
    affine = AFFINE_RAS.copy()
    affine[1, 2] = 1.0  # each slice slides 1 mm along y
    return write(tmp_path / "sheared.nii", voxels("float32", (20, 20, 10)), affine=affine, codes=(1, 0))


def test_row_12_shear_is_refused_by_name_and_resampled_on_consent(tmp_path: Path) -> None:
    path = sheared(tmp_path)
    with pytest.raises(ConsentNeededError, match=r"sheared.*18\.43°") as asked:
        read(path)
    (item,) = inspect(path).items
    assert item.geometry is None
    assert asked.value.asks == item.report.asks == "resample"
    assert "sheared" in item.warnings[-1]
    # A function that is linear in world space stays itself under linear interpolation.
    image = nib.load(path)
    grid = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1)
    world = grid @ image.affine[:3, :3].T + image.affine[:3, 3]
    linear = (3 * world[..., 0] - 2 * world[..., 1] + world[..., 2]).astype("float32")
    nib.save(nib.Nifti1Image(linear, image.affine), path)
    volume = read(path, consent=Consent(resample=True))
    assert any("resampled" in note for note in volume.notes)
    centre = np.array(volume.geometry.shape) // 2
    x, y, z = volume.geometry.index_to_lps(centre)
    assert volume.array[tuple(centre)] == pytest.approx(3 * -x - 2 * -y + z, abs=1e-3)


def test_row_12_singular_is_an_error_even_with_consent(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "sing.nii"), 280 + 32, "4f", 0, 0, 0, 5)
    for resample in (False, True):
        with pytest.raises(GeometryError, match="singular"):
            read(path, consent=Consent(resample=resample))


@pytest.mark.parametrize("offset", [40, 42])
@pytest.mark.parametrize("value", [0, -3])
def test_row_10_sizes_that_cannot_be(tmp_path: Path, offset: int, value: int) -> None:
    with pytest.raises(InputError, match="header says"):
        read(patched(write(tmp_path / "d.nii"), offset, "h", value))


def test_row_10_too_many_dimensions(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="6 dimensions"):
        read(write(tmp_path / "six.nii", voxels(shape=(2, 2, 2, 2, 2, 2))))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_row_1_cut_anywhere_never_opens(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(-1000, 1000, (16, 16, 16)).astype("int16")
    whole = write(tmp_path / f"w{suffix}", noise).read_bytes()
    for keep in (0, 1, 200, 347, 348, 352, 353, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        cut = tmp_path / f"cut{keep}{suffix}"
        cut.write_bytes(whole[:keep])
        with pytest.raises(InputError):
            read(cut)
    with pytest.raises(IncompleteFileError, match=r"incomplete"):
        read(tmp_path / f"cut{len(whole) // 2}{suffix}")


def test_row_1_says_both_sizes(tmp_path: Path) -> None:
    path = write(tmp_path / "w.nii")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IncompleteFileError, match="100 of 120 bytes"):
        read(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_row_5_a_claim_of_terabytes_takes_no_memory(tmp_path: Path, suffix: str) -> None:
    plain = patched(write(tmp_path / "h.nii"), 40, "4h", 3, 30000, 30000, 30000)
    path = tmp_path / f"huge{suffix}"
    path.write_bytes(gzip.compress(plain.read_bytes()) if suffix.endswith("gz") else plain.read_bytes())
    with pytest.raises(IncompleteFileError, match=r"incomplete|claims"):
        read(path)


def test_rows_6_and_7_a_bomb_is_measured_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medcnn.io import payload

    path = write(tmp_path / "zeros.nii.gz", np.zeros((256, 256, 64), "int16"))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(payload, "free_memory", lambda: 5_000_000)
    with pytest.raises(InputError, match=r"8\.4 MB.*5\.0 MB of memory are free"):
        read(path)


def test_row_6_more_data_than_the_header_says(tmp_path: Path) -> None:
    small = write(tmp_path / "s.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(small + bytes(40 << 20)))
    with pytest.raises(InputError, match="far more data"):
        read(tmp_path / "b.nii.gz")


def test_row_16_the_content_decides(tmp_path: Path) -> None:
    packed = write(tmp_path / "a.nii.gz").read_bytes()
    for name in ("gzip.nii", "none", "IMAGE.NII", "scan.dcm", "x.png"):
        (tmp_path / name).write_bytes(packed)
        np.testing.assert_array_equal(read(tmp_path / name).array, voxels().T)


def test_row_17_names_with_spaces_unicode_and_length(tmp_path: Path) -> None:
    folder = tmp_path / "Ä ö 漢字 🩻 folder" / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    path = folder / ("Aufnahme mit Leerzeichen " + "n" * 120 + ".nii.gz")
    (tmp_path / "a.nii.gz").write_bytes(write(tmp_path / "b.nii.gz").read_bytes())
    path.write_bytes((tmp_path / "a.nii.gz").read_bytes())
    assert len(str(path)) > 260
    assert len(read(path).name) <= 60


def test_gzip_in_several_members_is_one_file(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.nii").read_bytes()
    (tmp_path / "m.nii.gz").write_bytes(gzip.compress(raw[:400]) + gzip.compress(raw[400:]))
    np.testing.assert_array_equal(read(tmp_path / "m.nii.gz").array, voxels().T)
    (tmp_path / "half.nii.gz").write_bytes(gzip.compress(raw[:400]))
    with pytest.raises(IncompleteFileError):
        read(tmp_path / "half.nii.gz")


def test_row_61_hostile_text_in_headers_and_names_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "<b>x<b>\x07\x1b[31m name.nii"
    path.write_bytes(write(tmp_path / "a.nii", descrip=b"<script>alert(1)</script>").read_bytes())
    volume = read(path)
    assert "script" not in repr((volume.name, volume.notes))
    assert volume.name.isprintable()
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).isprintable()


def test_masks_of_whole_fractions_and_of_real_fractions(tmp_path: Path) -> None:
    ids = (voxels() % 3).astype("float32")
    mask = read_labels(write(tmp_path / "m.nii.gz", ids))
    assert isinstance(mask, LabelMap)
    assert mask.array.dtype == np.uint8
    assert mask.array.flags.writeable
    np.testing.assert_array_equal(mask.array, ids.T)
    assert mask.labels.names == ("Class 1", "Class 2")
    assert "fractions" in mask.notes[-1]
    ids[0, 0, 0] = 0.5
    with pytest.raises(InputError, match="thresholded"):
        read_labels(write(tmp_path / "p.nii.gz", ids))
    with pytest.raises(InputError, match="-7"):
        read_labels(write(tmp_path / "neg.nii.gz", voxels() - 7))


def test_row_44_ids_above_a_byte_are_not_wrapped(tmp_path: Path) -> None:
    data = voxels("int64")
    data[0, 0, 0] = 300
    mask = read_labels(write(tmp_path / "m.nii", data))
    assert mask.array.dtype == np.uint16
    assert mask.array.max() == 300
    data[0, 0, 0] = 70000
    with pytest.raises(InputError, match="65535"):
        read_labels(write(tmp_path / "big.nii", data))


def test_random_bytes_never_crash_row_64(tmp_path: Path) -> None:
    """A short piece of row 64: a changed header or stream is an error in words or a volume, nothing else."""
    whole = write(
        tmp_path / "w.nii.gz", np.random.default_rng(0).integers(0, 99, (9, 8, 7)).astype("int16")
    ).read_bytes()
    plain = zlib.decompress(whole, 31)
    random = np.random.default_rng(1)
    for number in range(150):
        data = bytearray(plain if number % 2 else whole)
        for place in random.integers(0, 352 if number % 2 else len(data), 3):
            data[place] = random.integers(256)
        path = tmp_path / "m.nii"
        path.write_bytes(data)
        try:
            read(path)
        except MedcnnError as error:
            assert str(error)
