"""Real NIfTI files that nobody here wrote, against nibabel."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from napari_medcnn.io.read import inspect, read_volume

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
REAL = [
    "nifti-real/CT_pitch.nii.gz", "nifti-real/chris_MRA.nii.gz", "nifti-real/fmri_pitch.nii.gz",
    "nifti-real/pcasl.nii.gz",
    "nifti-nibabel/anatomical.nii", "nifti-nibabel/example4d.nii.gz", "nifti-nibabel/example_nifti2.nii.gz",
    "nifti-nibabel/functional.nii", "nifti-nibabel/reoriented_anat_moved.nii", "nifti-nibabel/resampled_anat_moved.nii",
    "nifti-nibabel/standard.nii.gz", "itksnap-cases/img4d_11f.nii.gz", "totalseg-ct/example_ct_sm.nii.gz",
    "totalseg-ct/example_seg.nii.gz", "totalseg-ct/example_mr_sm.nii.gz",
]  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_files_equal_nibabel(shared_data, name: str) -> None:
    path = shared_data(name)
    other = nib.load(path)
    volume = read_volume(path)
    values = other.get_fdata()
    np.testing.assert_allclose(volume.array, values.reshape(values.shape[:4]).T.reshape(volume.array.shape), rtol=1e-6)
    np.testing.assert_allclose(volume.geometry.affine_lps, LPS @ other.affine, atol=1e-4)
    (item,) = inspect(path).items
    assert item.shape == volume.array.shape
    assert item.axes == volume.axes
    assert item.geometry == volume.geometry
