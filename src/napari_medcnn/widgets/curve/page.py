"""The page "Curve" of the strip: the plot, what is measured, and what can be done with the curves."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_medcnn.widgets.curve.plot import CurvePlot
from napari_medcnn.widgets.parts import GAP, Choice, button


class CurvePage(QWidget):
    """Signals: `source_chosen` with the key of what is measured; `pinned`, `cleared`, `copy_asked`, `save_asked`."""

    source_chosen = Signal(str)
    pinned = Signal()
    cleared = Signal()
    copy_asked = Signal()
    save_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.plot = CurvePlot()
        self.source = Choice()
        self.source.setAccessibleName("Curve of")
        self.source.setToolTip("The voxel under the mouse, the shared place of the views, or the mean of a region")
        self.source.setMinimumContentsLength(14)
        self.source.currentIndexChanged.connect(self._on_source)
        self.pin = button("Keep", self.pinned.emit, "Keep this curve to compare it with others")
        self.clear = button("Clear", self.cleared.emit, "Take all kept curves away")
        self.copy = button("Copy", self.copy_asked.emit, "Put all curves on the clipboard, for a spreadsheet")
        self.save = button("Save CSV...", self.save_asked.emit, "Write all curves to a file")
        self._keys: list[str] = []
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, GAP, 0)
        layout.setSpacing(GAP)
        layout.addWidget(self.plot, 0, 0, 4, 1)
        layout.addWidget(self.source, 0, 1, 1, 2)
        for place, made in enumerate((self.pin, self.clear, self.copy, self.save)):
            layout.addWidget(made, 1 + place // 2, 1 + place % 2)
        layout.setColumnStretch(0, 1)
        layout.setRowStretch(3, 1)

    @property
    def chosen(self) -> str:
        """Key of what is measured."""
        at = self.source.currentIndex()
        return self._keys[at] if 0 <= at < len(self._keys) else ""

    def _on_source(self, _at: int) -> None:
        self.source_chosen.emit(self.chosen)

    def show_sources(self, sources: Sequence[tuple[str, str]]) -> None:
        """List what can be measured, as (key, words); what was chosen stays chosen if it is still there."""
        if [key for key, _ in sources] == self._keys:
            for at, (_, words) in enumerate(sources):
                self.source.setItemText(at, words)
            return
        before = self.chosen
        blocker = QSignalBlocker(self.source)
        self.source.clear()
        self._keys = [key for key, _ in sources]
        self.source.addItems([words for _, words in sources])
        self.source.setCurrentIndex(self._keys.index(before) if before in self._keys else 0)
        blocker.unblock()
        if self.chosen != before:
            self.source_chosen.emit(self.chosen)
