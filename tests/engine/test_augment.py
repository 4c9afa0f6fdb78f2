"""Random patches: exact crops, turns worked out by hand, and mirroring only on request."""

import numpy as np
import pytest
import SimpleITK as sitk

from napari_medcnn.engine.augment import AffineRange, cut_patch, random_matrix, random_matrix_3d

STILL = AffineRange(zoom=(1.0, 1.0), stretch=0.0, shear=0.0)


@pytest.fixture
def picture():
    array = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    return array, sitk.GetImageFromArray(array)


def test_the_identity_cuts_a_plain_crop(picture):
    array, image = picture
    patch = cut_patch(image, np.array([10.5, 7.5]), np.eye(2), 6)
    np.testing.assert_allclose(patch, array[5:11, 8:14], atol=1e-6)


def test_a_quarter_turn_and_a_mirror(picture):
    array, image = picture
    crop, centre = array[5:11, 8:14], np.array([10.5, 7.5])
    # patch offset (dx, dy) reads picture offset (-dy, dx): patch row r, column c shows crop row c, column 5 - r
    turned = cut_patch(image, centre, np.array([[0.0, -1.0], [1.0, 0.0]]), 6)
    np.testing.assert_allclose(turned, crop.T[::-1], atol=1e-5)
    np.testing.assert_allclose(cut_patch(image, centre, np.diag([-1.0, 1.0]), 6), crop[:, ::-1], atol=1e-5)


def test_channels_move_together_and_outside_is_zero():
    array = np.random.default_rng(1).normal(size=(12, 12, 3)).astype(np.float32)
    patch = cut_patch(sitk.GetImageFromArray(array, isVector=True), np.array([0.5, 5.5]), np.eye(2), 4)
    assert patch.shape == (4, 4, 3)
    assert not patch[:, 0].any()
    np.testing.assert_allclose(patch[:, 1:], array[4:8, 0:3], atol=1e-6)


def test_zoom_enlarges():
    """A stripe 4 pixels wide is 8 wide in a patch of zoom 2."""
    array = np.zeros((40, 40), np.float32)
    array[:, 18:22] = 1
    matrix = random_matrix(AffineRange((2.0, 2.0), 0.0, 0.0), np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.svd(matrix)[1], [0.5, 0.5])
    patch = cut_patch(sitk.GetImageFromArray(array), np.array([19.5, 19.5]), np.eye(2) / 2, 20)
    assert (patch[10] > 0.5).sum() == 8


def test_left_and_right_are_exchanged_only_on_request():
    rng = np.random.default_rng(0)
    assert min(np.linalg.det(random_matrix(STILL, rng)) for _ in range(50)) > 0
    sides = [np.linalg.det(random_matrix(AffineRange(mirror=True), rng)) < 0 for _ in range(400)]
    assert 150 < sum(sides) < 250


def test_the_seed_repeats_a_patch():
    a, b = (random_matrix(AffineRange(mirror=True), np.random.default_rng([7, 3])) for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.fixture
def volume():
    array = np.random.default_rng(2).normal(size=(9, 12, 15)).astype(np.float32)
    return array, sitk.GetImageFromArray(array)


def test_a_box_is_cut_turned_and_mirrored_by_hand(volume):
    array, image = volume
    crop, centre = array[2:6, 3:9, 5:11], np.array([7.5, 5.5, 3.5])
    np.testing.assert_allclose(cut_patch(image, centre, np.eye(3), (4, 6, 6)), crop, atol=1e-6)
    mirror = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(cut_patch(image, centre, mirror, (4, 6, 6)), crop[..., ::-1], atol=1e-6)
    # patch offset (dx, dy, dz) reads (-dy, dx, dz): a quarter turn about z, as in 2D
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(cut_patch(image, centre, turn, (4, 6, 6)), crop.transpose(0, 2, 1)[:, ::-1], atol=1e-5)


def test_classes_of_a_box_move_together_and_nothing_stands_outside(volume):
    array, _ = volume
    classes = np.stack([array > 0, array <= 0], axis=-1).astype(np.float32)
    image = sitk.GetImageFromArray(classes, isVector=True)
    patch = cut_patch(image, np.array([1.5, 5.5, 4.0]), np.eye(3), (3, 4, 8))
    assert patch.shape == (3, 4, 8, 2)
    assert not patch[:, :, :2].any(), "x = -2 and -1 lie outside"
    np.testing.assert_allclose(patch[:, :, 2:], classes[3:6, 4:8, 0:6], atol=1e-6)


def test_volumes_turn_only_as_far_as_they_may():
    turns = AffineRange((1.0, 1.0), 0.0, 0.0, turn_degrees=15.0)
    rng = np.random.default_rng(0)
    angles = []
    for _ in range(300):
        matrix = random_matrix_3d(turns, rng)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix) > 0, "no mirroring unless asked for"
        angles.append(np.degrees(np.arccos((np.trace(matrix) - 1) / 2)))
    # three turns of at most 15 degrees each can never add up to more than 45
    assert 15 < max(angles) <= 45 and min(angles) < 8
    still = AffineRange((1.0, 1.0), 0.0, 0.0, turn_degrees=0.0)
    np.testing.assert_allclose(random_matrix_3d(still, rng), np.eye(3), atol=1e-12)


def test_volumes_are_enlarged_and_mirrored_as_asked():
    twice = AffineRange((2.0, 2.0), 0.0, 0.0, turn_degrees=10.0)
    np.testing.assert_allclose(np.linalg.svd(random_matrix_3d(twice, np.random.default_rng(0)))[1], [0.5] * 3)
    rng = np.random.default_rng(0)
    sides = [np.linalg.det(random_matrix_3d(AffineRange(mirror=True), rng)) < 0 for _ in range(400)]
    assert 150 < sum(sides) < 250
