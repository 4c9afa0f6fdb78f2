"""The list of tools to search by words."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.search_list import Entry, SearchList, Wording
from napari_medcnn.widgets.tools.registry import found

_WORDING = Wording("Tools", "Type to search: smooth, holes, margin ...", "No tool has such words.", (400, 420))


def tool_finder(key_of: Callable[[str], str], parent: QWidget | None = None) -> SearchList:
    """Return the list of tools; it gives a `Tool`. `key_of` returns the keys of an action, "" for none."""

    def find(typed: str) -> list[Entry]:
        entries = []
        for each in found(typed):
            key = key_of(each.action) if each.action else ""
            shown = f"{each.words}   ({key})" if key else each.words
            entries.append(Entry(each, each.name, shown, each.does, each.does))
        return entries

    return SearchList(_WORDING, find, parent)
