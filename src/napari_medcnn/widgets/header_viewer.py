"""A window with everything a file's header says, searched by tag, name or value; values that name a person hide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QDialog, QHeaderView, QSpinBox, QTableView, QWidget

from napari_medcnn.core.events import Cancel, Events
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.found import plain
from napari_medcnn.verbs import headers
from napari_medcnn.widgets.names import HIDDEN
from napari_medcnn.widgets.parts import GAP, Elided, Text, as_tip, button, column, copy_text, row
from napari_medcnn.widgets.study_tree import Search
from napari_medcnn.widgets.tasks import Tasks, Work

COLUMNS = ("Tag", "Name", "Value")
_TASK, _CUT = "Header", 400


class HeaderRows(QAbstractTableModel):
    """The rows of `verbs.headers` that a search leaves; plain text, cut, never markup."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._all: tuple[Any, ...] = ()
        self._shown: list[tuple[str, str, str]] = []
        self._hidden = False
        self._words: tuple[str, ...] = ()

    def show_rows(self, rows: Sequence[Any]) -> None:
        """Show the rows of another file."""
        self._all = tuple(rows)
        self._refresh()

    def hide_names(self, hidden: bool) -> None:
        """Hide or show values that name a person; what is hidden is not found by its value either."""
        self._hidden = hidden
        self._refresh()

    def search(self, words: str) -> None:
        """Leave the rows in which all words occur."""
        self._words = tuple(words.lower().split())
        self._refresh()

    def _refresh(self) -> None:
        self.beginResetModel()
        cells = [self._cells(tag) for tag in self._all]
        self._shown = [c for c in cells if all(word in " ".join(c).lower() for word in self._words)]
        self.endResetModel()

    def _cells(self, tag: Any) -> tuple[str, str, str]:
        value = HIDDEN if self._hidden and tag.personal and tag.value else plain(tag.value, _CUT)
        return plain(tag.tag), f"{'  ' * tag.depth}{plain(tag.name)}", value

    def line(self, index: int) -> str:
        """Return one row as text."""
        return "\t".join(part.strip() for part in self._shown[index])

    def rowCount(self, parent: Any = None) -> int:
        """Rows that the search leaves."""
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def columnCount(self, parent: Any = None) -> int:
        """Tag, name, value."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The words of a cell; a tool tip has them only where they are longer than the column is likely to be."""
        words = self._shown[index.row()][index.column()] if index.isValid() else ""
        if role == int(Qt.ItemDataRole.DisplayRole):
            return words
        if role == int(Qt.ItemDataRole.ToolTipRole) and len(words) > 30:
            return as_tip(words)
        return None

    def headerData(self, section: int, orientation: Any, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The names of the columns."""
        if role == int(Qt.ItemDataRole.DisplayRole) and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None


class Table(QTableView):
    """A table that keeps its keys to itself; Ctrl+C copies the rows."""

    def __init__(self, window: HeaderViewer) -> None:
        super().__init__(window)
        self._window = window

    def keyPressEvent(self, event: Any) -> None:
        """Copy the chosen rows, all of each; Esc closes the window."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.key() == Qt.Key.Key_C:
            self._window.copy()
            event.accept()
            return
        super().keyPressEvent(event)
        if event.key() != Qt.Key.Key_Escape:
            event.accept()


class HeaderViewer(QDialog):
    """Reads in a task and shows; one window for a dock."""

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Header")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(640, 520)
        self._tasks = tasks
        self._files: tuple[Path, ...] = ()
        layout = column(self, margin=2 * GAP)
        self.title = Elided("", bold=True)
        layout.addWidget(self.title)
        self.search = Search("Search: tag, name or value")
        self.file = QSpinBox()
        self.file.setAccessibleName("File of the series")
        self.file.setPrefix("File ")
        self.file.setKeyboardTracking(False)
        self.file.valueChanged.connect(lambda _value: self._read())
        searching = row(self.search, self.file)
        searching.setStretch(0, 1)
        layout.addLayout(searching)
        self.rows = HeaderRows(self)
        self.table = self._table()
        layout.addWidget(self.table, 1)
        self.words = Text("")
        self.copy_button = button("Copy row", self.copy, "Ctrl+C copies the chosen rows")
        below = row(self.words, self.copy_button, button("Close", self.close))
        below.setStretch(0, 1)
        layout.addLayout(below)
        self.search.textChanged.connect(self._search)
        self.search.leave_down.connect(lambda: self.table.setFocus(Qt.FocusReason.OtherFocusReason))

    def _table(self) -> Table:
        table = Table(self)
        table.setModel(self.rows)
        table.setAccessibleName("Header")
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().lineSpacing() + GAP)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setTabKeyNavigation(False)
        table.setWordWrap(False)
        head = table.horizontalHeader()
        head.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        head.setStretchLastSection(True)
        head.setHighlightSections(False)
        table.setColumnWidth(0, 100)
        table.setColumnWidth(1, 230)
        return table

    def show_files(self, title: str, files: tuple[Path, ...]) -> None:
        """Read and show the header of the first of these files."""
        self._files = files
        self.title.show_text(title)
        self.file.blockSignals(True)
        self.file.setRange(1, max(1, len(files)))
        self.file.setValue(1)
        self.file.setSuffix(f" of {len(files)}")
        self.file.setMinimumWidth(self.fontMetrics().horizontalAdvance(f"File {len(files)} of {len(files)}") + 90)
        self.file.blockSignals(False)
        self.file.setVisible(len(files) > 1)
        self._read()

    def hide_names(self, hidden: bool) -> None:
        """Hide or show values that name a person."""
        self.rows.hide_names(hidden)
        self._count()

    def copy(self) -> None:
        """Put the chosen rows on the clipboard."""
        chosen = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        if chosen:
            copy_text("\n".join(self.rows.line(i) for i in chosen))
            self.words.setText("Copied.")

    def done(self, result: int) -> None:
        """The window closes: what is still read is dropped."""
        self._tasks.drop(_TASK)
        super().done(result)

    def _read(self) -> None:
        self.words.setText("Reading the header ...")
        work = _work(self._files[self.file.value() - 1])
        self._tasks.start(_TASK, work, self._show, self._failed)

    def _show(self, rows: Sequence[Any]) -> None:
        self.rows.show_rows(rows)
        self._count()

    def _failed(self, error: MedcnnError) -> None:
        self.rows.show_rows(())
        self.words.setText(f"✗  {error}")

    def _search(self, words: str) -> None:
        self.rows.search(words)
        self._count()

    def _count(self) -> None:
        self.words.setText(f"{self.rows.rowCount():,} rows")


def _work(path: Path) -> Work:
    def work(cancel: Cancel) -> Events:
        yield from headers.run(headers.HeadersRequest(path), cancel)

    return work
