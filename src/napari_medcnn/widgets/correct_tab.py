"""Correct tab: classes above tools; undo, save, add to a dataset."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QLabel, QLineEdit, QSlider, QVBoxLayout, QWidget

from napari_medcnn.widgets.class_table import ClassTable
from napari_medcnn.widgets.layers import Tool
from napari_medcnn.widgets.parts import Text, button, column, line, row

TOOLS: tuple[tuple[str, Tool, str], ...] = (
    ("Move", "pan_zoom", "Drag moves the picture"),
    ("Brush", "paint", "P"),
    ("Eraser", "erase", "E; or Ctrl+drag with the brush"),
    ("Fill", "fill", "F; fills one connected piece of a class in this slice"),
    ("Pick", "pick", "L; takes the class under the cursor"),
)
LARGEST_BRUSH = 100


class CorrectTab(QWidget):
    """Shows the state of the mask and emits what is wanted."""

    tool_chosen = Signal(str)
    brush_changed = Signal(int)
    class_added = Signal(str)
    undo_asked = Signal()
    redo_asked = Signal()
    save_asked = Signal()
    dataset_asked = Signal()
    empty_asked = Signal()
    open_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.nothing = QWidget()
        none = column(self.nothing)
        self.nothing_words = Text("")
        none.addWidget(self.nothing_words)
        self.empty = button("Start an empty mask", self.empty_asked.emit)
        self.open_mask = button("Open a mask...", self.open_asked.emit)
        none.addWidget(self.empty)
        none.addWidget(self.open_mask)
        layout.addWidget(self.nothing)
        self.editing = QWidget()
        self._build(column(self.editing))
        layout.addWidget(self.editing)
        layout.addStretch(1)
        self.show_mask(False, False)

    def _build(self, layout: QVBoxLayout) -> None:
        self.classes = ClassTable()
        layout.addWidget(self.classes)
        self.new_class = QLineEdit()
        self.new_class.setPlaceholderText("Name of a new class")
        self.new_class.setAccessibleName("Name of a new class")
        self.new_class.setMaxLength(200)
        self.new_class.returnPressed.connect(self._add)
        adding = row(self.new_class, button("Add class", self._add))
        adding.setStretch(0, 1)
        layout.addLayout(adding)
        layout.addWidget(line())
        self.tools = QButtonGroup(self)
        self._tool_buttons = {}
        for name, tool, tip in TOOLS:
            made = button(name, partial(self.tool_chosen.emit, tool), tip)
            made.setCheckable(True)
            self.tools.addButton(made)
            self._tool_buttons[tool] = made
        layout.addLayout(row(*list(self._tool_buttons.values())))
        self.brush = QSlider(Qt.Orientation.Horizontal)
        self.brush.setRange(1, LARGEST_BRUSH)
        self.brush.setAccessibleName("Brush size in pixels")
        self.brush.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.brush_words = QLabel("")
        self.brush_words.setMinimumWidth(48)
        self.brush.valueChanged.connect(self._brush_moved)
        sizes = row(QLabel("Brush size"), self.brush, self.brush_words)
        sizes.setStretch(1, 1)
        layout.addLayout(sizes)
        self.undo = button("Undo", self.undo_asked.emit, "Ctrl+Z")
        self.redo = button("Redo", self.redo_asked.emit, "Ctrl+Shift+Z or Ctrl+Y")
        layout.addLayout(row(self.undo, self.redo))
        layout.addWidget(line())
        self.save = button("Save corrected mask...", self.save_asked.emit)
        self.dataset = button("Add to dataset...", self.dataset_asked.emit, "Adds scan and mask to a dataset table")
        layout.addWidget(self.save)
        layout.addWidget(self.dataset)
        self.message = Text("")
        layout.addWidget(self.message)

    def show_mask(self, there: bool, scan_open: bool) -> None:
        """Show the tools if there is a mask, else how to get one."""
        self.editing.setVisible(there)
        self.nothing.setVisible(not there)
        self.empty.setVisible(scan_open)
        self.open_mask.setVisible(scan_open)
        words = "There is no mask yet. Run a model on the AI tab, or:" if scan_open else "Open a scan first."
        self.nothing_words.setText(words)

    def show_tool(self, tool: str) -> None:
        """Mark the tool that the mouse holds."""
        made = self._tool_buttons.get(tool)  # type: ignore[call-overload]
        if made is not None:
            made.setChecked(True)

    def show_brush(self, size: int) -> None:
        """Show the brush size without sending it back."""
        self.brush.blockSignals(True)
        self.brush.setValue(size)
        self.brush.blockSignals(False)
        self.brush_words.setText(f"{size} px")

    def show_history(self, undo: str | None, redo: str | None) -> None:
        """Name what Undo and Redo would do; None disables."""
        for made, word, name in ((self.undo, "Undo", undo), (self.redo, "Redo", redo)):
            made.setText(word if name is None else f"{word} {name.lower()}")
            made.setEnabled(name is not None)

    def say(self, words: str) -> None:
        """Show one line below the buttons."""
        self.message.setText(words)

    def _brush_moved(self, size: int) -> None:
        self.brush_words.setText(f"{size} px")
        self.brush_changed.emit(size)

    def _add(self) -> None:
        name = self.new_class.text().strip()
        if name:
            self.new_class.clear()
            self.class_added.emit(name)
