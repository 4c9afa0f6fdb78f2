"""The block "3D" of the Scan tab: how the scan is rendered, and surfaces of the classes."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_medcnn.widgets.parts import Choice, Text, button, column, row
from napari_medcnn.widgets.volume_view.class_list import ClassList
from napari_medcnn.widgets.volume_view.scene import RENDERINGS

OUT_OF_DATE = "Out of date: the mask changed."


class VolumePanel(QWidget):
    """Emits what is wanted: a rendering, surfaces or to stop making them, whether they are seen, a file of them."""

    rendering_chosen = Signal(str)
    surfaces_asked = Signal()
    surfaces_shown = Signal(bool)
    save_asked = Signal()

    def __init__(self, front: Callable[[], None]) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.rendering = Choice()
        self.rendering.setAccessibleName("How the scan is shown in 3D")
        for words, name in RENDERINGS:
            self.rendering.addItem(words, name)
        self.rendering.currentIndexChanged.connect(
            lambda _index: self.rendering_chosen.emit(self.rendering.currentData())
        )
        self.front = button("From the front", front, "The patient seen from the front, head up")
        layout.addLayout(row(self.rendering, self.front))
        self.surfaces = button("Surfaces", self.surfaces_asked.emit, "A surface for each class of the mask, in 3D")
        self.shown = QCheckBox("Show surfaces")
        self.shown.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.shown.setToolTip("Classes that are hidden in the table of classes have no surface either")
        self.shown.toggled.connect(self.surfaces_shown.emit)
        layout.addLayout(row(self.surfaces, self.shown, stretch=True))
        self.classes = ClassList()
        layout.addWidget(self.classes)
        self.save = button(
            "Save surfaces...",
            self.save_asked.emit,
            "Write the ticked classes as PLY or STL, in mm (LPS)",
        )
        layout.addLayout(row(self.save, stretch=True))
        self.state = Text("")
        layout.addWidget(self.state)
        self.show_surfaces(False, False, False)

    def show_surfaces(self, mask: bool, made: bool, stale: bool) -> None:
        """Show whether there is a mask, surfaces of it, and whether it changed since."""
        for made_of_a_mask in (self.surfaces, self.save):
            made_of_a_mask.setEnabled(mask)
        self.surfaces.setText("Update surfaces" if made else "Surfaces")
        self.shown.setVisible(made)
        self.state.setText("" if not stale else OUT_OF_DATE)
        self.state.setVisible(stale)
        if not mask:
            self.say("Surfaces need a mask.")

    def show_checked(self, shown: bool) -> None:
        """Tick "Show surfaces" without asking for anything."""
        self.shown.blockSignals(True)
        self.shown.setChecked(shown)
        self.shown.blockSignals(False)

    def show_work(self, words: str) -> None:
        """Show what is being made; the button stops it. "" if nothing is."""
        self.surfaces.setText("Stop" if words else "Surfaces")
        self.say(words)

    def say(self, words: str) -> None:
        """Show a line, "" for none."""
        self.state.setText(words)
        self.state.setVisible(bool(words))
