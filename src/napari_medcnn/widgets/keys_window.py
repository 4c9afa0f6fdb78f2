"""The window that shows which key does what now: to read, to search, to copy or print."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_medcnn.widgets.keymap import KEYS, Key, mouse_rows, shown
from napari_medcnn.widgets.parts import GAP, Text, button, column, copy_text, row

#: (key, what it does); ("", name) is a heading.
Line = tuple[str, str]
_HEIGHT = 620
_WIDEST = 1200


def lines_of(table: Sequence[Key] = KEYS, wheel_moves_slices: bool = True) -> list[Line]:
    """Return the lines of the sheet; digits that do alike share a line, and keys that do the same do."""
    lines: list[Line] = [("", "Mouse"), *mouse_rows(wheel_moves_slices)]
    for group in dict.fromkeys(key.group for key in table):
        merged = _merged([key for key in table if key.group == group and key.key])
        if merged:
            lines += [("", group), *merged]
    return lines


def _merged(keys: list[Key]) -> list[Line]:
    runs: dict[tuple[str, str, str], list[Key]] = {}
    for key in keys:
        number = str(key.argument)
        counted = key.does.endswith(f" {number}") and key.key.endswith(number)
        does = key.does.removesuffix(number) if counted else key.does
        runs.setdefault((does, key.key.removesuffix(number) if counted else key.key, key.action), []).append(key)
    lines: list[Line] = []
    for (does, _prefix, _action), run in runs.items():
        first, last = shown(run[0].key), shown(run[-1].key)
        keys_shown, words = (first, run[0].does) if len(run) == 1 else (f"{first} to {last}", does.strip())
        same = next((i for i, old in enumerate(lines) if old[1] == words), None)
        if same is None:
            lines.append((keys_shown, words))
        else:
            lines[same] = (f"{lines[same][0]}, {keys_shown}", words)
    return lines


def as_text(lines: Sequence[Line]) -> str:
    """Return the sheet as plain text, for printing or a note."""
    width = max((len(key) for key, _does in lines), default=0) + 2
    return "\n".join(f"{key:<{width}}{does}" if key else f"\n{does}" for key, does in lines).strip() + "\n"


class KeysWindow(QDialog):
    """A list to read and to search; Esc closes it.

    Parameters
    ----------
    lines
        As `lines_of` returns them.
    change
        Called for "Change...".
    """

    def __init__(self, lines: Sequence[Line], change: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and mouse")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._lines: list[Line] = []
        layout = column(self, margin=2 * GAP)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Type to search: undo, brush, Ctrl ...")
        self.search.setAccessibleName("Search keys")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        layout.addWidget(self.search)
        self.table = _table()
        layout.addWidget(self.table)
        self.nothing = Text("No key has such words.")
        layout.addWidget(self.nothing)
        self.change = button("Change...", change, "Other keys, other sets of keys, the wheel")
        self.copy = button("Copy as text", self._copy, "To paste it into a document and print it")
        self.shut = button("Close", self.close)
        for each in (self.change, self.copy, self.shut):
            each.setAutoDefault(False)
        layout.addLayout(row(self.change, self.copy, self.shut))
        self.show_lines(lines)
        wide = sum(self.table.columnWidth(i) for i in range(2)) + self.table.verticalScrollBar().sizeHint().width()
        self.resize(min(_WIDEST, max(480, wide + 6 * GAP)), _HEIGHT)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show these lines; what is searched for stays."""
        self._lines = list(lines)
        self.table.clearSpans()
        self.table.setRowCount(len(lines))
        for index, (key, does) in enumerate(lines):
            self.table.setItem(index, 0, QTableWidgetItem(key or does))
            self.table.setItem(index, 1, QTableWidgetItem(does if key else ""))
            if not key:
                self.table.setSpan(index, 0, 1, 2)
                heading = self.table.item(index, 0)
                font = heading.font()
                font.setBold(True)
                heading.setFont(font)
        self.table.resizeColumnsToContents()
        self._filter(self.search.text())

    def _filter(self, text: str) -> None:
        """Show the lines that hold every word, each under its heading."""
        words = text.casefold().split()
        heading, shown_below, found = 0, False, False
        for index, (key, does) in enumerate([*self._lines, ("", "")]):
            if not key:
                if index:
                    self.table.setRowHidden(heading, not shown_below)
                heading, shown_below = index, False
                continue
            holds = all(word in f"{key} {does} {self._lines[heading][1]}".casefold() for word in words)
            self.table.setRowHidden(index, not holds)
            shown_below, found = shown_below or holds, found or holds
        self.nothing.setVisible(not found)

    def _copy(self) -> None:
        copy_text(as_text(self._lines))


def _table() -> QTableWidget:
    table = QTableWidget(0, 2)
    table.setAccessibleName("Keys and mouse")
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.verticalHeader().hide()
    table.horizontalHeader().hide()
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setTabKeyNavigation(False)
    table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + GAP)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setStretchLastSection(True)
    return table
