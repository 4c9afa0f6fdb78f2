"""Writers against nibabel, pynrrd, SimpleITK and Pillow as second readers (row 59)."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.spatial.transform import Rotation

from cases import ANISOTROPIC_MM, noise
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import SaveError
from napari_medcnn.io.read import read, read_volume
from napari_medcnn.io.save import save_json, save_labels, save_text, save_volume

TURN = Rotation.from_euler("xyz", [12, -7, 25], degrees=True).as_matrix()
GRID = Geometry((4, 5, 6), ANISOTROPIC_MM, (10.0, -20.5, 33.0), TURN)
FLIPPED = Geometry((4, 5, 6), ANISOTROPIC_MM, (10.0, -20.5, 33.0), TURN @ np.diag([1, -1, 1]))
UNKNOWN = Geometry((4, 5, 6), spacing_known=False, orientation_known=False)
NO_SPACING = Geometry((4, 5, 6), spacing_known=False)
NO_ORIENTATION = Geometry((4, 5, 6), ANISOTROPIC_MM, orientation_known=False)
GRIDS = {
    "oblique": GRID,
    "left-handed": FLIPPED,
    "unknown": UNKNOWN,
    "no-spacing": NO_SPACING,
    "no-left": NO_ORIENTATION,
}
VOLUMES = (".nii", ".nii.gz", ".nrrd", ".mha")
NAMES = LabelSet(
    (
        Label(1, 'Leber, "links" \\n ä', (1, 2, 3), "SCT:10200004"),
        Label(3, "<b>kidney</b>", (200, 30, 4)),
        Label(7, "absent", (9, 9, 9)),
    )
)
IDS = (np.arange(120).reshape(4, 5, 6) % 4).astype(np.uint8)


@pytest.mark.parametrize("suffix", VOLUMES)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("axes", ["zyx", "zyxc", "tzyx", "tzyxc"])
def test_every_grid_and_axis_comes_back(tmp_path: Path, suffix: str, grid: str, axes: str) -> None:
    shape = ((2,) if axes[0] == "t" else ()) + (4, 5, 6) + ((3,) if axes[-1] == "c" else ())
    volume = Volume(noise(shape), GRIDS[grid], axes)
    save_volume(volume, tmp_path / f"v{suffix}")
    back = read_volume(tmp_path / f"v{suffix}")
    assert back.axes == axes
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.array.dtype == volume.array.dtype
    assert back.geometry.spacing_known == volume.geometry.spacing_known
    assert back.geometry.orientation == volume.geometry.orientation
    if GRIDS[grid].orientation_known:
        np.testing.assert_allclose(back.geometry.affine_lps, volume.geometry.affine_lps, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == [f"v{suffix}"]


@pytest.mark.parametrize("grid", [GRID, FLIPPED])
def test_row_59_others_read_the_same(tmp_path: Path, grid: Geometry) -> None:
    volume = Volume(noise((4, 5, 6)), grid)
    for suffix in VOLUMES:
        save_volume(volume, tmp_path / f"v{suffix}")
        other = sitk.ReadImage(str(tmp_path / f"v{suffix}"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(other), volume.array)
        np.testing.assert_allclose(other.GetSpacing()[::-1], grid.spacing_mm, atol=1e-5)
        np.testing.assert_allclose(other.GetOrigin(), grid.origin_lps, atol=1e-4)
        np.testing.assert_allclose(other.GetDirection(), grid.direction.ravel(), atol=1e-5)
    image = nib.load(tmp_path / "v.nii.gz")
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ image.affine, grid.affine_lps, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
    assert image.header["descrip"].item() == b""
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64", "bool"]
)
@pytest.mark.parametrize("suffix", VOLUMES)
def test_types_are_kept(tmp_path: Path, suffix: str, dtype: str) -> None:
    array = noise((4, 5, 6)).astype(dtype)
    if array.dtype.kind == "f":
        array[0, 0, 0] = np.nan
    save_volume(Volume(array, GRID), tmp_path / f"v{suffix}")
    back = read_volume(tmp_path / f"v{suffix}").array
    np.testing.assert_array_equal(back, array)
    assert back.dtype == (np.uint8 if dtype == "bool" else array.dtype)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha"])
def test_row_59_masks_keep_ids_names_and_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    save_labels(LabelMap(IDS, GRID, NAMES), path)
    back = read(path)
    assert isinstance(back, LabelMap)
    np.testing.assert_array_equal(back.array, IDS)
    assert back.labels == NAMES.covering([2])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), IDS)
    if suffix.startswith(".nii"):
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj).T, IDS)
        assert nib.load(path).header["intent_code"] == 1002


def test_seg_nrrd_has_slicers_fields(tmp_path: Path) -> None:
    path = tmp_path / "m.seg.nrrd"
    save_labels(LabelMap(IDS, GRID, NAMES), path)
    data, header = nrrd.read(str(path), index_order="C")
    np.testing.assert_array_equal(data, IDS)
    names = [header[f"Segment{k}_Name"] for k in range(4)]
    assert names[1:] == ["Class 2", "<b>kidney</b>", "absent"]
    # pynrrd drops letters beyond ASCII; the backslash is doubled as the format asks
    assert 'Segment0_Name:=Leber, "links" \\\\n ä\n'.encode() in path.read_bytes()
    assert [header[f"Segment{k}_LabelValue"] for k in range(4)] == ["1", "2", "3", "7"]
    assert np.round(255 * np.array(header["Segment2_Color"].split(), float)).tolist() == [200, 30, 4]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".seg.nrrd", ".mha"])
def test_row_44_three_hundred_classes(tmp_path: Path, suffix: str) -> None:
    ids = np.arange(320).reshape(4, 8, 10).astype(np.int64)
    labels = LabelSet.from_names([f"Structure {k}" for k in range(1, 320)])
    save_labels(LabelMap(ids, Geometry((4, 8, 10), ANISOTROPIC_MM), labels), tmp_path / f"m{suffix}")
    back = read(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(back.array, ids)
    assert back.array.dtype == np.uint16
    assert back.labels == labels


def test_indexed_png(tmp_path: Path) -> None:
    mask = LabelMap(IDS[:1], Geometry.picture(5, 6), NAMES)
    save_labels(mask, tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), IDS[0])
        colours = np.asarray(image.convert("RGB"))
    assert colours[IDS[0] == 3].tolist() == [[200, 30, 4]] * int((IDS[0] == 3).sum())
    assert colours[IDS[0] == 0].max() == 0
    assert read(tmp_path / "m.png").labels == NAMES.covering([2])


def test_what_a_png_cannot_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="one slice"):
        save_labels(LabelMap(IDS, UNKNOWN), tmp_path / "m.png")
    with pytest.raises(SaveError, match="up to 255"):
        save_labels(LabelMap(np.full((1, 5, 6), 300), Geometry.picture(5, 6)), tmp_path / "m.png")
    with pytest.raises(SaveError, match="position"):
        save_labels(LabelMap(IDS[:1], Geometry((1, 5, 6), ANISOTROPIC_MM)), tmp_path / "m.png")
    with pytest.raises(SaveError, match=r"\.nii\.gz"):
        save_labels(LabelMap(IDS, GRID), tmp_path / "m.dcm")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_mask_and_large_sizes(tmp_path: Path) -> None:
    save_labels(LabelMap(np.zeros((4, 5, 6), np.uint8), GRID, NAMES), tmp_path / "e.nii.gz")
    assert read(tmp_path / "e.nii.gz").labels == NAMES
    wide = Volume(np.zeros((1, 2, 40_000), np.uint8), Geometry((1, 2, 40_000)))  # past NIfTI-1's 16-bit sizes
    save_volume(wide, tmp_path / "w.nii.gz")
    assert nib.load(tmp_path / "w.nii.gz").shape == (40_000, 2, 1)
    assert isinstance(nib.load(tmp_path / "w.nii.gz"), nib.Nifti2Image)


def test_row_63_the_same_mask_gives_the_same_bytes(tmp_path: Path) -> None:
    for suffix in (".nii.gz", ".seg.nrrd", ".mha"):
        for name in ("a", "b"):
            save_labels(LabelMap(IDS, GRID, NAMES, name=name), tmp_path / f"{name}{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_text_and_json(tmp_path: Path) -> None:
    save_text("ä\n", tmp_path / "t.txt")
    assert (tmp_path / "t.txt").read_bytes() == "ä\n".encode()
    save_json({"dice": 0.5, "name": "ä"}, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == {"dice": 0.5, "name": "ä"}
    with pytest.raises(SaveError, match="JSON"):
        save_json({"dice": float("nan")}, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["dice"] == 0.5
