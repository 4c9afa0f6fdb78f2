"""How long a map and its check will take, from counted passes of the network and the time of one; nothing runs here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import Pace

Shape = tuple[int, int, int]
Box = tuple[slice, slice, slice]

#: A check that takes no longer starts by itself.
BY_ITSELF_S = 30.0
#: Channels of the layer that Score-CAM looks at, where nobody has looked yet.
CHANNELS = 128
#: Patches along the longest side of what is looked at where no size was asked for, and their distance in patches.
_PATCHES = {2: 8, 3: 6}
_STRIDE = {2: 0.5, 3: 0.75}
#: About how many natural pieces.
PIECES = {2: 120, 3: 200}
#: Of a check: maps with a wholly random network (their mean decides), and steps of the cascade, the whole among them.
DRAWS, STEPS = 3, 5
#: Methods that draw at random; a check asks them once more.
CHANCE = ("smoothgrad",)
#: Points inside an insertion or deletion curve with its two ends, and random orders to compare with.
CURVE_STEPS, ORDERS = 16, 2


@dataclass(frozen=True)
class Passes:
    """Windows shown to the network: for an answer alone, and for an answer with a gradient."""

    answers: int = 0
    gradients: int = 0

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.answers + other.answers, self.gradients + other.gradients)

    def times(self, count: int) -> Passes:
        """Return so many times as many."""
        return Passes(count * self.answers, count * self.gradients)


@dataclass(frozen=True)
class Extent:
    """What of a scan is looked at, on the network's grid.

    Parameters
    ----------
    along
        How many windows along z, y, x.
    size
        Of a window, (z, y, x).
    box
        Sides of the box that the windows cover, (z, y, x).
    spacing_mm
        Of that grid.
    flat
        The network sees slices.
    neighbours
        Slices on each side that a slice is seen with.
    search
        Windows of the look at what the model itself finds, where the question needs it.
    """

    along: Shape
    size: Shape
    box: Shape
    spacing_mm: tuple[float, float, float]
    flat: bool
    neighbours: int = 0
    search: int = 0

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return math.prod(self.along)


def forecast(passes: Passes, pace: Pace) -> float:
    """Return about how many seconds passes take; 0 for none."""
    if passes == Passes():
        return 0.0
    return pace.start + passes.answers * pace.answer + passes.gradients * pace.gradient


def map_passes(options: ExplainOptions, extent: Extent, channels: int = CHANNELS) -> Passes:
    """Return the passes that a map takes.

    Integrated Gradients are counted with the steps they begin with: where the sum is not complete, they take more.

    Parameters
    ----------
    channels
        Of the layer that Score-CAM looks at.
    """
    windows, method = extent.windows, options.method
    return Passes(answers=extent.search) + {
        "integrated-gradients": Passes(2 * windows, options.steps * windows),
        "smoothgrad": Passes(0, options.samples * windows),
        "grad-cam": Passes(windows if windows > 1 else 0, windows),
        "eigen-cam": Passes(windows),
        "feature-map": Passes(windows),
        "score-cam": Passes(windows * (channels + 2)),
        "occlusion": Passes(windows + _occluded(options, extent)),
    }.get(method, Passes(0, windows))


def check_passes(one_map: Passes, method: str, windows: int) -> Passes:
    """Return the passes that a check takes, from those of its map without the search and the windows it looks at."""
    maps = 1 + DRAWS + STEPS - 1 + (method in CHANCE)
    return one_map.times(maps) + Passes(answers=score_count() * windows)


def score_count(steps: int = CURVE_STEPS, orders: int = ORDERS) -> int:
    """Return how many scores the insertion and the deletion curve take."""
    return 2 + (2 + orders) * (steps - 1)


def windows_along(low: int, high: int, size: int, length: int, overlap: float) -> tuple[int, int]:
    """Return how many windows hold what lies from `low` to `high` on an axis, and how much of it each counts."""
    if size >= length:
        return 1, high - low
    own = max(1, round(size * (1 - overlap)))
    if high - low <= (own + size) // 2:
        own = high - low
    return math.ceil((high - low) / own), own


@dataclass(frozen=True)
class Patches:
    """Boxes to blank out one after the other: their sides and distances in voxels, and where along each axis."""

    sizes: Shape
    strides: Shape
    along: tuple[tuple[slice, ...], ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return math.prod(len(axis) for axis in self.along)

    def boxes(self) -> Iterator[Box]:
        """Yield them, x fastest."""
        for z in self.along[0]:
            for y in self.along[1]:
                for x in self.along[2]:
                    yield z, y, x


def patches(box: Box, spacing_mm: tuple[float, float, float], flat: bool, options: ExplainOptions) -> Patches:
    """Return the patches of occlusion over a box of the network's grid; they cover all of it.

    Cubes of `options.patch_mm`, `options.stride_mm` apart, squares in each slice where `flat`; 0 chooses.
    """
    dimensions = 2 if flat else 3
    extents = [(side.stop - side.start) * s for side, s in zip(box, spacing_mm, strict=True)][3 - dimensions :]
    patch_mm = options.patch_mm or max(extents) / _PATCHES[dimensions]
    stride_mm = min(options.stride_mm or patch_mm * _STRIDE[dimensions], patch_mm)
    sizes, strides = ([max(1, round(mm / s)) for s in spacing_mm] for mm in (patch_mm, stride_mm))
    if flat:
        sizes[0] = strides[0] = 1
    along = []
    for side, size, stride in zip(box, sizes, strides, strict=True):
        last = max(side.stop - size, side.start)
        starts = sorted({min(n, last) for n in range(side.start, side.stop, min(stride, size))})
        along.append(tuple(slice(n, min(n + size, side.stop)) for n in starts))
    return Patches((sizes[0], sizes[1], sizes[2]), (strides[0], strides[1], strides[2]), tuple(along))


def _occluded(options: ExplainOptions, extent: Extent) -> int:
    """Return how many windows with a patch blanked out are shown: each patch in all windows that see it."""
    z, y, x = extent.box
    box = (slice(0, z), slice(0, y), slice(0, x))
    found = patches(box, extent.spacing_mm, extent.flat, options)
    count, sides = found.count, found.sizes
    if options.supervoxels:
        count = PIECES[2 if extent.flat else 3] * (z if extent.flat else 1)
        side = max(1, round((y * x if extent.flat else z * y * x) / (count / (z if extent.flat else 1))))
        width = max(1, round(side ** (1 / 2 if extent.flat else 1 / 3)))
        sides = (1 if extent.flat else width, width, width)
    seen = 1.0
    for axis, (many, size, side, length) in enumerate(zip(extent.along, extent.size, sides, extent.box, strict=True)):
        reach = 2 * extent.neighbours if axis == 0 else 0
        seen *= min(float(many), max(1.0, many * (size + side - 1 + reach) / length))
    return math.ceil(count * seen)
