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


def bar_width(sheet: Sheet, zoom: float, unit: str) -> float:
    """Return the pixels of the bar that is drawn at `zoom` pixels per unit, or of its words; 0 for no bar."""
    length = _length(sheet, zoom, unit)
    return max(length * zoom, sheet.width_of(length_words(length, unit), sheet.small)) if length else 0.0


def _length(sheet: Sheet, zoom: float, unit: str) -> float:
    longest = min(sheet.width * _SHARE, _LARGEST * sheet.scale)
    length = round_length(longest / zoom) if zoom > 0 else 0.0
    return 0.0 if length * zoom < 8 * sheet.scale or (unit == "px" and length < 1) else length


def draw_scale_bar(sheet: Sheet, zoom: float, unit: str, bottom: float) -> None:
    """Draw a bar at the right edge above `bottom`, if there is room; `zoom` is pixels per unit."""
    length = _length(sheet, zoom, unit)
    if not length:
        return
    pixels = length * zoom
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
