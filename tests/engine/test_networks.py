"""Networks: parameter counts worked out by hand, shapes, saving, and the hand-set segmenter's exact answers."""

import json
import os
import zipfile

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # starts TensorFlow
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras")

from napari_medcnn.engine import networks  # noqa: E402 - only where keras is installed
from napari_medcnn.errors import ModelError  # noqa: E402


def unet_count(dimensions, inputs, outputs, base, levels, per_filter):
    """Count weights by the formula: 3^d kernels twice a level, 2^d transposed, 1-wide head, a bias or norm per filter.

    `per_filter` is what stands beside each 3-wide kernel per filter: 1 (bias), 2 (instance: gain and offset; no bias),
    4 (batch: gain, offset, moving mean and variance).
    """
    three, two = 3**dimensions, 2**dimensions
    filters = [base * 2**level for level in range(levels)]
    count, before = 0, inputs
    for f in filters:  # way down
        count += three * before * f + three * f * f + 2 * per_filter * f
        before = f
    for f in reversed(filters[:-1]):  # way up
        count += two * 2 * f * f + f  # transposed convolution from 2f to f, with bias
        count += three * 2 * f * f + three * f * f + 2 * per_filter * f
    return count + base * outputs + outputs


def test_the_classic_2d_network_has_31030658_parameters():
    """64 to 1024 filters, 1 channel to 2 classes, biases and no normalisation: the published architecture."""
    assert networks.unet(2, 1, 2, 64, 5, norm="none").count_params() == 31_030_658 == unet_count(2, 1, 2, 64, 5, 1)


def test_the_3d_network_with_32_filters_has_5599746_parameters():
    assert networks.unet(3, 1, 2, 32, 4, norm="none").count_params() == 5_599_746 == unet_count(3, 1, 2, 32, 4, 1)


@pytest.mark.parametrize(
    ("dimensions", "inputs", "outputs", "base", "levels", "norm", "per_filter"),
    [
        (3, 1, 2, 32, 4, "instance", 2),
        (3, 2, 5, 8, 3, "batch", 4),
        (2, 3, 1, 16, 4, "batch", 4),
        (3, 1, 3, 4, 2, "none", 1),
    ],
)
def test_parameter_counts_follow_the_formula(dimensions, inputs, outputs, base, levels, norm, per_filter):
    model = networks.unet(dimensions, inputs, outputs, base, levels, norm=norm)
    assert model.count_params() == unet_count(dimensions, inputs, outputs, base, levels, per_filter)


def test_max_filters_caps_the_coarse_levels():
    # 2D, 1 -> 1, filters 4, 8, 8 instead of 4, 8, 16, no norm (bias):
    # down 9*4+4, 9*16+4, 9*32+8, 9*64+8; bottom twice 9*64+8; up 4*64+8, 9*128+8, 9*64+8; 4*32+4, 9*32+4, 9*16+4;
    # head 4+1
    by_hand = 40 + 148 + 296 + 584 + 2 * 584 + 264 + 1160 + 584 + 132 + 292 + 148 + 5
    assert networks.unet(2, 1, 1, 4, 3, norm="none", max_filters=8).count_params() == by_hand


