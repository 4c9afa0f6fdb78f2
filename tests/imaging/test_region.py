"""A region drawn on the scan: the right voxels whatever the orientation, and the answer of the whole scan there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import LETTERS
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.spec import Decision, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled, InputError
from napari_medcnn.imaging.patches import stream_scores
from napari_medcnn.imaging.pipeline import plan, prepare, restore_labels, restore_scores

OBLIQUE = np.linalg.qr(np.array([[1, 0.2, 0.1], [-0.2, 1, 0.1], [0, -0.2, 1.0]]))[0]
OBLIQUE = OBLIQUE * np.sign(np.diag(OBLIQUE))


def inside(region, shape):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in region)] = True
    return mask


def smooth(shape, seed=0):
    from scipy import ndimage

    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return ((values - values.min()) / (values.max() - values.min())).astype(np.float32)


def threshold(window):
    return np.concatenate([1 - window, window], axis=-1)


@given(letters=st.sampled_from(LETTERS), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_region_holds_the_voxels_that_were_drawn(letters, data):
    shape = data.draw(st.tuples(*[st.integers(2, 7)] * 3))
    region = tuple(tuple(sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2)))) for n in shape)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    scan = Volume(numbers, Geometry(shape, (3.0, 0.7, 0.9), (1.0, 2.0, 3.0), OBLIQUE @ np.diag([1.0, -1.0, 1.0])))
    ready = prepare(scan, Preparation(3, 1, orientation=letters), region=region)
    drawn = numbers[inside(region, shape)]
    assert set(ready.data.astype(int).ravel()) == set(drawn.tolist())
    back = restore_labels(np.ones(ready.data.shape[:3], np.uint8), ready.record)
    np.testing.assert_array_equal(back == 1, inside(region, shape))
    # and the grid of what the network sees stands where those voxels stand
    lps = ready.record.model.index_to_lps((0, 0, 0))
    own = tuple(np.argwhere(numbers == int(ready.data[0, 0, 0, 0]))[0])
    np.testing.assert_allclose(lps, scan.geometry.index_to_lps(own), atol=1e-9)


@pytest.mark.parametrize("letters", [None, ("S", "P", "L"), ("L", "A", "S"), ("P", "I", "R")])
@pytest.mark.parametrize("spacing", [None, (1.3, 1.1, 1.9), (4.0, 0.5, None)])
@pytest.mark.parametrize(
    "steps",
    [
        (("clip", {"low": 0.1, "high": 0.9}), ("scale_linear", {"in_low": 0.1, "in_high": 0.9})),
        (("percentile_clip", {"low": 2, "high": 98}), ("scale_range", {})),
    ],
)
def test_a_region_gives_what_the_whole_scan_gives_there(letters, spacing, steps):
    """The same numbers, bit for bit up to the rounding of positions: grid and statistics are the whole scan's."""
    scan = Volume(smooth((14, 22, 26)), Geometry((14, 22, 26), (2.0, 1.0, 0.8), (5.0, -3.0, 9.0), OBLIQUE))
    spec = Preparation(3, 1, orientation=letters, spacing_mm=spacing, steps=steps)
    decision, region = Decision((0, 1), True), ((3, 9), (0, 12), (7, 20))
    box = tuple(slice(*side) for side in region)
    whole = prepare(scan, spec)
    tiles = plan(whole, (8, 8, 8), 0.5)
    chances = np.zeros((*scan.array.shape, 2), np.float32)
    restore_scores(stream_scores(whole.data, tiles, threshold), whole.record, decision, probabilities=chances)
    part = prepare(scan, spec, region=region, window=(8, 8, 8))
    assert part.data.size < whole.data.size
    tiles = plan(part, (8, 8, 8), 0.5)
    ours = np.full((*scan.array.shape, 2), 7, np.float32)
    painter = restore_scores(
        stream_scores(part.data, tiles, threshold), part.record, decision, uncertainty=True, probabilities=ours
    )
    np.testing.assert_allclose(ours[box], chances[box], atol=2e-5)
    outside = ~inside(region, scan.array.shape)
    assert painter.labels[box].any()
    assert not painter.labels[outside].any() and not painter.uncertainty[outside].any() and not ours[outside].any()


