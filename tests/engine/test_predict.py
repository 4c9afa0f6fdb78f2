"""From a scan to a mask through a real network, against a direct call of that network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from engine_cases import TILE, FakeContext, opened, outputs, run, spec_3d
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.backends.keras_engine import compile_forward
from napari_medcnn.engine.loading import Loaded, misfit
from napari_medcnn.engine.networks import cnn_classifier, unet
from napari_medcnn.engine.predict import predict, smaller
from napari_medcnn.engine.windows import Outputs
from napari_medcnn.errors import Cancelled, ModelError


def direct(model: keras.Model, volume: Volume) -> np.ndarray:
    """Probabilities (z, y, x, class) of one plain Keras call on the whole scan."""
    x = np.asarray(volume.array, np.float32)[None, ..., None]
    return keras.ops.convert_to_numpy(keras.ops.softmax(model(x, training=False), axis=-1))[0]


def test_equals_a_direct_call_of_the_network(network_3d: keras.Model, scan: Volume) -> None:
    """One window covers the scan, so sliding changes nothing: probabilities to 1e-5, labels exactly."""
    spec = spec_3d(tile=(13, 41, 37))
    out = outputs(scan)
    result = run(opened(network_3d, spec), scan, PredictOptions(), out)
    expected = direct(network_3d, scan)
    assert np.abs(out.probabilities - expected).max() < 1e-5
    assert np.array_equal(out.labels, expected.argmax(-1))
    assert set(np.unique(out.labels)) == {0, 1, 2}
    entropy = -(expected * np.log(np.maximum(expected, 1e-30))).sum(axis=-1) / np.log(3)
    assert np.abs(out.uncertainty - 255 * entropy).max() <= 0.51
    names = ["background", "grey", "white"]
    means = {n: expected[..., i][out.labels == i].mean() for i, n in enumerate(names)}
    assert result["scores"] == pytest.approx(means, abs=1e-4)
    assert result["device"] == "CPU"
    assert set(result["seconds"]) == {"load", "forward", "rest", "window", "start"}
    assert 0 < result["seconds"]["window"] <= result["seconds"]["forward"]
    assert result["warnings"] == []


def test_windows_equal_a_plain_weighted_mean_held_whole(network_3d: keras.Model, scan: Volume) -> None:
    """Oracle: every window through the network, Gaussian weights (nnU-Net's 1/8), float64 sums over the whole scan."""
    out = outputs(scan)
    run(opened(network_3d, spec_3d()), scan, PredictOptions(), out)
    tile = (13, 24, 24)  # the scan is thinner than the card's window of 16
    profiles = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in tile]
    weight = np.einsum("i,j,k->ijk", *profiles)[..., None]
    total, sums = np.zeros((*scan.array.shape, 1)), np.zeros((*scan.array.shape, 3))
    for y in (0, 8, 17):  # three windows of 24 over 41, two steps of at most 12, evenly spread
        for x in (0, 6, 13):
            box = (slice(None), slice(y, y + 24), slice(x, x + 24))
            sums[box] += weight * direct(network_3d, Volume(scan.array[box], Geometry(tile)))
            total[box] += weight
    expected = sums / total
    assert np.abs(out.probabilities - expected).max() < 1e-5
    assert (out.labels == expected.argmax(-1)).mean() > 0.9999  # ties of float32 and float64


def test_scores_return_onto_the_scans_own_grid(network_3d: keras.Model, scan: Volume) -> None:
    """The network sees the scan turned; what comes back is turned back: equal to running on the turned scan."""
    turned = scan.reoriented(scan.geometry.reorientation_to(("L", "I", "A")))
    spec = spec_3d(preparation=Preparation(3, 1, orientation=("S", "P", "L")), tile=(41, 41, 41))
    plain, other = outputs(scan), outputs(turned)
    run(opened(network_3d, spec), scan, PredictOptions(), plain)
    run(opened(network_3d, spec), turned, PredictOptions(), other)
    how = scan.geometry.reorientation_to(("L", "I", "A"))
    assert other.labels.shape == turned.geometry.shape != scan.geometry.shape
    assert np.array_equal(how.apply(plain.labels), other.labels)


def test_time_points_are_chosen(network_3d: keras.Model, scan: Volume) -> None:
    both = Volume(np.stack([np.zeros_like(scan.array), scan.array]), scan.geometry, "tzyx")
    spec = spec_3d(tile=(13, 41, 37))
    one, two = outputs(scan), outputs(scan)
    run(opened(network_3d, spec), both, PredictOptions(frame=1), one)
    run(opened(network_3d, spec), scan, PredictOptions(), two)
    assert np.array_equal(one.labels, two.labels)


def picture(channels: int = 3) -> Volume:
    pixels = np.random.default_rng(1).integers(0, 255, (1, 40, 56, channels), np.uint8)
    return Volume(pixels, Geometry.picture(40, 56), "zyxc")


