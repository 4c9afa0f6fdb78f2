"""Sliding-window inference: a plan of overlapping tiles, Gaussian weights, and scores that stream out as slabs.

Tiles are visited in order along one axis (the longest). As soon as no later tile can touch the first planes of the
accumulator they are handed out as a `Slab` and their room is used again (a ring), so that memory holds classes x tile
length x the other two axes, never the whole volume (Isensee et al. 2021 describe the windows; the streaming is ours).
A picture has depth 1; a 2D network on a volume has tiles of depth 1.

The starts of the tiles are a grid and the Gaussian is a product of one profile per axis, so the sum of all weights at
a voxel is a product as well. Each profile is divided by its own sum beforehand: weights then sum to 1 everywhere, what
has been added up is the weighted mean already, and neither a second accumulator nor a division is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.imaging.record import Box

Float32 = npt.NDArray[np.float32]
Shape = tuple[int, int, int]
#: Standard deviation of the Gaussian as a share of the window's length (nnU-Net and MONAI use 1/8 too).
SIGMA = 0.125


@dataclass(frozen=True)
class TilePlan:
    """Which windows cover a grid.

    Parameters
    ----------
    shape : (z, y, x) voxels of the grid.
    tile : (z, y, x) voxels of a window; may exceed `shape`, the rest is then padded on both sides.
    starts : per axis, the first index of the windows, rising, in the padded grid.
    axis : the axis along which slabs are finished.
    before : voxels of padding in front of the grid, per axis.
    pad_value : what stands in the padding, in the units the network sees.
    """

    shape: Shape
    tile: Shape
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    axis: int
    before: Shape
    pad_value: float = 0.0

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.starts[0]) * len(self.starts[1]) * len(self.starts[2])

    @property
    def padded(self) -> Shape:
        """Shape of the grid with its padding."""
        z, y, x = (max(n, t) for n, t in zip(self.shape, self.tile, strict=True))
        return (z, y, x)

    @property
    def held(self) -> Shape:
        """Shape of the part of the padded grid whose scores are in memory at a time: one tile along `axis`."""
        z, y, x = (t if a == self.axis else n for a, (n, t) in enumerate(zip(self.padded, self.tile, strict=True)))
        return (z, y, x)

    def windows(self) -> Iterator[Shape]:
        """Yield the first index (z, y, x) of each window in the padded grid, rising along `axis`."""
        second, third = (a for a in range(3) if a != self.axis)
        for i in self.starts[self.axis]:
            for j in self.starts[second]:
                for k in self.starts[third]:
                    corner = [0, 0, 0]
                    corner[self.axis], corner[second], corner[third] = i, j, k
                    yield (corner[0], corner[1], corner[2])

    def box(self, corner: Shape) -> Box:
        """Return the part of the grid, without padding, that the window at `corner` sees."""
        z, y, x = (
            slice(max(c - b, 0), min(c - b + t, n))
            for c, b, t, n in zip(corner, self.before, self.tile, self.shape, strict=True)
        )
        return (z, y, x)


@dataclass(frozen=True, eq=False)
class Slab:
    """Finished planes `start` to `stop` (exclusive) along `axis`; scores (z, y, x, class), float32, weighted means.

    `scores` is a view of memory that is used again: it holds until the next slab is asked for.
    """

    axis: int
    start: int
    stop: int
    scores: Float32


def plan_tiles(shape: Shape, tile: Shape, overlap: float = 0.5, divisor: Shape | None = None) -> TilePlan:
    """Plan windows that cover every voxel, evenly spread, neighbours sharing at least `overlap` of their length.

    Parameters
    ----------
    shape, tile : (z, y, x) voxels, at least 1.
    overlap : 0 (none) up to 0.9.
    divisor : sizes the network accepts are multiples of this. Given, a window longer than the grid shrinks to the next
        multiple above the grid; not given, windows never change and small grids are padded to one window.
    """
    if min(shape) < 1 or min(tile) < 1:
        raise InputError(f"tiles: expected sizes of at least 1, got the grid {shape} and the tile {tile}")
    if not 0 <= overlap <= 0.9:
        raise InputError(f"overlap: expected 0 to 0.9 of a tile, got {overlap:g}")
    if divisor is not None:
        if any(t % d for t, d in zip(tile, divisor, strict=True)):
            raise InputError(f"tile: expected multiples of {divisor}, which the network needs, got {tile}")
        shrunk = [min(t, -(-n // d) * d) for n, t, d in zip(shape, tile, divisor, strict=True)]
        tile = (shrunk[0], shrunk[1], shrunk[2])
    before = [max(t - n, 0) // 2 for n, t in zip(shape, tile, strict=True)]
    starts = [_starts(max(n, t), t, overlap) for n, t in zip(shape, tile, strict=True)]
    # slices of a 2D network never overlap: finish them one by one
    axis = 0 if tile[0] == 1 and shape[0] > 1 else int(np.argmax(shape))
    return TilePlan(shape, tile, (starts[0], starts[1], starts[2]), axis, (before[0], before[1], before[2]))


def gaussian_profile(length: int) -> npt.NDArray[np.float64]:
    """Return the weights along one axis of a window, (length,), 1 at its centre (between its two middle voxels)."""
    offset = np.arange(length) - (length - 1) / 2
    profile: npt.NDArray[np.float64] = np.exp(-0.5 * (offset / (SIGMA * length)) ** 2)
    return profile


def profiles(plan: TilePlan) -> tuple[dict[int, Float32], dict[int, Float32], dict[int, Float32]]:
    """Return per axis, by the start of a window, its weights along that axis, (tile length,).

    The weight of a voxel of a window is the product of its three; over all windows that see a voxel they sum to 1.
    """
    found = []
    for axis in range(3):
        length = plan.tile[axis]
        profile = gaussian_profile(length)
        total = np.zeros(plan.padded[axis])
        for start in plan.starts[axis]:
            total[start : start + length] += profile
        found.append({s: (profile / total[s : s + length]).astype(np.float32) for s in plan.starts[axis]})
    return (found[0], found[1], found[2])


def stream_scores(
    data: Float32,
    plan: TilePlan,
    predict: Callable[[Float32], Float32],
    on_tile: Callable[[int, int], None] | None = None,
    wanted: Callable[[Box], bool] | None = None,
    background: Sequence[float] = (),
) -> Iterator[Slab]:
    """Run `predict` on every window and yield the finished slabs, first plane to last, without gap or overlap.

    Parameters
    ----------
    data : (z, y, x, channel) float32 on the plan's grid.
    predict : takes one window (z, y, x, channel), returns its scores (z, y, x, class); the same windows in any order
        must give the same scores.
    on_tile : called after each window that was run with (done, total), for progress; may raise to cancel.
    wanted : told the box of the grid that a window sees; where it says no, the window is not run and counts as
        `background`. So voxels all of whose windows are wanted get exactly what a full run gives them.
    background : the scores of a voxel that is surely background, one for each channel that `predict` returns
        (1 for id 0 where classes exclude each other, else 0). Needed with `wanted`.

    Raises
    ------
    ModelError
        The scores have another shape than the window, or are not finite: no slab holds such values.
    """
    if data.shape[:3] != plan.shape:
        raise InputError(f"data: expected the plan's shape {plan.shape} (z, y, x, channel), got {data.shape}")
    if wanted is not None and not len(background):
        raise InputError("background: needed with wanted, one score for each channel of the network's output")
    axis, weights = plan.axis, profiles(plan)
    todo = [(corner, wanted is None or wanted(plan.box(corner))) for corner in plan.windows()]
    done, total = 0, sum(run for _, run in todo)
    held: _Ring | None = None
    for corner, run in todo:
        if held is not None and corner[axis] > held.base:
            yield from _finished(plan, held.release(corner[axis] - held.base))
        # a view of one voxel costs nothing and adds like a window
        window = predict(_cut(data, plan, corner)) if run else _constant(background, plan.tile)
        if held is None:
            held = _Ring(plan, len(background) or window.shape[-1])
        if window.shape != (*plan.tile, held.classes):
            raise ModelError(
                f"model: expected scores of {plan.tile} voxels (z, y, x) with {held.classes} classes, got shape "
                f"{window.shape}"
            )
        held.add(window, corner, [w[c] for w, c in zip(weights, corner, strict=True)])
        if run:
            done += 1
            if on_tile is not None:
                on_tile(done, total)
    if held is not None:
        yield from _finished(plan, held.release(plan.tile[axis]))


class _Ring:
    """Scores of the planes that windows still touch: plane p of the padded grid lies at p modulo the tile's length."""

    def __init__(self, plan: TilePlan, classes: int) -> None:
        self.base = 0
        self.classes = classes
        self._axis, self._length = plan.axis, plan.tile[plan.axis]
        self._scores: Float32 = np.zeros((*plan.held, classes), np.float32)

    def add(self, window: Float32, corner: Shape, weights: list[Float32]) -> None:
        """Add a window (z, y, x, class) times the product of its weights along z, y, x."""
        places: list[slice] = [slice(c, c + len(w)) for c, w in zip(corner, weights, strict=True)]
        taken: list[slice] = [slice(None)] * 3
        for first, here in self._pieces(corner[self._axis], self._length):
            places[self._axis], taken[self._axis] = here, slice(first, first + here.stop - here.start)
            parts = [w[t] for w, t in zip(weights, taken, strict=True)]
            _add_weighted(self._scores[tuple(places)], window[tuple(taken)], parts)

    def release(self, step: int) -> Iterator[tuple[int, Float32]]:
        """Yield (first plane, scores) of the next `step` planes, in order; each view holds until the next one."""
        start, self.base = self.base, self.base + step
        place: list[slice] = [slice(None)] * 3
        for first, here in self._pieces(start, step):
            place[self._axis] = here
            piece = self._scores[tuple(place)]
            yield start + first, piece
            piece[...] = 0

    def _pieces(self, start: int, count: int) -> list[tuple[int, slice]]:
        """Return the planes from `start` as (offset from start, place in the ring), two where the ring closes."""
        at = start % self._length
        first = min(count, self._length - at)
        pieces = [(0, slice(at, at + first)), (first, slice(0, count - first))]
        return pieces[: 1 if first == count else 2]


