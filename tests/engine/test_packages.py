"""Packages and Keras agree: test tensors reproduce, and the allow-list names real layers and lets real networks in."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from scipy import ndimage

from cases import REPOSITORY
from napari_medcnn.engine.networks import cnn_classifier, unet
from napari_medcnn.errors import UnsafeModelError
from napari_medcnn.imaging.pipeline import prepare
from napari_medcnn.io.keras_classes import ACTIVATIONS, LAYERS, REFUSED
from napari_medcnn.io.packages import load_tests, read_package
from napari_medcnn.io.prescan import check_keras_file
from napari_medcnn.io.samples import phantom

PACKAGES = [
    REPOSITORY / "tests" / "data" / "phantom-thresholds",
    *sorted(p.parent for p in (REPOSITORY / "src" / "napari_medcnn" / "models").glob("*/rdf.yaml")),
]


@pytest.mark.parametrize("path", PACKAGES, ids=lambda p: p.name)
def test_the_network_answers_as_its_package_says(path: Path) -> None:
    package = read_package(path)
    check_keras_file(package.weights)
    given, expected = load_tests(package)
    model = keras.models.load_model(package.weights, compile=False)
    answer = keras.ops.convert_to_numpy(model(given, training=False))
    np.testing.assert_allclose(answer, expected, atol=1e-3, rtol=1e-3)


def test_the_test_network_finds_the_organs_of_the_phantom() -> None:
    """Thresholds are 35 HU or more from every tissue; the mean of 27 voxels has noise of 14 HU before averaging.

    So only borders can be wrong, where bone passes through the values of the kidney: within two voxels.
    """
    package = read_package(PACKAGES[0])
    scan, truth = phantom()
    model = keras.models.load_model(package.weights, compile=False)
    ready = prepare(scan, package.spec.preparation).data
    found = np.argmax(keras.ops.convert_to_numpy(model(ready[None], training=False))[0], axis=-1)
    shown = truth.geometry.reorientation_to(("I", "P", "L")).apply(truth.array)
    for label in (1, 2, 3):
        inside = ndimage.binary_erosion(shown == label, np.ones((3, 3, 3)), iterations=2)
        assert inside.sum() > 100
        assert (found[inside] == label).mean() > 0.999
    outside = ~ndimage.binary_dilation(shown != 0, np.ones((3, 3, 3)), iterations=2)
    assert (found[outside] == 0).mean() > 0.999


def test_the_lists_name_what_keras_has() -> None:
    assert [name for name in sorted(LAYERS) if not hasattr(keras.layers, name)] == []
    for name in REFUSED:
        assert name == "__lambda__" or hasattr(keras.layers, name)
    assert [name for name in sorted(ACTIVATIONS) if not hasattr(keras.activations, name)] == []


@pytest.mark.parametrize(
    "build",
    [
        lambda: unet(2, 3, 1, 4, 3, dropout=0.1),
        lambda: unet(3, 1, 2, 4, 2, norm="instance"),
        lambda: cnn_classifier(3, 1, 2, 4, 2),
        lambda: keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3), classes=2),
        lambda: keras.applications.EfficientNetV2B0(weights=None, input_shape=(64, 64, 3), classes=2),
        lambda: keras.applications.ConvNeXtTiny(weights=None, input_shape=(64, 64, 3), classes=2),
    ],
    ids=["unet 2d", "unet 3d", "classifier", "mobilenet", "efficientnet", "convnext"],
)
def test_usual_networks_pass_the_list(build, tmp_path: Path) -> None:
    model = build()
    model.save(tmp_path / "m.keras")
    summary = check_keras_file(tmp_path / "m.keras")
    assert tuple(summary["input_shapes"][0]) == model.input_shape[1:]
    assert summary["out_channels"] == model.output_shape[-1]
    keras.backend.clear_session()


def test_row_52_a_real_lambda_is_refused(tmp_path: Path) -> None:
    inputs = keras.Input((4, 4, 1))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(UnsafeModelError, match="Lambda"):
        check_keras_file(tmp_path / "m.keras")
