"""Pictures cut and shrunk for networks of one small size: Pillow is the oracle, and maps come back to their place."""

import numpy as np
import pytest
from PIL import Image

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.spec import Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.pipeline import prepare, restore_map
from napari_medcnn.imaging.shrink import centre_box, shrink

SMALL = Preparation(2, 1, steps=(("fill_shape", {"shape": (28, 28)}),))


def picture(array, **more):
    axes = "zyxc" if array.ndim == 3 else "zyx"
    return Volume(array[None], Geometry.picture(*array.shape[:2]), axes, modality="picture", **more)


@pytest.mark.parametrize("size", [(1024, 1024), (127, 384), (601, 433), (28, 28), (20, 31)])
def test_a_picture_becomes_what_pillow_makes_of_its_centre(size):
    pixels = np.random.default_rng(3).normal(1000, 300, size).astype(np.float32)
    edge = min(size)
    top, left = (size[0] - edge) // 2, (size[1] - edge) // 2
    square = Image.fromarray(pixels[top : top + edge, left : left + edge])
    expected = np.asarray(square.resize((28, 28), Image.Resampling.BICUBIC))
    ready = prepare(picture(pixels), SMALL)
    assert ready.data.shape == (1, 28, 28, 1)
    np.testing.assert_allclose(ready.data[0, :, :, 0], expected, atol=0.01)


def test_a_pattern_finer_than_the_small_pixels_leaves_no_trace():
    y, x = np.mgrid[:560, :560]
    fine = np.where((x // 3 + y // 3) % 2, 200, 100).astype(np.uint8)
    inner = prepare(picture(fine), SMALL).data[0, 2:-2, 2:-2, 0]
    assert np.ptp(inner) < 2, "linear interpolation alone gives moire of the full 100"


def test_a_map_comes_back_to_the_centre_and_is_empty_beside_it():
    ready = prepare(picture(np.arange(40 * 100, dtype=np.float32).reshape(40, 100)), SMALL)
    back = restore_map(np.ones((1, 28, 28), np.float32), ready.record)
    assert back.shape == (1, 40, 100)
    np.testing.assert_array_equal(back[0, :, 30:70], 1)
    assert not back[0, :, :30].any() and not back[0, :, 70:].any()


def test_the_pixels_of_the_small_grid_lie_where_their_means_were_taken():
    ramp = np.broadcast_to(np.arange(112.0, dtype=np.float32), (112, 112))  # value = column index, mm on axis x
    ready = prepare(picture(np.ascontiguousarray(ramp)), SMALL)
    columns = [ready.record.model.index_to_lps([0, 14, i])[0] for i in range(2, 26)]
    np.testing.assert_allclose(ready.data[0, 14, 2:26, 0], columns, atol=1e-3)


def test_a_scan_to_be_shown_with_small_values_bright_is_turned_round():
    values = np.array([[0, 10], [30, 40]], np.uint16)
    spec = Preparation(2, 1, steps=(("fill_shape", {"shape": (2, 2)}), ("as_displayed", {})))
    np.testing.assert_array_equal(prepare(picture(values), spec).data[0, :, :, 0], values)
    turned = prepare(picture(values, inverted=True), spec).data[0, :, :, 0]
    np.testing.assert_array_equal(turned, [[40, 30], [10, 0]])


def test_a_grey_picture_stored_as_rgb_is_one_channel_and_a_coloured_one_is_refused():
    grey = np.random.default_rng(5).integers(0, 256, (56, 56)).astype(np.uint8)
    expected = prepare(picture(grey), SMALL).data
    three = np.stack([grey, grey, np.clip(grey.astype(int) - 2, 0, 255).astype(np.uint8)], axis=-1)
    np.testing.assert_array_equal(prepare(picture(three), SMALL).data, expected)
    volume = Volume(np.zeros((2, 4, 4, 3)), Geometry((2, 4, 4)), "zyxc")
    assert volume.as_grey() is None, "three channels of a volume are a choice, not a way to store grey"
    three[..., 0] = 255 - three[..., 0]
    with pytest.raises(InputError, match="expected 1 channels, got 3"):
        prepare(picture(three), SMALL)


def test_missing_numbers_do_not_spread():
    pixels = np.full((56, 56), 7.0, np.float32)
    pixels[3, 3] = np.nan
    ready = prepare(picture(pixels), SMALL)
    np.testing.assert_allclose(ready.data, 7.0, rtol=1e-6)
    assert "not numbers" in ready.record.notes[0]


def test_slices_are_shrunk_alone():
    planes = np.stack([np.full((40, 60), value, np.int16) for value in (-5, 300)])
    volume = Volume(planes, Geometry((2, 40, 60), (3.0, 1.0, 1.0)))
    ready = prepare(volume, SMALL)
    np.testing.assert_allclose(ready.data[0], -5, rtol=1e-5)
    np.testing.assert_allclose(ready.data[1], 300, rtol=1e-5)
    assert ready.record.model.spacing_mm == pytest.approx((3.0, 40 / 28, 40 / 28))


def test_three_sizes_are_refused_and_an_odd_remainder_stays_behind():
    box = (slice(0, 1), slice(0, 11), slice(5, 10))
    assert centre_box(box, (3, 3)) == (slice(0, 1), slice(3, 8), slice(5, 10))
    with pytest.raises(InputError, match="fill_shape"):
        centre_box(box, (1, 2, 3))
    assert shrink(np.ones((1, 3, 3, 2)), (1, 1)).shape == (1, 1, 1, 2)
