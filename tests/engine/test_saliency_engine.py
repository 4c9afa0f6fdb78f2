"""Explanations from the real engine in its own process, of ONNX weights, and on JAX."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import onnx_files
from napari_medcnn.core.events import result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import METHODS
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import UnsupportedError
from napari_medcnn.verbs.explain import ExplainRequest, run
from napari_medcnn.worker.client import Engine, Launch

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
REGION = (slice(4, 8), slice(10, 16), slice(12, 20))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Launch())
    yield made
    made.close()


def asked(engine: Engine, package: Path, scan: Volume, **options: object) -> object:
    mask = np.zeros(scan.geometry.shape, np.uint8)
    mask[REGION] = 1  # grey
    request = ExplainRequest(scan, package, ExplainOptions(target="grey", **options), LabelMap(mask, scan.geometry))
    return result_of(run(request, threading.Event(), engine))


def test_map_and_record_come_back_from_the_engine(engine: Engine, package_3d: Path, scan: Volume) -> None:
    """The logit of grey is 10 (mean of 3 x 3 x 3 voxels) + a constant: each voxel counts 10/27 for every neighbour."""
    made = asked(engine, package_3d, scan, method="gradient")
    touched = np.zeros(scan.geometry.shape)
    touched[REGION] = 1
    padded = np.pad(touched, 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3)).sum(axis=(3, 4, 5))
    np.testing.assert_allclose(made.values, windows * 10 / 27, rtol=1e-4)
    assert made.geometry.same_grid(scan.geometry)
    assert made.method == "gradient" and made.target == "score of grey over 192 voxels"
    assert made.provenance.versions["tensorflow"]
    assert made.check_seconds is not None and made.check_seconds > 0
    assert "mean" in made.layers


@pytest.mark.parametrize("method", sorted(METHODS))
def test_onnx_weights_get_what_takes_only_answers(engine: Engine, tmp_path: Path, method: str) -> None:
    package = onnx_files.package(tmp_path)
    noise = np.random.default_rng(3).standard_normal((16, 24, 24)).astype(np.float32)
    scan = Volume(noise, Geometry(noise.shape, (3.0, 0.8, 0.7)), modality="MR")
    if METHODS[method].needs == "answers":
        made = asked(engine, package, scan, method=method, patch_mm=9.0)
        assert made.values.any() and not made.layers
        return
    with pytest.raises(UnsupportedError, match=r"needs Keras weights.*occlusion"):
        asked(engine, package, scan, method=method)


def test_the_same_maps_on_jax() -> None:
    """The tests by hand run once more, in a process of their own with the other backend."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed here")
    chosen = "linear_network or by_hand or class_activation or saturated or every_form or no_gradient or same_seed"
    files = [str(HERE / f"test_saliency_{name}.py") for name in ("methods", "cams", "networks")]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *files],
        capture_output=True, text=True, timeout=550, check=False, env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " passed" in ran.stdout