def test_half_a_window_around_the_region_is_seen_where_there_is_scan():
    scan = Volume(np.arange(20.0 * 30 * 40).reshape(20, 30, 40), Geometry((20, 30, 40), (3.0, 1.0, 1.0)))
    ready = prepare(scan, Preparation(3, 1), region=((8, 10), (0, 5), (30, 40)), window=(8, 6, 4))
    # 4 + 2 + 4 planes; no scan above row 0; columns 28 to 39
    assert ready.data.shape[:3] == (10, 8, 12)
    assert ready.data[0, 0, 0, 0] == scan.array[4, 0, 28]
    flat = prepare(scan, Preparation(2, 1, neighbours=1), region=((8, 10), (0, 5), (30, 40)), window=(6, 4))
    assert flat.data.shape[:3] == (4, 8, 12)


def test_statistics_are_those_of_the_whole_scan():
    values = np.zeros((4, 4, 4))
    values[0] = 100
    ready = prepare(
        Volume(values, Geometry((4, 4, 4))), Preparation(3, 1, steps=(("zscore", {}),)), region=((2, 3), (0, 2), (0, 2))
    )
    # mean 25, standard deviation 100 * sqrt(1/4 * 3/4)
    np.testing.assert_allclose(ready.data, -25 / (100 * np.sqrt(3) / 4), rtol=1e-6)


def test_a_region_inside_a_body_box_and_one_outside_it():
    values = np.full((10, 12, 14), -1000, np.int16)
    values[2:8, 3:9, 4:10] = 40
    scan, spec = Volume(values, Geometry((10, 12, 14))), Preparation(3, 1, crop_above=-500.0)
    ready = prepare(scan, spec, region=((0, 5), (0, 6), (0, 14)))
    back = restore_labels(np.ones(ready.data.shape[:3], np.uint8), ready.record)
    np.testing.assert_array_equal(back == 1, inside(((2, 5), (3, 6), (4, 10)), values.shape))
    air = prepare(scan, spec, region=((0, 2), (0, 2), (0, 2)))
    assert air.data.shape == (2, 2, 2, 1) and any("outside the body" in note for note in air.record.notes)
    nothing = prepare(Volume(values, Geometry((10, 12, 14))), Preparation(3, 1, crop_above=5000.0))
    assert nothing.data.shape == (10, 12, 14, 1) and any("lies above 5000" in n for n in nothing.record.notes)


def test_a_model_of_one_size_sees_the_region_as_its_picture():
    pixels = np.zeros((1, 20, 40), np.uint8)
    pixels[0, 4:12, 10:18] = 200
    spec = Preparation(2, 1, steps=(("fit_shape", {"shape": (8, 8)}),))
    ready = prepare(Volume(pixels, Geometry.picture(20, 40)), spec, region=((0, 1), (4, 12), (10, 18)), window=(8, 8))
    assert ready.data.shape == (1, 8, 8, 1) and (ready.data == 200).all()


@pytest.mark.parametrize("region", [((0, 5), (0, 4), (0, 4)), ((0, 4), (0, 4), (4, 5)), ((2, 2), (0, 4), (0, 4))])
def test_a_region_outside_the_scan_is_refused(region):
    with pytest.raises(InputError, match=r"region: expected a box inside the scan's 4 x 4 x 4 voxels"):
        prepare(Volume(np.zeros((4, 4, 4)), Geometry((4, 4, 4))), Preparation(3, 1), region=region)


def test_preparation_can_be_stopped_between_any_two_steps():
    spec = Preparation(3, 1, spacing_mm=(2.0, 2.0, 2.0), steps=(("zscore", {}), ("clip", {"low": -1, "high": 1})))
    scan, looks = Volume(np.arange(64.0).reshape(4, 4, 4), Geometry((4, 4, 4))), []
    prepare(scan, spec, check=lambda: looks.append(1))
    assert len(looks) == 4  # after the boxes, after resampling, after each step
    for allowed in range(4):
        left = iter(range(allowed))

        def stop(left=left):
            if next(left, None) is None:
                raise Cancelled("Cancelled.")

        with pytest.raises(Cancelled):
            prepare(scan, spec, check=stop)
