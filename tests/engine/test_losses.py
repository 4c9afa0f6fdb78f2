"""Losses against golden numbers, finite differences and limiting cases."""

import os

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # starts TensorFlow
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras")

from napari_medcnn.engine import losses  # noqa: E402 - only where keras is installed

# Computed in float64 by hand; MONAI 1.6.1 agrees to 1e-6 on each (Dice, Tversky alpha .3 on false positives, BCE).
P = np.array([0.9, 0.2, 0.7, 0.4, 0.05, 0.6])
Y = np.array([1.0, 0, 1, 1, 0, 0])
LOGITS = np.log(P / (1 - P)).reshape(1, 6, 1, 1).astype("float32")
TRUTH = Y.reshape(1, 6, 1, 1).astype("float32")


def number(tensor) -> float:
    return float(keras.ops.convert_to_numpy(tensor).ravel()[0])


def test_golden_numbers():
    assert number(losses.cross_entropy(TRUTH, LOGITS)) == pytest.approx(0.428175628, abs=1e-6)
    probabilities = losses.activate(LOGITS)
    assert number(losses.soft_dice(TRUTH, probabilities, smooth=1e-9)) == pytest.approx(0.316239316, abs=1e-6)
    assert number(losses.tversky(TRUTH, probabilities, 0.3, 0.7, 1e-9)) == pytest.approx(0.323181049, abs=1e-6)
    # the swapped weights of Keras 3.15.1 would give this instead
    assert number(losses.tversky(TRUTH, probabilities, 0.7, 0.3, 1e-9)) == pytest.approx(0.309153714, abs=1e-6)
    assert number(losses.tversky(TRUTH, probabilities, 1.0, 1.0, 1e-9)) == pytest.approx(0.480519481, abs=1e-6)
    total = number(losses.DiceCE(smooth=1e-9)(TRUTH, LOGITS))
    assert total == pytest.approx(0.428175628 + 0.316239316, abs=1e-6)
    total = number(losses.TverskyCE(0.3, 0.7, ce_weight=0.5, smooth=1e-9)(TRUTH, LOGITS))
    assert total == pytest.approx(0.5 * 0.428175628 + 0.323181049, abs=1e-6)


def test_two_exclusive_classes_give_the_binary_cross_entropy():
    """Softmax over (0, x) is the sigmoid of x."""
    two = np.concatenate([np.zeros_like(LOGITS), LOGITS], axis=-1)
    one_hot = np.concatenate([1 - TRUTH, TRUTH], axis=-1)
    assert number(losses.cross_entropy(one_hot, two)) == pytest.approx(0.428175628, abs=1e-6)


@pytest.mark.parametrize("loss", [losses.DiceCE(), losses.TverskyCE()])
def test_right_answers_cost_nothing_even_when_empty_or_full(loss):
    for value in (0.0, 1.0):
        truth = np.full((2, 4, 4, 1), value, "float32")
        assert number(loss(truth, (truth * 2 - 1) * 40)) == pytest.approx(0.0, abs=1e-4)
        assert number(loss(truth, (1 - truth * 2) * 40)) > 10


def test_samples_are_not_pooled():
    """One right and one wrong sample: the mean of 0 and 1, however many voxels each has."""
    truth = np.zeros((2, 10, 1), "float32")
    truth[0, :9] = 1
    truth[1, :1] = 1
    probabilities = truth.copy()
    probabilities[1] = 0
    result = keras.ops.convert_to_numpy(losses.soft_dice(truth, probabilities))
    np.testing.assert_allclose(result, [0, 1], atol=2e-5)


@pytest.mark.parametrize("loss", [losses.DiceCE(), losses.TverskyCE(0.2, 0.8), losses.DiceCE(mutually_exclusive=False)])
def test_a_volume_of_one_plane_costs_what_the_picture_costs(loss):
    rng = np.random.default_rng(0)
    truth = np.eye(3, dtype="float32")[rng.integers(0, 3, (2, 5, 6))]
    logits = rng.normal(size=(2, 5, 6, 3)).astype("float32")
    assert number(loss(truth, logits)) == pytest.approx(number(loss(truth[:, None], logits[:, None])), abs=1e-6)


@pytest.mark.parametrize("loss", [losses.DiceCE(), losses.TverskyCE(0.3, 0.7)])
def test_gradients_agree_with_finite_differences(loss):
    tf = pytest.importorskip("tensorflow")
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = loss(TRUTH, logits)
    gradient = tape.gradient(value, logits).numpy().ravel()
    for index in range(6):
        step = np.zeros_like(LOGITS)
        step[0, index, 0, 0] = 1e-2
        slope = (number(loss(TRUTH, LOGITS + step)) - number(loss(TRUTH, LOGITS - step))) / 2e-2
        assert gradient[index] == pytest.approx(slope, abs=2e-4)
    assert np.abs(gradient).min() > 1e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_half_precision_and_huge_logits_stay_finite(dtype):
    logits = keras.ops.cast(np.array([60.0, -60, 1000, -1000, 0, 5]).reshape(1, 6, 1), dtype)
    truth = np.array([1.0, 1, 0, 0, 1, 0]).reshape(1, 6, 1)
    for loss in (losses.DiceCE(), losses.TverskyCE()):
        assert np.isfinite(number(loss(truth, logits)))


@pytest.mark.parametrize("loss", [losses.DiceCE(0.5, smooth=1e-3), losses.TverskyCE(0.1, 0.9, ce_weight=0.0)])
def test_losses_survive_saving(tmp_path, loss):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1)])
    model.compile("sgd", loss)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras").loss
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
