"""The recipe of the shipped model: seeded, and a stopped run continues to the very weights of an unbroken one."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import io

pytestmark = pytest.mark.slow  # starts TensorFlow
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras")

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def recipe(monkeypatch):
    """Yield the recipe cut down to two epochs of two tiny batches."""
    monkeypatch.syspath_prepend(str(RECIPES))
    spec = importlib.util.spec_from_file_location("retina_vessels", RECIPES / "retina_vessels.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "retina_vessels", module)
    spec.loader.exec_module(module)
    for name, value in {
        "EPOCHS": 2,
        "STEPS": 2,
        "BATCH": 1,
        "PATCH": 32,
        "BASE": 4,
        "MOST": 8,
        "PRECISION": "float32",
    }.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "TRAINING", ["01L"])
    monkeypatch.setattr(module, "VALIDATION", ["09L"])
    yield module
    keras.config.set_dtype_policy("float32")  # the recipe trains in half precision; the next test does not


@pytest.fixture
def photographs(tmp_path):
    """Write two photographs of a dark cross on an orange disc, with both observers' masks."""
    y, x = np.mgrid[:80, :96]
    cross = (abs(y - 40) < 3) | (abs(x - 48) < 3)
    disc = np.hypot(y - 40, x - 48) < 38
    for case in ("01L", "09L"):
        picture = disc[..., None] * np.where(cross[..., None], (90, 30, 10), (160, 70, 20))
        io.imsave(tmp_path / f"Image_{case}.jpg", picture.astype(np.uint8), check_contrast=False)
        for observer in ("1stHO", "2ndHO"):
            io.imsave(
                tmp_path / f"Image_{case}_{observer}.png", (cross & disc).astype(np.uint8) * 255, check_contrast=False
            )
    return tmp_path


def weights(path):
    return [np.asarray(w) for w in keras.models.load_model(path, compile=False).get_weights()]


@pytest.mark.proof  # a recipe is run once; make test shows resuming and evaluation on the product itself
def test_a_stopped_run_continues_to_the_same_weights(recipe, photographs, tmp_path, monkeypatch):
    for folder in ("unbroken", "stopped"):
        (tmp_path / folder).mkdir()
    recipe.train(photographs, tmp_path / "unbroken")
    fit, calls = keras.Model.fit, []

    def die_in_the_second_epoch(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", die_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            recipe.train(photographs, tmp_path / "stopped")
    early = weights(tmp_path / "stopped" / "last.keras")
    recipe.train(photographs, tmp_path / "stopped")
    whole, resumed = (weights(tmp_path / folder / "last.keras") for folder in ("unbroken", "stopped"))
    assert any(not np.array_equal(a, b) for a, b in zip(early, whole, strict=True)), "nothing was left to do"
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


def test_evaluation_writes_a_network_its_scores_and_its_specification(recipe, photographs, tmp_path):
    from napari_medcnn.core.spec import ModelSpec

    out = tmp_path / "out"
    out.mkdir()
    recipe.train(photographs, out)
    recipe.evaluate(photographs, out)
    scores = recipe.json.loads((out / "scores.json").read_text())
    assert set(scores["dice_per_image"]) == {"09L"}
    assert scores["second_observer_dice"]["09L"] == 1.0
    spec = ModelSpec.from_json(recipe.json.loads((out / "spec.json").read_text()))
    assert spec.decision.thresholds == (scores["threshold"],)
    model = keras.models.load_model(out / "final.keras")
    assert not model.compiled, "the optimiser's state would double the file"
    assert model.dtype_policy.name == "float32"
    assert model.output_shape == (None, None, None, 1)