def spec_2d(**changes) -> ModelSpec:
    base = spec_3d(
        preparation=Preparation(2, 3, steps=(("scale_linear", {"in_low": 0.0, "in_high": 255.0}),)),
        labels=LabelSet.from_names(("vessel",)),
        decision=Decision((1,), exclusive=False, thresholds=(0.5,)),
        activation="sigmoid",
        tile=(64, 64),
        divisor=4,
    )
    return replace(base, **changes)


def test_a_2d_network_on_a_picture_equals_a_direct_call() -> None:
    keras.utils.set_random_seed(2)
    model, volume = unet(2, 3, 1, base=4, levels=3), picture()
    out = outputs(volume, 1)
    run(opened(model, spec_2d()), volume, PredictOptions(), out)
    x = volume.array.astype(np.float32) / 255
    expected = keras.ops.convert_to_numpy(keras.ops.sigmoid(model(x, training=False)))
    assert np.abs(out.probabilities - expected).max() < 1e-5
    assert np.array_equal(out.labels, (expected[..., 0] >= 0.5).astype(np.uint8))


def test_a_2d_network_runs_through_a_volume_slice_by_slice() -> None:
    keras.utils.set_random_seed(2)
    model = unet(2, 3, 1, base=4, levels=3)
    slices = [picture().array[0, :, :, ::order] for order in (1, -1)]
    volume = Volume(np.stack(slices), Geometry((2, 40, 56)), "zyxc")
    out = outputs(volume, 1)
    context = FakeContext()
    run(opened(model, spec_2d()), volume, PredictOptions(), out, context)
    for number, pixels in enumerate(slices):
        x = pixels[None].astype(np.float32) / 255
        expected = keras.ops.convert_to_numpy(keras.ops.sigmoid(model(x, training=False)))[0]
        assert np.abs(out.probabilities[number] - expected).max() < 1e-5
    assert context.messages[-1] == "Window 2 of 2"


def test_temperature_divides_the_logits() -> None:
    model = keras.Sequential([keras.Input((2, 2, 1)), layers.Conv2D(2, 1, use_bias=False)])
    model.layers[-1].set_weights([np.array([[[[1.0, -2.0]]]], np.float32)])
    forward = compile_forward(model, (1, 2, 2, 1), "sigmoid", 2.0, "cpu:0")
    x = np.array([[0.0, 1.0], [2.0, -4.0]], np.float32).reshape(1, 2, 2, 1)
    scores, low, high = forward(x)
    assert scores[0, 1, 0] == pytest.approx([1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(2.0))], abs=1e-6)
    assert (low.tolist(), high.tolist()) == ([-4.0, -4.0], [2.0, 8.0])


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_classifier_gives_a_probability_for_each_class(exclusive: bool) -> None:
    keras.utils.set_random_seed(4)
    model, volume = cnn_classifier(2, 3, 3, base=4, levels=2), picture()
    names = ("none", "mild", "severe")
    spec = spec_2d(
        task="classification",
        labels=LabelSet.from_names(names),
        decision=Decision((1, 2, 3), exclusive, () if exclusive else (0.5,) * 3),
        activation="softmax" if exclusive else "sigmoid",
        tile=(),
    )
    result = run(opened(model, spec), volume)
    logits = keras.ops.convert_to_numpy(model(volume.array.astype(np.float32) / 255, training=False))[0]
    odds = np.exp(logits)
    expected = odds / odds.sum() if exclusive else odds / (1 + odds)
    assert list(result["scores"]) == list(names)
    assert list(result["scores"].values()) == pytest.approx(expected.tolist(), abs=1e-5)


def head(kernel: float, bias: float, channels: int = 3) -> keras.Model:
    inputs = keras.Input((None, None, None, 1))
    layer = layers.Conv3D(channels, 1)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([np.full((1, 1, 1, 1, channels), kernel, np.float32), np.full(channels, bias, np.float32)])
    return model


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        (lambda: head(np.nan, 0), {}, "not numbers"),
        (lambda: head(np.inf, 0), {}, "not numbers"),
        (lambda: head(0, 3), {}, "same output for every voxel"),
        (lambda: head(7, 0), {"activation": "none"}, "says the network gives probabilities, but it gave"),
    ],
)
def test_row_50_no_mask_from_an_output_that_must_not_be_shown(scan: Volume, model, changes: dict, words: str) -> None:
    out = outputs(scan)
    with pytest.raises(ModelError, match=words):
        run(opened(model(), spec_3d(**changes)), scan, PredictOptions(), out)
    assert (out.labels == 77).all()
    assert (out.uncertainty == 77).all()


def test_row_50_probabilities_where_logits_are_expected_are_mentioned(scan: Volume) -> None:
    result = run(opened(head(1.0, 0.0), spec_3d()), scan)
    assert any("one too many" in w for w in result["warnings"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decision": Decision((0, 1), True)}, "2 output channels, the network gives 3"),
        ({"preparation": Preparation(3, 2)}, "3D with 2 channels"),
        ({"preparation": Preparation(2, 1), "tile": (16, 16)}, "2D with 1 channels"),
        ({"task": "classification"}, "classification, but the network's output"),
    ],
)
def test_row_50_a_card_that_does_not_fit_its_network_is_named(network_3d, changes: dict, words: str) -> None:
    assert words in misfit(network_3d, spec_3d(**changes))


