"""NIfTI beyond the plain case, against nibabel or against a formula: shear in 4D, disagreeing forms, units, Analyze."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.formats import inspect_file, read_file
from napari_medcnn.io.nifti import inspect_nifti, read_nifti
from napari_medcnn.io.read import read_labels
from napari_medcnn.io.sniff import describe_unknown

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINE_RAS = np.array([[0.7, 0, 0, -11], [0, 0.8, 0, 7], [0, 0, 3, 40], [0, 0, 0, 1.0]])
SHEARED_RAS = AFFINE_RAS + np.array([[0, 0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def load(path: Path, **consent: object) -> Volume:
    return read_nifti(path, Consent(**consent))[0]


def save(
    path: Path, data: np.ndarray, affine: np.ndarray = AFFINE_RAS, codes: tuple[int, int] = (1, 1), **header
) -> Path:
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def linear(shape: tuple[int, int, int], affine_ras: np.ndarray) -> np.ndarray:
    """Return 3 x - 2 y + z of each voxel's LPS place, on the (x, y, z) grid of an affine."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world = (grid @ affine_ras[:3, :3].T + affine_ras[:3, 3]) * [-1, -1, 1]
    return 3 * world[..., 0] - 2 * world[..., 1] + world[..., 2]


@pytest.mark.parametrize("kind", ["tzyx", "zyxc", "tzyxc", "complex"])
def test_row_12_every_frame_and_channel_of_a_sheared_image_is_straightened(tmp_path: Path, kind: str) -> None:
    plain = linear((20, 18, 10), SHEARED_RAS).astype("float32")
    stacks = {
        "tzyx": np.stack([plain, plain + 100], -1),
        "zyxc": np.stack([plain, plain + 100, plain * 2], -1)[:, :, :, None, :],
        "tzyxc": np.stack([np.stack([plain, plain + 100], -1), np.stack([plain * 2, plain * 3], -1)], -1),
        "complex": (plain + 1j * (plain + 100)).astype("complex64"),
    }
    path = save(tmp_path / "s.nii.gz", stacks[kind], SHEARED_RAS, (1, 0))
    with pytest.raises(ConsentNeededError, match="sheared") as caught:
        load(path)
    assert caught.value.asks == inspect_nifti(path)[0].report.asks == "resample"
    volume = load(path, resample=True, complex_part="imaginary")
    grid = volume.geometry
    centre = tuple(n // 2 for n in grid.shape)
    x, y, z = grid.index_to_lps(np.array(centre))
    value = 3 * x - 2 * y + z
    expected = {"tzyx": [value, value + 100], "zyxc": [value, value + 100, value * 2],
                "tzyxc": [[value, value * 2], [value + 100, value * 3]], "complex": value + 100}  # fmt: skip
    place = (..., *centre, slice(None)) if kind.endswith("c") else (..., *centre)
    np.testing.assert_allclose(volume.array[place], expected[kind], atol=1e-2)
    assert any("resampled" in note for note in volume.report.assumed)
    assert volume.notes == volume.report.warnings


def test_row_12_class_ids_of_a_sheared_mask_are_never_mixed(tmp_path: Path) -> None:
    """Row 15: between classes 1 and 9 lies no class 5, whether or not the header calls the file a mask."""
    ids = np.where(np.random.default_rng(0).random((20, 18, 10)) < 0.5, 1, 9).astype("uint8")
    path = save(tmp_path / "m.nii.gz", ids, SHEARED_RAS, (1, 0))
    with pytest.raises(ConsentNeededError):
        read_labels(path)
    mask = read_labels(path, consent=Consent(resample=True))
    assert set(np.unique(mask.array)) <= {0, 1, 9}
    assert any("nearest" in note for note in mask.notes)
    assert len(np.unique(load(path, resample=True).array)) > 3  # as a scan, values are mixed


def test_row_12_axes_that_are_all_but_straight_are_straightened_and_said(tmp_path: Path) -> None:
    turn = Rotation.from_euler("xyz", [7, -4, 11], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.7, 0.8, 3.0])
    affine[:3, 3] = [12, -30.5, 99]
    exact = load(save(tmp_path / "exact.nii", np.zeros((30, 30, 10), "int16"), affine, (1, 0)))
    assert exact.notes == ()
    bent = affine.copy()
    bent[:3, 0] += 6e-4 * bent[:3, 1]  # cosine 7e-4: above 1e-4, and no corner moves by 0.05 of 0.7 mm
    volume = load(save(tmp_path / "bent.nii", np.zeros((30, 30, 10), "int16"), bent, (1, 0)))
    assert any("straightened" in note and "0.0" in note for note in volume.report.assumed)
    ends = np.array([[0, 0, 0, 1], [29, 29, 9, 1], [29, 0, 0, 1], [0, 29, 9, 1.0]]).T
    moved = np.linalg.norm((volume.geometry.affine_lps - LPS @ bent) @ ends, axis=0)
    assert 0 < moved.max() < 0.05 * 0.7
    wide = save(tmp_path / "wide.nii", np.zeros((400, 400, 2), "uint8"), bent, (1, 0))
    with pytest.raises(ConsentNeededError, match="sheared"):  # the same angle moves the end of 400 voxels too far
        load(wide)


