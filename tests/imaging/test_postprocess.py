"""Mask clean-up on masks drawn by hand."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure, morphology

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import GeometryError, InputError, UnsupportedError
from napari_medcnn.imaging.postprocess import check_steps, clean_up, fill_holes, keep_largest, remove_small


def test_the_largest_piece_of_each_class_stays():
    mask = np.zeros((4, 12, 12), np.uint8)
    mask[1:3, 1:4, 1:4] = 1
    mask[0, 9:11, 9] = 1
    mask[3, 3, 9:11] = 2
    mask[3, 9, 2] = 2
    result = keep_largest(mask)
    assert (result == 1).sum() == 18 and (result == 2).sum() == 2
    assert result[0, 9, 9] == 0 and result[3, 9, 2] == 0
    only_two = keep_largest(mask, ids=(2,))
    assert (only_two == 1).sum() == 20 and (only_two == 2).sum() == 2
    assert (mask == 1).sum() == 20, "the input was changed"


def test_voxels_touching_by_a_corner_are_one_piece():
    mask = np.zeros((3, 3, 3), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = 1
    assert keep_largest(mask).sum() == 2


def test_a_closed_cavity_is_filled_and_an_open_one_is_not():
    mask = np.zeros((7, 7, 7), np.uint16)
    mask[1:6, 1:6, 1:6] = 300
    mask[3, 3, 3] = 0
    closed = fill_holes(mask)
    assert closed[3, 3, 3] == 300 and (closed == 300).sum() == 125 and closed.dtype == np.uint16
    mask[3, 3, 3:] = 0
    np.testing.assert_array_equal(fill_holes(mask), mask)


def test_a_hole_in_a_picture_is_filled_in_its_plane():
    mask = np.zeros((1, 7, 7), np.uint8)
    mask[0, 1:6, 1:6] = 1
    mask[0, 3, 3] = 0
    assert fill_holes(mask)[0, 3, 3] == 1


def test_another_class_inside_a_hole_stays():
    mask = np.zeros((5, 5, 5), np.uint8)
    mask[:, :, :] = 1
    mask[2, 2, 2] = 2
    mask[2, 2, 1] = 0
    result = fill_holes(mask)
    assert result[2, 2, 2] == 2 and result[2, 2, 1] == 1


def test_pieces_below_a_size_in_mm3_go():
    grid = Geometry((2, 8, 8), (5.0, 0.5, 0.5))  # 1.25 mm3 a voxel
    mask = np.zeros((2, 8, 8), np.uint8)
    mask[0, 0, 0:4] = 1  # 5 mm3: exactly the limit stays
    mask[0, 4, 0:3] = 1  # 3.75 mm3
    mask[1, 7, 7] = 2
    result = remove_small(mask, grid, minimum_mm3=5.0)
    assert result[0, 0, 0:4].all() and result.sum() == 4
    assert remove_small(mask, grid, minimum_mm3=5.0, ids=(1,))[1, 7, 7] == 2
    assert (remove_small(mask, grid, minimum_voxels=3) != 0).sum() == 7


def test_a_size_in_mm3_needs_a_known_spacing_but_one_in_voxels_does_not():
    mask = np.ones((1, 4, 4), np.uint8)
    with pytest.raises(GeometryError, match="voxel size"):
        remove_small(mask, Geometry.picture(4, 4), minimum_mm3=1.0)
    assert remove_small(mask, Geometry.picture(4, 4), minimum_voxels=16).all()
    with pytest.raises(InputError):
        remove_small(mask, Geometry.picture(4, 4))


def blobs(shape, classes=3, seed=0):
    """Return seeded smooth blobs of several classes, with holes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2)
    noise = (noise - noise.mean()) / noise.std()
    return np.digitize(noise, np.linspace(0.4, 1.6, classes)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 60, 60), (14, 30, 30)])
