"""The stroke journal: torn, full, locked, closed, and out of step with the clock."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cases import ANISOTROPIC_MM
from napari_medcnn.annotation import journal as journal_module
from napari_medcnn.annotation.history import History, Step
from napari_medcnn.annotation.journal import Journal, JournalInfo, lock_of
from napari_medcnn.annotation.recovery import find_recoverable, remove_empty
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import ProjectError, SaveError

SHAPE = (4, 30, 32)
COS, SIN = np.cos(0.3), np.sin(0.3)


def mask() -> LabelMap:
    array = np.zeros(SHAPE, np.uint8)
    array[1, 5:20, 4:9] = 2
    oblique = np.array([[1, 0, 0], [0, COS, -SIN], [0, SIN, COS]])
    geometry = Geometry(SHAPE, ANISOTROPIC_MM, (1 / 3, -7.1, 2e5), oblique)
    return LabelMap(array, geometry, LabelSet.from_names(["liver", "kidney"]), name="Mask of CT 5")


def steps(array: np.ndarray, count: int, seed: int = 0) -> list[Step]:
    """Paint into `array` and return what was done."""
    rng, history, snapshot, out = np.random.default_rng(seed), History(), array.copy(), []
    while len(out) < count:
        y, x = rng.integers(0, 20, 2)
        box = (slice(0, 2), slice(y, y + 6), slice(x, x + 6))
        array[box] = rng.integers(0, 3, array[box].shape)
        step = history.record_change("Brush", array, snapshot, box)
        if step:
            out.append(step)
    return out


def abandoned(folder: Path, count: int, base: LabelMap | None = None) -> tuple[Path, np.ndarray, list[np.ndarray]]:
    """Leave a journal as a killed process would; return it, the mask painted, and the mask after every step."""
    base = base or mask()
    array = np.array(base.array)
    made = Journal.create(folder, base, JournalInfo("CT 5", {"sha256": "00ff"}))
    after = []
    shadow = array.copy()
    for step in steps(array, count):
        made.append(step)
        step.apply(shadow)
        after.append(shadow.copy())
    made.close(saved=False)
    return made.path, array, after


def test_everything_comes_back_exactly(tmp_path: Path) -> None:
    path, array, _ = abandoned(tmp_path, 12)
    (found,) = find_recoverable(tmp_path)
    assert (found.path, found.steps) == (path, 12)
    assert (found.info.case, dict(found.info.source)) == ("CT 5", {"sha256": "00ff"})
    assert len(found.info.reader) == 16
    back = found.restore()
    assert np.array_equal(back.array, array)
    assert back.array.dtype == np.uint8
    assert back.geometry == mask().geometry  # every bit of every float
    assert back.labels == mask().labels
    assert back.array.flags.writeable
    assert abs(found.when - time.time()) < 600
    found.discard()
    assert find_recoverable(tmp_path) == []


def test_undo_is_a_step_like_any_other(tmp_path: Path) -> None:
    base = mask()
    array, history = np.array(base.array), History()
    snapshot = array.copy()
    journal = Journal.create(tmp_path, base, JournalInfo("x"))
    array[0, :5, :5] = 1
    journal.append(history.record_change("Brush", array, snapshot, (slice(None),) * 3))
    journal.append(history.undo(array).reversed())
    journal.close(saved=False)
    assert np.array_equal(find_recoverable(tmp_path)[0].restore().array, base.array)


@pytest.mark.parametrize("cut", range(40))
def test_a_torn_tail_is_ignored(tmp_path: Path, cut: int) -> None:
    """Cut at any byte: never a crash, always a state that was on screen (row 37)."""
    path, _, after = abandoned(tmp_path, 5)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 1 - cut * len(data) // 40])
    for found in find_recoverable(tmp_path):
        assert 1 <= found.steps < 5
        assert np.array_equal(found.restore().array, after[found.steps - 1])


def test_every_flipped_byte_ends_the_journal_there_or_is_refused(tmp_path: Path) -> None:
    path, _, after = abandoned(tmp_path, 3)
    data = path.read_bytes()
    rng = np.random.default_rng(5)
    seen = set()
    for place in rng.choice(len(data), 150, replace=False):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(damaged)
        for found in find_recoverable(tmp_path):
            assert found.steps < 3
            assert np.array_equal(found.restore().array, after[found.steps - 1])
            seen.add(found.steps)
    assert seen == {1, 2}


def test_a_frame_that_repeats_or_is_missing_ends_the_journal(tmp_path: Path) -> None:
    path, _, after = abandoned(tmp_path, 4)
    data = path.read_bytes()
    places = [len(journal_module.MAGIC)]
    while places[-1] < len(data):
        length = journal_module.FRAME.unpack_from(data, places[-1])[0]
        places.append(places[-1] + journal_module.FRAME.size + length)
    frames = [data[a:b] for a, b in itertools.pairwise(places)]
    for order, steps_left in (([0, 1, 2, 4, 5], 1), ([0, 1, 2, 3, 3, 4, 5], 2), ([0, 1, 3, 2], 0)):
        path.write_bytes(journal_module.MAGIC + b"".join(frames[i] for i in order))
        found = find_recoverable(tmp_path)
        assert [f.steps for f in found] == ([steps_left] if steps_left else [])
        if found:
            assert np.array_equal(found[0].restore().array, after[steps_left - 1])


def test_saved_work_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, mask(), JournalInfo("x"))
    for step in steps(np.array(mask().array), 3):
        journal.append(step)
    journal.close(saved=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProjectError, match="closed"):
        journal.append(steps(np.array(mask().array), 1)[0])


def test_latest_session_first_whatever_the_clock_says(tmp_path: Path) -> None:
    """The later journal has the earlier file time (row 42)."""
    first, _, _ = abandoned(tmp_path, 1)
    second, _, _ = abandoned(tmp_path, 2)
    os.utime(first, (4e9, 4e9))  # the year 2096
    os.utime(second, (1.0, 1.0))
    assert [found.path for found in find_recoverable(tmp_path)] == [second, first]


def test_a_journal_in_use_is_not_offered(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, mask(), JournalInfo("x"))
    journal.append(steps(np.array(mask().array), 1)[0])
    journal.flush()
    assert find_recoverable(tmp_path) == []
    lock = json.loads(lock_of(journal.path).read_text())
    assert lock["pid"] == os.getpid()
    lock["start"] = "another time"  # the id was given to a later process
    lock_of(journal.path).write_text(json.dumps(lock))
    assert [found.steps for found in find_recoverable(tmp_path)] == [1]
    journal.close(saved=True)


def test_a_class_added_later_widens_the_mask(tmp_path: Path) -> None:
    """Base in bytes, then class 300 (row 44)."""
    base = mask()
    journal = Journal.create(tmp_path, base, JournalInfo("x"))
    wide = base.array.astype(np.uint16)
    after = wide.copy()
    after[2, 3, 4] = 300
    box = tuple(slice(0, n) for n in SHAPE)
    journal.append(Step.of("Brush", box, wide, after))
    journal.close(saved=False)
    back = find_recoverable(tmp_path)[0].restore()
    assert np.array_equal(back.array, after)
    assert back.labels.name_of(300) == "Class 300"
    assert back.labels.name_of(2) == "kidney"


def test_no_steps_or_no_folder_is_nothing_to_recover(tmp_path: Path) -> None:
    Journal.create(tmp_path, mask(), JournalInfo("x")).close(saved=False)
    (tmp_path / "00000009-x.strokes").write_bytes(b"")
    (tmp_path / "00000010-x.strokes").write_bytes(os.urandom(500))
    assert find_recoverable(tmp_path) == []
    assert find_recoverable(tmp_path / "absent") == []


def aged(path: Path) -> Path:
    os.utime(path, (time.time() - 3600,) * 2)
    return path


def test_journals_without_a_stroke_go_and_all_others_stay(tmp_path: Path) -> None:
    """What a session leaves that is killed before its first stroke is nothing; a torn stroke is not nothing."""
    never, _, _ = abandoned(tmp_path, 0)
    one, _, _ = abandoned(tmp_path, 1)
    whole = one.read_bytes()
    base_end = _second_end(whole)
    only_base, torn = tmp_path / "00000007-a.strokes", tmp_path / "00000008-b.strokes"
    only_base.write_bytes(whole[:base_end])
    torn.write_bytes(whole[:-1])
    damaged = bytearray(whole)
    damaged[base_end - 1] ^= 1
    (tmp_path / "00000009-c.strokes").write_bytes(damaged)
    (tmp_path / "00000010-d.strokes").write_bytes(b"")
    young = tmp_path / "00000011-e.strokes"
    young.write_bytes(b"")
    for path in set(tmp_path.glob("*.strokes")) - {young}:
        aged(path)
    live = Journal.create(tmp_path, mask(), JournalInfo("x"))
    aged(live.path)
    assert remove_empty(tmp_path) == 3
    assert not never.exists() and not only_base.exists()
    assert sorted(p.name for p in tmp_path.glob("*.strokes")) == sorted(
        [one.name, torn.name, "00000009-c.strokes", young.name, live.path.name]
    )
    live.close(saved=True)
    assert remove_empty(tmp_path / "not there") == 0


def _second_end(whole: bytes) -> int:
    """Where the frame of the first mask ends: magic line, then twice length, checksum, counter (16 bytes) and body."""
    at = whole.index(b"\n") + 1
    for _ in range(2):
        at += 16 + int.from_bytes(whole[at : at + 4], "little")
    return at


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SaveError, match="file"):
        Journal.create(tmp_path / "file", mask(), JournalInfo("x"))


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are POSIX")
@pytest.mark.parametrize("room", [0, 30, 700, 1500])
def test_a_full_disk_is_named_and_no_stroke_is_lost(tmp_path: Path, room: int) -> None:
    """Rows 36 and 37: a file-size limit while strokes come in; the limit goes, and all of them are in the file."""
    import resource

    base = mask()
    array = np.array(base.array)
    todo = steps(array, 30)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = Journal.create(tmp_path, base, JournalInfo("x"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        refused = 0
        for step in todo[:20]:
            try:
                journal.append(step)
            except SaveError as error:
                refused += 1
                assert str(tmp_path) in str(error)
                assert "kept in memory" in str(error)
            limit = time.monotonic() + 10
            while journal.waiting and not journal.error and time.monotonic() < limit:
                time.sleep(0.002)
        with pytest.raises(SaveError, match="free some space"):
            journal.flush()
        assert refused
        assert journal.error
        assert journal.waiting
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for step in todo[20:]:
        try:
            journal.append(step)
        except SaveError:
            continue  # kept all the same; the next one finds the disk well again
    journal.flush()
    assert journal.error == ""
    assert journal.waiting == 0
    journal.close(saved=False)
    found = find_recoverable(tmp_path)
    assert [f.steps for f in found] == [30]
    assert np.array_equal(found[0].restore().array, array)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
@pytest.mark.parametrize("removed", ["file", "folder"])
def test_a_journal_that_somebody_removes_comes_back_whole(tmp_path: Path, removed: str) -> None:
    """A program that tidies up takes the file, or the folder, while strokes come in (row 37)."""
    folder, base = tmp_path / "recovery", mask()
    array = np.array(base.array)
    journal = Journal.create(folder, base, JournalInfo("x"))
    for number, step in enumerate(steps(array, 9)):
        if number in (4, 7):
            journal.flush()
            for path in folder.iterdir() if removed == "folder" else [journal.path]:
                path.unlink()
            if removed == "folder":
                folder.rmdir()
        journal.append(step)
    journal.flush()
    assert find_recoverable(folder) == []  # it lives: its lock is there, too
    journal.close(saved=False)
    (found,) = find_recoverable(folder)
    assert found.steps == 9
    np.testing.assert_array_equal(found.restore().array, array)


def test_a_drive_that_is_lost_is_said_and_strokes_go_on_when_it_is_back(tmp_path: Path) -> None:
    """The folder cannot be made again for a while (rows 35 and 37): strokes stay in memory meanwhile."""
    folder, base = tmp_path / "drive" / "recovery", mask()
    array = np.array(base.array)
    todo = steps(array, 6)
    journal = Journal.create(folder, base, JournalInfo("x"))
    journal.append(todo[0])
    journal.flush()
    (tmp_path / "drive").rename(tmp_path / "unplugged")
    (tmp_path / "drive").write_text("nothing is mounted here")
    for step in todo[1:4]:
        with contextlib.suppress(SaveError):
            journal.append(step)
    with pytest.raises(SaveError, match="kept in memory"):
        journal.flush()
    (tmp_path / "drive").unlink()
    (tmp_path / "unplugged").rename(tmp_path / "drive")
    for step in todo[4:]:
        with contextlib.suppress(SaveError):
            journal.append(step)
    journal.flush()
    assert (journal.error, journal.waiting) == ("", 0)
    journal.close(saved=False)
    (found,) = find_recoverable(folder)
    assert found.steps == 6
    np.testing.assert_array_equal(found.restore().array, array)


def test_fsync_at_most_every_two_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []
    real = os.fsync

    def counted(fd: int) -> None:
        calls.append(time.monotonic())
        real(fd)

    monkeypatch.setattr(journal_module.os, "fsync", counted)
    journal = Journal.create(tmp_path, mask(), JournalInfo("x"))
    begun = time.monotonic()
    for step in steps(np.array(mask().array), 60):
        journal.append(step)
        time.sleep(0.05)
    last = time.monotonic()
    while time.monotonic() < last + 3 and (not calls or calls[-1] < last):
        time.sleep(0.05)
    journal.close(saved=True)
    assert calls[0] - begun < 1.5  # the first stroke does not wait
    assert calls[-1] >= last  # the last one was synced without another stroke
    assert calls[-1] - last < 2.5
    gaps = [b - a for a, b in itertools.pairwise(calls)]
    assert gaps
    assert min(gaps) > 1.9


def test_append_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module.os, "fsync", lambda fd: time.sleep(0.7))
    todo = steps(np.array(mask().array), 10)
    journal = Journal.create(tmp_path, mask(), JournalInfo("x"))
    begun = time.monotonic()
    for step in todo:
        journal.append(step)
    assert time.monotonic() - begun < 0.6
    journal.close(saved=True)
