"""What a tool of the table is given: the fields' values, the class, the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_medcnn.annotation.tools.mask import Plane
from napari_medcnn.errors import InputError
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.tools import place
from napari_medcnn.widgets.tools.given import EACH, SLICE, Given, Spot, Value
from napari_medcnn.widgets.tools.place import NO_SLICE
from napari_medcnn.widgets.tools.registry import Choice, ClassChoice, Number, Tool, fitting

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


def given_of(
    dock: MedcnnDock, chosen: Tool, values: Mapping[str, Value], label: int | None = None, spot: Spot | None = None
) -> Given:
    """Return what a tool may look at; without a `label` it works on the chosen class.

    Raises
    ------
    InputError
        There is no mask, the background is chosen and the tool needs a class, or a class it would change is locked,
        or it works in slices and 3D is seen.
    """
    session = dock.session
    label = int(place.layer_of(dock).selected_label) if label is None else label
    everything = chosen.at == "all" and values.get("which") == "all"
    if label == 0 and not everything and not chosen.may_erase:
        raise InputError(f"{chosen.words}: choose a class first; background is chosen.")
    if label in session.locked and not everything:
        raise InputError(locked_words(dock, label))
    other = values.get("other")
    if chosen.name == "combine" and values.get("of") == "this" and other in session.locked:
        raise InputError(locked_words(dock, int(other)))
    taken = set(session.labels.ids)
    free = tuple(i for i in range(1, 256) if i not in taken)[:8]
    spot = spot or Spot()
    in_slices = chosen.in_volumes or values.get("where") in (SLICE, EACH)
    if in_slices and spot.across is None and not place.shows_slice(dock):
        raise InputError(NO_SLICE)
    plane = place.plane_of(dock)
    if spot.across is not None and spot.seed is not None:
        plane = Plane(spot.across, spot.seed[spot.across])
    return Given(
        place.mask_of(dock), label, values, plane, spot.seed, place.values_of(dock), session.labels.ids,
        place.others_of(dock), free, spot.box,
    )  # fmt: skip


def defaults_of(dock: MedcnnDock, chosen: Tool, last: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values of all fields that fit this mask: as used last, else as the table says.

    Another class is asked for where a class is: the painted one with itself makes no sense.
    """
    info = place.layer_of(dock).metadata[KEY]
    picture, mm = bool(info["picture"]), bool(info["geometry"].spacing_known)
    window = place.window_of(dock)
    values: dict[str, Value] = {}
    for asked in (fitting(each, picture, mm) for each in chosen.fields):
        if isinstance(asked, Number):
            fresh = asked.default if asked.default is not None else window[asked.key == "high"]
            values[asked.key] = last.get(asked.key, fresh) if asked.default is not None else fresh
        elif isinstance(asked, Choice):
            words = [word for word, _ in asked.choices]
            kept = last.get(asked.key)
            values[asked.key] = kept if kept in words else words[0]
        elif isinstance(asked, ClassChoice):
            offered = [number for number, _ in asked.first] + list(dock.session.labels.ids)
            kept, painted = last.get(asked.key), int(place.layer_of(dock).selected_label)
            others = [number for number in offered if number != painted] or offered or [0]
            values[asked.key] = kept if kept in offered else others[0]
    return values


def locked_words(dock: MedcnnDock, label: int) -> str:
    """Return what is said of a locked class."""
    return f"{dock.session.labels.name_of(label)} is locked; unlock it in the class table to change it."
