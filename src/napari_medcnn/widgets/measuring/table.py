"""The page of the strip that lists all measures, and the one that lists the values under each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_medcnn.core.measures import WORDS
from napari_medcnn.widgets.measuring.board import Board
from napari_medcnn.widgets.measuring.rows import HEADS, screen_row
from napari_medcnn.widgets.parts import GAP, as_tip, button, column

_NAME, _WHERE, _TIME = 0, HEADS.index("Where"), HEADS.index("Time")
_ID = Qt.ItemDataRole.UserRole


class QuietTable(QTableWidget):
    """A table as dense as a strip needs; it keeps its keys to itself."""

    deleted = Signal()

    def __init__(self, name: str, heads: Sequence[str]) -> None:
        super().__init__(0, len(heads))
        self.setAccessibleName(name)
        self.setHorizontalHeaderLabels(list(heads))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setStretchLastSection(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)

    def keyPressEvent(self, event: Any) -> None:
        """Delete removes the chosen row; letters and digits, which Qt would look rows up by, do nothing."""
        if event.key() == Qt.Key.Key_Delete:
            self.deleted.emit()
            event.accept()
        elif event.text() and event.text().isprintable():
            event.accept()
        else:
            super().keyPressEvent(event)


class MeasureTable(QWidget):
    """All measures, oldest first, and what can be done with them.

    Signals: `wanted` with the id of a measure to go to; `copy_asked`, `save_asked`, `scale_asked`, `classes_asked`.
    """

    wanted = Signal(str)
    copy_asked = Signal()
    save_asked = Signal()
    scale_asked = Signal()
    classes_asked = Signal()

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board, self._filling = board, False
        self.rows = QuietTable("Measures", HEADS)
        self.rows.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.delete = button("Delete", self._delete, "Delete the chosen measure (Delete)")
        self.back = button("Bring back", board.bring_back, "Take the last deletion back")
        self.copy = button("Copy", self.copy_asked.emit, "Put all measures on the clipboard, for a spreadsheet")
        self.save = button("Save CSV...", self.save_asked.emit, "Write all measures to a file")
        self.scale = button(
            "Set scale...", self.scale_asked.emit,
            "Where the file states no size: draw a length over something of known size, choose it, then say its mm",
        )  # fmt: skip
        self.classes = button("Classes...", self.classes_asked.emit, "Values of the scan under each class of the mask")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(GAP, 0, GAP, GAP)
        layout.setSpacing(GAP)
        layout.addWidget(self.rows, 1)
        grid = QGridLayout()
        grid.setSpacing(4)
        for index, made in enumerate((self.copy, self.save, self.delete, self.back, self.scale, self.classes)):
            grid.addWidget(made, index // 2, index % 2)
        grid.setRowStretch(3, 1)
        layout.addLayout(grid)
        self.rows.itemChanged.connect(self._on_edited)
        self.rows.itemSelectionChanged.connect(self._on_chosen)
        self.rows.cellClicked.connect(lambda _row, _column: self._on_chosen())
        self.rows.deleted.connect(self._delete)
        board.changed.connect(self.refresh)
        board.redraw.connect(self._mark)
        self.refresh()

    def refresh(self) -> None:
        """Show the measures as they are now."""
        board, self._filling = self._board, True
        self.rows.setRowCount(len(board.measures))
        for index, measure in enumerate(board.measures):
            for column_at, words in enumerate(screen_row(board, measure)):
                cell = QTableWidgetItem(words)
                cell.setData(_ID, measure.id)
                cell.setToolTip(f"{WORDS[measure.kind]}; double-click renames" if column_at == _NAME else as_tip(words))
                if column_at != _NAME:
                    cell.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                self.rows.setItem(index, column_at, cell)
        self._filling = False
        self.rows.setColumnHidden(_WHERE, board.scan is None or board.scan.is_picture)
        self.rows.setColumnHidden(_TIME, board.scan is None or board.scan.frames < 2)
        for made in (self.copy, self.save):
            made.setEnabled(bool(board.measures))
        self.back.setEnabled(board.can_bring_back)
        self.scale.setEnabled(board.can_set_scale)
        self._mark()

    def _mark(self) -> None:
        """Select the row of the chosen measure, without going there."""
        ids = [measure.id for measure in self._board.measures]
        self._filling = True
        if self._board.chosen in ids:
            self.rows.selectRow(ids.index(self._board.chosen))
        else:
            self.rows.clearSelection()
        self._filling = False
        self.delete.setEnabled(self._board.chosen in ids)

    def _on_chosen(self) -> None:
        row = self.rows.currentRow()
        if not self._filling and 0 <= row < len(self._board.measures):
            chosen = self._board.measures[row].id
            self._board.choose(chosen)
            self.wanted.emit(chosen)

    def _on_edited(self, item: QTableWidgetItem) -> None:
        if not self._filling and item.column() == _NAME:
            self._board.rename(str(item.data(_ID)), item.text())

    def _delete(self) -> None:
        self._board.remove(self._board.chosen)


class ClassValues(QWidget):
    """Values of the scan under each class, as they were counted last."""

    copy_asked = Signal()
    save_asked = Signal()
    again_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows = QuietTable("Values under each class", ())
        self.rows.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(GAP, 0, GAP, GAP)
        layout.addWidget(self.rows, 1)
        buttons = column(margin=0)
        buttons.addWidget(button("Copy", self.copy_asked.emit, "Put the table on the clipboard"))
        buttons.addWidget(button("Save CSV...", self.save_asked.emit, "Write the table to a file"))
        buttons.addWidget(button("Count again", self.again_asked.emit, "Of the mask as it stands now"))
        buttons.addStretch(1)
        layout.addLayout(buttons)

    def show_rows(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show these rows instead of what was there."""
        self.rows.setColumnCount(len(heads))
        self.rows.setHorizontalHeaderLabels(list(heads))
        self.rows.setRowCount(len(rows))
        for index, row in enumerate(rows):
            for at, words in enumerate(row):
                self.rows.setItem(index, at, QTableWidgetItem(words))
