"""What is open in one dock: a scan, its mask with classes and strokes, and whether it is saved."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.recovery import Recovery
from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.volume import Volume
from napari_medcnn.core.who import NOBODY, Who
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.found import Found
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.verbs.predict import PredictRequest
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.class_state import ClassState
from napari_medcnn.widgets.dialogs import DatasetEntry
from napari_medcnn.widgets.layers import Layers
from napari_medcnn.widgets.mask_file import MaskFile, OpenFile
from napari_medcnn.widgets.mask_record import provenance_of
from napari_medcnn.widgets.mask_saving import SAVING, MaskSaving
from napari_medcnn.widgets.open_scans import OpenScan, from_layer
from napari_medcnn.widgets.opening import OPENING, Opening
from napari_medcnn.widgets.result_view import DOUBT
from napari_medcnn.widgets.run_jobs import Predicted
from napari_medcnn.widgets.run_steps import RunShown, RunStep, RunSteps, run_name
from napari_medcnn.widgets.strokes import Strokes
from napari_medcnn.widgets.tasks import Tasks

READ_ONLY = "This scan is damaged and open read-only: nothing can be drawn on it, laid over it or run on it."
#: What an empty mask starts with.
FIRST_CLASS = LabelSet.from_names(["Class 1"])


class Session(ClassState):
    """One case at a time.  Signals say what changed; `failed` carries an error, `note` a line for the user."""

    scan_changed = Signal()
    found_changed = Signal()
    beside_changed = Signal()
    mask_changed = Signal()
    #: Undo or redo of a model's run brought back what was there before or after it.
    result_changed = Signal()
    saved_changed = Signal()
    failed = Signal(object)

    def __init__(self, layers: Layers, strokes: Strokes, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(layers, strokes, tasks, parent)
        self.runs = RunSteps(strokes.history)
        self.scan: Volume | None = None
        #: Further scans that were opened beside it: channels for a model, cases to run it on, or to look at.
        self.seconds: list[jobs.Second] = []
        self.found: Found | None = None
        #: What the open scan came from: its item, and what the user agreed to.
        self.opened: jobs.Opened | None = None
        self.result: Segmentation | Classification | None = None
        self.result_counts: Mapping[int, int] = {}  # voxels per class id of its mask
        #: The run that made the result.
        self.request: PredictRequest | None = None
        #: Names of scans and files met so far: each may name a patient, and Hide names takes them off the screen.
        self.names: set[str] = set()
        self.files: frozenset[str] = frozenset()
        self.file = OpenFile()
        self._journal: Any = None
        self._recovery: Recovery | None = None
        self.saving, self.opening = MaskSaving(self), Opening(self)
        layers.removed.connect(self._on_removed)

    # ---- scans ---------------------------------------------------------------------------------------------------

    @property
    def beside(self) -> list[Volume]:
        """The scans beside the open one."""
        return [second.scan for second in self.seconds]

    def add_beside(self, ready: jobs.Opened) -> None:
        """Put one more scan beside the one that is open; it is not seen yet."""
        if ready.scan is None:
            return
        if ready.item is None or ready.item.study is None:
            self.names.add(ready.scan.name)
        self.seconds.append(jobs.Second(ready, ready.scan, self.layers.add_beside(ready.layers)))
        self.beside_changed.emit()
        self.note.emit(f"Opened beside: {ready.scan.name}")

    def remove_beside(self, number: int) -> None:
        """Close a scan beside the open one; the first of them is 1."""
        second = self.seconds.pop(number - 1)
        for layer in second.layers:
            self.layers.discard(layer)
        self.beside_changed.emit()

    def open_scans(self) -> list[OpenScan]:
        """Return every scan in the window: the open one first, those beside it, then layers of others."""
        own = [self.scan, *self.beside] if self.scan is not None else []
        return [OpenScan(v.name, v) for v in own] + [from_layer(layer) for layer in self.layers.images()]

    def show_opened(self, opened: jobs.Opened) -> None:
        """Show what was read; a new scan takes the place of the old one."""
        if opened.scan is not None:
            self.close_mask(keep=True)
            self.put_scan_away()
            self.scan, self.opened = opened.scan, opened
            if opened.item is None or opened.item.study is None:
                self.names.add(opened.scan.name)
            self.layers.add_scan(opened.layers)
            self.scan_changed.emit()
            self.opening.scan_is_there()
        elif opened.mask is not None and self.read_only:
            self.note.emit(READ_ONLY)
        elif opened.mask is not None:
            self.show_mask(opened.mask, "saved", opened.file)
            notes = opened.mask.layer[1]["metadata"][KEY]["notes"]
            if notes:
                self.note.emit(" ".join(("Mask:", *notes, "" if opened.file is None else opened.file.note)).strip())

    @property
    def read_only(self) -> bool:
        """True for a scan that is damaged: it can be looked at, and nothing else."""
        return self.consent.damaged

    @property
    def consent(self) -> Consent:
        """What the user agreed to for the open scan."""
        return NONE if self.opened is None else self.opened.consent

    @property
    def who(self) -> Who:
        """Of whom and when the open scan is."""
        return NOBODY if self.opened is None else self.opened.who

    def put_scan_away(self) -> None:
        """Take the layers of the case away; what was found stays, and so does what `opened` holds elsewhere."""
        self.scan = self.result = self.request = self.opened = None  # a request holds the voxels of the scan
        self.seconds = []
        self.layers.close_case()

    def close_scan(self) -> None:
        """Close everything; the classes go too, because what is opened next may be of another kind."""
        self.close_mask(keep=True)
        self.put_scan_away()
        self.labels = LabelSet()
        self.found = None
        self.found_changed.emit()
        self.scan_changed.emit()

    # ---- the mask ------------------------------------------------------------------------------------------------

    def show_mask(self, work: jobs.MaskWork, saved: str, file: MaskFile | None = None) -> None:
        """Show a mask, read from `file`, in the place of the one before; `saved` are the words for the header."""
        in_place = self.layers.takes_mask(work.layer)
        self._leave_mask(keep=True)
        self.file.keep(file)
        if not in_place and self.layers.mask is not None:
            self.layers.discard(self.layers.mask)
        self.labels, self.hidden = work.labels, frozenset()
        if in_place:
            self.layers.replace_mask(work.layer, work.labels)
        else:
            self.layers.add_mask(work.layer, work.labels)
        self._journal = work.journal
        self.strokes.begin(work.snapshot, work.counts, work.journal)
        self.lock_classes(work.labels.finished)
        self.saving.words = saved
        if work.warning:
            self.note.emit(f"Strokes cannot be kept on disk: {work.warning}")
        if file is not None and file.note:
            self.note.emit(file.note)
        self.mask_changed.emit()
        self.saved_changed.emit()

    def show_predicted(self, predicted: Predicted) -> None:
        """Show a result with its maps; of these only the first, where the model is undecided, is seen at once."""
        work = predicted.mask
        if work is not None and not self._take_run(work, predicted):
            self.show_mask(work, "not saved")
        self.result, self.request = predicted.result, predicted.request
        self.result_counts = {} if work is None else work.counts
        for kind, parts in predicted.maps.items():
            self.layers.add_maps(kind, parts, visible=kind == DOUBT)

    def compare(self, name: str, work: jobs.MaskWork) -> RunStep | None:
        """Return what a run's mask changes on the mask there is; for the thread of the run."""
        return RunStep.of(self, name, work)

    def _take_run(self, work: jobs.MaskWork, predicted: Predicted) -> bool:
        """Make a model's mask a step of the mask there is, so that undo brings that one back; False if it cannot be.

        Corrections go on in the journal they are in. Whoever had none to lose is not asked to save the model's.
        """
        if not self.strokes.active or not self.layers.takes_mask(work.layer, any_ids=True):
            return False
        self.strokes.commit()
        compared = predicted.step if predicted.step is not None and predicted.step.holds(self) else None
        before, had_none = RunShown.of(self), self.strokes.unsaved <= 0
        change = ClassChange(self.labels, work.labels)
        self.result = self.request = None
        self.layers.discard_maps()
        self.labels, self.hidden = work.labels, frozenset()
        self.lock_classes(frozenset())
        self.layers.replace_mask(work.layer, work.labels)
        ready = None if compared is None else compared.ready
        step = self.strokes.record_all(run_name(predicted.result), change, ready)
        if step is not None:
            self.runs.keep(step, before)
        if had_none:
            self.strokes.unsaved = 0
        if self._journal is None:  # the disk took none when the mask was opened, and now it does
            self._journal = self.strokes.journal = work.journal
        elif work.journal is not None:
            self._end_journal(saved=True, journal=work.journal)
        self.saving.words = "not saved"
        self.saving.ask_again()
        self.mask_changed.emit()
        self.saved_changed.emit()
        return True

    def _on_moved(self, step: Step, backwards: bool) -> None:
        """Classes go with the step, and with a run of a model what was said of it and which classes were locked."""
        now = RunShown.of(self)
        super()._on_moved(step, backwards)
        other = self.runs.cross(step, now)
        if other is not None:
            other.put_back(self)

    def start_empty_mask(self) -> None:
        """Begin a mask by hand."""
        if self.read_only:
            self.note.emit(READ_ONLY)
        elif self.scan is not None:
            labels = self.labels.unfinished() if len(self.labels) else FIRST_CLASS
            work = jobs.empty_mask(self.scan, labels)
            self.tasks.start(OPENING, work, lambda ready: self.show_mask(ready, ""), self.failed.emit)

    def recover(self, recovery: Recovery) -> None:
        """Bring unsaved work back; its journal stays until the mask is saved."""

        def show(work: jobs.MaskWork) -> None:
            self.show_mask(work, "not saved")
            self.strokes.unsaved = recovery.steps
            self._recovery = recovery
            self.note.emit("Recovered. Save the mask to keep it.")

        self.tasks.start(OPENING, jobs.recover(recovery, self.scan), show, self.failed.emit)

    def close_mask(self, keep: bool) -> None:
        """Take the mask away; unsaved strokes stay in their journal if `keep`."""
        self._leave_mask(keep)
        self.file.keep(None)
        if self.layers.mask is not None:
            self.layers.discard(self.layers.mask)
        self.mask_changed.emit()
        self.saved_changed.emit()

    def _leave_mask(self, keep: bool) -> None:
        """End what belongs to the mask that is shown: strokes, journal, maps; its layer stays."""
        self.strokes.commit()
        unsaved = self.strokes.unsaved > 0 and keep
        self.strokes.end()
        if self._journal is not None:
            self._end_journal(saved=not unsaved)
        self._recovery, self.result, self.request, self.result_counts = None, None, None, {}
        self.saving.end()
        self.runs.forget()
        self.layers.discard_maps()

    def shut_down(self) -> None:
        """The dock goes: strokes that were not saved stay in their journal; layers stay in the viewer."""
        self.strokes.commit()
        unsaved = self.strokes.unsaved > 0
        self.strokes.end()
        self.file.keep(None)
        self.saving.ask_again()
        if self._journal is not None:
            self._end_journal(saved=not unsaved)

    def _end_journal(self, saved: bool, journal: Any = None) -> None:
        """Close it, or one that is not needed, in a thread of its own: it may have to wait for the disk."""
        if journal is None:
            journal, self._journal = self._journal, None

        def close() -> None:
            try:
                journal.close(saved=saved)
            except MedcnnError as error:
                with contextlib.suppress(RuntimeError):  # the dock has gone in the meantime
                    self.failed.emit(error)

        threading.Thread(target=close, name="journal close").start()

    def _on_removed(self, layer: Any) -> None:
        """Somebody took our mask away by other means: its strokes are kept."""
        if self.strokes.active and self.layers.mask is None:
            unsaved = self.strokes.unsaved > 0
            self.strokes.end()
            self.file.keep(None)
            self.saving.ask_again()
            if self._journal is not None:
                self._end_journal(saved=not unsaved)
            self.mask_changed.emit()
            self.saved_changed.emit()
        if self.layers.scan is None and self.scan is not None and not self.layers.shows_scan:
            self.scan = self.result = self.request = self.opened = None
            self.seconds = []
            self.scan_changed.emit()

    # ---- saving --------------------------------------------------------------------------------------------------

    @property
    def saved_words(self) -> str:
        """Is what stands on the screen on disk: "saved", "saving ...", "not saved", or "" without a mask."""
        return "" if self.layers.mask is None else self.saving.words

    @property
    def has_unsaved_strokes(self) -> bool:
        """True if a person's work would be lost without the journal."""
        self.strokes.commit()
        return self.strokes.active and self.strokes.unsaved > 0

    @property
    def corrected(self) -> bool:
        """True if a person changed the mask since the model drew it, or drew it."""
        since = self.runs.since_last()
        return bool(self.strokes.unsaved or self.strokes.history.can_undo) if since is None else since > 0

    def provenance(self) -> dict[str, Any]:
        """Return how the mask was made, with a note if a person corrected it."""
        return provenance_of(self.result, self.corrected, self._recovery is not None)

    def add_to_dataset(self, entry: DatasetEntry) -> None:
        """Write the corrected case into a dataset: mask, how it was made, and its row in the table."""
        if self.scan is None:
            return
        self.strokes.commit()
        try:
            mask = self.layers.mask_value()
        except MedcnnError as error:
            self.failed.emit(error)
            return
        work = jobs.add_to_dataset(entry, self.scan, mask, self.provenance())
        self.tasks.start(SAVING, work, self._added, self.failed.emit)

    def _added(self, table: Path) -> None:
        self.note.emit(f"Added to {table.parent.name}/{table.name}.")

    def let_recovered_go(self) -> None:
        """After saving, the journal of the work that was recovered goes."""
        if self._recovery is not None:
            recovery, self._recovery = self._recovery, None
            try:
                recovery.discard()
            except MedcnnError as error:
                self.note.emit(str(error))
