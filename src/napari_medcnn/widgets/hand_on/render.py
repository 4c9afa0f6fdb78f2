"""What a view shows as a picture of its own: the canvas by napari, and over it our own painters, sharp in any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor, QImage, QPainter
from vispy.gloo import gl

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.views.overlay import draw
from napari_medcnn.widgets.views.pane import Pane
from napari_medcnn.widgets.views.views import Views
from napari_medcnn.widgets.volume_view.graphics import graphics_of

SIZES = (1, 2, 3)
_GAP_PX = 2


def view_size(pane: Pane, scale: float = 1.0) -> tuple[int, int]:
    """Return (width, height) in pixels of `view_picture`, as napari makes its canvas larger and Qt its buffer."""
    native, ratio = pane.native, float(pane.native.devicePixelRatioF())
    width, height = (round(int(side * scale) * ratio) for side in (native.width(), native.height()))
    return (width, height)


def view_picture(views: Views, pane: Pane, scale: float = 1.0) -> QImage:
    """Return what one view shows, `scale` times as large as on screen; letters and lines grow with it.

    A 3D view that the processor draws is taken as it stands on screen and enlarged: to draw it once more stops the
    window for a moment, larger for seconds, and what it shows is a reduced preview anyway. The caller says whether
    names are left out (`Views.without_names`).
    """
    frame, native = pane.frame(), pane.native
    as_it_stands = not pane.is_flat and graphics_of(native).software and native.format().samples() <= 1
    picture = from_array(_drawn(native) if as_it_stands else pane.qt.screenshot(flash=False, scale=scale))
    if as_it_stands and scale != 1:
        ways = Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
        picture = picture.scaled(*view_size(pane, scale), *ways)
    painter = QPainter(picture)
    try:
        resized = None if frame is None else frame.resized(picture.width(), picture.height())
        draw(painter, pane.painters, resized, pane)
    finally:
        painter.end()
    return picture


def _drawn(canvas: Any) -> Array:
    """Return what a canvas drew last, uint8 (height, width, 4), without drawing it again."""
    ratio = float(canvas.devicePixelRatioF())
    width, height = round(canvas.width() * ratio), round(canvas.height() * ratio)
    canvas.makeCurrent()  # binds the buffer that Qt shows
    raw = gl.glReadPixels(0, 0, width, height, gl.GL_RGBA, gl.GL_UNSIGNED_BYTE)
    canvas.doneCurrent()
    return np.frombuffer(raw, np.uint8).reshape(height, width, 4)[::-1]  # OpenGL counts lines from below


def views_picture(views: Views, panes: Sequence[Pane], scale: float = 1.0) -> QImage:
    """Return several views side by side as they lie in the window.

    Raises
    ------
    InputError
        No view is seen.
    """
    if not panes:
        raise InputError("There is no view to make a picture of; open a scan first.")
    return together(panes, [view_picture(views, pane, scale) for pane in panes])


@dataclass(frozen=True)
class _Sheet:
    """Where pictures lie: column and row of each, and where columns and rows begin, one more than there are."""

    columns: list[int]
    rows: list[int]
    lefts: list[int]
    tops: list[int]

    @property
    def size(self) -> tuple[int, int]:
        return (self.lefts[-1] - _GAP_PX, self.tops[-1] - _GAP_PX)


def _sheet(panes: Sequence[Pane], sizes: Sequence[tuple[int, int]]) -> _Sheet:
    window = panes[0].native.window()
    places = [QRect(pane.native.mapTo(window, QPoint(0, 0)), pane.native.size()) for pane in panes]
    columns = _ranks([(p.x(), p.width()) for p in places])
    rows = _ranks([(p.y(), p.height()) for p in places])
    return _Sheet(
        columns, rows, _starts(columns, [width for width, _ in sizes]), _starts(rows, [height for _, height in sizes])
    )


def together_size(panes: Sequence[Pane], scale: float = 1.0) -> tuple[int, int]:
    """Return (width, height) in pixels of all views together; at least one."""
    return _sheet(panes, [view_size(pane, scale) for pane in panes]).size


def together(panes: Sequence[Pane], pictures: Sequence[QImage]) -> QImage:
    """Return the pictures of views side by side as the views lie in the window; at least one."""
    if len(pictures) == 1:
        return pictures[0]
    sheet = _sheet(panes, [(picture.width(), picture.height()) for picture in pictures])
    made = QImage(*sheet.size, QImage.Format.Format_RGB888)
    made.fill(QColor("#000000"))
    painter = QPainter(made)
    for column, row, picture in zip(sheet.columns, sheet.rows, pictures, strict=True):
        painter.drawImage(sheet.lefts[column], sheet.tops[row], picture)
    for lines, horizontal in ((sheet.lefts, False), (sheet.tops, True)):
        for at in lines[1:-1]:
            bar = (
                QRect(0, at - _GAP_PX, made.width(), _GAP_PX)
                if horizontal
                else QRect(at - _GAP_PX, 0, _GAP_PX, made.height())
            )
            painter.fillRect(bar, QColor("#505050"))
    painter.end()
    return made


def _ranks(spans: list[tuple[int, int]]) -> list[int]:
    """Return in which row or column spans (start, length) lie: sliders and splitters shift them a little."""
    ranks, begun = dict.fromkeys(range(len(spans)), 0), -1
    last: tuple[int, int] | None = None
    for index in sorted(range(len(spans)), key=lambda i: spans[i][0]):
        if last is None or spans[index][0] >= last[0] + last[1] / 2:
            begun, last = begun + 1, spans[index]
        ranks[index] = begun
    return list(ranks.values())


def _starts(ranks: list[int], lengths: list[int]) -> list[int]:
    """Return where each row or column begins, and where one more would."""
    starts = [0]
    for rank in range(max(ranks) + 1):
        starts.append(starts[-1] + max(n for r, n in zip(ranks, lengths, strict=True) if r == rank) + _GAP_PX)
    return starts


def from_array(pixels: Any) -> QImage:
    """Return an image of uint8 (height, width, 3 or 4); what is clear becomes black."""
    rgb = np.ascontiguousarray(np.asarray(pixels)[..., :3], dtype=np.uint8)
    height, width = rgb.shape[:2]
    return QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def to_array(image: QImage) -> Array:
    """Return an image as uint8 (height, width, 3)."""
    rgb = image.convertToFormat(QImage.Format.Format_RGB888)
    bits = rgb.constBits()
    if hasattr(bits, "setsize"):  # PyQt hands out an address without a length
        bits.setsize(rgb.sizeInBytes())
    lines = np.frombuffer(bits, np.uint8).reshape(rgb.height(), rgb.bytesPerLine())
    return lines[:, : 3 * rgb.width()].reshape(rgb.height(), rgb.width(), 3).copy()
