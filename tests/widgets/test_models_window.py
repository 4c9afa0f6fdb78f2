"""The window of models, and programs of the user's own as models; real clicks, real child processes."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_medcnn.core import paths
from napari_medcnn.core.command import CommandModel
from napari_medcnn.io.commands import commands_file, list_commands, save_command, templates
from napari_medcnn.io.packages import read_package
from napari_medcnn.widgets.command_form import CommandForm
from tiny_packages import nifti, package, segmenter

pytestmark = [pytest.mark.gui, pytest.mark.own_window]

STUB = """
import sys, time
import nibabel, numpy as np
what, given, out = sys.argv[1:4]
image = nibabel.load(given)
data = np.asarray(image.dataobj)
if what == "hang":
    print("10 % done", flush=True)
    time.sleep(60)
if what == "die":
    print("no licence found", file=sys.stderr)
    sys.exit(3)
if what == "nothing":
    sys.exit(0)
mask = (data > data.mean()).astype(np.uint8)
if what == "grid":
    mask = mask[:-1]
nibabel.save(nibabel.Nifti1Image(mask, image.affine), out)
"""


@pytest.fixture
def clean():
    """Leave no programs behind for other tests."""
    yield
    commands_file().unlink(missing_ok=True)


@pytest.fixture
def own(tmp_path: Path):
    """A model in the user's own folder."""
    made = shutil.copytree(package(tmp_path, segmenter("tiny-own", title="My own")), paths.user_models() / "tiny-own")
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def window(own, desk):
    """The window of models, open."""
    desk.dock.running.find_models()
    desk.until(lambda: not desk.dock.tasks.names())
    desk.click(desk.dock.start.models_button)
    desk.until(lambda: desk.dock.running.managing.window.isVisible())
    return desk.dock.running.managing.window


def select(window, title: str) -> int:
    """Choose a model; return its row."""
    titles = [window.table.item(i, 0).text() for i in range(window.table.rowCount())]
    assert title in titles
    window.table.selectRow(titles.index(title))
    return titles.index(title)


def finish(desk) -> None:
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.05)


def test_shipped_and_own_models_are_listed_with_size_licence_and_hash(desk, window) -> None:
    row = select(window, "My own")
    cells = [window.table.item(row, column).text() for column in range(6)]
    sha = read_package(paths.user_models() / "tiny-own").spec.sha256
    assert cells[:2] == ["My own", "masks, 3D"] and cells[3:] == ["CC0-1.0", sha[:12], "yours"]
    files = [f for f in (paths.user_models() / "tiny-own").iterdir() if f.is_file()]
    assert cells[2] == f"{max(1, round(sum(f.stat().st_size for f in files) / 1000))} kB"
    assert str(paths.user_models() / "tiny-own") in window.place.text()
    desk.click(window.copy)
    assert QApplication.clipboard().text() == sha and sha in window.words.text()
    origins = {window.table.item(i, 5).text() for i in range(window.table.rowCount())}
    assert origins == {"shipped", "yours", "a folder"}
    shipped = next(i for i in range(window.table.rowCount()) if window.table.item(i, 5).text() == "shipped")
    window.table.selectRow(shipped)
    assert not window.remove.isEnabled() and "Comes with the program" in window.remove.toolTip()


def test_self_test_and_faster_engines_answer_in_words(desk, window, monkeypatch) -> None:
    select(window, "My own")
    desk.click(window.test)
    finish(desk)
    assert window.words.text().startswith("✓  Self-test passed on cpu")
    monkeypatch.setattr(type(desk.dock.link), "missing_engines", lambda self: {})
    desk.click(window.faster)
    finish(desk)
    first, second = window.words.text().splitlines()
    assert first.startswith("✗  onnx gives other results and is not used")
    assert second.startswith("✓  openvino gives equal results")
    desk.order(error="ModelError")
    desk.click(window.test)
    finish(desk)
    assert window.words.text() == "✗  as ordered" and window.test.isEnabled()


def test_a_long_test_can_be_stopped(desk, window) -> None:
    select(window, "My own")
    desk.order(slow=10)
    desk.click(window.test)
    desk.until(lambda: window.cancel.isVisible() and desk.dock.link.engine.state == "busy")
    desk.click(window.cancel)
    finish(desk)
    assert window.words.text() == "Stopped." and window.test.isEnabled()


