"""Faults 40 and 41 in the window: a mask that somebody else has open, or has changed, is not written over unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.annotation.mask_lock import MaskLock, lock_path
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.io.read import read_labels
from napari_medcnn.io.samples import phantom
from napari_medcnn.io.save import save_labels

pytestmark = pytest.mark.gui


def mask_file(folder: Path, label: int = 1) -> Path:
    """Write a mask of the phantom: one slice of a class."""
    scan = phantom()[0]
    ids = np.zeros(scan.geometry.shape, np.uint8)
    ids[5] = label
    save_labels(LabelMap(ids, scan.geometry, LabelSet.for_ids([1, 2])), folder / "mask.nii.gz")
    return folder / "mask.nii.gz"


def opened(desk, path: Path) -> None:
    desk.open("phantom")
    desk.dock.session.opening.mask(path)
    desk.until(lambda: desk.dock.layers.mask is not None and not desk.dock.tasks.names())


def corrected(desk) -> None:
    desk.dock.tabs.setCurrentIndex(2)
    desk.idle(0.05)
    x, y = desk.centre()
    desk.drag((x - 30, y), (x + 30, y))


def saved(desk, path: Path, yes: bool) -> list[str]:
    """Save to a file and answer the question; return what was asked beside the name."""
    answers = desk.dock.dialogs
    answers.target, answers.yes, before = path, yes, len(answers.asked)
    desk.click(desk.dock.correct.save)
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.02)
    desk.until(lambda: not desk.dock.tasks.names())
    return [each for each in answers.asked[before:] if not each.startswith("save mask")]


def test_row_40_a_mask_that_another_window_has_open_says_whose_it_is_and_is_replaced_only_if_wanted(desk, tmp_path):
    path = mask_file(tmp_path)
    theirs = MaskLock.take(path)
    old = path.read_bytes()
    opened(desk, path)
    assert "has this mask open" in desk.dock.message.text()
    corrected(desk)
    asked = saved(desk, path, yes=False)
    assert len(asked) == 1 and "has this mask open" in asked[0] and path.read_bytes() == old
    assert desk.dock.header.saved.text() == "not saved" and theirs.is_ours
    saved(desk, tmp_path / "mine.nii.gz", yes=False)  # under another name nobody is asked
    assert desk.dock.header.saved.text() == "saved"
    saved(desk, path, yes=True)
    assert desk.dock.header.saved.text() == "saved" and not theirs.is_ours
    assert np.count_nonzero(read_labels(path).array) == np.count_nonzero(desk.dock.layers.mask.data)
    desk.dock.session.close_mask(keep=False)
    assert not lock_path(path).exists()


def test_row_41_a_mask_changed_by_another_program_is_not_written_over_unasked(desk, tmp_path):
    path = mask_file(tmp_path)
    opened(desk, path)
    corrected(desk)
    assert saved(desk, path, yes=False) == []  # our own file, as we read it
    mask_file(tmp_path, 2)
    other = path.read_bytes()
    x, y = desk.centre()
    desk.drag((x - 30, y + 20), (x + 30, y + 20))
    asked = saved(desk, path, yes=False)
    assert len(asked) == 1 and "changed by another program" in asked[0]
    assert path.read_bytes() == other and desk.dock.header.saved.text() == "not saved"
    saved(desk, path, yes=True)
    assert desk.dock.header.saved.text() == "saved" and path.read_bytes() != other
    assert not (read_labels(path).array == 2).any()
