"""Two patients, or two dates, on one screen: a band over every view and a line in the dock name both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor

from napari_medcnn.core.who import TWO_PATIENTS, Who, conflict
from napari_medcnn.widgets.views.sheet import WHITE, Sheet

_BAND = "#a02c00"


def banner_words(shown: Sequence[Who], named: bool) -> str:
    """Return what has to be said of the images on screen: "TWO PATIENTS: Doe, Jane | Roe, Ann"; "" if nothing.

    Parameters
    ----------
    shown
        Of whom and when each image that is seen is.
    named
        False while names are hidden: then the banner says only that there are two.
    """
    clashes = {conflict(a, b) for i, a in enumerate(shown) for b in shown[i + 1 :]} - {""}
    if not clashes:
        return ""
    if TWO_PATIENTS in clashes:
        people = _distinct(_name(who) for who in shown)
        return f"TWO PATIENTS: {' | '.join(people)}" if named and len(people) > 1 else "TWO PATIENTS ON SCREEN"
    dates = _distinct(who.date for who in shown)
    return f"TWO DATES: {' | '.join(dates)}"


def draw_banner(sheet: Sheet, words: str) -> float:
    """Draw the band at the upper edge; return its height, 0 without words."""
    if not words:
        return 0.0
    height = sheet.row + 4 * sheet.scale
    sheet.painter.fillRect(QRectF(0, 0, sheet.width, height), QColor(_BAND))
    fitting = sheet.cut(words, sheet.strong, sheet.width - 2 * sheet.margin)
    x = (sheet.width - sheet.width_of(fitting, sheet.strong)) / 2
    sheet.write(fitting, x, sheet.row * 0.8 + 2 * sheet.scale, sheet.strong, WHITE)
    return height


def _name(who: Who) -> str:
    name, number, born, _sex = who.person
    plain = " ".join(name.replace("^", ", ", 1).replace("^", " ").split()).strip(" ,")
    return " ".join(part for part in (plain[:40], number[:24], "" if plain or number else born) if part)


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for word in words if word))
