"""Methods that go by the gradient to the input, and occlusion: exact where a network is linear or known by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.ops import relu as imported_relu

from napari_medcnn.core.explain_time import Passes
from napari_medcnn.core.spec import Preparation
from napari_medcnn.errors import UnsupportedError
from saliency_cases import SHAPES, explained, linear_classifier, noise, question, scan_of, segmenter, spec_of

BOTH = pytest.mark.parametrize("dimensions", [2, 3])


def linear(dimensions: int) -> tuple[Any, np.ndarray, Any]:
    """Return a linear network, its weights for class one on the scan's grid (z, y, x), and a scan."""
    shape = SHAPES[dimensions]
    weights = noise((*shape[3 - dimensions :], 1, 2), 4)
    return linear_classifier(dimensions, weights), weights[..., 0, 0].reshape(shape), scan_of(noise(shape, 7))


@BOTH
@pytest.mark.parametrize("method", ["gradient", "smoothgrad"])
def test_linear_network_gives_the_absolute_weights(dimensions: int, method: str) -> None:
    model, weights, scan = linear(dimensions)
    made, reply = explained(model, scan, spec_of(dimensions, "classification"), method=method)
    np.testing.assert_allclose(made, np.abs(weights), atol=1e-6 if method == "smoothgrad" else 0)
    assert reply["score"] == pytest.approx(float((weights * scan.array).sum()), rel=1e-5)


@BOTH
def test_gradient_times_input_of_a_linear_network_sums_to_its_score(dimensions: int) -> None:
    model, weights, scan = linear(dimensions)
    made, _ = explained(model, scan, spec_of(dimensions, "classification"), method="gradient-x-input")
    np.testing.assert_allclose(made, weights * scan.array, rtol=1e-6)


@BOTH
@pytest.mark.parametrize("baseline", ["mean", "black"])
def test_integrated_gradients_of_a_linear_network_are_weight_times_difference(dimensions: int, baseline: str) -> None:
    model, weights, scan = linear(dimensions)
    spec = spec_of(dimensions, "classification")
    made, reply = explained(model, scan, spec, method="integrated-gradients", steps=2, baseline=baseline)
    plain = scan.array.mean() if baseline == "mean" else scan.array.min()
    np.testing.assert_allclose(made, weights * (scan.array - plain), atol=1e-5)
    assert reply["facts"]["steps"] == 2
    assert reply["facts"]["residual"] <= 1e-4 * abs(reply["facts"]["difference"]) + 1e-5


def quadratic() -> Any:
    """Return f(x) = sum(x^2) and a second class that is always 0."""

    inputs = keras.Input((8, 6, 1))
    flat = layers.Flatten()(layers.Multiply()([inputs, inputs]))
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(flat))
    dense.set_weights([np.stack([np.ones(48), np.zeros(48)], axis=1).astype(np.float32)])
    return model


def test_integrated_gradients_of_squares_are_exact_with_the_midpoint_rule() -> None:
    scan = scan_of(noise((1, 8, 6), 2))
    made, reply = explained(
        quadratic(), scan, spec_of(2, "classification"), method="integrated-gradients", steps=2, baseline="black"
    )
    # (x - b) * mean over the way of 2 (b + a (x - b)) = x^2 - b^2; a left rule with 2 steps would miss it by 50 %
    np.testing.assert_allclose(made, scan.array**2 - scan.array.min() ** 2, atol=1e-4)
    assert reply["facts"]["steps"] == 2


def test_steps_double_until_the_sum_is_complete() -> None:
    """f = relu(sum x - c) with the kink late on the way: 2 steps see half the slope, or none."""
    inputs = keras.Input((8, 6, 1))
    dense = layers.Dense(2)
    model = keras.Model(inputs, layers.ReLU()(dense(layers.Flatten()(inputs))))
    dense.set_weights([np.ones((48, 2), np.float32), np.array([-48 * 0.9, 0], np.float32)])
    scan = scan_of(np.concatenate([np.full((1, 4, 6), 2.0), np.zeros((1, 4, 6))], axis=1))
    spec = spec_of(2, "classification")
    _, reply = explained(model, scan, spec, method="integrated-gradients", steps=2, baseline="black")
    facts = reply["facts"]
    assert facts["difference"] == pytest.approx(4.8, abs=1e-4)  # 48 - 43.2
    assert facts["steps"] > 2
    assert facts["steps"] & (facts["steps"] - 1) == 0
    assert facts["residual"] <= 0.01 * 4.8


