"""What is drawn over a canvas: letters, crosshair, measures. Drawn with Qt, so an exported picture can be drawn alike.

The overlay is a child of napari's OpenGL canvas that lets every mouse event through. Nothing of it is a layer: it costs
no slicing, and it never appears in the layer list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.views.frame import Frame

if TYPE_CHECKING:
    from napari_medcnn.widgets.views.pane import Pane

#: Draws something over a pane. `frame` says which part of the world the picture shows and how large letters are; it is
#: None for a 3D view. The painter comes as it goes: save and restore what is changed.
Painter = Callable[[QPainter, Frame | None, "Pane"], None]

#: Milliseconds between words that change while a hand moves the mouse.
_REST_MS = 60


class Overlay(QWidget):
    """As large as its canvas; calls every painter in turn."""

    def __init__(self, pane: Pane, painters: list[Painter]) -> None:
        super().__init__(pane.native)
        self._pane, self._painters = pane, painters
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        #: The lower half has other words than those that are seen, and is drawn when the rest is over.
        self._behind = False
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.timeout.connect(self._catch_up)
        self._shown = QTimer(self)
        self._shown.setSingleShot(True)
        self._shown.timeout.connect(pane.native.update)
        pane.native.installEventFilter(self)
        self.resize(pane.native.size())
        self.show()

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Keep the size of the canvas, and have it drawn whenever it comes on the screen.

        Qt does not when the canvas was hidden with a request to draw still waiting; vispy waits for that picture before
        it asks for another, so without this the view would stay black.
        """
        if event.type() == QEvent.Type.Resize:
            self.resize(event.size())
        elif event.type() == QEvent.Type.Show:
            self._shown.start()
        return False

    def update_lower(self) -> None:
        """Draw the lower half again, where readout, slice and window stand: those lines never go beyond it.

        At once, and while a hand moves the mouse every 60 ms: putting the words together costs a third of a slice.
        """
        self._behind = self._resting.isActive()
        if not self._behind:
            half = self.height() // 2
            self.update(0, half, self.width(), self.height() - half)
            self._resting.start(_REST_MS)

    def _catch_up(self) -> None:
        if self._behind:
            self.update_lower()

    def paintEvent(self, event: Any) -> None:
        """Draw what is asked for; painters see from the clip what need not be drawn."""
        painter = QPainter(self)
        painter.setClipRegion(event.region())
        draw(painter, self._painters, self._pane.frame(), self._pane)
        painter.end()


def draw(painter: QPainter, painters: list[Painter], frame: Frame | None, pane: Pane) -> None:
    """Let every painter draw; for an exported picture `painter` draws on an image and `frame` has its size."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for paint in painters:
        painter.save()
        paint(painter, frame, pane)
        painter.restore()
