"""Where the words beside measures stand: near what they say, inside the picture, over no other words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from napari_medcnn.widgets.views.sheet import Sheet

#: Left, top, right, bottom, in pixels of the picture.
Box = tuple[float, float, float, float]
#: So many steps up and down a place is looked for before the least bad one is taken.
_STEPS = 24
#: What the lower left corner says of the place under the mouse: lines, and pixels on screen.
_READOUT = (7, 240.0)


def overlap(a: Box, b: Box) -> float:
    """Return the area that two boxes share, 0 where they only touch."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def inside(box: Box, width: float, height: float) -> Box:
    """Return a box moved into a picture; one that is larger than the picture begins at its left or upper edge."""
    x = max(0.0, min(box[0], width - (box[2] - box[0])))
    y = max(0.0, min(box[1], height - (box[3] - box[1])))
    return (x, y, x + box[2] - box[0], y + box[3] - box[1])


def around_readout(written: Iterable[Box], sheet: Sheet) -> list[Box]:
    """Return what is written on a view, with one fixed box for the lines of the readout, wherever the mouse is.

    They come, go and change at every move of the mouse: words that made room for them would jump with it.
    """
    rows, wide = _READOUT
    corner = (0.0, sheet.height - rows * sheet.row, min(sheet.width / 2, wide * sheet.scale), float(sheet.height))
    return [corner, *(box for box in written if not (box[0] < corner[2] and box[1] > corner[1]))]


def free_place(wanted: Sequence[Box], taken: Sequence[Box], size: tuple[float, float], step: float) -> Box:
    """Return the first of the wanted places, moved up or down as little as it takes to cover nothing.

    Parameters
    ----------
    wanted
        Where the words would stand best; the first is the dearest. At least one.
    taken
        What must not be covered.
    size
        Width and height of the picture.
    step
        By how much places are moved.

    Returns
    -------
    box
        The place that covers least, where none is free.
    """
    columns = []
    for box in wanted:
        left, _top, right, _bottom = inside(box, *size)  # places differ in height alone: what is beside never counts
        columns.append((box, [other for other in taken if other[0] < right and left < other[2]]))
    best, least = inside(wanted[0], *size), float("inf")
    for by in _shifts(step):
        for (left, top, right, bottom), beside in columns:
            place = inside((left, top + by, right, bottom + by), *size)
            covered = 0.0
            for other in beside:
                covered += overlap(place, other)
                if covered >= least:
                    break
            if not covered:
                return place
            if covered < least:
                best, least = place, covered
    return best


def _shifts(step: float) -> Iterator[float]:
    """Yield 0, then steps down and up in turn, ever farther."""
    yield 0.0
    for number in range(1, _STEPS):
        yield number * step
        yield -number * step
