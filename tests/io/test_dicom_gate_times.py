"""The series gate in time: what repeats places becomes an axis with values, or images apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from dicom_files import (
    ENHANCED_MR,
    MR,
    PET,
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
from gate_cases import FOUR, RNG, VOXELS, parts_of, voxels_of


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
        (lambda t: {"AcquisitionTime": ["235959.5", "000001.5", "000003.5"][t],
                    "AcquisitionDate": ["20240131", "20240201", "20240201"][t]}, (0.0, 2.0, 4.0), "s", "t"),
        (lambda t: {"AcquisitionTime": ["235959.5", "000001.5", "000003.5"][t], "SeriesTime": "235950"},
         (0.0, 2.0, 4.0), "s", "t"),  # no date: the next day by the series' own time
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


def test_directions_that_nothing_puts_in_order_are_asked_and_stated_ones_tell(tmp_path: Path) -> None:
    """Image numbers at random would mix the directions of one b-value from slice to slice."""
    numbers = np.random.default_rng(5).permutation(12)
    ways = [None, [1.0, 0, 0], [0, 1.0, 0]]

    def write(folder: Path, stated: bool) -> None:
        for t in range(3):
            tags = {"DiffusionBValue": 1000.0 if t else 0.0}
            if stated and t:
                tags["DiffusionGradientOrientation"] = ways[t]
            each = [{"InstanceNumber": int(numbers[4 * t + k])} for k in range(4)]
            write_series(folder, FOUR[t], tags=tags, each=each.__getitem__, name=f"t{t}-", sop_class=MR)

    write(tmp_path / "unsaid", False)
    (part,) = parts_of(tmp_path / "unsaid")
    assert part.report.asks == "duplicates"
    write(tmp_path / "said", True)
    (part,) = parts_of(tmp_path / "said")
    assert (part.frame_values, part.report.refused) == ((0.0, 1000.0, 1000.0), ())
    voxels = voxels_of(part)
    np.testing.assert_array_equal(voxels[0], FOUR[0])
    assert any(np.array_equal(voxels[1:], FOUR[order]) for order in ([1, 2], [2, 1]))


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


@pytest.mark.parametrize("z", [0, 1, 3])
def test_a_slice_that_lacks_at_the_start_does_not_shift_the_scans(tmp_path: Path, z: int) -> None:
    """Without the first file, a scan that begins where a place comes up again would take slices of the next one."""
    paths = write_times(tmp_path, FOUR, lambda _: {})
    paths[0][z].unlink()
    whole, rest = parts_of(tmp_path)
    np.testing.assert_array_equal(voxels_of(whole), FOUR[1:])
    assert rest.title.endswith("time point 1")
    np.testing.assert_array_equal(voxels_of(rest)[0], np.delete(FOUR[0], z, 0))


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


def test_two_ranges_of_one_series_are_two_images(tmp_path: Path) -> None:
    """Acquisitions that overlap by one slice: never one stack with a double slice."""
    write_series(tmp_path, VOXELS, tags={"AcquisitionNumber": 1})
    write_series(tmp_path, VOXELS[:3] + np.int16(5), origin=(10, 20, 40), tags={"AcquisitionNumber": 2}, name="b",
                 each=lambda k: {"InstanceNumber": 6 + k})  # fmt: skip
    parts = parts_of(tmp_path)
    assert sorted(p.shape for p in parts) == [(3, 8, 6), (5, 8, 6)]
    assert all(p.report.refused == () for p in parts)


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


def test_cine_phases_whose_trigger_delays_differ_from_slice_to_slice(tmp_path: Path) -> None:
    def at(t: int, k: int) -> dict[str, object]:
        return {"TriggerTime": 40.0 * t + k, "AcquisitionTime": f"1200{10 * k + 9 - t:02d}"}

    for t in range(3):
        write_series(tmp_path, FOUR[t], each=lambda k, t=t: at(t, k), name=f"t{t}-", sop_class=MR)
    (part,) = parts_of(tmp_path)
    np.testing.assert_array_equal(voxels_of(part), FOUR)
    assert (part.frame_values, part.frame_unit, part.frame_name) == ((0.0, 40.0, 80.0), "ms", "trigger")
    assert any("differs a little from slice to slice" in note for note in part.report.assumed)


def test_echo_times_that_differ_by_rounding_are_one(tmp_path: Path) -> None:
    for t in range(2):
        write_series(tmp_path, FOUR[t], each=lambda k, t=t: {"EchoTime": 4.9 * (t + 1) + 1e-5 * k}, name=f"t{t}-")
    (part,) = parts_of(tmp_path)
    assert part.frame_values == (4.9, 9.8)


def test_ge_stores_magnitude_and_phase_in_turn(tmp_path: Path) -> None:
    def at(t: int) -> dict[object, object]:
        return {(0x0043, 0x0010): ("LO", "GEMS_PARM_01"), (0x0043, 0x102F): ("SS", t)}

    write_times(tmp_path, FOUR[:2], at, sop_class=MR)
    magnitude, phase = parts_of(tmp_path)
    np.testing.assert_array_equal(voxels_of(magnitude)[0], FOUR[0])
    np.testing.assert_array_equal(voxels_of(phase)[0], FOUR[1])
    assert phase.id.endswith(":phase")


def test_echoes_numbered_in_the_image_type_are_one_image(tmp_path: Path) -> None:
    write_times(
        tmp_path,
        FOUR,
        lambda t: {"EchoTime": 5.0 * (t + 1), "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", f"ECHO_{t:02d}"]},
        sop_class=MR,
    )
    (part,) = parts_of(tmp_path)
    assert (part.shape, part.frame_values, part.frame_name) == ((3, 4, 8, 6), (5.0, 10.0, 15.0), "TE")


def test_maps_of_another_image_type_at_the_same_places_are_another_image(tmp_path: Path) -> None:
    kinds = [["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"], ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]]
    write_times(tmp_path, FOUR[:2], lambda t: {"ImageType": kinds[t], "AcquisitionTime": f"12000{t}"}, sop_class=MR)
    trace, adc = parts_of(tmp_path)
    assert (trace.title, adc.title) == ("MR 5, Thorax, tracew", "MR 5, Thorax, adc")
    assert adc.id.endswith(":adc")
    np.testing.assert_array_equal(voxels_of(adc)[0], FOUR[1])
