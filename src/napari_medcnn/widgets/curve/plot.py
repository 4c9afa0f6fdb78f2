"""A plot of a few curves, drawn with Qt: axes with units, colours and shapes that tell curves apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_medcnn.core.curves import Curve

#: Okabe and Ito's colours that can be seen on dark ground; the first is that of the live curve.
COLOURS = ("#ffffff", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7")
_BACK, _GRID, _TEXT = QColor("#15181c"), QColor("#3a4048"), QColor("#e6e6e6")
_RIGHT, _TOP, _MARK = 10.0, 6.0, 3.2


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers from `low` to `high`, `most` at most: steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or most < 1:
        return [low] if math.isfinite(low) else []
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(f for f in (1, 2, 5, 10, 20) if (high - low) / (f * step) <= most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12) + 0.0 for n in range(first, last + 1)]


class CurvePlot(QWidget):
    """Draws curves; the first in the list is the live one."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(70)
        self.setAccessibleName("Curve")
        self.curves: tuple[tuple[int, Curve], ...] = ()
        self._now: float | None = None
        self._hint = ""

    def sizeHint(self) -> QSize:
        """As the strip is high."""
        return QSize(420, 120)

    def show_curves(self, curves: Sequence[tuple[int, Curve]], now: float | None, hint: str = "") -> None:
        """Draw these, each with the number of its colour; `now` is the step that is seen, `hint` stands for none."""
        self.curves, self._now, self._hint = tuple(curves), now, hint
        self.update()

    def limits(self) -> tuple[float, float, float, float]:
        """Return (x low, x high, y low, y high) that hold all curves, with a little room; (0, 1, 0, 1) without any."""
        x = np.concatenate([curve.x for _, curve in self.curves] or [np.zeros(0)])
        y = np.concatenate([curve.y for _, curve in self.curves] or [np.zeros(0)])
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
        if not x.size or not y.size:
            return (0.0, 1.0, 0.0, 1.0)
        spans = []
        for values, room in ((x, 0.02), (y, 0.08)):
            low, high = float(values.min()), float(values.max())
            more = (high - low) * room or max(abs(low) * 0.1, 0.5)
            spans += [low - more, high + more]
        return (spans[0], spans[1], spans[2], spans[3])

    def paintEvent(self, _event: Any) -> None:
        """Draw everything."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), _BACK)
        if not self.curves:
            painter.setPen(_TEXT)
            painter.drawText(self.rect().adjusted(10, 0, -10, 0), _CENTRE | Qt.TextFlag.TextWordWrap, self._hint)
        else:
            self._draw(painter)
        painter.end()

    def _draw(self, painter: QPainter) -> None:
        metrics = QFontMetricsF(self.font())
        limits = self.limits()
        y_ticks = ticks(limits[2], limits[3], max(2, int(self.height() / (metrics.height() * 2.2))))
        wide = max([metrics.horizontalAdvance(_number(tick)) for tick in y_ticks] or [20.0])
        left = wide + 10
        bottom = self.height() - metrics.height() - 6
        words = [self.curves[0][1].y_label, *(curve.name for _, curve in self.curves)]
        named = min(max(metrics.horizontalAdvance(word) for word in words), self.width() / 3) + 24
        area = QRectF(left, _TOP, max(20.0, self.width() - left - _RIGHT - named), max(20.0, bottom - _TOP))
        self._axes(painter, metrics, area, (limits, y_ticks))
        painter.setClipRect(area.adjusted(-4, -4, 4, 4))
        for number, curve in self.curves:
            self._curve(painter, area, limits, (number, curve))
        painter.setClipping(False)
        self._legend(painter, metrics, area)

    def _axes(self, painter: QPainter, metrics: QFontMetricsF, area: QRectF, scale: tuple[Any, list[float]]) -> None:
        limits, y_ticks = scale
        for tick in y_ticks:
            at = _at(area, limits, limits[0], tick)
            painter.setPen(QPen(_GRID, 1))
            painter.drawLine(QPointF(area.left(), at.y()), QPointF(area.right(), at.y()))
            painter.setPen(_TEXT)
            words = _number(tick)
            painter.drawText(
                QPointF(area.left() - 6 - metrics.horizontalAdvance(words), at.y() + metrics.capHeight() / 2), words
            )
        label = self.curves[0][1].x_label
        room = metrics.horizontalAdvance(label) + 12 + self.width() - area.right()
        base = self.height() - 5.0
        for tick in ticks(limits[0], limits[1], max(2, int(area.width() / 70))):
            at = _at(area, limits, tick, limits[2])
            painter.setPen(QPen(_GRID, 1))
            painter.drawLine(QPointF(at.x(), area.top()), QPointF(at.x(), area.bottom()))
            words = _number(tick)
            x = at.x() - metrics.horizontalAdvance(words) / 2
            if x + metrics.horizontalAdvance(words) < self.width() - room:
                painter.setPen(_TEXT)
                painter.drawText(QPointF(max(0.0, x), base), words)
        painter.setPen(_TEXT)
        painter.drawText(QPointF(area.right() - metrics.horizontalAdvance(label), base), label)
        if self._now is not None and limits[0] <= self._now <= limits[1]:
            x = _at(area, limits, self._now, limits[2]).x()
            painter.setPen(QPen(QColor("#9aa4b0"), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    @staticmethod
    def _curve(painter: QPainter, area: QRectF, limits: Any, what: tuple[int, Curve]) -> None:
        number, curve = what
        colour = QColor(COLOURS[number % len(COLOURS)])
        order = np.argsort(curve.x, kind="stable")
        points = [
            _at(area, limits, float(x), float(y)) if math.isfinite(y) and math.isfinite(x) else None
            for x, y in zip(curve.x[order], curve.y[order], strict=True)
        ]
        painter.setPen(QPen(colour, 2 if number == 0 else 1.5))
        for one, other in itertools.pairwise(points):
            if one is not None and other is not None:
                painter.drawLine(one, other)
        if len(points) <= max(2.0, area.width() / 6):
            painter.setBrush(colour)
            for point in points:
                if point is not None:
                    _mark(painter, point, number)
            painter.setBrush(Qt.BrushStyle.NoBrush)

    def _legend(self, painter: QPainter, metrics: QFontMetricsF, area: QRectF) -> None:
        """Name every curve beside its mark, and what is measured."""
        unit = self.curves[0][1].y_label
        rows = [(number, curve.name) for number, curve in self.curves]
        x, y = area.right() + 10, area.top()
        wide = self.width() - x - 18
        fits = max(1, int(self.height() / metrics.height()) - 1)
        painter.setPen(_TEXT)
        painter.drawText(QPointF(x + 14, y + metrics.ascent()), unit)
        for row, (number, name) in enumerate(rows[:fits], 1):
            base = y + metrics.height() * row + metrics.ascent()
            colour = QColor(COLOURS[number % len(COLOURS)])
            painter.setPen(QPen(colour, 1.5))
            painter.setBrush(colour)
            _mark(painter, QPointF(x + 4, base - metrics.capHeight() / 2), number)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(_TEXT)
            painter.drawText(QPointF(x + 14, base), metrics.elidedText(name, Qt.TextElideMode.ElideRight, wide))


_CENTRE = Qt.AlignmentFlag.AlignCenter


def _at(area: QRectF, limits: Any, x: float, y: float) -> QPointF:
    return QPointF(
        area.left() + (x - limits[0]) / (limits[1] - limits[0]) * area.width(),
        area.bottom() - (y - limits[2]) / (limits[3] - limits[2]) * area.height(),
    )


def _mark(painter: QPainter, at: QPointF, number: int) -> None:
    """Draw the shape of a curve: nothing is told by colour alone."""
    x, y, r = at.x(), at.y(), _MARK
    shapes: tuple[tuple[tuple[float, float], ...], ...] = (
        (),
        ((-r, -r), (r, -r), (r, r), (-r, r)),
        ((0, -r * 1.3), (r * 1.2, r), (-r * 1.2, r)),
        ((0, -r * 1.4), (r * 1.4, 0), (0, r * 1.4), (-r * 1.4, 0)),
        ((0, r * 1.3), (r * 1.2, -r), (-r * 1.2, -r)),
    )
    corners = shapes[number % len(shapes)]
    if corners:
        painter.drawPolygon(QPolygonF([QPointF(x + dx, y + dy) for dx, dy in corners]))
    else:
        painter.drawEllipse(at, r, r)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:.4g}"