def test_remove_asks_and_the_list_follows(desk, window) -> None:
    answers = desk.dock.running.managing.dialogs
    select(window, "My own")
    answers.yes = False
    desk.click(window.remove)
    finish(desk)
    assert (paths.user_models() / "tiny-own").exists() and "Remove My own?" in answers.asked[-1]
    answers.yes = True
    desk.click(window.remove)
    finish(desk)
    assert not (paths.user_models() / "tiny-own").exists()
    assert "in case you want it back" in window.words.text()
    titles = [window.table.item(i, 0).text() for i in range(window.table.rowCount())]
    assert "My own" not in titles and not desk.dock.ai.choose("tiny-own")


# ---- programs --------------------------------------------------------------------------------------------------------


def test_the_form_wants_what_stands_in_capitals_and_keeps_lines_as_arguments(qtbot) -> None:
    form = CommandForm(templates())
    qtbot.addWidget(form)
    names = [template.name for template in templates()]
    form.template.setCurrentIndex(names.index("nnunet"))
    form.save.click()
    assert form.command is None and "DATASET" in form.error.text() and "FOLDER_OF_NNUNET_RESULTS" in form.error.text()
    form.title.setText("Spleen")
    form.name.setText("spleen")
    form.arguments.setPlainText(form.arguments.toPlainText().replace("DATASET", "9; rm -rf x"))
    form.settings.setPlainText("nnUNet_results=/opt/my results")
    form.save.click()
    command = form.command
    assert command is not None and "9; rm -rf x" in command.arguments
    assert command.environment == (("nnUNet_results", "/opt/my results"),) and command.output == "nnunet"


def stub(tmp_path: Path, what: str) -> CommandModel:
    program = tmp_path / "stub.py"
    program.write_text(STUB)
    arguments = (sys.executable, str(program), what, "{input}", "{output}")
    return CommandModel(f"stub-{what}", f"Stub {what}", arguments, licence="mine")


def with_program(desk, tmp_path: Path, what: str) -> Path:
    """Open a turned scan and choose the program."""
    save_command(stub(tmp_path, what))
    desk.dock.running.find_models()
    desk.until(lambda: not desk.dock.tasks.names())
    path = nifti(tmp_path / "turned.nii.gz", (12, 10, 8))
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.dock.tabs.setCurrentIndex(1)
    return path


def test_a_program_runs_as_a_model_and_its_mask_lies_on_the_scan(desk, tmp_path: Path, clean) -> None:
    path = with_program(desk, tmp_path, "good")
    desk.run("stub-good")
    ai = desk.dock.ai
    assert ai.error.text() == ""
    data = np.asarray(nibabel.load(path).dataobj)
    how = desk.dock.layers.scan.metadata["medcnn"]["how"]
    np.testing.assert_array_equal(desk.dock.layers.mask.data == 1, how.apply((data > data.mean()).T))
    assert not ai.options.doubt.isVisible() and ai.forecast.text() == ""
    assert desk.dock.session.result.provenance.model["licence"] == "mine"
    assert "stub-good" in desk.dock.running.as_command()


@pytest.mark.parametrize(("what", "words"), [("die", "no licence found"), ("grid", "grid"), ("nothing", "nothing")])
def test_a_program_that_fails_is_told_in_words(desk, tmp_path: Path, clean, what: str, words: str) -> None:
    with_program(desk, tmp_path, what)
    desk.run(f"stub-{what}")
    said = desk.dock.ai.error.text()
    assert f"Stub {what}" in said and words in said.lower() and "Traceback" not in said
    assert desk.dock.layers.mask is None and desk.dock.ai.run.isEnabled()


def test_a_program_that_hangs_can_be_cancelled(desk, tmp_path: Path, clean) -> None:
    with_program(desk, tmp_path, "hang")
    desk.start_run("stub-hang")
    desk.until(lambda: "10 % done" in desk.dock.ai.doing.text(), 30)
    start = time.monotonic()
    desk.click(desk.dock.header.cancel)
    desk.until(lambda: not desk.dock.tasks.names())
    assert time.monotonic() - start < 10 and desk.dock.ai.error.text() == ""
    assert desk.dock.ai.run.isEnabled()


def test_a_program_is_removed_from_the_list_only(desk, tmp_path: Path, clean) -> None:
    with_program(desk, tmp_path, "good")
    desk.click(desk.dock.ai.manager_button)
    window = desk.dock.running.managing.window
    desk.until(window.isVisible)
    row = select(window, "Stub good")
    assert window.table.item(row, 5).text() == "your program" and not window.test.isEnabled()
    desk.click(window.remove)
    finish(desk)
    assert list_commands() == [] and (tmp_path / "stub.py").exists()
    assert "program itself stays" in desk.dock.running.managing.dialogs.asked[-1]
