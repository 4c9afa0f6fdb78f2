"""The menu at the mouse: what can be done with the piece under it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QAction, QMenu, QWidget

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.widgets.result_view import swatch
from napari_medcnn.widgets.tools.given import SLICE, Value
from napari_medcnn.widgets.tools.registry import Tool, tool

#: Does a tool with these options.
Do = Callable[[Tool, Mapping[str, Value]], None]


def pieces_menu(
    label: int, labels: LabelSet, locked: frozenset[int], picture: bool, do: Do, open_form: Callable[[Tool], None]
) -> QMenu:
    """Return the menu of a piece of class `label`; it is shown with `show_at`."""
    menu = QMenu()
    menu.setAccessibleName("Pieces")
    heading = menu.addAction(swatch(labels.by_id(label)), labels.name_of(label).replace("&", "&&"))
    heading.setEnabled(False)  # not every style draws the words of a section
    menu.addSeparator()
    keep, remove, give = tool("keep_piece"), tool("remove_piece"), tool("give_piece")
    _add(menu, keep.words, partial(do, keep, {}))
    _add(menu, remove.words, partial(do, remove, {}))
    if not picture:
        _add(menu, "Remove this piece in this slice", partial(do, remove, {"where": SLICE}))
    others = menu.addMenu("Give this piece to")
    for other in labels:
        if other.id != label and other.id not in locked:
            made = _add(others, other.name.replace("&", "&&"), partial(do, give, {"other": other.id}))
            made.setIcon(swatch(other))
    others.setEnabled(not others.isEmpty())
    menu.addSeparator()
    for name in ("keep_largest", "split_pieces"):
        _add(menu, tool(name).words, partial(do, tool(name), {}))
    small = tool("remove_small")
    _add(menu, f"{small.words}...", partial(open_form, small))
    return menu


def _add(menu: QMenu, words: str, act: Callable[[], None]) -> QAction:
    made = menu.addAction(words)
    made.triggered.connect(lambda _checked=False: act())
    return made


def show_at(menu: QMenu, parent: QWidget, at: tuple[float, float]) -> None:
    """Show a menu at a pixel of a widget; it goes when it is closed."""
    menu.setParent(parent, menu.windowFlags())
    menu.aboutToHide.connect(menu.deleteLater)
    menu.popup(parent.mapToGlobal(QPoint(round(at[0]), round(at[1]))))
