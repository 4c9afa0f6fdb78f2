"""Runs of a model that became steps of a mask: what stood beside the mask before and after each, for undo and redo."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_medcnn.annotation.history import History, Step
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.verbs.predict import PredictRequest


@dataclass(frozen=True, eq=False)
class RunShown:
    """A result, and the run that made it; None where no model drew the mask."""

    result: Segmentation | Classification | None
    request: PredictRequest | None

    @property
    def without_maps(self) -> RunShown:
        """The same without maps: they are shown once, and may be a gigabyte."""
        if not isinstance(self.result, Segmentation):
            return self
        return RunShown(replace(self.result, uncertainty=None, probabilities=None), self.request)


class RunSteps:
    """The runs among the steps of a history; those that can be neither undone nor redone any more are forgotten."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._kept: list[tuple[Step, RunShown, RunShown]] = []

    def keep(self, step: Step, before: RunShown, after: RunShown) -> None:
        """Remember what stood beside the mask before and after a run."""
        there = {id(each) for each in (*self._history.done, *self._history.undone)}
        self._kept = [kept for kept in self._kept if id(kept[0]) in there]
        if id(step) in there:
            self._kept.append((step, before.without_maps, after.without_maps))

    def of(self, step: Step, backwards: bool) -> RunShown | None:
        """Return what holds after a step was undone or done again; None where it is no run."""
        found = next((kept for kept in self._kept if kept[0] is step), None)
        if found is None:
            return None
        return found[1] if backwards else found[2]

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
