"""The colours of a map with their numbers: in the dock and below pictures that leave the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_medcnn.widgets.parts import as_tip
from napari_medcnn.widgets.why.colours import colours

_BACK = QColor("#15181c")
_HEIGHT = 12
#: What the numbers are.
_SCALE = (
    "How much each place moved the score, on the scale of this model and method. The number has no unit; compare "
    "places of one map, not maps with each other."
)


@dataclass(frozen=True)
class Legend:
    """What the colours of a map mean.

    Parameters
    ----------
    title
        What the map is, the verdict of its check, and the caution.
    name, signed, hidden
        As `colours` takes them.
    largest
        Value of the high end.
    negated
        What spoke against the class was asked: values above 0 are what did.
    method
        What the method is called, beside the colours in a picture.
    """

    title: str
    name: str
    signed: bool
    hidden: float
    largest: float
    negated: bool = False
    method: str = ""

    @property
    def ends(self) -> tuple[str, str]:
        """What the low and the high end say."""
        high = f"{self.largest:.3g}"
        low_words, high_words = ("for", "against") if self.negated else ("against", "for")
        return (f"{low_words} (-{high})", f"{high_words} ({high})") if self.signed else ("none (0)", f"most ({high})")


def draw_bar(painter: QPainter, box: QRectF, legend: Legend) -> None:
    """Draw the colours from the low to the high end over dark ground, as they lie over a dark scan."""
    painter.fillRect(box, _BACK)
    gradient = QLinearGradient(box.topLeft(), box.topRight())
    table = colours(legend.name, legend.signed, legend.hidden)
    for at in np.linspace(0, len(table) - 1, 64).astype(int):
        red, green, blue, alpha = (float(part) for part in table[at])
        gradient.setColorAt(at / (len(table) - 1), QColor.fromRgbF(red, green, blue, alpha))
    painter.fillRect(box, gradient)


class LegendBar(QWidget):
    """The colours and their ends in one line."""

    def __init__(self) -> None:
        super().__init__()
        self._legend: Legend | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Colours of the map")

    def sizeHint(self) -> QSize:
        """A bar with a line of words below."""
        return QSize(100, _HEIGHT + self.fontMetrics().height() + 4)

    def show_legend(self, legend: Legend | None) -> None:
        """Show the colours of another map, None for none."""
        self._legend = legend
        self.setToolTip("" if legend is None else as_tip(_SCALE))
        self.update()

    def paintEvent(self, _event: Any) -> None:
        """Draw it."""
        if self._legend is None:
            return
        painter = QPainter(self)
        draw_bar(painter, QRectF(0, 0, self.width(), _HEIGHT), self._legend)
        metrics = QFontMetricsF(self.font())
        painter.setPen(self.palette().windowText().color())
        low, high = self._legend.ends
        base = _HEIGHT + metrics.ascent() + 2
        painter.drawText(0, int(base), low)
        painter.drawText(int(self.width() - metrics.horizontalAdvance(high)), int(base), high)
        if self._legend.signed:
            painter.drawText(int((self.width() - metrics.horizontalAdvance("0")) / 2), int(base), "0")
        painter.end()
