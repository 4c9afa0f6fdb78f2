"""The colours of the map on the picture itself, so that every picture that leaves the window has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF
from qtpy.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPen

from napari_medcnn.widgets.views.pane import MAIN
from napari_medcnn.widgets.views.sheet import Sheet
from napari_medcnn.widgets.why.colours import colours
from napari_medcnn.widgets.why.legend import Legend

if TYPE_CHECKING:
    from napari_medcnn.widgets.views.frame import Frame
    from napari_medcnn.widgets.views.pane import Pane

#: Part of the height that the bar begins at, and the room it leaves above the letter in the middle of the edge.
_FROM, _WIDTH = 0.2, 9.0
_BACK = QColor("#15181c")


class LegendPainter:
    """Draws an upright bar at the right edge, between the words in the corner and the letter in the middle.

    Parameters
    ----------
    legend
        Returns what the colours mean now, None while no map is seen.
    everywhere
        It is drawn in whatever view it paints, not only in the first one.
    """

    def __init__(self, legend: Callable[[], Legend | None], everywhere: bool = False) -> None:
        self._legend, self._everywhere = legend, everywhere

    def paint(self, painter: QPainter, frame: Frame | None, pane: Pane) -> None:
        """Draw it on the first view, and on the picture of any flat one."""
        legend = self._legend()
        here = self._everywhere or pane.name == MAIN
        if legend is None or frame is None or not (here or frame.scale != 1.0):
            return
        sheet = Sheet.of(painter, frame, pane)
        top = max(_FROM * sheet.height, sheet.margin + 6 * sheet.row)
        low = sheet.height / 2 - 1.6 * sheet.row
        if low - top < 2.5 * sheet.row:
            return
        width = _WIDTH * sheet.scale
        box = QRectF(sheet.width - sheet.margin - width, top, width, low - top)
        painter.fillRect(box, _BACK)
        gradient = QLinearGradient(box.bottomLeft(), box.topLeft())
        table = colours(legend.name, legend.signed, legend.hidden)
        for at in range(0, len(table), 16):
            red, green, blue, alpha = (float(part) for part in table[at])
            gradient.setColorAt(at / (len(table) - 1), QColor.fromRgbF(red, green, blue, alpha))
        painter.fillRect(box, gradient)
        painter.setPen(QPen(QColor(255, 255, 255, 160), max(1.0, sheet.scale)))
        painter.drawRect(box)
        low_words, high_words = legend.ends
        metrics = QFontMetricsF(sheet.small)
        above = sheet.width - sheet.margin - metrics.horizontalAdvance(legend.method)
        sheet.write(legend.method, above, top - 0.4 * sheet.row, sheet.small)
        for words, base in ((high_words, top + metrics.ascent()), (low_words, low)):
            at_x = QPointF(box.left() - 4 * sheet.scale - metrics.horizontalAdvance(words), base)
            sheet.write(words, at_x.x(), at_x.y(), sheet.small)
