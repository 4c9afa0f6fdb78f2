"""A mask onto the grid of a scan: exact or not at all, and in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.imaging.embed import embedded, fits_words
from napari_medcnn.imaging.resample import cropped

SPACING = (3.0, 0.8, 0.7)


def oblique() -> np.ndarray:
    a, b = np.radians(20.0), np.radians(-35.0)
    around_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    around_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return around_z @ around_x


SCAN = Geometry((6, 8, 10), SPACING, (-30.0, 12.5, 7.25), oblique())


def a_mask(grid: Geometry, seed: int = 0) -> LabelMap:
    return LabelMap(np.random.default_rng(seed).integers(0, 4, grid.shape).astype(np.uint8), grid)


def scan(grid: Geometry, **more: object) -> Volume:
    return Volume(np.zeros(grid.shape, np.int16), grid, **more)  # type: ignore[arg-type]


def test_a_part_of_the_scan_comes_to_its_place() -> None:
    part = cropped(SCAN, (2, 1, 3), (3, 4, 5))
    mask = a_mask(part)
    found = embedded(mask, SCAN)
    assert found is not None and found.geometry == SCAN and found.array.dtype == np.uint8
    expected = np.zeros(SCAN.shape, np.uint8)
    expected[2:5, 1:5, 3:8] = mask.array
    np.testing.assert_array_equal(found.array, expected)
    assert found.notes == ()


def test_what_reaches_beyond_the_scan_is_cut_and_counted() -> None:
    mask = LabelMap(np.ones((3, 2, 2), np.uint16), cropped(SCAN, (-1, -1, 9), (3, 2, 2)))
    found = embedded(mask, SCAN)
    assert found is not None and found.array.dtype == np.uint16
    # planes 0 and 1, row 0, column 9 are inside: 2 of 12 voxels
    assert np.argwhere(found.array).tolist() == [[0, 0, 9], [1, 0, 9]]
    assert found.notes == ("10 voxels of the mask lie outside of the scan and were cut off.",)


def test_equal_grids_share_the_array() -> None:
    mask = a_mask(SCAN)
    assert embedded(mask, SCAN) is mask
    rounded = replace(SCAN, origin_lps=(-30.0000001, 12.5, 7.25))
    found = embedded(mask, rounded)
    assert found is not None and found.array is mask.array and found.geometry == rounded


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    start=st.tuples(st.integers(-3, 5), st.integers(-3, 7), st.integers(-3, 9)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
)
def test_every_voxel_keeps_its_place_in_the_world(
    order: list[int], flips: tuple[bool, bool, bool], start: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    how = Reorientation((order[0], order[1], order[2]), flips)
    mask = a_mask(cropped(SCAN, start, size), 3).reoriented(how)
    found = embedded(mask, SCAN)
    # oracle: nearest neighbour of SimpleITK, whose grid is given by hand and not by our placement
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask.array))
    image.SetSpacing(mask.geometry.spacing_mm[::-1])
    image.SetOrigin(mask.geometry.origin_lps)
    image.SetDirection(mask.geometry.direction.ravel().tolist())
    work = sitk.ResampleImageFilter()
    work.SetSize(SCAN.shape[::-1])
    work.SetOutputSpacing(SCAN.spacing_mm[::-1])
    work.SetOutputOrigin(SCAN.origin_lps)
    work.SetOutputDirection(SCAN.direction.ravel().tolist())
    work.SetInterpolator(sitk.sitkNearestNeighbor)
    expected = sitk.GetArrayFromImage(work.Execute(image))
    touches = all(s < n and s + k > 0 for s, k, n in zip(start, size, SCAN.shape, strict=True))
    assert (found is None) != touches
    np.testing.assert_array_equal(np.zeros(SCAN.shape) if found is None else found.array, expected)


@pytest.mark.parametrize(
    "grid",
    [
        replace(SCAN, spacing_mm=(3.0, 0.8, 0.8)),
        replace(SCAN, spacing_mm=(1.5, 0.8, 0.7)),
        replace(SCAN, origin_lps=(-30.0, 12.5, 7.25 + 1.2)),
        replace(SCAN, direction=np.eye(3)),
        replace(SCAN, spacing_mm=(1.0, 1.0, 1.0), spacing_known=False),
        replace(SCAN, orientation_known=False),
    ],
    ids=["pixel size", "planes", "half a voxel", "turned", "spacing unknown", "orientation unknown"],
)
def test_other_grids_are_not_embedded(grid: Geometry) -> None:
    assert embedded(a_mask(grid), SCAN) is None


def test_a_single_plane_of_another_thickness_is_another_grid() -> None:
    thin = cropped(SCAN, (2, 0, 0), (1, 8, 10))
    assert embedded(a_mask(thin), SCAN) is not None
    assert embedded(a_mask(replace(thin, spacing_mm=(6.0, 0.8, 0.7))), SCAN) is None


def test_words_for_what_fits() -> None:
    assert fits_words(a_mask(SCAN), scan(SCAN)) == ""
    assert fits_words(a_mask(cropped(SCAN, (2, 1, 3), (3, 4, 5))), scan(SCAN)) == ""
    picture = Geometry.picture(5, 6)
    assert fits_words(a_mask(picture), scan(picture)) == ""


def test_words_for_another_grid_offer_resampling() -> None:
    other = Geometry((4, 8, 8), (2.0, 1.0, 1.0), SCAN.origin_lps, SCAN.direction)
    words = fits_words(a_mask(other), scan(SCAN))
    assert words.startswith("another grid: the mask is 8 x 8 x 4 voxels of 1 x 1 x 2 mm and the scan 10 x 8 x 6 of")
    assert words.endswith("it can be resampled (nearest neighbour)")


def test_words_for_what_can_never_fit() -> None:
    far = replace(SCAN, origin_lps=(500.0, 0.0, 0.0))
    assert fits_words(a_mask(far), scan(SCAN)).startswith("another place")
    picture = Geometry.picture(8, 10)
    assert fits_words(a_mask(picture), scan(SCAN)).startswith("another size: the mask is 10 x 8 x 1")
    mask = replace(a_mask(SCAN), frame_of_reference="1.2.3")
    assert fits_words(mask, scan(SCAN, frame_of_reference="1.2.4")).startswith("another space")
    assert fits_words(mask, scan(SCAN, frame_of_reference="1.2.3")) == ""
    assert fits_words(mask, scan(SCAN)) == ""
