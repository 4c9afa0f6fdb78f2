"""The recipe of `pneumonia-cxr`: copies never cross a split, and what it writes is what it measured."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # starts TensorFlow
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras")

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def recipe(monkeypatch):
    """Return the recipe cut down to two networks of a few tiny batches."""
    monkeypatch.syspath_prepend(str(RECIPES))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", os.environ.get("TF_NUM_INTRAOP_THREADS", ""))
    spec = importlib.util.spec_from_file_location("pneumonia_cxr", RECIPES / "pneumonia_cxr.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pneumonia_cxr", module)
    spec.loader.exec_module(module)
    for name, value in {"FOLDS": 2, "STEPS": 16, "BATCH": 8, "CHOSEN": module.Candidate("strong", 4)}.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def data(tmp_path):
    """Write 40 + 12 pictures of noise, the ill ones brighter below; two copies, one near copy, one leak."""
    rng = np.random.default_rng(11)
    labels = np.arange(52) % 2
    shade = np.linspace(0, 90, 28)[None, :, None] * labels[:, None, None]
    pictures = np.rint(np.clip(rng.normal(90, 25, (52, 28, 28)) + shade, 0, 255)).astype(np.uint8)
    pictures[4] = pictures[2]
    pictures[8] = np.clip(pictures[6].astype(int) + 1, 0, 255)
    pictures[41] = pictures[3]
    np.savez(
        tmp_path / "pneumoniamnist_trainval.npz",
        train_images=pictures[:40],
        train_labels=labels[:40, None],
        val_images=pictures[40:],
        val_labels=labels[40:, None],
    )
    return tmp_path


def test_copies_are_left_out_and_near_copies_stay_in_one_part(recipe, data):
    split, validation = recipe.read(data)
    assert len(split.labels) == 39 and len(validation.labels) == 11
    assert not {p.tobytes() for p in split.pictures} & {p.tobytes() for p in validation.pictures}
    assert len(np.unique(split.group)) == 38
    fold = recipe.folds(split, 3, 5)
    near = split.group == np.bincount(split.group).argmax()
    assert near.sum() == 2 and len(set(fold[near])) == 1
    for label in (0, 1):
        counts = np.bincount(fold[split.labels == label])
        assert counts.max() - counts.min() <= 2
    np.testing.assert_array_equal(fold, recipe.folds(split, 3, 5))


def test_every_batch_holds_both_classes_alike_and_repeats_by_its_seed(recipe, data):
    split, _ = recipe.read(data)
    x, y = recipe.batches(split, recipe.CHOSEN, np.random.default_rng(3), 2)
    assert x.shape == (16, 28, 28, 1) and x.dtype == np.float32
    np.testing.assert_array_equal(y.reshape(2, 8, 2).sum(axis=1), 4)
    np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    again, _ = recipe.batches(split, recipe.CHOSEN, np.random.default_rng(3), 2)
    np.testing.assert_array_equal(x, again)


def test_the_network_sees_in_training_what_the_pipeline_of_the_card_shows_it(recipe, data, monkeypatch):
    from napari_medcnn.core.geometry import Geometry
    from napari_medcnn.core.volume import Volume
    from napari_medcnn.imaging.pipeline import prepare

    package = importlib.import_module("pneumonia_cxr_package")
    pictures = recipe.read(data)[0].pictures[:3]
    seen = [prepare(Volume(p[None], Geometry.picture(28, 28)), package.PREPARATION).data[0] for p in pictures]
    np.testing.assert_allclose(recipe.normalised(pictures), np.stack(seen), atol=1e-5)


def test_platt_scaling_finds_the_line_the_answers_were_drawn_from(recipe):
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 4, 40_000)
    labels = (rng.random(40_000) < 1 / (1 + np.exp(-(logits - 1.5) / 2.0))).astype(int)
    rare = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:2000]])
    temperature, offset = recipe.calibration(labels[rare], logits[rare])
    assert temperature == pytest.approx(2.0, rel=0.05)
    # both classes weigh the same; among all answers they are 38 to 62 or so
    share = labels.mean()
    assert offset == pytest.approx(1.5 + 2.0 * np.log(share / (1 - share)), abs=0.15)


def test_what_is_written_decides_as_it_was_measured(recipe, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    recipe.train_all(data, out)
    assert {f.name for f in out.glob("*.keras")} == {"strong-4-0.keras", "strong-4-1.keras"}
    recipe.evaluate(data, out)
    scores = json.loads((out / "scores.json").read_text())
    _, validation = recipe.read(data)
    model = keras.models.load_model(out / "final.keras")
    logits = keras.ops.convert_to_numpy(model(recipe.normalised(validation.pictures), training=False))
    ill = logits.argmax(axis=1) == 1
    assert ill[validation.labels == 1].mean() == pytest.approx(scores["validation"]["sensitivity"]["mean"])
    assert (~ill)[validation.labels == 0].mean() == pytest.approx(scores["validation"]["specificity"]["mean"])
    assert len(scores["fold_auc"]) == 2 and set(recipe.STRESS) == set(scores["validation_under_stress"])
    assert not model.compiled
