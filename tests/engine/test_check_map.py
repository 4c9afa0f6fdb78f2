"""The check of a map: it tells a method that looks at the network from one that does not, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from scipy import ndimage

from engine_cases import FakeContext, opened
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import METHODS, Check, Method
from napari_medcnn.engine.saliency import check
from napari_medcnn.engine.saliency.asking import Scan
from napari_medcnn.engine.saliency.methods import MAPS
from napari_medcnn.engine.saliency.randomise import copy_of
from napari_medcnn.errors import Cancelled, InputError
from saliency_cases import gap_classifier, linear_classifier, noise, question, scan_of, segmenter, spec_of

PICTURE = (1, 16, 14)


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> str:
    """A method for this test alone that never looks at the network."""
    monkeypatch.setitem(METHODS, "edges", Method("Edges", "Edges of the picture", "answers"))  # type: ignore[arg-type]
    monkeypatch.setitem(MAPS, "edges", lambda asked, seed: np.abs(ndimage.sobel(asked.data[..., 0])))
    return "edges"


def classified(**options: Any) -> Any:
    return question(gap_classifier(2, seed=3), scan_of(noise(PICTURE, 5)), spec_of(2, "classification"), **options)


@pytest.mark.parametrize("draw", ["normal", "shuffle"])
def test_a_method_that_ignores_the_network_gets_no(edges: str, draw: str) -> None:
    found = check.examine(classified(method=edges), draw)
    assert found.badge == "no"
    assert all(s.rank == 1 and s.similarity == 1 for s in found.cascade)
    assert "not what the model learned" in found.words


@pytest.mark.parametrize("draw", ["normal", "shuffle"])
def test_the_gradient_of_a_linear_network_depends_on_it(draw: str) -> None:
    """The map is |w|, so that of a copy with other weights is unrelated to it."""
    model = linear_classifier(2, noise((*PICTURE[1:], 1, 2), 4))
    asked = question(model, scan_of(noise(PICTURE, 5)), spec_of(2, "classification"), method="gradient")
    found = check.examine(asked, draw)
    assert found.badge == "depends on the model"
    assert found.cascade[-1].rank < 0.2 and len(found.cascade) == 1  # one layer: the whole network is the only step
    # the score is linear in the voxels, but |w| does not say which of them raise it
    assert found.insertion is not None and found.insertion.score[-1] == pytest.approx(asked.score(asked.data), rel=1e-4)


def test_gradient_times_input_of_a_linear_network_is_the_best_ranking_there_is() -> None:
    """With a positive map, inserting the largest shares of the score first can only gain on a random order."""
    model = linear_classifier(2, np.abs(noise((*PICTURE[1:], 1, 2), 4)))
    scan = scan_of(np.abs(noise(PICTURE, 5)))
    found = check.examine(question(model, scan, spec_of(2, "classification"), method="gradient-x-input"))
    assert found.insertion is not None and found.deletion is not None
    if found.insertion.score[0] < found.insertion.score[-1]:
        assert found.insertion.area > found.insertion.random_area


def test_the_network_itself_is_left_as_it_is() -> None:
    asked = classified(method="grad-cam")
    before = [np.array(w) for w in asked.loaded.model.get_weights()]
    own = asked.saliency()
    check.examine(asked)
    for old, new in zip(before, asked.loaded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(asked.saliency(), own)


def test_the_cascade_runs_from_the_output_to_the_input() -> None:
    found = check.examine(classified(method="gradient"))
    assert [s.layer for s in found.cascade] == ["dense", "second", "first"]
    assert found.repeatability is None and found.seconds == 0


def test_layers_above_a_named_layer_cannot_change_what_it_answers_but_the_whole_network_does() -> None:
    """Feature map of the first layer: random weights above it change nothing, those of the layer itself everything."""
    found = check.examine(classified(method="feature-map", layer="first"))
    assert [s.rank for s in found.cascade[:-1]] == pytest.approx([1.0, 1.0])
    assert found.cascade[-1].rank < 0.99


def test_only_a_method_with_chance_is_repeated() -> None:
    found = check.examine(classified(method="smoothgrad", samples=4))
    assert found.repeatability is not None and 0 < found.repeatability < 1


def test_same_seed_same_check() -> None:
    one, two = (check.examine(classified(method="gradient")) for _ in range(2))
    assert one == two
    assert check.examine(classified(method="gradient", seed=1)).cascade != one.cascade


def test_a_map_that_is_the_same_everywhere_gets_no(edges: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MAPS, edges, lambda asked, seed: np.zeros(asked.data.shape[:3], np.float32))
    found = check.examine(classified(method=edges))
    assert found.badge == "no" and "shows nothing" in found.words and found.insertion is None


def test_whole_check_of_a_segmenter_with_a_mask() -> None:
    model, spec = segmenter(3, seed=2), spec_of(3, "segmentation")
    region = np.zeros((6, 9, 9), bool)
    region[2:4, 3:6, 3:6] = True
    context = FakeContext()
    scan = Scan(scan_of(noise(region.shape, 8)), region, ExplainOptions("gradient", "one"), context)  # type: ignore[arg-type]
    values = region.astype(np.float32)
    reply = check.check_map(lambda: iter([(opened(model, spec), "CPU")]), scan, values, region)
    found = Check.from_json(reply["check"])
    assert (found.energy, found.pointing, found.auprc) == (1.0, True, 1.0)
    assert found.prevalence == pytest.approx(18 / (6 * 81))
    assert found.seconds > 0 and reply["device"] == "CPU"
    assert any("All weights random" in words for words in context.messages)


def test_a_check_can_be_cancelled() -> None:
    context = FakeContext(stop_after=30)
    with pytest.raises(Cancelled):
        check.examine(question(gap_classifier(2), scan_of(noise(PICTURE)), spec_of(2, "classification"),
                               context=context, method="gradient"))  # fmt: skip


def test_draws() -> None:
    """Kernels are new values of the same size; vectors, and with "shuffle" all, are the same values elsewhere."""
    model = gap_classifier(2, seed=3)
    loaded = opened(model, spec_of(2, "classification"))
    for draw in ("normal", "shuffle"):
        copy = copy_of(loaded, 0, draw)
        assert copy is not None
        copy.randomise(None, 0)
        for old, new in zip(model.get_weights(), copy.model.get_weights(), strict=True):
            if draw == "shuffle" or old.ndim == 1:
                np.testing.assert_array_equal(np.sort(old, axis=None), np.sort(new, axis=None))
            else:
                assert not np.intersect1d(old, new).size
                assert 0.5 < np.sqrt((new**2).mean() / (old**2).mean()) < 2
        copy.restore()
        for old, new in zip(model.get_weights(), copy.model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    with pytest.raises(InputError, match="draw"):
        copy_of(loaded, 0, "other")


def test_nested_networks_are_taken_apart_and_weights_counted_once() -> None:
    base = keras.Sequential([keras.Input((8, 6, 1)), layers.Conv2D(3, 3, name="inner")], name="base")
    inputs = keras.Input((8, 6, 1))
    x = layers.BatchNormalization(name="norm")(base(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(x)))
    copy = copy_of(opened(model, spec_of(2, "classification")), 0)
    assert copy is not None
    names, indices = zip(*copy.layers(), strict=True)
    assert names == ("head", "norm", "base/inner")
    assert sorted(i for group in indices for i in group) == list(range(len(model.weights)))


MODELS = Path(check.__file__).parents[2] / "models"
DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "pneumonia-mnist").is_dir(), reason="needs pneumonia-mnist")
@pytest.mark.parametrize("method", ["grad-cam", "gradient", "edges"])
def test_shuffled_weights_give_another_map_of_the_shipped_classifier(method: str, edges: str) -> None:
    from napari_medcnn.engine.loading import open_model
    from napari_medcnn.engine.saliency.asking import ask, prepare_scan
    from napari_medcnn.io.packages import read_package

    with np.load(DATA / "pneumonia-mnist" / "pneumoniamnist_trainval.npz", allow_pickle=False) as file:
        picture = file["val_images"][0]
    package = read_package(MODELS / "pneumonia-cxr")
    loaded = open_model(package.path / "weights.keras", package.spec, "cpu:0", package, {})
    scan = Scan(scan_of(picture[None]), None, ExplainOptions(method, "pneumonia"), FakeContext())  # type: ignore[arg-type]
    asked, _ = ask(loaded, prepare_scan(loaded, scan), scan, loaded.spec.tile, 4)
    found = check.examine(asked, "shuffle")
    last = found.cascade[-1]
    if method == edges:
        assert found.badge == "no"
    else:
        assert last.rank < 0.5 and last.similarity < 0.5 and found.badge == "depends on the model"
