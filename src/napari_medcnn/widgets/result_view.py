"""What a model found: classes with size and score, or the classes of the whole case as bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_medcnn.core.labels import Colour, Label
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.widgets.parts import Text, button, column, form, line, row

_ROWS_SHOWN = 6
_WHY_TIP = "Click: why this class?"
#: Groups of maps over the scan.
DOUBT, PROBABILITY = "Uncertainty", "Probability"
SCORE_WORDS = "Score: mean probability of the voxels of the class, as the model puts it; not how often it is right."


def swatch(label: Label) -> QIcon:
    """Return a square in the colour of a class."""
    return square(label.colour)


def square(colour: Colour) -> QIcon:
    """Return a square in a colour, the same where what it stands by is disabled or marked: it says which class."""
    drawn, icon = QPixmap(14, 14), QIcon()
    drawn.fill(QColor(*colour))
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Selected):
        icon.addPixmap(drawn, mode)
    return icon


def amount(n: int, geometry_mm: tuple[float, float, float] | None, picture: bool) -> str:
    """Return how much `n` voxels are: ml or mm2 where the size is stated, else px or voxels."""
    if geometry_mm is None:
        return f"{n:,} px".replace(",", " ") if picture else f"{n:,} voxels".replace(",", " ")
    if picture:
        return f"{n * geometry_mm[1] * geometry_mm[2]:.4g} mm²"
    return f"{n * geometry_mm[0] * geometry_mm[1] * geometry_mm[2] / 1000:.3g} ml"


class ClassBar(QProgressBar):
    """The score of a class; a click asks why."""

    clicked = Signal()

    def mouseReleaseEvent(self, event: Any) -> None:
        """A click that ends where it began."""
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.pos()):
            self.clicked.emit()
        super().mouseReleaseEvent(event)


class ResultView(QWidget):
    """Shows a result; emits what to do with it."""

    save_asked = Signal()
    how_asked = Signal()
    command_asked = Signal()
    python_asked = Signal()
    maps_shown = Signal(str, bool)
    #: Why did the model say that: about a class by name, "" for the one that it gave.
    why_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        layout.addWidget(line())
        self.title = Text("Result", bold=True)
        layout.addWidget(self.title)
        self.made = Text("")
        self.made.setToolTip("Where the model ran")
        layout.addWidget(self.made)
        self.table = QTableWidget(0, 3)
        self.table.setAccessibleName("Classes found")
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.table.cellClicked.connect(self._on_class)
        self.table.setToolTip(_WHY_TIP)
        layout.addWidget(self.table)
        self.score_words = Text(SCORE_WORDS)
        layout.addWidget(self.score_words)
        self.bars = form()
        layout.addLayout(self.bars)
        self.doubt = self._switch(DOUBT, "Show where the model is undecided")
        self.probabilities = self._switch(PROBABILITY, "Show the probability of every class")
        layout.addWidget(self.doubt)
        layout.addWidget(self.probabilities)
        self.warnings = Text("")
        layout.addWidget(self.warnings)
        self.why = button("Why?", lambda: self.why_asked.emit(""), "A map of what moved the score, and its check")
        layout.addWidget(self.why)
        self.save = button("Save mask...", self.save_asked.emit)
        self.how = button("How this was made", self.how_asked.emit)
        self.command = button("Copy as command", self.command_asked.emit, "For a terminal")
        self.python = button("Copy as Python", self.python_asked.emit, "For a script or notebook")
        layout.addLayout(row(self.save, self.how))
        layout.addLayout(row(self.command, self.python))
        self.clear()

    def clear(self) -> None:
        """Show nothing, and hold nothing of the result that went."""
        self._reset(True)
        self.table.setRowCount(0)
        self.hide()

    def show_mask(self, result: Segmentation, counts: Mapping[int, int]) -> None:
        """Show the classes of a mask; `counts` are voxels per id."""
        self._reset(True)
        grid = result.mask.geometry
        size = grid.spacing_mm if grid.spacing_known else None
        picture = grid.shape[0] == 1
        unit = ("Area" if picture else "Volume") if size else ("Area" if picture else "Size")
        self.table.setHorizontalHeaderLabels(["Class", unit, "Score"])
        self.table.setRowCount(len(result.mask.labels))
        for index, label in enumerate(result.mask.labels):
            name = QTableWidgetItem(swatch(label), label.name)
            n = counts.get(label.id, 0)
            much = QTableWidgetItem(amount(n, size, picture) if n else "none")
            score = result.scores.get(label.name)
            sure = QTableWidgetItem("" if score is None else f"{score:.2f}")
            sure.setToolTip(SCORE_WORDS)
            for cell in (much, sure):
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for column_index, cell in enumerate((name, much, sure)):
                self.table.setItem(index, column_index, cell)
        header = self.table.horizontalHeaderItem(2)
        if header is not None:
            header.setToolTip(SCORE_WORDS)
        self._fit_table()
        self.doubt.setVisible(result.uncertainty is not None)
        self.probabilities.setVisible(result.probabilities is not None)
        self._finish(result)

    def show_classes(self, result: Classification) -> None:
        """Show the class scores of a whole case as bars with numbers."""
        self._reset(False)
        chosen = " and ".join(result.chosen) or "none of the classes"
        self.title.setText(f"Result: {chosen}")
        for name, value in sorted(result.probabilities.items(), key=lambda pair: -pair[1]):
            bar = ClassBar()
            bar.clicked.connect(lambda name=name: self.why_asked.emit(name))
            bar.setToolTip(_WHY_TIP)
            bar.setRange(0, 1000)
            bar.setValue(round(1000 * value))
            bar.setFormat(f"{value:.2f}")
            bar.setAccessibleName(f"{name}: {value:.2f}")
            self.bars.addRow(name, bar)
        self._finish(result)

    def _on_class(self, at: int, _column: int) -> None:
        cell = self.table.item(at, 0)
        if cell is not None:
            self.why_asked.emit(cell.text())

    def _reset(self, mask: bool) -> None:
        self.title.setText("Result")
        self.score_words.setVisible(mask)
        for switch, on in ((self.doubt, True), (self.probabilities, False)):
            switch.blockSignals(True)
            switch.setChecked(on)
            switch.blockSignals(False)
            switch.hide()
        while self.bars.rowCount():
            self.bars.removeRow(0)
        self.table.setVisible(mask)
        self.save.setText("Save mask..." if mask else "Save scores...")

    def _finish(self, result: Segmentation | Classification) -> None:
        seconds = sum(result.provenance.seconds.values())
        device = result.provenance.device
        self.made.setText(f"{device}, {seconds:.1f}\N{NO-BREAK SPACE}s" if device and seconds else device)
        self.made.setVisible(bool(device))
        self.warnings.setText("\n".join(f"!  {text}" for text in result.warnings))
        self.warnings.setVisible(bool(result.warnings))
        self.show()

    def _switch(self, kind: str, words: str) -> QCheckBox:
        box = QCheckBox(words)
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.toggled.connect(lambda on: self.maps_shown.emit(kind, on))
        return box

    def _fit_table(self) -> None:
        rows = min(self.table.rowCount(), _ROWS_SHOWN)
        height = self.table.horizontalHeader().sizeHint().height() + rows * self.table.rowHeight(0) + 4
        self.table.setFixedHeight(height)
