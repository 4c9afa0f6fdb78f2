"""Lines of drawing tools over a view: from voxels of the mask to pixels, seen on black, on bone and on a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF

from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.sheet import ORANGE, YELLOW

_DARK = QColor(0, 0, 0, 200)
#: What is drawn, and what is taken away.
DRAWN, ERASED = YELLOW, ORANGE
Voxel = tuple[float, float, float]


def placed(layer: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return world place of voxel (0, 0, 0) and size of a voxel of a mask's layer, (z, y, x)."""
    missing = 3 - layer.ndim
    return (
        (0.0,) * missing + tuple(float(t) for t in layer.translate),
        (1.0,) * missing + tuple(float(s) for s in layer.scale),
    )


def shows(frame: Frame, layer: Any, axis: int, index: int) -> bool:
    """Return whether a view shows slice `index` of a mask across `axis`."""
    if frame.depth_axis != axis:
        return False
    translate, scale = placed(layer)
    return math.floor((frame.depth - translate[axis]) / scale[axis] + 0.5) == index


def pixels(frame: Frame, layer: Any, voxels: Sequence[Voxel]) -> list[QPointF]:
    """Return where voxel indices (z, y, x) lie on a view."""
    translate, scale = placed(layer)
    found = []
    for z, y, x in voxels:
        world = (translate[0] + scale[0] * z, translate[1] + scale[1] * y, translate[2] + scale[2] * x)
        found.append(QPointF(*frame.to_canvas(world)))
    return found


def stroke(painter: QPainter, points: Sequence[QPointF], colour: str, scale: float, *, closed: bool = False) -> None:
    """Draw a line through points, dark below and bright above; `closed` joins its ends by dashes."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    line = QPolygonF(list(points))
    for ink, width in ((_DARK, 4.0), (QColor(colour), 2.0)):
        pen = QPen(ink, width * scale)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.drawPolyline(line)
        if closed and len(points) > 2:
            pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.drawLine(points[-1], points[0])


def marks(painter: QPainter, points: Sequence[QPointF], colour: str, scale: float) -> None:
    """Draw small discs on points."""
    painter.setPen(QPen(_DARK, 1.0 * scale))
    painter.setBrush(QColor(colour))
    for point in points:
        painter.drawEllipse(point, 3.5 * scale, 3.5 * scale)
