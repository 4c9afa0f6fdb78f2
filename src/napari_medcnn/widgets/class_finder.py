"""The list of classes to search by name."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QWidget

from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.widgets.result_view import swatch
from napari_medcnn.widgets.search_list import Entry, SearchList, Wording

_WORDING = Wording("Classes", "Type a part of a class's name", "No class has such a name.", (340, 360))
_DOES = "Enter paints the marked class."


def found(labels: LabelSet, typed: str) -> tuple[Label, ...]:
    """Return the classes whose name has every word of what was typed; those whose name begins with it come first."""
    words = typed.casefold().split()
    hits = [label for label in labels if all(word in label.name.casefold() for word in words)]
    begins = typed.strip().casefold()
    return tuple(sorted(hits, key=lambda label: not label.name.casefold().startswith(begins)))


def class_finder(labels: LabelSet, much: Callable[[int], str], parent: QWidget | None = None) -> SearchList:
    """Return the list of `labels`; it gives an id. `much` says in words how much there is of a class."""

    def find(typed: str) -> list[Entry]:
        hits = found(labels, typed)
        return [Entry(x.id, x.name, f"{x.name}   ({much(x.id)})", _DOES, icon=swatch(x)) for x in hits]

    return SearchList(_WORDING, find, parent)