def test_against_scikit_image(shape):
    """Per class and for all classes as one thing, on random blobs: the largest of its regionprops."""
    mask = blobs(shape)
    grid = Geometry(shape, (2.0, 0.5, 0.5))
    assert mask.max() == 3

    def largest(of):
        found = measure.label(of, connectivity=3)
        sizes = np.bincount(found.ravel())[1:]
        assert len(sizes) > 3 and np.sort(sizes)[-1] > np.sort(sizes)[-2], "the largest must be one"
        return found == sizes.argmax() + 1

    each = np.zeros_like(mask)
    for label in (1, 2, 3):
        each[largest(mask == label)] = label
    np.testing.assert_array_equal(keep_largest(mask), each)
    np.testing.assert_array_equal(keep_largest(mask, together=True), np.where(largest(mask > 0), mask, 0))
    pair = np.where(np.isin(mask, (2, 3)), largest(np.isin(mask, (2, 3))), mask > 0)
    np.testing.assert_array_equal(keep_largest(mask, ids=(2, 3), together=True), np.where(pair, mask, 0))
    kept = np.zeros_like(mask)
    for label in (1, 2, 3):
        whole = morphology.remove_small_objects(mask == label, max_size=19, connectivity=3)
        kept[whole] = label
    np.testing.assert_array_equal(remove_small(mask, grid, minimum_voxels=20), kept)
    np.testing.assert_array_equal(remove_small(mask, grid, minimum_mm3=10.0), kept)  # 0.5 mm3 a voxel


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_holes_in_slices_are_scipys_one_by_one(axis):
    mask = (np.random.default_rng(3).random((12, 16, 20)) < 0.75).astype(np.uint8)
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(mask, axis, 0)], axis)
    assert expected.sum() > mask.sum()
    np.testing.assert_array_equal(fill_holes(mask, slice_axis=axis), expected)
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    np.testing.assert_array_equal(clean_up(mask, Geometry(mask.shape), (("fill_holes", {}),), axis), expected)


def test_a_size_in_mm3_is_left_out_with_a_note_where_a_note_can_be_taken():
    mask, said = np.ones((1, 4, 4), np.uint8), []
    steps = (("remove_small", {"minimum_mm3": 500.0}), ("remove_small", {"minimum_voxels": 17}))
    assert not clean_up(mask, Geometry.picture(4, 4), steps, note=said.append).any()
    assert len(said) == 1 and "pieces below 500 mm3 were not removed" in said[0]
    with pytest.raises(GeometryError):
        clean_up(mask, Geometry.picture(4, 4), steps)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (("keep_largest", {"number": 2}), "step keep_largest: got an unexpected keyword argument 'number'"),
        (("remove_small", {}), "exactly one of minimum_mm3 and minimum_voxels"),
        (("remove_small", {"minimum_mm3": 1.0, "minimum_voxels": 2}), "exactly one"),
    ],
)
def test_steps_with_wrong_arguments_are_refused(step, words):
    with pytest.raises(InputError, match=words):
        check_steps((step,))
    check_steps((("keep_largest", {"together": True}), ("fill_holes", {"slice_axis": None})))


@pytest.mark.parametrize("function", [keep_largest, fill_holes])
def test_an_empty_mask_stays_empty_and_a_wrong_one_is_refused(function):
    assert not function(np.zeros((3, 3, 3), np.uint8)).any()
    with pytest.raises(InputError):
        function(np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError):
        function(np.zeros((3, 3, 3), np.float32))


def test_the_steps_of_a_model_run_in_order():
    mask = np.zeros((1, 9, 9), np.uint8)
    mask[0, 1:6, 1:6] = 1
    mask[0, 3, 3] = 0
    mask[0, 8, 8] = 1
    steps = (("remove_small", {"minimum_voxels": 2}), ("fill_holes", {"ids": (1,)}))
    assert clean_up(mask, Geometry.picture(9, 9), steps).sum() == 25
    np.testing.assert_array_equal(clean_up(mask, Geometry.picture(9, 9), ()), mask)
    with pytest.raises(UnsupportedError, match="'eval'"):
        clean_up(mask, Geometry.picture(9, 9), (("eval", {}),))
