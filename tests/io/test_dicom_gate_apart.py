"""What one series holds apart: blocks, studies, units; copies in other compressions; steps that change by little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_files import uid, write_series
from gate_cases import RNG, VOXELS, parts_of, voxels_of


def test_small_differences_that_add_up_are_no_even_step(tmp_path: Path) -> None:
    """Each gap lies within a hundredth of a millimetre of the usual one, and the middle slice 0.2 mm off."""
    depths = [*(1.0 * k for k in range(41)), *(40 + 1.01 * k for k in range(1, 41))]
    voxels = np.zeros((81, 2, 2), np.int16)
    write_series(tmp_path, voxels, each=lambda k: {"ImagePositionPatient": [10, 20, round(depths[k], 3)]})
    (part,) = parts_of(tmp_path)
    assert (part.geometry, part.report.asks) == (None, "resample")
    assert "slice 41 lies 0.20 mm from where an even step of 1.005 mm has it" in part.report.refused[0]
    np.testing.assert_allclose(part.positions_mm, depths, atol=1e-9)


def test_a_slight_lean_is_said(tmp_path: Path) -> None:
    """0.05 degrees over 80 mm: 0.07 mm, as much as a tenth of a pixel, which rounded directions explain."""
    write_series(tmp_path, np.zeros((41, 2, 2), np.int16), (2.0, 0.7, 0.7), step=(0, 2 * np.tan(np.radians(0.08)), 2.0))
    (part,) = parts_of(tmp_path)
    assert part.geometry is not None
    assert "slide by 0.11 mm in the plane (0.08°)" in part.report.assumed[0]


def test_blocks_far_apart_are_images_of_their_own(tmp_path: Path) -> None:
    """Skull base and pelvis in one series: nobody wants 200 mm of made-up patient between them."""
    voxels = RNG.integers(0, 900, (9, 8, 6)).astype(np.int16)
    depths = [0.0, 1.25, 2.5, 3.75, 5.0, 207.5, 208.75, 210.0, 300.0]
    write_series(tmp_path, voxels, each=lambda k: {"ImagePositionPatient": [10, 20, depths[k]]})
    parts = parts_of(tmp_path)
    assert [p.id for p in parts] == [uid("series"), uid("series") + ":block-2", uid("series") + ":block-3"]
    assert [p.shape for p in parts] == [(5, 8, 6), (3, 8, 6), (1, 8, 6)]
    assert parts[1].title == "CT 5, Thorax, block 2"
    for part, start in zip(parts, (0, 5, 8), strict=True):
        assert part.report.refused == ()
        assert "3 blocks of slices, 202.50 mm apart (between 5.00 and 207.50 mm)" in part.report.assumed[0]
        np.testing.assert_allclose(part.geometry.origin_lps, (10, 20, depths[start]))
        np.testing.assert_array_equal(voxels_of(part)[0], voxels[start : start + part.shape[0]])


def test_a_gap_of_ten_steps_is_asked_and_one_more_parts_the_series(tmp_path: Path) -> None:
    for far, count in ((25.0, 1), (25.1, 2)):
        depths = [0.0, 2.5, 5.0, 5 + far]
        folder = tmp_path / str(far)
        write_series(folder, VOXELS[:4], each=lambda k, d=depths: {"ImagePositionPatient": [10, 20, d[k]]})
        parts = parts_of(folder)
        assert (len(parts), parts[0].report.asks) == (count, "resample" if count == 1 else "")


def test_many_scattered_groups_are_refused(tmp_path: Path) -> None:
    depths = [40.0 * (k // 3) + k % 3 for k in range(63)]
    write_series(tmp_path, np.zeros((63, 2, 2), np.int16), each=lambda k: {"ImagePositionPatient": [0, 0, depths[k]]})
    (part,) = parts_of(tmp_path)
    assert (part.planes, part.report.asks) == ((), "")
    assert "63 slices lie in 21 groups, each more than 10 usual steps from the next" in part.report.refused[0]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"])
def test_copies_in_another_compression_are_copies(tmp_path: Path, syntax: str) -> None:
    paths = write_series(tmp_path, VOXELS.astype(np.uint16) % 4096)
    data = pydicom.dcmread(paths[2])
    data.compress(syntax, generate_instance_uid=False)
    data.save_as(tmp_path / "again.dcm")
    (part,) = parts_of(tmp_path)
    assert (part.shape, part.report.refused) == ((5, 8, 6), ())
    assert any("One slice is there twice, as an equal copy" in note for note in part.report.assumed)
    data = pydicom.dcmread(paths[3])
    data.PixelData = (data.pixel_array + 1).astype("<u2").tobytes()
    data.compress(syntax, generate_instance_uid=False)
    data.save_as(tmp_path / "other.dcm")
    (part,) = parts_of(tmp_path)
    assert part.report.asks == "duplicates"
    assert "1 place holds images that differ" in part.report.refused[0]


def test_two_studies_under_one_series_uid_are_two_images(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    after = {"StudyInstanceUID": uid("another study")}
    write_series(
        tmp_path, VOXELS[::-1], tags=after, origin=(10, 20, 31.25), name="b", each=lambda k: {"InstanceNumber": 50 + k}
    )  # between the slices of the first
    first, second = parts_of(tmp_path)
    assert (first.shape, second.shape) == ((5, 8, 6), (5, 8, 6))
    np.testing.assert_array_equal(voxels_of(second)[0], VOXELS[::-1])
    assert "images of 2 studies; they are listed apart" in second.report.assumed[-1]


def test_a_study_uid_for_each_file_tells_nothing_apart(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"StudyInstanceUID": uid("study of", k)})
    (part,) = parts_of(tmp_path)
    assert part.shape == (5, 8, 6)
    assert any("names a study of its own; they are taken as one" in note for note in part.report.assumed)


def test_values_of_two_units_are_never_one_volume(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"RescaleType": "HU" if k < 3 else "HU_MOD", "RescaleSlope": 1,
                                                   "RescaleIntercept": 0})  # fmt: skip
    assert [p.title.rpartition(", ")[2] for p in parts_of(tmp_path)] == ["in hu", "in hu_mod"]


def test_two_modalities_under_one_series_uid_are_two_images(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"Modality": "CT" if k < 3 else "PT"})
    assert [(p.title, p.shape[0]) for p in parts_of(tmp_path)] == [("CT 5, Thorax, CT", 3), ("PT 5, Thorax, PT", 2)]


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (lambda k: {"ConvolutionKernel": "B30f" if k < 3 else "B70f"}, "different kernels: B30f, B70f."),
        (lambda k: {"SliceThickness": 2.5 if k < 3 else 5}, "differ in thickness: 2.5 to 5 mm."),
        (lambda k: {"TemporalPositionIdentifier": 1 + k // 3}, "differ in time point: 1, 2."),
        (lambda k: {"EchoTime": [10, 20, 30, 10, 10][k]}, "differ in echo time: 10, 20, 30."),
    ],
)
def test_slices_not_made_alike_are_said(tmp_path: Path, tags, words: str) -> None:
    write_series(tmp_path, VOXELS, each=tags)
    (part,) = parts_of(tmp_path)
    assert words in part.report.assumed[0]
    assert part.geometry is not None


def test_a_missing_slice_of_ten_micrometres_is_no_rounding(tmp_path: Path) -> None:
    depths = [0.01 * k for k in range(6) if k != 3]
    write_series(tmp_path, VOXELS, (0.01, 0.01, 0.01), each=lambda k: {"ImagePositionPatient": [0, 0, depths[k]]})
    (part,) = parts_of(tmp_path)
    assert "0.02 mm between slices 3 and 4" in part.report.refused[0]
    assert part.report.asks == "resample"
