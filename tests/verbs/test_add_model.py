"""Adding a model: what is refused, what is asked, and what stands in the folder afterwards."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keras_files import conv, functional, layer, write_keras
from napari_medcnn.core.events import Progress, Result, result_of
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import Cancelled, EngineError, InputError, ModelError, SaveError, UnsafeModelError
from napari_medcnn.io.packages import load_tests, read_package, write_package
from napari_medcnn.verbs.add_model import Added, AddModelRequest, draft_answers, run
from napari_medcnn.verbs.model_answers import Answers, model_id, read_answers, spec_from
from napari_medcnn.worker.client import Engine
from tiny_packages import package, segmenter


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("MEDCNN_HOME", str(home))
    (home / "models").mkdir(parents=True)
    return home / "models"


def bare(folder: Path, *layers: dict, shape: tuple = (None, None, None, 1), name: str = "Net One.keras") -> Path:
    return write_keras(folder / name, functional(*layers, shape=(None, *shape)))


def add(path: Path, answers: ModelSpec | None = None, engine: Engine | None = None) -> Added:
    return result_of(run(AddModelRequest(path, answers), threading.Event(), engine))


def card(path: Path, **said) -> ModelSpec:
    draft = draft_answers(path)
    return spec_from(draft.facts, replace(draft.answers, **{"values": "none", **said}))


# ---- what the file tells -------------------------------------------------------------------------------------------


def test_a_softmax_segmenter_tells_everything_but_the_values(tmp_path: Path) -> None:
    path = bare(tmp_path, conv(8, name="a"), conv(3, name="b"), layer("Softmax"), shape=(None, None, 2))
    draft = draft_answers(path)
    assert (draft.facts.dimensions, draft.facts.channels, draft.facts.outputs) == (2, 2, 3)
    assert draft.facts.activation == "softmax" and draft.answers.exclusive is True
    assert draft.answers.finds == "segmentation" and draft.answers.classes == ("background", "Class 1", "Class 2")
    assert draft.answers.name == "Net One" and draft.answers.window == (256, 256)
    assert draft.open == ("classes", "values")


def test_a_classifier_is_told_by_the_layer_that_gathers_the_image(tmp_path: Path) -> None:
    path = bare(
        tmp_path, layer("Conv3D", filters=4, activation="relu"), layer("GlobalAveragePooling3D"),
        layer("Dropout"), layer("Dense", units=2, activation="sigmoid"), shape=(None, None, None, 1),
    )  # fmt: skip
    draft = draft_answers(path)
    assert (draft.facts.dimensions, draft.facts.task, draft.facts.activation) == (3, "classification", "sigmoid")
    assert draft.answers.window == () and draft.answers.classes == ("Class 1", "Class 2")


def test_halving_twice_asks_for_multiples_of_four(tmp_path: Path) -> None:
    path = bare(
        tmp_path, conv(2, name="a", strides=[2, 2]), layer("MaxPooling2D", pool_size=[2, 2], strides=[2, 2]),
        layer("UpSampling2D", size=[4, 4]), conv(1, name="b"), shape=(None, None, 1),
    )  # fmt: skip
    draft = draft_answers(path)
    assert draft.facts.divisor == 4
    assert card(path, classes=("vessel",), window=(100, 60)).tile == (100, 60)
    with pytest.raises(InputError, match=r"window: expected multiples of 4, got 100 x 62"):
        card(path, classes=("vessel",), window=(100, 62))


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        ((conv(2), layer("ReLU")), (None, None, 1), "'relu', which gives no probabilities"),
        ((conv(1), layer("Softmax")), (None, None, 1), "softmax over a single output"),
        ((conv(2),), (None, None, None), "fixed number of input channels"),
        ((conv(2),), (None, 1), r"expected an input of \(y, x, channel\)"),
    ],
)
def test_networks_that_are_no_segmenters_or_classifiers_are_refused(tmp_path: Path, layers, shape, words) -> None:
    with pytest.raises(ModelError, match=words):
        draft_answers(bare(tmp_path, *layers, shape=shape))


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    config = functional(conv(1), shape=(None, None, None, 1))
    config["config"]["input_layers"] = [["image", 0, 0], ["other", 0, 0]]
    with pytest.raises(ModelError, match="it has 2 inputs"):
        draft_answers(write_keras(tmp_path / "two.keras", config))


# ---- what the answers give -----------------------------------------------------------------------------------------


def test_background_is_0_wherever_it_stands_and_the_order_of_outputs_stays(tmp_path: Path) -> None:
    path = bare(tmp_path, conv(3), layer("Softmax"), shape=(None, None, 1))
    spec = card(path, classes=("liver", "Background", "spleen"))
    assert spec.decision.ids == (1, 0, 2) and spec.decision.exclusive and spec.activation == "none"
    assert [(x.id, x.name) for x in spec.labels] == [(1, "liver"), (2, "spleen")]


def test_logits_need_to_be_told_whether_classes_exclude_each_other(tmp_path: Path) -> None:
    path = bare(tmp_path, conv(2), shape=(None, None, 1))
    assert "exclusive" in draft_answers(path).open
    assert card(path, classes=("a", "b"), exclusive=True).activation == "softmax"
    alone = card(path, classes=("a", "b"), exclusive=False, threshold=0.25)
    assert (alone.activation, alone.decision.thresholds, alone.decision.ids) == ("sigmoid", (0.25, 0.25), (1, 2))


@pytest.mark.parametrize(
    ("said", "steps"),
    [
        ({"values": "none"}, ()),
        ({"values": "0-255"}, (("scale_linear", {"in_low": 0.0, "in_high": 255.0}),)),
        ({"values": "zscore"}, (("zscore", {}),)),
        ({"values": "percentiles"}, (("percentile_clip", {"low": 1.0, "high": 99.0}), ("scale_range", {}))),
        (
            {"values": "window", "window_hu": (-160, 240)},
            (("clip", {"low": -160, "high": 240}), ("scale_linear", {"in_low": -160, "in_high": 240})),
        ),
    ],
)
def test_how_values_are_scaled(tmp_path: Path, said: dict, steps: tuple) -> None:
    path = bare(tmp_path, conv(1, name="c"), shape=(None, None, 1))
    assert card(path, classes=("a",), **said).preparation.steps == steps


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"classes": ("a",)}, "classes: expected 2 names, one for each output of the network, got 1"),
        ({"classes": ("background", "b")}, "there is no background among them"),
        ({"threshold": 1.0}, "threshold: expected a number above 0 and below 1"),
        ({"values": ""}, "please answer: values"),
        ({"values": "window"}, "please answer: window_hu"),
        ({"values": "window", "window_hu": (240, -160)}, "window_hu: expected low below high"),
        ({"voxel_mm": (None, 0.0, 1.0)}, "voxel_mm: expected millimetres"),
        ({"voxel_mm": (3.0, 1.0, 1.0)}, "a 2D network works slice by slice"),
        ({"exclusive": True}, "exclusive: the network ends with sigmoid"),
        ({"name": "???"}, "name: expected some letters"),
        ({"window": (64,)}, "window: expected 2 sizes"),
    ],
)
def test_answers_that_do_not_fit_are_named(tmp_path: Path, said: dict, words: str) -> None:
    path = bare(tmp_path, conv(2), layer("Activation", activation="sigmoid"), shape=(None, None, 1))
    with pytest.raises(InputError, match=words):
        card(path, **{"classes": ("a", "b"), **said})


def test_a_classifier_of_one_size_gets_every_scan_at_that_size(tmp_path: Path) -> None:
    path = bare(tmp_path, layer("Flatten"), layer("Dense", units=2, activation="softmax"), shape=(32, 48, 1))
    spec = card(path, classes=("well", "ill"), values="zscore")
    assert spec.preparation.steps == (("fit_shape", {"shape": (32, 48)}), ("zscore", {})) and spec.tile == ()
    assert spec.decision.ids == (1, 2)


def test_ids_from_names() -> None:
    assert model_id("Lungen-Läppchen 2") == "lungen-lappchen-2"


def test_answers_yaml_is_strict(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text("name: A\nclasses: [a, b]\nvoxel_mm: [null, 1, 0.5]\nvalues: 0-255\nwindow:\n")
    assert read_answers(file) == Answers("A", "", ("a", "b"), values="0-255", voxel_mm=(None, 1, 0.5))
    for text, words in (
        ("klasses: [a]", "unknown key klasses; expected name"),
        ("classes: a", "classes: expected a list of names"),
        ('threshold: "0,5"', "threshold: expected a number"),
        ("values: HU", "values: expected one of none, 0-255, window"),
        ("window_hu: [1]", "window_hu: expected two numbers"),
        ("exclusive: maybe", "exclusive: expected true or false"),
        ("name: 3", "name: expected text"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=words):
            read_answers(file)


# ---- adding --------------------------------------------------------------------------------------------------------


def test_a_bare_network_becomes_a_package_with_test_tensors(tmp_path: Path, own_home: Path, engine: Engine) -> None:
    path = bare(tmp_path, conv(1, name="c"), shape=(None, None, 3))
    spec = card(path, classes=("vessel",))
    added = add(path, spec, engine)
    assert added.tested and added.note == "" and added.package.path == own_home / "net-one"
    again = read_package(own_home / "net-one")
    assert again.spec.to_json() == spec.to_json()
    assert again.weights.read_bytes() == path.read_bytes()
    given, answer = load_tests(again)
    assert given.shape == (1, 64, 64, 3) and answer.shape == (1, 64, 64, 1)
    assert np.all(answer == np.abs(given).max())  # what the fake engine answers
    assert [p.name for p in own_home.iterdir()] == ["net-one"]


def test_without_answers_the_missing_ones_are_named(tmp_path: Path, own_home: Path) -> None:
    path = bare(tmp_path, conv(1), shape=(None, None, 1))
    with pytest.raises(InputError, match="please answer: classes, values"):
        add(path)
    assert list(own_home.iterdir()) == []


def test_unsafe_networks_are_refused_by_name(tmp_path: Path, own_home: Path) -> None:
    spec = card(bare(tmp_path, conv(1), shape=(None, None, 1)), classes=("a",))
    bad = bare(tmp_path, conv(1), layer("Lambda"), shape=(None, None, 1), name="bad.keras")
    for answers in (None, spec):
        with pytest.raises(UnsafeModelError, match="Lambda runs Python code"):
            add(bad, answers)


def test_an_unsafe_network_in_a_package_is_refused_too(tmp_path: Path, own_home: Path) -> None:
    own = bare(tmp_path, conv(1), layer("MyLayer", module="mine"), shape=(None, None, None, 1))
    folder = write_package(tmp_path / "own", segmenter("own"), own)
    with pytest.raises(UnsafeModelError, match="MyLayer"):
        add(folder)
    assert list(own_home.iterdir()) == []


@pytest.mark.parametrize("form", ["folder", "card", "zip"])
def test_a_package_is_copied_byte_by_byte(tmp_path: Path, own_home: Path, engine: Engine, form: str) -> None:
    folder = package(tmp_path / "from", segmenter("given"))
    path = folder / "rdf.yaml" if form == "card" else folder
    if form == "zip":
        path = write_package(tmp_path / "given.zip", segmenter("given"), tmp_path / "from" / "given.keras")
    added = add(path, engine=engine)
    assert added.tested and added.package.spec.name == "given"

    def hashes(place: Path) -> dict[str, str]:
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in place.iterdir()}

    assert hashes(own_home / "given") == hashes(folder)
    assert [p.name for p in own_home.iterdir()] == ["given"]


def test_no_model_is_ever_overwritten_or_hidden(tmp_path: Path, own_home: Path) -> None:
    folder = package(tmp_path / "from", segmenter("given"))
    add(folder)
    before = (own_home / "given" / "rdf.yaml").stat().st_mtime_ns
    with pytest.raises(InputError, match="already a model of this name"):
        add(folder)
    assert (own_home / "given" / "rdf.yaml").stat().st_mtime_ns == before
    path = bare(tmp_path, conv(1), shape=(None, None, 1))
    with pytest.raises(InputError, match="already a model of this name"):
        add(path, card(path, classes=("a",), name="Given"))


def test_a_changed_package_is_refused(tmp_path: Path, own_home: Path) -> None:
    folder = package(tmp_path / "from", segmenter("given"))
    with (folder / "weights.keras").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="sha256 differs"):
        add(folder)


@pytest.mark.parametrize("kind", ["bare", "package"])
@pytest.mark.parametrize(("order", "error"), [({"error": "ModelError"}, ModelError), ({"kill": True}, EngineError)])
def test_a_model_that_does_not_run_is_never_listed(
    tmp_path: Path, own_home: Path, kind: str, order: dict, error: type[Exception]
) -> None:
    import fake_engine

    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps(order))
    with_tests = package(tmp_path / "from", segmenter("given"))
    spec = segmenter("given", 2, 1, tile=(16, 16))
    path = bare(tmp_path, conv(1), shape=(None, None, 1))
    lent = Engine(fake_engine.launch(orders))
    try:
        with pytest.raises(error):
            add(path, spec, lent) if kind == "bare" else add(with_tests, None, lent)
    finally:
        lent.close()
    assert list(own_home.iterdir()) == []


def test_cancel_between_steps_leaves_nothing(tmp_path: Path, own_home: Path) -> None:
    folder = package(tmp_path / "from", segmenter("given"))
    cancel = threading.Event()
    for event in run(AddModelRequest(folder), cancel):
        if isinstance(event, Progress) and event.message == "Copying the model":
            cancel.set()
        last = event
    assert not isinstance(last, Result | Progress) and isinstance(last.error, Cancelled)
    assert list(own_home.iterdir()) == []


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = package(tmp_path / "from", segmenter("given"))

    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(SaveError, match="No space left on device"):
        add(folder)
    assert list(own_home.iterdir()) == []
