"""The window that shows the table of keys."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_medcnn.widgets.keymap import KEYS, MOUSE, Key
from napari_medcnn.widgets.parts import GAP, column


def rows() -> list[tuple[str, str]]:
    """Return (key, what it does), a heading as ("", name); digits that do alike share a line."""
    lines: list[tuple[str, str]] = [("", "Mouse"), *MOUSE]
    for group in dict.fromkeys(key.group for key in KEYS):
        lines.append(("", group))
        lines += _merged([key for key in KEYS if key.group == group])
    return lines


def _merged(keys: list[Key]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for key in keys:
        if key.does.endswith((" 2", " 3", " 4", " 5", " 6", " 7", " 8")):
            continue
        shown, does = key.shown, key.does
        if does.endswith(" 1"):
            continue
        if does.endswith(" 9"):
            shown, does = f"{shown[:-1]}1 to {shown[-1]}", does[:-2]
        same = next((i for i, old in enumerate(lines) if old[1] == does), None)
        if same is None:
            lines.append((shown, does))
        else:
            lines[same] = (f"{lines[same][0]}, {shown}", does)
    return lines


class KeysWindow(QDialog):
    """A list to read; Esc closes it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and mouse")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(520, 620)
        layout = column(self, margin=2 * GAP)
        lines = rows()
        table = QTableWidget(len(lines), 2)
        table.setAccessibleName("Keys and mouse")
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.verticalHeader().hide()
        table.horizontalHeader().hide()
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for index, (key, does) in enumerate(lines):
            if not key:
                table.setSpan(index, 0, 1, 2)
                heading = QTableWidgetItem(does)
                font = heading.font()
                font.setBold(True)
                heading.setFont(font)
                table.setItem(index, 0, heading)
            else:
                table.setItem(index, 0, QTableWidgetItem(key))
                table.setItem(index, 1, QTableWidgetItem(does))
        layout.addWidget(table)
