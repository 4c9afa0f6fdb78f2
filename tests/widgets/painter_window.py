"""An annotator in a window of its own who paints with real mouse events, and may save, until killed.

    python painter_window.py SCAN FOLDER SEED SAVES    # run by test_kills_window.py

FOLDER gets ``mask.nii.gz`` and ``log.txt``, a line for each thing that happens:

    press 4 <clock>         the mouse goes down, or Ctrl+Z; four steps were made before
    step 5 <sum> <names>    the fifth step goes into the journal; check sum of the mask on screen, its classes
    over 5                  the mouse is up again, five steps are made
    saving 5 <sum>          a click on Save, when the mask on the scan's own grid has this check sum
    saved 5                 the window says that it is saved
    failed <words>          something went wrong
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from annotator_window import desk_of
from qtpy.QtCore import Qt

import fake_engine
from annotator_child import check_sum, teller
from napari_medcnn.annotation.history import Step
from napari_medcnn.widgets.launch import open_window

CTRL = Qt.KeyboardModifier.ControlModifier
TURNS = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


class Painter:
    """Does one thing after the other in a window."""

    def __init__(self, desk, folder: Path, seed: int, saves: bool) -> None:
        self.desk, self.dock, self.strokes = desk, desk.dock, desk.dock.strokes
        self.say, self.saves, self.random = teller(folder), saves, np.random.default_rng(seed)
        self.saving = 0
        answers = sys.modules["desk"].Answers(target=folder / "mask.nii.gz")
        self.dock.dialogs = self.dock.correcting._dialogs = answers
        self.journal, self.strokes.journal = self.strokes.journal, self
        self.dock.session.note.connect(self._on_note)
        self.dock.session.failed.connect(lambda error: self.say("failed", error))

    def append(self, step: Step) -> None:
        """Stand in place of the journal, to tell of a step before it is on disk."""
        names = "|".join(self.dock.session.labels.names)
        self.say("step", self.strokes.revision, check_sum(self.strokes.array), names)
        self.journal.append(step)

    def _on_note(self, words: str) -> None:
        if words.startswith("Saved: "):
            self.say("saved", self.saving)
            self.saving = 0

    def paint_for_ever(self) -> None:
        """Stroke, erase, undo, turn the pages, save."""
        while True:
            dice = self.random.random()
            if self.saves and dice < 0.25 and not self.saving:
                self.save()
            elif dice < 0.4:
                self.desk.key(TURNS[int(self.random.integers(len(TURNS)))])
            else:
                self.say("press", self.strokes.revision, time.monotonic())
                self.desk.key(Qt.Key.Key_Z, CTRL) if dice < 0.5 else self.stroke()
                self.say("over", self.strokes.revision)

    def stroke(self) -> None:
        self.dock.session.choose_class(int(self.random.choice((0, *self.dock.session.labels.ids))))
        middle = np.array(self.desk.centre())
        start, end = (tuple(middle + self.random.uniform(-150, 150, 2)) for _ in range(2))
        self.desk.drag(start, end, steps=int(self.random.integers(1, 5)))

    def save(self) -> None:
        self.strokes.commit()
        self.saving = self.strokes.revision
        self.say("saving", self.saving, check_sum(self.dock.layers.mask_value().array))
        self.desk.click(self.dock.correct.save)


def main(scan: str, folder: str, seed: str, saves: str) -> None:
    viewer, dock = open_window(fake_engine.launch())
    desk = desk_of(viewer, dock)
    desk.begin()
    dock.open_path(Path(scan))
    desk.until(lambda: dock.session.scan is not None and not dock.tasks.names(), 60)
    desk.empty_mask()
    desk.until(lambda: not dock.tasks.names(), 60)
    painter = Painter(desk, Path(folder), int(seed), saves == "True")
    for name in ("second", "third"):
        dock.session.add_class(name)
    painter.paint_for_ever()


if __name__ == "__main__":
    main(*sys.argv[1:])
