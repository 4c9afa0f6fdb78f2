"""Lines of words in the four corners of a picture, so laid out that nothing covers anything in a small one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_medcnn.widgets.views.sheet import WHITE, Sheet

if TYPE_CHECKING:
    from qtpy.QtGui import QFont

_GAP = 10.0  # between a line on the left and one on the right, and beside a letter, in pixels on screen
_BAR_ROWS = 2
_LEAST = 30.0  # a line that would be cut to less than this is left out


@dataclass(frozen=True)
class Line:
    """Words for a corner.

    Parameters
    ----------
    words
        The same thing said at length, shorter, shortest: the first that fits is written.
    colour, strong
        How it is written.
    kept
        True for what must be seen in every picture: it is broken into several lines, never cut or left out.
    """

    words: tuple[str, ...]
    colour: str = WHITE
    strong: bool = False
    kept: bool = False


@dataclass(frozen=True)
class Corners:
    """Lines of the four corners; those at the top go down, those at the bottom go up, the first is at the edge."""

    top_left: list[Line] = field(default_factory=list)
    top_right: list[Line] = field(default_factory=list)
    bottom_left: list[Line] = field(default_factory=list)
    bottom_right: list[Line] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """Everything that is said, at its longest."""
        lines = (*self.top_left, *self.top_right, *self.bottom_left, *self.bottom_right)
        return [line.words[0] for line in lines]


def line(*words: str, colour: str = WHITE, strong: bool = False, kept: bool = False) -> Line:
    """Return a line of words from long to short."""
    return Line(words, colour, strong, kept)


@dataclass(frozen=True)
class Around:
    """What else stands on the picture, in pixels.

    Parameters
    ----------
    from_top
        Height of what stands above the corners.
    letter
        Width of the letters at the middle of the upper and lower edge.
    bar
        Width of the scale bar, which stands above the lines of the lower right corner.
    """

    from_top: float = 0.0
    letter: float = 0.0
    bar: float = 0.0


def draw_corners(sheet: Sheet, corners: Corners, around: Around = Around()) -> float:
    """Write all corners; return the y above which the lower right corner is free."""
    from_top, letter = around.from_top, around.letter
    most = max(1, int((sheet.height / 2 - from_top) / sheet.row - 1))
    top = _rows(sheet, corners.top_left, corners.top_right, most, 0.0 if from_top else letter)
    for number, pair in enumerate(top):
        base = from_top + sheet.margin + sheet.row * (number + 0.8)
        _write(sheet, pair, base)
    bottom = _rows(sheet, corners.bottom_left, corners.bottom_right, most, letter, around.bar)
    for number, pair in enumerate(bottom):
        base = sheet.height - sheet.margin - sheet.row * (number + 0.2)
        _write(sheet, pair, base)
    taken = sum(pair[1] is not None for pair in bottom)
    return sheet.height - sheet.margin - sheet.row * taken


@dataclass(frozen=True)
class _Written:
    words: str
    line: Line


_Pair = tuple[_Written | None, _Written | None]


def _write(sheet: Sheet, pair: _Pair, base: float) -> None:
    for side, written in enumerate(pair):
        if written is not None:
            font = _font(sheet, written.line)
            width = sheet.width_of(written.words, font)
            x = sheet.margin if side == 0 else sheet.width - sheet.margin - width
            sheet.write(written.words, x, base, font, written.line.colour)


def _rows(sheet: Sheet, left: list[Line], right: list[Line], most: int, letter: float, bar: float = 0.0) -> list[_Pair]:
    """Return what stands in each row; what must be seen comes first where room is short."""
    room = sheet.width - 2 * sheet.margin
    first = room if not letter else room / 2 - letter / 2 - _GAP * sheet.scale
    lefts = _broken(sheet, left, room, first)
    rows: list[_Pair] = []
    waiting = list(right)
    for number in range(max(len(lefts), len(right))):
        here = first if number == 0 else room
        mine = lefts[number] if number < len(lefts) else None
        other = waiting[number] if number < len(waiting) else None
        if number >= most and not (mine is not None and mine.kept):
            continue
        shared = number > 0 or not letter
        if bar and len(right) <= number < len(right) + _BAR_ROWS:
            here -= bar + _GAP * sheet.scale
        a, taken = _fit(sheet, mine, here if not shared or other is None or _kept(mine) else here * 0.6)
        rest = here - taken - _GAP * sheet.scale if shared and taken else here
        b, _ = _fit(sheet, other, rest)
        rows.append((a, b))
    return rows


def _broken(sheet: Sheet, lines: list[Line], room: float, first: float) -> list[Line]:
    """Return lines of which those that must be seen are broken where they are too long."""
    found: list[Line] = []
    for each in lines:
        if not each.kept:
            found.append(each)
            continue
        font, part = _font(sheet, each), ""
        for word in each.words[0].split(" "):
            longer = f"{part} {word}".strip()
            here = first if not found else room
            if part and sheet.width_of(longer, font) > here:
                found.append(Line((part,), each.colour, each.strong, kept=True))
                longer = word
            part = longer
        found.append(Line((part,), each.colour, each.strong, kept=True))
    return found


def _fit(sheet: Sheet, each: Line | None, room: float) -> tuple[_Written | None, float]:
    """Return what is written of a line in `room` pixels, and how wide it is."""
    if each is None:
        return None, 0.0
    font = _font(sheet, each)
    for words in each.words:
        width = sheet.width_of(words, font)
        if width <= room or each.kept:
            return (_Written(words, each), width) if words else (None, 0.0)
    if room < _LEAST * sheet.scale:
        return None, 0.0
    words = sheet.cut(each.words[-1], font, room)
    return _Written(words, each), sheet.width_of(words, font)


def _kept(each: Line | None) -> bool:
    return each is not None and each.kept


def _font(sheet: Sheet, each: Line) -> QFont:
    return sheet.strong if each.strong else sheet.small
