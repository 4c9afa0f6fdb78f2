"""What an engine's process imports, and that nothing leaves this computer: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import onnx_files
from engine_cases import spec_3d
from napari_medcnn.engine import parity
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.engine.networks import unet
from napari_medcnn.engine.runtime import load_runtime
from napari_medcnn.io.packages import write_package

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


@pytest.fixture
def cache() -> ModelCache:
    return ModelCache(load_runtime())


@pytest.fixture(scope="module")
def keras_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    network = unet(3, 1, 3, 6, 2, norm="instance")
    network.save(folder / "net.keras")
    noise = np.random.default_rng(5).standard_normal((1, 8, 12, 16, 1), dtype=np.float32)
    answer = keras.ops.convert_to_numpy(network(noise))
    return write_package(folder / "net", spec_3d(name="net", divisor=2), folder / "net.keras", noise, answer)


_ALONE = """
import os, socket, sys
def refuse(*a, **k):
    os.write(2, b"NETWORK ")
    raise OSError("blocked")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
from napari_medcnn.engine.models import ModelCache
import numpy as np
cache = ModelCache()
loaded = cache.get({"model": sys.argv[1], "options": {"engine": sys.argv[2]}}, "cpu:0")
window = np.zeros((1, 8, 8, 8, 1), np.float32)
loaded.forward(window.shape)(window)
found = [m for m in ("tensorflow", "keras", "jax", "onnxruntime", "openvino") if m in sys.modules]
found += [m for m, v in sys.modules.items() if "openvino_telemetry" in m and v is not None]
sys.stdout.write(loaded.engine.split()[0] + " " + " ".join(found))
"""


def alone(package: Path, engine: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _ALONE, str(package), engine], capture_output=True, text=True, timeout=200, check=False
    )


def test_a_converted_model_runs_without_keras_and_nothing_is_sent(cache, keras_package: Path) -> None:
    source = cache.source({"model": str(keras_package)})
    verdict = cache.prepare(source, "openvino", "float32", lambda: None)
    # faster, whatever this computer was busy with meanwhile
    faster = replace(verdict, seconds={"other": 1.0, "keras": 2.0})
    parity.save_verdict(cache.verdicts.place(source.sha256, "openvino", "float32"), faster)
    ran = alone(keras_package, "auto")
    assert ran.stdout == "OpenVINO openvino" and "NETWORK" not in ran.stderr, ran.stderr


def test_an_onnx_package_runs_without_keras(tmp_path: Path) -> None:
    ran = alone(onnx_files.package(tmp_path), "auto")
    assert ran.stdout == "ONNX onnxruntime" and "NETWORK" not in ran.stderr, ran.stderr


_ONLY = """
import importlib.util, sys
absent = set(sys.argv[3].split(","))
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in absent else real(name, package)
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.engine.runtime import engines
from napari_medcnn.errors import MissingExtraError
import numpy as np
loaded = ModelCache().get({"model": sys.argv[1]}, "cpu:0")
loaded.forward((1, 8, 8, 8, 1))(np.zeros((1, 8, 8, 8, 1), np.float32))
try:
    ModelCache().get({"model": sys.argv[2]}, "cpu:0")
except MissingExtraError as error:
    sys.stdout.write(f"{loaded.engine.split()[0]}|{[n for n, here in engines().items() if here]}|{error}")
"""


@pytest.mark.parametrize(("only", "absent"), [("onnx", "openvino"), ("openvino", "onnxruntime")])
def test_an_installation_without_tensorflow_runs_onnx_packages(
    tmp_path: Path, keras_package: Path, only: str, absent: str
) -> None:
    """Row 48: and for a Keras package it names the one command."""
    onnx = onnx_files.package(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", _ONLY, str(onnx), str(keras_package), f"keras,tensorflow,{absent}"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    engine, here, words = ran.stdout.split("|")
    assert engine in ("ONNX", "OpenVINO") and here == f"['{only}']"
    assert "keras and tensorflow" in words and 'pip install "napari-medcnn[engine]"' in words


def test_converting_sends_nothing(keras_package: Path) -> None:
    """OpenVINO's converter has statistics of its own; they are never loaded."""
    ran = alone(keras_package, "openvino")
    assert ran.returncode == 0 and "NETWORK" not in ran.stderr, ran.stderr
    assert ran.stdout.startswith("OpenVINO") and "telemetry" not in ran.stdout.replace("openvino.tools", "")
