"""Undo and redo of a mask: compressed steps under one limit in bytes (docs/decisions/own-undo.md).

A step holds which voxels of a box changed and their class ids before and after; undoing writes these voxels only.
It may also hold the classes (names and colours) before and after: deleting a class, or a run of a model, changes both.
History lives in one thread, that of the window.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_medcnn.annotation.box import Box, around, clipped, shape_of
from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError, ProjectError

CAP_BYTES = 256 * 1024 * 1024
_LEVEL = 1  # masks compress 50 to 1000 fold at every level; the first is the quickest
_OVERHEAD = 600  # bytes of a step's Python objects, counted so that many tiny strokes stay under the limit too


@dataclass(frozen=True)
class Step:
    """One change of a mask that can be done and undone.

    Parameters
    ----------
    name
        For people: "Brush", "Model in box".
    box
        Where; only voxels inside it changed. Of no voxels where only classes changed.
    view
        Index (z, y, x) to show when the step is done or undone; empty where no voxel changed.
    dtype
        Of the class ids in `payload`.
    changed
        How many voxels changed.
    payload
        zlib of: one bit per voxel of the box (changed or not), ids before, ids after, of changed voxels in C order.
    classes
        The classes before and after; None where they stayed as they were.
    """

    name: str
    box: Box
    view: tuple[int, ...]
    dtype: str
    changed: int
    payload: bytes
    classes: ClassChange | None = None

    @classmethod
    def of(
        cls,
        name: str,
        box: Sequence[slice],
        before: Array,
        after: Array,
        view: Sequence[int] | None = None,
        classes: ClassChange | None = None,
    ) -> Step | None:
        """Describe the change from `before` to `after`, both filling `box`, and of classes; None if nothing changed.

        Raises
        ------
        InputError
            The arrays do not fill the box, or are not whole numbers.
        """
        whole = tuple(slice(int(part.start), int(part.stop)) for part in box)
        if before.shape != after.shape or before.shape != shape_of(whole):
            raise InputError(f"step: expected two arrays that fill {whole}, got {before.shape} and {after.shape}")
        if before.dtype.kind not in "biu" or after.dtype.kind not in "biu":
            raise InputError(f"step: expected class ids (whole numbers), got {before.dtype} and {after.dtype}")
        if classes is not None and classes.before == classes.after:
            classes = None
        changed = before != after
        tight = around(changed, whole)
        if tight is None:
            return None if classes is None else cls._of_classes(name, before, classes)
        inner = tuple(slice(t.start - w.start, t.stop - w.start) for t, w in zip(tight, whole, strict=True))
        changed, before, after = changed[inner], before[inner], after[inner]
        dtype = np.result_type(before, after).newbyteorder("<")
        squeeze = zlib.compressobj(_LEVEL)
        parts = [np.packbits(changed), before[changed].astype(dtype), after[changed].astype(dtype)]
        payload = b"".join([squeeze.compress(part.tobytes()) for part in parts] + [squeeze.flush()])
        middle = tuple((part.start + part.stop - 1) // 2 for part in tight)
        where = middle if view is None else tuple(int(v) for v in view)
        return cls(name, tight, where, dtype.str, int(changed.sum()), payload, classes)

    @classmethod
    def _of_classes(cls, name: str, ids: Array, classes: ClassChange) -> Step:
        """Return a step that changes no voxel."""
        box = tuple(slice(0, 0) for _ in range(ids.ndim))
        return cls(name, box, (), ids.dtype.newbyteorder("<").str, 0, zlib.compress(b""), classes)

    @property
    def nbytes(self) -> int:
        """Memory the step takes."""
        return len(self.payload) + _OVERHEAD + (0 if self.classes is None else self.classes.nbytes)

    def reversed(self) -> Step:
        """Return the step that takes this one back, for the journal."""
        changed, before, after = self._unpacked()
        parts = [np.packbits(changed), after, before]
        payload = zlib.compress(b"".join(part.tobytes() for part in parts), _LEVEL)
        return replace(self, payload=payload, classes=None if self.classes is None else self.classes.inverse)

    def apply(self, array: Array, *, backwards: bool = False) -> None:
        """Write the ids after (or before) into `array` in place.

        Raises
        ------
        ProjectError
            The step belongs to a mask of another size or narrower ids, or is damaged; `array` is unchanged then.
        """
        least = 1 if self.changed else 0
        fits = array.ndim == len(self.box) and all(
            0 <= p.start <= p.stop - least <= n - least for p, n in zip(self.box, array.shape, strict=True)
        )
        if not fits:
            raise ProjectError(f"step {self.name!r}: made for another mask, {self.box} is not inside {array.shape}")
        changed, before, after = self._unpacked()
        ids = before if backwards else after
        if ids.size and ids.max() > np.iinfo(array.dtype if array.dtype.kind != "b" else np.uint8).max:
            raise ProjectError(f"step {self.name!r}: class {ids.max()} does not fit into {array.dtype}; widen the mask")
        array[self.box][changed] = ids.astype(array.dtype)

    def _unpacked(self) -> tuple[Array, Array, Array]:
        shape, dtype = shape_of(self.box), np.dtype(self.dtype)
        voxels = int(np.prod(shape, dtype=np.int64))
        bits = (voxels + 7) // 8
        size = bits + 2 * self.changed * dtype.itemsize
        try:
            raw = zlib.decompressobj().decompress(self.payload, size + 1)
        except zlib.error as error:
            raise ProjectError(f"step {self.name!r}: damaged, {error}") from error
        if len(raw) != size or self.changed > voxels:
            raise ProjectError(f"step {self.name!r}: damaged, expected {size} bytes, got {len(raw)}")
        changed = np.unpackbits(np.frombuffer(raw, np.uint8, bits), count=voxels).astype(bool).reshape(shape)
        ids = np.frombuffer(raw, dtype, offset=bits)
        if int(changed.sum()) != self.changed:
            raise ProjectError(f"step {self.name!r}: damaged, its voxels do not add up")
        return changed, ids[: self.changed], ids[self.changed :]


class History:
    """Steps of one mask, newest last, under a limit in bytes; the oldest are dropped first.

    Parameters
    ----------
    cap_bytes
        Limit for all steps together, those that can be redone included. A single step above it is applied but
        cannot be undone; everything older is dropped then, since undoing across a gap would write wrong voxels.
    """

    def __init__(self, cap_bytes: int = CAP_BYTES) -> None:
        if cap_bytes < 1:
            raise InputError(f"cap_bytes: expected 1 or more, got {cap_bytes}")
        self._cap = int(cap_bytes)
        self._done: deque[Step] = deque()
        self._undone: deque[Step] = deque()
        self._bytes = 0
        self.dropped = 0

    @property
    def can_undo(self) -> bool:
        """True if there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """True if there is a step to do again."""
        return bool(self._undone)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the steps that can be undone, newest last."""
        return tuple(step.name for step in self._done)

    @property
    def redo_names(self) -> tuple[str, ...]:
        """Names of the steps that can be redone, the next one last."""
        return tuple(step.name for step in self._undone)

    @property
    def nbytes(self) -> int:
        """Memory that all steps take; never above the limit."""
        return self._bytes

    @property
    def done(self) -> tuple[Step, ...]:
        """Steps that can be undone, newest last."""
        return tuple(self._done)

    @property
    def undone(self) -> tuple[Step, ...]:
        """Steps that can be redone, the next one last."""
        return tuple(self._undone)

    def record(
        self,
        name: str,
        box: Sequence[slice],
        before: Array,
        after: Array,
        view: Sequence[int] | None = None,
        classes: ClassChange | None = None,
    ) -> Step | None:
        """Keep a change that was already made; what was undone can no longer be redone.

        Returns
        -------
        Step or None
            The step, for the journal; None if nothing changed (nothing is kept and redo stays possible).
        """
        step = Step.of(name, box, before, after, view, classes)
        if step is not None:
            self.keep(step)
        return step

    def keep(self, step: Step) -> None:
        """Keep a step that was already made; what was undone can no longer be redone."""
        self._bytes -= sum(old.nbytes for old in self._undone)
        self._undone.clear()
        self._done.append(step)
        self._bytes += step.nbytes
        while self._bytes > self._cap:
            self._bytes -= self._done.popleft().nbytes
            self.dropped += 1

    def record_change(
        self,
        name: str,
        array: Array,
        snapshot: Array | Snapshot,
        box: Sequence[slice],
        view: Sequence[int] | None = None,
        classes: ClassChange | None = None,
    ) -> Step | None:
        """Keep whatever differs between `array` and `snapshot` inside `box`, and bring the snapshot up to date.

        Right for every tool, whoever changed the mask; see the decision page. `box` may be larger than the change
        and is cut to the mask.

        Raises
        ------
        InputError
            Array and snapshot differ in shape.
        """
        if array.shape != snapshot.shape:
            raise InputError(f"snapshot: expected the mask's shape {array.shape}, got {snapshot.shape}")
        inside = clipped(box, array.shape)
        step = self.record(name, inside, snapshot[inside], array[inside], view, classes)
        if step is not None and step.changed:
            snapshot[step.box] = array[step.box]
        return step

    def undo(self, array: Array) -> Step | None:
        """Take the newest step back in place and return it; None if there is none. Errors as `Step.apply`."""
        if not self._done:
            return None
        self._done[-1].apply(array, backwards=True)
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self, array: Array) -> Step | None:
        """Do the step again that was undone last, in place, and return it; None if there is none."""
        if not self._undone:
            return None
        self._undone[-1].apply(array)
        self._done.append(self._undone.pop())
        return self._done[-1]

    def clear(self) -> None:
        """Forget everything: another case, or a mask that was replaced from outside."""
        self._done.clear()
        self._undone.clear()
        self._bytes = 0
