"""Shows over the pictures what an edit would change: hatched where a class wins, cross-ruled where voxels are lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF
from qtpy.QtGui import QImage, QPainter

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.views import Views

#: Blue and orange of Okabe and Ito, as blue, green, red, opacity.
_WON, _LOST = (255, 200, 60, 255), (0, 110, 255, 255)
_PERIOD = 6  # pixels between lines
_NOWHERE = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class EditPreview:
    """Draws one edit at a time over every flat view.

    Parameters
    ----------
    views
        They call the painter.
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        self._edit: Edit | None = None
        #: World place of voxel (0, 0, 0) and size of a voxel, (z, y, x).
        self._placed: tuple[tuple[float, ...], tuple[float, ...]] = _NOWHERE
        views.add_painter(self.paint)

    def show(self, edit: Edit | None, layer: Any = None) -> None:
        """Draw an edit of the mask in `layer`; None draws none."""
        if edit is None and self._edit is None:
            return
        self._edit, self._placed = edit, _NOWHERE
        if layer is not None:
            missing = 3 - layer.ndim
            self._placed = (
                (0.0,) * missing + tuple(float(t) for t in layer.translate),
                (1.0,) * missing + tuple(float(s) for s in layer.scale),
            )
        self._views.redraw()

    @property
    def edit(self) -> Edit | None:
        """What is drawn."""
        return self._edit

    def paint(self, painter: QPainter, frame: Frame | None, _pane: Any) -> None:
        """Draw the slice that a view shows; nothing in 3D, in exported pictures and while overlays are hidden."""
        edit = self._edit
        if edit is None or frame is None or self._views.exporting or self._views.held:
            return
        kinds = self._slice(edit, frame)
        if kinds is None:
            return
        translate, scale = self._placed
        rows, columns = frame.axes
        ys, xs = np.arange(frame.height), np.arange(frame.width)
        across = (xs + 0.5 - frame.width / 2) / frame.zoom * (-1 if frame.mirrored else 1) + frame.centre[1]
        down = (ys + 0.5 - frame.height / 2) / frame.zoom + frame.centre[0]
        row = np.floor((down - translate[rows]) / scale[rows] + 0.5).astype(int) - edit.box[rows].start
        column = np.floor((across - translate[columns]) / scale[columns] + 0.5).astype(int) - edit.box[columns].start
        seen_y, seen_x = ys[(row >= 0) & (row < kinds.shape[0])], xs[(column >= 0) & (column < kinds.shape[1])]
        if not len(seen_y) or not len(seen_x):
            return
        part = kinds[np.ix_(row[seen_y], column[seen_x])]
        pixels = _hatched(part, seen_y, seen_x).tobytes()  # kept until it is drawn: Qt makes no copy
        height, width = part.shape
        shown = QImage(pixels, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
        painter.drawImage(QRectF(float(seen_x[0]), float(seen_y[0]), float(width), float(height)), shown)

    def _slice(self, edit: Edit, frame: Frame) -> NDArray[np.uint8] | None:
        """Return 0 for unchanged, 1 for won and 2 for lost voxels of the slice (rows, columns); None beside the box."""
        translate, scale = self._placed
        axis = frame.depth_axis
        at = int(np.floor((frame.depth - translate[axis]) / scale[axis] + 0.5)) - edit.box[axis].start
        if not 0 <= at < edit.before.shape[axis]:
            return None
        before, after = np.take(edit.before, at, axis), np.take(edit.after, at, axis)
        kinds = np.where(before == after, 0, np.where(after == 0, 2, 1)).astype(np.uint8)
        return kinds if frame.axes[0] < frame.axes[1] else kinds.T


def _hatched(kinds: NDArray[np.uint8], ys: NDArray[Any], xs: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels (rows, columns, BGRA premultiplied): outlines, slanted lines where won, both ways where lost."""
    edge = np.zeros(kinds.shape, bool)
    edge[1:] |= kinds[1:] != kinds[:-1]
    edge[:, 1:] |= kinds[:, 1:] != kinds[:, :-1]
    edge[:-1] |= kinds[:-1] != kinds[1:]
    edge[:, :-1] |= kinds[:, :-1] != kinds[:, 1:]
    rising = (ys[:, None] + xs) % _PERIOD == 0
    falling = (ys[:, None] - xs) % _PERIOD == 0
    image = np.zeros((*kinds.shape, 4), np.uint8)
    image[(kinds == 1) & (edge | rising)] = _WON
    image[(kinds == 2) & (edge | rising | falling)] = _LOST
    return image