def test_row_11_how_far_two_forms_disagree_is_said_in_mm_and_degrees(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((5, 4, 3), "int16"), AFFINE_RAS)
    turned = AFFINE_RAS.copy()
    turned[:3, :3] = Rotation.from_euler("z", 12, degrees=True).as_matrix() @ turned[:3, :3]
    image.set_sform(AFFINE_RAS, 1)
    image.set_qform(turned, 1)
    nib.save(image, tmp_path / "d.nii")
    volume = load(tmp_path / "d.nii")
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ AFFINE_RAS, atol=1e-5)
    gap = np.linalg.norm((AFFINE_RAS - turned) @ [4, 3, 2, 1])
    assert any(f"{gap:.1f} mm apart" in note and "12.0°" in note for note in volume.report.assumed)


def test_row_11_voxel_sizes_that_are_not_those_of_the_sform_are_said(tmp_path: Path) -> None:
    path = save(tmp_path / "p.nii", np.zeros((5, 4, 3), "int16"), codes=(1, 0))
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, 80, 1.4)  # pixdim[1]
    path.write_bytes(data)
    volume = load(path)
    np.testing.assert_allclose(volume.geometry.spacing_mm, nib.affines.voxel_sizes(nib.load(path).affine)[::-1])
    assert any("1.4 x 0.8 x 3" in note for note in volume.report.assumed)


@pytest.mark.parametrize(
    ("unit", "step", "values", "name"),
    [(8, 2.5, (0.0, 2.5, 5.0), "s"), (16, 2500, (0.0, 2.5, 5.0), "s"), (24, 2.5e6, (0.0, 2.5, 5.0), "s"),
     (32, 4.0, (0.0, 4.0, 8.0), "Hz"), (0, 2.5, (), ""), (8, 0.0, (), "")],
)  # fmt: skip
def test_time_points_have_values_in_seconds(tmp_path: Path, unit: int, step: float, values: tuple, name: str) -> None:
    path = save(tmp_path / "t.nii", np.zeros((5, 4, 3, 3), "int16"))
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, 76 + 16, step)
    data[123] = 2 | unit
    path.write_bytes(data)
    volume = load(path)
    assert (volume.frame_values, volume.frame_unit) == (values, name)
    assert any("3 " in line for line in volume.report.found)


def test_five_dimensions_are_time_and_vector(tmp_path: Path) -> None:
    data = np.arange(5 * 4 * 3 * 2 * 3, dtype="float32").reshape(5, 4, 3, 2, 3)
    path = save(tmp_path / "v.nii.gz", data, intent_code=1007)
    volume = load(path)
    assert (volume.axes, volume.channel_names) == ("tzyxc", ("x", "y", "z"))
    np.testing.assert_array_equal(volume.array, np.transpose(np.asarray(nib.load(path).dataobj), (3, 2, 1, 0, 4)))


@pytest.mark.parametrize("count", [2, 1])
def test_two_dimensions_and_one_slice(tmp_path: Path, count: int) -> None:
    data = np.arange(20, dtype="int16").reshape((5, 4) if count == 2 else (5, 4, 1))
    volume = load(save(tmp_path / "p.nii", data))
    np.testing.assert_array_equal(volume.array, data.reshape(5, 4, 1).T)
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ AFFINE_RAS, atol=1e-5)


