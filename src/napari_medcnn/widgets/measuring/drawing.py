"""Measures on the views: lines with end marks, regions, and the value beside them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen

from napari_medcnn.core.measures import ANGLE, BALL, COBB, ELLIPSE, RECTANGLE, Measure, Point
from napari_medcnn.widgets.measuring.board import Board
from napari_medcnn.widgets.measuring.labels import Box, free_place
from napari_medcnn.widgets.measuring.rows import picture_lines
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.sheet import WHITE, YELLOW, Sheet

XY = tuple[float, float]
_DARK = QColor(0, 0, 0, 190)
#: Of a measure that is not chosen: neither a colour of classes nor that of the crosshair.
_LINE = "#8fe388"
_MARK = 5.0
#: In views that are narrower, in pixels on screen, only the chosen measure has more than one line of words.
_NARROW = 600.0
#: How near the mouse must be to take a point or a line, in pixels on screen.
REACH = 7.0


@dataclass(frozen=True)
class Seen:
    """A measure on one view, in its pixels: what can be taken hold of."""

    measure: Measure
    handles: tuple[XY, ...]
    lines: tuple[tuple[XY, XY], ...] = ()
    box: tuple[float, float, float, float] | None = None


def shown_slice(board: Board, frame: Frame) -> tuple[int, int]:
    """Return the array axis of the file that a view looks along, and the index of the slice it shows."""
    if board.grid is None or frame.depth_axis > 2:
        return (0, 0)
    axis = board.grid.how.order[frame.depth_axis]
    index = board.grid.source_of(frame.to_place(frame.width / 2, frame.height / 2))
    return axis, math.floor(float(index[axis]) + 0.5)


def seen(board: Board, measure: Measure, frame: Frame, time: int) -> Seen | None:
    """Return how a measure looks on a view; None if it does not lie on the slice and time point that are shown."""
    if board.grid is None or measure.frame != time:
        return None
    axis, at = shown_slice(board, frame)
    if measure.kind == BALL:
        return _seen_ball(board, measure, frame, axis, at)
    if any(math.floor(point[axis] + 0.5) != at for point in measure.points):
        return None
    if measure.is_region and measure.axis != axis:
        return None
    points = tuple(_canvas(board, frame, point) for point in measure.points)
    if measure.kind in (ELLIPSE, RECTANGLE):
        (ax, ay), (bx, by) = points
        return Seen(measure, points, box=(min(ax, bx), min(ay, by), abs(bx - ax), abs(by - ay)))
    if measure.kind == COBB:
        return Seen(measure, points, ((points[0], points[1]), (points[2], points[3])))
    return Seen(measure, points, tuple(itertools.pairwise(points)))


def _seen_ball(board: Board, measure: Measure, frame: Frame, axis: int, at: int) -> Seen | None:
    ruler, centre = board.ruler, measure.points[0]
    away = (at - centre[axis]) * ruler.spacing[axis]
    squared = ruler.distance(*measure.points) ** 2 - away**2
    if squared <= 0:
        return None
    # a world unit is a mm where the file states it, else a pixel: of the ruler's unit there is one scale for both
    unit = 1.0 if board.scan is not None and board.scan.geometry.spacing_known else 1.0 / ruler.spacing[2]
    radius = math.sqrt(squared) * frame.zoom * unit
    x, y = _canvas(board, frame, centre)
    rim = _canvas(board, frame, measure.points[1])
    whole = math.floor(centre[axis] + 0.5) == at
    own = whole and math.floor(measure.points[1][axis] + 0.5) == at
    return Seen(
        measure,
        ((x, y), rim) if own else ((x, y),) if whole else (),
        box=(x - radius, y - radius, 2 * radius, 2 * radius),
    )


def _canvas(board: Board, frame: Frame, point: Point) -> XY:
    if board.grid is None:
        return (0.0, 0.0)
    z, y, x = board.grid.world_of_source(point).tolist()
    return frame.to_canvas((z, y, x))


def hit(found: Seen, at: XY) -> int | None:
    """Return the point of a measure under the mouse, -1 for its line, None for nothing."""
    near = [(math.dist(handle, at), index) for index, handle in enumerate(found.handles)]
    if near and min(near)[0] <= REACH:
        return min(near)[1]
    if any(_distance(at, start, end) <= REACH - 2 for start, end in found.lines):
        return -1
    return -1 if found.box is not None and _on_rim(found, at) else None


def _distance(at: XY, start: XY, end: XY) -> float:
    """Return the distance of a point from a piece of line."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    squared = dx * dx + dy * dy
    share = 0.0 if squared == 0 else ((at[0] - start[0]) * dx + (at[1] - start[1]) * dy) / squared
    share = min(1.0, max(0.0, share))
    return math.dist(at, (start[0] + share * dx, start[1] + share * dy))


