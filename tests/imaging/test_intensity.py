"""Intensity steps against numbers worked out by hand."""

import numpy as np
import pytest
from scipy import ndimage

from napari_medcnn.errors import InputError
from napari_medcnn.imaging import intensity

NAN, INF = np.nan, np.inf


def column(*values: float) -> np.ndarray:
    """Return (n, 1, 1, 1)."""
    return np.array(values, dtype=np.float64).reshape(-1, 1, 1, 1)


def flat(array: np.ndarray) -> list[float]:
    assert array.dtype == np.float32
    return array.ravel().tolist()


def test_clip_limits_and_turns_nan_into_the_lower_end():
    assert flat(intensity.clip(column(-5, 0, 7, NAN, INF), -1, 5)) == [-1, 0, 5, -1, -1]


def test_percentile_clip_uses_finite_values_of_each_channel():
    data = np.concatenate([column(*range(11)), column(*range(0, 110, 10))], axis=-1)
    data[10, 0, 0, 1] = NAN  # 0..90 are left: 10th percentile 9, 90th 81
    result = intensity.percentile_clip(data, 10, 90)
    assert flat(result[..., 0]) == [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]
    assert flat(result[..., 1]) == [9, 10, 20, 30, 40, 50, 60, 70, 80, 81, 9]


def test_percentiles_of_what_is_not_zero_leave_the_background_alone():
    values = np.concatenate([np.zeros(1000), np.arange(1.0, 102.0), [np.nan]]).reshape(1, 1, -1, 1)
    result = intensity.percentile_clip(values, 10, 90, nonzero=True).ravel()
    # 1 to 101: the percentiles are 11 and 91 exactly
    np.testing.assert_array_equal(result[:1000], 0)
    np.testing.assert_array_equal(result[1000:1101], np.clip(np.arange(1.0, 102.0), 11, 91))
    assert result[-1] == 11


def test_nnunets_rules_are_a_cards_steps():
    """CT: clip to the training set's percentiles, then its mean and deviation. Else: z-score inside the mask."""
    from napari_medcnn.core.geometry import Geometry
    from napari_medcnn.core.spec import Preparation
    from napari_medcnn.core.volume import Volume
    from napari_medcnn.imaging.pipeline import prepare

    rng = np.random.default_rng(0)
    ct = rng.integers(-1024, 2000, (4, 5, 6)).astype(np.int16)
    steps = (("clip", {"low": -57.0, "high": 164.0}), ("fixed_zscore", {"mean": (101.5,), "std": (32.7,)}))
    ready = prepare(Volume(ct, Geometry(ct.shape)), Preparation(3, 1, steps=steps)).data[..., 0]
    np.testing.assert_allclose(ready, (np.clip(ct.astype(np.float64), -57, 164) - 101.5) / 32.7, atol=1e-6)
    mr = rng.uniform(50, 900, (6, 6, 6)).astype(np.float32)
    mr[:2] = 0
    spec = Preparation(3, 1, crop_nonzero=True, steps=(("zscore", {"nonzero": True}),))
    ready = prepare(Volume(mr, Geometry(mr.shape)), spec)
    inside = mr[2:].astype(np.float64)
    np.testing.assert_allclose(ready.data[..., 0], (inside - inside.mean()) / inside.std(), atol=1e-5)
    kept = prepare(Volume(mr, Geometry(mr.shape)), Preparation(3, 1, steps=(("zscore", {"nonzero": True}),)))
    np.testing.assert_array_equal(kept.data[:2], 0)
    np.testing.assert_array_equal(kept.data[2:], ready.data)


def test_scale_range_takes_each_channel_from_its_own_lowest_to_its_own_highest_value():
    assert flat(intensity.scale_range(column(-100, 0, 300, NAN))) == [0, 0.25, 1, 0]
    assert flat(intensity.scale_range(column(7, 7, NAN))) == [0, 0, 0]
    two = np.stack([column(0, 4)[..., 0], column(10, 30)[..., 0]], axis=-1)
    assert flat(intensity.scale_range(two)) == [0, 0, 1, 1]


