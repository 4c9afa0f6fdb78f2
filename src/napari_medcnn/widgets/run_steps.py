"""Runs of a model that became steps of a mask: what stood beside the mask before and after each, for undo and redo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.history import History, Step
from napari_medcnn.annotation.ready_step import ReadyStep, ready_mask
from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.verbs.predict import PredictRequest
from napari_medcnn.widgets.jobs import MaskWork

if TYPE_CHECKING:
    from napari_medcnn.widgets.session import Session


@dataclass(frozen=True, eq=False)
class RunShown:
    """What stands beside a mask.

    Parameters
    ----------
    result, request
        A result, and the run that made it; None where no model drew the mask.
    counts
        Voxels per class id of the result's mask: to count them again would stop the window.
    locked
        Ids of the locked classes.
    """

    result: Segmentation | Classification | None
    request: PredictRequest | None
    counts: Mapping[int, int]
    locked: frozenset[int]

    @classmethod
    def of(cls, session: Session) -> RunShown:
        """Return what stands there now."""
        return cls(session.result, session.request, session.result_counts, session.locked)

    def put_back(self, session: Session) -> None:
        """Let it stand there again; `result_changed` tells."""
        session.layers.discard_maps()  # they are those of the other result
        session.result, session.request, session.result_counts = self.result, self.request, self.counts
        session.lock_classes(self.locked)
        session.classes_changed.emit()
        session.result_changed.emit()

    @property
    def without_maps(self) -> RunShown:
        """The same without maps: they are shown once, and may be a gigabyte."""
        if not isinstance(self.result, Segmentation):
            return self
        return replace(self, result=replace(self.result, uncertainty=None, probabilities=None))


@dataclass(frozen=True, eq=False)
class RunStep:
    """A run's mask compared, in its thread, with the mask that was there at that moment.

    Parameters
    ----------
    ready
        The step; None where nothing changes.
    moment
        `Strokes.moment`.
    labels
        The classes of the mask that was there.
    """

    ready: ReadyStep | None
    moment: tuple[Snapshot | None, int]
    labels: LabelSet

    @classmethod
    def of(cls, session: Session, name: str, work: MaskWork) -> RunStep | None:
        """Compare a run's mask with the one there is; None where it is no step of that one.

        For the thread of the run: people may paint meanwhile, and `holds` says later whether they did.
        """
        moment, before = session.strokes.moment, session.labels
        data = work.layer[0]
        now, after = moment[0], data if data.ndim == 3 else data[None]
        if now is None or now.shape != after.shape:
            return None
        ready = ready_mask(name, now.copy(), after, ClassChange(before, work.labels))
        return cls(None if ready is None else replace(ready, snapshot=work.snapshot), moment, before)

    def holds(self, session: Session) -> bool:
        """Return whether nothing has changed since."""
        return self.moment == session.strokes.moment and self.labels == session.labels


class RunSteps:
    """The runs among the steps of a history; those that can be neither undone nor redone any more are forgotten."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._kept: list[tuple[Step, RunShown]] = []  # what stood on the side of the step where the mask is not now

    def keep(self, step: Step, before: RunShown) -> None:
        """Remember what stood beside the mask before a run."""
        there = {id(each) for each in (*self._history.done, *self._history.undone)}
        self._kept = [kept for kept in self._kept if id(kept[0]) in there]
        if id(step) in there:
            self._kept.append((step, before.without_maps))

    def cross(self, step: Step, now: RunShown) -> RunShown | None:
        """Return what stood on the other side of a step that was undone or done again, and keep what stands `now`.

        None where the step is no run.
        """
        for number, (run, other) in enumerate(self._kept):
            if run is step:
                self._kept[number] = (run, now.without_maps)
                return other
        return None

    def since_last(self) -> int | None:
        """Return how many steps stand after the last run; None where none is done."""
        runs = {id(kept[0]) for kept in self._kept}
        for count, step in enumerate(reversed(self._history.done)):
            if id(step) in runs:
                return count
        return None

    def forget(self) -> None:
        """Another mask."""
        self._kept.clear()


def run_name(result: Segmentation | Classification) -> str:
    """Return what a run's step is called."""
    name = str(result.provenance.model.get("name", "")).strip()
    return f"Model: {name}" if name else "Model"
