"""Changes of the classes of a mask, as one step with the voxels they move: what a step remembers, and what each does.

Nothing is written here: a change comes back as the classes after it and the edit of the voxels, if there is one.
Showing, hiding and locking a class are no changes of the mask and no steps.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.mask import Mask, box_of
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import SHADES, Colour, Label, LabelSet, default_colour
from napari_medcnn.errors import InputError

_BYTES_OF_A_CLASS = 400  # of its Python objects, rounded up; its name is counted by itself


@dataclass(frozen=True)
class ClassChange:
    """The classes before and after a step."""

    before: LabelSet
    after: LabelSet

    @property
    def inverse(self) -> ClassChange:
        """The change that takes this one back."""
        return ClassChange(self.after, self.before)

    @property
    def nbytes(self) -> int:
        """Memory it takes, at most: classes that did not change are shared between steps."""
        return sum(_BYTES_OF_A_CLASS + 4 * len(label.name) for label in (*self.before, *self.after))


@dataclass(frozen=True, eq=False)
class ClassStep:
    """A change of classes that is not made yet.

    Parameters
    ----------
    name
        Of the step, for people: "Class renamed: lesion to tumour".
    labels
        The classes after it.
    edit
        The voxels it moves; None where it moves none.
    """

    name: str
    labels: LabelSet
    edit: Edit | None = None


def free_colour(labels: LabelSet, label_id: int) -> Colour:
    """Return a colour for a new class that no other has: that of its id, else the first free one of the palette.

    Where all are taken it is that of its id.
    """
    taken, own = {label.colour for label in labels}, default_colour(label_id)
    return next((c for c in (own, *map(default_colour, range(1, SHADES + 1))) if c not in taken), own)


def free_ids(labels: LabelSet, most: int = 65535) -> tuple[int, ...]:
    """Return the ids from 1 to `most` that no class has, rising; empty where all are taken."""
    taken = set(labels.ids)
    return tuple(i for i in range(1, most + 1) if i not in taken)


def add(labels: LabelSet, name: str, most: int = 65535) -> ClassStep:
    """Add a class with the lowest id that is free, in the colour of that id.

    Raises
    ------
    InputError
        A mask of this type holds no id above `most` and all are taken; or a name is empty, too long or there already.
    """
    free = free_ids(labels, most)
    if not free:
        raise InputError(f"This mask holds at most {most} classes.")
    return ClassStep(f"Class added: {name}", labels.with_label(Label(free[0], name, free_colour(labels, free[0]))))


def rename(labels: LabelSet, label_id: int, name: str) -> ClassStep:
    """Give a class another name; InputError where it is empty, too long or another class has it."""
    old = labels.by_id(label_id)
    return ClassStep(f"Class renamed: {old.name} to {name}", labels.with_label(replace(old, name=name)))


def recolour(labels: LabelSet, label_id: int, colour: Colour) -> ClassStep:
    """Give a class another colour (0 to 255, three numbers)."""
    old = labels.by_id(label_id)
    return ClassStep(f"Class recoloured: {old.name}", labels.with_label(replace(old, colour=colour)))


def finish(labels: LabelSet, label_id: int, finished: bool) -> ClassStep:
    """Say that nothing is left to draw of a class, or that something is."""
    old = labels.by_id(label_id)
    name = f"Class finished: {old.name}" if finished else f"Class not finished: {old.name}"
    return ClassStep(name, labels.with_label(replace(old, finished=finished)))


def delete(labels: LabelSet, mask: Mask, label_id: int) -> ClassStep:
    """Take a class away; its voxels become background.

    Raises
    ------
    InputError
        It is locked, or the only one: a mask without a class cannot be painted.
    """
    old = labels.by_id(label_id)
    _require_free(labels, mask.locked, label_id)
    if len(labels) == 1:
        raise InputError(f"{old.name} is the only class, and a mask needs one: rename it, or add another one first.")
    return ClassStep(f"Class deleted: {old.name}", labels.without(label_id), _moved(mask, label_id, 0))


def merge(labels: LabelSet, mask: Mask, label_id: int, into: int) -> ClassStep:
    """Give all voxels of a class to another one, and take the class away.

    Raises
    ------
    InputError
        One of both is locked, or both are the same.
    """
    old, other = labels.by_id(label_id), labels.by_id(into)
    _require_free(labels, mask.locked, label_id, into)
    if label_id == into:
        raise InputError(f"{old.name} cannot be merged into itself; choose another class.")
    name = f"Class merged: {old.name} into {other.name}"
    return ClassStep(name, labels.without(label_id), _moved(mask, label_id, into))


def _moved(mask: Mask, label_id: int, to: int) -> Edit:
    """Return the edit that gives every voxel of a class to another one."""
    box = box_of(mask.array, label_id)
    if box is None:
        return mask.nothing()
    part: Array = mask.array[box]
    return mask.given(box, part == label_id, to)


def _require_free(labels: LabelSet, locked: Collection[int], *ids: int) -> None:
    for label_id in ids:
        if label_id in locked:
            raise InputError(f"{labels.name_of(label_id)} is locked; unlock it in the class table to change it.")
