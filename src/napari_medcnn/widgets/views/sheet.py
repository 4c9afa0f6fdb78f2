"""A picture to write on: letters that can be read on black, on bone and on paper, in sizes that follow the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter

from napari_medcnn.widgets.views.frame import Frame

if TYPE_CHECKING:
    from napari_medcnn.widgets.views.pane import Pane

#: Size of small words and of letters at the edges; nothing on a picture is below 9 pt.
SMALL_PT, LARGE_PT = 9.5, 12.0
WHITE, YELLOW, ORANGE = "#ffffff", "#f0e442", "#ffb000"
_HALO = QColor(0, 0, 0, 190)
_AROUND = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))
_POINTS_PER_INCH = 72.0


@dataclass(frozen=True)
class Sheet:
    """Where painters write.

    Parameters
    ----------
    painter
        As a pane or an exported picture hands it.
    width, height
        Of the picture in pixels.
    scale
        1 on screen, larger in large exported pictures.
    dots_per_inch
        Of the screen: a point has as many pixels in an exported picture as beside it on screen.
    """

    painter: QPainter
    width: int
    height: int
    scale: float
    dots_per_inch: float

    @classmethod
    def of(cls, painter: QPainter, frame: Frame | None, pane: Pane) -> Sheet:
        """Return the sheet of a painter; a 3D view has no frame, its size is that of what is drawn on."""
        dots = float(pane.native.logicalDpiY())
        if frame is not None:
            return cls(painter, frame.width, frame.height, frame.scale, dots)
        room = painter.window()
        scale = min(room.width() / max(1, pane.native.width()), room.height() / max(1, pane.native.height()))
        return cls(painter, room.width(), room.height(), max(scale, 0.1), dots)

    @cached_property
    def small(self) -> QFont:
        """Font of lines in the corners."""
        return self._font(SMALL_PT, bold=False)

    @cached_property
    def strong(self) -> QFont:
        """Font of the mode and of badges."""
        return self._font(SMALL_PT, bold=True)

    @cached_property
    def large(self) -> QFont:
        """Font of the letters of sides."""
        return self._font(LARGE_PT, bold=True)

    def _font(self, points: float, bold: bool) -> QFont:
        font = QFont(self.painter.font())
        font.setPixelSize(max(8, round(points * self.dots_per_inch / _POINTS_PER_INCH * self.scale)))
        font.setBold(bold)
        return font

    @cached_property
    def margin(self) -> float:
        """Room between words and the edge of the picture."""
        return 6.0 * self.scale

    @cached_property
    def row(self) -> float:
        """Height of a line."""
        return float(QFontMetricsF(self.strong).height())

    def width_of(self, words: str, font: QFont) -> float:
        """Return the width of words in pixels."""
        return float(QFontMetricsF(font).horizontalAdvance(words))

    def cut(self, words: str, font: QFont, room: float) -> str:
        """Return words that fit into `room` pixels, with an ellipsis where they are cut."""
        return str(QFontMetricsF(font).elidedText(words, Qt.TextElideMode.ElideRight, max(0.0, room)))

    def write(self, words: str, x: float, y: float, font: QFont, colour: str = WHITE) -> None:
        """Write words with a dark rim; (x, y) is where the base line begins."""
        painter = self.painter
        painter.setFont(font)
        painter.setPen(_HALO)
        for dx, dy in _AROUND:
            painter.drawText(QPointF(x + dx * self.scale, y + dy * self.scale), words)
        painter.setPen(QColor(colour))
        painter.drawText(QPointF(x, y), words)
