"""Marks that say which class is where, before anything is written: strokes in several slices and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPen

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.tools.mask import widened_box
from napari_medcnn.core.labels import Colour
from napari_medcnn.widgets.views.frame import Frame, Place

#: Stands for the background among the marks, where 0 means "not marked"; no class has it.
BACKGROUND = 1 << 20
_BACKGROUND_COLOUR: Colour = (255, 255, 255)
_OPACITY = 235


@dataclass(frozen=True, eq=False)
class Mark:
    """One stroke: the class it stands for, 0 the background, and its voxels (n, 3) as (z, y, x), n > 0."""

    label: int
    voxels: NDArray[np.int64]


class Marks:
    """The marks on one mask, in the order they were made; a later one lies over an earlier one.

    Parameters
    ----------
    shape
        Of the mask, (z, y, x).
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._marks: tuple[Mark, ...] = ()

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def labels(self) -> tuple[int, ...]:
        """What was marked, each class once, ascending; 0 for the background."""
        return tuple(sorted({mark.label for mark in self._marks}))

    def add(self, mark: Mark) -> None:
        """Put a mark over the others."""
        self._marks = (*self._marks, mark)

    def take_back(self) -> None:
        """Forget the last mark."""
        self._marks = self._marks[:-1]

    def clear(self) -> None:
        """Forget all marks."""
        self._marks = ()

    def seeds(self, margin_mm: float, spacing: Sequence[float]) -> tuple[Box, NDArray[np.int32]] | None:
        """Return the box of all marks with a margin around, cut to the mask, and the ids in it; None without marks.

        0 is not marked, `BACKGROUND` stands for the background.
        """
        marks = self._marks  # a tool reads them in a thread of its own
        if not marks:
            return None
        every = np.concatenate([mark.voxels for mark in marks])
        tight = tuple(slice(int(a), int(b) + 1) for a, b in zip(every.min(axis=0), every.max(axis=0), strict=True))
        box = widened_box(tight, margin_mm, spacing, tuple(slice(0, n) for n in self.shape))
        ids = np.zeros([part.stop - part.start for part in box], np.int32)
        corner = [part.start for part in box]
        for mark in marks:
            ids[tuple((mark.voxels - corner).T)] = mark.label or BACKGROUND
        return box, ids

    def in_slice(self, axis: int, index: int) -> list[tuple[int, NDArray[np.int64]]]:
        """Return (class, voxels) of each mark that has voxels in a slice across `axis`."""
        found = [(mark.label, mark.voxels[mark.voxels[:, axis] == index]) for mark in self._marks]
        return [(label, voxels) for label, voxels in found if len(voxels)]


def draw(
    painter: QPainter,
    frame: Frame,
    layer: Any,
    marks: Sequence[tuple[int, NDArray[np.int64]]],
    colour: Callable[[int], Colour],
) -> None:
    """Draw marks of the slice that is shown, each in the colour of its class and with its number beside it."""
    rows, columns = frame.axes
    for label, voxels in marks:
        low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
        (x0, y0), (x1, y1) = (frame.to_canvas(_place(layer, edge - 0.5)) for edge in (low, high))
        red, green, blue = _BACKGROUND_COLOUR if label == 0 else colour(label)
        pixels = np.zeros((int(high[rows] - low[rows]), int(high[columns] - low[columns]), 4), np.uint8)
        part = (voxels[:, rows] - low[rows], voxels[:, columns] - low[columns])
        pixels[part] = [int(c * _OPACITY / 255) for c in (blue, green, red)] + [_OPACITY]
        if x1 < x0:
            pixels = pixels[:, ::-1]
        height, width = pixels.shape[:2]
        kept = pixels.tobytes()  # until it is drawn: Qt makes no copy
        image = QImage(kept, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
        painter.drawImage(QRectF(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)), image)
        first = frame.to_canvas(_place(layer, voxels[0].astype(float)))
        _number(painter, QPointF(first[0] + 6, first[1] - 6), str(label))


def _number(painter: QPainter, at: QPointF, words: str) -> None:
    """Write the number of a class, readable on light and dark: nothing is told by colour alone."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(0, 0, 0)))
    for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        painter.drawText(QPointF(at.x() + dx, at.y() + dy), words)
    painter.setPen(QPen(QColor(255, 255, 255)))
    painter.drawText(at, words)


def _place(layer: Any, voxel: NDArray[Any]) -> Place:
    """Return the world place of a voxel (z, y, x) of a mask's layer; z is 0 for a picture."""
    found = [0.0, *(float(v) for v in layer.data_to_world([float(v) for v in voxel][-layer.ndim :]))][-3:]
    return (found[0], found[1], found[2])
