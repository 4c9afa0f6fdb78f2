"""The block "Measure" of the Scan tab: the tools, and the way to the table."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QPushButton, QWidget

from napari_medcnn.core.measures import ANGLE, BALL, COBB, ELLIPSE, LENGTH, RECTANGLE
from napari_medcnn.widgets.parts import GAP, Text, button, column, row

_TOOLS = (
    (LENGTH, "Length", "Two points, clicked or dragged"),
    (ANGLE, "Angle", "End, corner, end"),
    (COBB, "Cobb", "Angle between two lines, such as end plates of vertebrae"),
    (ELLIPSE, "Ellipse", "Values and area in an ellipse, dragged from corner to corner"),
    (RECTANGLE, "Rectangle", "Values and area in a rectangle"),
    (BALL, "Ball", "Values and volume in a ball, dragged from its centre to its rim"),
)
#: Kind -> action of the table of keys.
_ACTIONS = {LENGTH: "measure_length", ANGLE: "measure_angle", ELLIPSE: "measure_area"}


class MeasurePanel(QWidget):
    """Signals: `tool_asked` with a kind; `keep_changed`; `table_asked`."""

    tool_asked = Signal(str)
    keep_changed = Signal(bool)
    table_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        grid = QGridLayout()
        grid.setSpacing(GAP)
        self.tools: dict[str, QPushButton] = {}
        for index, (kind, word, tip) in enumerate(_TOOLS):
            made = button(word, partial(self.tool_asked.emit, kind), tip, _ACTIONS.get(kind, ""))
            made.setCheckable(True)
            self.tools[kind] = made
            grid.addWidget(made, index // 3, index % 3)
        layout.addLayout(grid)
        self.keep = QCheckBox("Keep the tool")
        self.keep.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.keep.setToolTip("Draw one measure after the other; Esc puts the tool away")
        self.keep.toggled.connect(self.keep_changed.emit)
        self.table = button("Table", self.table_asked.emit, "All measures in a strip below the picture")
        self.table.setCheckable(True)
        layout.addLayout(row(self.keep, self.table))
        self.note = Text("")
        layout.addWidget(self.note)
        self.show_note("")

    def show_tool(self, kind: str) -> None:
        """Mark the armed tool, "" for none."""
        for name, made in self.tools.items():
            made.setChecked(name == kind)

    def show_note(self, words: str) -> None:
        """Say how the scan is measured where that is not stated by the file."""
        self.note.setText(words)
        self.note.setVisible(bool(words))
