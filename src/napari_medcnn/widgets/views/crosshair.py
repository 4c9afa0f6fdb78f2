"""The place that all views share: Shift and the mouse move it, thin lines show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QLineF, QObject, QPointF, Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QApplication

from napari_medcnn.widgets.views.frame import Frame, Place
from napari_medcnn.widgets.views.pane import Pane
from napari_medcnn.widgets.views.views import FOUR, Views

#: Pixels around the place that stay free.
_GAP = 14.0
#: Milliseconds between moves: those of the mouse in between are dropped, so moves never pile up.
_PAUSE_MS = 15
_LINE, _EDGE = QColor(86, 180, 233), QColor(0, 0, 0, 150)


class Crosshair(QObject):
    """Moves the shared place with Shift and the mouse, without a button; draws it.

    It is seen in 2x2, and in one view while Shift is held; H hides it like everything that lies over the picture.
    """

    def __init__(self, views: Views) -> None:
        super().__init__(views)
        self._views = views
        self._wanted: Place | None = None
        self._shift = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_PAUSE_MS)
        self._later.timeout.connect(self._go)
        views.add_hook("move", self._on_move)
        views.add_painter(self.paint)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """It has no keys."""
        return {}

    def close(self) -> None:
        """Stop moving."""
        self._later.stop()
        self._watch(False)

    def _on_move(self, viewer: Any, event: Any) -> None:
        shift = tuple(event.modifiers) == ("Shift",) and not event.is_dragging
        self._watch(shift)
        pane = self._views.pane_of(viewer)
        if not shift or pane is None or self._views.grid is None:
            return
        x, y = (float(v) for v in event.pos[:2])
        self._wanted = pane.place_at(x, y)
        if self._wanted is not None and not self._later.isActive():
            self._later.start()

    def _go(self) -> None:
        if self._wanted is not None and self._views.grid is not None:
            self._views.go_to(self._wanted)
        self._wanted = None

    def _watch(self, shift: bool) -> None:
        """Notice when Shift goes up, whoever has the focus."""
        if shift == self._shift:
            return
        self._shift = shift
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self) if shift else application.removeEventFilter(self)
        self._views.redraw()

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """While Shift is held: see it go up."""
        if event.type() == QEvent.Type.KeyRelease and event.key() == Qt.Key.Key_Shift:
            self._watch(False)
        return False

    def paint(self, painter: QPainter, frame: Frame | None, _pane: Pane) -> None:
        """Draw thin lines that leave the place itself free."""
        views = self._views
        if frame is None or views.grid is None or views.held or views.exporting:
            return
        if views.layout != FOUR and not self._shift:
            return
        x, y = frame.to_canvas(views.place)
        gap = _GAP * frame.scale
        lines = [
            QLineF(QPointF(*a), QPointF(*b))
            for a, b in (
                ((0, y), (x - gap, y)), ((x + gap, y), (frame.width, y)),
                ((x, 0), (x, y - gap)), ((x, y + gap), (x, frame.height)),
            )
            if a[0] < b[0] or a[1] < b[1]
        ]  # fmt: skip
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for colour, width in ((_EDGE, 3.0), (_LINE, 1.0)):
            painter.setPen(QPen(colour, width * frame.scale))
            painter.drawLines(lines)
