"""What is drawn over the 3D view: the crosshair, letters at the ends of the scan, and how coarse the preview is."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPainterPath, QPen

from napari_medcnn.widgets.views.frame import Place
from napari_medcnn.widgets.volume_view.camera import Float, Projection

_CROSS = "#56b4e9"
_MARGIN = 8


def box_of(shape: tuple[int, ...], spacing: Any, translate: Any) -> tuple[Float, Float]:
    """Return two opposite corners in the world of a grid (z, y, x), voxels' outer faces included."""
    low = np.asarray(translate, dtype=np.float64) - np.asarray(spacing) / 2
    return low, low + np.asarray(shape) * np.asarray(spacing)


def paint_crosshair(painter: QPainter, seen: Projection, box: tuple[Float, Float], place: Place) -> None:
    """Draw three lines through a place, as long as the scan."""
    painter.setPen(QPen(QColor(_CROSS), 1))
    for axis in range(3):
        ends = [np.array(place, dtype=np.float64), np.array(place, dtype=np.float64)]
        ends[0][axis], ends[1][axis] = box[0][axis], box[1][axis]
        painter.drawLine(*(QPointF(*seen.to_canvas(end)) for end in ends))


def paint_letters(painter: QPainter, seen: Projection, box: tuple[Float, Float], ends: list[tuple[str, str]]) -> None:
    """Write the letters beside the faces of the scan that are seen from the side; "" where none is stated."""
    middle = (box[0] + box[1]) / 2
    for axis, letters in enumerate(ends):
        if abs(seen.ahead[axis]) > 0.9:  # seen from the end: both letters would stand in the middle of the picture
            continue
        for side, letter in enumerate(letters):
            place = middle.copy()
            place[axis] = box[side][axis] + (0.06 * (box[1] - box[0])[axis] * (1 if side else -1))
            x, y = seen.to_canvas(place)
            inside = (
                min(max(x, _MARGIN + 6), seen.width - _MARGIN - 6),
                min(max(y, _MARGIN + 12), seen.height - _MARGIN),
            )
            write(painter, letter, inside, 12, True)


def write(painter: QPainter, words: str, at: tuple[float, float], points: int, middle: bool = False) -> None:
    """Write white words with a dark outline; `at` is the left end of their base line, or the middle of it."""
    font = QFont(painter.font())
    font.setPointSize(points)
    font.setBold(middle)
    path = QPainterPath()
    path.addText(0.0, 0.0, font, words)
    width = path.boundingRect().width()
    path.translate(at[0] - (width / 2 if middle else 0), at[1])
    painter.setPen(QPen(QColor(0, 0, 0, 200), 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.drawPath(path)
    painter.fillPath(path, QColor("white"))
