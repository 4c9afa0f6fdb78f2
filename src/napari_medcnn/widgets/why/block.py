"""The block "Why?" below a result in the AI tab: question, progress, and the map."""

from __future__ import annotations

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QProgressBar, QScrollArea, QWidget

from napari_medcnn.widgets.parts import Text, button, column, line, row
from napari_medcnn.widgets.why.ask_form import AskForm
from napari_medcnn.widgets.why.map_panel import MapPanel


class WhyBlock(QWidget):
    """Form, progress and panel; emits `cancel_asked`."""

    cancel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        layout.addWidget(line())
        layout.addWidget(Text("Why?", bold=True))
        self.form, self.panel = AskForm(), MapPanel()
        layout.addWidget(self.form)
        layout.addWidget(line())
        self.answer = QWidget()
        inside = column(self.answer, margin=0)
        layout.addWidget(self.answer)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress of the answer")
        self.cancel = button("Cancel", self.cancel_asked.emit, "Esc")
        progress = row(self.bar, self.cancel)
        progress.setStretch(0, 1)
        inside.addLayout(progress)
        self.doing, self.error = Text(""), Text("")
        inside.addWidget(self.doing)
        inside.addWidget(self.error)
        inside.addWidget(self.panel)
        self._target: QWidget | None = None
        self._follows = False
        self.show_working("")
        self.show_error("")
        self.hide()

    def show_working(self, words: str, fraction: float | None = None) -> None:
        """Show how far an answer or a check is, "" for nothing."""
        for widget in (self.bar, self.cancel, self.doing):
            widget.setVisible(bool(words))
        self.bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))
        self.doing.setText(words)

    def show_error(self, words: str) -> None:
        """Show what went wrong, "" for nothing; the map before stays."""
        self.error.setText(f"✗  {words}" if words else "")
        self.error.setVisible(bool(words))

    def look_at(self, widget: QWidget) -> None:
        """Scroll the tab until a part of the block begins at its top, and keep it there until the user scrolls.

        What stands above it and in it changes while an answer is checked: its title would wander out of sight.
        """
        self._target = widget
        area = self._area()
        if area is not None and not self._follows:
            self._follows = True
            bar = area.verticalScrollBar()
            bar.rangeChanged.connect(lambda _low, _high: QTimer.singleShot(0, self._scroll))
            bar.actionTriggered.connect(lambda _action: self.look_away())
        QTimer.singleShot(0, self._scroll)

    def look_away(self) -> None:
        """The tab stays where it is scrolled to from now on."""
        self._target = None

    def _scroll(self) -> None:
        area, widget = self._area(), self._target
        if area is not None and widget is not None and widget.isVisible():
            area.verticalScrollBar().setValue(widget.mapTo(area.widget(), widget.rect().topLeft()).y())

    def _area(self) -> QScrollArea | None:
        found: QWidget | None = self
        while found is not None and not isinstance(found, QScrollArea):
            found = found.parentWidget()
        return found
