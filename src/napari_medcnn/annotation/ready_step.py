"""A step that is worked out in a thread, for a mask that stands still meanwhile, and only written by the window's.

To find, compare, count and compress the voxels of a large class takes half a second; to write them takes a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.class_steps import ClassChange, ClassStep
from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError


@dataclass(frozen=True, eq=False)
class ReadyStep:
    """What `Strokes.take` needs.

    Parameters
    ----------
    step
        For the history.
    box, after
        Class ids to write, and where; the box may be empty.
    counts
        How many voxels each class wins (above 0) or loses; 0 is background.
    snapshot
        The whole mask after the step, where there is one already.
    """

    step: Step
    box: Box
    after: Array
    counts: Mapping[int, int]
    snapshot: Snapshot | None = None


def ready_step(made: ClassStep, before: LabelSet, array: Array) -> ReadyStep | None:
    """Work a change of classes out for a mask (z, y, x) that nobody writes to until it is taken.

    Parameters
    ----------
    made
        The change.
    before
        The classes until now.
    array
        The mask; it is only read.

    Returns
    -------
    ReadyStep or None
        None where neither classes nor voxels change.
    """
    box, after = ((slice(0, 0),) * 3, array[:0, :0, :0]) if made.edit is None else (made.edit.box, made.edit.after)
    return _worked_out(made.name, box, array, after, ClassChange(before, made.labels))


def ready_mask(name: str, array: Array, after: Array, classes: ClassChange) -> ReadyStep | None:
    """Work out the step, called `name`, by which a whole mask takes the place of another.

    Parameters
    ----------
    array, after
        The mask there is, and the other: class ids (z, y, x), perhaps of a wider type. Both are only read.
    classes
        Those of both.

    Returns
    -------
    ReadyStep or None
        None where neither classes nor voxels change.

    Raises
    ------
    InputError
        The masks differ in shape.
    """
    if array.shape != after.shape:
        raise InputError(f"mask: expected the shape {array.shape} of the one there is, got {after.shape}")
    whole = tuple(slice(0, n) for n in array.shape)
    return _worked_out(name, whole, array, after, classes)


def _worked_out(name: str, box: Box, array: Array, after: Array, classes: ClassChange) -> ReadyStep | None:
    now = array[box]
    changed = now != after
    step = Step.of(name, box, now, after, place_of(box, changed), classes)
    return None if step is None else ReadyStep(step, box, after, won(now[changed], after[changed]))


def place_of(box: Box, changed: Array) -> tuple[int, ...] | None:
    """Return a voxel (z, y, x) in the middle of those that changed inside a box; None if none did."""
    where = np.flatnonzero(changed)
    if not len(where):
        return None
    middle = np.unravel_index(where[len(where) // 2], changed.shape)
    return tuple(int(part.start + i) for part, i in zip(box, middle, strict=True))


def won(before: Array, after: Array) -> dict[int, int]:
    """Return how many voxels each class wins (above 0) or loses, by id; `before` and `after` are ids, one for one."""
    size = 1 + int(max(before.max(initial=0), after.max(initial=0)))
    net = np.bincount(after.ravel(), minlength=size) - np.bincount(before.ravel(), minlength=size)
    return {int(i): int(net[i]) for i in np.flatnonzero(net)}
