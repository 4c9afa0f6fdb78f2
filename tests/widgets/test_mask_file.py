"""Faults 35, 40 and 41 in the window: a mask that cannot be saved where it lies, or that somebody else has or changed.

The first is told at opening; the others are not written over unasked.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medcnn.annotation import mask_lock
from napari_medcnn.annotation.mask_lock import MaskLock, lock_path
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.io.read import read_labels
from napari_medcnn.io.samples import phantom
from napari_medcnn.io.save import save_labels
from napari_medcnn.widgets.mask_file import NO_SAVING, MaskFile

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


def refused(*_: Any, **_named: Any) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_row_35_a_mask_in_a_read_only_folder_says_so_at_opening_and_is_saved_elsewhere(desk, tmp_path, monkeypatch):
    """Root may write anywhere and Windows has no such folders, so the answers of the system are replaced."""
    path = mask_file(tmp_path)
    old, access = path.read_bytes(), os.access
    monkeypatch.setattr(mask_lock, "open", refused, raising=False)
    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    monkeypatch.setattr(os, "access", lambda where, *a, **k: Path(where) != tmp_path and access(where, *a, **k))
    opened(desk, path)
    assert NO_SAVING.format("mask.nii.gz") in desk.dock.message.text()
    corrected(desk)  # nothing is stopped
    assert desk.dock.strokes.unsaved == 1
    saved(desk, path, yes=True)
    assert "read-only" in desk.dock.message.text() and path.read_bytes() == old
    assert desk.dock.header.saved.text() == "not saved" and desk.dock.strokes.unsaved == 1
    (tmp_path / "elsewhere").mkdir()
    saved(desk, tmp_path / "elsewhere" / "mine.nii.gz", yes=True)
    assert desk.dock.header.saved.text() == "saved"


def test_a_write_protected_mask_says_so_at_opening_and_stays_as_it_is(desk, tmp_path):
    path = mask_file(tmp_path)
    old = path.read_bytes()
    path.chmod(0o444)
    opened(desk, path)
    assert "mask.nii.gz: this file is write-protected" in desk.dock.message.text()
    corrected(desk)  # nothing is stopped
    saved(desk, path, yes=True)
    assert "write-protected; save under another name" in desk.dock.message.text() and path.read_bytes() == old
    assert desk.dock.header.saved.text() == "not saved" and desk.dock.strokes.unsaved == 1
    saved(desk, tmp_path / "mine.nii.gz", yes=True)
    assert desk.dock.header.saved.text() == "saved"


def test_a_folder_that_takes_files_is_not_spoken_of(tmp_path, monkeypatch):
    file = MaskFile.opened(mask_file(tmp_path), None)
    assert file.note == "" and file.lock is not None and file.lock.kept
    file.release()
    monkeypatch.setattr(mask_lock, "open", refused, raising=False)  # a name too long for a lock beside it
    assert MaskFile.opened(mask_file(tmp_path), None).note == ""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_row_35_a_mask_on_a_read_only_disk_is_told_as_often_as_it_is_opened(tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "disk").mkdir()
    disk = str(tmp_path / "disk")
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        path = Path(shutil.copy(mask_file(tmp_path / "from"), disk))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        first = MaskFile.opened(path, None)
        again = MaskFile.opened(path, first)
        assert first.note == again.note == NO_SAVING.format("mask.nii.gz")
        first.release()
    finally:
        subprocess.run(["umount", disk], check=True)
