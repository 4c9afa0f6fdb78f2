"""The series gate on real series: grids and order of slices against dcm2niix and dicom2nifti."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from nibabel.orientations import io_orientation, ornt_transform

from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Part, Plane
from napari_medcnn.io.dicom.gate import group, sort_series
from napari_medcnn.io.dicom.headers import read_header


def parts_in(folder: Path) -> list[Part]:
    headers = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                headers.append(read_header(path))
            except InputError:
                continue
    images = [h for h in headers if h.kind == "image"]
    parts = [part for several in group(images).values() for part in sort_series(several)]
    assert {f for part in parts for f in part.files} == {h.path for h in images}
    return parts


def stored(plane: Plane, cache: dict[Path, np.ndarray]) -> np.ndarray:
    """Return the values of a plane after the rescale, decoded by pydicom or SimpleITK: not by the code under test."""
    path = plane.header.path
    if path not in cache:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path)
            try:
                cache[path] = data.pixel_array
            except RuntimeError:  # no decoder for lossless JPEG in pydicom here
                cache[path] = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    array = cache[path]
    if plane.header.stored.frames > 1:
        array = array[plane.frame.index]
    if plane.frame.tile is not None:
        row, column, rows, columns = plane.frame.tile
        array = array[row : row + rows, column : column + columns]
    return array * plane.frame.slope + plane.frame.intercept


def aligned(part: Part, reference: Path) -> tuple[nibabel.Nifti1Image, nibabel.Nifti1Image]:
    """Return our image and the reference, ours brought to the axis codes of the reference by flips and permutations."""
    cache: dict[Path, np.ndarray] = {}
    voxels = np.array([[stored(p, cache) for p in t] for t in part.planes])
    voxels = voxels.transpose(3, 2, 1, 0) if part.axes == "tzyx" else voxels[0].swapaxes(0, 2)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ part.geometry.affine_lps
    theirs = nibabel.load(reference)
    turn = ornt_transform(io_orientation(affine), io_orientation(theirs.affine))
    return nibabel.Nifti1Image(voxels, affine).as_reoriented(turn), theirs


FIVE = ("compressed", "compressed_rle", "compressed_jpegls", "compressed_j2k")
D2N = "zoo-dicom2nifti"


@pytest.mark.parametrize(
    ("source", "reference", "times"),
    [
        ("zoo-orientation-mosaic/In/ax", "zoo-orientation-mosaic/Ref/ax_asc_35sl_6.nii", 2),
        ("zoo-orientation-mosaic/In/sag", "zoo-orientation-mosaic/Ref/sag_asc_35sl_22.nii", 2),
        ("zoo-orientation-mosaic/In/axmb", "zoo-orientation-mosaic/Ref/fMRI_MB_asc_25.nii", 2),
        ("zoo-nih-siemens/In", "zoo-nih-siemens/Ref/EPI_PE=AP_3.nii", 2),
        ("zoo-nih-ge-4d/In", "zoo-nih-ge-4d/Ref/DCM2NIIX_regression_test_4.nii", 10),
        (f"{D2N}/generic/anatomical/001", f"{D2N}/generic/anatomical/001_ground_truth.nii.gz", 1),
        (f"{D2N}/generic/anatomical/002_non_isotropic",
         f"{D2N}/generic/anatomical/002_non_isotropic_ground_truth.nii.gz", 1),
        (f"{D2N}/siemens_multiframe/anatomical/001", f"{D2N}/siemens_multiframe/anatomical/001_ground_truth.nii.gz", 1),
        *[(f"{D2N}/generic/{name}/001", f"{D2N}/generic/{name}/001_ground_truth.nii.gz", 1) for name in FIVE],
    ],
)  # fmt: skip
def test_real_series_equal_their_reference(shared_data, source: str, reference: str, times: int) -> None:
    (part,) = parts_in(shared_data(source))
    assert len(part.planes) == times
    assert part.report.refused == ()
    ours, theirs = aligned(part, shared_data(reference))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-3)
    np.testing.assert_allclose(np.asarray(ours.dataobj), theirs.get_fdata(), rtol=1e-6, atol=1e-4)


def test_the_times_of_dcm2niix(shared_data) -> None:
    for source, repetition in (("zoo-nih-ge-4d/In", 5.0), ("zoo-nih-siemens/In", 2.435)):
        (part,) = parts_in(shared_data(source))
        assert (part.frame_unit, part.frame_name) == ("s", "t")
        np.testing.assert_allclose(np.diff(part.frame_values), repetition, atol=0.02)


def test_twelve_bit_mosaics_have_the_grid_of_dcm2niix(shared_data) -> None:
    for path in sorted(shared_data("zoo-12bit/In").glob("*.dcm")):
        (part,) = sort_series([read_header(path)])
        assert part.shape == (35, 64, 64)
        for reference in sorted(shared_data("zoo-12bit/Ref").glob("*.nii")):
            ours, theirs = aligned(part, reference)
            np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-3)


def test_real_tilts_and_a_missing_slice(shared_data) -> None:
    (philips,) = [p for p in parts_in(shared_data("zoo-ct-tilt")) if p.axes == "zyx" and p.shape[0] == 7]
    assert "tilted by 18.5° (the file states -18.5°)" in " ".join(philips.report.found)
    assert philips.report.asks == "resample"
    through = philips.affine_lps[:3, 2]
    normal = np.cross(*philips.affine_lps[:3, :2].T)
    assert abs(through @ normal / np.linalg.norm(normal)) == pytest.approx(2.37, abs=0.005)  # README of the data
    (siemens,) = parts_in(shared_data("zoo-dicom2nifti/failing/gantrytilting/001"))
    assert "tilted by 14.0°" in siemens.report.refused[0]
    (gap,) = parts_in(shared_data("zoo-dicom2nifti/failing/sliceincrement/002"))
    assert "1.50 mm between slices 3 and 4" in gap.report.refused[-1]
    assert "0.75 mm is usual: one slice seems to be missing" in gap.report.refused[-1]
    assert gap.report.asks == "resample"


def test_a_real_4d_ct_whose_times_lie_in_one_series(shared_data) -> None:
    """Nineteen time points of four slices; as exported each has a series UID of its own and stays apart."""
    folder = shared_data("zoo-panimg/dicom_4d")
    apart = parts_in(folder)
    assert [p.shape for p in apart] == [(4, 2, 3)] * 19
    headers = [replace(read_header(p), series_uid="1.2.3") for p in sorted(folder.iterdir())]
    (part,) = sort_series(headers)
    assert part.shape == (19, 4, 2, 3)
    indices = [[p.frame.moment["TemporalPositionIndex"] for p in t] for t in part.planes]
    assert indices == [[t + 1.0] * 4 for t in range(19)]
    assert part.frame_unit == "s"
    assert part.frame_values[6] == 6.0  # 21:45:01 to 21:45:07
    assert part.geometry.spacing_mm == pytest.approx((0.5, 0.43, 0.43), abs=1e-3)


@pytest.mark.parametrize(
    "name",
    ["zoo-pydicom", "zoo-pydicom-data", "zoo-fodicom-bugs", "zoo-wg04", "zoo-transfer-syntax-ct", "zoo-charset",
     "zoo-dicom-seg", "zoo-rtstruct", "zoo-torchio-series", "zoo-panimg"],
)  # fmt: skip
def test_every_real_image_is_accounted_for(shared_data, name: str) -> None:
    parts = parts_in(shared_data(name))
    assert parts
    for part in parts:
        assert bool(part.planes) == (not part.report.refused or bool(part.report.asks))
        assert all(word.isprintable() for word in (*part.report.found, *part.report.warnings, part.title))
