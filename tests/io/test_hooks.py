"""What napari calls: readers that look into the file, writers that put masks back onto the grid of their scan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cases import ANISOTROPIC_MM, noise
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.hooks import napari_get_reader, takes_long, write_image, write_labels
from napari_medcnn.io.layerdata import KEY, mask_layer, scan_layers

AFFINE = np.array([[0.0, 0.7, 0.0, -4.0], [-0.8, 0.0, 0.0, 9.0], [0.0, 0.0, 3.0, 5.0], [0, 0, 0, 1]])


@pytest.fixture
def nifti(tmp_path: Path) -> Path:
    path = tmp_path / "head.nii.gz"
    nib.save(nib.Nifti1Image(noise((4, 5, 6)), AFFINE), path)
    return path


def test_a_scan_is_read_and_saved_on_its_own_grid(nifti: Path, tmp_path: Path) -> None:
    reader = napari_get_reader(str(nifti))
    assert reader is not None
    ((data, kwargs, kind),) = reader(str(nifti))
    assert kind == "image" and kwargs["metadata"][KEY]["role"] == "scan"
    target = str(tmp_path / "again.nii.gz")
    assert write_image(target, data, kwargs) == [target]
    first, second = nib.load(nifti), nib.load(target)
    np.testing.assert_array_equal(np.asarray(first.dataobj), np.asarray(second.dataobj))
    np.testing.assert_allclose(second.affine, first.affine, atol=1e-5)


def test_a_mask_painted_in_napari_lands_on_the_grid_of_the_file(nifti: Path, tmp_path: Path) -> None:
    reader = napari_get_reader([str(nifti)])
    assert reader is not None
    ((shown, kwargs, _),) = reader([str(nifti)])
    info = kwargs["metadata"][KEY]
    mask = LabelMap(np.zeros(info["geometry"].shape, np.uint8), info["geometry"], LabelSet((Label(1, "x", (1, 2, 3)),)))
    data, mask_kwargs, _ = mask_layer(mask)
    data[shown > np.median(shown)] = 1
    target = str(tmp_path / "mask.nii.gz")
    write_labels(target, data, mask_kwargs)
    image, saved = nib.load(nifti), nib.load(target)
    values = np.asarray(image.dataobj)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), values > np.median(values))
    np.testing.assert_allclose(saved.affine, image.affine, atol=1e-5)


def test_content_counts_and_not_the_name_row_16(nifti: Path, tmp_path: Path) -> None:
    disguised = tmp_path / "NOTES.TXT"
    disguised.write_bytes(nifti.read_bytes())
    assert napari_get_reader(str(disguised)) is not None
    liar = tmp_path / "liar.nii"
    liar.write_text("this is no image\n" * 50)
    assert napari_get_reader(str(liar)) is None
    assert napari_get_reader(str(tmp_path / "nothing.nii")) is None
    assert napari_get_reader([]) is None
    assert napari_get_reader([str(nifti), str(liar)]) is None


def test_row_3_an_empty_folder_and_an_empty_file(tmp_path: Path) -> None:
    assert napari_get_reader(str(tmp_path)) is None
    (tmp_path / "empty.nii").write_bytes(b"")
    assert napari_get_reader(str(tmp_path / "empty.nii")) is None


def test_a_folder_gives_every_scan_in_it(nifti: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(noise((3, 3, 3), seed=1), np.eye(4)), tmp_path / "other.nii")
    reader = napari_get_reader(str(tmp_path))
    assert reader is not None
    assert sorted(data.shape for data, _, _ in reader(str(tmp_path))) == [(3, 3, 3), (6, 4, 5)]


def test_layers_that_are_not_ours_are_saved_as_what_they_say(tmp_path: Path) -> None:
    data = np.zeros((3, 4, 5), np.uint8)
    data[1, 2, 3] = 1
    target = str(tmp_path / "foreign.nii.gz")
    write_labels(target, data, {"name": "Labels", "scale": list(ANISOTROPIC_MM), "units": ["mm"] * 3, "metadata": {}})
    saved = nib.load(target)
    np.testing.assert_array_equal(np.asarray(saved.dataobj).transpose(2, 1, 0), data)
    np.testing.assert_allclose(saved.header.get_zooms(), ANISOTROPIC_MM[::-1], rtol=1e-6)
    assert int(saved.header["sform_code"]) == 0 and int(saved.header["qform_code"]) == 0  # no claim about left
    with pytest.raises(InputError, match="axes"):
        write_labels(target, np.zeros((2, 2, 2, 2), np.uint8), {"name": "four", "metadata": {}})


def test_a_colour_picture_of_ours_is_not_flattened(tmp_path: Path) -> None:
    ((data, kwargs, _),) = scan_layers(Volume(np.zeros((1, 4, 5, 3), np.uint8), Geometry.picture(4, 5), "zyxc"))
    with pytest.raises(InputError):
        write_image(str(tmp_path / "x.nii.gz"), data, {**kwargs, "metadata": {}, "rgb": True})


def test_what_takes_long(nifti: Path, tmp_path: Path) -> None:
    assert takes_long(tmp_path) and not takes_long(nifti) and not takes_long(tmp_path / "nothing")
    with (tmp_path / "big.nii").open("wb") as file:
        file.truncate(20_000_001)
    assert takes_long(tmp_path / "big.nii")
