"""An annotator without a window: paints, undoes, renames and saves until killed; run by tests/annotation/test_kills.py.

As a program it loads everything once and then, for each line "seed pause folder" on its input, forks a process that
annotates, and answers with its id: a kill costs milliseconds and not the start of Python.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_medcnn.annotation import class_steps
from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.history import History, Step
from napari_medcnn.annotation.journal import Journal, JournalInfo
from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import SaveError
from napari_medcnn.io.save import save_labels

SHAPE = (12, 96, 80)
GEOMETRY = Geometry(SHAPE, (3.0, 0.8, 0.7), (-12.5, 7.25, 100.1))


class Annotator:
    """Does the same things in the same order for the same seed; `array` and `labels` are the mask as it stands."""

    def __init__(self, seed: int) -> None:
        self.array = np.zeros(SHAPE, np.uint8)
        self.array[3:7, 20:60, 10:50] = seed % 3 + 1
        self.labels = LabelSet.from_names(["liver", "kidney", "spleen", "tumour"])
        self.history = History()
        self._rng = np.random.default_rng(seed)
        pristine = self.array.copy()
        pristine.setflags(write=False)
        self._snapshot = Snapshot(pristine)
        self.pristine = LabelMap(pristine, GEOMETRY, self.labels)

    def act(self) -> Step:
        """Do one thing; return its step as the journal gets it."""
        step = None
        while step is None:
            dice = self._rng.random()
            step = self._undo() if dice < 0.15 else self._rename() if dice < 0.2 else self._paint()
        if step.classes is not None:
            self.labels = step.classes.after
        return step

    def _undo(self) -> Step | None:
        step = self.history.undo(self.array)
        if step is None:
            return None
        self._snapshot[step.box] = self.array[step.box]
        return step.reversed()

    def _rename(self) -> Step | None:
        change = class_steps.rename(self.labels, 1, f"liver {self._rng.integers(1000)}")
        box = tuple(slice(0, n) for n in SHAPE)
        classes = ClassChange(self.labels, change.labels)
        return self.history.record_change(change.name, self.array, self._snapshot, box, None, classes)

    def _paint(self) -> Step | None:
        z, y, x = (int(self._rng.integers(0, n - 8)) for n in SHAPE)
        box = (slice(z, z + int(self._rng.integers(1, 8))), slice(y, y + 8), slice(x, x + 8))
        self.array[box] = self._rng.integers(0, 5)
        return self.history.record_change("Brush", self.array, self._snapshot, box)


def teller(folder: Path) -> Callable[..., None]:
    """Return what adds a line to the log of a folder, each at once: a kill tears the last one at most."""
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(*words: object) -> None:
        os.write(log, (" ".join(map(str, words)) + "\n").encode())

    return say


def told(folder: Path, word: str) -> list[list[str]]:
    """Return the whole lines of the log that begin with a word; the last line may be torn."""
    log = folder / "log.txt"
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    return [line.split() for line in lines if line.startswith(word + " ")]


def check_sum(ids: Array) -> str:
    """Return the check sum of class ids below 256, whatever type holds them."""
    return hashlib.sha256(np.ascontiguousarray(ids, np.uint8).tobytes()).hexdigest()


def annotate(folder: Path, seed: int, pause: float) -> None:
    """Paint and save for ever, as the session does: steps into a journal, a copy of the mask by another thread.

    ``log.txt`` says what happened, a line each: "painted 12 <clock>", "kept 12", "saving 12", "saved 12".
    """
    person, say = Annotator(seed), teller(folder)
    journal = Journal.create(folder / "recovery", person.pristine, JournalInfo(f"case {seed}", {"sha256": "ab" * 32}))
    saving: threading.Thread | None = None
    number = 0
    while True:
        journal.append(person.act())
        number += 1
        say("painted", number, time.monotonic())
        if not journal.waiting:
            say("kept", number)
        if saving is None or not saving.is_alive():
            mask = LabelMap(person.array.copy(), GEOMETRY, person.labels)
            saving = threading.Thread(target=_save, args=(mask, folder / "mask.nii.gz", number, say))
            saving.start()
        time.sleep(pause)


def _save(mask: LabelMap, path: Path, number: int, say) -> None:
    say("saving", number)
    try:
        save_labels(mask, path)
    except SaveError as error:
        say("not saved", number, error)
    else:
        say("saved", number)


def main() -> None:
    if len(sys.argv) > 1:  # where processes do not fork
        annotate(Path(sys.argv[3]), int(sys.argv[1]), float(sys.argv[2]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed leave nothing behind
    for line in sys.stdin:
        seed, pause, folder = line.rstrip("\n").split(" ", 2)
        child = os.fork()
        if not child:
            try:
                annotate(Path(folder), int(seed), float(pause))
            finally:
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
