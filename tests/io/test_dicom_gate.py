"""The series gate in space: synthetic series whose right answer follows from how they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dicom_files import (
    CR,
    MR,
    RT_DOSE,
    US_MULTI,
    uid,
    write_image,
    write_series,
    write_times,
)
from dicom_files import group as items_of
from gate_cases import FOUR, RNG, TURN, VOXELS, parts_of, voxels_of
from napari_medcnn.io.dicom.gate import group as by_series
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.headers import read_header


def test_a_plain_oblique_series(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, (2.5, 0.8, 0.7), direction=TURN)
    (part,) = parts_of(tmp_path)
    assert (part.id, part.axes, part.shape, part.title) == (uid("series"), "zyx", (5, 8, 6), "CT 5, Thorax")
    np.testing.assert_array_equal(voxels_of(part)[0], VOXELS)
    np.testing.assert_allclose(part.geometry.spacing_mm, (2.5, 0.8, 0.7), atol=1e-6)
    np.testing.assert_allclose(part.geometry.direction, TURN, atol=1e-6)
    np.testing.assert_allclose(part.geometry.origin_lps, (10, 20, 30), atol=1e-6)
    assert part.report.warnings == ()


def test_slices_counted_against_the_normal_rise_along_it(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, step=(0, 0, -2.5))
    (part,) = parts_of(tmp_path)
    np.testing.assert_array_equal(voxels_of(part)[0], VOXELS[::-1])
    np.testing.assert_allclose(part.geometry.origin_lps, (10, 20, 30 - 4 * 2.5))


@pytest.mark.parametrize("degrees", [-18.6, 5.0, 0.3])
def test_tilt_is_measured_and_asked(tmp_path: Path, degrees: float) -> None:
    slide = np.tan(np.radians(degrees)) * 2.5
    write_series(tmp_path, VOXELS, direction=TURN, step=2.5 * TURN[:, 2] + slide * TURN[:, 1])
    (part,) = parts_of(tmp_path)
    if degrees == 0.3:  # 0.052 mm over the stack: less than a tenth of a pixel
        assert part.geometry is not None
        return
    assert (part.geometry, part.report.asks, part.positions_mm) == (None, "resample", None)
    assert f"tilted by {abs(degrees):.1f}°" in part.report.refused[0]
    expected = np.eye(4)
    expected[:3, :3] = TURN @ np.array([[0.7, 0, 0], [0, 0.8, slide], [0, 0, 2.5]])
    expected[:3, 3] = (10, 20, 30)
    np.testing.assert_allclose(part.affine_lps, expected, atol=1e-5)
    np.testing.assert_array_equal(voxels_of(part)[0], VOXELS)


def test_a_missing_slice_is_named_with_its_place(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)[2].unlink()
    (part,) = parts_of(tmp_path)
    (refused,) = part.report.refused
    assert "5.00 mm between slices 2 and 3 (at 32.50 and 37.50 mm), where 2.50 mm is usual" in refused
    assert "one slice seems to be missing" in refused
    assert part.report.asks == "resample"
    np.testing.assert_allclose(part.positions_mm, [0, 2.5, 7.5, 10])


def test_a_change_of_step_is_told_too(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"ImagePositionPatient": [10, 20, 30 + 2.5 * k + max(0, k - 3)]})
    (part,) = parts_of(tmp_path)
    assert "3.50 mm between slices 4 and 5" in part.report.refused[0]
    assert "changed its step" in part.report.refused[0]


def test_rounding_of_positions_is_no_gap(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"ImagePositionPatient": [10, 20, round(30 + 1.33333 * k, 2)]})
    (part,) = parts_of(tmp_path)
    assert part.geometry is not None
    assert part.geometry.spacing_mm[0] == pytest.approx(1.3333, abs=3e-3)


def test_slices_that_slide_irregularly_are_refused(tmp_path: Path) -> None:
    write_series(
        tmp_path, VOXELS, each=lambda k: {"ImagePositionPatient": [10 + (3 if k == 2 else 0), 20, 30 + 2.5 * k]}
    )
    (part,) = parts_of(tmp_path)
    assert "shifted against each other (slice 3 by 3.00 mm" in part.report.refused[0]
    assert (part.planes, part.report.asks) == ((), "")


def test_equal_copies_are_dropped_and_counted(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VOXELS)
    for k in (1, 3):
        (tmp_path / f"copy{k}").write_bytes(paths[k].read_bytes())
    (part,) = parts_of(tmp_path)
    assert part.shape == (5, 8, 6)
    assert part.report.asks == ""
    assert any("2 equal copies" in note for note in part.report.assumed)
    assert len(part.files) == 7


def test_equal_copies_under_another_uid_are_dropped(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    write_series(
        tmp_path, VOXELS[2:3], each=lambda _: {"ImagePositionPatient": [10, 20, 35], "InstanceNumber": 77}, name="c"
    )
    (part,) = parts_of(tmp_path)
    assert (part.shape, part.duplicates, part.report.asks) == ((5, 8, 6), (), "")
    assert any("there twice" in note for note in part.report.assumed)


def test_a_whole_series_copied_under_other_uids_is_no_time_series(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    write_series(tmp_path, VOXELS, each=lambda k: {"InstanceNumber": 100 + k}, name="c")
    (part,) = parts_of(tmp_path)
    assert part.shape == (5, 8, 6)
    assert any("5 equal copies" in note for note in part.report.assumed)


def test_conflicting_duplicates_are_asked(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    other = VOXELS[3:4] + np.int16(1)
    write_series(
        tmp_path, other, each=lambda _: {"ImagePositionPatient": [10, 20, 37.5], "InstanceNumber": 77}, name="c"
    )
    (part,) = parts_of(tmp_path)
    assert part.report.asks == "duplicates"
    assert "slice 4" in part.report.refused[0]
    ((t, z, plane),) = part.duplicates
    assert (t, z, plane.frame.instance) == (0, 3, 77)
    assert part.planes[0][3].frame.instance == 4
    np.testing.assert_array_equal(voxels_of(part)[0], VOXELS)
    assert part.geometry is not None


def test_a_pixel_spacing_that_repeats_the_detectors_is_no_size_in_the_patient(tmp_path: Path) -> None:
    tags = {"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.15, 0.15]}
    write_image(tmp_path / "a" / "x", VOXELS[0], tags, sop_class=CR)
    (part,) = parts_of(tmp_path / "a")
    assert part.geometry.spacing_mm == (1, 1, 1)
    assert any("0.15 x 0.15 mm at detector" in note for note in part.report.assumed)
    write_image(tmp_path / "b" / "x", VOXELS[0], {**tags, "PixelSpacingCalibrationType": "FIDUCIAL"}, sop_class=CR)
    (part,) = parts_of(tmp_path / "b")
    assert part.geometry.spacing_mm == (1, 0.15, 0.15)


@pytest.mark.parametrize(
    ("change", "shapes", "word"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, {(4, 8, 6), (1, 8, 6)}, "orientation 2"),
        ({"PixelSpacing": [0.8, 0.9]}, {(4, 8, 6), (1, 8, 6)}, "0.8 x 0.9 mm"),
        ({"PixelSpacing": None}, {(4, 8, 6), (1, 8, 6)}, "no spacing"),
        ({"Rows": 4}, {(4, 8, 6), (1, 4, 6)}, "4 x 6"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, {(4, 8, 6), (1, 8, 6)}, "inverted"),
        ({"StackID": "2"}, {(4, 8, 6), (1, 8, 6)}, "stack 2"),
        ({"PatientID": "somebody else"}, {(4, 8, 6), (1, 8, 6)}, "patient 2"),
    ],
)
def test_mixtures_are_never_one_volume(tmp_path: Path, change, shapes, word: str) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: change if k == 4 else {})
    parts = parts_of(tmp_path)
    assert {p.shape for p in parts} == shapes
    assert any(word in p.title for p in parts)
    assert parts[0].geometry is not None
    if "PatientID" in change:
        assert all("2 patients" in p.report.assumed[-1] for p in parts)


def test_a_localizer_of_three_orientations_is_three_images(tmp_path: Path) -> None:
    turns = [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]]
    write_series(tmp_path, VOXELS[:3], each=lambda k: {"ImageOrientationPatient": turns[k]})
    parts = parts_of(tmp_path)
    assert [p.shape for p in parts] == [(1, 8, 6)] * 3
    assert [p.id.removeprefix(uid("series")) for p in parts] == ["", ":orientation-2", ":orientation-3"]


def test_a_slope_of_each_slice_stays_with_it(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"RescaleSlope": 1 + k, "RescaleIntercept": -k})
    (part,) = parts_of(tmp_path)
    assert [(p.frame.slope, p.frame.intercept) for p in part.planes[0]] == [(1 + k, -k) for k in range(5)]


def test_slices_without_a_position(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, each=lambda k: {"ImagePositionPatient": None, "SliceLocation": 2.5 * k})
    (part,) = parts_of(tmp_path / "a")
    assert (part.planes, part.report.asks, len(part.files)) == ((), "", 5)
    assert "do not say where their slices lie" in part.report.refused[0]
    write_series(tmp_path / "b", VOXELS, each=lambda k: {"ImagePositionPatient": None} if k == 4 else {})
    stack, single = parts_of(tmp_path / "b")
    assert (stack.shape, single.shape) == ((4, 8, 6), (1, 8, 6))
    assert "apart from the other 4" in single.report.assumed[0]
    assert not single.geometry.orientation_known


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"PixelSpacing": None}, "does not state a pixel spacing"),
        ({"PixelSpacing": [0, 0]}, "does not state a pixel spacing"),
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.15, 0.15]}, "0.15 x 0.15 mm at detector"),
        ({"ImageOrientationPatient": [0.0] * 6}, "left out"),
    ],
)
def test_spacing_is_never_invented(tmp_path: Path, tags, words: str) -> None:
    write_series(tmp_path, VOXELS[:1], tags=tags)
    (part,) = parts_of(tmp_path)
    assert any(words in note for note in part.report.assumed)
    assert part.geometry.spacing_known is ("PixelSpacing" not in tags)


def test_projections_are_pictures_of_their_own(tmp_path: Path) -> None:
    for k, view in enumerate(("PA", "LL")):
        write_image(tmp_path / view, VOXELS[k], {"ViewPosition": view, "InstanceNumber": k + 1, "Laterality": "",
                    "PatientOrientation": ["L", "F"], "ImagerPixelSpacing": [0.15, 0.15]}, sop_class=CR)  # fmt: skip
    first, second = parts_of(tmp_path)
    assert (first.shape, second.shape, second.id) == ((1, 8, 6), (1, 8, 6), uid("series") + ":image-2")
    assert ("PA" in first.title, "LL" in second.title) == (True, True)
    assert "Rows run to L, columns to F" in first.report.found[0]


def test_colour_adds_a_channel_axis(tmp_path: Path) -> None:
    colours = RNG.integers(0, 255, (3, 8, 6, 3)).astype(np.uint8)
    write_series(tmp_path / "a", colours)
    (part,) = parts_of(tmp_path / "a")
    assert (part.axes, part.shape) == ("zyxc", (3, 8, 6, 3))
    write_image(tmp_path / "b" / "film", colours, {"FrameTime": 40}, sop_class=US_MULTI)
    (film,) = parts_of(tmp_path / "b")
    assert (film.axes, film.shape) == ("tzyxc", (3, 1, 8, 6, 3))


def test_a_dose_grid_is_a_volume(tmp_path: Path) -> None:
    tags = {"ImagePositionPatient": [1, 2, 10], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [2, 3],
            "DoseGridScaling": 0.001, "DoseUnits": "GY", "GridFrameOffsetVector": [0, 2.5, 5]}  # fmt: skip
    write_image(tmp_path / "dose", VOXELS[:3].astype(np.uint16), tags, sop_class=RT_DOSE)
    (part,) = parts_of(tmp_path)
    assert (part.shape, part.geometry.spacing_mm, part.geometry.origin_lps) == ((3, 8, 6), (2.5, 2, 3), (1, 2, 10))


def test_a_mosaic_whose_slices_are_not_told_is_refused_by_name(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS[:2], tags={"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, sop_class=MR)
    (part,) = parts_of(tmp_path)
    assert "Siemens mosaic" in part.report.refused[0]
    assert len(part.files) == 2


def test_images_at_one_place_told_apart_only_by_number_stay_apart(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS[:3], step=(0, 0, 0))
    parts = parts_of(tmp_path)
    assert [p.shape for p in parts] == [(1, 8, 6)] * 3
    assert [p.title.rpartition(", ")[2] for p in parts] == ["image 1", "image 2", "image 3"]


def test_series_are_grouped_by_uid_and_files_without_one_stand_alone(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS[:2])
    write_series(tmp_path, VOXELS[:2], tags={"SeriesInstanceUID": uid("other")}, name="o")
    write_series(tmp_path, VOXELS[:2], tags={"SeriesInstanceUID": None}, name="n")
    groups = by_series([read_header(p) for p in sorted(tmp_path.iterdir())])
    assert sorted(len(g) for g in groups.values()) == [1, 1, 2, 2]
    assert {uid("series"), uid("other")} <= set(groups)
    assert sum(key.startswith("file-") for key in groups) == 2


def test_order_of_files_does_not_matter(tmp_path: Path) -> None:
    write_times(tmp_path, FOUR, lambda t: {"EchoTime": 5.0 * (t + 1)}, sop_class=MR)
    headers = [read_header(p) for p in tmp_path.iterdir()]
    one = sort_series(headers)
    two = sort_series(headers[::-1])
    assert [(p.id, p.planes, p.frame_values) for p in one] == [(p.id, p.planes, p.frame_values) for p in two]


def test_a_reconstructed_nuclear_medicine_image_is_placed(tmp_path: Path) -> None:
    """Position in the detector's item, slices by SliceVector, step by SpacingBetweenSlices (C.8.4.8, C.8.4.11)."""
    detector = items_of(ImagePositionPatient=[1, 2, 3], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    tags = {"DetectorInformationSequence": detector, "SliceVector": [1, 2, 3, 4, 5], "SpacingBetweenSlices": 4.4,
            "PixelSpacing": [2, 2], "Modality": "NM"}  # fmt: skip
    write_image(tmp_path / "nm", VOXELS, tags, sop_class="1.2.840.10008.5.1.4.1.1.20")
    (part,) = parts_of(tmp_path)
    assert (part.shape, part.geometry.origin_lps) == ((5, 8, 6), (1, 2, 3))
    assert part.geometry.spacing_mm == pytest.approx((4.4, 2, 2))
    np.testing.assert_array_equal(voxels_of(part)[0], VOXELS)


def test_two_frames_of_reference_are_never_one_stack(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"FrameOfReferenceUID": uid("moved")} if k > 2 else {})
    first, second = parts_of(tmp_path)
    assert (first.shape, second.shape) == ((3, 8, 6), (2, 8, 6))
    assert "frame of reference 2" in second.title


