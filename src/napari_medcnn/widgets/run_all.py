"""One run on all open images: one job, a row of words per scan, each mask on its own scan."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Segmentation
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs import save
from napari_medcnn.verbs.guard import relay
from napari_medcnn.widgets import run_jobs
from napari_medcnn.widgets.ai_tab import AiTab
from napari_medcnn.widgets.dialogs import Dialogs
from napari_medcnn.widgets.engine_link import EngineLink
from napari_medcnn.widgets.mask_saving import SAVING
from napari_medcnn.widgets.run_choices import RunChoices
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.tasks import Tasks

RUN_ALL = "Running on all"


class RunAll(QObject):
    """Runs, and keeps what it found so that it can be saved; `shown` carries the result on the open scan."""

    failed = Signal(object)
    shown = Signal(object)

    def __init__(self, tab: AiTab, session: Session, tasks: Tasks, link: EngineLink, choices: RunChoices) -> None:
        super().__init__(tab)
        self._tab, self._session, self._tasks, self._link, self._choices = tab, session, tasks, link, choices
        self.dialogs = Dialogs(tab)
        self.rows: list[run_jobs.Row] = []
        tab.save_all_asked.connect(self._ask_save)

    def start(self, model: Package | CommandModel, options: PredictOptions) -> None:
        """Run on every open image; the region of one scan means nothing on another and is left out."""
        scans = self._session.open_scans()
        self.rows = []
        self._session.layers.discard_masks_beside()
        self._tab.show_all("", False)
        self._tab.show_running(True)
        work = run_jobs.on_all(scans, model, options, self._link.engine, self._session.compare)
        task = self._tasks.start(RUN_ALL, work, self._done, self._failed, self._progress)
        task.cancelled.connect(self._stopped)

    def _progress(self, event: Progress) -> None:
        self._tab.show_progress(event.fraction, self._choices.words(event.message))
        if isinstance(event, run_jobs.Row):
            self._add(event)

    def _add(self, row: run_jobs.Row) -> None:
        kept = None if row.predicted is None else replace(row.predicted, step=None)  # it holds the mask there was
        self.rows.append(replace(row, predicted=kept))
        if row.layer is not None and row.predicted is not None and isinstance(row.predicted.result, Segmentation):
            self._session.layers.add_mask_beside(row.layer, row.predicted.result.mask.labels)
        elif row.predicted is not None:
            self.shown.emit(row.predicted)
        lines = [f"{one.name}: {one.words}" for one in self.rows]
        self._tab.show_all(self._choices.words("\n".join(lines)), False)

    def _end(self, last: str) -> None:
        self._tab.show_running(False)
        words = self._tab.all_done.text()
        self._tab.show_all(f"{words}\n{last}".strip(), bool(self._masks()))

    def _done(self, n: int) -> None:
        left_out = sum(row.words.startswith("left out") for row in self.rows)
        self._end(f"{n - left_out} of {n} done.")

    def _stopped(self) -> None:
        self._end(f"Stopped; {len(self.rows)} were done before.")

    def _failed(self, error: MedcnnError) -> None:
        self._end("")
        self._tab.show_error(self._choices.words(str(error)))
        self.failed.emit(error)

    # ---- saving --------------------------------------------------------------------------------------------------

    def _masks(self) -> list[tuple[str, Segmentation]]:
        found = [(row.name, row.predicted.result) for row in self.rows if row.predicted is not None]
        return [(name, result) for name, result in found if isinstance(result, Segmentation)]

    def _ask_save(self) -> None:
        folder = self.dialogs.masks_folder()
        if folder is not None:
            self.save(folder)

    def save(self, folder: Path) -> None:
        """Write every mask as the model drew it, named after its scan; a name that is taken gets a number."""
        masks = self._masks()

        def work(cancel: Cancel) -> Events:
            for index, (name, result) in enumerate(masks):
                yield Progress(index / len(masks), f"Saving {index + 1} of {len(masks)}")
                path = _free(folder, name, ".png" if result.mask.is_picture else ".nii.gz")
                request = save.SaveRequest(result.mask, path, result.provenance.to_json())
                yield from relay(save.run(request, cancel))
            yield Result(len(masks))

        def saved(n: int) -> None:
            self._tab.show_all(f"{self._tab.all_done.text()}\n{n} masks saved.", False)

        self._tasks.start(SAVING, work, saved, self._failed)


def _free(folder: Path, name: str, suffix: str) -> Path:
    stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "scan"
    path = folder / f"{stem}-mask{suffix}"
    number = 2
    while path.exists():
        path = folder / f"{stem}-mask-{number}{suffix}"
        number += 1
    return path