def test_scale_linear_is_a_straight_line_without_clipping():
    assert flat(intensity.scale_linear(column(-1000, 0, 1000, 3000, NAN), -1000, 1000, -1, 1)) == [-1, 0, 1, 3, -1]


def test_zscore_by_hand():
    # 2, 4, 4, 4, 5, 5, 7, 9: mean 5, population standard deviation 2 (the textbook example)
    result = flat(intensity.zscore(column(2, 4, 4, 4, 5, 5, 7, 9, NAN)))
    assert result == [-1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2, 0]


def test_zscore_in_the_nonzero_mask_leaves_zeros():
    result = flat(intensity.zscore(column(0, 0, 0, 2, 4, 4, 4, 5, 5, 7, 9), nonzero=True))
    assert result == [0, 0, 0, -1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2]


def test_zscore_does_not_depend_on_the_unit():
    data = np.random.default_rng(1).normal(size=(3, 4, 5, 2))
    np.testing.assert_allclose(intensity.zscore(data), intensity.zscore(data * 1000 + 7), atol=2e-5)


@pytest.mark.parametrize("value", [0.0, 3.0, 1e6, NAN])
def test_a_constant_or_empty_channel_becomes_the_fill(value):
    data = np.full((2, 3, 4, 1), value)
    for result in (
        intensity.zscore(data),
        intensity.zscore(data, nonzero=True),
        intensity.local_normalise(data, 2.0),
        intensity.percentile_clip(data, 1, 99) - (0 if np.isnan(value) else value),
    ):
        assert not result.any()


def test_fixed_zscore_per_channel():
    data = np.concatenate([column(1, 3, NAN), column(10, 20, 30)], axis=-1)
    result = intensity.fixed_zscore(data, (1.0, 10.0), (2.0, 5.0))
    assert result.reshape(3, 2).tolist() == [[0, 0], [1, 2], [0, 4]]


def test_the_input_is_never_changed():
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)
    data.setflags(write=False)
    for step in (
        lambda: intensity.clip(data, 3, 5),
        lambda: intensity.percentile_clip(data, 5, 95),
        lambda: intensity.scale_linear(data, 0, 23),
        lambda: intensity.zscore(data),
        lambda: intensity.local_normalise(data, 1.0),
    ):
        assert step() is not data