def test_what_was_found_is_said(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, each=lambda k: {"RescaleSlope": 1 + k, "RescaleIntercept": 0})
    (part,) = parts_of(tmp_path)
    assert part.report.found == (
        "5 axial slices, 2.5 mm apart.",
        "The rescale differs between slices (slope 1 to 5); each has its own.",
    )


def test_gaps_between_slices_are_said_and_a_lone_slice_without_thickness(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, tags={"SliceThickness": 2.0})
    (part,) = parts_of(tmp_path / "a")
    assert part.report.found == ("5 axial slices, 2.5 mm apart, 2 mm thick.",)
    assert part.geometry.spacing_mm[0] == pytest.approx(2.5)
    write_series(tmp_path / "b", VOXELS[:1], tags={"SliceThickness": None})
    (lone,) = parts_of(tmp_path / "b")
    assert not lone.geometry.spacing_known
    assert "no slice thickness" in lone.report.assumed[0]


def test_files_of_one_name_without_a_series_are_not_one_series(tmp_path: Path) -> None:
    for k in range(2):
        write_series(tmp_path / str(k), VOXELS[k : k + 1], tags={"SeriesInstanceUID": None})
    headers = [read_header(p) for p in sorted(tmp_path.rglob("*")) if p.is_file()]
    assert headers[0].path.name == headers[1].path.name
    assert [len(several) for several in by_series(headers).values()] == [1, 1]


def test_four_values_per_pixel_are_refused_by_name(tmp_path: Path) -> None:
    write_image(tmp_path / "argb", VOXELS[0].view(np.uint8).reshape(8, 12)[:, :6], {
        "SamplesPerPixel": 4, "PhotometricInterpretation": "ARGB", "PixelData": bytes(4 * 48),
    })  # fmt: skip
    (part,) = parts_of(tmp_path)
    assert "4 values per pixel" in part.report.refused[0]
