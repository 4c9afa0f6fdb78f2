"""Doubtful regions against scipy's own labels and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_medcnn.annotation.doubt import Finding, differing, likely, margin_doubt, undecided
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.errors import Cancelled, InputError

SPACING = (2.0, 1.0, 0.5)  # 1 mm3 a voxel: 0.001 ml


def test_regions_are_those_of_scipy_ranked_by_their_summed_doubt() -> None:
    doubt = np.random.default_rng(7).random((12, 20, 30)).astype(np.float32)
    doubt = ndimage.gaussian_filter(doubt, 1.2)
    doubt = (255 * (doubt - doubt.min()) / np.ptp(doubt)).astype(np.uint8)
    found = undecided(Mask(np.zeros(doubt.shape, np.uint8), SPACING), doubt, Finding(0.6, 0.005))
    region = doubt >= 0.6 * 255
    numbers, count = ndimage.label(region, np.ones((3, 3, 3)))
    sums = ndimage.sum_labels(doubt / 255, numbers, range(1, count + 1))
    sizes = ndimage.sum_labels(region, numbers, range(1, count + 1))
    wanted = sorted((i for i in range(1, count + 1) if sizes[i - 1] >= 5), key=lambda i: -sums[i - 1])
    assert count > len(wanted) > 5
    assert [len(spot.voxels) for spot in found] == [int(sizes[i - 1]) for i in wanted]
    np.testing.assert_allclose([spot.doubt for spot in found], [sums[i - 1] / 1000 for i in wanted])
    np.testing.assert_allclose([spot.volume_ml for spot in found], [sizes[i - 1] / 1000 for i in wanted])
    boxes = ndimage.find_objects(numbers)
    for spot, number in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(spot.voxels, np.flatnonzero(numbers == number))
        assert spot.box == boxes[number - 1] and numbers[spot.place] == number


def test_place_lies_inside_a_bent_region_and_counts_mm() -> None:
    doubt = np.zeros((1, 9, 9), np.float32)
    doubt[0, 0:9, 0] = doubt[0, 0, 0:9] = doubt[0, 8, 0:9] = 1  # a C: its middle, (4, 2.88), lies beside it
    mask = Mask(np.zeros((1, 9, 9), np.uint8), (1.0, 1.0, 1.0))
    (spot,) = undecided(mask, doubt, Finding(smallest_ml=0))
    assert spot.place == (0, 4, 0) and len(spot.voxels) == 25
    # lines 10 mm apart, columns 0.1 mm: (0, 3) is nearer to the middle of an L than any voxel of another row
    bent = np.zeros((1, 3, 9), np.float32)
    bent[0, 0, :] = bent[0, 1:, 0] = 1
    (spot,) = undecided(Mask(np.zeros(bent.shape, np.uint8), (1.0, 10.0, 0.1)), bent, Finding(smallest_ml=0))
    assert spot.place == (0, 0, 3)  # the middle is (0, 2.7 mm, 3.3 columns)


def test_classes_are_those_in_and_beside_a_region_background_last() -> None:
    ids = np.zeros((3, 8, 8), np.uint8)
    ids[:, :, 4:] = 2
    ids[1, 3, 3] = 5
    doubt = np.zeros(ids.shape, np.uint8)
    doubt[1, 2:5, 2:4] = 200
    (spot,) = undecided(Mask(ids, SPACING), doubt, Finding(smallest_ml=0))
    assert spot.classes == (2, 5, 0)  # 15 voxels of 2 touch it, one of 5, 44 of background
    scores = np.zeros((3, 8, 8, 3), np.float16)
    scores[..., 0], scores[..., 1], scores[..., 2] = 0.4, 0.1, 0.5
    assert likely(spot, (0, 2, 5), scores) == (5, 0)


def test_difference_to_the_model_by_size_with_the_classes_of_both() -> None:
    now, model = np.zeros((4, 10, 10), np.uint8), np.zeros((4, 10, 10), np.uint8)
    now[1:3, 1:3, 1:4], model[1:3, 7:9, 7:9] = 1, 3  # 12 and 8 voxels
    now[0, 9, 0] = 1  # 1 voxel: too small
    mask = Mask(now, SPACING)
    first, second = differing(mask, model, Finding(smallest_ml=0.002))
    assert (first.volume_ml, first.classes, first.box) == (0.012, (1, 0), np.s_[1:3, 1:3, 1:4])
    assert (second.volume_ml, second.classes) == (0.008, (3, 0))
    assert len(differing(mask, model, Finding(smallest_ml=0))) == 3
    assert len(differing(mask, model, Finding(smallest_ml=0, most=1))) == 1
    assert differing(mask, now) == ()


def test_seams_along_borders_go_when_doubt_is_averaged_and_lumps_stay() -> None:
    doubt = np.zeros((1, 40, 40), np.float32)
    doubt[0, :, 10] = 1  # a seam of one voxel: 1 / (2 sqrt(2 pi)) = 0.2 of it is left at sigma 2
    doubt[0, 15:28, 20:33] = 1  # 13 wide: about 1 in its middle
    mask = Mask(np.zeros(doubt.shape, np.uint8))
    assert len(undecided(mask, doubt)) == 2
    (spot,) = undecided(mask, doubt, Finding(smooth_mm=2))
    assert spot.place == (0, 21, 26) and spot.volume_ml is None
    assert spot.doubt < len(spot.voxels)  # in voxels, where the spacing is not known


def test_nothing_doubtful_wrong_maps_and_cancelling() -> None:
    mask = Mask(np.zeros((3, 4, 5), np.uint8), SPACING)
    assert undecided(mask, np.zeros((3, 4, 5), np.uint8)) == ()
    assert undecided(mask, np.full((3, 4, 5), np.nan), Finding(smooth_mm=1)) == ()
    assert undecided(Mask(np.zeros((0, 4, 5), np.uint8)), np.zeros((0, 4, 5), np.uint8)) == ()
    with pytest.raises(InputError, match="mask's shape"):
        undecided(mask, np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(InputError, match="bytes or floats"):
        undecided(mask, np.zeros((3, 4, 5), np.int32))
    with pytest.raises(InputError, match="threshold"):
        Finding(threshold=0)

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        differing(mask, np.ones((3, 4, 5), np.uint8), progress=stop)


def test_margin_of_two_likeliest_classes() -> None:
    scores = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.7, 0.1]])
    np.testing.assert_allclose(margin_doubt(scores), [1, 0, 0.5], atol=1e-6)
    with pytest.raises(InputError, match="2 classes"):
        margin_doubt(np.ones((3, 1)))
