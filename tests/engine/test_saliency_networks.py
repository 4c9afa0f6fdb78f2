"""Whatever way a network is built, its layers are found and its logit is explained; what cannot be is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from engine_cases import FakeContext
from napari_medcnn.engine.networks import average_classifiers, cnn_classifier, unet
from napari_medcnn.errors import Cancelled, InputError, ModelError, UnsupportedError
from saliency_cases import (
    explained,
    gap_classifier,
    linear_classifier,
    noise,
    pooled,
    question,
    scan_of,
    seeded,
    segmenter,
    spec_of,
)

SCAN = scan_of(noise((1, 12, 10)))
SPEC = spec_of(2, "classification")


def body() -> list[Any]:
    return [
        layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Conv2D(5, 3, padding="same", activation="relu", name="second"),
    ]


def flat() -> Any:
    return keras.Sequential([keras.Input((None, None, 1)), *body(), pooled(2), layers.Dense(2)])


def nested() -> Any:
    base = keras.Sequential([keras.Input((None, None, 1)), *body()], name="base")
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, layers.Dense(2)(pooled(2)(base(inputs, training=False))))


def transfer() -> Any:
    """A functional base inside a Sequential, as in the transfer-learning guides; the base frozen."""
    inputs = keras.Input((None, None, 1))
    x = inputs
    for layer in body():
        x = layer(x)
    base = keras.Model(inputs, x, name="base")
    base.trainable = False
    return keras.Sequential([keras.Input((None, None, 1)), base, pooled(2), layers.Dense(2)])


class Subclassed(keras.Model):
    """Layers are attributes, and one lies in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = body()
        self.pool, self.head = pooled(2), layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        for stage in self.stages:
            x = stage(x)
        return self.head(self.pool(x))


