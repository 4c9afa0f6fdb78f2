"""What is drawn over a canvas: letters, crosshair, measures. Drawn with Qt, so an exported picture can be drawn alike.

The overlay is a child of napari's OpenGL canvas that lets every mouse event through. Nothing of it is a layer: it costs
no slicing, and it never appears in the layer list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.views.frame import Frame

if TYPE_CHECKING:
    from napari_medcnn.widgets.views.pane import Pane

#: Draws something over a pane. `frame` says which part of the world the picture shows and how large letters are; it is
#: None for a 3D view. The painter comes as it goes: save and restore what is changed.
Painter = Callable[[QPainter, Frame | None, "Pane"], None]


class Overlay(QWidget):
    """As large as its canvas; calls every painter in turn."""

    def __init__(self, pane: Pane, painters: list[Painter]) -> None:
        super().__init__(pane.native)
        self._pane, self._painters = pane, painters
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        pane.native.installEventFilter(self)
        self.resize(pane.native.size())
        self.show()

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Keep the size of the canvas."""
        if event.type() == QEvent.Type.Resize:
            self.resize(event.size())
        return False

    def paintEvent(self, _event: Any) -> None:
        """Draw everything."""
        painter = QPainter(self)
        draw(painter, self._painters, self._pane.frame(), self._pane)
        painter.end()


def draw(painter: QPainter, painters: list[Painter], frame: Frame | None, pane: Pane) -> None:
    """Let every painter draw; for an exported picture `painter` draws on an image and `frame` has its size."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for paint in painters:
        painter.save()
        paint(painter, frame, pane)
        painter.restore()
