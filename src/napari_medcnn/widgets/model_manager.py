"""The window of all models: what is installed, from where, under which licence; import, test, remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_medcnn.core import paths
from napari_medcnn.core.command import CommandModel
from napari_medcnn.io.packages import Package
from napari_medcnn.widgets.model_card import name_of, title_of
from napari_medcnn.widgets.parts import GAP, Text, button, column, row

COLUMNS = ("Model", "Does", "Size", "Licence", "Hash", "From")
_TASKS = {"segmentation": "masks", "classification": "a class per case"}


@dataclass(frozen=True)
class Entry:
    """A line of the table; `size` in bytes, 0 where it means nothing."""

    model: Package | CommandModel
    size: int

    @property
    def removable(self) -> bool:
        """Only what lies in the user's own models can be taken away: shipped ones would come back by themselves."""
        return isinstance(self.model, CommandModel) or self._is_own

    @property
    def _is_own(self) -> bool:
        return isinstance(self.model, Package) and self.model.path.parent == paths.user_models()

    def cells(self) -> tuple[str, ...]:
        """Return the words of each column."""
        model = self.model
        if isinstance(model, CommandModel):
            return (model.title, _TASKS["segmentation"], "", model.licence, "", "your program")
        spec = model.spec
        task = f"{_TASKS[spec.task]}, {spec.preparation.dimensions}D"
        origin = "shipped" if model.shipped else "yours" if self._is_own else "a folder"
        return (title_of(model), task, size_words(self.size), spec.licence, spec.sha256[:12], origin)

    def place(self) -> str:
        """Return where it lies; of what comes with the program nobody needs the folder."""
        if isinstance(self.model, CommandModel):
            return f"{name_of(self.model)}: runs {' '.join(self.model.arguments)}"
        where = "comes with the program" if self.model.shipped else str(self.model.path)
        return f"{name_of(self.model)}, version {self.model.spec.version}: {where}"


def size_words(count: int) -> str:
    """Return bytes as people say them: "3.1 MB"."""
    if count < 1_000_000:
        return f"{max(1, round(count / 1000))} kB"
    return f"{count / 1e6:.3g} MB" if count < 1_000_000_000 else f"{count / 1e9:.3g} GB"


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where it cannot be read."""
    try:
        if path.is_file():
            return path.stat().st_size
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    except OSError:
        return 0


class ModelManager(QDialog):
    """Shows the table and emits what is wanted of the chosen model."""

    import_file = Signal()
    import_folder = Signal()
    new_command = Signal()
    card_asked = Signal(object)
    hash_asked = Signal(object)
    test_asked = Signal(object)
    faster_asked = Signal(object)
    remove_asked = Signal(object)
    cancel_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models")
        self.resize(900, 420)
        self._entries: tuple[Entry, ...] = ()
        self._busy = False
        layout = column(self, margin=2 * GAP)
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setAccessibleName("Models")
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setTabKeyNavigation(False)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.Interactive)
        self.table.setColumnWidth(3, 130)
        self.table.itemSelectionChanged.connect(self._update)
        layout.addWidget(self.table, 1)
        self.place = Text("")
        layout.addWidget(self.place)
        self.problems = Text("")
        layout.addWidget(self.problems)
        self.words = Text("")
        layout.addWidget(self.words)
        self.card = button("Card", lambda: self._emit(self.card_asked), "The whole card")
        self.copy = button("Copy hash", lambda: self._emit(self.hash_asked), "The full sha256 of the weights")
        self.test = button("Self-test", lambda: self._emit(self.test_asked), "Runs the model on its own test picture")
        self.faster = button(
            "Check faster engines", lambda: self._emit(self.faster_asked), "Converts it, compares the answers, and "
            "measures; nothing is downloaded"
        )  # fmt: skip
        self.remove = button("Remove...", lambda: self._emit(self.remove_asked))
        layout.addLayout(row(self.card, self.copy, self.test, self.faster, self.remove, stretch=True))
        self.add_file = button("Import file...", self.import_file.emit, "A package (zip), .keras or .onnx")
        self.add_folder = button("Import folder...", self.import_folder.emit, "A package as a folder with rdf.yaml")
        self.add_command = button("Add a program...", self.new_command.emit, "One that is installed here, as a model")
        self.cancel = button("Cancel", self.cancel_asked.emit)
        close = button("Close", self.close)
        layout.addLayout(row(self.add_file, self.add_folder, self.add_command, self.cancel, close))
        self.show_busy(False)

    def show_models(self, entries: Sequence[Entry], problems: Sequence[str] = ()) -> None:
        """List the models; the chosen one stays chosen."""
        kept = self.chosen
        self._entries = tuple(entries)
        self.table.setRowCount(len(self._entries))
        for index, entry in enumerate(self._entries):
            for column_index, words in enumerate(entry.cells()):
                cell = QTableWidgetItem(words)
                cell.setToolTip(words)
                if column_index == 2:
                    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(index, column_index, cell)
        names = [name_of(entry.model) for entry in self._entries]
        name = "" if kept is None else name_of(kept.model)
        if names:
            self.table.selectRow(names.index(name) if name in names else 0)
        self.problems.setText("Left out:\n" + "\n".join(problems))
        self.problems.setVisible(bool(problems))
        self._update()

    @property
    def chosen(self) -> Entry | None:
        """The chosen line."""
        rows: list[Any] = self.table.selectionModel().selectedRows()
        index = rows[0].row() if rows else -1
        return self._entries[index] if 0 <= index < len(self._entries) else None

    def say(self, words: str) -> None:
        """Show what came out of the last action, or how far it is."""
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def show_busy(self, busy: bool) -> None:
        """One thing at a time; it can be stopped."""
        self._busy = busy
        self._update()

    def _emit(self, signal: Any) -> None:
        if self.chosen is not None:
            signal.emit(self.chosen)

    def _update(self) -> None:
        entry = self.chosen
        package = entry is not None and isinstance(entry.model, Package)
        self.place.setText("" if entry is None else entry.place())
        self.card.setEnabled(entry is not None)
        self.copy.setEnabled(package)
        self.test.setEnabled(package and not self._busy)
        self.faster.setEnabled(package and not self._busy)
        removable = entry is not None and entry.removable
        self.remove.setEnabled(removable and not self._busy)
        self.remove.setToolTip(
            "" if removable or entry is None else "Comes with the program, or lies in another folder"
        )
        for widget in (self.add_file, self.add_folder, self.add_command):
            widget.setEnabled(not self._busy)
        self.cancel.setVisible(self._busy)
