"""Once a person has chosen a file, it is kept up to date; nothing that was not chosen is ever written over."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medcnn.annotation.mask_lock import MaskLock
from napari_medcnn.widgets.mask_saving import _WAIT

pytestmark = pytest.mark.gui


@pytest.fixture
def hand(desk):
    """A hand that paints on a new mask of the phantom; the file is looked after at once and not after two minutes."""
    saving = desk.dock.session.saving
    saving.wait_ms = 1
    desk.open("phantom")
    desk.empty_mask()
    desk.dock.tabs.setCurrentIndex(2)
    desk.idle(0.05)
    yield desk
    saving.wait_ms, saving.by_itself = _WAIT, True


def stroke(desk, down: int = 0) -> None:
    x, y = desk.centre()
    desk.drag((x - 30, y + down), (x + 30, y + down))


def save(desk, path: Path) -> None:
    desk.dock.dialogs.target = path
    desk.click(desk.dock.correct.save)
    desk.until(lambda: path.exists() and not desk.dock.tasks.names())


def voxels(path: Path) -> int:
    """As another program reads it."""
    return int(np.count_nonzero(np.asarray(nibabel.load(path).dataobj)))


def painted(desk) -> int:
    return int(np.count_nonzero(desk.dock.layers.mask.data))


def test_changes_after_the_first_save_go_to_the_same_file_unasked(hand, tmp_path):
    path = tmp_path / "mask.nii.gz"
    stroke(hand)
    hand.idle(0.3)
    assert hand.dock.header.saved.text() == "not saved" and not list(tmp_path.iterdir())  # no file was chosen yet
    save(hand, path)
    first = voxels(path)
    assert first == painted(hand) > 0
    asked = len(hand.dock.dialogs.asked)
    stroke(hand, 40)
    hand.until(lambda: hand.dock.header.saved.text() == "saved" and not hand.dock.tasks.names())
    assert voxels(path) == painted(hand) > first
    hand.click(hand.dock.correct.undo)
    hand.until(lambda: hand.dock.header.saved.text() == "saved" and not hand.dock.tasks.names())
    assert voxels(path) == painted(hand) == first  # taken back after saving: the file too
    assert len(hand.dock.dialogs.asked) == asked


def test_who_does_not_want_it_saves_by_hand(hand, tmp_path):
    path = tmp_path / "mask.nii.gz"
    stroke(hand)
    save(hand, path)
    first = path.read_bytes()
    hand.click(hand.dock.correct.keep_up)
    stroke(hand, 40)
    hand.idle(0.3)
    assert path.read_bytes() == first and hand.dock.header.saved.text() == "not saved"
    hand.click(hand.dock.correct.keep_up)
    stroke(hand, -40)
    hand.until(lambda: hand.dock.header.saved.text() == "saved" and not hand.dock.tasks.names())
    assert voxels(path) == painted(hand)


def test_a_file_that_another_program_changed_is_left_alone_and_that_is_said(hand, tmp_path):
    path = tmp_path / "mask.nii.gz"
    stroke(hand)
    save(hand, path)
    path.write_bytes(b"theirs")
    asked = len(hand.dock.dialogs.asked)
    stroke(hand, 40)
    hand.until(lambda: "not kept up to date" in hand.dock.message.text())
    assert "changed by another program" in hand.dock.message.text()
    stroke(hand, -40)
    hand.idle(0.3)
    assert path.read_bytes() == b"theirs" and hand.dock.header.saved.text() == "not saved"
    assert len(hand.dock.dialogs.asked) == asked  # no question in the middle of a stroke
    hand.dock.dialogs.yes = True
    save(hand, path)
    hand.until(lambda: hand.dock.header.saved.text() == "saved")
    assert voxels(path) == painted(hand)


def test_a_file_that_another_window_took_over_is_left_to_it_and_that_is_said(hand, tmp_path):
    path = tmp_path / "mask.nii.gz"
    stroke(hand)
    save(hand, path)
    before, theirs = path.read_bytes(), MaskLock.take(path, over=True)
    stroke(hand, 40)
    hand.until(lambda: "not kept up to date" in hand.dock.message.text())
    assert "has this mask open" in hand.dock.message.text()
    assert path.read_bytes() == before and theirs.is_ours and hand.dock.header.saved.text() == "not saved"
    theirs.release()


def test_a_file_that_was_only_opened_is_not_written_unasked(hand, tmp_path):
    path = tmp_path / "mask.nii.gz"
    stroke(hand)
    save(hand, path)
    hand.dock.session.opening.mask(path)
    hand.until(lambda: not hand.dock.tasks.names())
    before = path.read_bytes()
    stroke(hand, 40)
    hand.idle(0.3)
    assert path.read_bytes() == before and hand.dock.header.saved.text() == "not saved"


def test_after_a_model_was_run_over_the_mask_its_file_waits_to_be_chosen(hand, tmp_path):
    path = tmp_path / "mask.nii.gz"
    stroke(hand)
    save(hand, path)
    before = path.read_bytes()
    hand.run("tiny-mask")
    hand.dock.tabs.setCurrentIndex(2)
    hand.idle(0.05)
    stroke(hand, 40)
    hand.idle(0.3)
    assert path.read_bytes() == before and hand.dock.header.saved.text() == "not saved"


def test_closing_saves_to_the_file_that_was_chosen(hand, tmp_path):
    path = tmp_path / "mask.nii.gz"
    stroke(hand)
    save(hand, path)
    hand.dock.session.saving.wait_ms = _WAIT
    stroke(hand, 40)
    hand.dock.dialogs.unsaved_answer = "save"
    asked = len(hand.dock.dialogs.asked)
    assert not hand.dock.asking.may_close()
    hand.until(lambda: hand.dock.header.saved.text() == "saved" and not hand.dock.tasks.names())
    assert voxels(path) == painted(hand)
    assert not [each for each in hand.dock.dialogs.asked[asked:] if each.startswith("save mask")]
    assert hand.dock.asking.may_close()
