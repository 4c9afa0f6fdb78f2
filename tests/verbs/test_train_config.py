"""Four keys, nothing unknown, every value checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medcnn.core.options import TrainOptions
from napari_medcnn.errors import InputError
from napari_medcnn.verbs.train_config import read_train_config


def write(folder: Path, text: str) -> Path:
    path = folder / "train.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_is_read_and_paths_start_at_the_config(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = "model: mine\ndataset: d/dataset.csv\nout: run1\noptions: {epochs: 3, learning_rate: 1e-3, flips: [1, 2]}\n"
    request = read_train_config(write(tmp_path, text), resume=True)
    assert request.model == tmp_path / "mine"
    assert request.dataset == tmp_path / "d" / "dataset.csv"
    assert request.out == tmp_path / "run1"
    assert request.options == TrainOptions(epochs=3, learning_rate=0.001, flips=(1, 2))
    assert request.resume


def test_a_model_that_is_no_path_stays_a_name(tmp_path: Path) -> None:
    request = read_train_config(write(tmp_path, "model: retina-vessels\ndataset: a.csv\nout: o\n"))
    assert request.model == "retina-vessels" and request.options == TrainOptions() and not request.resume


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: m\ndataset: d\nout: o\nepoch: 3\n", r"unknown key epoch; expected model, dataset, out, options"),
        ("model: m\ndataset: d\nout: o\noptions: {epoch: 3}\n", r"unknown options key epoch; expected epochs"),
        ("model: m\nout: o\n", r"expected text for dataset"),
        ("model: 3\ndataset: d\nout: o\n", r"expected text for model"),
        ("- a\n", r"expected the keys .* got list"),
        ("a: [\n", r"is not YAML"),
        ("model: m\ndataset: d\nout: o\noptions: {epochs: many}\n", r"epochs: expected a whole number, got 'many'"),
        ("model: m\ndataset: d\nout: o\noptions: {epochs: true}\n", r"epochs: expected a whole number, got True"),
        ("model: m\ndataset: d\nout: o\noptions: {epochs: 0}\n", r"epochs: expected 1 to 10000, got 0"),
        ("model: m\ndataset: d\nout: o\noptions: {flips: [x]}\n", r"flips: expected a list of whole numbers"),
        ("model: m\ndataset: d\nout: o\noptions: {learning_rate: fast}\n", r"learning_rate: expected a number"),
        ("model: m\ndataset: d\nout: o\noptions: 3\n", r"options: expected keys and values, got int"),
        ("model: !!python/object/apply:os.getcwd []\ndataset: d\nout: o\n", r"is not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_train_config(write(tmp_path, text))


def test_missing_and_huge_configs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.yaml: No such file"):
        read_train_config(tmp_path / "no.yaml")
    with pytest.raises(InputError, match="small YAML file"):
        read_train_config(write(tmp_path, "a: b\n" * 50_000))
