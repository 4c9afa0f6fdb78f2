"""Which classes the open mask has, which are hidden or locked; what is done to them is a step of the one history."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medcnn.annotation import class_steps
from napari_medcnn.annotation.class_steps import ClassChange, ClassStep
from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.labels import Colour, LabelSet
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.widgets.layers import Layers
from napari_medcnn.widgets.strokes import Strokes


class ClassState(QObject):
    """The classes of one mask at a time.  Signals say what changed; `note` carries a line for the user."""

    classes_changed = Signal()
    #: Which classes are hidden.
    visibility_changed = Signal()
    note = Signal(str)

    def __init__(self, layers: Layers, strokes: Strokes, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.layers, self.strokes = layers, strokes
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

    def delete_class(self, label_id: int) -> None:
        """Take a class away; its voxels become background."""
        self._try(lambda: class_steps.delete(self.labels, self._mask(), label_id))

    def merge_class(self, label_id: int, into: int) -> None:
        """Give the voxels of a class to another one, and take it away."""
        if self._try(lambda: class_steps.merge(self.labels, self._mask(), label_id, into)):
            self.choose_class(into)

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

    def _mask(self) -> Mask:
        array = self.strokes.array
        if array is None:
            raise InputError("There is no mask that could be changed; open it again.")
        return Mask(array, None, self.locked)

    def _take(self, labels: LabelSet) -> None:
        """Go on with these classes: what is hidden, locked or painted stays so where its class is still there."""
        ids = frozenset(labels.ids)
        self.labels, self.hidden = labels, self.hidden & ids
        self.lock_classes(self.locked & ids)
        self.layers.name_classes(labels, self.hidden)
        mask = self.layers.mask
        if mask is not None and mask.selected_label and mask.selected_label not in ids and ids:
            mask.selected_label = min(ids)
        self.classes_changed.emit()

    def _on_moved(self, step: Step, backwards: bool) -> None:
        if step.classes is not None:
            self._take(step.classes.before if backwards else step.classes.after)
