"""Correct tab: classes above tools; undo, save, add to a dataset."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_medcnn.widgets.class_table import ClassTable
from napari_medcnn.widgets.layers import Tool
from napari_medcnn.widgets.parts import Text, button, change_tip, column, line, row
from napari_medcnn.widgets.tools.brush_row import BrushRow
from napari_medcnn.widgets.tools.form import ToolForm

#: Word, tool, tool tip, action of the table of keys.
TOOLS: tuple[tuple[str, Tool, str, str], ...] = (
    ("Move", "pan_zoom", "Drag moves the picture", ""),
    ("Brush", "paint", "Drag paints", "tool_paint"),
    ("Eraser", "erase", "Drag erases; so does Ctrl+drag with the brush", "tool_erase"),
    ("Fill", "fill", "Fills the piece or hole under a click; again: in 3D", "tool_fill"),
    ("Pick", "pick", "Takes the class under the cursor", "tool_pick"),
)
#: Tools of ours that are drawn with, as above.
DRAWN: tuple[tuple[str, str, str, str], ...] = (
    ("Lasso", "lasso", "Drag around, or click corners; Enter or a double-click finishes", "tool_lasso"),
    ("Region", "grow", "Click in a region; the wheel changes how like its values must be", "tool_grow"),
)
#: Pixels of the name of a step on Undo and Redo; the whole name is told when it is done.
_STEP_WIDTH = 132
_UNDO_TIP, _REDO_TIP = "Take the last stroke back", "Make it again"


class CorrectTab(QWidget):
    """Shows the state of the mask and emits what is wanted."""

    tool_chosen = Signal(str)
    drawn_chosen = Signal(str)
    brush_changed = Signal(int)
    class_added = Signal(str)
    change_asked = Signal()
    undo_asked = Signal()
    redo_asked = Signal()
    save_asked = Signal()
    dataset_asked = Signal()
    empty_asked = Signal()
    open_asked = Signal()
    tools_asked = Signal()

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
        self.change_class = button(
            "Change...", self.change_asked.emit, "Of the chosen class: name, colour, merge, pieces, delete"
        )
        adding = row(self.new_class, button("Add class", self._add), self.change_class)
        adding.setStretch(0, 1)
        layout.addLayout(adding)
        layout.addWidget(line())
        self.tools = QButtonGroup(self)
        self._tool_buttons: dict[str, QPushButton] = {}
        for rows, chosen in ((TOOLS, self.tool_chosen), (DRAWN, self.drawn_chosen)):
            for name, tool, tip, action in rows:
                made = button(name, partial(chosen.emit, tool), tip, action)
                made.setCheckable(True)
                self.tools.addButton(made)
                self._tool_buttons[tool] = made
        made_now = list(self._tool_buttons.values())
        layout.addLayout(row(*made_now[: len(TOOLS)]))
        more = "Smooth, fill holes, margins, threshold, pieces, slices between"
        self.more = button("More tools...", self.tools_asked.emit, more, "show_tools")
        layout.addLayout(row(*made_now[len(TOOLS) :], self.more))
        self.form = ToolForm()
        layout.addWidget(self.form)
        self.brush_row = BrushRow()
        self.brush, self.brush_words = self.brush_row.size_slider, self.brush_row.size_words
        self.brush_row.size_changed.connect(self.brush_changed)
        layout.addWidget(self.brush_row)
        self.undo = button("Undo", self.undo_asked.emit, _UNDO_TIP, "undo")
        self.redo = button("Redo", self.redo_asked.emit, _REDO_TIP, "redo")
        layout.addLayout(row(self.undo, self.redo))
        layout.addWidget(line())
        self.save = button("Save corrected mask...", self.save_asked.emit)
        self.dataset = button("Add to dataset...", self.dataset_asked.emit, "Adds scan and mask to a dataset table")
        self.keep_up = QCheckBox("Keep the file up to date")
        self.keep_up.setAccessibleName("Keep the file up to date")
        self.keep_up.setToolTip(
            "Once you have saved the mask, changes go to the same file by themselves, two minutes after the first"
        )
        self.keep_up.setChecked(True)
        layout.addWidget(self.save)
        layout.addWidget(self.keep_up)
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
        if not there:
            self.new_class.clear()  # half a name, for a mask that has gone

    def show_tool(self, tool: str) -> None:
        """Mark the tool that the mouse holds; none where it has no button."""
        made, marked = self._tool_buttons.get(tool), self.tools.checkedButton()
        if made is not None:
            made.setChecked(True)
        elif marked is not None:
            self.tools.setExclusive(False)
            marked.setChecked(False)
            self.tools.setExclusive(True)

    def show_brush(self, size: int) -> None:
        """Show the brush size without sending it back."""
        self.brush_row.show_size(size)

    def show_history(self, undo: str | None, redo: str | None) -> None:
        """Name what Undo and Redo would do; None disables."""
        for made, word, name, tip in ((self.undo, "Undo", undo, _UNDO_TIP), (self.redo, "Redo", redo, _REDO_TIP)):
            words = word if name is None else f"{word} {name[:1].lower()}{name[1:]}"
            made.setText(made.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, _STEP_WIDTH))
            made.setAccessibleName(words)
            change_tip(made, tip if name is None else words)
            made.setEnabled(name is not None)

    def say(self, words: str) -> None:
        """Show one line below the buttons."""
        self.message.setText(words)

    def _add(self) -> None:
        name = self.new_class.text().strip()
        if name:
            self.new_class.clear()
            self.class_added.emit(name)