def test_local_normalisation_removes_shading_and_keeps_the_pattern():
    """A stripe pattern on a bright slope: the pattern must come out equally strong at the dark and the bright end."""
    x = np.mgrid[:128, :256][1]
    stripes = np.where((x // 8) % 2, 0.8, 1.0)
    shaded = stripes * np.linspace(20, 200, 256)[None, :]
    result = intensity.local_normalise(shaded[None, :, :, None], 16.0, field_fraction=0.0)[0, :, :, 0]
    dark, bright = result[30:98, 50:82], result[30:98, 174:206]
    assert dark.std() > 0.4
    assert 0.8 < dark.std() / bright.std() < 1.25
    assert shaded[30:98, 174:206].std() / shaded[30:98, 50:82].std() > 1.8, "the test image is not shaded enough"


def test_local_normalisation_has_no_rim_around_the_lit_field():
    """A uniformly lit disc with weak noise on black: no value at the border may stand out from the noise."""
    y, x = np.mgrid[:200, :200]
    disc = np.hypot(y - 100, x - 100) < 90
    image = disc * (100 + np.random.default_rng(0).normal(0, 1, (200, 200)))
    result = intensity.local_normalise(image[None, :, :, None], 10.0)[0, :, :, 0]
    assert not result[~disc].any()
    assert np.abs(result).max() < 5  # five standard deviations of the noise; a rim would be dozens
    assert 0.6 < result[np.hypot(y - 100, x - 100) < 60].std() < 1.0  # 1 / (1 + floor 0.2) = 0.83


def test_the_border_of_the_field_is_surround_but_the_edge_of_the_picture_is_not():
    lit = np.zeros((60, 60, 1), np.float32)
    lit[:, 20:] = 100
    inner = intensity.lit_field(lit, 0.1, border_px=5)
    wide = intensity.lit_field(lit, 0.1, border_px=0)
    assert wide.sum() - inner.sum() == 5 * 60, "5 columns go at the left border, none at the picture's edges"


def test_each_plane_of_a_stack_is_normalised_alone():
    data = np.random.default_rng(2).uniform(50, 100, (3, 40, 50, 2))
    whole = intensity.local_normalise(data, 5.0)
    np.testing.assert_array_equal(whole[1:2], intensity.local_normalise(data[1:2], 5.0))


@pytest.mark.parametrize(
    "call",
    [
        lambda d: intensity.clip(d, 5, 5),
        lambda d: intensity.percentile_clip(d, 50, 10),
        lambda d: intensity.percentile_clip(d, 0, 101),
        lambda d: intensity.scale_linear(d, 1, 1),
        lambda d: intensity.fixed_zscore(d, (1.0, 2.0), (1.0,)),
        lambda d: intensity.fixed_zscore(d, (1.0,), (0.0,)),
        lambda d: intensity.local_normalise(d, 0.0),
        lambda d: intensity.zscore(d[0]),
    ],
)
def test_impossible_arguments_are_refused(call):
    with pytest.raises(InputError):
        call(np.zeros((2, 2, 2, 1)))


def test_local_contrast_is_the_same_in_the_light_and_in_the_dark():
    """Stripes that swallow a fifth of the light, under light that falls from 200 to 20: equal contrast everywhere."""
    x = np.mgrid[:128, :256][1]
    shaded = np.where((x // 8) % 2, 0.8, 1.0) * np.linspace(200, 20, 256)[None, :]
    result = intensity.local_contrast(shaded[None, :, :, None], 16.0, field_fraction=0.0, border_px=0, offset=1e-3)
    bright, dark = result[0, 30:98, 50:82, 0], result[0, 30:98, 174:206, 0]
    assert bright.std() / dark.std() == pytest.approx(1.0, abs=0.1)
    assert np.sqrt((result**2).mean()) == pytest.approx(1.0, abs=1e-3)
    # and it does not depend on the camera's gain
    again = intensity.local_contrast(7 * shaded[None, :, :, None], 16.0, 0.0, 0, 1e-3)
    np.testing.assert_allclose(again, result, atol=1e-3)


def test_local_contrast_leaves_the_surround_and_dark_pictures_at_the_fill():
    y, x = np.mgrid[:200, :200]
    disc = np.hypot(y - 100, x - 100) < 90
    image = disc * (100 + np.random.default_rng(0).normal(0, 1, (200, 200)))
    result = intensity.local_contrast(image[None, :, :, None], 10.0)[0, :, :, 0]
    assert not result[~disc].any()
    assert np.abs(result).max() < 6, "a rim at the border of the field"
    for value in (0.0, 9.0, NAN):
        assert not intensity.local_contrast(np.full((2, 20, 20, 3), value), 3.0).any()


def test_channel_weights_by_hand():
    data = np.array([1.0, 2.0, NAN]).reshape(1, 1, 1, 3)
    assert flat(intensity.weigh_channels(data, (0.0, 3.0, 1.0))) == [0, 6, 0]
    with pytest.raises(InputError):
        intensity.weigh_channels(data, (1.0,))
    with pytest.raises(InputError):
        intensity.local_contrast(data, 0.0)


@pytest.mark.parametrize("shape", [(1, 1), (7, 200), (150, 33)])
@pytest.mark.parametrize("sigma", [2.0, 30.0])
def test_the_wide_blur_is_the_sum_that_scipy_takes(shape, sigma):
    plane = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    expected = ndimage.gaussian_filter(plane.astype(float), sigma, mode="constant", truncate=3.0)
    np.testing.assert_allclose(intensity._blur(plane, sigma), expected, rtol=2e-5, atol=2e-4)
    assert intensity._blur(plane, sigma).dtype == np.float32
