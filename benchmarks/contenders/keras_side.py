"""Contenders that need this package's own environment: our real path, bare passes, a naive loop, OpenVINO."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from common import LEVELS, Job, scan, seeded_weights, serve

from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.imaging.boxes import whole_box
from napari_medcnn.imaging.patches import TilePlan, plan_tiles
from napari_medcnn.imaging.pipeline import Prepared
from napari_medcnn.imaging.record import Record

Work = Callable[[], np.ndarray]
NOTHING = np.empty(0, np.uint8)
UPRIGHT = Reorientation((0, 1, 2), (False, False, False))


def network(job: Job) -> Any:
    """Return the U-Net in Keras, logits, weights set from the seed."""
    import keras
    from keras import layers

    weights = seeded_weights(job.classes)

    def double(x: Any, name: str, filters: int) -> Any:
        for index in (1, 2):
            part = f"{name}.{index}"
            x = layers.Conv3D(filters, 3, padding="same", use_bias=False, name=f"{part}.kernel")(x)
            x = layers.GroupNormalization(groups=-1, epsilon=1e-5, name=f"{part}.norm")(x)
            x = layers.LeakyReLU(negative_slope=0.01)(x)
        return x

    inputs = keras.Input((None, None, None, 1))
    x, skips = inputs, []
    for level, filters in enumerate(LEVELS):
        x = double(layers.MaxPooling3D(2)(x) if level else x, f"down{level}", filters)
        skips.append(x)
    for level in reversed(range(len(LEVELS) - 1)):
        x = layers.Conv3DTranspose(LEVELS[level], 2, strides=2, name=f"grow{level}")(x)
        x = double(layers.Concatenate()([skips[level], x]), f"up{level}", LEVELS[level])
    model = keras.Model(inputs, layers.Conv3D(job.classes, 1, name="head")(x), name="unet")
    for layer in model.layers:
        if layer.name.endswith(".norm"):
            name = layer.name.removesuffix(".norm")
            layer.set_weights([weights[f"{name}.gamma"], weights[f"{name}.beta"]])
        elif layer.weights:
            name = layer.name.removesuffix(".kernel")
            values = [weights[f"{name}.{part}"] for part in ("kernel", "bias") if f"{name}.{part}" in weights]
            layer.set_weights(values)
    return model


def card(job: Job) -> ModelSpec:
    """Return the card that goes with the network: softmax, windows with half of their length shared."""
    return ModelSpec(
        "unet",
        "U-Net",
        "segmentation",
        Preparation(3, 1),
        LabelSet.for_ids(tuple(range(1, job.classes))),
        Decision(tuple(range(job.classes)), True),
        "softmax",
        tile=(job.tile,) * 3,
        divisor=16,
    )


def ready(job: Job) -> Prepared:
    """Return the scan as the network sees it."""
    grid = Geometry(job.shape, (1.5, 1.0, 1.0))
    return Prepared(scan(job)[..., None], Record(grid, UPRIGHT, whole_box(job.shape), grid))


def plan_of(job: Job) -> TilePlan:
    """Return the windows that our path runs."""
    return plan_tiles(job.shape, (job.tile,) * 3, 0.5, (16, 16, 16))


def cut(data: np.ndarray, plan: TilePlan, corner: tuple[int, int, int]) -> np.ndarray:
    """Return one window with a batch axis, contiguous."""
    return np.ascontiguousarray(data[plan.box(corner)])[None]


class Silent:
    """A request that nobody watches or cancels."""

    def check_cancel(self) -> None:
        """Go on."""

    def progress(self, done: float | None, words: str) -> None:
        """Say nothing."""


def our_path(job: Job, loaded: Any, uncertainty: bool = False) -> Work:
    """The product's own path, `engine.windows.segment`, with an opened model."""
    from napari_medcnn.engine.windows import Outputs, Run, segment

    prepared, shape = ready(job), (1, *plan_of(job).tile, 1)
    if job.engine != "ours-first":
        loaded.forward(shape)(np.zeros(shape, np.float32))

    def work() -> np.ndarray:
        run: Any = Run(loaded, card(job).tile, Silent())
        painter = segment(run, prepared, PredictOptions(uncertainty=uncertainty), Outputs())
        return painter.labels

    return work


def ours(job: Job, uncertainty: bool = False) -> Work:
    """Our path on Keras and TensorFlow."""
    from napari_medcnn.engine.loading import Loaded

    model = network(job)
    return our_path(job, Loaded(model, card(job), "cpu:0", 4 * model.count_params()), uncertainty)


def bare(job: Job) -> Work:
    """Forward passes of the same windows and nothing else: logits, left where TensorFlow put them."""
    import tensorflow as tf

    model, data, plan = network(job), ready(job).data, plan_of(job)
    signature = [tf.TensorSpec((1, *plan.tile, 1), tf.float32)]
    compiled = tf.function(lambda x: model(x, training=False), input_signature=signature, jit_compile=False)
    compiled(tf.zeros((1, *plan.tile, 1)))

    def work() -> np.ndarray:
        for corner in plan.windows():
            compiled(tf.convert_to_tensor(cut(data, plan, corner)))
        return NOTHING

    return work


def naive(job: Job) -> Work:
    """What users write: `model.predict` a window, softmax, sums and counts held whole; its first trace included."""
    model, data, plan = network(job), ready(job).data, plan_of(job)

    def work() -> np.ndarray:
        sums = np.zeros((*job.shape, job.classes), np.float32)
        counts = np.zeros((*job.shape, 1), np.float32)
        for corner in plan.windows():
            logits = model.predict(cut(data, plan, corner), verbose=0)[0]
            scores = np.exp(logits - logits.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            sums[plan.box(corner)] += scores
            counts[plan.box(corner)] += 1
        return (sums / counts).argmax(-1)

    return work


def openvino(job: Job, precision: str = "float32") -> Work:
    """Our path on OpenVINO; TensorFlow is not loaded."""
    from napari_medcnn.engine.backends.openvino_engine import OpenVinoNetwork
    from napari_medcnn.engine.loading import Loaded

    network = OpenVinoNetwork(job.converted, precision)
    return our_path(job, Loaded(network, card(job), "cpu:0", 0, kind="openvino"))


def convert(job: Job) -> Work:
    """Not a contender: write the network for OpenVINO, once."""
    from napari_medcnn.engine.backends.openvino_engine import convert_keras

    def work() -> np.ndarray:
        convert_keras(network(job), job.converted)
        return NOTHING

    return work


ENGINES: dict[str, Callable[[Job], Work]] = {
    "ours": ours,
    "ours-first": ours,
    "ours-map": lambda job: ours(job, uncertainty=True),
    "bare": bare,
    "naive": naive,
    "openvino": openvino,
    "openvino-bf16": lambda job: openvino(job, "bfloat16"),
    "convert": convert,
}


def versions() -> str:
    """Return what this process computed with."""
    import sys
    from importlib.metadata import version

    names = [n for n in ("tensorflow", "keras", "openvino", "numpy") if n in sys.modules]
    return ", ".join(f"{name} {version(name)}" for name in names)


if __name__ == "__main__":
    serve(lambda job: ENGINES[job.engine](job), versions)
