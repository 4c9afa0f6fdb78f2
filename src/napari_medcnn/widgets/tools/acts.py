"""What each tool of the table does: pure, from what is given to an edit that is not applied yet."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from napari_medcnn.annotation.box import Box, clipped, whole
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools import between, combine, flood, holes, islands, margin, model, smooth
from napari_medcnn.annotation.tools.brush import Range
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.tools.given import EACH, Given, Voxel

#: Values of the field "inside" that are no class.
BACKGROUND_ONLY, EVERYTHING = -1, -2


def by_hand(given: Given) -> Edit:
    """Stands for tools that draw: there is nothing to work out before somebody drew."""
    raise InputError(f"This tool is drawn with in the picture; class {given.label} stays as it is.")


def fill_between(given: Given) -> Edit:
    """Shapes between the drawn slices, across the axis of the view."""
    return between.fill_between(given.mask, given.plane.axis, given.chosen, progress=given.progress)


def keep_piece(given: Given) -> Edit:
    """The piece under the mouse stays."""
    return islands.keep_piece(given.mask, _seed(given), given.where)


def remove_piece(given: Given) -> Edit:
    """The piece under the mouse goes."""
    return islands.remove_piece(given.mask, _seed(given), given.where)


def give_piece(given: Given) -> Edit:
    """The piece under the mouse gets another class."""
    return islands.give_piece(given.mask, _seed(given), int(given.options["other"]), given.where)


def keep_largest(given: Given) -> Edit:
    """The largest piece stays."""
    return islands.keep_largest(given.mask, given.label, given.where)


def remove_small(given: Given) -> Edit:
    """Pieces below a size go."""
    size = given.number("size")
    if given.options.get("unit") == "ml":
        return islands.remove_small(given.mask, given.label, minimum_mm3=1000 * size, plane=given.where)
    if size != int(size):
        raise InputError(f"Size: expected a whole number of voxels, got {size:g}.")
    return islands.remove_small(given.mask, given.label, minimum_voxels=int(size), plane=given.where)


def split_pieces(given: Given) -> Edit:
    """Each piece becomes a class."""
    count = len(islands.pieces(given.mask, given.label))
    most = len(given.free_ids) + 1
    if count > most:
        raise InputError(
            f"There are {count} pieces, and at most {most} can become classes; remove the small pieces first."
        )
    return islands.split(given.mask, given.label, given.free_ids[: max(0, count - 1)])


def fill_holes(given: Given) -> Edit:
    """Background enclosed by the class."""
    axis = given.plane.axis if given.options.get("where") == EACH else None
    return holes.fill_holes(given.mask, given.label, axis, given.where)


def smooth_class(given: Given) -> Edit:
    """A smoother outline."""
    method = cast(smooth.Method, given.options["method"])
    return smooth.smooth(given.mask, given.label, method, given.number("radius"), given.where, given.progress)


def grow_or_shrink(given: Given) -> Edit:
    """A margin in mm."""
    length = given.number("length") * (1 if given.options["way"] == "grow" else -1)
    return margin.margin(given.mask, given.label, length, given.where, given.progress)


def threshold(given: Given) -> Edit:
    """Voxels whose value lies in a range."""
    low, high = given.number("low"), given.number("high")
    if low > high:
        raise InputError(f"Range: expected from low to high, got {low:g} to {high:g}.")
    if given.scan is None:
        raise InputError("A threshold needs the values of a scan; open the scan of this mask first.")
    inside = int(given.options["inside"])
    mask = given.mask
    if inside == EVERYTHING:
        mask = replace(mask, over=frozenset({0, *given.classes}))
    box = None if given.where is None else mask.region(given.where)
    within = inside if inside > 0 else None
    return combine.threshold(mask, given.scan, Range(low, high), given.label, box, within)


def combine_classes(given: Given) -> Edit:
    """A class with another one, of this mask or of the model's."""
    how, source = cast(combine.How, given.options["how"]), str(given.options["of"])
    other = int(given.options["other"])
    if source == "this":
        if other == given.label:
            raise InputError("Combine classes: choose another class than the one you are working on.")
        if how != "union":
            raise InputError(
                "Two classes of one mask have no voxel in common; within this mask only Add does something. "
                "To intersect or subtract, choose the model's mask."
            )
        return combine.combine(given.mask, given.label, given.mask.array, other, how)
    return combine.combine(given.mask, given.label, given.other(source), other, how)


def copy_to_next(given: Given) -> Edit:
    """The slice that is looked at goes to the next one."""
    return _copied(given, 1)


def copy_to_previous(given: Given) -> Edit:
    """The slice that is looked at goes to the one before."""
    return _copied(given, -1)


def take_back(given: Given) -> Edit:
    """The model's mask, or the saved one, in the whole scan."""
    other = given.other(str(given.options["of"]))
    take = model.accept_model if given.options["of"] == "model" else model.reject_model
    return take(given.mask, whole(given.mask.shape), other, given.chosen)


def fill_here(given: Given) -> Edit:
    """The piece or the hole under a click, in the slice or in 3D."""
    return flood.fill(given.mask, _seed(given), given.label, given.where)


def accept_box(given: Given) -> Edit:
    """The model's mask in a box."""
    return model.accept_model(given.mask, _box(given), given.other("model"))


def reject_box(given: Given) -> Edit:
    """What the model put into a box and nobody changed goes."""
    box = clipped(_box(given), given.mask.shape)
    theirs, ours = given.other("model")[box], given.mask.array[box]
    return given.mask.replaced(box, np.where(theirs == ours, np.zeros_like(ours), ours))


def saved_box(given: Given) -> Edit:
    """The saved mask in a box."""
    return model.reject_model(given.mask, _box(given), given.other("saved"))


def _box(given: Given) -> Box:
    if given.box is None:
        raise InputError("Drag a box in the picture first.")
    return given.box


def _copied(given: Given, step: int) -> Edit:
    to = given.plane.index + step
    if not 0 <= to < given.mask.shape[given.plane.axis]:
        raise InputError(f"This is the {'last' if step > 0 else 'first'} slice; there is none to copy it to.")
    replaces = given.options.get("there") == "replace"
    return combine.copy_slice(given.mask, given.plane, to, given.chosen, replace=replaces)


def _seed(given: Given) -> Voxel:
    if given.seed is None:
        raise InputError("Point at the piece in the picture and press the key of the menu of pieces there.")
    return given.seed
