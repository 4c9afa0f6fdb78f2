"""Real processes annotate and are killed at random moments; disks fill up while they save and keep strokes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import annotator_child
from annotator_child import GEOMETRY, Annotator, told
from cases import REPOSITORY
from napari_medcnn.annotation.journal import Journal, JournalInfo
from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import SaveError
from napari_medcnn.io.atomic import remove_leftovers
from napari_medcnn.io.read import read_labels
from napari_medcnn.io.save import save_labels

LOST_SECONDS = 2.0
CHILD = [sys.executable, annotator_child.__file__]


@dataclass(frozen=True)
class Killed:
    """What one kill left: strokes painted and brought back, how long before the kill the oldest lost one was made."""

    painted: int
    recovered: int
    lost_seconds: float
    saved: bool
    during_save: bool


class Workshop:
    """Starts annotators and kills them."""

    def __init__(self) -> None:
        self._forks = hasattr(os, "fork")
        self._mother = None
        if self._forks:
            pipe = subprocess.PIPE
            self._mother = subprocess.Popen(CHILD, stdin=pipe, stdout=pipe, text=True, bufsize=1, cwd=REPOSITORY)

    def start(self, folder: Path, seed: int, pause: float) -> int:
        if self._mother is None:
            return subprocess.Popen([*CHILD, str(seed), str(pause), str(folder)], cwd=REPOSITORY).pid
        assert self._mother.stdin is not None and self._mother.stdout is not None
        self._mother.stdin.write(f"{seed} {pause} {folder}\n")
        return int(self._mother.stdout.readline())

    @staticmethod
    def kill(pid: int) -> float:
        """Kill, wait until it is gone, return when it was killed."""
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        when = time.monotonic()
        while time.monotonic() < when + 30:
            try:
                os.kill(pid, 0)
            except OSError:
                return when
            time.sleep(0.002)
        raise AssertionError(f"process {pid} cannot be killed")

    def close(self) -> None:
        if self._mother is not None:
            assert self._mother.stdin is not None and self._mother.stdout is not None
            self._mother.stdin.close()
            self._mother.wait(30)
            self._mother.stdout.close()


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    made = Workshop()
    yield made
    made.close()


def kill_once(workshop: Workshop, folder: Path, seed: int, longest: float) -> Killed:
    """Let somebody annotate, kill at a random moment, and compare all that is left with what was done."""
    rng = random.Random(seed)
    folder.mkdir()
    pid = workshop.start(folder, seed, rng.choice([0.001, 0.005, 0.02, 0.05]))
    limit = time.monotonic() + 60
    try:
        while not told(folder, "kept"):
            assert time.monotonic() < limit, "the child never painted"
            time.sleep(0.002)
        # Inside the first milliseconds as often as after several syncs and saves.
        time.sleep(rng.choice([rng.uniform(0, 0.05), rng.uniform(0, longest)]))
        assert find_recoverable(folder / "recovery") == [], "the journal of a live process was offered"
    finally:
        killed = workshop.kill(pid)
    return compared(folder, seed, killed)


def compared(folder: Path, seed: int, killed: float) -> Killed:
    painted = [(int(n), float(when)) for _, n, when in told(folder, "painted")]
    saving, saved = ([int(line[1]) for line in told(folder, word)] for word in ("saving", "saved"))
    assert not told(folder, "not")
    (found,) = find_recoverable(folder / "recovery")  # offered every time
    assert found.steps >= int(told(folder, "kept")[-1][1])
    mask = found.restore()
    file = folder / "mask.nii.gz"
    on_disk = None
    if file.exists():  # a reader that is not ours, and the names
        on_disk = np.asarray(nibabel.load(file).dataobj).T
        names = read_labels(file).labels
    else:
        assert not saved
    # the file is as it was after one of the saves that were begun, and none before the last that was done
    possible = {n for n in saving if n >= max(saved, default=0)}
    person, matched = Annotator(seed), on_disk is None
    for number in range(1, max([found.steps, *saving]) + 1):
        person.act()
        if number == found.steps:
            np.testing.assert_array_equal(mask.array, person.array, "not a prefix of what was done")
            assert mask.labels == person.labels and mask.geometry == GEOMETRY
        if number in possible and on_disk is not None and np.array_equal(on_disk, person.array):
            matched = matched or names == person.labels
    assert matched, "the saved mask is none that was ever on screen"
    remove_leftovers(folder, older_than_s=-1.0)
    assert {p.name for p in folder.iterdir()} <= {"mask.nii.gz", "log.txt", "recovery"}
    found.discard()
    assert list((folder / "recovery").iterdir()) == []
    lost = [killed - when for number, when in painted if number > found.steps]
    done = len(painted)
    return Killed(done, found.steps, max(lost, default=0.0), file.exists(), bool(set(saving) - set(saved)))


def kills(workshop: Workshop, folder: Path, count: int, first_seed: int, longest: float = 3.0) -> None:
    ends = [kill_once(workshop, folder / str(seed), seed, longest) for seed in range(first_seed, first_seed + count)]
    worst = max(end.lost_seconds for end in ends)
    during, saved, strokes = (sum(getattr(e, key) for e in ends) for key in ("during_save", "saved", "painted"))
    print(
        f"{count} kills, {during} of them during a save, {saved} with a saved mask; {strokes} strokes, recovery "
        f"offered {count} times, longest loss {worst:.3f} s"
    )
    assert worst <= LOST_SECONDS


def test_six_kills_lose_nothing_and_break_no_file(tmp_path: Path, workshop: Workshop) -> None:
    """Rows 37 and 38: kill -9 while strokes come in and masks are saved."""
    kills(workshop, tmp_path, 6, 0, longest=0.2)


@pytest.mark.proof
@pytest.mark.timeout(3000)
def test_two_hundred_kills_lose_nothing_and_break_no_file(tmp_path: Path, workshop: Workshop) -> None:
    """Rows 37 and 38, at length."""
    kills(workshop, tmp_path, 200, 1000)


# --- full disks ------------------------------------------------------------------------------------------------------


class Room:
    """Leaves a folder little room: a small disk of its own, or files limited in size as by a quota."""

    def __init__(self, folder: Path, kind: str, nbytes: int) -> None:
        self.folder, self._kind, self._nbytes = folder, kind, nbytes
        folder.mkdir(exist_ok=True)

    def __enter__(self) -> Room:
        if self._kind == "disk":
            mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(self.folder)]
            if (
                not sys.platform.startswith("linux")
                or os.geteuid()
                or subprocess.run(mount, capture_output=True).returncode
            ):
                pytest.skip("a small disk cannot be mounted here (that needs root on Linux)")
        return self

    def fill(self) -> None:
        if self._kind == "disk":
            status = os.statvfs(self.folder)
            (self.folder / "ballast").write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - self._nbytes)))
        else:
            resource = pytest.importorskip("resource", reason="file-size limits are POSIX")
            self._old = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._nbytes, self._old[1]))

    def free(self) -> None:
        if self._kind == "disk":
            (self.folder / "ballast").unlink(missing_ok=True)
        elif hasattr(self, "_old"):
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, self._old)

    def __exit__(self, *error: Any) -> None:
        self.free()
        if self._kind == "disk":
            subprocess.run(["umount", str(self.folder)], check=True)


def fill_up(folder: Path, kind: str, seed: int, nbytes: int) -> int:
    """Annotate until the disk is full, go on, make room again: return how many strokes came after it was full."""
    person, noise = Annotator(seed), np.random.default_rng(seed).integers(0, 250, GEOMETRY.shape).astype(np.uint8)
    with Room(folder, kind, nbytes) as room:
        file = folder / "mask.nii.gz"
        save_labels(LabelMap(person.array, GEOMETRY, person.labels), file)
        before = file.read_bytes()
        journal = Journal.create(folder / "recovery", person.pristine, JournalInfo("case"))
        room.fill()
        done = after = 0
        while after < 20:
            full = bool(journal.error)
            try:
                journal.append(person.act())
            except SaveError as error:
                assert full and "kept in memory" in str(error)
            done, after = done + 1, after + full
            limit = time.monotonic() + 10
            while journal.waiting and not journal.error and time.monotonic() < limit:
                time.sleep(0.001)
            assert done < 20_000, "the disk never filled up"
        assert journal.waiting >= 20
        with pytest.raises(SaveError, match="unchanged"):
            save_labels(LabelMap(noise, GEOMETRY), file)
        assert file.read_bytes() == before
        assert {p.name for p in folder.iterdir()} <= {"mask.nii.gz", "recovery", "ballast"}
        room.free()
        journal.flush()
        assert (journal.waiting, journal.error) == (0, "")
        journal.close(saved=False)
        (found,) = find_recoverable(folder / "recovery")
        assert found.steps == done
        np.testing.assert_array_equal(found.restore().array, person.array)
        save_labels(LabelMap(person.array, GEOMETRY, person.labels), file)
        np.testing.assert_array_equal(np.asarray(nibabel.load(file).dataobj).T, person.array)
    return after


@pytest.mark.parametrize("kind", ["disk", "quota"])
def test_a_disk_that_fills_up_loses_neither_the_old_mask_nor_a_stroke(tmp_path: Path, kind: str) -> None:
    """Row 36: while a mask is saved and while strokes are kept."""
    fill_up(tmp_path / "full", kind, 3, 20_000)


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["disk", "quota"])
def test_disks_that_fill_up_at_any_byte(tmp_path: Path, kind: str) -> None:
    """Row 36: thirty rooms of random size, from none to a few hundred strokes."""
    rng = np.random.default_rng(7)
    for seed, nbytes in enumerate((0, 1, 30, *rng.integers(40, 40_000, 27).tolist())):
        fill_up(tmp_path / f"{kind}{seed}", kind, seed, int(nbytes))