def test_row_15_rgba_and_wide_types(tmp_path: Path) -> None:
    colour = np.zeros((5, 4, 3), [(k, "u1") for k in "RGBA"])
    for number, key in enumerate("RGBA"):
        colour[key] = np.arange(60).reshape(5, 4, 3) + 40 * number
    path = save(tmp_path / "c.nii", colour)
    data = bytearray(path.read_bytes())
    struct.pack_into("<ff", data, 112, 2.0, 1.0)  # nifti1.h: scaling is not for colours
    path.write_bytes(data)
    volume = load(path)
    for number, key in enumerate("RGBA"):
        np.testing.assert_array_equal(volume.array[..., number], colour[key].T)
    big = np.full((5, 4, 3), 2**63 + 5, "uint64")
    np.testing.assert_array_equal(load(save(tmp_path / "u.nii", big)).array, big.T)


@pytest.mark.parametrize(("code", "words"), [(1536, "float128"), (2048, "complex256"), (1, "one bit")])
def test_row_15_types_that_are_not_read_are_named(tmp_path: Path, code: int, words: str) -> None:
    path = save(tmp_path / "x.nii", np.zeros((5, 4, 3), "float64"))
    data = bytearray(path.read_bytes())
    struct.pack_into("<h", data, 70, code)
    path.write_bytes(data + bytes(4000))
    with pytest.raises(UnsupportedError, match=words):
        load(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("slope", [1.0, 0.25])
def test_analyze_opens_and_does_not_claim_to_know_left(tmp_path: Path, order: str, slope: float) -> None:
    data = np.arange(60).reshape(5, 4, 3).astype(order + "i2")
    header = nib.Spm99AnalyzeHeader(endianness=order)
    header.set_data_dtype(order + "i2")
    header.set_data_shape(data.shape)
    header.set_zooms((0.7, 0.8, 3.0))
    header["scl_slope"] = slope
    (tmp_path / "a.hdr").write_bytes(header.binaryblock)
    (tmp_path / "a.img").write_bytes(data.tobytes("F"))
    volume, _ = read_file(tmp_path / "a.hdr", "nifti")
    np.testing.assert_allclose(volume.array, nib.load(tmp_path / "a.hdr").get_fdata().T)
    np.testing.assert_allclose(volume.geometry.spacing_mm, (3.0, 0.8, 0.7), rtol=1e-6)
    assert volume.geometry.orientation is None
    assert any("Left/right is not stated" in note for note in volume.notes)
    (tmp_path / "a.img").write_bytes(data.tobytes("F")[:-1])
    with pytest.raises(IncompleteFileError, match="119 of 120"):
        read_file(tmp_path / "a.hdr", "nifti")


def test_cifti_is_named_with_what_opens_it(tmp_path: Path) -> None:
    image = nib.Nifti2Image(np.zeros((5, 4, 3), "float32"), np.eye(4))
    image.header["intent_code"] = 3006
    nib.save(image, tmp_path / "x.dscalar.nii")
    with pytest.raises(UnsupportedError, match=r"CIFTI-2.*wb_view"):
        load(tmp_path / "x.dscalar.nii")


def noise_file(folder: Path, suffix: str) -> bytes:
    data = np.random.default_rng(0).integers(-1000, 1000, (24, 24, 24)).astype("int16")
    return save(folder / f"whole{suffix}", data).read_bytes()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_row_1_a_first_look_already_tells_a_cut_file(tmp_path: Path, suffix: str) -> None:
    whole = noise_file(tmp_path, suffix)
    (item,) = inspect_nifti(tmp_path / f"whole{suffix}")
    assert item.report.warnings == ()
    for keep in (len(whole) // 2, len(whole) - 9, len(whole) - 1):
        (tmp_path / f"cut{suffix}").write_bytes(whole[:keep])
        (item,) = inspect_nifti(tmp_path / f"cut{suffix}")
        assert "incomplete" in item.report.refused[0]
        assert item.report.asks == ""
        assert item.warnings == item.report.warnings


def test_row_1_what_a_first_look_did_not_check_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medcnn.io import payload

    whole = noise_file(tmp_path, ".nii.gz")
    (tmp_path / "cut.nii.gz").write_bytes(whole[:-100])
    monkeypatch.setattr(payload, "_LOOK_PACKED", 1000)  # as for a file of many megabytes
    (item,) = inspect_nifti(tmp_path / "cut.nii.gz")
    assert any("not checked" in line for line in item.report.assumed)
    with pytest.raises(IncompleteFileError):
        load(tmp_path / "cut.nii.gz")


@pytest.mark.parametrize("place", [-1, -5], ids=["length", "checksum"])  # RFC 1952: CRC-32, then the length
def test_row_2_a_wrong_checksum_opens_on_consent_and_is_marked(tmp_path: Path, place: int) -> None:
    data = bytearray(noise_file(tmp_path, ".nii.gz"))
    data[place] ^= 0x40
    path = tmp_path / "d.nii.gz"
    path.write_bytes(data)
    if place == -1:  # the length is looked at first of all, the checksum on opening
        assert inspect_nifti(path)[0].report.asks == "damaged"
    with pytest.raises(ConsentNeededError, match="damaged") as asked:
        load(path)
    assert asked.value.asks == "damaged"
    volume = load(path, damaged=True)
    np.testing.assert_array_equal(volume.array, load(tmp_path / "whole.nii.gz").array)
    assert any("checksum is wrong" in note for note in volume.report.assumed)
    assert volume.notes == volume.report.warnings


def test_row_2_data_broken_inside_never_opens(tmp_path: Path) -> None:
    """What follows a broken place cannot be inflated: no consent fills it up with zeros."""
    data = bytearray(gzip.compress(gzip.decompress(noise_file(tmp_path, ".nii.gz")) * 4, 0))
    second = 10 + 5 + int.from_bytes(data[11:13], "little")  # stored blocks: 3 bits, length, its complement (RFC 1951)
    data[second + 3] ^= 0xFF
    path = tmp_path / "d.nii.gz"
    path.write_bytes(data)
    patched = np.frombuffer(data, "<i2", 1, 15 + 42)  # dim[1]: the image shall reach beyond the first block
    assert patched == 24
    data[15 + 42 : 15 + 44] = (96).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(IncompleteFileError, match="damaged"):
        load(path, damaged=True)


def test_gzip_headers_with_a_name_a_comment_and_a_check_are_passed(tmp_path: Path) -> None:
    plain = save(tmp_path / "a.nii", np.arange(60, dtype="int16").reshape(5, 4, 3)).read_bytes()
    body = gzip.compress(plain)[10:]
    head = (
        b"\x1f\x8b\x08"
        + bytes([2 | 4 | 8 | 16])
        + bytes(4)
        + b"\x02\x03"
        + b"\x03\0abc"
        + b"name\0"
        + b"why\0"
        + b"\1\2"
    )
    (tmp_path / "b.nii.gz").write_bytes(head + body)
    np.testing.assert_array_equal(load(tmp_path / "b.nii.gz").array, load(tmp_path / "a.nii").array)


def test_row_6_a_file_that_expands_beyond_half_of_the_memory_asks(tmp_path: Path, monkeypatch) -> None:
    from napari_medcnn.io import payload

    path = save(tmp_path / "z.nii.gz", np.zeros((128, 128, 64), "int16"))  # 2.1 MB from a few kB
    monkeypatch.setattr(payload, "free_memory", lambda: 3_000_000)
    with pytest.raises(ConsentNeededError, match=r"expand to 2\.1 MB; 3\.0 MB of memory are free") as caught:
        load(path)
    assert caught.value.asks == inspect_nifti(path)[0].report.asks == "large"
    assert load(path, large=True).array.shape == (64, 128, 128)
    monkeypatch.setattr(payload, "free_memory", lambda: 2_200_000)  # row 7: no consent makes room
    with pytest.raises(InputError, match=r"need 2\.1 MB and 2\.2 MB of memory are free") as refused:
        load(path, large=True)
    assert not isinstance(refused.value, ConsentNeededError)
    assert inspect_nifti(path)[0].report.refused


def test_row_7_a_plain_file_is_estimated_first(tmp_path: Path, monkeypatch) -> None:
    from napari_medcnn.io import payload

    path = save(tmp_path / "z.nii", np.zeros((128, 128, 64), "int16"))
    monkeypatch.setattr(payload, "free_memory", lambda: 2_000_000)
    (item,) = inspect_file(path, "nifti")
    assert "2.1 MB" in item.report.refused[0]
    assert "downsample" in item.report.refused[0]


def test_pair_of_header_and_voxels(tmp_path: Path) -> None:
    data = np.arange(60, dtype="int16").reshape(5, 4, 3)
    nib.save(nib.Nifti1Pair(data, AFFINE_RAS), tmp_path / "p.hdr")
    np.testing.assert_array_equal(load(tmp_path / "p.hdr").array, data.T)
    assert inspect_nifti(tmp_path / "p.hdr")[0].files == (tmp_path / "p.hdr", tmp_path / "p.img")
    assert "open that file" in describe_unknown(tmp_path / "p.img")
    (tmp_path / "p.img").unlink()
    with pytest.raises(IncompleteFileError, match=r"p\.img"):
        load(tmp_path / "p.hdr")
