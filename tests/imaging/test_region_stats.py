"""Regions against closed forms, ITK's label statistics and scipy, on voxels that are no cubes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.measures import BALL, ELLIPSE, RECTANGLE, Measure
from napari_medcnn.core.ruler import Ruler
from napari_medcnn.imaging.region_stats import (
    PEAK_RADIUS_MM,
    class_stats,
    pick,
    region_stats,
    suv_peak,
    values_of,
)

SPACING = (3.0, 0.5, 0.8)
SHAPE = (12, 60, 50)
RULER = Ruler.of(Geometry(SHAPE, SPACING))


def noise(shape: tuple = SHAPE, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, shape)


def drawn(measure: Measure, shape: tuple = SHAPE, ruler: Ruler = RULER) -> np.ndarray:
    whole = np.zeros(shape, np.uint8)
    picked = pick(measure, shape, ruler)
    whole[picked.box][picked.inside] = 1
    return whole


REGIONS = {
    "ellipse axial": Measure(ELLIPSE, ((4, 10.2, 12.7), (4, 41.9, 33.1)), 0),
    "ellipse coronal": Measure(ELLIPSE, ((1.5, 20, 3), (9.5, 20, 44)), 1),
    "ellipse sagittal": Measure(ELLIPSE, ((1.5, 3, 20), (9.5, 44, 20)), 2),
    "rectangle drawn backwards": Measure(RECTANGLE, ((4, 41.9, 33.1), (4, 10.2, 12.7)), 0),
    "ball": Measure(BALL, ((5.2, 30.4, 22.6), (5.2, 30.4, 34.0)), 0),
}


@pytest.mark.parametrize("name", REGIONS)
def test_statistics_are_those_of_itk(name: str) -> None:
    measure, values = REGIONS[name], noise()
    found = region_stats(values, measure, RULER)
    image, mask = (sitk.GetImageFromArray(a) for a in (values, drawn(measure)))
    image.SetSpacing(SPACING[::-1])
    mask.SetSpacing(SPACING[::-1])
    itk = sitk.LabelStatisticsImageFilter()
    itk.Execute(image, mask)
    one = found.channels[0]
    assert one.count == found.voxels == itk.GetCount(1) > 50
    got = (one.mean, one.sd, one.minimum, one.maximum)
    assert got == pytest.approx((itk.GetMean(1), itk.GetSigma(1), itk.GetMinimum(1), itk.GetMaximum(1)), rel=1e-9)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    if measure.kind == BALL:
        assert found.volume_mm3 == pytest.approx(shape.GetPhysicalSize(1)) and found.area is None
    else:
        thick = SPACING[measure.axis]
        assert found.area == pytest.approx(shape.GetPhysicalSize(1) / thick) and found.volume_mm3 is None


def test_centres_inside_count_and_no_others() -> None:
    """Drawn by hand: half axes of 2 columns and 1 row around (5, 5)."""
    cross = drawn(Measure(ELLIPSE, ((0, 4, 3), (0, 6, 7)), 0), (1, 11, 11))[0]
    wanted = np.zeros((11, 11), np.uint8)
    wanted[5, 3:8] = 1
    wanted[(4, 6), 5] = 1
    np.testing.assert_array_equal(cross, wanted)
    box = drawn(Measure(RECTANGLE, ((0, 1.4, 2.0), (0, 3.6, 4.0)), 0), (1, 11, 11))[0]
    assert np.argwhere(box).tolist() == [[r, c] for r in (2, 3) for c in (2, 3, 4)]


def test_areas_and_volumes_come_near_the_closed_forms() -> None:
    fine = Ruler((0.2, 0.1, 0.15), "mm")
    values = np.zeros((150, 300, 200), np.float32)
    # half axes of 10 mm (100 rows) and 12 mm (80 columns)
    flat = region_stats(values, Measure(ELLIPSE, ((7, 40, 15), (7, 240, 175)), 0), fine)
    assert flat.area == pytest.approx(math.pi * 10 * 12, rel=2e-3)
    ball = region_stats(values, Measure(BALL, ((75, 150, 100), (75, 150, 180)), 0), fine)
    assert ball.volume_mm3 == pytest.approx(4 / 3 * math.pi * 12**3, rel=2e-3)


def test_the_slice_is_the_one_it_was_drawn_on() -> None:
    values = np.arange(SHAPE[0], dtype=np.float32)[:, None, None] * np.ones(SHAPE, np.float32)
    found = region_stats(values, Measure(ELLIPSE, ((7, 10, 10), (7, 20, 20)), 0), RULER)
    assert (found.channels[0].minimum, found.channels[0].maximum) == (7, 7)


def test_beyond_the_scan_there_is_nothing_and_at_its_edge_what_there_is() -> None:
    outside = region_stats(noise(), Measure(RECTANGLE, ((4, -20, -20), (4, -5, -5)), 0), RULER)
    assert outside.voxels == 0 and outside.channels[0].mean is None
    edge = region_stats(noise(), Measure(RECTANGLE, ((4, -20, -20), (4, 1, 2)), 0), RULER)
    assert edge.voxels == 2 * 3
    above = region_stats(noise(), Measure(ELLIPSE, ((99, 2, 2), (99, 8, 8)), 0), RULER)
    assert above.voxels == 0


def test_values_that_are_none_are_left_out_and_one_value_has_no_sd() -> None:
    found = values_of(np.array([1.0, np.nan, 3.0, np.inf]))
    assert (found.count, found.mean, found.sd, found.left_out) == (2, 2.0, math.sqrt(2), 2)
    assert values_of(np.array([7], np.int16)).sd is None
    assert values_of(np.array([3 + 4j])).mean == 5.0


def test_small_whole_numbers_do_not_overflow() -> None:
    found = values_of(np.full(100_000, 32767, np.int16))
    assert found.mean == 32767 and found.sd == 0


def test_colour_has_one_row_of_numbers_per_channel() -> None:
    picture = np.zeros((1, 20, 20, 3), np.uint8)
    picture[..., 0], picture[..., 2] = 200, 10
    ruler = Ruler.of(Geometry.picture(20, 20))
    found = region_stats(picture, Measure(RECTANGLE, ((0, 2, 2), (0, 5, 6)), 0), ruler)
    assert [c.mean for c in found.channels] == [200, 0, 10]
    assert (found.area, found.unit, found.voxels) == (20.0, "px", 20)


def test_no_volume_without_a_stated_size() -> None:
    unknown = Ruler.of(Geometry(SHAPE, spacing_known=False))
    assert region_stats(noise(), REGIONS["ball"], unknown).volume_mm3 is None


# ---- SUV -------------------------------------------------------------------------------------------------------------


def peak_by_hand(values: np.ndarray, centre: tuple, spacing: tuple, parts: int) -> float:
    """Mean of a sphere of 1 cm3, every voxel cut into parts^3 pieces and each asked whether it lies inside."""
    cut = (np.arange(parts) + 0.5) / parts - 0.5
    total = weight = 0.0
    for index in np.ndindex(values.shape):
        steps = [(i - c + cut) * s for i, c, s in zip(index, centre, spacing, strict=True)]
        z, y, x = np.meshgrid(*steps, indexing="ij")
        inside = np.count_nonzero(z**2 + y**2 + x**2 <= PEAK_RADIUS_MM**2)
        total, weight = total + inside * values[index], weight + inside
    return total / weight


def test_radius_of_the_peak_is_that_of_one_cubic_centimetre() -> None:
    assert pytest.approx(6.2035, abs=1e-4) == PEAK_RADIUS_MM
    assert 4 / 3 * math.pi * PEAK_RADIUS_MM**3 == pytest.approx(1000)


def test_peak_is_the_highest_of_all_spheres_around_the_voxels_of_the_region() -> None:
    spacing = (4.0, 3.0, 3.5)
    values = noise((7, 9, 9), 3)
    ruler = Ruler(spacing, "mm")
    measure = Measure(RECTANGLE, ((3, 3, 3), (3, 5, 5)), 0)
    by_hand = max(peak_by_hand(values, (3, y, x), spacing, 14) for y, x in itertools.product((3, 4, 5), repeat=2))
    found = region_stats(values, measure, ruler, "SUVbw")
    assert found.peak == pytest.approx(by_hand, rel=1e-3)
    assert region_stats(values, measure, ruler, "HU").peak is None


def test_peak_of_a_bowl_is_three_fifths_of_the_radius_squared() -> None:
    """The mean of r^2 over a ball is 3/5 R^2; so -r^2 peaks at the centre with -3/5 R^2 = -23.09."""
    spacing = (0.75, 0.5, 0.5)
    grid = np.meshgrid(*[(np.arange(41) - 20) * s for s in spacing], indexing="ij")
    bowl = -sum(g**2 for g in grid)
    peak = region_stats(bowl, Measure(BALL, ((20, 20, 20), (20, 20, 26)), 0), Ruler(spacing, "mm"), "SUVbw").peak
    assert peak == pytest.approx(-0.6 * PEAK_RADIUS_MM**2, abs=0.1)


def test_suv_by_hand_from_activity_dose_and_weight() -> None:
    """70 kg, 350 MBq F-18 (half-life 6586.2 s) one hour before: 239.63 MBq are left, so 10 kBq/ml is SUV 2.921.

    A hot cube of 5 voxels of 4 mm holds the whole sphere, so SUVpeak is SUVmax; the mean of 25 hot and 24 cold
    voxels at 1 kBq/ml is (25 x 2.921 + 24 x 0.2921) / 49.
    """
    factor = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))
    activity = np.full((15, 15, 15), 1_000.0)
    activity[5:10, 5:10, 5:10] = 10_000
    found = region_stats(activity * factor, Measure(RECTANGLE, ((7, 4, 4), (7, 10, 10)), 0), Ruler((4, 4, 4), "mm"),
                         "SUVbw")  # fmt: skip
    one = found.channels[0]
    assert one.maximum == pytest.approx(2.921, abs=5e-4) and found.peak == pytest.approx(2.921, abs=5e-4)
    assert one.mean == pytest.approx((25 * 2.9212 + 24 * 0.29212) / 49, abs=1e-3)


def test_peak_needs_room_a_stated_size_and_numbers() -> None:
    ruler, flat = Ruler((2.0, 2.0, 2.0), "mm"), Measure(RECTANGLE, ((8, 6, 6), (8, 10, 10)), 0)
    values = noise((17, 17, 17))
    assert suv_peak(values, pick(flat, values.shape, ruler), ruler) is not None
    corner = pick(Measure(RECTANGLE, ((0, 0, 0), (0, 2, 2)), 0), values.shape, ruler)
    assert suv_peak(values, corner, ruler) is None
    unknown = Ruler((2.0, 2.0, 2.0), "px", "size not stated")
    assert suv_peak(values, pick(flat, values.shape, unknown), unknown) is None
    spoilt = values.copy()
    spoilt[8, 8, 8] = np.nan
    assert suv_peak(spoilt, pick(flat, values.shape, ruler), ruler) is None


# ---- classes ---------------------------------------------------------------------------------------------------------


def classes_of(values: np.ndarray, mask: np.ndarray) -> dict:
    return list(class_stats(values, mask))[-1]


def test_classes_are_those_of_itk_and_scipy() -> None:
    rng = np.random.default_rng(8)
    mask = np.where(rng.random(SHAPE) < 0.4, rng.choice([1, 2, 7, 300], SHAPE), 0).astype(np.uint16)
    values = (noise() + 30_000).astype(np.float32)
    found = classes_of(values, mask)
    itk = sitk.LabelStatisticsImageFilter()
    itk.Execute(sitk.GetImageFromArray(values), sitk.GetImageFromArray(mask))
    assert sorted(found) == [1, 2, 7, 300]
    for label, one in found.items():
        assert one.count == itk.GetCount(label) == np.count_nonzero(mask == label)
        assert one.mean == pytest.approx(ndimage.mean(values.astype(float), mask, label), rel=1e-9)
        assert one.sd == pytest.approx(itk.GetSigma(label), rel=1e-4)
        assert one.sd == pytest.approx(values[mask == label].astype(float).std(ddof=1), rel=1e-9)
        assert (one.minimum, one.maximum) == (itk.GetMinimum(label), itk.GetMaximum(label))


def test_no_class_no_rows_and_nothing_finite_is_said() -> None:
    assert classes_of(noise(), np.zeros(SHAPE, np.uint8)) == {}
    values, mask = noise(), np.zeros(SHAPE, np.uint8)
    mask[2, 3, 4], mask[5, 5, 5] = 3, 4
    values[2, 3, 4] = np.nan
    found = classes_of(values, mask)
    assert (found[3].count, found[3].left_out, found[3].mean) == (0, 1, None)
    assert found[4].count == 1 and found[4].sd is None
