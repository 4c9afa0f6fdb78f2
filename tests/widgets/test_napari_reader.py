"""napari's own File menu: a folder goes to the dock's task, a small file is read at once, scripts read everything."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medcnn.widgets.napari_reader import get_reader

pytestmark = pytest.mark.gui


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study").mkdir()
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 3.0, 4.0, 1.0])), tmp_path / "study" / "scan.nii.gz")
    return tmp_path / "study"


def test_a_folder_is_read_by_the_dock_and_napari_adds_nothing(desk, folder: Path) -> None:
    reader = get_reader(str(folder))
    assert reader is not None
    assert reader(str(folder)) == [(None,)]
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    assert desk.dock.session.scan.geometry.spacing_mm == (4.0, 3.0, 2.0)
    assert len(desk.viewer.layers) == 1


def test_a_small_file_is_read_at_once(desk, folder: Path) -> None:
    layers = get_reader(str(folder / "scan.nii.gz"))(str(folder / "scan.nii.gz"))
    assert len(layers) == 1 and layers[0][0].shape == (5, 4, 3)
    assert not desk.dock.tasks.names() and not len(desk.viewer.layers)


def test_what_is_no_image_is_left_to_other_plugins(tmp_path: Path) -> None:
    (tmp_path / "notes.nii").write_text("not an image")
    assert get_reader(str(tmp_path / "notes.nii")) is None


def test_without_a_window_a_folder_is_read_at_once(folder: Path) -> None:
    layers = get_reader(str(folder))(str(folder))
    assert len(layers) == 1 and layers[0][2] == "image"
