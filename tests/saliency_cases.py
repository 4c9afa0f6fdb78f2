"""Small seeded networks and questions for the tests of saliency."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from engine_cases import FakeContext, opened
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume

SPACING = (3.0, 0.8, 0.7)
SHAPES = {2: (1, 8, 6), 3: (4, 8, 6)}
NAMES = ("one", "two", "three")


def scan_of(array: np.ndarray, **changes: Any) -> Volume:
    """Return an anisotropic scan of an array (z, y, x)."""
    return Volume(array.astype(np.float32), Geometry(array.shape[:3], SPACING), **changes)


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def spec_of(dimensions: int, task: str, classes: int = 2, **changes: Any) -> ModelSpec:
    segments = task == "segmentation"
    values: dict[str, Any] = {
        "name": "tested",
        "title": "Tested",
        "task": task,
        "preparation": Preparation(dimensions, 1),
        "labels": LabelSet.from_names(NAMES[:classes]),
        "decision": Decision(tuple(range(1, classes + 1)), exclusive=True),
        "activation": "softmax",
        "tile": (8, 8, 8)[:dimensions] if segments else (),
    }
    return ModelSpec(**{**values, **changes})


def question(
    model: Any, volume: Volume, spec: ModelSpec, region: Any = None, context: Any = None, **options: Any
) -> Any:
    """Return the question as the engine puts it."""
    from napari_medcnn.engine.saliency.asking import BATCH, Scan, ask, prepare_scan

    loaded = opened(model, spec)
    scan = Scan(volume, region, ExplainOptions(**{"target": "one", **options}), context or FakeContext())
    asked, _ = ask(loaded, prepare_scan(loaded, scan), scan, spec.tile, BATCH[spec.preparation.dimensions])
    return asked


def explained(
    model: Any, volume: Volume, spec: ModelSpec, region: Any = None, context: Any = None, **options: Any
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the map on the scan's grid and the reply."""
    from napari_medcnn.engine.saliency.asking import Scan
    from napari_medcnn.engine.saliency.explain import explain

    loaded = opened(model, spec)
    scan = Scan(volume, region, ExplainOptions(**{"target": "one", **options}), context or FakeContext())
    out = np.zeros(volume.geometry.shape, np.float32)
    reply = explain(lambda: iter([(loaded, "CPU")]), scan, out)
    return out, reply


def convolution(dimensions: int, *arguments: Any, **named: Any) -> Any:
    return getattr(layers, f"Conv{dimensions}D")(*arguments, **named)


def pooled(dimensions: int, **named: Any) -> Any:
    return getattr(layers, f"GlobalAveragePooling{dimensions}D")(**named)


def seeded(model: Any, seed: int = 1) -> Any:
    """Fill a network with seeded weights, biases included."""
    random = np.random.default_rng(seed)
    model.set_weights([random.standard_normal(w.shape).astype(np.float32) * 0.5 for w in model.get_weights()])
    return model


def linear_classifier(dimensions: int, weights: np.ndarray) -> Any:
    """Return a network whose logit of class k is sum(weights[..., k] x); weights (*spatial, 1, classes)."""
    inputs = keras.Input(weights.shape[:-1])
    dense = layers.Dense(weights.shape[-1], use_bias=False, name="dense")
    model = keras.Model(inputs, dense(layers.Flatten()(inputs)), name="linear")
    dense.set_weights([weights.reshape(-1, weights.shape[-1])])
    return model


def gap_classifier(dimensions: int, classes: int = 2, seed: int = 1) -> Any:
    """Return conv, ReLU, pooling by 2, conv, ReLU, global average, dense."""
    inputs = keras.Input((*[None] * dimensions, 1), name="image")
    x = convolution(dimensions, 4, 3, padding="same", activation="relu", name="first")(inputs)
    x = getattr(layers, f"MaxPooling{dimensions}D")(2, name="pool")(x)
    x = convolution(dimensions, 5, 3, padding="same", name="second")(x)
    x = layers.ReLU(name="second_relu")(x)
    x = pooled(dimensions, name="average")(x)
    return seeded(keras.Model(inputs, layers.Dense(classes, name="dense")(x), name="gap"), seed)


def segmenter(dimensions: int, classes: int = 2, seed: int = 1) -> Any:
    """Return two 3-wide convolutions with ReLU and a 1-wide head: a receptive field of 5 voxels."""
    inputs = keras.Input((*[None] * dimensions, 1), name="image")
    x = convolution(dimensions, 4, 3, padding="same", activation="relu", name="first")(inputs)
    x = convolution(dimensions, 4, 3, padding="same", activation="relu", name="second")(x)
    outputs = convolution(dimensions, classes, 1, name="head")(x)
    return seeded(keras.Model(inputs, outputs, name="segmenter"), seed)