class Block(layers.Layer):
    """A layer of layers."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.parts = body()

    def call(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x


def custom() -> Any:
    inputs = keras.Input((12, 10, 1))
    return keras.Model(inputs, layers.Dense(2)(pooled(2)(Block(name="block")(inputs))))


FORMS: dict[str, tuple[Callable[[], Any], str]] = {
    "nested": (nested, "base/second"),
    "transfer": (transfer, "base/second"),
    "subclassed": (Subclassed, "second"),
    "custom layer": (custom, "block"),
}


def filled(make: Callable[[], Any]) -> Any:
    model = make()
    model(np.zeros((1, 12, 10, 1), np.float32))
    return seeded(model)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["gradient", "grad-cam", "guided-backprop", "integrated-gradients"])
def test_every_form_gives_the_map_of_the_flat_network(form: str, method: str) -> None:
    make, layer = FORMS[form]
    expected, flat_reply = explained(filled(flat), SCAN, SPEC, method=method, steps=8)
    model = filled(make)
    # a subclassed network has no input shape of its own to be checked: the question itself is what is tested
    asked = asked_of(model, method)
    np.testing.assert_allclose(asked.saliency(), expected, rtol=1e-5, atol=1e-7)
    assert expected.any()
    if method == "grad-cam":
        assert flat_reply["layer"] == "second"
        assert asked.layer.endswith(layer)
        assert [name.split("/")[-1] for name in asked.layers][:3] == ["first", "pool", "second"]


def asked_of(model: Any, method: str) -> Any:
    asked = question(filled(flat), SCAN, SPEC, method=method, steps=8)
    return asked.with_network(model)


def test_a_shared_layer_is_looked_at_where_it_is_used_last() -> None:
    inputs = keras.Input((8, 8, 1))
    conv = layers.Conv2D(1, 1, use_bias=False, name="conv")
    dense = layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, dense(pooled(2)(conv(conv(inputs)))))
    conv.set_weights([np.full((1, 1, 1, 1), 3, np.float32)])
    dense.set_weights([np.ones((1, 1), np.float32)])
    scan = scan_of(np.abs(noise((1, 8, 8))))
    made, reply = explained(model, scan, spec_of(2, "classification", 1), method="feature-map", layer="conv")
    np.testing.assert_allclose(made, 9 * scan.array, rtol=1e-6)
    assert any("used 2 times" in w for w in reply["warnings"])


HEADS: dict[str, Callable[[], list[Any]]] = {
    "softmax in the layer": lambda: [layers.Dense(2, activation="softmax")],
    "sigmoid in the layer": lambda: [layers.Dense(2, activation="sigmoid")],
    "activation layer": lambda: [layers.Dense(2), layers.Activation("softmax")],
    "softmax layer": lambda: [layers.Dense(2), layers.Softmax()],
    "before dropout": lambda: [layers.Dense(2), layers.Activation("sigmoid"), layers.Dropout(0.5)],
    "nested": lambda: [keras.Sequential([keras.Input((5,)), layers.Dense(2, activation="softmax")], name="top")],
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("method", ["gradient", "grad-cam"])
def test_a_saturated_probability_is_explained_by_its_logit(head: str, method: str) -> None:
    """The probability is 1 in float32 and has no gradient; the logit has the gradient of the plain network."""
    model = keras.Sequential([keras.Input((None, None, 1)), *body(), pooled(2), *HEADS[head]()])
    plain = filled(flat)
    weights = plain.get_weights()
    weights[-1] = np.array([200, -200], np.float32)
    plain.set_weights(weights)
    model.set_weights(weights)
    answer = keras.ops.convert_to_numpy(model(SCAN.array[..., None]))
    assert answer[0, 0] == 1.0
    expected, _ = explained(plain, SCAN, SPEC, method=method)
    made, reply = explained(model, SCAN, spec_of(2, "classification", activation="none"), method=method)
    assert expected.any()
    np.testing.assert_array_equal(made, expected)
    assert reply["score"] > 100
    assert not reply["warnings"]


def test_an_operation_at_the_end_is_taken_off_too() -> None:
    plain = filled(flat)
    model = keras.Model(plain.inputs[0], keras.ops.sigmoid(plain.outputs[0]))
    expected, _ = explained(plain, SCAN, SPEC, method="gradient")
    made, _ = explained(model, SCAN, spec_of(2, "classification", activation="none"), method="gradient")
    np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_a_head_that_cannot_be_taken_off_is_said() -> None:
    plain = filled(flat)
    model = keras.Model(plain.inputs[0], layers.Rescaling(1.0)(keras.ops.sigmoid(plain.outputs[0])))
    expected, _ = explained(plain, SCAN, SPEC, method="gradient")
    made, reply = explained(model, SCAN, spec_of(2, "classification", activation="none"), method="gradient")
    np.testing.assert_allclose(made, expected, rtol=1e-3)  # log(p / (1 - p)) of a sigmoid is its logit
    assert any("could not be taken off" in w for w in reply["warnings"])


def test_the_layer_where_all_paths_of_a_joined_classifier_meet_is_chosen() -> None:
    members = [cnn_classifier(2, 1, 2, base=4, levels=2, name=f"m{i}") for i in range(2)]
    asked = question(average_classifiers(members), SCAN, SPEC, method="grad-cam")
    assert asked.layer == "features"


def test_the_bottleneck_of_a_unet_is_chosen() -> None:
    region = np.ones((1, 16, 16), bool)
    asked = question(
        unet(2, 1, 2, base=4, levels=3, norm="none"),
        scan_of(noise((1, 16, 16))),
        spec_of(2, "segmentation", tile=(16, 16), divisor=4),
        region,
        method="grad-cam",
    )
    assert asked.layer == "bottom_relu2"
    assert asked.anatomy.part(asked.layer).sizes == (4, 4)


def test_negation_turns_the_score_and_the_gradient_round() -> None:
    model = gap_classifier(2)
    plus, one = explained(model, SCAN, SPEC, method="gradient-x-input")
    minus, other = explained(model, SCAN, SPEC, method="gradient-x-input", negate=True)
    np.testing.assert_allclose(minus, -plus, rtol=1e-6)
    assert one["score"] == -other["score"]


def test_the_class_the_model_gave_is_explained_where_none_is_named() -> None:
    weights = np.zeros((12, 10, 1, 2), np.float32)
    weights[..., 1] = np.sign(SCAN.array[0])[..., None]  # the second class wins
    _, reply = explained(linear_classifier(2, weights), SCAN, SPEC, method="gradient", target="")
    assert reply["target"] == "two"


def test_no_convolution_is_refused_with_a_method_that_works() -> None:
    model = linear_classifier(2, noise((12, 10, 1, 2)))
    with pytest.raises(UnsupportedError, match=r"no convolution.*integrated-gradients"):
        explained(model, SCAN, SPEC, method="grad-cam")


def test_no_gradient_path_is_refused() -> None:
    inputs = keras.Input((12, 10, 1))
    steps = keras.ops.cast(keras.ops.cast(inputs > 0, "int32"), "float32")
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(steps)))
    # JAX gives 0 where there is no path, so that only the flat score is known
    reason = "lets no gradient through" if keras.config.backend() == "tensorflow" else "flat there"
    with pytest.raises(UnsupportedError, match=rf"{reason}.*occlusion"):
        explained(model, SCAN, SPEC, method="gradient")
    made, _ = explained(model, SCAN, SPEC, method="occlusion")
    assert made.any()


def test_a_flat_score_that_is_no_constant_is_refused() -> None:
    """A ReLU that is shut for this scan: the gradient is 0 although other pictures open it."""
    inputs = keras.Input((12, 10, 1))
    dense = layers.Dense(2)
    model = keras.Model(inputs, layers.ReLU()(dense(layers.Flatten()(inputs))))
    dense.set_weights([np.ones((120, 2), np.float32), np.array([0, 0], np.float32)])
    scan = scan_of(-np.abs(noise((1, 12, 10))))
    with pytest.raises(UnsupportedError, match=r"flat there.*occlusion"):
        explained(model, scan, SPEC, method="gradient")


@pytest.mark.parametrize("method", ["gradient", "grad-cam", "occlusion"])
def test_a_constant_answer_is_an_error_of_the_model(method: str) -> None:
    model = gap_classifier(2)
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([kernel * 0, bias])
    with pytest.raises(ModelError, match="whatever the network is shown"):
        explained(model, SCAN, SPEC, method=method)


def test_nothing_that_raised_the_score_is_said_and_not_drawn() -> None:
    model = gap_classifier(2)
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([-np.abs(kernel), bias])
    with pytest.raises(UnsupportedError, match="nothing that the layer second_relu answers raised the score"):
        explained(model, SCAN, SPEC, method="grad-cam")


def test_numbers_that_are_none_are_refused() -> None:
    model = gap_classifier(2)
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([kernel * np.nan, bias])
    with pytest.raises(ModelError, match="not numbers"):
        explained(model, SCAN, SPEC, method="gradient")


def test_unknown_layers_and_classes_are_named() -> None:
    with pytest.raises(InputError, match="layer: expected one of first, pool, second, second_relu; got 'third'"):
        explained(gap_classifier(2), SCAN, SPEC, method="grad-cam", layer="third")
    with pytest.raises(InputError, match="target: expected one of one, two, got 'cat'"):
        explained(gap_classifier(2), SCAN, SPEC, method="grad-cam", target="cat")


def test_a_layer_that_does_not_lead_to_the_score_is_refused() -> None:
    inputs = keras.Input((12, 10, 1))
    aside = layers.Conv2D(1, 1, name="aside")(inputs)
    main = pooled(2)(layers.Conv2D(2, 1, name="main")(inputs))
    gate = keras.ops.cast(keras.ops.cast(pooled(2)(aside) > 0, "int32"), "float32")
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([main, gate])))
    reason = "no path leads from aside" if keras.config.backend() == "tensorflow" else "layer aside answers raised"
    with pytest.raises(UnsupportedError, match=reason):
        explained(model, SCAN, SPEC, method="grad-cam", layer="aside")


def test_cancel_stops_between_batches() -> None:
    context = FakeContext(stop_after=6)
    with pytest.raises(Cancelled):
        explained(gap_classifier(2), SCAN, SPEC, context=context, method="smoothgrad", samples=1000)
    assert context.looks == 7


def test_a_copy_reads_the_weights_it_has_at_each_call() -> None:
    """The check fills one copy with new weights again and again; the original keeps its map."""
    model, copy = gap_classifier(2), gap_classifier(2)
    asked = question(model, SCAN, SPEC, method="gradient")
    first = asked.saliency()
    other = asked.with_network(copy)
    np.testing.assert_array_equal(other.saliency(), first)
    seeded(copy, 9)
    assert not np.array_equal(other.saliency(), first)
    np.testing.assert_array_equal(asked.saliency(), first)


def test_scores_of_changed_data_are_those_of_the_network() -> None:
    model = segmenter(2)
    region = np.zeros((1, 12, 10), bool)
    region[0, 4:6, 3:8] = True
    spec = spec_of(2, "segmentation", tile=(16, 16))
    asked = question(model, SCAN, spec, region, method="gradient", target="two")
    batch = [asked.data, asked.data * 2, asked.data * 0, asked.data + 1, asked.data - 1]
    answers = [keras.ops.convert_to_numpy(model(data)) for data in batch]
    np.testing.assert_allclose(asked.scores(batch), [a[region][:, 1].sum() for a in answers], rtol=1e-4)
    assert asked.score(asked.data) == pytest.approx(asked.scores(batch)[0])
