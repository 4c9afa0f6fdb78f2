"""A bar of a round length, so that sizes can be judged by eye."""

from __future__ import annotations

import math

from qtpy.QtCore import QPointF
from qtpy.QtGui import QColor, QPen

from napari_medcnn.widgets.views.sheet import WHITE, Sheet

_SHARE = 0.25  # of the width of the picture, at most
_LARGEST = 160.0  # pixels on screen


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above `longest`; 0 for nothing."""
    if not longest > 0 or not math.isfinite(longest):
        return 0.0
    power = 10.0 ** math.floor(math.log10(longest))
    return float(max((m * power for m in (1.0, 2.0, 5.0) if m * power <= longest * (1 + 1e-9)), default=power))


def length_words(length: float, unit: str) -> str:
    """Return "50 mm", "0.5 mm", "200 px"."""
    return f"{length:g} {unit}"


def draw_scale_bar(sheet: Sheet, zoom: float, unit: str, bottom: float) -> float:
    """Draw a bar at the right edge above `bottom`; return how much height it took, 0 if there is no room.

    `zoom` is pixels per unit.
    """
    longest = min(sheet.width * _SHARE, _LARGEST * sheet.scale)
    length = round_length(longest / zoom) if zoom > 0 else 0.0
    pixels = length * zoom
    if pixels < 8 * sheet.scale or (unit == "px" and length < 1):
        return 0.0
    tick, painter = 4.0 * sheet.scale, sheet.painter
    right, y = sheet.width - sheet.margin - sheet.scale, bottom - 3 * sheet.scale
    ends = (QPointF(right - pixels, y), QPointF(right, y))
    for pen in (QPen(QColor(0, 0, 0, 190), 4 * sheet.scale), QPen(QColor(WHITE), 2 * sheet.scale)):
        painter.setPen(pen)
        painter.drawLine(*ends)
        for end in ends:
            painter.drawLine(QPointF(end.x(), y - tick), QPointF(end.x(), y))
    words = length_words(length, unit)
    width = sheet.width_of(words, sheet.small)
    sheet.write(words, right - max(width, (pixels + width) / 2), y - tick - 2 * sheet.scale, sheet.small)
    return sheet.row + tick + 6 * sheet.scale
