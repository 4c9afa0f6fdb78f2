"""A network saved by Keras, added and run: the mask is what Keras itself gives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from napari_medcnn.core.events import result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.networks import unet
from napari_medcnn.errors import ModelError
from napari_medcnn.io.packages import load_tests
from napari_medcnn.verbs import predict
from napari_medcnn.verbs.add_model import Added, AddModelRequest, draft_answers, run
from napari_medcnn.verbs.model_answers import spec_from
from napari_medcnn.worker.client import Engine, Launch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    lent = Engine(Launch())
    yield lent
    lent.close()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def net(end: str = "softmax", padding: str = "same") -> keras.Model:
    """Return a network that halves once, with a skip connection."""
    keras.utils.set_random_seed(7)
    given = keras.Input((None, None, 1))
    first = keras.layers.Conv2D(4, 3, padding=padding, activation="relu")(given)
    low = keras.layers.Conv2D(6, 3, padding="same", activation="relu")(keras.layers.MaxPooling2D(2)(first))
    both = keras.layers.Concatenate()([keras.layers.UpSampling2D(2)(low), first])
    scores = keras.layers.Conv2D(3, 1, bias_initializer=keras.initializers.RandomNormal(seed=1))(both)
    return keras.Model(given, keras.layers.Activation(end)(scores))


def add(model: keras.Model, path: Path, engine: Engine, **said) -> Added:
    model.save(path)
    draft = draft_answers(path)
    answers = replace(draft.answers, **{"classes": ("a", "background", "b"), "values": "window", **said})
    return result_of(run(AddModelRequest(path, spec_from(draft.facts, answers)), threading.Event(), engine))


def test_the_mask_is_what_keras_gives(tmp_path: Path, engine: Engine) -> None:
    model = net()
    added = add(model, tmp_path / "net.keras", engine, window_hu=(-100, 300), window=(32, 48))
    assert added.tested and added.package.spec.divisor == 2
    given, answer = load_tests(added.package)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(given)), answer, atol=1e-5)

    values = np.random.default_rng(2).integers(-400, 600, (1, 32, 48)).astype(np.int16)
    scan = Volume(values, Geometry((1, 32, 48), (1.0, 0.5, 0.5)), modality="CT")
    request = predict.PredictRequest(scan, added.package.path, PredictOptions(device="cpu", ignore_fit=True))
    mask = result_of(predict.run(request, threading.Event(), engine)).mask.array
    scaled = (np.clip(values.astype(np.float64), -100, 300) + 100) / 400
    scores = keras.ops.convert_to_numpy(model(scaled[0][None, :, :, None].astype(np.float32)))[0]
    top = np.sort(scores, axis=-1)
    sure = top[..., -1] - top[..., -2] > 1e-4
    assert sure.mean() > 0.95 and len(np.unique(mask)) > 1
    np.testing.assert_array_equal(mask[0][sure], np.array([1, 0, 2])[scores.argmax(-1)][sure])


def test_our_own_network_tells_its_ends(tmp_path: Path) -> None:
    unet(3, 2, 4, base=4, levels=3).save(tmp_path / "own.keras")
    facts = draft_answers(tmp_path / "own.keras").facts
    assert (facts.dimensions, facts.channels, facts.outputs, facts.activation) == (3, 2, 4, "linear")
    assert facts.task == "segmentation" and facts.divisor == 4 and facts.fixed == ()


def test_a_sequential_classifier_tells_its_ends(tmp_path: Path, engine: Engine, own: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((24, 24, 1)), layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(), layers.Dense(2, "softmax")]
    )
    added = add(model, tmp_path / "class.keras", engine, classes=("well", "ill"), values="zscore")
    assert added.tested and added.package.spec.task == "classification"
    assert added.package.spec.preparation.steps[0] == ("fit_shape", {"shape": (24, 24)})


def test_a_network_that_shrinks_the_picture_is_refused(tmp_path: Path, engine: Engine, own: Path) -> None:
    given = keras.Input((None, None, 1))
    model = keras.Model(given, keras.layers.Conv2D(3, 3, activation="softmax")(given))
    with pytest.raises(ModelError, match=r"expected an output of \(64, 64, 3\), got \(62, 62, 3\)"):
        add(model, tmp_path / "valid.keras", engine, values="none")
    assert list(own.iterdir()) == []


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path, engine: Engine, own: Path) -> None:
    model = net()
    weights = model.get_weights()
    weights[0][...] = np.nan
    model.set_weights(weights)
    with pytest.raises(ModelError, match=r"not finite|not numbers"):
        add(model, tmp_path / "nan.keras", engine, values="none")
    assert list(own.iterdir()) == []