def test_doubled_steps_look_at_new_points_only() -> None:
    """f = (sum x)^3 with 40 voxels of 1 and 8 of 0: its slope on the way is 3 a^2 times the score.

    With n = 2 the midpoint rule gives 3 (1/16 + 9/16) / 2 = 15/16 of the score, 6 % off. The trapezium rule with 4
    steps gives 3 (0/2 + 1/16 + 4/16 + 9/16 + 1/2) / 4 = 33/32, 3 % off; midpoints of 4: 63/64, 1.6 % off; the
    trapezium rule with 8: (33/32 + 63/64) / 2 = 129/128, complete. Points: 2, then 3, then 4.
    """
    inputs = keras.Input((8, 6, 1))
    dense = layers.Dense(2, use_bias=False)
    total = dense(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Multiply()([total, total, total]))
    dense.set_weights([np.stack([np.ones(48), np.zeros(48)], axis=1).astype(np.float32)])
    scan = scan_of(np.concatenate([np.ones((1, 8, 5)), np.zeros((1, 8, 1))], axis=2))
    asked = question(
        model, scan, spec_of(2, "classification"), method="integrated-gradients", steps=2, baseline="black"
    )
    made = asked.saliency()
    assert (asked.facts["steps"], asked.facts["rule"]) == (8, "trapezium")
    assert asked.clock.passes == Passes(answers=2, gradients=2 + 3 + 4)
    np.testing.assert_allclose(made[0, :, :5], 40**2 * 129 / 128, rtol=1e-5)


def test_completeness_on_the_shipped_classifier() -> None:
    from napari_medcnn.engine.models import ModelCache
    from napari_medcnn.engine.runtime import load_runtime

    folder = Path(__file__).resolve().parents[2] / "src" / "napari_medcnn" / "models" / "pneumonia-cxr"
    cache = ModelCache(load_runtime())
    loaded = cache.open(cache.plan({"model": str(folder)}), "cpu:0")
    from scipy import ndimage

    scan = scan_of(ndimage.gaussian_filter(noise((1, 90, 100), 5), (0, 4, 4)), modality="DX")
    made, reply = explained(loaded.model, scan, loaded.spec, method="integrated-gradients", target="")
    facts = reply["facts"]
    assert facts["residual"] <= 0.01 * abs(facts["difference"])
    assert facts["steps"] >= 64
    assert made.any()


@pytest.mark.parametrize(("steps", "expected"), [((("clip", {"low": -500, "high": 500}),), -500.0), ((), -1000.0)])
def test_air_of_a_ct_goes_through_the_models_own_steps(steps: Any, expected: float) -> None:
    model, _, _ = linear(2)
    spec = spec_of(2, "classification", preparation=Preparation(2, 1, steps=steps))
    scan = scan_of(noise((1, 8, 6)) * 100, modality="CT")
    asked = question(model, scan, spec, method="integrated-gradients", baseline="air")
    asked.saliency()
    assert asked.facts["baseline_values"] == [expected]


def test_air_where_it_has_no_value_is_the_lowest_value_and_says_so() -> None:
    model, _, scan = linear(2)
    spec = spec_of(2, "classification", preparation=Preparation(2, 1, steps=(("zscore", {}),)))
    asked = question(model, scan, spec, method="integrated-gradients", baseline="air")
    asked.saliency()
    assert asked.facts["baseline_values"] == [pytest.approx(float(asked.data.min()), abs=1e-5)]
    assert "lowest value" in asked.facts["baseline_words"]


@BOTH
def test_gradient_is_zero_outside_the_receptive_field(dimensions: int) -> None:
    shape = (1, 15, 13) if dimensions == 2 else (9, 11, 11)
    centre = tuple(n // 2 for n in shape)
    region = np.zeros(shape, bool)
    region[centre] = True
    spec = spec_of(dimensions, "segmentation", tile=(16, 16, 16)[:dimensions])
    made, _ = explained(segmenter(dimensions), scan_of(noise(shape, 3)), spec, region, method="gradient")
    reach = tuple(slice(max(c - 2, 0), c + 3) if n > 1 else slice(None) for c, n in zip(centre, shape, strict=True))
    outside = np.ones(shape, bool)
    outside[reach] = False
    assert not made[outside].any()
    assert made[centre] > 0


class Rectified(layers.Layer):
    """A layer of somebody's own that asks for a ReLU by itself."""

    def call(self, inputs: Any) -> Any:
        return imported_relu(inputs)


RELUS = {
    "layer": layers.ReLU,
    "activation": lambda: layers.Activation("relu"),
    "operation": lambda: keras.ops.relu,
    "custom layer": Rectified,
}


@pytest.mark.parametrize("form", RELUS)
def test_guided_backpropagation_on_a_net_by_hand(form: str) -> None:
    """Score = sum_k v_k relu(w_k x): back goes v_k w_k only where relu is open and v_k is positive."""
    inputs = keras.Input((2, 2, 1))
    hidden, out = layers.Dense(3, use_bias=False), layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, out(RELUS[form]()(hidden(layers.Flatten()(inputs)))))
    w = np.array([[1, -2, 3], [4, 5, -6], [-1, 2, 2], [0.5, 1, 1]], np.float32)
    v = np.array([[2, 0], [-3, 0], [1, 0]], np.float32)
    hidden.set_weights([w])
    out.set_weights([v])
    x = np.array([1, 1, 1, 1], np.float32)
    open_, forward = (x @ w) > 0, v[:, 0] > 0
    assert open_.tolist() == [True, True, False]  # 4.5, 6, 0
    expected = (w * (v[:, 0] * (open_ & forward))).sum(axis=1)  # by hand: 2 * (1, 4, -1, 0.5)
    made, _ = explained(model, scan_of(x.reshape(1, 2, 2)), spec_of(2, "classification"), method="guided-backprop")
    np.testing.assert_allclose(made.ravel(), expected)
    np.testing.assert_allclose(made.ravel(), [2, 8, -2, 1])


