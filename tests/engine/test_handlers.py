"""The real engine in a real process: the same numbers as Keras here, and it can be stopped, killed and released."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import nibabel as nib
import numpy as np
import pytest

from engine_cases import spec_3d
from napari_medcnn.core.events import Progress, result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions, TrainOptions, to_json
from napari_medcnn.core.spec import Decision, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled, EngineError, InputError, MissingExtraError, ModelError
from napari_medcnn.io.packages import write_package
from napari_medcnn.worker.client import Engine, Launch
from napari_medcnn.worker.meta import volume_meta

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Launch())
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole_package(network_3d: keras.Model, tmp_path_factory) -> Path:
    """The window covers the scan, so that a direct call is the exact answer."""
    folder = tmp_path_factory.mktemp("whole")
    network_3d.save(folder / "net.keras")
    return write_package(folder / "whole", spec_3d(tile=(13, 41, 37)), folder / "net.keras")


def body_of(engine: Engine, package: Path, volume: Volume, **options) -> tuple[dict, dict]:
    shape = volume.geometry.shape
    refs = {
        "volume": engine.exchange.put(volume.array, "scan"),
        "labels": engine.exchange.new(shape, "uint8", "labels"),
        "uncertainty": engine.exchange.new(shape, "uint8", "uncertainty"),
        "probabilities": engine.exchange.new((*shape, 3), "float32", "probabilities"),
    }
    meta = {"model": str(package), "code": [], "meta": volume_meta(volume), "options": options}
    return {**meta, **{k: r.to_json() for k, r in refs.items()}}, refs


def test_the_mask_equals_keras_here(engine: Engine, network_3d: keras.Model, whole_package: Path, scan: Volume) -> None:
    body, refs = body_of(engine, whole_package, scan)
    events = list(engine.run("predict", body, threading.Event()))
    result = events[-1].value
    logits = network_3d(scan.array[None, ..., None])
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1))[0]
    assert np.abs(engine.exchange.open(refs["probabilities"]) - expected).max() < 1e-5
    assert np.array_equal(engine.exchange.open(refs["labels"]), expected.argmax(-1))
    assert engine.exchange.open(refs["uncertainty"]).max() > 100
    assert result["model"]["sha256"]
    assert {"keras", "tensorflow", "numpy", "napari-medcnn"} <= set(result["versions"])
    assert set(result["scores"]) == {"background", "grey", "white"}
    assert any(isinstance(e, Progress) and "model" in e.message for e in events)


def test_sixteen_bit_scans_and_time(engine: Engine, whole_package: Path, scan: Volume) -> None:
    values = np.stack([np.zeros(scan.array.shape), scan.array > 0.5]).astype(np.int16)
    series = Volume(values, scan.geometry, "tzyx")
    body, refs = body_of(engine, whole_package, series, frame=1)
    result_of(engine.run("predict", body, threading.Event()))
    inside = engine.exchange.open(refs["labels"])[2:-2, 2:-2, 2:-2]
    flat = scan.array[2:-2, 2:-2, 2:-2]
    assert (inside[flat > 0.6] > 0).mean() > 0.95
    body, _ = body_of(engine, whole_package, series, frame=2)
    with pytest.raises(InputError, match="frame: expected 0 to 1, got 2"):
        result_of(engine.run("predict", body, threading.Event()))


def test_warm_and_self_test(engine: Engine, package_3d: Path) -> None:
    assert result_of(engine.run("warm", {"model": str(package_3d)}, threading.Event()))["name"] == "thresholds"
    tested = result_of(engine.run("self_test", {"model": str(package_3d)}, threading.Event()))
    assert tested["ok"]
    assert tested["largest_difference"] < 1e-4


def test_options_of_depth_reach_the_engine_as_json(engine: Engine, network_3d, tmp_path: Path, scan: Volume) -> None:
    """Region, mirroring and its map of doubt through the pipe: equal to Keras inside the region, nothing outside."""
    network_3d.save(tmp_path / "net.keras")
    card = spec_3d(tile=(13, 41, 37), symmetric=(0, 1, 2), preparation=Preparation(3, 1, orientation=("S", "P", "L")))
    package = write_package(tmp_path / "mirrored", card, tmp_path / "net.keras")
    region = ((2, 9), (10, 30), (5, 37))
    options = PredictOptions(region=region, flips=True, uncertainty_kind="variance", coarse=True, engine="keras")
    body, refs = body_of(engine, package, scan)
    body["options"] = json.loads(json.dumps(to_json(options)))
    result = result_of(engine.run("predict", body, threading.Event()))
    logits = network_3d(scan.array[None, ..., None])
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1))[0].argmax(-1)
    box = tuple(slice(*side) for side in region)
    labels = engine.exchange.open(refs["labels"])
    # a network of thresholds over a symmetric neighbourhood: mirrored runs agree up to its border
    assert (labels[box] == expected[box]).mean() > 0.99
    assert labels.sum() == labels[box].sum() and labels[box].any()
    assert engine.exchange.open(refs["uncertainty"])[box].max() <= 1
    assert result["device"].startswith(("CPU", "GPU")) and result["windows"] >= 1


def test_errors_keep_their_names(engine: Engine, package_3d: Path, scan: Volume) -> None:
    with pytest.raises(ModelError, match="no such model"):
        result_of(engine.run("warm", {"model": "/nowhere/model"}, threading.Event()))
    two = Volume(np.stack([scan.array] * 2, -1), scan.geometry, "zyxc")
    body, _ = body_of(engine, package_3d, two)
    with pytest.raises(InputError, match="expected 1 channels, got 2"):
        result_of(engine.run("predict", body, threading.Event()))


@pytest.fixture
def long_body(engine: Engine, package_3d: Path) -> dict:
    """More than a thousand windows."""
    volume = Volume(np.random.default_rng(0).random((160, 160, 160), np.float32), Geometry((160, 160, 160)))
    return body_of(engine, package_3d, volume)[0]


def until_windows(events) -> None:
    for event in events:
        assert isinstance(event, Progress), event
        if event.message.startswith("Window"):
            return


def test_cancel_within_a_second_keeps_the_process(engine: Engine, long_body: dict) -> None:
    cancel = threading.Event()
    events = engine.run("predict", long_body, cancel)
    until_windows(events)
    pid, started = engine.pid, time.monotonic()
    cancel.set()
    assert isinstance([*events][-1].error, Cancelled)
    assert time.monotonic() - started < 1.0
    assert engine.pid == pid
    assert engine.state == "ready"


def test_kill_mid_forward_then_the_next_run_works(
    engine: Engine, long_body: dict, whole_package: Path, scan: Volume
) -> None:
    events = engine.run("predict", long_body, threading.Event())
    until_windows(events)
    os.kill(engine.pid, signal.SIGKILL)
    started = time.monotonic()
    last = [*events][-1]
    assert time.monotonic() - started < 1.0
    assert isinstance(last.error, EngineError)
    assert last.error.state == "killed"
    body, _ = body_of(engine, whole_package, scan)
    assert result_of(engine.run("predict", body, threading.Event()))["task"] == "segmentation"


def test_release_mid_forward_ends_the_process(engine: Engine, long_body: dict) -> None:
    events = engine.run("predict", long_body, threading.Event())
    until_windows(events)
    pid, started = engine.pid, time.monotonic()
    engine.release()
    assert isinstance([*events][-1].error, Cancelled)
    while Path(f"/proc/{pid}").exists() and time.monotonic() - started < 5:
        time.sleep(0.02)
    assert time.monotonic() - started < 1.5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_hello_comes_at_once_and_keras_follows_while_nobody_waits() -> None:
    """A window that was opened finds TensorFlow there when the first run comes."""
    idle = Engine(Launch())
    try:
        started = time.monotonic()
        idle.start()
        while idle.state != "ready":
            time.sleep(0.02)
            assert time.monotonic() - started < 30
        maps = Path(f"/proc/{idle.pid}/maps")
        assert "_pywrap_tensorflow" not in maps.read_text()
        assert idle.hello["engines"]["keras"] is True and "tensorflow" in idle.hello["versions"]
        while "tensorflow" not in maps.read_text():
            time.sleep(0.1)
            assert time.monotonic() - started < 90
    finally:
        idle.close()


def test_row_48_a_backend_that_is_not_installed_is_named(package_3d: Path) -> None:
    other = Engine(Launch(environment={"KERAS_BACKEND": "jax"}))
    try:
        if __import__("importlib.util").util.find_spec("jax"):
            pytest.skip("JAX is installed here")
        with pytest.raises(MissingExtraError, match="jax"):
            result_of(other.run("warm", {"model": str(package_3d)}, threading.Event()))
    finally:
        other.close()


def test_training_in_the_process_reports_stops_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    """Row 57: cancelled, then killed, then finished; the parent stays as it was."""
    network = keras.Sequential([keras.Input((None, None, None, 1)), keras.layers.Conv3D(1, 1)])
    network.save(tmp_path / "net.keras")
    spec = spec_3d(
        labels=LabelSet.from_names(("bright",)),
        decision=Decision((1,), exclusive=False, thresholds=(0.5,)),
        activation="sigmoid",
        tile=(8, 8, 8),
    )
    parent = write_package(tmp_path / "parent", spec, tmp_path / "net.keras")
    lines = ["case,patient,image,mask,class,split,site"]
    for number, split in enumerate(["train", "train", "val"]):
        values = np.random.default_rng(number).random((10, 12, 9)).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / f"c{number}.nii.gz")
        nib.save(nib.Nifti1Image((values > 0.5).astype(np.uint8), np.eye(4)), tmp_path / f"m{number}.nii.gz")
        lines.append(f"c{number},,c{number}.nii.gz,m{number}.nii.gz,,{split},")
    (tmp_path / "dataset.csv").write_text("\n".join(lines))
    (tmp_path / "out").mkdir()
    body = {
        "model": str(parent),
        "dataset": str(tmp_path / "dataset.csv"),
        "out": str(tmp_path / "out"),
        "options": to_json(TrainOptions(epochs=4, steps_per_epoch=30, batch=2, learning_rate=0.1)),
    }

    def until_epoch(events, number: int) -> None:
        for event in events:
            assert isinstance(event, Progress), event
            if event.message.startswith(f"Epoch {number}"):
                return

    cancel = threading.Event()
    events = engine.run("train", body, cancel)
    until_epoch(events, 2)
    started = time.monotonic()
    cancel.set()
    assert isinstance([*events][-1].error, Cancelled)
    assert time.monotonic() - started < 1.0
    events = engine.run("train", {**body, "resume": True}, threading.Event())
    until_epoch(events, 3)
    os.kill(engine.pid, signal.SIGKILL)
    assert [*events][-1].error.state == "killed"
    result = result_of(engine.run("train", {**body, "resume": True}, threading.Event()))
    assert [entry["epoch"] for entry in result["history"]] == [1, 2, 3, 4]
    assert result_of(engine.run("self_test", {"model": result["out"]}, threading.Event()))["ok"]
    assert result_of(engine.run("warm", {"model": str(parent)}, threading.Event()))["name"] == "thresholds"
