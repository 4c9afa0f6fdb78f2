"""A picture to write on: letters that can be read on black, on bone and on paper, in sizes that follow the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPixmap, QPixmapCache

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
    #: Left, top, right and bottom of everything that was written on it.
    written: list[tuple[float, float, float, float]] = field(default_factory=list)
    #: Drawn on screen: words come from Qt's cache of pixmaps. Exported pictures draw each afresh, sharp in any size.
    on_screen: bool = False

    @classmethod
    def of(cls, painter: QPainter, frame: Frame | None, pane: Pane) -> Sheet:
        """Return the sheet of a painter; a 3D view has no frame, its size is that of what is drawn on."""
        dots = float(pane.native.logicalDpiY())
        shown = painter.device() is pane.overlay
        if frame is not None:
            return cls(painter, frame.width, frame.height, frame.scale, dots, on_screen=shown)
        room = painter.window()
        scale = min(room.width() / max(1, pane.native.width()), room.height() / max(1, pane.native.height()))
        return cls(painter, room.width(), room.height(), max(scale, 0.1), dots, on_screen=shown)

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
        metrics = QFontMetricsF(font)
        width, up, down = metrics.horizontalAdvance(words), metrics.ascent(), metrics.descent()
        self.written.append((x, y - up, x + width, y + down))
        painter, rim = self.painter, math.ceil(2 * self.scale) + 1
        box = QRectF(x - rim, y - up - rim, width + 2 * rim, up + down + 2 * rim)
        if painter.hasClipping() and not painter.clipBoundingRect().intersects(box):
            return
        if self.on_screen:
            corner = QPointF(round(x) - rim, round(y) - math.ceil(up) - rim)
            painter.drawPixmap(corner, self._stamp(words, font, colour, box))
        else:
            self._draw(painter, words, QPointF(x, y), font, colour)

    def _stamp(self, words: str, font: QFont, colour: str, box: QRectF) -> QPixmap:
        """Return words with their rim as a picture: drawing them nine times costs fifty times what showing it does."""
        dots = self.painter.device().devicePixelRatioF()
        key = f"medcnn {dots} {self.scale} {colour} {font.key()} {words}"
        found: QPixmap | None = QPixmapCache.find(key)
        if found is not None:
            return found
        stamp = QPixmap(math.ceil((box.width() + 2) * dots), math.ceil((box.height() + 2) * dots))
        stamp.setDevicePixelRatio(dots)
        stamp.fill(Qt.GlobalColor.transparent)
        rim, up = math.ceil(2 * self.scale) + 1, math.ceil(QFontMetricsF(font).ascent())
        painter = QPainter(stamp)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw(painter, words, QPointF(rim, up + rim), font, colour)
        painter.end()
        QPixmapCache.insert(key, stamp)
        return stamp

    def _draw(self, painter: QPainter, words: str, at: QPointF, font: QFont, colour: str) -> None:
        painter.setFont(font)
        painter.setPen(_HALO)
        for dx, dy in _AROUND:
            painter.drawText(QPointF(at.x() + dx * self.scale, at.y() + dy * self.scale), words)
        painter.setPen(QColor(colour))
        painter.drawText(at, words)
