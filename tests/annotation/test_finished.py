"""Finished classes as steps of the history and in the journal."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cases import ANISOTROPIC_MM
from napari_medcnn.annotation import class_steps
from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.history import History
from napari_medcnn.annotation.journal import Journal, JournalInfo
from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap

SHAPE = (2, 3, 4)
NOWHERE = (slice(0, 0),) * 3


def test_marking_is_a_step_that_the_journal_keeps(tmp_path: Path) -> None:
    labels = LabelSet.from_names(["liver", "lesion"])
    base = LabelMap(np.zeros(SHAPE, np.uint8), Geometry(SHAPE, ANISOTROPIC_MM), labels)
    history, array, journal = History(), base.array.copy(), Journal.create(tmp_path, base, JournalInfo("x"))

    def mark(now: LabelSet, label_id: int, finished: bool) -> LabelSet:
        made = class_steps.finish(now, label_id, finished)
        assert made.edit is None
        step = history.record_change(made.name, array, array.copy(), NOWHERE, classes=ClassChange(now, made.labels))
        journal.append(step)
        return made.labels

    one = mark(labels, 2, True)
    assert one.finished == {2} and one.by_id(2).name == "lesion"
    both = mark(one, 1, True)
    mark(both, 2, False)
    assert history.names == ("Class finished: lesion", "Class finished: liver", "Class not finished: lesion")
    undone = history.undo(array)
    assert undone.classes.before.finished == {1, 2}
    journal.append(undone.reversed())
    journal.close(saved=False)
    back = find_recoverable(tmp_path)[0].restore()
    assert back.labels == both and back.labels.finished == {1, 2}


def test_a_journal_of_a_finished_mask_begins_with_it(tmp_path: Path) -> None:
    labels = class_steps.finish(LabelSet.from_names(["liver"]), 1, True).labels
    base = LabelMap(np.ones(SHAPE, np.uint8), Geometry(SHAPE, ANISOTROPIC_MM), labels)
    journal = Journal.create(tmp_path, base, JournalInfo("x"))
    renamed = class_steps.rename(labels, 1, "spleen")  # stays finished, whatever else changes
    journal.append(
        History().record_change(
            renamed.name, base.array, base.array.copy(), NOWHERE, classes=ClassChange(labels, renamed.labels)
        )
    )
    journal.close(saved=False)
    back = find_recoverable(tmp_path)[0].restore().labels
    assert (back.names, back.finished) == (("spleen",), {1})
