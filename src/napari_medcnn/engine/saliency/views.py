"""Which windows of a prepared scan a question is put to, and how answers go back to where they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.explain_time import windows_along
from napari_medcnn.core.spec import ModelSpec, Preparation
from napari_medcnn.imaging.slicing import with_neighbours

Float32 = npt.NDArray[np.float32]
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class View:
    """A window: where it begins on the grid (z, y, x; below 0 in the padding), and the part of it that counts.

    `inside` is the part of the grid it sees, `here` the same part in the window.
    """

    inside: tuple[slice, slice, slice]
    here: tuple[slice, slice, slice]
    weights: Float32


@dataclass(frozen=True, eq=False)
class Views:
    """Windows of one size over a grid.

    Parameters
    ----------
    shape
        Of the grid (z, y, x).
    size
        Of every window (z, y, x).
    views
        The windows. `weights` of each is (z, y, x) of the window for a segmenter, (1,) for a classifier.
    preparation
        Of the model: whether it is 2D, and how many neighbouring slices it sees.
    """

    shape: Shape
    size: Shape
    views: tuple[View, ...]
    preparation: Preparation

    @property
    def flat(self) -> bool:
        """True if the network sees slices."""
        return self.preparation.dimensions == 2

    @property
    def window_shape(self) -> tuple[int, ...]:
        """(*spatial, channel) of what the network is given."""
        spatial = self.size[1:] if self.flat else self.size
        return (*spatial, self.preparation.network_channels)

    def cut(self, data: Float32, view: View) -> Float32:
        """Return what the network is given of `data` (z, y, x, c): (*spatial, channel), padded with 0."""
        seen = with_neighbours(data, self.preparation)[view.inside]
        window = seen
        if seen.shape[:3] != self.size:
            window = np.zeros((*self.size, seen.shape[3]), np.float32)
            window[view.here] = seen
        return self.squeeze(window)

    def squeeze(self, window: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array (z, y, x, ...) of a window as the network has it, without the depth of a slice."""
        return window[0] if self.flat else window

    def unsqueeze(self, window: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Undo `squeeze`."""
        return window[None] if self.flat else window

    def paste(self, window: Float32, other: Float32, view: View, box: tuple[slice, slice, slice]) -> Float32:
        """Return a copy of a window that has the values of another inside a box (z, y, x) of the grid."""
        window = np.array(self.unsqueeze(window))
        sides = []
        for seen, here, wanted in zip(view.inside, view.here, box, strict=True):
            first, last = max(seen.start, wanted.start), min(seen.stop, wanted.stop)
            sides.append(slice(first - seen.start + here.start, max(last, first) - seen.start + here.start))
        count, own, last = self.preparation.neighbours, self.preparation.channels, self.shape[0] - 1
        if not count:
            window[tuple(sides)] = self.unsqueeze(other)[tuple(sides)]
            return self.squeeze(window)
        for step, offset in enumerate(range(-count, count + 1)):
            place = min(max(view.inside[0].start + offset, 0), last)
            if box[0].start <= place < box[0].stop:
                part: Any = (0, *sides[1:], slice(step * own, (step + 1) * own))
                window[part] = self.unsqueeze(other)[part]
        return self.squeeze(window)

    def add_gradient(self, total: Float32, view: View, gradient: Float32) -> None:
        """Add a gradient (*spatial, channel) of a window to that of the scan (z, y, x, c), neighbours where they lie.

        Parameters
        ----------
        total
            Changed in place.
        """
        back = self.unsqueeze(gradient)[view.here]
        count = self.preparation.neighbours
        if not count:
            total[view.inside] += back
            return
        own, last = self.preparation.channels, self.shape[0] - 1
        z = view.inside[0].start
        for step, offset in enumerate(range(-count, count + 1)):
            place = min(max(z + offset, 0), last)
            total[place][view.inside[1:]] += back[0, ..., step * own : (step + 1) * own]

    def add_map(self, total: Float32, view: View, values: Float32) -> None:
        """Add a map (*spatial) of a window to that of the scan (z, y, x), in place."""
        total[view.inside] += self.unsqueeze(values)[view.here]

    def touching(self, box: tuple[slice, slice, slice]) -> Iterator[View]:
        """Yield the windows whose answer a change inside `box` of the scan can alter."""
        reach = self.preparation.neighbours
        for view in self.views:
            sides = zip(view.inside, box, (reach, 0, 0), strict=True)
            if all(s.start - more < b.stop and b.start < s.stop + more for s, b, more in sides):
                yield view

    def box(self) -> tuple[slice, slice, slice]:
        """Return the smallest box of the grid that holds all that is looked at."""
        sides = []
        for axis, more in enumerate((self.preparation.neighbours, 0, 0)):
            low = min(v.inside[axis].start for v in self.views) - more
            high = max(v.inside[axis].stop for v in self.views) + more
            sides.append(slice(max(low, 0), min(high, self.shape[axis])))
        return (sides[0], sides[1], sides[2])


def whole(shape: Shape, preparation: Preparation) -> Views:
    """Return what a classifier sees: the whole scan, or slice after slice, whose mean counts."""
    depth = 1 if preparation.dimensions == 2 else shape[0]
    size = (depth, shape[1], shape[2])
    share = np.full(1, 1 / (shape[0] // depth), np.float32)
    rest = (slice(0, shape[1]), slice(0, shape[2]))
    here = (slice(0, depth), *rest)
    views = [View((slice(z, z + depth), *rest), here, share) for z in range(0, shape[0], depth)]
    return Views(shape, size, tuple(views), preparation)


def over_region(region: npt.NDArray[np.bool_], tile: tuple[int, ...], spec: ModelSpec, fixed: bool) -> Views:
    """Return the windows that hold a region of the grid, each of its voxels counted in one of them.

    One window, centred on it, where it fits with some room around; else windows that overlap as the card says, each
    counting what lies in its middle. A 2D network sees only the slices that hold the region.

    Parameters
    ----------
    region
        (z, y, x), not empty.
    tile
        (y, x) or (z, y, x) of the window; it shrinks to the next multiple of the card's divisor above the grid unless
        `fixed`.
    """
    preparation, divisor = spec.preparation, spec.divisor
    flat = preparation.dimensions == 2
    shape: Shape = (region.shape[0], region.shape[1], region.shape[2])
    wanted = (1, *tile) if flat else tile
    steps = (1, divisor, divisor) if flat else (divisor,) * 3
    size = [t if fixed else min(t, -(-n // d) * d) for n, t, d in zip(shape, wanted, steps, strict=True)]
    found = np.nonzero(region)
    if flat:
        own_z = [(z, z, z + 1) for z in np.unique(found[0]).tolist()]
    else:
        own_z = _along(int(found[0].min()), int(found[0].max()) + 1, size[0], shape[0], spec.overlap)
    own_y, own_x = (
        _along(int(found[a].min()), int(found[a].max()) + 1, size[a], shape[a], spec.overlap) for a in (1, 2)
    )
    views = []
    for z in own_z:
        for y in own_y:
            for x in own_x:
                view = _view(region, (z, y, x), (size[0], size[1], size[2]))
                if view is not None:
                    views.append(view)
    return Views(shape, (size[0], size[1], size[2]), tuple(views), preparation)


def _along(low: int, high: int, size: int, length: int, overlap: float) -> list[tuple[int, int, int]]:
    """Return (first index of the window, first and last + 1 index that count in it) along one axis."""
    if size >= length:  # all of it, padding on both sides as the sliding windows have it
        return [(-((size - length) // 2), low, high)]
    count, own = windows_along(low, high, size, length, overlap)
    found = []
    for number in range(count):
        first, last = low + number * own, min(low + (number + 1) * own, high)
        start = (first + last - size) // 2  # what counts lies in the middle, with as much around it as there is room
        found.append((min(max(start, 0), length - size), first, last))
    return found


def _view(region: npt.NDArray[np.bool_], sides: tuple[tuple[int, int, int], ...], size: Shape) -> View | None:
    weights = np.zeros(size, np.float32)
    inside, here, own, own_here = [], [], [], []
    for (start, low, high), length, whole_length in zip(sides, size, region.shape, strict=True):
        first, last = max(start, 0), min(start + length, whole_length)
        inside.append(slice(first, last))
        here.append(slice(first - start, last - start))
        own.append(slice(low, high))
        own_here.append(slice(low - start, high - start))
    weights[tuple(own_here)] = region[tuple(own)]
    if not weights.any():
        return None
    return View((inside[0], inside[1], inside[2]), (here[0], here[1], here[2]), weights)
