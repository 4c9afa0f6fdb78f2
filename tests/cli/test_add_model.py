"""``medcnn models --add``: packages, bare networks with their answers, and the template where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import onnx_files
from cases import REPOSITORY
from keras_files import conv, functional, layer, write_keras
from napari_medcnn.io.packages import read_package
from tiny_packages import package, segmenter


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    config = functional(conv(2, name="last"), layer("Softmax"), shape=(None, None, None, 3))
    return write_keras(tmp_path / "My net.keras", config)


def test_without_answers_it_says_which_are_missing_and_gives_a_template(bare: Path, tmp_path: Path, medcnn) -> None:
    ran = medcnn("models", "--add", bare)
    assert ran.code == 1 and ran.out == ""
    words, _, rest = ran.err.partition("\n")
    assert "Missing: classes, values." in words and "--answers answers.yaml" in words
    asked = yaml.safe_load(rest)
    assert asked["name"] == "My net" and asked["finds"] == "segmentation" and asked["values"] is None
    assert asked["classes"] == ["background", "Class 1"] and asked["window"] == [256, 256]

    answers = tmp_path / "answers.yaml"
    answers.write_text(rest)  # as it is: the open answer is still open
    again = medcnn("models", "--add", bare, "--answers", answers)
    assert again.code == 1 and "please answer: values" in again.err
    answers.write_text(rest.replace("\nvalues:", "\nvalues: 0-255").replace("Class 1", "vessel"))
    added = medcnn("models", "--add", bare, "--answers", answers)
    assert added.code == 0 and "Added my-net" in added.out
    listed = medcnn("models", "--json").json["models"]
    assert {m["name"]: m["classes"] for m in listed if m["name"] == "my-net"} == {"my-net": ["vessel"]}


def test_an_onnx_network_is_added_listed_and_removed(tmp_path: Path, own: Path, medcnn) -> None:
    path = onnx_files.unet(tmp_path / "Net.onnx", 3, 1, 2, end="Softmax")
    asked = medcnn("models", "--add", path)
    assert asked.code == 1 and "Missing: classes, values." in asked.err
    template = asked.err.partition("\n")[2]
    answers = tmp_path / "answers.yaml"
    answers.write_text(template.replace("\nvalues:", "\nvalues: zscore").replace("Class 1", "vessel"))
    added = medcnn("models", "--add", path, "--answers", answers)
    assert added.code == 0 and "Added net" in added.out, added.err
    assert {m["name"]: m["weights"] for m in medcnn("models", "--json").json["models"]}["net"] == ["onnx"]
    gone = medcnn("models", "--remove", "net")
    assert gone.code == 0 and "Removed net; it is kept in" in gone.out and not (own / "net").exists()
    (kept,) = (own.parent / "removed").iterdir()
    assert read_package(kept).spec.labels.names == ("vessel",)
    shipped = medcnn("models", "--remove", "retina-vessels")
    assert shipped.code == 1 and "comes with the program and stays" in shipped.err


def test_the_answers_of_the_documentation_are_enough(tmp_path: Path, own: Path, medcnn) -> None:
    page = (REPOSITORY / "docs" / "researcher.md").read_text(encoding="utf-8")
    answers = tmp_path / "answers.yaml"
    answers.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    config = functional(conv(3, name="last"), layer("Softmax"), shape=(None, None, None, None, 1))
    ran = medcnn("models", "--add", write_keras(tmp_path / "net.keras", config), "--answers", answers)
    assert ran.code == 0, ran.err
    spec = read_package(own / "liver-and-spleen").spec
    assert spec.labels.names == ("liver", "spleen") and spec.preparation.spacing_mm == (3, 0.8, 0.8)


def test_json_names_what_is_missing(bare: Path, medcnn) -> None:
    ran = medcnn("models", "--add", bare, "--json")
    assert ran.code == 1 and ran.json["missing"] == ["classes", "values"]


def test_an_unknown_answer_is_1_and_adds_nothing(bare: Path, tmp_path: Path, own: Path, medcnn) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("value: none\n")
    ran = medcnn("models", "--add", bare, "--answers", answers)
    assert ran.code == 1 and "unknown key value; expected name, finds, classes" in ran.err
    assert not own.exists()


def test_a_package_is_added_once(tmp_path: Path, own: Path, medcnn) -> None:
    folder = package(tmp_path / "from", segmenter("given"))
    ran = medcnn("models", "--add", folder, "--json")
    assert ran.code == 0 and ran.json["name"] == "given" and ran.json["tested"] is True
    assert read_package(own / "given").spec.name == "given"
    again = medcnn("models", "--add", folder)
    assert again.code == 1 and "already a model of this name" in again.err


def test_answers_without_a_model_are_refused(tmp_path: Path, medcnn) -> None:
    ran = medcnn("models", "--answers", tmp_path / "a.yaml")
    assert ran.code == 1 and "--add PATH" in ran.err


def test_running_a_bare_network_says_how_to_add_it(bare: Path, tmp_path: Path, medcnn) -> None:
    ran = medcnn("predict", "-m", bare, bare, "-o", tmp_path / "out")
    assert ran.code == 1 and "medcnn models --add My net.keras" in ran.err
