"""A list to search: type, arrows, Enter; Esc closes it. Tools and classes are found with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QWidget

from napari_medcnn.widgets.parts import GAP, Text, always_a_line, column


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the list: what is chosen with it, its name, how it is shown, and the words under the list."""

    value: object
    name: str
    shown: str
    does: str
    tip: str = ""
    icon: QIcon | None = None


@dataclass(frozen=True)
class Wording:
    """What a list is called, asks for, and says where nothing is found; and its size in pixels."""

    title: str
    ask: str
    nothing: str
    size: tuple[int, int]


class Search(QLineEdit):
    """A line whose arrows move in a list, and whose Enter takes what is marked there."""

    stepped = Signal(int)

    def keyPressEvent(self, event: object) -> None:
        """Up and Down are the list's."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(event.key())  # type: ignore[attr-defined]
        if step is None:
            super().keyPressEvent(event)
        else:
            self.stepped.emit(step)


class SearchList(QDialog):
    """Emits `chosen` with the value of a line, and closes.

    Parameters
    ----------
    wording
        Its words.
    find
        Returns the lines for what was typed, "" for all.
    """

    chosen = Signal(object)

    def __init__(self, wording: Wording, find: Callable[[str], Sequence[Entry]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(wording.title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._find, self._nothing = find, wording.nothing
        self._entries: tuple[Entry, ...] = ()
        layout = column(self, margin=2 * GAP)
        self.search = Search()
        self.search.setPlaceholderText(wording.ask)
        self.search.setAccessibleName(f"Search {wording.title.lower()}")
        self.search.setAcceptDrops(False)
        self.search.textChanged.connect(self._show)
        self.search.stepped.connect(self._step)
        self.search.returnPressed.connect(self._take)
        layout.addWidget(self.search)
        self.list = QListWidget()
        self.list.setAccessibleName(wording.title)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemActivated.connect(lambda _item: self._take())
        self.list.itemClicked.connect(lambda _item: self._take())
        self.list.currentRowChanged.connect(self._describe)
        layout.addWidget(self.list)
        self.words = Text("")
        layout.addLayout(always_a_line(self.words))
        self.resize(*wording.size)
        self._show("")
        self.search.setFocus()

    def names(self) -> list[str]:
        """Return the names that are listed now."""
        return [each.name for each in self._entries]

    def _show(self, typed: str) -> None:
        self._entries = tuple(self._find(typed))
        self.list.clear()
        for each in self._entries:
            item = QListWidgetItem(each.shown)
            item.setToolTip(each.tip)
            if each.icon is not None:
                item.setIcon(each.icon)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self._describe(self.list.currentRow())

    def _describe(self, at: int) -> None:
        self.words.setText(self._entries[at].does if 0 <= at < len(self._entries) else self._nothing)

    def _step(self, step: int) -> None:
        self.list.setCurrentRow(min(max(0, self.list.currentRow() + step), self.list.count() - 1))

    def _take(self) -> None:
        at = self.list.currentRow()
        if 0 <= at < len(self._entries):
            value = self._entries[at].value
            self.close()
            self.chosen.emit(value)

    def keyPressEvent(self, event: object) -> None:
        """Letters that no field wanted end here; Esc closes."""
        if event.key() == Qt.Key.Key_Escape:  # type: ignore[attr-defined]
            self.close()
