"""Which classes the open mask has, which are hidden or locked; what is done to them is a step of the one history."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medcnn.annotation import class_steps
from napari_medcnn.annotation.class_steps import ClassChange, ClassStep
from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.ready_step import ReadyStep, ready_step
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.labels import Colour, LabelSet
from napari_medcnn.errors import Cancelled, MedcnnError
from napari_medcnn.widgets.layers import Layers
from napari_medcnn.widgets.strokes import Strokes
from napari_medcnn.widgets.tasks import Tasks

#: Name of the task that looks through the mask for a class to merge or delete.
CHANGING = "Changing classes"


class ClassState(QObject):
    """The classes of one mask at a time.  Signals say what changed; `note` carries a line for the user."""

    classes_changed = Signal()
    #: Which classes are hidden.
    visibility_changed = Signal()
    note = Signal(str)

    def __init__(self, layers: Layers, strokes: Strokes, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.layers, self.strokes, self.tasks = layers, strokes, tasks
        self.labels = LabelSet()
        self.hidden: frozenset[int] = frozenset()
        self.locked: frozenset[int] = frozenset()
        strokes.names = lambda i: self.labels.name_of(i)
        strokes.moved.connect(self._on_moved)

    # ---- steps ---------------------------------------------------------------------------------------------------

    def change(self, made: ClassStep) -> Step | None:
        """Make a change of classes, and of the voxels it moves, as one step; None if nothing changed."""
        self.strokes.commit()
        change = ClassChange(self.labels, made.labels)
        self._take(made.labels)
        edit = made.edit
        box = (slice(0, 0),) * 3 if edit is None else edit.box
        after = np.zeros((0, 0, 0), np.uint8) if edit is None else edit.after
        return self.strokes.change(made.name, box, after, change)

    def add_class(self, name: str) -> None:
        """Add a class with the next free id, and paint it."""
        mask = self.layers.mask
        most = 255 if mask is not None and mask.data.dtype.itemsize == 1 else 65535
        before = set(self.labels.ids)
        if self._try(lambda: class_steps.add(self.labels, name, most)):
            self.choose_class(next(i for i in self.labels.ids if i not in before))

    def rename_class(self, label_id: int, name: str) -> None:
        """Give a class another name."""
        self._try(lambda: class_steps.rename(self.labels, label_id, name))

    def recolour_class(self, label_id: int, colour: Colour) -> None:
        """Give a class another colour."""
        self._try(lambda: class_steps.recolour(self.labels, label_id, colour))

    def finish_class(self, label_id: int, finished: bool) -> None:
        """Mark a class as finished, which locks it, or as not finished, which takes the lock off."""
        if self._try(lambda: class_steps.finish(self.labels, label_id, finished)):
            words = "is finished, and locked" if finished else "is not finished any more, nor locked"
            self.note.emit(f"{self.labels.name_of(label_id)} {words}.")

    def delete_class(self, label_id: int) -> None:
        """Take a class away; its voxels become background."""
        self._aside(lambda labels, mask: class_steps.delete(labels, mask, label_id))

    def merge_class(self, label_id: int, into: int) -> None:
        """Give the voxels of a class to another one, and take it away."""
        self._aside(lambda labels, mask: class_steps.merge(labels, mask, label_id, into), into)

    # ---- no steps ------------------------------------------------------------------------------------------------

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

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _try(self, make: Callable[[], ClassStep]) -> bool:
        """Make a change, or say why not; False then."""
        self.strokes.commit()  # a stroke that is not a step yet belongs to the classes before
        try:
            made = make()
        except MedcnnError as error:
            self.note.emit(str(error))
            self.classes_changed.emit()  # what was typed into the table goes
            return False
        if self.change(made) is not None and made.edit is not None:
            self.note.emit(f"{made.name}.")
        return True

    def _aside(self, make: Callable[[LabelSet, Mask], ClassStep], then_paint: int | None = None) -> None:
        """Make a change that looks through the whole mask, in a thread, or say why not; then paint a class."""
        self.strokes.commit()
        array, labels, locked, revision = self.strokes.array, self.labels, self.locked, self.strokes.revision
        if array is None:
            self.note.emit("There is no mask that could be changed; open it again.")
            return
        if self.tasks.running(CHANGING) is not None:
            self.note.emit("The classes are being changed already; wait for that, or cancel it.")
            return

        def work(cancel: Cancel) -> Events:
            yield Progress(None, CHANGING)
            made = make(labels, Mask(array, None, locked))
            ready = ready_step(made, labels, array)
            if cancel.is_set():
                raise Cancelled(f"{CHANGING} was cancelled.")
            yield Result((made, ready))

        def show(found: tuple[ClassStep, ReadyStep | None]) -> None:
            made, ready = found
            self.strokes.commit()
            if self.strokes.array is not array:
                return  # another mask came
            if self.strokes.revision != revision or self.locked != locked:
                self.note.emit(f"{made.name}: the mask was changed meanwhile, so nothing was done. Ask for it again.")
            elif ready is not None:
                self._take(made.labels)
                self.strokes.take(ready)
                if then_paint is not None:
                    self.choose_class(then_paint)
                self.note.emit(f"{made.name}.")

        task = self.tasks.start_aside(CHANGING, work, show, lambda error: self.note.emit(str(error)))
        task.cancelled.connect(lambda: self.note.emit("Cancelled: classes and mask are as they were."))

    def _take(self, labels: LabelSet) -> None:
        """Go on with these classes: what is hidden, locked or painted stays so where its class is still there.

        A class that this makes finished is locked, one that it makes unfinished is not any more.
        """
        ids, before, now = frozenset(labels.ids), self.labels.finished, labels.finished
        self.labels, self.hidden = labels, self.hidden & ids
        self.lock_classes((self.locked & ids) - (before - now) | (now - before))
        self.layers.name_classes(labels, self.hidden)
        mask = self.layers.mask
        if mask is not None and mask.selected_label and mask.selected_label not in ids and ids:
            mask.selected_label = min(ids)
        self.classes_changed.emit()

    def _on_moved(self, step: Step, backwards: bool) -> None:
        if step.classes is not None:
            self._take(step.classes.before if backwards else step.classes.after)