def _on_rim(found: Seen, at: XY) -> bool:
    left, top, width, height = found.box or (0.0, 0.0, 0.0, 0.0)
    if found.measure.kind == RECTANGLE:
        corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
        return any(_distance(at, a, b) <= REACH - 2 for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
    half = (max(width / 2, 1.0), max(height / 2, 1.0))
    away = math.hypot((at[0] - left - half[0]) / half[0], (at[1] - top - half[1]) / half[1])
    return abs(away - 1.0) * min(half) <= REACH - 2


def is_chosen(board: Board, measure: Measure) -> bool:
    """Return True for the measure that is marked, and for the one that is being drawn or moved."""
    return measure.id == board.chosen or board.pending is measure


def paint(painter: QPainter, sheet: Sheet, board: Board, found: Seen, plain: bool = False) -> None:
    """Draw one measure without words; unless `plain` the chosen one is yellow, the one under the mouse marked."""
    measure = found.measure
    chosen = not plain and is_chosen(board, measure)
    colour = QColor(YELLOW if chosen else _LINE)
    for pen in (QPen(_DARK, 4.0 * sheet.scale), QPen(colour, (2.0 if chosen else 1.6) * sheet.scale)):
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for start, end in found.lines:
            painter.drawLine(QPointF(*start), QPointF(*end))
        if found.box is not None:
            draw = painter.drawRect if measure.kind == RECTANGLE else painter.drawEllipse
            draw(QRectF(*found.box))
        for index in range(len(found.handles)):
            _end_mark(painter, found, index, _MARK * sheet.scale)
    if not plain and board.under is not None and board.under[0] == measure.id:
        painter.setBrush(colour)
        for index, handle in enumerate(found.handles):
            if board.under[1] in (index, -1):
                painter.drawEllipse(QPointF(*handle), 4.0 * sheet.scale, 4.0 * sheet.scale)


def _end_mark(painter: QPainter, found: Seen, index: int, size: float) -> None:
    """Draw a short stroke across the end of a line, a small square at the corner of a region."""
    x, y = found.handles[index]
    touching = [line for line in found.lines if found.handles[index] in line]
    if found.box is not None:
        painter.drawRect(QRectF(x - size / 2, y - size / 2, size, size))
    elif len(touching) == 1:
        (ax, ay), (bx, by) = touching[0]
        far = math.hypot(bx - ax, by - ay) or 1.0
        across = (-(by - ay) / far * size, (bx - ax) / far * size)
        painter.drawLine(QPointF(x - across[0], y - across[1]), QPointF(x + across[0], y + across[1]))


def marks_of(found: Seen, sheet: Sheet) -> list[Box]:
    """Return the boxes of the points of a measure: words over them would hide where it ends."""
    half = _MARK * sheet.scale / 2
    return [(x - half, y - half, x + half, y + half) for x, y in found.handles]


def write_label(sheet: Sheet, board: Board, found: Seen, taken: Sequence[Box], plain: bool = False) -> Box | None:
    """Write what a measure says beside it, over nothing that is `taken`; a thin line leads there from farther away.

    Returns the box that is taken by it, None where there is nothing to say.
    """
    measure = found.measure
    chosen = not plain and is_chosen(board, measure)
    lines = picture_lines(board, measure)
    if sheet.width < _NARROW * sheet.scale and not chosen and not board.ruler.note:
        lines = lines[:1]
    if not lines:
        return None
    wide = max(sheet.width_of(words, sheet.strong) for words in lines)
    anchor, wanted = _wanted(sheet, found, wide, sheet.row * len(lines))
    box = free_place(wanted, taken, (sheet.width, sheet.height), sheet.row / 2)
    colour = YELLOW if chosen else WHITE
    if box[1] > wanted[0][3] or box[3] < wanted[0][1]:
        end = QPointF(min(max(anchor[0], box[0]), box[2]), box[1] if box[1] > anchor[1] else box[3])
        for pen in (QPen(_DARK, 3.0 * sheet.scale), QPen(QColor(colour), 1.0 * sheet.scale)):
            sheet.painter.setPen(pen)
            sheet.painter.drawLine(QPointF(*anchor), end)
    for number, words in enumerate(lines):
        sheet.write(words, box[0], box[1] + (number + 0.8) * sheet.row, sheet.strong, colour)
    return box


def _wanted(sheet: Sheet, found: Seen, wide: float, high: float) -> tuple[XY, tuple[Box, Box]]:
    """Return what is spoken of, and where its words would stand best: to its right, or left; of an angle its corner."""
    gap, up = 8 * sheet.scale, sheet.row * 0.8
    if found.box is not None:
        left, top, width, height = found.box
        first, last = (left, top + height / 2), (left + width, top + height / 2)
    elif found.measure.kind == ANGLE:
        x, y = found.handles[1]
        first = last = (x, y + sheet.row)
    else:
        first, last = min(found.handles), max(found.handles)
    right = (last[0] + gap, last[1] - up, last[0] + gap + wide, last[1] - up + high)
    other = (first[0] - gap - wide, first[1] - up, first[0] - gap, first[1] - up + high)
    return last, (right, other)