def test_cancel_is_looked_at_between_windows(network_3d: keras.Model, scan: Volume) -> None:
    context = FakeContext(stop_after=6)
    out = outputs(scan)
    with pytest.raises(Cancelled):
        run(opened(network_3d, spec_3d()), scan, PredictOptions(), out, context)
    assert any(m.startswith("Window") for m in context.messages)
    assert (out.labels == 77).all()


class Narrow(Loaded):
    """A device on which a window above a number of voxels does not fit."""

    limit = 0

    def forward(self, shape: tuple[int, ...]):
        if np.prod(shape) > self.limit:
            raise MemoryError
        return super().forward(shape)


def test_row_47_short_of_memory_means_smaller_windows(network_3d: keras.Model, scan: Volume) -> None:
    spec = spec_3d(tile=(13, 41, 37))
    narrow = Narrow(network_3d, spec, "cpu:0", 0)
    narrow.limit = 13 * 20 * 37
    out = outputs(scan)
    result = run(narrow, scan, PredictOptions(), out)
    expected = direct(network_3d, scan).argmax(-1)
    assert (out.labels == expected)[1:-1, 1:-1, 1:-1].mean() > 0.99
    assert result["warnings"] == ["Memory was short: windows of 13 x 20 x 37 instead of the card's."]


def test_row_47_then_the_cpu_and_then_an_error(network_3d: keras.Model, scan: Volume) -> None:
    spec = spec_3d()
    gpu, cpu = Narrow(network_3d, spec, "cpu:0", 0), opened(network_3d, spec)
    context = FakeContext()
    arguments = (scan, PredictOptions(uncertainty=False), Outputs(), context, (MemoryError,))
    result = predict(lambda: iter([(gpu, "GPU (test)"), (cpu, "CPU")]), *arguments)
    assert result["device"] == "CPU"
    assert "Memory was short on the GPU (test)." in result["warnings"]
    with pytest.raises(MemoryError):
        predict(lambda: iter([(gpu, "GPU (test)")]), *arguments)
    # the weights alone did not fit
    result = predict(lambda: iter([(None, "GPU (test)"), (cpu, "CPU")]), *arguments)
    assert (result["device"], result["warnings"]) == ("CPU", ["Memory was short on the GPU (test)."])


def test_row_47_on_the_cpu_windows_are_chosen_by_what_is_free(network_3d, scan: Volume, monkeypatch) -> None:
    """A window of 16 x 48 x 48 is thought to take 18.9 MB, half of it 9.4 MB; if nobody knows, the card's is used."""
    spec = spec_3d(tile=(16, 48, 48))
    for free, words in [(20e6, None), (10e6, "16 x 24 x 48"), (1e3, "16 x 24 x 24"), (None, None)]:
        monkeypatch.setattr("napari_medcnn.engine.predict.free_bytes", lambda free=free: free and int(free))
        result = run(opened(network_3d, spec), scan)
        told = [] if words is None else [f"Memory was short: windows of {words} instead of the card's."]
        assert result["warnings"] == told


@pytest.mark.slow
def test_row_47_an_allocation_that_really_fails_means_smaller_windows() -> None:
    """A process that may take 700 MB more, and a network that wants 906 MB for a window of 96."""
    script = Path(__file__).with_name("short_of_memory.py")
    # with oneDNN, TensorFlow 2.21 itself crashes after a failed allocation
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONPATH": str(script.parents[1])}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["device"] == "CPU"
    assert "Memory was short: windows of 48 x 96 x 96 instead of the card's." in answer["warnings"]
    assert answer["raised"] == ["ResourceExhaustedError"]  # it was TensorFlow that said so


@pytest.mark.parametrize(
    ("tile", "divisor", "expected"),
    [
        ((96, 96, 96), 16, (48, 96, 96)),
        ((48, 96, 64), 16, (48, 48, 64)),
        ((512, 512), 16, (256, 512)),
        ((16, 16), 16, None),
        ((48, 40), 32, None),
    ],
)
def test_windows_shrink_by_halves_that_the_network_takes(tile, divisor, expected) -> None:
    assert smaller(tile, divisor) == expected


def test_a_network_of_fixed_size_gets_full_windows(scan: Volume) -> None:
    model = keras.Sequential([keras.Input((*TILE, 1)), layers.Conv3D(3, 1)])
    sizes = []
    net = opened(model, spec_3d())
    original = net.forward
    net.forward = lambda shape: sizes.append(shape) or original(shape)
    run(net, scan)
    assert set(sizes) == {(1, *TILE, 1)}
    assert "windows of (16, 16, 16)" in misfit(model, spec_3d(tile=(16, 16, 16)))


def test_the_same_scan_twice_gives_the_same_numbers(network_3d: keras.Model, scan: Volume) -> None:
    """Row 63."""
    one, two = outputs(scan), outputs(scan)
    for out in (one, two):
        run(opened(network_3d, spec_3d()), scan, PredictOptions(), out)
    assert np.array_equal(one.probabilities, two.probabilities)
    assert np.array_equal(one.labels, two.labels)