def test_the_classifier_has_the_parameters_worked_out_by_hand():
    # 2D, 1 channel, 2 levels of 4 and 8 filters, batch norm (4 a filter), 3 classes:
    # 9*1*4 + 16 + 9*4*4 + 16 + 9*4*8 + 32 + 9*8*8 + 32 + (8*3 + 3) = 36+16+144+16+288+32+576+32+27
    assert networks.cnn_classifier(2, 1, 3, base=4, levels=2).count_params() == 1167


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("norm", networks.NORMS)
def test_output_has_the_size_of_the_input_and_survives_saving(tmp_path, dimensions, norm):
    keras.utils.set_random_seed(1)
    model = networks.unet(dimensions, 2, 3, 4, 3, norm=norm, dropout=0.1)
    image = np.random.default_rng(0).normal(size=(1, *(8, 12, 16)[:dimensions], 2)).astype("float32")
    scores = keras.ops.convert_to_numpy(model(image, training=False))
    assert scores.shape == (*image.shape[:-1], 3)
    assert scores.min() < 0, "logits, not probabilities"
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(image, training=False)), scores)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_classifier_takes_any_size_and_survives_saving(tmp_path, dimensions):
    keras.utils.set_random_seed(1)
    model = networks.cnn_classifier(dimensions, 1, 4, base=4, levels=2, dropout=0.2)
    for size in (8, 13):
        assert model(np.zeros((2, *[size] * dimensions, 1), "float32")).shape == (2, 4)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", compile=False)
    image = np.random.default_rng(0).normal(size=(1, *[9] * dimensions, 1)).astype("float32")
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(image, training=False)) for m in (model, again)))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_joined_classifiers_answer_the_mean_of_their_logits(tmp_path, dimensions):
    rng, members = np.random.default_rng(8), []
    for _ in range(3):
        member = networks.cnn_classifier(dimensions, 1, 2, base=4, levels=2, dropout=0.5)
        member.set_weights([rng.uniform(0.1, 1, w.shape).astype(np.float32) for w in member.get_weights()])
        members.append(member)
    joined = networks.average_classifiers(members)
    x = rng.normal(size=(2, *[8] * dimensions, 1)).astype(np.float32)
    expected = np.mean([keras.ops.convert_to_numpy(m(x, training=False)) for m in members], axis=0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(joined(x, training=False)), expected, rtol=1e-4)
    joined.save(tmp_path / "joined.keras")
    again = keras.models.load_model(tmp_path / "joined.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(again(x, training=False)), expected, rtol=1e-4)
    assert again.get_layer("features").output.shape[-1] == 3 * 8


def test_one_network_joined_with_nobody_is_itself():
    member = networks.cnn_classifier(2, 1, 3, base=2, levels=2)
    x = np.random.default_rng(2).normal(size=(1, 8, 8, 1)).astype(np.float32)
    alone = keras.ops.convert_to_numpy(networks.average_classifiers([member])(x))
    np.testing.assert_allclose(alone, keras.ops.convert_to_numpy(member(x)), rtol=1e-5)


def test_networks_that_cannot_be_averaged_are_refused():
    two = networks.cnn_classifier(2, 1, 2, base=2, levels=1)
    for members in ([], [two, networks.cnn_classifier(2, 1, 3, base=2, levels=1)], [networks.unet(2, 1, 1, 2, 2)]):
        with pytest.raises(ModelError, match="members"):
            networks.average_classifiers(members)


def test_only_stock_layers_are_used(tmp_path):
    models = [
        networks.unet(3, 1, 2, 4, 2, norm="instance", dropout=0.1),
        networks.cnn_classifier(3, 1, 2, base=4, levels=2, dropout=0.1),
        networks.threshold_segmenter_3d([0.5]),
    ]
    for model in models:
        model.save(tmp_path / "m.keras")
        with zipfile.ZipFile(tmp_path / "m.keras") as archive:
            config = json.loads(archive.read("config.json"))
        assert {layer["module"] for layer in config["config"]["layers"]} == {"keras.layers"}
        assert all(layer["registered_name"] is None for layer in config["config"]["layers"])


def test_a_small_network_learns_a_bright_ball():
    """The builder, the loss and the optimiser together: overfit one noisy ball to a Dice above 0.99."""
    from napari_medcnn.engine.losses import DiceCE

    keras.utils.set_random_seed(3)
    z, y, x = np.mgrid[:16, :16, :16]
    ball = ((z - 8) ** 2 + (y - 7) ** 2 + (x - 8) ** 2 < 25).astype("float32")[None, ..., None]
    image = (ball + np.random.default_rng(0).normal(0, 0.3, ball.shape)).astype("float32")
    model = networks.unet(3, 1, 1, 8, 3, norm="instance")
    model.compile(keras.optimizers.Adam(1e-2), DiceCE(), jit_compile=False)
    for _ in range(40):
        model.train_on_batch(image, ball)
    mask = keras.ops.convert_to_numpy(model(image, training=False)) > 0
    assert 2 * (mask * ball).sum() / (mask.sum() + ball.sum()) > 0.99


def test_the_threshold_segmenter_answers_as_worked_out_by_hand():
    model = networks.threshold_segmenter_3d([-0.5, 0.25, 2.0], smooth=1)
    values = np.array([-3, -0.51, -0.49, 0.24, 0.26, 1.99, 2.01, 9], "float32")
    logits = keras.ops.convert_to_numpy(model(values.reshape(1, 2, 2, 2, 1)))
    assert logits.argmax(-1).ravel().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    # logit of class 2 at x = 0.26 is 10 * ((0.26 + 0.5) + (0.26 - 0.25)) = 7.7
    assert logits.reshape(8, 4)[4, 2] == pytest.approx(7.7, abs=1e-4)
    assert logits.shape == (1, 2, 2, 2, 4)


def test_the_threshold_segmenter_averages_its_neighbourhood():
    model = networks.threshold_segmenter_3d([0.5], smooth=3)
    image = np.zeros((1, 5, 5, 5, 1), "float32")
    image[0, 2, 2, 2, 0] = 27 * 0.6  # the mean of the 27 voxels around is 0.6 wherever they hold this one
    mask = keras.ops.convert_to_numpy(model(image)).argmax(-1)[0]
    assert mask[1:4, 1:4, 1:4].all() and mask.sum() == 27


@pytest.mark.parametrize(
    "build",
    [
        lambda: networks.unet(4, 1, 1, 8, 3),
        lambda: networks.unet(2, 0, 1, 8, 3),
        lambda: networks.unet(2, 1, 1, 8, 1),
        lambda: networks.unet(2, 1, 1, 8, 3, norm="layer"),
        lambda: networks.cnn_classifier(2, 1, 2, levels=0),
        lambda: networks.threshold_segmenter_3d([2.0, 1.0]),
        lambda: networks.threshold_segmenter_3d([]),
        lambda: networks.threshold_segmenter_3d([1.0], smooth=2),
    ],
)
def test_impossible_networks_are_refused(build):
    with pytest.raises(ModelError):
        build()


def test_spatial_divisor():
    assert networks.spatial_divisor(4) == 8
    with pytest.raises(Exception, match=r"(?i)shape|dimension|match"):
        networks.unet(2, 1, 1, 4, 4)(np.zeros((1, 12, 16, 1), "float32"))