def test_guided_backpropagation_without_relu_is_refused() -> None:
    model, _, scan = linear(2)
    with pytest.raises(UnsupportedError, match=r"no ReLU.*choose the method gradient"):
        explained(model, scan, spec_of(2, "classification"), method="guided-backprop")


@BOTH
def test_occlusion_of_a_linear_network_is_the_sum_over_the_patch(dimensions: int) -> None:
    model, weights, scan = linear(dimensions)
    options = {"patch_mm": 2.4, "stride_mm": 2.4}  # 1 x 3 x 3 voxels of 3.0 x 0.8 x 0.7 mm
    made, reply = explained(model, scan, spec_of(dimensions, "classification"), method="occlusion", **options)
    share = weights * (scan.array - scan.array.mean())
    expected, count = np.zeros_like(share), np.zeros_like(share)
    for z in range(share.shape[0]):
        for y in (0, 3, 5):  # the last patch is pushed back inside
            for x in (0, 3):
                patch = (z, slice(y, y + 3), slice(x, x + 3))
                expected[patch] += share[patch].sum()
                count[patch] += 1
    np.testing.assert_allclose(made, expected / count, atol=2e-5)
    assert reply["facts"]["patch_mm"] == pytest.approx([3.0, 2.4, 2.1])


@BOTH
def test_occlusion_with_supervoxels_of_a_linear_network(dimensions: int) -> None:
    model, weights, scan = linear(dimensions)
    made, reply = explained(model, scan, spec_of(dimensions, "classification"), method="occlusion", supervoxels=True)
    share = weights * (scan.array - scan.array.mean())
    assert reply["facts"]["pieces"] >= 2
    for value in np.unique(made):  # each piece carries the sum of its voxels' shares
        assert share[made == value].sum() == pytest.approx(float(value), abs=1e-4)


def test_occlusion_of_slices_with_neighbours_changes_every_slice_that_sees_the_patch() -> None:
    """A 2D network that sees three slices: the patch acts on its slice and on both around it."""
    inputs = keras.Input((4, 4, 3))
    dense = layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, dense(layers.Flatten()(inputs)))
    weights = noise((4, 4, 3, 1), 9)
    dense.set_weights([weights.reshape(-1, 1)])
    spec = spec_of(2, "classification", classes=1, preparation=Preparation(2, 1, neighbours=1), activation="softmax")
    scan = scan_of(noise((5, 4, 4), 3))
    made, _ = explained(model, scan, spec, method="occlusion", patch_mm=0.8, stride_mm=0.8)
    padded = [0, 0, 1, 2, 3, 4, 4]  # slices beyond the ends are repeated
    slope = np.zeros((5, 4, 4))
    for z in range(5):
        for step in range(3):
            slope[padded[z + step]] += weights[..., step, 0] / 5  # mean over the slices
    expected = slope * (scan.array - scan.array.mean())
    np.testing.assert_allclose(made, expected, atol=1e-5)
    gradient, _ = explained(model, scan, spec, method="gradient")
    np.testing.assert_allclose(gradient, np.abs(slope), atol=1e-6)


def test_same_seed_same_map_and_other_seed_another() -> None:
    spec, region = spec_of(2, "segmentation"), np.zeros((1, 15, 13), bool)
    region[0, 5:9, 4:8] = True
    asked = question(segmenter(2), scan_of(noise((1, 15, 13))), spec, region, method="smoothgrad", samples=6)
    one, two, other = asked.saliency(3), asked.saliency(3), asked.saliency(4)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert one.dtype == np.float32
