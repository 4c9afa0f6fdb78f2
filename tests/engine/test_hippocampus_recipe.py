"""The recipe of the shipped model `hippocampus-t1`: a stopped run continues to the weights of an unbroken one."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

pytestmark = pytest.mark.slow  # starts TensorFlow
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras")

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = [f"hippocampus_{number:03d}" for number in (1, 2, 3, 5, 8)]


@pytest.fixture
def recipe(monkeypatch):
    """Yield the recipe cut down to two epochs of two tiny batches and a validation of one case."""
    monkeypatch.syspath_prepend(str(RECIPES))
    spec = importlib.util.spec_from_file_location("hippocampus_t1", RECIPES / "hippocampus_t1.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "hippocampus_t1", module)
    spec.loader.exec_module(module)
    small = {"EPOCHS": 2, "STEPS": 2, "BATCH": 1, "PATCH": (16, 24, 16), "BASE": 4, "MOST": 8, "PRECISION": "float32"}
    for name, value in small.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "VALIDATION", (NAMES[4],))
    yield module
    keras.config.set_dtype_policy("float32")  # the recipe trains in half precision; the next test does not


@pytest.fixture
def data(tmp_path):
    """Write five small crops of two bright boxes in noise, with their masks."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    for seed, name in enumerate(NAMES):
        mask = np.zeros((15, 23, 17), np.uint8)
        mask[5:10, 12:19, 5:11], mask[5:9, 4:12, 6:10] = 1, 2
        noise = np.random.default_rng(seed).normal(0, 20, mask.shape)
        nibabel.Nifti1Image((100 * (mask > 0) + noise).astype(np.float32), affine).to_filename(
            tmp_path / "images" / f"{name}.nii.gz"
        )
        nibabel.Nifti1Image(mask, affine).to_filename(tmp_path / "labels" / f"{name}.nii.gz")
    return tmp_path


def weights(path):
    return [np.asarray(w) for w in keras.models.load_model(path, compile=False).get_weights()]


def test_another_split_than_the_published_one_is_refused(recipe, data):
    assert recipe.files(data, training=True) == NAMES[:4] and recipe.files(data, training=False) == NAMES[4:]
    (data / "images" / f"{NAMES[0]}.nii.gz").unlink()
    with pytest.raises(SystemExit, match="validation cases"):
        recipe.files(data, training=True)


def test_a_patch_without_change_is_the_crop_in_its_padding(recipe, data, monkeypatch):
    """Nothing turned, nothing shifted: the scan's own classes stand in the middle, background around them."""
    monkeypatch.setattr(recipe, "SHAPES", recipe.AffineRange((1.0, 1.0), 0.0, 0.0, turn_degrees=0.0))
    monkeypatch.setattr(recipe, "JITTER", 0)
    monkeypatch.setattr(recipe, "PATCH", (17, 25, 17))  # the crop is (17, 23, 15) voxels, z first
    x, y = recipe.sample(*recipe.load(data, NAMES[0]), np.random.default_rng(0))
    assert x.shape == (17, 25, 17, 1) and y.shape == (17, 25, 17, 3)
    mask = np.asarray(nibabel.load(data / "labels" / f"{NAMES[0]}.nii.gz").dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(y.argmax(axis=-1), np.pad(mask, ((0, 0), (1, 1), (1, 1))))
    np.testing.assert_array_equal(y.sum(axis=-1), 1)


@pytest.mark.proof  # a recipe is run once; make test shows resuming and evaluation on the product itself
def test_a_stopped_run_continues_to_the_same_weights(recipe, data, tmp_path, monkeypatch):
    for folder in ("unbroken", "stopped"):
        (tmp_path / folder).mkdir()
    recipe.train(data, tmp_path / "unbroken")
    fit, calls = keras.Model.fit, []

    def die_in_the_second_epoch(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", die_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            recipe.train(data, tmp_path / "stopped")
    early = weights(tmp_path / "stopped" / "last.keras")
    recipe.train(data, tmp_path / "stopped")
    whole, resumed = (weights(tmp_path / folder / "last.keras") for folder in ("unbroken", "stopped"))
    assert any(not np.array_equal(a, b) for a, b in zip(early, whole, strict=True)), "nothing was left to do"
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    assert len(json.loads((tmp_path / "stopped" / "state.json").read_text())["losses"]) == 2


@pytest.mark.proof  # a recipe is run once; make test shows resuming and evaluation on the product itself
def test_evaluation_writes_a_network_and_its_scores(recipe, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    recipe.train(data, out)
    recipe.evaluate(data, out)
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores["per_case"]) == {NAMES[4]} and scores["n_training"] == 4
    assert scores["sides_mm_of_training_crops"] == [15, 23]
    model = keras.models.load_model(out / "final.keras")
    assert not model.compiled, "the optimiser's state would double the file"
    assert model.dtype_policy.name == "float32"
    assert model.output_shape == (None, None, None, None, 3)


def test_a_mirrored_crop_is_the_other_side(recipe, data):
    scan = recipe.scan(data, NAMES[0])
    other = recipe.mirrored(scan)
    np.testing.assert_array_equal(other.array[:, :, 0], scan.array[:, :, -1])
    assert other.geometry == scan.geometry
