"""Small pictures: the middle slice in its window, sides as expected, inverted where the file says so."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from dicom_files import CR, place_tags, write_image, write_series
from napari_medcnn.core.events import Cancel, result_of
from napari_medcnn.errors import InputError
from napari_medcnn.io import thumbnail as thumbnail_module
from napari_medcnn.io.read import inspect
from napari_medcnn.verbs.thumbnail import ThumbnailRequest, run


def drawn(path: Path, size: int = 96) -> np.ndarray:
    found = inspect(path)
    return result_of(run(ThumbnailRequest(found, found.items[0].id, size), Cancel()))


def corner_volume() -> np.ndarray:
    """Return 5 slices of 20 x 20 at 0, the middle one with a bright block in its first rows and columns."""
    voxels = np.zeros((5, 20, 20), np.int16)
    voxels[2, :6, :6] = 1000
    return voxels


WINDOW = {"WindowCenter": 500, "WindowWidth": 1000}


def test_middle_slice_in_the_files_window(tmp_path: Path) -> None:
    voxels = corner_volume()
    voxels[2, 10:, 10:] = 500
    write_series(tmp_path, voxels, spacing=(2.0, 1.0, 1.0), tags=WINDOW)
    picture = drawn(tmp_path, 40)
    assert picture.shape == (40, 40) and picture.dtype == np.uint8
    assert picture[2, 2] == 255 and picture[30, 2] == 0 and abs(int(picture[30, 30]) - 128) <= 1


@pytest.mark.parametrize(
    ("direction", "corner"),
    [
        (np.eye(3), "upper left"),  # rows to the left, columns to the back: as it lies
        (np.diag([-1.0, -1.0, 1.0]), "lower right"),
        (np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]]), "upper left"),  # transposed: rows run to the back
        # sagittal: rows to the back, columns to the foot; and the same upside down
        (np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]]), "upper left"),
        (np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]), "lower left"),
    ],
)
def test_sides_are_where_a_radiologist_expects_them(tmp_path: Path, direction: np.ndarray, corner: str) -> None:
    write_series(tmp_path, corner_volume(), spacing=(2.0, 1.0, 1.0), tags=WINDOW, direction=direction)
    picture = drawn(tmp_path, 20)
    y, x = np.argwhere(picture == 255).mean(axis=0)
    assert ("upper" if y < 10 else "lower") + " " + ("left" if x < 10 else "right") == corner


def test_pixels_are_square_where_their_size_is_known(tmp_path: Path) -> None:
    write_series(tmp_path, corner_volume(), spacing=(2.0, 2.0, 0.5))
    assert drawn(tmp_path, 80).shape == (80, 20)


def test_small_values_are_bright_in_an_inverted_radiograph(tmp_path: Path) -> None:
    plane = np.zeros((20, 20), np.uint16)
    plane[:10] = 1000
    tags = {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"}
    picture = drawn(write_image(tmp_path / "x.dcm", plane, tags, sop_class=CR), 20)
    assert picture[15, 5] == 255 and picture[2, 5] == 0


def test_a_gapped_series_has_a_picture_before_any_consent(tmp_path: Path) -> None:
    write_series(tmp_path, corner_volume(), tags=WINDOW)[3].unlink()
    assert inspect(tmp_path).items[0].report.asks == "resample"
    assert drawn(tmp_path).max() == 255


def test_one_file_is_read_of_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_series(tmp_path, corner_volume(), tags=WINDOW)
    found = inspect(tmp_path)
    for k in (0, 1, 3, 4):
        files[k].unlink()
    picture = result_of(run(ThumbnailRequest(found, found.items[0].id, 40), Cancel()))
    assert picture.max() == 255


def test_other_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voxels = np.zeros((20, 20, 5), np.int16)  # x, y, z
    voxels[:6, :6, 2] = 1000  # least x and y in RAS: right and back
    nibabel.save(nibabel.Nifti1Image(np.flip(voxels, (0, 1)), np.diag([-1, -1, 2, 1])), tmp_path / "a.nii.gz")
    whole = drawn(tmp_path / "a.nii.gz", 20)
    y, x = np.argwhere(whole == 255).mean(axis=0)
    assert y > 10 and x > 10  # ... LPS voxel 19, 19: left and back
    monkeypatch.setattr(thumbnail_module, "_WHOLE_BYTES", 10)
    np.testing.assert_array_equal(drawn(tmp_path / "a.nii.gz", 20), whole)
    Image.fromarray(np.full((10, 30, 3), (250, 20, 5), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="too large"):
        drawn(tmp_path / "a.png")
    monkeypatch.undo()
    assert drawn(tmp_path / "a.png", 30).shape == (10, 30, 3)
    assert tuple(drawn(tmp_path / "a.png", 30)[5, 5]) == (250, 20, 5)


def test_of_a_mask_the_fullest_slice_in_the_colours_of_its_classes(shared_data) -> None:
    found = inspect(shared_data("zoo-dicom-seg"))
    item = next(i for i in found.items if i.kind == "labels" and i.modality == "SEG")
    picture = result_of(run(ThumbnailRequest(found, item.id), Cancel()))
    assert picture.ndim == 3 and picture.any() and max(picture.shape[:2]) == 96


def test_sizes_and_unknown_items(tmp_path: Path) -> None:
    write_image(tmp_path / "a.dcm", np.zeros((4, 4), np.int16), place_tags(0, (1, 1, 1), (0, 0, 0), np.eye(3), None))
    found = inspect(tmp_path)
    with pytest.raises(InputError, match="8 to 1024"):
        result_of(run(ThumbnailRequest(found, found.items[0].id, 4), Cancel()))
    with pytest.raises(InputError, match="no image 'gone'"):
        result_of(run(ThumbnailRequest(found, "gone"), Cancel()))
