"""The zoo in short: of every data folder one file and, where it holds series, one folder; `make zoo` does all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from zoo import jpeg_lossless, rows_dicom
from zoo.rows import FINE, Row
from zoo.table import all_rows, drop_rows, file_rows

FILES = [
    "brats-mri/brats_2013_pat0005_1/OTMultiClass.nii.gz", "chase-db1/Image_01L_1stHO.png",
    "hippocampus-mri/images/hippocampus_190.nii.gz", "hippocampus-mri/labels/hippocampus_190.nii.gz",
    "itksnap-cases/MRIcrop-seg.gipl.gz", "itksnap-cases/X300.mha", "itksnap-cases/seg4d_11f.nii.gz",
    "nifti-nibabel/anatomical.nii", "nifti-nibabel/0.dcm", "nifti-nibabel/small.mnc", "nifti-nibabel/test.mgz",
    "nifti-real/fmri_pitch.nii.gz", "nrrd-variants/BallBinary30x30x30_bz2.nrrd",
    "nrrd-variants/BallBinary30x30x30_nifti.nhdr", "pneumonia-mnist/pneumoniamnist_trainval.npz",
    "slicer-ct-segnrrd/SegmentationOverlapping.seg.nrrd", "spinal-cord-mri/mt/mt1.nii.gz",
    "totalseg-ct/example_seg_mr.nii.gz", "zoo-12bit/In/12bitSigned_0x0F0F.dcm", "zoo-charset/chrArab.dcm",
    "zoo-ct-tilt/Philips_S1000_scout/DIRFILE", "zoo-dicom-seg/dcmqi/partial_overlaps.dcm",
    "zoo-dicom-seg/dcmqi/sparse-labelmap-ppv5.dcm", "zoo-dicom-seg/highdicom/seg_image_ct_binary.dcm",
    "zoo-dicom-seg/highdicom/sm_image.dcm", "zoo-dicom-seg/highdicom/sr_document.dcm",
    "zoo-dicom2nifti/siemens_multiframe/anatomical/001/IM-0001-0001-0001.dcm", "zoo-fodicom-bugs/GH184.dcm",
    "zoo-fodicom-bugs/CR-MONO1-10-chest", "zoo-fodicom-bugs/TestPattern_Palette.dcm", "zoo-fodicom-bugs/abd1.zip",
    "zoo-panimg/referring_to_system_file.mhd", "zoo-panimg/tar_with_sym_link.tar", "zoo-panimg/valid_tiff.tif",
    "zoo-panimg/image10x11x12x13.mha", "zoo-pydicom/SC_rgb_rle_16bit_2frame.dcm", "zoo-pydicom/rtdose.dcm",
    "zoo-pydicom/MR_truncated.dcm", "zoo-pydicom/ExplVR_BigEnd.dcm", "zoo-pydicom/examples_palette.dcm",
    "zoo-pydicom/waveform_ecg.dcm", "zoo-pydicom-data/emri_small_jpeg_ls_lossless.dcm",
    "zoo-pydicom-data/liver_nonbyte_aligned_rle.dcm", "zoo-pydicom-data/SC_ybr_full_uncompressed.dcm",
    "zoo-rtstruct/mock_data/rt.dcm", "zoo-transfer-syntax-ct/no-pixel-spacing.dcm", "zoo-wg04/JLSN/NM1_JLSN",
    "zoo-wg04/JPLY/NM1_JPLY", "zoo-wg04/J2KR/NM1_J2KR",
]  # fmt: skip
FOLDERS = [
    "totalseg-ct/example_ct_dicom", "zoo-ct-tilt/Philips_S2010",
    "zoo-dicom2nifti/failing/sliceincrement/002", "zoo-dicom2nifti/generic/rgb/001",
    "zoo-nih-siemens/In/mr_0003", "zoo-orientation-mosaic/In/sag/sagasc35", "zoo-panimg/dicom_4d",
    "zoo-panimg/dicom_slope", "zoo-pydicom/dicomdirtests/98892003", "zoo-rtstruct/mock_data", "zoo-torchio-series",
]  # fmt: skip


def _check(rows: list[Row]) -> None:
    assert rows
    bad = [row.line() for row in rows if row.verdict not in FINE]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", FILES)
def test_file_agrees_with_its_reference(shared_data: Callable[[str], Path], name: str) -> None:
    path = shared_data(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracles'; ours are errors in tests of their own
        _check(file_rows(path.parents[name.count("/")], path))


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_agrees_with_its_reference(shared_data: Callable[[str], Path], name: str) -> None:
    path = shared_data(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _check(drop_rows(path.parents[name.count("/")], path))


def test_every_data_folder_has_an_example(shared_data: Callable[[str], Path]) -> None:
    there = {p.name for p in shared_data("README.md").parent.iterdir() if p.is_dir()}
    assert there - {name.split("/")[0] for name in [*FILES, *FOLDERS]} - {"zoo-nih-ge-4d"} == set()
    # 150 files of one series: in test_references.py


@pytest.mark.proof
def test_the_whole_table(shared_data: Callable[[str], Path]) -> None:
    _check(list(all_rows(shared_data("README.md").parent)))


def test_the_table_sees_a_wrong_voxel_and_a_wrong_place(
    shared_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof that cannot fail is none: one voxel changed, or the grid moved by 0.1 mm, must show."""
    path = shared_data("zoo-torchio-series")
    honest = rows_dicom.read

    def wrong_voxel(*arguments: object) -> object:
        volume = honest(*arguments)
        array = volume.array.copy()
        array[3, 5, 7] += 1
        return replace(volume, array=array)

    def wrong_place(*arguments: object) -> object:
        volume = honest(*arguments)
        x, y, z = volume.geometry.origin_lps
        return replace(volume, geometry=replace(volume.geometry, origin_lps=(x + 0.1, y, z)))

    for lie in (wrong_voxel, wrong_place):
        monkeypatch.setattr(rows_dicom, "read", lie)
        assert any(row.verdict not in FINE for row in drop_rows(path.parent, path))


def test_lossless_jpeg_by_the_standard_equals_the_original(shared_data: Callable[[str], Path]) -> None:
    """The oracle's own decoder, held against the picture before compression."""
    coded = pydicom.dcmread(shared_data("zoo-wg04/JPLL/NM1_JPLL"))
    plain = pydicom.dcmread(shared_data("zoo-wg04/REF/NM1_UNC")).pixel_array
    stream = next(generate_frames(coded.PixelData, number_of_frames=1))
    np.testing.assert_array_equal(jpeg_lossless.decode(stream).astype(int), plain)
