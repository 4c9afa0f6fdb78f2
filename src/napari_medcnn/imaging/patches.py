"""Sliding-window inference: a plan of overlapping tiles, Gaussian weights, and scores that stream out as slabs.

Tiles are visited in order along one axis (the longest). As soon as no later tile can touch the first planes of the
accumulator they are divided by their weights, handed out as a `Slab` and forgotten, so that memory holds classes x
tile length x the other two axes, never the whole volume (Isensee et al. 2021 describe the windows; the streaming is
ours). A picture has depth 1; a 2D network on a volume has tiles of depth 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_medcnn.errors import InputError, ModelError

Float32 = npt.NDArray[np.float32]
Shape = tuple[int, int, int]


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
    """

    shape: Shape
    tile: Shape
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    axis: int
    before: Shape

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.starts[0]) * len(self.starts[1]) * len(self.starts[2])

    @property
    def padded(self) -> Shape:
        """Shape of the grid with its padding."""
        z, y, x = (max(n, t) for n, t in zip(self.shape, self.tile, strict=True))
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


@dataclass(frozen=True, eq=False)
class Slab:
    """Finished planes `start` to `stop` (exclusive) along `axis`; scores (z, y, x, class), float32, weighted means."""

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


def gaussian_weights(tile: Shape, sigma_fraction: float = 0.125) -> Float32:
    """Return the weight of each voxel of a window, (z, y, x), 1 at the centre, never below 1e-3.

    The Gaussian's standard deviation is `sigma_fraction` of the window's length on each axis (1/8 in nnU-Net and
    MONAI). The lower limit keeps the corners, which only one window sees, out of rounding trouble.
    """
    profiles = []
    for length in tile:
        offset = np.arange(length) - (length - 1) / 2
        profiles.append(np.exp(-0.5 * (offset / (sigma_fraction * length)) ** 2))
    weights = profiles[0][:, None, None] * profiles[1][None, :, None] * profiles[2][None, None, :]
    limited: Float32 = np.maximum(weights / weights.max(), 1e-3).astype(np.float32)
    return limited


def stream_scores(
    data: Float32,
    plan: TilePlan,
    predict: Callable[[Float32], Float32],
    pad_value: float = 0.0,
    on_tile: Callable[[int, int], None] | None = None,
) -> Iterator[Slab]:
    """Run `predict` on every window and yield the finished slabs, first plane to last, without gap or overlap.

    Parameters
    ----------
    data : (z, y, x, channel) float32 on the plan's grid.
    predict : takes one window (z, y, x, channel), returns its scores (z, y, x, class); the same windows in any order
        must give the same scores.
    pad_value : what stands outside a grid smaller than a window.
    on_tile : called after each window with (done, total), for progress; may raise to cancel.

    Raises
    ------
    ModelError
        The scores have another shape than the window, or are not finite.
    """
    if data.shape[:3] != plan.shape:
        raise InputError(f"data: expected the plan's shape {plan.shape} (z, y, x, channel), got {data.shape}")
    axis, length = plan.axis, plan.tile[plan.axis]
    weights = np.moveaxis(gaussian_weights(plan.tile), axis, 0)[..., None]
    rest = tuple(n for a, n in enumerate(plan.padded) if a != axis)
    others = [a for a in range(3) if a != axis]
    scores: Float32 | None = None
    total = np.zeros((length, *rest, 1), np.float32)
    base = 0
    for done, corner in enumerate(plan.windows(), start=1):
        if scores is not None and corner[axis] > base:
            step = corner[axis] - base
            yield from _release(plan, scores, total, base, step)
            for buffer in (scores, total):
                buffer[: length - step] = buffer[step:].copy()
                buffer[length - step :] = 0
            base = corner[axis]
        window = predict(_cut(data, plan, corner, pad_value))
        if window.shape[:3] != plan.tile or window.ndim != 4:
            raise ModelError(f"model: expected scores of {plan.tile} voxels (z, y, x, class), got shape {window.shape}")
        if not np.isfinite(window).all():
            raise ModelError(
                "The model returned scores that are not numbers; check the input values and the model file"
            )
        if scores is None:
            scores = np.zeros((length, *rest, window.shape[3]), np.float32)
        j, k = (corner[a] for a in others)
        box = (slice(None), slice(j, j + plan.tile[others[0]]), slice(k, k + plan.tile[others[1]]))
        scores[box] += np.moveaxis(window, axis, 0) * weights
        total[box] += weights
        if on_tile is not None:
            on_tile(done, plan.count)
    if scores is not None:
        yield from _release(plan, scores, total, base, length)


def _release(plan: TilePlan, scores: Float32, total: Float32, base: int, step: int) -> Iterator[Slab]:
    """Yield the first `step` planes of the accumulator as a slab, without the padding; nothing if all is padding."""
    axis = plan.axis
    start = max(base, plan.before[axis])
    stop = min(base + step, plan.before[axis] + plan.shape[axis])
    if stop <= start:
        return
    others = [a for a in range(3) if a != axis]
    inner = [slice(plan.before[a], plan.before[a] + plan.shape[a]) for a in others]
    box = (slice(start - base, stop - base), inner[0], inner[1])
    finished = np.moveaxis(scores[box] / total[box], 0, axis)
    yield Slab(axis, start - plan.before[axis], stop - plan.before[axis], finished)


def _cut(data: Float32, plan: TilePlan, corner: Shape, pad_value: float) -> Float32:
    """Return one window of the data, padded where the grid is smaller than the window."""
    begin = [c - b for c, b in zip(corner, plan.before, strict=True)]
    inside = tuple(slice(max(b, 0), min(b + t, n)) for b, t, n in zip(begin, plan.tile, plan.shape, strict=True))
    part = data[inside]
    if part.shape[:3] == plan.tile:
        return np.ascontiguousarray(part)
    window = np.full((*plan.tile, data.shape[3]), pad_value, np.float32)
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
