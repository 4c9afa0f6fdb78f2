"""Scans and masks of a dataset table, against nibabel: several files are channels on the grid of the first."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medcnn.errors import InputError
from napari_medcnn.evaluation.rows import located, row_image, row_mask
from napari_medcnn.io.dataset import Row, read_dataset
from tiny_packages import AFFINE, nifti, nifti_mask


def shifted(steps: int) -> np.ndarray:
    """Return the grid begun so many voxels earlier along x."""
    moved = AFFINE.copy()
    moved[:3, 3] -= steps * AFFINE[:3, 0]
    return moved


def test_files_of_one_grid_and_of_another_become_channels_of_the_first(tmp_path: Path) -> None:
    first = nifti(tmp_path / "p1.T1.nii.gz", (6, 5, 4), 1)
    same = nifti(tmp_path / "p1.T2.nii.gz", (6, 5, 4), 2)
    wider = nifti(tmp_path / "p1.FLAIR.nii.gz", (9, 5, 4), 3, shifted(2))
    (tmp_path / "table.csv").write_text(f"case,image\na,{first.name}|{same.name}|{wider.name}\n")
    dataset = read_dataset(tmp_path / "table.csv")
    scan = row_image(located(dataset.rows[0], dataset))
    assert scan.channel_names == ("p1.T1", "p1.T2", "p1.FLAIR") and scan.axes == "zyxc"
    read = [np.asarray(nibabel.load(path).dataobj).T for path in (first, same, wider)]
    np.testing.assert_array_equal(scan.array[..., 0], read[0])
    np.testing.assert_array_equal(scan.array[..., 1], read[1])
    np.testing.assert_allclose(scan.array[..., 2], read[2][:, :, 2:8], atol=0.05)
    assert scan.notes[-1] == "p1.FLAIR was resampled onto the grid of p1.T1."


def test_of_several_masks_the_later_lie_on_top(tmp_path: Path) -> None:
    one, two = np.zeros((6, 5, 4)), np.zeros((6, 5, 4))
    one[1:4], two[3:5] = 1, 2
    files = (nifti_mask(tmp_path / "one.nii.gz", one), nifti_mask(tmp_path / "two.nii.gz", two))
    merged = row_mask(Row("a", mask=files))
    np.testing.assert_array_equal(merged.array.T, np.where(two > 0, two, one))
    assert set(merged.labels.ids) == {1, 2}


def test_what_is_missing_or_lies_elsewhere_names_the_case(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="case a: the image column is empty"):
        row_image(Row("a"))
    with pytest.raises(InputError, match="case a: the mask column is empty"):
        row_mask(Row("a"))
    here, there = nifti(tmp_path / "t1.nii.gz"), nifti(tmp_path / "knee.nii.gz", affine=shifted(50))
    with pytest.raises(InputError, match="case b: channels: knee lies elsewhere than t1"):
        row_image(Row("b", image=(here, there)))
    masks = (
        nifti_mask(tmp_path / "m.nii.gz", np.ones((6, 5, 4))),
        nifti_mask(tmp_path / "n.nii.gz", np.ones((5, 5, 4))),
    )
    with pytest.raises(InputError, match=r"case c: n.nii.gz has another grid than m.nii.gz"):
        row_mask(Row("c", mask=masks))