def _add_weighted(target: Float32, window: Float32, weights: list[Float32]) -> None:
    """Do target += window * weights, plane by plane, so that the product stays in the processor's cache."""
    depth, height, width, classes = target.shape
    # with the classes written out, numpy's inner loop runs over a whole row instead of a few classes
    across = np.repeat(weights[1][:, None] * weights[2], classes, axis=1).reshape(height, width, classes)
    product = np.empty((height, width, classes), np.float32)
    for z in range(depth):
        np.multiply(window[z], across, out=product)
        product *= weights[0][z]
        target[z] += product


def _constant(values: Sequence[float], tile: Shape) -> Float32:
    constant: Float32 = np.broadcast_to(np.asarray(values, np.float32), (*tile, len(values)))
    return constant


def _finished(plan: TilePlan, pieces: Iterator[tuple[int, Float32]]) -> Iterator[Slab]:
    """Yield released planes as slabs, without the padding; nothing where all is padding."""
    axis = plan.axis
    low, high = plan.before[axis], plan.before[axis] + plan.shape[axis]
    inner = [slice(b, b + n) for b, n in zip(plan.before, plan.shape, strict=True)]
    for first, piece in pieces:
        start, stop = max(first, low), min(first + piece.shape[axis], high)
        if stop <= start:
            continue
        inner[axis] = slice(start - first, stop - first)
        scores = piece[tuple(inner)]
        # one value that is no number makes the sum none, and each voxel is looked at once, not once a window
        if not np.isfinite(scores.sum()):
            raise ModelError(
                "The model returned scores that are not numbers; check the input values and the model file"
            )
        yield Slab(axis, start - low, stop - low, scores)


def _cut(data: Float32, plan: TilePlan, corner: Shape) -> Float32:
    """Return one window of the data, padded where the grid is smaller than the window."""
    inside = plan.box(corner)
    part = data[inside]
    if part.shape[:3] == plan.tile:
        return np.ascontiguousarray(part)
    window = np.full((*plan.tile, data.shape[3]), plan.pad_value, np.float32)
    begin = [c - b for c, b in zip(corner, plan.before, strict=True)]
    place = tuple(slice(s.start - b, s.stop - b) for s, b in zip(inside, begin, strict=True))
    window[place] = part
    return window


def _starts(length: int, tile: int, overlap: float) -> tuple[int, ...]:
    """Return evenly spread window starts from 0 to length - tile."""
    if length <= tile:
        return (0,)
    step = max(1.0, tile * (1 - overlap))
    count = int(np.ceil((length - tile) / step)) + 1
    return tuple(round(s) for s in np.linspace(0, length - tile, count))
