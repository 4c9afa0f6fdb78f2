"""What is written over a side: which series, of whom and when, its own letters, slice and window, and the link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QLineF
from qtpy.QtGui import QColor, QPainter, QPen

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.widgets.study_model import person_lines
from napari_medcnn.widgets.views import badges
from napari_medcnn.widgets.views.corners import Corners, line
from napari_medcnn.widgets.views.frame import Frame, Place
from napari_medcnn.widgets.views.page import draw_page
from napari_medcnn.widgets.views.pane import Pane
from napari_medcnn.widgets.views.readout import values_at, where_words
from napari_medcnn.widgets.views.sheet import YELLOW, Sheet
from napari_medcnn.widgets.wording import badges as badges_of

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.second_series.side import Side

_GAP = 14.0


class SideWords:
    """Draws everything from what is true when it is drawn."""

    def __init__(self, dock: MedcnnDock, side: Side) -> None:
        self._dock, self._side = dock, side

    def paint(self, painter: QPainter, frame: Frame | None, pane: Pane) -> None:
        """Write everything on the side."""
        if frame is None:
            return
        scan = self._side.second.scan
        sheet = Sheet.of(painter, frame, pane)
        draw_page(sheet, frame, scan, self.corners(frame), self._dock.reading.annotations.banner)
        if self._side.cursor is not None and not self._dock.views.exporting:
            draw_cross(painter, frame, self._side.cursor)

    def corners(self, frame: Frame) -> Corners:
        """Return what stands in the four corners."""
        dock, side = self._dock, self._side
        scan, opened = side.second.scan, side.second.opened
        hidden = not dock.reading.annotations.named
        name = f"Scan {side.number + 1}" if hidden else scan.name
        left = [line(name, strong=True), line(self.link_words())] if side.titles is None else side.titles()
        told = [*badges_of(scan, opened.consent), badges.tilt_words(scan)]
        told += [badges.NEUROLOGICAL] if frame.mirrored else []
        left += [line(words, colour=YELLOW, strong=True, kept=True) for words in told if words]
        study = None if opened.item is None else opened.item.study
        dated = study is not None and study.date and not (hidden and dock.views.exporting)
        right = [line(study.date)] if study is not None and dated else []
        if study is not None and not hidden:
            right = [line(words) for words in person_lines(study.person) if words] + right
        where = badges.slice_line(scan, frame)
        window = badges.window_words(side.second.layers[0])
        return Corners(
            top_left=left,
            top_right=right,
            bottom_left=([where] if where is not None else []) + [line(words) for words in reversed(self._said(frame))],
            bottom_right=[line(window)] if window else [],
        )

    def link_words(self) -> str:
        """Return how this side follows the first view."""
        side = self._side
        if not side.linked:
            return "not linked"
        if any(side.link.shift):
            return "linked from where you set it"
        return "linked by position" if side.link.by_patient else "linked"

    def _said(self, frame: Frame) -> list[str]:
        """Return the value under the mouse, or at the same place as the mouse in another view, and where that is."""
        side, at = self._side, self._side.cursor
        if at is None or self._dock.views.exporting:
            return []
        place = list(at)
        place[frame.depth_axis] = frame.depth
        here = (place[0], place[1], place[2])
        scan = side.second.scan
        return [*values_at(side.pane.viewer, here), *where_words(DisplayGrid(scan.geometry), here, scan.is_picture)]


def draw_cross(painter: QPainter, frame: Frame, place: Place) -> None:
    """Mark a place, its middle left free."""
    x, y = frame.to_canvas(place)
    for pen in (QPen(QColor(0, 0, 0, 150), 3), QPen(QColor(86, 180, 233), 1)):
        painter.setPen(pen)
        for sign in (-1, 1):
            painter.drawLine(QLineF(x + sign * 4, y, x + sign * _GAP, y))
            painter.drawLine(QLineF(x, y + sign * 4, x, y + sign * _GAP))
