"""The lines below a picture that leaves the window: what its colours mean, and what it may be used for."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPen

from napari_medcnn.core.labels import Colour
from napari_medcnn.widgets.start_page import RESEARCH_USE
from napari_medcnn.widgets.views.sheet import Sheet

#: More classes than these are counted: a legend nobody can read tells nothing.
MOST = 16
_BACKGROUND = QColor("#101010")
_GAP = 8.0


@dataclass(frozen=True)
class Caption:
    """What stands below a picture: classes as (name, colour), at most `MOST` of them named, and further words."""

    classes: tuple[tuple[str, Colour], ...] = ()
    words: str = ""


def caption_height(width: int, caption: Caption, scale: float, dots_per_inch: float) -> int:
    """Return how many pixels `with_caption` adds below a picture of this width."""
    rows, row = _measured(width, caption, scale, dots_per_inch)
    return round(row * (len(rows) + 1) + _GAP * scale)


def with_caption(picture: QImage, caption: Caption, scale: float, dots_per_inch: float) -> QImage:
    """Return the picture with its caption below; `scale` is the size of letters, 1 as on screen."""
    width = picture.width()
    rows, row = _measured(width, caption, scale, dots_per_inch)
    below = caption_height(width, caption, scale, dots_per_inch)
    made = QImage(width, picture.height() + below, QImage.Format.Format_RGB888)
    made.fill(_BACKGROUND)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.drawImage(0, 0, picture)
    sheet = Sheet(painter, width, below, scale, dots_per_inch)
    base = picture.height() + _GAP * scale / 2 + row * 0.75
    for entries in rows:
        x = sheet.margin
        for name, colour in entries:
            x = _entry(sheet, name, colour, x, base)
        base += row
    use = sheet.cut(RESEARCH_USE.removesuffix("."), sheet.strong, width - 2 * sheet.margin)
    sheet.write(use, sheet.margin, base, sheet.strong)
    left = width - 3 * sheet.margin - sheet.width_of(use, sheet.strong)
    if caption.words and left > 60 * scale:
        words = sheet.cut(caption.words, sheet.small, left)
        sheet.write(words, width - sheet.margin - sheet.width_of(words, sheet.small), base, sheet.small)
    painter.end()
    return made


_Entry = tuple[str, Colour | None]


def _measured(width: int, caption: Caption, scale: float, dots_per_inch: float) -> tuple[list[list[_Entry]], float]:
    """Return the rows of classes and the height of a row, before there is a picture of the right height."""
    paper = QImage(1, 1, QImage.Format.Format_RGB888)
    painter = QPainter(paper)
    sheet = Sheet(painter, width, 1, scale, dots_per_inch)
    found = _rows(sheet, caption), sheet.row * 1.25
    painter.end()
    return found


def _rows(sheet: Sheet, caption: Caption) -> list[list[_Entry]]:
    """Return the classes in as many rows as they need, each as wide as the picture at most."""
    entries: list[_Entry] = list(caption.classes[:MOST])
    if len(caption.classes) > MOST:
        entries.append((f"and {len(caption.classes) - MOST} more", None))
    rows: list[list[_Entry]] = []
    used = 0.0
    for name, colour in entries:
        wide = _width(sheet, name, colour)
        if not rows or used + wide > sheet.width - sheet.margin:
            rows.append([])
            used = sheet.margin
        rows[-1].append((name, colour))
        used += wide
    return rows


def _shortened(sheet: Sheet, name: str) -> str:
    return sheet.cut(name, sheet.small, max(40.0 * sheet.scale, sheet.width * 0.6))


def _width(sheet: Sheet, name: str, colour: Colour | None) -> float:
    box = sheet.row if colour is not None else 0.0
    return box + sheet.width_of(_shortened(sheet, name), sheet.small) + 2 * _GAP * sheet.scale


def _entry(sheet: Sheet, name: str, colour: Colour | None, x: float, base: float) -> float:
    """Draw one class at x and return where the next begins."""
    box = 0.0
    if colour is not None:
        box, side = sheet.row, QFontMetricsF(sheet.small).capHeight() * 1.15
        sheet.painter.setPen(QPen(QColor("#ffffff"), max(1.0, 0.8 * sheet.scale)))
        sheet.painter.setBrush(QColor(*colour))
        sheet.painter.drawRect(QRectF(x, base - side, side, side))
    sheet.write(_shortened(sheet, name), x + box, base, sheet.small)
    return x + _width(sheet, name, colour)
