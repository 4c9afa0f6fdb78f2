"""Adding a model by hand: the button, the short form, the list afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

import onnx_files
from keras_files import conv, functional, layer, write_keras
from napari_medcnn.errors import InputError
from napari_medcnn.io.packages import read_package
from napari_medcnn.verbs.model_answers import draft_answers
from napari_medcnn.widgets.add_model_form import AddModelForm, number, sizes
from tiny_packages import package, segmenter

pytestmark = [pytest.mark.gui, pytest.mark.own_window]  # it adds models


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def network(folder: Path, *layers: dict, channels: int = 1) -> Path:
    return write_keras(folder / "Liver net.keras", functional(*layers, shape=(None, None, None, None, channels)))


def ask(desk, path: Path) -> None:
    """Press the button; the file dialog answers with `path`."""
    desk.dock.pages.setCurrentIndex(1)
    desk.dock.tabs.setCurrentIndex(1)
    desk.idle(0.05)
    desk.dock.running.adding.dialogs.add_model = lambda: path
    desk.click(desk.dock.ai.add_button)


def fill(field, text: str) -> None:
    field.setFocus()
    field.selectAll()
    for line, words in enumerate(text.split("\n")):
        if line:
            QTest.keyClick(field, Qt.Key.Key_Return)
        QTest.keyClicks(field, words)


def choose(box, text: str) -> None:
    """Choose with the keyboard, as a hand does."""
    box.setFocus()
    for _ in range(box.count()):
        if box.currentText().startswith(text):
            return
        QTest.keyClick(box, Qt.Key.Key_Down)
    assert box.currentText().startswith(text)


@pytest.mark.gui
def test_an_onnx_network_gets_the_same_form(desk, own: Path, tmp_path: Path) -> None:
    ask(desk, onnx_files.unet(tmp_path / "Liver net.onnx", 3, 1, 2, end="Softmax", size=(16, 32, 32)))
    desk.until(lambda: desk.dock.running.adding.form is not None)
    form = desk.dock.running.adding.form
    desk.until(form.isVisible)
    assert form.name.text() == "Liver net" and form.finds.currentData() == "segmentation"
    assert form.classes.toPlainText() == "background\nClass 1" and not form.exclusive.isVisible()
    assert form.window_size.text() == "16 x 32 x 32" and not form.window_size.isEnabled()
    choose(form.values, "each image: mean 0")
    desk.click(form.add)
    desk.until(lambda: desk.dock.ai.model is not None and desk.dock.ai.model.spec.name == "liver-net")
    assert read_package(own / "liver-net").layout == "first"


@pytest.mark.gui
def test_a_bare_network_asks_once_and_is_chosen(desk, own: Path, tmp_path: Path) -> None:
    path = network(tmp_path, conv(3, name="last"), layer("Softmax"))
    ask(desk, path)
    desk.until(lambda: desk.dock.running.adding.form is not None)
    form = desk.dock.running.adding.form
    desk.until(form.isVisible)
    assert form.name.text() == "Liver net" and form.finds.currentData() == "segmentation"
    assert form.classes.toPlainText() == "background\nClass 1\nClass 2"
    assert not form.exclusive.isVisible() and not form.threshold.isVisible() and not form.hu.isVisible()

    desk.click(form.add)  # how values are scaled was not said: nothing happens but a word about it
    assert form.isVisible() and "Please fill in: Values are scaled by" in form.error.text()
    choose(form.values, "CT window")
    assert form.hu.isVisible()
    fill(form.low, "-160")
    fill(form.high, "1,000")
    desk.click(form.add)
    assert form.isVisible() and "1,000 can mean two numbers; write 1000 or 1.000" in form.error.text()
    fill(form.high, "240,5")
    fill(form.within, "0.8")
    fill(form.classes, "background\nliver")
    desk.click(form.add)
    assert form.isVisible() and "Class names: expected 3 names" in form.error.text()
    fill(form.classes, "background\nliver\nspleen")
    desk.click(form.add)

    desk.until(lambda: desk.dock.ai.model is not None and desk.dock.ai.model.spec.name == "liver-net")
    assert desk.dock.ai.add_button.isEnabled() and not desk.dock.ai.adding.isVisible()
    spec = read_package(own / "liver-net").spec
    assert spec.labels.names == ("liver", "spleen") and spec.decision.ids == (0, 1, 2)
    assert spec.preparation.steps[0] == ("clip", {"low": -160.0, "high": 240.5})
    assert spec.preparation.spacing_mm == (None, 0.8, 0.8)
    assert spec.licence == "unknown" and spec.tile == (64, 64, 64)


@pytest.mark.gui
def test_cancel_in_the_form_adds_nothing(desk, own: Path, tmp_path: Path) -> None:
    ask(desk, network(tmp_path, conv(1)))
    desk.until(lambda: desk.dock.running.adding.form is not None)
    QTest.keyClick(desk.dock.running.adding.form, Qt.Key.Key_Escape)
    desk.until(lambda: desk.dock.running.adding.form is None)
    desk.idle()
    assert desk.dock.ai.add_button.isEnabled() and not own.exists()


@pytest.mark.gui
def test_a_network_dropped_on_the_dock_is_a_model_to_add(desk, own: Path, tmp_path: Path) -> None:
    desk.dock.open_path(network(tmp_path, conv(1)))
    desk.until(lambda: desk.dock.running.adding.form is not None)
    form = desk.dock.running.adding.form
    assert desk.dock.ai.isVisible() and form.isVisible()
    choose(form.values, "each image: mean")
    desk.order(slow=5)
    desk.click(form.add)
    desk.until(lambda: "Window" in desk.dock.ai.adding.text())
    assert desk.dock.header.cancel.isVisible()
    desk.click(desk.dock.header.cancel)
    desk.until(desk.dock.ai.add_button.isEnabled)
    assert list(own.iterdir()) == []


@pytest.mark.gui
def test_a_package_needs_no_form_and_a_second_one_of_its_name_is_refused(desk, own: Path, tmp_path: Path) -> None:
    folder = package(tmp_path / "from", segmenter("given"))
    ask(desk, folder / "rdf.yaml")
    desk.until(lambda: desk.dock.ai.model is not None and desk.dock.ai.model.spec.name == "given")
    assert (own / "given" / "rdf.yaml").is_file()
    desk.until(desk.dock.ai.add_button.isEnabled)
    ask(desk, folder / "rdf.yaml")
    desk.until(lambda: "already a model of this name" in desk.dock.ai.error.text())


@pytest.mark.gui
def test_an_unsafe_network_is_refused_before_anything_is_asked(desk, own: Path, tmp_path: Path) -> None:
    ask(desk, network(tmp_path, conv(1), layer("Lambda")))
    desk.until(lambda: "Lambda runs Python code" in desk.dock.ai.error.text())
    assert desk.dock.running.adding.form is None and desk.dock.ai.add_button.isEnabled()


@pytest.mark.gui
def test_a_network_that_does_not_run_is_not_listed(desk, own: Path, tmp_path: Path) -> None:
    desk.order(error="ModelError")
    ask(desk, package(tmp_path / "from", segmenter("given")))
    desk.until(lambda: "as ordered" in desk.dock.ai.error.text())
    assert list(own.iterdir()) == []


@pytest.mark.gui
def test_fields_follow_what_is_chosen(qtbot, tmp_path: Path) -> None:
    form = AddModelForm(draft_answers(network(tmp_path, conv(2))))
    qtbot.addWidget(form)
    form.show()
    assert form.exclusive.isVisible() and not form.threshold.isVisible()
    choose(form.exclusive, "Several")
    assert form.threshold.isVisible()
    fill(form.threshold, "0,3")
    choose(form.values, "each image: mean")
    QTest.mouseClick(form.add, Qt.MouseButton.LeftButton)
    assert form.spec is None and "Class names" in form.error.text()
    fill(form.classes, "liver\nspleen")
    QTest.mouseClick(form.add, Qt.MouseButton.LeftButton)
    assert form.spec is not None and form.spec.decision.thresholds == (0.3, 0.3)


@pytest.mark.parametrize(
    ("text", "value"), [("0.5", 0.5), ("0,5", 0.5), ("-160", -160), ("0,125", 0.125), ("1.125", 1.125), ("−5", -5)]
)
def test_numbers_with_comma_or_point(text: str, value: float) -> None:
    assert number(text, "x") == value


@pytest.mark.parametrize("text", ["", "1,000", "1.000,5", "1e3", "nan", "inf", "0x10", "1_000", "5 mm", "٣", "1 000"])
def test_what_is_no_plain_lineis_refused(text: str) -> None:
    with pytest.raises(InputError, match="x: "):
        number(text, "x")


def test_sizes() -> None:
    assert sizes("64 x 128×96", "w") == (64, 128, 96) and sizes(" ", "w") == ()
    for text in ("64,5 x 2", "64 x", "-4 x 4", "64.0"):
        with pytest.raises(InputError, match="w: expected whole numbers"):
            sizes(text, "w")
