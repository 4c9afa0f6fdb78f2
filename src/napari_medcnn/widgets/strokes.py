"""Corrections of the open mask: our undo, the journal of strokes, voxel counts, locked classes.

Changes of classes are steps of the same history; which classes hold now is the session's to know (`moved`).

napari paints; when a stroke is over, the planes it may have touched are compared with a snapshot, and the difference
becomes one step.  That is right for every tool, whoever changed the mask, and needs nothing private.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.history import History, Step
from napari_medcnn.annotation.ready_step import ReadyStep, place_of, won
from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.errors import MedcnnError
from napari_medcnn.widgets.layers import Layers
from napari_medcnn.widgets.views.frame import Place

Array = NDArray[Any]


class StrokeJournal(Protocol):
    """What keeps steps on disk until the mask is saved."""

    def append(self, step: Step) -> None:
        """Keep one step."""


class Strokes(QObject):
    """Watches one mask at a time.

    Signals: `changed` after every step, undo or redo; `moved` before it with a step that was undone (True) or done
    again (False); `note` with a line for the user.

    Parameters
    ----------
    viewer, layers
        Where the mask is painted.
    go_to
        Shows a place of the world in every view: that of a step which is undone or done again.
    """

    changed = Signal()
    moved = Signal(object, bool)
    note = Signal(str)

    def __init__(
        self, viewer: Any, layers: Layers, go_to: Callable[[Place], None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._go_to = go_to
        self._layers = layers
        self._layer: Any = None
        self._array: Array | None = None  # the mask's own voxels, always (z, y, x): a view of what napari paints
        self._snapshot: Snapshot | None = None
        self._visited: list[tuple[int, ...]] = []
        self._pending = False
        self.history = History()
        self.counts: dict[int, int] = {}
        self.locked: frozenset[int] = frozenset()
        self.names: Callable[[int], str] = str
        self.journal: StrokeJournal | None = None
        #: Called before anything else is done with the mask: a drag that is still going on becomes its step.
        self.settle: Callable[[], None] = _nothing
        #: Steps made since the mask was last saved; undoing counts as a change, too.
        self.unsaved = 0
        #: Steps made, undone or done again on this mask: what was worked out at another number is out of date.
        self.revision = 0

    # ---- one mask ------------------------------------------------------------------------------------------------

    def begin(self, snapshot: Snapshot, counts: dict[int, int], journal: StrokeJournal | None = None) -> None:
        """Watch the mask of `layers`; `snapshot` has its voxels, (z, y, x), as they are now, and becomes ours."""
        self.end()
        self._layer = self._layers.mask
        if self._layer is None:
            return
        self._array = self._voxels()
        self._snapshot, self.counts, self.journal = snapshot, dict(counts), journal
        self._layer.events.paint.connect(self._on_paint)
        self._viewer.dims.events.current_step.connect(self._on_slice)
        self._visited = [self._place()]

    def end(self) -> None:
        """Stop watching and forget the history; the journal is the caller's to close."""
        if self._layer is not None:
            self._layer.events.paint.disconnect(self._on_paint)
            self._viewer.dims.events.current_step.disconnect(self._on_slice)
        self._layer = self._array = self._snapshot = self.journal = None
        self.history.clear()
        self.counts, self.locked, self.unsaved, self.revision = {}, frozenset(), 0, 0

    @property
    def active(self) -> bool:
        """True while a mask is watched."""
        return self._layer is not None

    @property
    def array(self) -> Array | None:
        """The voxels of the mask, (z, y, x), z = 1 for a picture: to read; `change` writes."""
        return self._array

    # ---- strokes -------------------------------------------------------------------------------------------------

    def commit(self) -> Step | None:
        """Turn what changed since the last step into a step; None if nothing did."""
        self.settle()
        painted, self._pending = self._pending, False
        array = self._array
        if array is None or self._snapshot is None:
            return None
        box = self._touched()
        if painted and np.array_equal(array[box], self._snapshot[box]):
            box = _all_of(array)  # something outside the shown planes, from a script or in 3D
        self._visited = [self._place()]
        return self._step(box)

    def _step(self, box: tuple[slice, ...], name: str = "", classes: ClassChange | None = None) -> Step | None:
        """Make a step of what changed in a box since the last one, and of classes; without a name it was painted."""
        array = self._array
        if array is None or self._snapshot is None:
            return None
        before, after = self._snapshot[box], array[box]
        changed = before != after
        if not changed.any() and classes is None:
            return None
        self._protect(before, after, changed)
        if changed.any():
            name = name or self._name(after[changed])
        self._count(won(before[changed], after[changed]))
        step = self.history.record_change(name, array, self._snapshot, box, place_of(box, changed), classes)
        self._layers.forget_strokes()
        if step is None:
            return None
        self._keep(step)
        return step

    def undo(self) -> Step | None:
        """Take the newest step back, show its place and name it."""
        return self._back_or_forth(self.history.undo, "Undone")

    def redo(self) -> Step | None:
        """Do the step again that was taken back last."""
        return self._back_or_forth(self.history.redo, "Done again")

    def change(
        self, name: str, box: tuple[slice, ...], after: Array, classes: ClassChange | None = None
    ) -> Step | None:
        """Write `after` into `box` as one step of its own, called `name`, together with a change of classes."""
        if self._array is None:
            return None
        self.commit()
        self._array[box] = after
        step = self._step(box, name, classes)
        self._layers.redraw_mask()
        return step

    def take(self, ready: ReadyStep) -> Step | None:
        """Write a step that was worked out for the mask as it is now: nothing changed since (`revision`)."""
        if self._array is None or self._snapshot is None:
            return None
        self._array[ready.box] = ready.after
        step = self._taken(ready, self._array)
        self._layers.redraw_mask()
        return step

    def _taken(self, ready: ReadyStep, array: Array) -> Step:
        """Keep a step whose voxels are written."""
        step, after = ready.step, ready.snapshot
        if after is not None and after.dtype == array.dtype:
            self._snapshot = after
        elif step.changed and self._snapshot is not None:
            self._snapshot[step.box] = array[step.box]
        self._count(ready.counts)
        self.history.keep(step)
        self._layers.forget_strokes()
        self._keep(step)
        return step

    def record(self, name: str, box: tuple[slice, ...], classes: ClassChange | None = None) -> Step | None:
        """Make one step, called `name`, of what was written into `array` inside a box; None if nothing changed."""
        return self._step(box, name, classes)

    @property
    def moment(self) -> tuple[Snapshot | None, int]:
        """The voxels after the last step, and its number: the same as long as nothing changes on this mask."""
        return (self._snapshot, self.revision)

    def record_all(self, name: str, classes: ClassChange | None = None, ready: ReadyStep | None = None) -> Step | None:
        """Make one step, called `name`, of a mask that was written over the whole one, perhaps with wider ids.

        `ready` is that step where it was worked out already, for the `moment` that holds.
        """
        if self._snapshot is None:
            return None
        self._array = self._voxels()
        if self._array.dtype != self._snapshot.dtype:
            self._snapshot.widen(self._array.dtype)
        if ready is not None:
            return self._taken(ready, self._array)
        return self._step(_all_of(self._array), name, classes)

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _on_paint(self, _event: Any = None) -> None:
        """A stroke is over; napari is still inside its own mouse code, so the comparison waits for it to finish."""
        if not self._pending:
            self._pending = True
            QTimer.singleShot(0, self._commit_pending)

    def _commit_pending(self) -> None:
        if self._pending:
            self.commit()

    def on_press(self, _viewer: Any = None, event: Any = None) -> None:
        """A mouse button went down: only planes shown from now on can belong to the stroke."""
        if self._layer is not None and not getattr(event, "handled", False):  # else it is a drag of ours, with a box
            self.commit()
            self._visited = [self._place()]

    def _on_slice(self, _event: Any = None) -> None:
        place = self._place()
        low = tuple(map(min, zip(place, *self._visited, strict=True)))
        high = tuple(map(max, zip(place, *self._visited, strict=True)))
        self._visited = [low, high]

    def _voxels(self) -> Array:
        """Return the voxels of the layer as (z, y, x)."""
        data: Array = self._layer.data
        return data if data.ndim == 3 else data[None]

    def _place(self) -> tuple[int, ...]:
        """Return the voxel (z, y, x) that the viewer's sliders point at."""
        layer = self._layer
        point = np.asarray(self._viewer.dims.point, dtype=float)[-layer.ndim :]
        index = np.rint(np.asarray(layer.world_to_data(point))).astype(int)
        place = tuple(int(np.clip(i, 0, n - 1)) for i, n in zip(index, layer.data.shape, strict=True))
        return place if layer.ndim == 3 else (0, *place)

    def _touched(self) -> tuple[slice, ...]:
        """Return the planes shown since the press: whole along shown axes, from first to last along the others."""
        shape = () if self._array is None else self._array.shape
        if self._layer.n_edit_dimensions == 3:
            return tuple(slice(0, n) for n in shape)
        offset = self._viewer.dims.ndim - 3
        shown = {axis - offset for axis in self._viewer.dims.displayed}
        places = [*self._visited, self._place()]
        return tuple(
            slice(0, n) if axis in shown else slice(min(p[axis] for p in places), max(p[axis] for p in places) + 1)
            for axis, n in enumerate(shape)
        )

    def _protect(self, before: Array, after: Array, changed: Array) -> None:
        """Put voxels of locked classes back, and take what was painted as one away (both in place)."""
        if not self.locked:
            return
        locked = np.array(sorted(self.locked))
        wrong = changed & (np.isin(before, locked) | np.isin(after, locked))
        if not wrong.any():
            return
        after[wrong] = before[wrong]
        changed &= ~wrong
        self._layers.redraw_mask()
        names = " and ".join(self.names(i) for i in sorted(self.locked))
        self.note.emit(f"{names}: locked, its voxels were left as they are.")

    @staticmethod
    def _name(after: Array) -> str:
        return "Eraser" if not after.any() else "Brush"

    def _count(self, more: Mapping[int, int]) -> None:
        for label_id, n in more.items():
            if label_id:
                self.counts[label_id] = self.counts.get(label_id, 0) + n
        self.counts = {k: n for k, n in sorted(self.counts.items()) if n}

    def _keep(self, step: Step) -> None:
        self.unsaved += 1
        self.revision += 1
        if self.journal is not None:
            try:
                self.journal.append(step)
            except MedcnnError as error:  # kept in memory meanwhile; the user is told to save
                self.note.emit(str(error))
        self.changed.emit()

    def _back_or_forth(self, move: Callable[[Array], Step | None], word: str) -> Step | None:
        self.commit()
        if self._array is None or self._snapshot is None:
            return None
        step = move(self._array)
        if step is None:
            self.note.emit("There is nothing to undo." if word == "Undone" else "There is nothing to do again.")
            return None
        if step.changed:
            before, after = self._snapshot[step.box], self._array[step.box]
            changed = before != after
            self._count(won(before[changed], after[changed]))
            self._snapshot[step.box] = after
            self.show_voxel(step.view)
            self._layers.redraw_mask()
        self.moved.emit(step, word == "Undone")
        self.note.emit(f"{word}: {step.name}")
        self._keep(step.reversed() if word == "Undone" else step)
        return step

    def show_voxel(self, view: Iterable[int]) -> None:
        """Show a voxel (z, y, x) of the mask in every view; a picture has one slice."""
        if self._layer is not None and self._layer.ndim == 3:
            z, y, x = (float(at) for at in self._layer.data_to_world(tuple(view)))
            self._go_to((z, y, x))


def _all_of(array: Array) -> tuple[slice, ...]:
    """Return the box of a whole mask."""
    return tuple(slice(0, n) for n in array.shape)


def _nothing() -> None:
    """What is to be settled where nobody draws."""
