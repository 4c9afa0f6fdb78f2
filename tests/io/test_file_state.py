"""A mask file that another program wrote to is never written over unasked (row 41)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.core.events import Cancel, Failed, Result
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import ChangedOnDiskError
from napari_medcnn.io import file_state, save
from napari_medcnn.io.file_state import FileState
from napari_medcnn.io.save import save_labels
from napari_medcnn.verbs.save import SaveRequest, run

GRID = Geometry((2, 6, 5), (3.0, 0.8, 0.7))


def mask(value: int) -> LabelMap:
    return LabelMap(np.full(GRID.shape, value, np.uint8), GRID)


def other_program(path: Path) -> None:
    """Change one byte; size and times are as before."""
    there, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "words"),
    [(other_program, "changed by another program"), (emptied, "changed by"), (Path.unlink, "removed or renamed")],
)
def test_a_changed_file_stays_as_it_is(tmp_path: Path, change, words: str) -> None:
    path = tmp_path / "m.nii"
    save_labels(mask(1), path)
    seen = FileState.of(path)
    change(path)
    now = path.read_bytes() if path.exists() else None
    with pytest.raises(ChangedOnDiskError, match=words) as caught:
        save_labels(mask(2), path, seen)
    for choice in ("under another name", "open the file", "Save as"):
        assert choice in str(caught.value)
    assert (path.read_bytes() if path.exists() else None) == now
    assert list(tmp_path.iterdir()) == ([path] if now is not None else [])


def test_a_file_that_came_in_the_meantime(tmp_path: Path) -> None:
    path = tmp_path / "m.nii"
    seen = FileState.of(path)
    assert not seen.is_there
    path.write_text("of somebody else")
    (event,) = [e for e in run(SaveRequest(mask(1), path, seen=seen), Cancel()) if isinstance(e, Result | Failed)]
    assert isinstance(event, Failed) and "in the meantime" in str(event.error)
    assert path.read_text() == "of somebody else"


def test_what_nobody_changed_is_written(tmp_path: Path) -> None:
    path = tmp_path / "m.nii"
    save_labels(mask(1), path, FileState.of(path))
    seen = FileState.of(path)
    os.utime(path, (1.0, 1.0))  # touched, and copied to another place on the disk: the content is the same
    path.rename(tmp_path / "x")
    path.write_bytes((tmp_path / "x").read_bytes())
    save_labels(mask(2), path, seen)
    assert not seen.same_as(FileState.of(path))


def test_a_change_while_it_is_written_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.nii"
    save_labels(mask(1), path)
    seen, real = FileState.of(path), save.read_labels

    def meanwhile(temporary: Path):
        other_program(path)
        return real(temporary)

    monkeypatch.setattr(save, "read_labels", meanwhile)
    with pytest.raises(ChangedOnDiskError):
        save_labels(mask(2), path, seen)


def test_of_a_large_file_size_and_time_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_state, "_HASHED_BYTES", 10)
    path = tmp_path / "m"
    path.write_bytes(bytes(100))
    seen = FileState.of(path)
    assert seen.sha256 == "" and seen.same_as(FileState.of(path))
    path.write_bytes(bytes(101))
    assert not seen.same_as(FileState.of(path))
