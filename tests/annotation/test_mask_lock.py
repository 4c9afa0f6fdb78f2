"""Two windows on one mask file: the second one hears whose it is (row 40)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cases import REPOSITORY
from napari_medcnn.annotation.mask_lock import MaskLock, lock_path
from napari_medcnn.errors import MaskHeldError

TAKE = """
import sys, time
from pathlib import Path
from napari_medcnn.annotation.mask_lock import MaskLock
lock = MaskLock.take(Path(sys.argv[1]))
print(lock.kept, flush=True)
time.sleep(60)
"""


def other_window(mask: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(mask)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    return process


def test_a_mask_open_elsewhere_is_refused_until_that_window_is_killed(tmp_path: Path) -> None:
    """Row 40, with a real process; what it leaves when it is killed stands in nobody's way."""
    mask = tmp_path / "mask.nii.gz"
    with other_window(mask) as process:
        try:
            with pytest.raises(
                MaskHeldError, match=r"mask\.nii\.gz: .* has this mask open, for 0 minutes.*another name"
            ):
                MaskLock.take(mask)
        finally:
            process.kill()
    lock = MaskLock.take(mask)
    assert lock.kept and lock.is_ours
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_two_windows_of_one_process_and_a_link_to_the_file(tmp_path: Path) -> None:
    mask, link = tmp_path / "mask.nii.gz", tmp_path / "link.nii.gz"
    mask.write_bytes(b"x")
    link.symlink_to(mask)
    first = MaskLock.take(mask)
    with pytest.raises(MaskHeldError):
        MaskLock.take(link)
    second = MaskLock.take(link, over=True)  # somebody was asked
    assert second.is_ours and not first.is_ours
    first.release()
    assert second.is_ours
    second.release()
    assert not lock_path(mask).exists()


def test_a_lock_of_another_computer_is_believed_with_its_age(tmp_path: Path) -> None:
    mask = tmp_path / "m.png"
    lock = {
        "pid": 1,
        "start": "x",
        "host": "reading-room-3",
        "node": "0",
        "user": "<b>ada\n",
        "since": time.time() - 4e4,
    }
    lock_path(mask).write_text(json.dumps(lock))
    with pytest.raises(MaskHeldError, match=r"<b>ada on reading-room-3 .* for 11 hours"):
        MaskLock.take(mask)
    for damaged in ("", "[]", "{", '{"pid": 1, "since": "x"}'):  # torn by a crash
        lock_path(mask).write_text(damaged)
        taken = MaskLock.take(mask)
        assert taken.is_ours
        taken.release()


def test_where_no_lock_can_be_nobody_is_stopped(tmp_path: Path) -> None:
    lock = MaskLock.take(tmp_path / "absent" / "m.png")
    assert not lock.kept and lock.is_ours
    lock.release()
