"""The shipped model through every engine: the same mask on a real photograph, and on its own test picture."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from engine_cases import outputs, run
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.loading import self_test
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.engine.runtime import installed, load_runtime
from napari_medcnn.io.packages import load_tests, read_package, shipped_folder, write_package
from napari_medcnn.io.read import read

pytestmark = pytest.mark.slow
VESSELS = shipped_folder() / "retina-vessels"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCache:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    return ModelCache(load_runtime())


def body(model: Path, **options: Any) -> dict[str, Any]:
    return {"model": str(model), "options": options}


def masked(loaded: Any, photograph: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return mask and probabilities of a photograph."""
    out = outputs(photograph, channels=1)
    run(loaded, photograph, PredictOptions(uncertainty=False, probabilities=True), out)
    return out.labels.copy(), out.probabilities.copy()


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * np.count_nonzero((one > 0) & (other > 0)) / (np.count_nonzero(one) + np.count_nonzero(other)))


def test_the_shipped_model_in_openvino_gives_its_recorded_answer(cache: ModelCache) -> None:
    loaded = cache.get(body(VESSELS, engine="openvino"), "cpu:0")
    assert self_test(loaded)["largest_difference"] < 1e-4
    verdict = cache.verdicts.read(cache.source(body(VESSELS)).sha256, "openvino", "float32")
    assert verdict is not None and verdict.ok and verdict.parity["dice"] > 0.9999


@pytest.mark.proof
@pytest.mark.filterwarnings("ignore:In the future .np.object.:FutureWarning")  # Keras's exporter on NumPy 2
@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_a_real_photograph_gets_the_same_vessels(cache: ModelCache, shared_data, tmp_path: Path, engine: str) -> None:
    photograph = read(next(iter(sorted(shared_data("chase-db1").glob("Image_*.jpg")))))
    assert isinstance(photograph, Volume)
    mask, scores = masked(cache.get(body(VESSELS, engine="keras"), "cpu:0"), photograph)
    model = VESSELS
    if engine == "onnx":
        pytest.importorskip("tf2onnx")
        model = with_onnx(tmp_path)
    loaded = cache.get(body(model, engine=engine), "cpu:0")
    assert loaded.kind == engine
    other, others = masked(loaded, photograph)
    assert mask.any() and dice(mask, other) > 0.9999
    assert np.abs(scores - others).max() < 1e-3


@pytest.mark.proof
@pytest.mark.parametrize("engine", ["openvino", "keras"])
def test_bfloat16_finds_the_same_vessels_in_a_real_photograph(cache: ModelCache, shared_data, engine: str) -> None:
    photograph = read(next(iter(sorted(shared_data("chase-db1").glob("Image_*.jpg")))))
    assert isinstance(photograph, Volume)
    mask, _ = masked(cache.get(body(VESSELS, engine="keras"), "cpu:0"), photograph)
    other, _ = masked(cache.get(body(VESSELS, engine=engine, precision="bfloat16"), "cpu:0"), photograph)
    assert dice(mask, other) > 0.99


def with_onnx(folder: Path) -> Path:
    """Return the shipped package with the same network as ONNX beside it."""
    package = read_package(VESSELS)
    model = keras.models.load_model(package.weights, compile=False)
    given, promised = load_tests(package)
    model(given)
    model.export(folder / "vessels.onnx", format="onnx", verbose=False)
    spec = replace(package.spec, name="vessels-both")
    return write_package(folder / "both", spec, [package.weights, folder / "vessels.onnx"], given, promised)


_JAX = """
import sys
import numpy as np
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.engine.loading import self_test
from napari_medcnn.io.packages import load_tests
loaded = ModelCache().get({"model": sys.argv[1]}, "cpu:0")
given, raw = load_tests(loaded.package)
scores, low, high = loaded.forward(given.shape)(given)
expected = 1 / (1 + np.exp(-raw.astype(np.float64) / loaded.spec.temperature))
sys.stdout.write(f"{loaded.engine}|{self_test(loaded)['largest_difference']}|{np.abs(scores - expected).max()}|")
sys.stdout.write("tensorflow" if "tensorflow" in sys.modules else "no tensorflow")
"""


def test_the_shipped_model_on_jax_gives_its_recorded_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    if not installed("keras"):
        pytest.skip("JAX is not installed here")
    ran = subprocess.run(
        [sys.executable, "-c", _JAX, str(VESSELS)],
        capture_output=True, text=True, timeout=250, check=False, env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    engine, tested, difference, tensorflow = ran.stdout.split("|")
    assert engine.startswith("Keras 3.") and " on JAX " in engine and tensorflow == "no tensorflow"
    assert float(tested) < 1e-4 and float(difference) < 1e-4
