"""Methods that look at a layer, against maps worked out by hand or by another way."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from napari_medcnn.engine.saliency.cams import enlarge
from napari_medcnn.errors import InputError, UnsupportedError
from saliency_cases import convolution, explained, gap_classifier, noise, pooled, question, scan_of, segmenter, spec_of

BOTH = pytest.mark.parametrize("dimensions", [2, 3])


def one_channel(dimensions: int, factor: float = 1.0) -> Any:
    """Return A = x by a 1-wide convolution, score = factor * mean(A), the second class 0."""
    inputs = keras.Input((*[None] * dimensions, 1))
    conv = convolution(dimensions, 1, 1, use_bias=False, name="conv")
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(pooled(dimensions)(conv(inputs))))
    conv.set_weights([np.ones((*[1] * dimensions, 1, 1), np.float32)])
    dense.set_weights([np.array([[factor, 0]], np.float32)])
    return model


def activation_of(model: Any, name: str, batch: np.ndarray) -> np.ndarray:
    part = keras.Model(model.inputs[0], model.get_layer(name).output)
    return np.asarray(keras.ops.convert_to_numpy(part(batch)))


@BOTH
def test_grad_cam_is_the_class_activation_map(dimensions: int) -> None:
    """Zhou et al. 2016: sum_k w_k A_k; the gradient of a global mean is w_k / Z everywhere."""
    shape = (1, 12, 10) if dimensions == 2 else (6, 12, 10)
    model, scan = gap_classifier(dimensions), scan_of(noise(shape))
    asked = question(model, scan, spec_of(dimensions, "classification"), method="grad-cam")
    made = asked.saliency()
    batch = scan.array[..., None] if dimensions == 2 else scan.array[None, ..., None]
    answers = activation_of(model, "second_relu", batch)[0]
    places = int(np.prod(answers.shape[:-1]))
    cam = np.maximum(answers @ model.get_layer("dense").get_weights()[0][:, 0] / places, 0)
    assert asked.layer == "second_relu"
    assert cam.max() > 0
    np.testing.assert_allclose(made.reshape(shape[3 - dimensions :]), enlarge(cam, batch.shape[1:-1]), atol=1e-6)


@BOTH
def test_layer_cam_with_a_constant_gradient_is_grad_cam(dimensions: int) -> None:
    shape = (1, 12, 10) if dimensions == 2 else (6, 12, 10)
    model = gap_classifier(dimensions)
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([np.abs(kernel), bias])
    made = [
        explained(model, scan_of(noise(shape)), spec_of(dimensions, "classification"), method=method)[0]
        for method in ("grad-cam", "layer-cam")
    ]
    assert made[0].max() > 0
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)


def test_grad_cam_plus_plus_by_hand() -> None:
    """A one-channel network S = sum_i v_i A_i: alpha_i = g_i^2 / (2 g_i^2 + sum(A) g_i^3), w = sum alpha relu(g)."""
    inputs = keras.Input((2, 2, 1))
    conv = layers.Conv2D(1, 1, use_bias=False, name="conv")
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(layers.Flatten()(conv(inputs))))
    conv.set_weights([np.ones((1, 1, 1, 1), np.float32)])
    dense.set_weights([np.array([[1, 0], [2, 0], [-1, 0], [0, 0]], np.float32)])
    scan = scan_of(np.array([[[1.0, 2.0], [0.5, 0.5]]]))  # the sum of A is 4
    made, _ = explained(model, scan, spec_of(2, "classification"), method="grad-cam++")
    # alpha: 1 / (2 + 4) = 1/6; 4 / (8 + 32) = 1/10; 1 / (2 - 4) has ReLU(g) = 0; g = 0 counts 0
    weight = 1 / 6 * 1 + 1 / 10 * 2
    np.testing.assert_allclose(made, weight * scan.array, rtol=1e-6)


@BOTH
@pytest.mark.parametrize("softmax", [True, False])
def test_score_cam_with_one_active_channel_is_its_activation(dimensions: int, softmax: bool) -> None:
    shape = (1, 6, 5) if dimensions == 2 else (3, 6, 5)
    scan = scan_of(np.abs(noise(shape)))
    spec = spec_of(dimensions, "classification")
    made, reply = explained(one_channel(dimensions), scan, spec, method="score-cam", softmax_cam=softmax)
    scaled = (made - made.min()) / np.ptp(made)
    np.testing.assert_allclose(scaled, (scan.array - scan.array.min()) / np.ptp(scan.array), atol=1e-6)
    if softmax:  # the softmax of one weight is 1
        np.testing.assert_allclose(made, scan.array, rtol=1e-6)
    assert reply["layer"] == "conv"


def test_score_cam_weights_by_hand() -> None:
    """Two channels, x and a constant: the constant one has no shape to see through and counts nothing."""
    inputs = keras.Input((None, None, 1))
    conv, dense = layers.Conv2D(2, 1, name="conv"), layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(pooled(2)(conv(inputs))))
    conv.set_weights([np.array([[[[1, 0]]]], np.float32), np.array([0, 7], np.float32)])
    dense.set_weights([np.array([[3, 0], [5, 0]], np.float32)])
    scan = scan_of(np.array([[[0.0, 1.0], [2.0, 4.0]]]))
    spec = spec_of(2, "classification")
    made, _ = explained(model, scan, spec, method="score-cam", softmax_cam=False, baseline="black")
    seen = scan.array * scan.array / 4  # the scan times its own activation, scaled to 0 to 1; black is 0 here
    weight = 3 * seen.mean() + 5 * 7
    np.testing.assert_allclose(made, weight * scan.array, rtol=1e-5)


def test_eigen_cam_is_the_first_singular_vector() -> None:
    model, scan = gap_classifier(2), scan_of(noise((1, 12, 10)))
    asked = question(model, scan, spec_of(2, "classification"), method="eigen-cam")
    made = asked.saliency()
    answers = activation_of(model, "second_relu", scan.array[..., None])[0]
    flat = answers.reshape(-1, answers.shape[-1])
    left, values, _ = np.linalg.svd(flat.astype(np.float64), full_matrices=False)
    first = left[:, 0] * values[0]
    first = first * np.sign(first.sum())
    wanted = enlarge(np.maximum(first, 0).reshape(answers.shape[:-1]).astype(np.float32), (12, 10))
    np.testing.assert_allclose(made[0], wanted, atol=1e-5)


def test_feature_map_is_one_channel_of_one_layer() -> None:
    model, scan = gap_classifier(2), scan_of(noise((1, 12, 10)))
    spec = spec_of(2, "classification")
    made, reply = explained(model, scan, spec, method="feature-map", layer="first", channel=2)
    np.testing.assert_allclose(made, activation_of(model, "first", scan.array[..., None])[..., 2], atol=1e-6)
    assert reply["facts"]["channels"] == 4
    with pytest.raises(InputError, match="channel: first has the channels 0 to 3, got 4"):
        explained(model, scan, spec, method="feature-map", layer="first", channel=4)


@BOTH
def test_seg_grad_cam_of_one_voxel_pulls_only_in_its_receptive_field(dimensions: int) -> None:
    from napari_medcnn.engine.saliency.items import Want

    shape = (1, 13, 11) if dimensions == 2 else (9, 13, 11)
    centre = tuple(n // 2 for n in shape)
    region = np.zeros(shape, bool)
    region[centre] = True
    spec = spec_of(dimensions, "segmentation", tile=(16, 16, 16)[:dimensions])
    scan = scan_of(noise(shape, {2: 5, 3: 0}[dimensions]))  # at this voxel the second ReLU is open
    asked = question(segmenter(dimensions), scan, spec, region, method="grad-cam", layer="first")
    (found,) = asked.here(Want(layer="first", to_layer=True))
    reach = (Ellipsis, *(slice(c - 1, c + 2) for c in centre[3 - dimensions :]), slice(None))
    inside = found.pull[reach].copy()
    found.pull[reach] = 0
    assert inside.any()
    assert not found.pull.any()  # one 3-wide convolution lies between the layer and the voxel


@BOTH
def test_seg_grad_cam_of_everything_is_grad_cam_of_the_summing_classifier(dimensions: int) -> None:
    shape = (1, 8, 8) if dimensions == 2 else (8, 8, 8)
    model, scan = segmenter(dimensions, classes=1), scan_of(noise(shape))
    whole = np.ones(shape, bool)
    spec = spec_of(dimensions, "segmentation", classes=1)
    cam, reply = explained(model, scan, spec, whole, method="grad-cam", layer="second")
    mean = pooled(dimensions)(model.output)
    classifier = keras.Model(model.inputs[0], mean)
    other, score = explained(
        classifier, scan, spec_of(dimensions, "classification", classes=1), method="grad-cam", layer="second"
    )
    count = whole.sum()
    assert cam.max() > 0
    np.testing.assert_allclose(cam, other * count, rtol=1e-4)
    assert reply["score"] == pytest.approx(score["score"] * count, rel=1e-4)


@pytest.mark.parametrize(
    ("count", "length", "places"),
    [
        (4, 8, [0.5, 2.5, 4.5, 6.5]),  # stride 2: a place lies between its two voxels
        (3, 5, [0.5, 2.5, 4.5]),  # stride 2, rounded up ("same"): the last place reaches beyond the end
        (2, 5, [0.5, 2.5]),  # stride 2, rounded down: the last voxel has no place of its own
        (2, 8, [1.5, 5.5]),  # stride 4
        (6, 8, [1, 2, 3, 4, 5, 6]),  # no padding: the border is lost on both sides
        (8, 8, list(range(8))),
    ],
)
def test_places_of_a_layer_lie_in_the_middle_of_their_voxels(count: int, length: int, places: list[float]) -> None:
    """Linear between places: values that rise with the position are given back where there are places around."""
    values = np.array(places, np.float32)
    made = enlarge(values[:, None], (length, 1))[:, 0]
    voxels = np.arange(length)
    np.testing.assert_allclose(made, np.clip(voxels, places[0], places[-1]), atol=1e-6)
    assert len(values) == count


def test_a_bottleneck_that_only_spoke_against_it_gives_way_to_the_layers_after_it() -> None:
    """The head takes the fine path with weight 1 and the bottleneck with -1: only the fine path can have raised it."""
    inputs = keras.Input((None, None, 1), name="image")
    fine = convolution(2, 1, 1, activation="relu", name="fine")(inputs)
    down = keras.layers.MaxPooling2D(2)(inputs)
    bottom = convolution(2, 1, 1, activation="relu", name="bottom")(down)
    up = keras.layers.UpSampling2D(2)(bottom)
    both = keras.layers.Concatenate()([fine, up])
    late = convolution(2, 2, 1, activation="relu", name="late")(both)
    model = keras.Model(inputs, convolution(2, 2, 1, name="head")(late))
    one, zero = np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.float32)
    head = np.array([[1, 0], [-1, 0]], np.float32).reshape(1, 1, 2, 2)
    keep = np.eye(2, dtype=np.float32).reshape(1, 1, 2, 2)
    weights = {"fine": [2 * one, zero], "bottom": [one, zero], "late": [keep, np.zeros(2)], "head": [head, np.zeros(2)]}
    for name, values in weights.items():
        model.get_layer(name).set_weights(values)
    bright = np.abs(noise((1, 8, 8))) + 1
    region = np.zeros((1, 8, 8), bool)
    region[0, 2:6, 2:6] = True
    spec = spec_of(2, "segmentation")
    values, reply = explained(model, scan_of(bright), spec, region, method="grad-cam")
    assert reply["layer"] == "late" and "bottom" in reply["warnings"][-1]
    # the gradient to channel 0 of "late" is 1 in the region and to channel 1 is -1: 16 of 64 places, mean 0.25
    up_there = np.repeat(np.repeat(bright[0].reshape(4, 2, 4, 2).max(axis=(1, 3)), 2, 0), 2, 1)
    np.testing.assert_allclose(values[0], np.maximum(0.25 * (2 * bright[0] - up_there), 0), atol=1e-6)
    with pytest.raises(UnsupportedError, match="bottom"):
        explained(model, scan_of(bright), spec, region, method="grad-cam", layer="bottom")


def test_windows_of_one_question_share_their_weights_and_show_no_edges() -> None:
    """A region of several windows: layer and head are 1 wide, so the map must be that of one window over all of it."""
    model = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            convolution(2, 3, 1, activation="relu", name="conv"),
            convolution(2, 2, 1, name="head"),
        ]
    )
    random = np.random.default_rng(4)
    model.set_weights([random.standard_normal(w.shape).astype(np.float32) for w in model.get_weights()])
    scan = scan_of(np.abs(noise((1, 16, 24), 3)))
    region = np.zeros((1, 16, 24), bool)
    region[0, 2:14, 1:23] = True  # not the same share of each window
    pieces, told = explained(model, scan, spec_of(2, "segmentation", tile=(16, 16)), region, method="grad-cam")
    whole, _ = explained(model, scan, spec_of(2, "segmentation", tile=(16, 24)), region, method="grad-cam")
    assert told["facts"]["windows"] > 1 and whole.any()
    most = whole.argmax()
    ratio = pieces.flat[most] / whole.flat[most]  # of the sums over which the means are taken
    np.testing.assert_allclose(pieces, ratio * whole, rtol=1e-4, atol=1e-5 * pieces.max())
