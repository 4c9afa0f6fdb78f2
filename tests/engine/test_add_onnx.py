"""A user's ONNX network: asked about, tried out, packed, and run, in a process that never loads TensorFlow."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import onnx_files
from napari_medcnn.core.events import result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ModelError, UnsafeModelError
from napari_medcnn.io.packages import load_tests, read_package
from napari_medcnn.verbs import engines, predict
from napari_medcnn.verbs.add_model import Added, AddModelRequest, draft_answers, is_bare, run
from napari_medcnn.verbs.model_answers import spec_from
from napari_medcnn.worker.client import Engine, Launch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    lent = Engine(Launch())
    yield lent
    lent.close()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def add(path: Path, engine: Engine | None, **said) -> Added:
    draft = draft_answers(path)
    answers = replace(draft.answers, **{"values": "none", "exclusive": True, **said})
    return result_of(run(AddModelRequest(path, spec_from(draft.facts, answers)), threading.Event(), engine))


def test_a_3d_network_is_added_and_its_mask_is_the_largest_score(tmp_path: Path, engine: Engine) -> None:
    path = onnx_files.unet(tmp_path / "Liver UNet.onnx", 3)
    draft = draft_answers(path)
    assert is_bare(path) and draft.open == ("classes", "exclusive", "values")
    assert (draft.facts.dimensions, draft.facts.channels, draft.facts.outputs, draft.facts.divisor) == (3, 1, 3, 2)
    added = add(path, engine, classes=("background", "liver", "tumour"), window=(8, 16, 16))
    package = added.package
    assert added.tested and package.kinds == ("onnx",) and package.layout == "first" and package.keras_version == ""
    assert package.weights.read_bytes() == path.read_bytes() and package.onnx == package.weights

    given, answer = load_tests(package)  # channels last, whatever the file holds
    assert given.shape == (1, 32, 32, 32, 1) and answer.shape == (1, 32, 32, 32, 3)
    assert np.load(package.tests[0]).shape == (1, 1, 32, 32, 32)
    oracle = np.moveaxis(onnx_files.reference(path, np.moveaxis(given, -1, 1)), 1, -1)
    assert np.abs(oracle - answer).max() < 1e-3

    values = np.random.default_rng(2).standard_normal((8, 16, 16)).astype(np.float32)
    scan = Volume(values, Geometry(values.shape, (2.0, 1.0, 1.0)), modality="MR")
    request = predict.PredictRequest(scan, package.path, PredictOptions(device="cpu", ignore_fit=True))
    found = result_of(predict.run(request, threading.Event(), engine))
    expected = onnx_files.reference(path, values[None, None])[0].argmax(0)
    assert (found.mask.array == expected).mean() > 0.999
    if sys.platform.startswith("linux"):  # the oracle is the system's list of mapped libraries
        maps = Path(f"/proc/{engine.pid}/maps").read_text()
        assert "onnxruntime" in maps and "tensorflow" not in maps


@pytest.mark.parametrize(
    ("made", "said", "task", "activation"),
    [
        ({"end": "Softmax"}, {"classes": ("background", "a", "b")}, "segmentation", "none"),
        ({"end": "Sigmoid"}, {"classes": ("a", "b", "c"), "exclusive": False}, "segmentation", "none"),
        ({"size": (32, 48)}, {"classes": ("background", "a", "b")}, "segmentation", "softmax"),
        ({"last": True, "channels": 3}, {"classes": ("background", "a", "b")}, "segmentation", "softmax"),
        ({"dynamic_batch": False}, {"classes": ("background", "a", "b")}, "segmentation", "softmax"),
    ],
)
def test_2d_networks_of_every_kind(tmp_path: Path, engine: Engine, made, said, task: str, activation: str) -> None:
    path = onnx_files.unet(tmp_path / "net.onnx", 2, **made)
    added = add(path, engine, **said)
    assert added.tested and added.package.spec.task == task and added.package.spec.activation == activation
    assert added.package.layout == ("last" if made.get("last") else "first")
    card = yaml.safe_load((added.package.path / "rdf.yaml").read_text())
    kinds = [axis["type"] for axis in card["inputs"][0]["axes"]]
    assert kinds.index("channel") == (3 if made.get("last") else 1)
    assert card["weights"]["onnx"]["opset_version"] == onnx_files.OPSET and "keras_v3" not in card["weights"]


def test_a_classifier_is_added_too(tmp_path: Path, engine: Engine) -> None:
    added = add(onnx_files.classifier(tmp_path / "c.onnx"), engine, classes=("well", "ill", "very ill"))
    assert added.tested and added.package.spec.task == "classification" and added.package.spec.activation == "softmax"


def test_a_network_that_answers_at_another_size_is_refused(tmp_path: Path, engine: Engine, own: Path) -> None:
    def unpadded(model) -> None:
        for attribute in model.graph.node[-1].attribute:
            if attribute.name == "kernel_shape":
                attribute.ints[:] = [3, 3]
        weight = next(w for w in model.graph.initializer if w.name == "w4")
        weight.CopyFrom(onnx_files.weights("w4", (3, 8, 3, 3), 8))

    path = onnx_files.changed(onnx_files.unet(tmp_path / "small.onnx", 2), unpadded)
    with pytest.raises(ModelError, match=r"expected an output of \(64, 64, 3\), got \(62, 62, 3\)"):
        add(path, engine, classes=("background", "a", "b"))
    assert list(own.iterdir()) == []


def test_hostile_weights_never_reach_an_engine(tmp_path: Path, own: Path) -> None:
    def external(model) -> None:
        entry = model.graph.initializer[0].external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"

    good = onnx_files.unet(tmp_path / "net.onnx", 2)
    package = add(good, None, classes=("background", "a", "b")).package
    onnx_files.changed(package.weights, external)
    with pytest.raises(ModelError, match="sha256 differs"):
        read_package(package.path)
    with pytest.raises(UnsafeModelError, match="external data"):
        draft_answers(onnx_files.changed(good, external))


def test_openvino_is_prepared_for_it_by_the_verb(tmp_path: Path, engine: Engine) -> None:
    package = add(onnx_files.unet(tmp_path / "net.onnx", 3), engine, classes=("background", "a", "b")).package
    found = result_of(engines.prepare(engines.PrepareEngineRequest(package.path), threading.Event(), engine))
    assert found.equal and found.engine.startswith("OpenVINO 20") and set(found.seconds) == {"onnx", "other"}
    assert "gives equal results" in found.words and found.parity["tolerance"] == 1e-3
    with pytest.raises(ModelError, match="holds no Keras weights"):
        result_of(engines.prepare(engines.PrepareEngineRequest(package.path, "keras"), threading.Event(), engine))
