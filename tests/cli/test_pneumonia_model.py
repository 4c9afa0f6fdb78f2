"""The shipped model `pneumonia-cxr` as users run it: its own test, pictures of every kind, the real validation."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cases import REPOSITORY
from napari_medcnn.core.events import Cancel, result_of
from napari_medcnn.io.packages import read_package
from napari_medcnn.worker.client import Engine, Launch

PACKAGE = REPOSITORY / "src" / "napari_medcnn" / "models" / "pneumonia-cxr"
LOG = REPOSITORY / "recipes" / "logs" / "pneumonia_cxr.json"


def needs_keras() -> None:
    """Skip without Keras; it is never imported here, where window tests follow in the same process."""
    if find_spec("keras") is None:
        pytest.skip("Keras is not installed here")


def predict(inputs: list[Path], out: Path, minutes: float) -> list[dict[str, str]]:
    words = [sys.executable, "-m", "napari_medcnn.cli", "predict", "-m", "pneumonia-cxr", *inputs, "-o", out]
    ran = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=minutes * 60, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_card_says_what_it_must() -> None:
    spec = read_package(PACKAGE).spec
    assert (spec.licence, spec.task, spec.symmetric) == ("CC-BY-4.0", "classification", ())
    assert [spec.labels.name_of(i) for i in spec.decision.ids] == ["normal", "pneumonia"]
    assert spec.preparation.steps[0] == ("fill_shape", {"shape": (28, 28)})
    auc, log = spec.scores["validation"]["auc"], json.loads(LOG.read_text())
    assert auc["low"] < auc["mean"] < auc["high"] and auc["n"] == 516 and auc["mean"] >= 0.98
    assert auc["mean"] == log["validation"]["auc"]["mean"] and spec.temperature == log["temperature"]
    assert "optimistic" in spec.limits and "0.854" in spec.limits
    assert sum(path.stat().st_size for path in PACKAGE.iterdir()) < 6_000_000


@pytest.mark.slow
def test_its_own_test_tensors_come_out() -> None:
    needs_keras()
    engine = Engine(Launch())
    try:
        tested = result_of(engine.run("self_test", {"model": str(PACKAGE)}, Cancel()))
    finally:
        engine.close()
    assert tested["ok"] is True and tested["largest_difference"] < 1e-3


@pytest.mark.slow
def test_one_picture_in_any_form_gets_the_same_probabilities(tmp_path: Path) -> None:
    """Large or small, 8 or 16 bit, grey or RGB: exposure, size and the way to store grey do not count."""
    needs_keras()
    noise = np.random.default_rng(4).normal(size=(1024, 1400))
    smooth = ndimage.gaussian_filter(noise, 40)
    grey = np.rint(np.interp(smooth, (smooth.min(), smooth.max()), (20, 235))).astype(np.uint8)
    inputs = [tmp_path / name for name in ("grey.png", "deep.png", "colour.png", "centre.png")]
    Image.fromarray(grey).save(inputs[0])
    Image.fromarray(grey.astype(np.uint16) * 200 + 300).save(inputs[1])
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(inputs[2])
    Image.fromarray(grey[:, 188:-188]).save(inputs[3])
    rows = predict(inputs, tmp_path / "out", 5)
    chances = np.array([[float(row["p_normal"]), float(row["p_pneumonia"])] for row in rows])
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=2e-6)
    np.testing.assert_allclose(chances, chances[:1].repeat(4, axis=0), atol=2e-3)
    assert {row["class"] for row in rows} == {("normal", "pneumonia")[int(chances[0].argmax())]}


@pytest.mark.proof
def test_the_validation_pictures_reach_the_floor(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    """scikit-learn says the AUC, and sensitivity and specificity are the recipe's own to the last picture."""
    from sklearn.metrics import roc_auc_score

    with np.load(shared_data("pneumonia-mnist") / "pneumoniamnist_trainval.npz", allow_pickle=False) as data:
        known = {picture.tobytes() for picture in data["train_images"]}
        new = [index for index, picture in enumerate(data["val_images"]) if picture.tobytes() not in known]
        pictures, labels = data["val_images"][new], data["val_labels"][new, 0]
    assert len(new) == 516
    folder = tmp_path / "pictures"
    folder.mkdir()
    inputs = [folder / f"{index:03d}.png" for index in range(len(new))]
    for path, picture in zip(inputs, pictures, strict=True):
        Image.fromarray(picture).save(path)
    rows = predict(inputs, tmp_path / "out", 20)
    assert [Path(row["input"]).name for row in rows] == [path.name for path in inputs]
    chances = np.array([float(row["p_pneumonia"]) for row in rows])
    auc = roc_auc_score(labels, chances)
    expected = json.loads(LOG.read_text())["validation"]
    assert auc >= 0.98 and auc == pytest.approx(expected["auc"]["mean"], abs=1e-4)
    called = np.array([row["class"] == "pneumonia" for row in rows])
    assert called[labels == 1].mean() == expected["sensitivity"]["mean"]
    assert (~called)[labels == 0].mean() == expected["specificity"]["mean"]
