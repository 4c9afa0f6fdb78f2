"""The series gate: synthetic series whose right answer follows from how they were made."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dicom_files import (
    CR,
    ENHANCED_MR,
    MR,
    PET,
    RT_DOSE,
    SECONDARY,
    US_MULTI,
    XA,
    group,
    plane_groups,
    shared_groups,
    uid,
    write_enhanced,
    write_image,
    write_series,
    write_times,
)
from napari_medcnn.io.dicom.facts import Part
from napari_medcnn.io.dicom.gate import group as by_series
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.headers import read_header

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(-1000, 2000, (5, 8, 6)).astype(np.int16)
FOUR = RNG.integers(0, 2000, (3, 4, 8, 6)).astype(np.int16)
TURN = Rotation.from_euler("xyz", [5, -3, 8], degrees=True).as_matrix()


def parts_of(folder: Path, account: bool = True) -> tuple[Part, ...]:
    headers = [read_header(p) for p in sorted(folder.rglob("*")) if p.is_file()]
    parts = sort_series(headers)
    if account:
        accounted(headers, parts)
    return parts


def accounted(headers, parts) -> None:
    """Every image file is in the files of a part; every plane that opens is in one place only."""
    files = [f for part in parts for f in part.files]
    assert set(files) == {h.path for h in headers if h.kind == "image"}
    assert len({part.id for part in parts}) == len(parts)
    planes = [
        (p.header.path, p.frame.index, p.frame.tile)
        for part in parts
        for p in [*itertools.chain(*part.planes), *(d for _, _, d in part.duplicates)]
    ]
    assert max(Counter(planes).values(), default=1) == 1
    for part in parts:
        assert bool(part.planes) == bool(not part.report.refused or part.report.asks)
        assert part.title
        assert all(len(t) == len(part.planes[0]) for t in part.planes)
        if part.planes and part.geometry is not None:
            z = part.axes.index("z")
            assert part.shape[z : z + 3] == part.geometry.shape
            assert len(part.planes) == (part.shape[0] if part.axes[0] == "t" else 1)
        if part.axes[0] == "t":
            assert len(part.frame_values) == part.shape[0]


def voxels_of(part: Part) -> np.ndarray:
    """Return the stored int16 values of plain planes, (t, z, y, x)."""

    def one(plane) -> np.ndarray:
        stored = plane.header.stored
        raw = plane.header.path.read_bytes()[stored.offset : stored.offset + stored.length]
        dtype = np.dtype(f"<{'i' if stored.signed else 'u'}{stored.bits_allocated // 8}")
        return np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype)[
            : stored.frames * stored.rows * stored.columns
        ].reshape(stored.frames, stored.rows, stored.columns)[plane.frame.index]

    return np.array([[one(p) for p in t] for t in part.planes])


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


@pytest.mark.parametrize(
    ("at", "values", "unit", "name"),
    [
        (lambda t: {"TemporalPositionIdentifier": t + 1, "AcquisitionTime": ["235959.5", "000001.5", "000003.5"][t]},
         (0.0, 2.0, 4.0), "s", "t"),  # over midnight
        (lambda t: {"TemporalPositionIndex": t + 1, "TemporalPositionTimeOffset": 17.1 * t}, (0, 17.1, 34.2), "s", "t"),
        (lambda t: {"FrameReferenceTime": 1000.0 + 5000 * t}, (0.0, 5.0, 10.0), "s", "t"),
        (lambda t: {"EchoTime": 4.9 * (t + 1), "EchoNumbers": t + 1}, (4.9, 9.8, 14.7), "ms", "TE"),
        (lambda t: {"EchoNumbers": 3 - t}, (1.0, 2.0, 3.0), "", "echo"),
        (lambda t: {"DiffusionBValue": [0.0, 800.0, 1000.0][t]}, (0.0, 800.0, 1000.0), "s/mm2", "b"),
        (lambda t: {"TriggerTime": 40.0 * t}, (0.0, 40.0, 80.0), "ms", "trigger"),
        (lambda t: {"NominalPercentageOfCardiacPhase": 10.0 * t}, (0.0, 10.0, 20.0), "%", "cardiac phase"),
        (lambda t: {"InversionTime": 100.0 + 50 * t}, (100.0, 150.0, 200.0), "ms", "TI"),
        (lambda t: {"FlipAngle": 5.0 + 10 * t}, (5.0, 15.0, 25.0), "°", "flip angle"),
        (lambda t: {"AcquisitionNumber": t + 1, "AcquisitionTime": f"1200{10 + t}"}, (0.0, 1.0, 2.0), "s", "t"),
        (lambda t: {"AcquisitionTime": f"1200{10 + 3 * t}"}, (0.0, 3.0, 6.0), "s", "t"),
        (lambda t: {"NumberOfTemporalPositions": 3}, (1.0, 2.0, 3.0), "", "t"),
    ],
)  # fmt: skip
def test_what_repeats_places_becomes_a_named_axis_in_real_units(tmp_path: Path, at, values, unit, name) -> None:
    write_times(tmp_path, FOUR, at, sop_class=MR)
    (part,) = parts_of(tmp_path)
    assert (part.axes, part.shape, part.frame_unit, part.frame_name) == ("tzyx", (3, 4, 8, 6), unit, name)
    np.testing.assert_allclose(part.frame_values, values, atol=1e-6)
    order = [2, 1, 0] if name == "echo" else [0, 1, 2]
    np.testing.assert_array_equal(voxels_of(part), FOUR[order])
    assert part.geometry.spacing_mm[0] == pytest.approx(2.5)
    assert part.report.refused == ()


def test_acquisition_times_of_single_slices_give_time_points(tmp_path: Path) -> None:
    """Interleaved slices, each with its own clock time: ranked at each place."""
    times = [[10.0, 10.6, 10.3, 10.9], [12.0, 12.6, 12.3, 12.9], [14.0, 14.6, 14.3, 14.9]]
    for t in range(3):
        at = [{"AcquisitionTime": f"1200{s:.2f}", "InstanceNumber": 1} for s in times[t]]
        write_series(tmp_path, FOUR[t], each=at.__getitem__, name=f"t{t}-", sop_class=MR)
    (part,) = parts_of(tmp_path)
    np.testing.assert_array_equal(voxels_of(part), FOUR)
    np.testing.assert_allclose(part.frame_values, [0, 2, 4])


def test_echo_planar_images_without_times_follow_the_repetition_time(tmp_path: Path) -> None:
    tags = {"RepetitionTime": 2500, "ScanningSequence": ["EP", "GR"]}
    write_times(tmp_path, FOUR, lambda _: tags, sop_class=MR)
    (part,) = parts_of(tmp_path)
    assert (part.frame_values, part.frame_unit) == ((0.0, 2.5, 5.0), "s")
    assert any("repetition time" in note for note in part.report.assumed)
    np.testing.assert_array_equal(voxels_of(part), FOUR)


def test_diffusion_directions_repeat_their_b_value(tmp_path: Path) -> None:
    b_values = [0.0, 1000.0, 1000.0]
    write_times(tmp_path, FOUR, lambda t: {"DiffusionBValue": b_values[t]}, sop_class=MR)
    (part,) = parts_of(tmp_path)
    assert (part.frame_values, part.frame_unit, part.frame_name) == ((0.0, 1000.0, 1000.0), "s/mm2", "b")
    np.testing.assert_array_equal(voxels_of(part), FOUR)


def test_echoes_of_time_points_are_separate_images(tmp_path: Path) -> None:
    six = RNG.integers(0, 2000, (6, 4, 8, 6)).astype(np.int16)
    write_times(
        tmp_path,
        six,
        lambda n: {"EchoTime": 10.0 + 10 * (n % 2), "TemporalPositionIdentifier": n // 2 + 1},
        sop_class=MR,
    )
    first, second = parts_of(tmp_path)
    assert (first.shape, second.shape) == ((3, 4, 8, 6), (3, 4, 8, 6))
    np.testing.assert_array_equal(voxels_of(first), six[::2])
    np.testing.assert_array_equal(voxels_of(second), six[1::2])
    assert "TE 20 ms" in second.title
    assert second.id.endswith(":echo-2")


def test_magnitude_and_phase_are_separate_images(tmp_path: Path) -> None:
    for k, part in enumerate("MP"):
        write_series(tmp_path, VOXELS + np.int16(k), tags={"ImageType": ["ORIGINAL", "PRIMARY", part, "ND"]},
                     each=lambda z, k=k: {"InstanceNumber": 5 * k + z + 1}, name=part, sop_class=MR)  # fmt: skip
    magnitude, phase = parts_of(tmp_path)
    assert (magnitude.id, phase.id) == (uid("series"), uid("series") + ":phase")
    np.testing.assert_array_equal(voxels_of(phase)[0], VOXELS + 1)
    assert phase.title.endswith("phase")


def test_an_incomplete_time_point_is_listed_apart_and_named(tmp_path: Path) -> None:
    paths = write_times(
        tmp_path, FOUR, lambda t: {"TemporalPositionIdentifier": t + 1, "AcquisitionTime": f"1200{10 + t}"}
    )
    paths[1][2].unlink()
    whole, rest = parts_of(tmp_path)
    assert whole.shape == (2, 4, 8, 6)
    np.testing.assert_allclose(whole.frame_values, [0, 2])
    np.testing.assert_array_equal(voxels_of(whole), FOUR[[0, 2]])
    assert "time point 2" in rest.title
    assert any("time point 2: 3 slices (without slice 3)" in note for note in whole.report.assumed)
    assert rest.report.asks == "resample"


def test_an_incomplete_time_point_without_any_times(tmp_path: Path) -> None:
    paths = write_times(tmp_path, FOUR, lambda _: {})
    paths[1][2].unlink()
    whole, rest = parts_of(tmp_path)
    np.testing.assert_array_equal(voxels_of(whole), FOUR[[0, 2]])
    assert rest.title.endswith("time point 2")
    np.testing.assert_array_equal(voxels_of(rest)[0], FOUR[1][[0, 1, 3]])
    assert any("numbered" in note for note in whole.report.assumed)


def test_slices_of_two_echo_times_are_no_one_volume(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS[:4], each=lambda k: {"EchoTime": 10 if k < 2 else 80}, sop_class=MR)
    first, second = parts_of(tmp_path)
    assert (first.shape, second.shape) == ((2, 8, 6), (2, 8, 6))
    assert ("TE 10 ms" in first.title, "TE 80 ms" in second.title) == (True, True)


def test_two_kernels_at_the_same_places_are_two_images(tmp_path: Path) -> None:
    write_times(tmp_path, FOUR[:2], lambda t: {"ConvolutionKernel": ["BONE", "SOFT"][t]})
    first, second = parts_of(tmp_path)
    np.testing.assert_array_equal(voxels_of(first)[0], FOUR[0])
    np.testing.assert_array_equal(voxels_of(second)[0], FOUR[1])
    assert second.title.endswith("kernel SOFT")


def test_a_pixel_spacing_that_repeats_the_detectors_is_no_size_in_the_patient(tmp_path: Path) -> None:
    tags = {"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.15, 0.15]}
    write_image(tmp_path / "a" / "x", VOXELS[0], tags, sop_class=CR)
    (part,) = parts_of(tmp_path / "a")
    assert part.geometry.spacing_mm == (1, 1, 1)
    assert any("0.15 x 0.15 mm at detector" in note for note in part.report.assumed)
    write_image(tmp_path / "b" / "x", VOXELS[0], {**tags, "PixelSpacingCalibrationType": "FIDUCIAL"}, sop_class=CR)
    (part,) = parts_of(tmp_path / "b")
    assert part.geometry.spacing_mm == (1, 0.15, 0.15)


def test_two_ranges_of_one_series_are_two_images(tmp_path: Path) -> None:
    """Acquisitions that overlap by one slice: never one stack with a double slice."""
    write_series(tmp_path, VOXELS, tags={"AcquisitionNumber": 1})
    write_series(tmp_path, VOXELS[:3] + np.int16(5), origin=(10, 20, 40), tags={"AcquisitionNumber": 2}, name="b",
                 each=lambda k: {"InstanceNumber": 6 + k})  # fmt: skip
    parts = parts_of(tmp_path)
    assert sorted(p.shape for p in parts) == [(3, 8, 6), (5, 8, 6)]
    assert all(p.report.refused == () for p in parts)


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


@pytest.mark.parametrize(
    ("sop", "tags", "values", "unit"),
    [
        (XA, {"FrameTime": 66.7}, (0.0, 0.0667, 0.1334), "s"),
        (US_MULTI, {"FrameTimeVector": [0, 30, 40]}, (0.0, 0.03, 0.07), "s"),
        (US_MULTI, {"CineRate": 25}, (0.0, 0.04, 0.08), "s"),
        (SECONDARY, {}, (1.0, 2.0, 3.0), ""),
    ],
)
def test_films_have_a_time_axis(tmp_path: Path, sop, tags, values, unit: str) -> None:
    write_image(tmp_path / "film", VOXELS[:3], tags, sop_class=sop)
    (part,) = parts_of(tmp_path)
    assert (part.axes, part.shape, part.frame_unit) == ("tzyx", (3, 1, 8, 6), unit)
    np.testing.assert_allclose(part.frame_values, values)
    np.testing.assert_array_equal(voxels_of(part)[:, 0], VOXELS[:3])
    assert bool(part.report.assumed[1:]) is (unit == "")


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


def test_enhanced_stacks_echoes_and_rescale(tmp_path: Path) -> None:
    frames = np.arange(2 * 3 * 2 * 4 * 5, dtype=np.int16).reshape(12, 4, 5)
    told = []
    for stack, echo, z in itertools.product((1, 2), (10.0, 20.0), range(3)):
        told.append(
            plane_groups(
                (0, 0, 100.0 * stack + 2.5 * z),
                FrameContentSequence=group(StackID=str(stack), InStackPositionNumber=z + 1),
                MREchoSequence=group(EffectiveEchoTime=echo),
                PixelValueTransformationSequence=group(RescaleSlope=echo, RescaleIntercept=z, RescaleType="US"),
            )
        )
    write_enhanced(tmp_path / "e", frames, told, shared_groups())
    one, two = parts_of(tmp_path)
    assert (one.id, two.id) == (uid("series"), uid("series") + ":stack-2")
    for k, part in enumerate((one, two)):
        assert (part.shape, part.frame_values, part.frame_unit) == ((2, 3, 4, 5), (10.0, 20.0), "ms")
        np.testing.assert_array_equal(voxels_of(part), frames.reshape(2, 2, 3, 4, 5)[k])
        assert [p.frame.slope for p in part.planes[1]] == [20.0] * 3
        assert part.geometry.spacing_mm == (2.5, 0.8, 0.7)


def test_enhanced_time_points_in_philips_order(tmp_path: Path) -> None:
    """Frames stored slice by slice, all times of one slice together."""
    frames = np.arange(3 * 4 * 4 * 5, dtype=np.int16).reshape(12, 4, 5)
    content = [group(TemporalPositionIndex=t + 1, FrameAcquisitionDateTime=f"2024013112000{2 * t}.5") for t in range(3)]
    told = [
        plane_groups((0, 0, -2.0 * z), FrameContentSequence=content[t])
        for z, t in itertools.product(range(4), range(3))
    ]
    write_enhanced(tmp_path / "e", frames, told, shared_groups((2, 0.8, 0.7)), sop_class=ENHANCED_MR)
    (part,) = parts_of(tmp_path)
    np.testing.assert_allclose(part.frame_values, [0, 2, 4])
    np.testing.assert_array_equal(voxels_of(part), frames.reshape(4, 3, 4, 5).swapaxes(0, 1)[:, ::-1])
    assert part.geometry.origin_lps == (0, 0, -6)


def test_dynamic_pet_by_frame_reference_time(tmp_path: Path) -> None:
    write_times(tmp_path, FOUR, lambda t: {"FrameReferenceTime": [5000, 20000, 60000][t], "AcquisitionTime": "120000"},
                sop_class=PET)  # fmt: skip
    (part,) = parts_of(tmp_path)
    assert (part.frame_values, part.frame_unit) == ((0.0, 15.0, 55.0), "s")


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
