"""What a tool is given: the mask, the class, what was chosen in the form, the place, and the values of the scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.tools.mask import Mask, Plane, Progress
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

#: What a field of a form holds: a number, the word of a choice, or the id of a class.
Value = float | int | str
Voxel = tuple[int, int, int]

#: Values of the field "where".
SLICE, EACH, WHOLE = "slice", "each", "whole"


@dataclass(frozen=True)
class Spot:
    """What was pointed at: a voxel (z, y, x), the axis that the view there cuts across, a box that was drawn."""

    seed: Voxel | None = None
    across: int | None = None
    box: Box | None = None


@dataclass(frozen=True, eq=False)
class Given:
    """Everything a tool may look at; it writes nothing.

    Parameters
    ----------
    mask
        Class ids (z, y, x) in the order they are shown in.
    label
        The class the tool works on.
    options
        What the form says, by the keys of the tool's fields.
    plane
        The slice that is looked at.
    seed
        The voxel (z, y, x) under the mouse; None for tools that need none.
    scan
        Values (z, y, x) of the time point that is shown; None where no scan is open.
    classes
        Ids of all classes.
    others
        Further masks on this grid by name ("model", "saved"), read when a tool asks for them.
    free_ids
        Ids that no class has, for tools that make classes.
    box
        The box that was drawn; None for tools that need none.
    progress
        Told how far a long tool is; it raises `Cancelled`.
    """

    mask: Mask
    label: int
    options: Mapping[str, Value]
    plane: Plane
    seed: Voxel | None = None
    scan: Array | None = None
    classes: tuple[int, ...] = ()
    others: Mapping[str, Callable[[], Array]] = field(default_factory=dict)
    free_ids: tuple[int, ...] = ()
    box: Box | None = None
    progress: Progress | None = None

    @property
    def where(self) -> Plane | None:
        """The slice to work in, None for the whole scan."""
        return self.plane if self.options.get("where") == SLICE else None

    @property
    def chosen(self) -> tuple[int, ...] | None:
        """The classes to work on: the chosen one, or None for all that are not locked."""
        return None if self.options.get("which") == "all" else (self.label,)

    def number(self, key: str) -> float:
        """Return the number of a field."""
        return float(self.options[key])

    def other(self, name: str) -> Array:
        """Return a further mask; InputError where there is none."""
        if name not in self.others:
            missing = "no model has drawn this mask" if name == "model" else "this mask was not saved to a file yet"
            raise InputError(f"There is nothing to take back: {missing}.")
        return self.others[name]()
