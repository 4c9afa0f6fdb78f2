"""The menu of a class: rename, colour, finished or not, merge into another one, its pieces, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from qtpy.QtWidgets import QAction, QMenu

from napari_medcnn.core.labels import OKABE_ITO, Colour, LabelSet
from napari_medcnn.widgets.result_view import square, swatch

#: What Okabe and Ito call their colours, in the order of `OKABE_ITO`.
COLOUR_NAMES = ("Orange", "Sky blue", "Bluish green", "Yellow", "Blue", "Vermilion", "Reddish purple")


@dataclass(frozen=True)
class ClassActs:
    """What the menu does; `colour` gets a colour, or None to ask for one."""

    rename: Callable[[], None]
    colour: Callable[[Colour | None], None]
    finish: Callable[[bool], None]
    merge: Callable[[int], None]
    pieces: Callable[[], None]
    delete: Callable[[], None]


def class_menu(label_id: int, labels: LabelSet, locked: frozenset[int], acts: ClassActs) -> QMenu:
    """Return the menu of one class; what a lock forbids is there, and says so where it is chosen."""
    menu = QMenu()
    menu.setAccessibleName("Class")
    label = labels.by_id(label_id)
    heading = menu.addAction(swatch(label), _plain(label.name))
    heading.setEnabled(False)  # not every style draws the words of a section
    menu.addSeparator()
    _add(menu, "Rename", acts.rename)
    colours = menu.addMenu("Colour")
    for name, colour in zip(COLOUR_NAMES, OKABE_ITO, strict=True):
        made = _add(colours, name, partial(acts.colour, colour))
        made.setIcon(square(colour))
        made.setCheckable(True)
        made.setChecked(colour == label.colour)
    _add(colours, "Another colour...", partial(acts.colour, None))
    done = _add(menu, "Finished", partial(acts.finish, not label.finished))
    done.setCheckable(True)
    done.setChecked(label.finished)
    others = menu.addMenu("Merge into")
    for other in labels:
        if other.id != label_id:
            words = _plain(other.name) + (" (locked)" if other.id in locked else "")
            made = _add(others, words, partial(acts.merge, other.id))
            made.setIcon(swatch(other))
    others.setEnabled(not others.isEmpty())
    _add(menu, "Pieces...", acts.pieces)
    menu.addSeparator()
    _add(menu, "Delete...", acts.delete)
    return menu


def _add(menu: QMenu, words: str, act: Callable[[], None]) -> QAction:
    made = menu.addAction(words)
    made.triggered.connect(lambda _checked=False: act())
    return made


def _plain(name: str) -> str:
    """Return a name in which no letter becomes a short cut."""
    return name.replace("&", "&&")
