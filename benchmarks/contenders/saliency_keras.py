"""Our saliency on Keras, and tf-keras-vis where it is installed, on the network of saliency_common; serves orders."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from saliency_common import BATCH, CLASSES, FILTERS, SAMPLES, SHAPES, STEPS, TARGET, picture, seeded_weights, serve

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.gradients import Trace, compile_scores
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.saliency.anatomy import surgery
from napari_medcnn.engine.saliency.asking import Scan, ask, prepare_scan
from napari_medcnn.engine.saliency.explainer import Explainer

NAMES = tuple(f"class{number}" for number in range(CLASSES))


class Silent:
    """A context that nobody listens to."""

    cancelled = threading.Event()

    def progress(self, fraction: float | None, message: str) -> None:
        """Say nothing."""

    def expect(self, seconds: float, message: str) -> None:
        """Say nothing."""

    def check_cancel(self) -> None:
        """Go on."""


def network(dimensions: int) -> Any:
    """Return the network: two 3-wide convolutions with ReLU a level, max pooling, mean, linear head."""
    conv = keras.layers.Conv2D if dimensions == 2 else keras.layers.Conv3D
    pool = keras.layers.MaxPooling2D if dimensions == 2 else keras.layers.MaxPooling3D
    mean = keras.layers.GlobalAveragePooling2D if dimensions == 2 else keras.layers.GlobalAveragePooling3D
    weights = seeded_weights(dimensions)
    inputs = x = keras.Input((*SHAPES[dimensions], picture(dimensions).shape[-1]))
    for level, filters in enumerate(FILTERS[dimensions]):
        x = pool(2)(x) if level else x
        for _ in (1, 2):
            x = conv(filters, 3, padding="same", activation="relu", use_bias=False)(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, use_bias=False)(mean()(x)))
    model.set_weights(list(weights.values()))
    return model


def explainer(model: Any, dimensions: int, options: ExplainOptions) -> Explainer:
    """Return the question of the benchmark."""
    data = picture(dimensions)
    data = data[None] if dimensions == 2 else data
    preparation = Preparation(dimensions, data.shape[-1])
    spec = ModelSpec(
        name="bench", title="Bench", task="classification", preparation=preparation, labels=LabelSet.from_names(NAMES),
        decision=Decision(tuple(range(1, CLASSES + 1)), exclusive=True), activation="softmax",
    )  # fmt: skip
    volume = Volume(data, Geometry(shape=data.shape[:3]), axes="zyxc")
    scan = Scan(volume, None, replace(options, target=NAMES[TARGET]), Silent())
    loaded = Loaded(model, spec, "cpu:0", 0)
    return ask(loaded, prepare_scan(loaded, scan), scan, (), BATCH[dimensions])[0]


def works(dimensions: int) -> Mapping[str, Callable[[], np.ndarray]]:
    """Return what can be timed, by name."""
    model = network(dimensions)

    def ours(method: str, **changes: Any) -> Callable[[], np.ndarray]:
        asked = explainer(model, dimensions, ExplainOptions(method=method, **changes))
        return lambda: asked.saliency()

    x = picture(dimensions)[None]
    batch = np.repeat(x, BATCH[dimensions], axis=0)
    pick = np.eye(CLASSES, dtype=np.float32)[TARGET]

    def scorer(batch: np.ndarray, to_input: bool) -> Callable[[], Any]:
        trace = Trace(model, surgery([], None), batch.shape, CLASSES, mapped=False, to_input=to_input)
        compiled = compile_scores(trace, "cpu:0")
        return lambda: compiled(batch, np.ones(len(batch), np.float32), pick)

    once, passes = scorer(x, False), scorer(batch, True)

    def bare() -> np.ndarray:
        """As many gradients as Integrated Gradients take, and nothing around them."""
        for _ in range(STEPS // BATCH[dimensions]):
            answer = passes()
        return np.asarray(answer.scores)

    residual = {}
    if dimensions == 2:  # many small steps, as in performance figures of others; tf-keras-vis takes them one by one
        resnet = keras.applications.ResNet50(weights=None, classes=CLASSES, classifier_activation=None)
        asked = explainer(resnet, 2, ExplainOptions(method="smoothgrad", samples=SAMPLES, noise=0.15))
        residual = {"resnet smoothgrad": asked.saliency}
        residual |= {f"resnet {name}": work for name, work in vis_works(resnet, x).items()}
    return {
        **residual,
        "forward": lambda: np.asarray(once().scores),
        "bare passes": bare,
        "gradient": ours("gradient"),
        "grad-cam": ours("grad-cam"),
        "smoothgrad": ours("smoothgrad", samples=SAMPLES, noise=0.15),
        "integrated-gradients": ours("integrated-gradients", steps=STEPS, baseline="black"),
        **vis_works(model, x),
    }


def vis_works(model: Any, x: np.ndarray) -> Mapping[str, Callable[[], np.ndarray]]:
    """Return what tf-keras-vis can do; nothing where it is not installed."""
    if importlib.util.find_spec("tf_keras_vis") is None:
        return {}
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    score = CategoricalScore(TARGET)
    saliency, gradcam = Saliency(model, clone=False), Gradcam(model, clone=False)
    return {
        "vis smoothgrad": lambda: np.asarray(saliency(score, x, smooth_samples=SAMPLES, smooth_noise=0.15)),
        "vis grad-cam": lambda: np.asarray(gradcam(score, x)),
    }


if __name__ == "__main__":
    serve(works, SHAPES, f"keras {keras.__version__} on {keras.config.backend()}")
