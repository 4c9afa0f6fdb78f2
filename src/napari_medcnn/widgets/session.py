"""What is open in one dock: a scan, its mask with classes and strokes, and whether it is saved."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_medcnn.annotation.recovery import Recovery
from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.labels import Label, LabelSet, default_colour
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.volume import Volume
from napari_medcnn.core.who import NOBODY, Who
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.found import Found
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.verbs import save
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.dialogs import DatasetEntry
from napari_medcnn.widgets.layers import Layers
from napari_medcnn.widgets.mask_record import provenance_of
from napari_medcnn.widgets.open_scans import OpenScan, from_layer
from napari_medcnn.widgets.opening import OPENING, Opening
from napari_medcnn.widgets.result_view import DOUBT
from napari_medcnn.widgets.run_jobs import Predicted
from napari_medcnn.widgets.strokes import Strokes
from napari_medcnn.widgets.tasks import Tasks

READ_ONLY = "This scan is damaged and open read-only: nothing can be drawn on it, laid over it or run on it."
#: What an empty mask starts with.
FIRST_CLASS = LabelSet.from_names(["Class 1"])


class Session(QObject):
    """One case at a time.  Signals say what changed; `failed` carries an error, `note` a line for the user."""

    scan_changed = Signal()
    found_changed = Signal()
    beside_changed = Signal()
    mask_changed = Signal()
    classes_changed = Signal()
    #: Which classes are hidden.
    visibility_changed = Signal()
    saved_changed = Signal()
    failed = Signal(object)
    note = Signal(str)

    def __init__(self, layers: Layers, strokes: Strokes, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.layers, self.strokes, self.tasks = layers, strokes, tasks
        self.scan: Volume | None = None
        #: Further scans that were opened beside it: channels for a model, cases to run it on, or to look at.
        self.seconds: list[jobs.Second] = []
        self.found: Found | None = None
        #: What the open scan came from: its item, and what the user agreed to.
        self.opened: jobs.Opened | None = None
        self.result: Segmentation | Classification | None = None
        #: Names of scans and files met so far: each may name a patient, and Hide names takes them off the screen.
        self.names: set[str] = set()
        self.files: frozenset[str] = frozenset()
        self.labels = LabelSet()
        self.hidden: frozenset[int] = frozenset()
        self.locked: frozenset[int] = frozenset()
        #: The file the mask was read from or last saved to; None for a new one.
        self.mask_file: Path | None = None
        self._journal: Any = None
        self._recovery: Recovery | None = None
        self._saved = ""
        self.opening = Opening(self)
        strokes.names = lambda i: self.labels.name_of(i)
        strokes.changed.connect(self._on_strokes)
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
            self.show_mask(opened.mask, "saved")
            notes = opened.mask.layer[1]["metadata"][KEY]["notes"]
            if notes:
                self.note.emit("Mask: " + " ".join(notes))

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
        self.scan = self.result = self.opened = None
        self.seconds = []
        self.layers.close_case()

    def close_scan(self) -> None:
        """Close everything."""
        self.close_mask(keep=True)
        self.put_scan_away()
        self.found = None
        self.found_changed.emit()
        self.scan_changed.emit()

    # ---- the mask ------------------------------------------------------------------------------------------------

    def show_mask(self, work: jobs.MaskWork, saved: str) -> None:
        """Show a mask in the place of the one before; `saved` are the words for the header."""
        in_place = self.layers.takes_mask(work.layer)
        self._leave_mask(keep=True)
        if not in_place and self.layers.mask is not None:
            self.layers.discard(self.layers.mask)
        self.labels, self.hidden, self.locked = work.labels, frozenset(), frozenset()
        if in_place:
            self.layers.replace_mask(work.layer, work.labels)
        else:
            self.layers.add_mask(work.layer, work.labels)
        self._journal = work.journal
        self.strokes.begin(work.snapshot, work.counts, work.journal)
        self._saved = saved
        if work.warning:
            self.note.emit(f"Strokes cannot be kept on disk: {work.warning}")
        self.mask_changed.emit()
        self.saved_changed.emit()

    def show_predicted(self, predicted: Predicted) -> None:
        """Show a result with its maps; of these only the first, where the model is undecided, is seen at once."""
        if predicted.mask is not None:
            self.show_mask(predicted.mask, "not saved")
        self.result = predicted.result
        for kind, parts in predicted.maps.items():
            self.layers.add_maps(kind, parts, visible=kind == DOUBT)

    def start_empty_mask(self) -> None:
        """Begin a mask by hand."""
        if self.read_only:
            self.note.emit(READ_ONLY)
        elif self.scan is not None:
            labels = self.labels if len(self.labels) else FIRST_CLASS
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
        self._recovery, self.result, self._saved = None, None, ""
        self.mask_file = None
        self.layers.discard_maps()

    def shut_down(self) -> None:
        """The dock goes: strokes that were not saved stay in their journal; layers stay in the viewer."""
        self.strokes.commit()
        unsaved = self.strokes.unsaved > 0
        self.strokes.end()
        if self._journal is not None:
            self._end_journal(saved=not unsaved)

    def _end_journal(self, saved: bool) -> None:
        """Close it in a thread of its own: it may have to wait for the disk."""
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
            if self._journal is not None:
                self._end_journal(saved=not unsaved)
            self.mask_changed.emit()
            self.saved_changed.emit()
        if self.layers.scan is None and self.scan is not None and not self.layers.shows_scan:
            self.scan = self.result = self.opened = None
            self.seconds = []
            self.scan_changed.emit()

    # ---- classes -------------------------------------------------------------------------------------------------

    def add_class(self, name: str) -> None:
        """Add a class with the next free id."""
        taken = set(self.labels.ids)
        new_id = next(i for i in range(1, 65536) if i not in taken)
        mask = self.layers.mask
        if mask is not None and new_id > 255 and mask.data.dtype.itemsize == 1:
            self.note.emit("This mask holds at most 255 classes.")
            return
        self._set_labels(lambda: self.labels.with_label(Label(new_id, name, default_colour(new_id))))
        self.choose_class(new_id)

    def rename_class(self, label_id: int, name: str) -> None:
        """Give a class another name."""
        old = self.labels.by_id(label_id)
        self._set_labels(lambda: self.labels.with_label(replace(old, name=name)))

    def _set_labels(self, make: Callable[[], LabelSet]) -> None:
        try:
            self.labels = make()
        except MedcnnError as error:
            self.note.emit(str(error))
        self.layers.name_classes(self.labels, self.hidden)
        self.classes_changed.emit()

    def hide_classes(self, hidden: frozenset[int]) -> None:
        """Show all classes but these."""
        self.hidden = hidden
        self.layers.name_classes(self.labels, hidden)
        self.visibility_changed.emit()

    def lock_classes(self, locked: frozenset[int]) -> None:
        """Leave the voxels of these classes as they are, whatever is painted."""
        self.locked = self.strokes.locked = locked

    def choose_class(self, label_id: int) -> None:
        """Paint this class from now on."""
        mask = self.layers.mask
        if mask is not None and (label_id == 0 or label_id in self.labels):
            mask.selected_label = label_id

    # ---- saving --------------------------------------------------------------------------------------------------

    @property
    def saved_words(self) -> str:
        """Is what stands on the screen on disk: "saved", "saving ...", "not saved", or "" without a mask."""
        return "" if self.layers.mask is None else self._saved

    @property
    def has_unsaved_strokes(self) -> bool:
        """True if a person's work would be lost without the journal."""
        self.strokes.commit()
        return self.strokes.active and self.strokes.unsaved > 0

    def save_mask(self, path: Path, then: Callable[[Path], None] | None = None) -> None:
        """Write the mask as it stands now, on the scan's own grid, with the record of how it was made."""
        self.strokes.commit()
        try:
            mask = self.layers.mask_value()
        except MedcnnError as error:
            self.failed.emit(error)
            return
        self.names.add(str(path))
        saved_up_to = self.strokes.unsaved
        request = save.SaveRequest(mask, path, self.provenance())

        def done(written: Path) -> None:
            self.mask_file = written
            self.strokes.unsaved -= saved_up_to
            self._saved = "saved" if self.strokes.unsaved <= 0 else "not saved"
            if self.strokes.unsaved <= 0:
                self._renew_journal()
            self.note.emit(f"Saved: {written.name}")
            self.saved_changed.emit()
            if then is not None:
                then(written)

        def failed(error: MedcnnError) -> None:
            self._saved = "not saved"
            self.saved_changed.emit()
            self.failed.emit(error)

        self._saved = "saving ..."
        self.saved_changed.emit()
        self.tasks.start("Saving", lambda cancel: save.run(request, cancel), done, failed)

    def provenance(self) -> dict[str, Any]:
        """Return how the mask was made, with a note if a person corrected it."""
        corrected = bool(self.strokes.unsaved or self.strokes.history.can_undo)
        return provenance_of(self.result, corrected, self._recovery is not None)

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
        self.tasks.start("Saving", work, self._added, self.failed.emit)

    def _added(self, table: Path) -> None:
        self.note.emit(f"Added to {table.parent.name}/{table.name}.")

    def save_scores(self, path: Path) -> None:
        """Write the class scores of the case."""
        if self.result is not None:
            self.names.add(str(path))
            request = save.SaveRequest(self.result, path)
            done = self._scores_saved
            self.tasks.start("Saving", lambda cancel: save.run(request, cancel), done, self.failed.emit)

    def _scores_saved(self, path: Path) -> None:
        self.note.emit(f"Saved: {path.name}")

    def _renew_journal(self) -> None:
        """After saving, the journal of the old strokes goes, and so does the recovered one."""
        if self._recovery is not None:
            recovery, self._recovery = self._recovery, None
            try:
                recovery.discard()
            except MedcnnError as error:
                self.note.emit(str(error))

    def _on_strokes(self) -> None:
        if self.strokes.unsaved > 0 and self._saved != "saving ...":
            self._saved = "not saved"
        self.saved_changed.emit()
