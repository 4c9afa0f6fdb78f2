"""`medcnn convert` against the NIfTI files that dcm2niix and dicom2nifti made of the same series."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from napari_medcnn.cli.main import main
from napari_medcnn.io.read import inspect
from zoo.expectations import REFERENCES

AXES = np.array([[0, 1], [1, 1], [2, 1]], float)  # to right, anterior, superior


def canonical(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels (x, y, z, ...) and the RAS affine after flips and permutations to the same axis codes."""
    image = nib.load(path)
    values = np.asarray(image.dataobj)
    if values.dtype.names:  # RGB, or RGBA with nothing in A
        values = np.stack([values[n] for n in "RGB"], axis=-1)
    how = ornt_transform(io_orientation(image.affine), AXES)
    affine = image.affine @ inv_ornt_aff(how, values.shape[:3])
    values = apply_orientation(values, how)
    while values.ndim > 3 and values.shape[3] == 1 and values.shape[-1] != 3:
        values = values[..., 0]
    return np.squeeze(values) if values.ndim > 4 else values, affine


def furthest(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the largest distance in mm between corners of the grid under both matrices."""
    ends = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])], float)
    return float(np.abs(ends @ (a - b).T).max())


@pytest.mark.parametrize("source", REFERENCES)
def test_convert_equals_the_reference(shared_data: Callable[[str], Path], tmp_path: Path, source: str) -> None:
    reference, _maker = REFERENCES[source]
    target = tmp_path / "ours.nii.gz"
    series = [item.id for item in inspect(shared_data(source)).items if item.series_uid]
    assert len(series) == 1, "one series, and beside it at most a reference"
    assert main(["convert", str(shared_data(source)), str(target), "--item", series[0]]) == 0
    ours, our_affine = canonical(target)
    theirs, their_affine = canonical(shared_data(reference))
    assert ours.shape == theirs.shape
    assert furthest(our_affine, their_affine, ours.shape) <= 1e-3
    # nibabel scales integers in float64, converters store float32 where a slope is no whole number
    np.testing.assert_allclose(ours.astype(float), theirs.astype(float), rtol=1e-6, atol=1e-6)


def test_every_reference_is_paired(shared_data: Callable[[str], Path]) -> None:
    """A reference NIfTI that nobody compares with would prove nothing."""
    folders = [shared_data(name) for name in {source.split("/")[0] for source in REFERENCES}]
    there = {p.relative_to(f.parent).as_posix() for f in folders for p in f.rglob("*.nii*")}
    used = {reference for reference, _ in REFERENCES.values()}
    copies = {"zoo-orientation-mosaic/In/ax/axasc35/6_ax_asc_35sl.nii"}  # lies among the input, byte-equal to its Ref
    crooked = {"zoo-dicom2nifti/failing/sliceincrement/002_ground_truth.nii.gz"}  # interpolated: see the table
    assert there - used - copies - crooked == set()
