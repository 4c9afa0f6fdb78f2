"""From class scores on the model grid, slab by slab, to labels on the scan's own grid.

Whole-volume scores are never held: each source plane is decided as soon as the two model planes around it are
finished. The scores of a few rows at a time are interpolated linearly, decided and dropped, so that memory holds a
slab, one kept plane and the labels, which come out in the scan's own axis order. Where both grids are the same nothing
is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.spec import Decision
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.decide import as_bytes, entropy, winners
from napari_medcnn.imaging.patches import Slab
from napari_medcnn.imaging.record import Record
from napari_medcnn.imaging.resample import AxisMap

Float32 = npt.NDArray[np.float32]
#: Scores decided at a time: 1 MB, what stays in a processor's cache between the steps.
BLOCK = 2**18


class LabelPainter:
    """Collects slabs of probabilities in order and paints labels, and what else is wanted, on the source grid.

    Parameters
    ----------
    record : what the preparation did. The results have the shape and axis order of its source grid; outside its box
        they are background, sure, with probability 0.
    decision : how probabilities become ids.
    uncertainty : also paint how undecided each voxel was: uint8, 0 sure to 255 undecided. This is the normalised
        entropy of the probabilities (`decide.entropy`); or, where the slabs hold one channel more than the decision has
        ids, that last channel, a doubt of 0 to 1.
    probabilities : an array (z, y, x, channel) of the source's shape, a memory-mapped file say, to be filled too.
    """

    def __init__(
        self,
        record: Record,
        decision: Decision,
        *,
        uncertainty: bool = False,
        probabilities: npt.NDArray[Any] | None = None,
    ) -> None:
        channels, source, how = len(decision.ids), record.source, record.how
        if probabilities is not None and probabilities.shape != (*source.shape, channels):
            raise InputError(
                f"probabilities: expected an array of shape {(*source.shape, channels)}, got {probabilities.shape}"
            )
        self.labels: npt.NDArray[Any] = np.zeros(source.shape, decision.dtype)
        self.uncertainty = np.zeros(source.shape, np.uint8) if uncertainty else None
        #: Voxels at which two or more channels that do not exclude each other reach their thresholds.
        self.overlapping_voxels = 0
        self._decision = decision
        self._names = np.append(decision.ids, 0).astype(decision.dtype)
        self._model = record.model
        # views in the model's axis order: writing into them puts every value at its place in the source order
        self._labels = how.apply(self.labels)[record.box]
        self._uncertainty = None if self.uncertainty is None else how.apply(self.uncertainty)[record.box]
        if probabilities is not None:
            probabilities[:] = 0
        self._probabilities = None if probabilities is None else how.apply(probabilities, "zyxc")[record.box]
        self._maps = AxisMap.between(record.part, record.model)
        self._same = record.part.shape == record.model.shape and all(m.identity for m in self._maps)
        self._kept: Float32 | None = None
        self._next = 0
        self._expected = 0
        self._sums = np.zeros(channels + 1)
        self._counts = np.zeros(channels + 1, np.int64)

    @property
    def mean_scores(self) -> dict[int, float]:
        """Mean probability of each class over the voxels it won; classes that won none are left out."""
        return {
            label: float(total / count)
            for label, total, count in zip(self._decision.ids, self._sums, self._counts, strict=False)
            if count
        }

    def add(self, slab: Slab) -> None:
        """Paint every source plane that this slab completes. Slabs must come in order, each plane once."""
        self._check(slab)
        self._expected = slab.stop
        if self._same:
            place: list[slice] = [slice(None)] * 3
            place[slab.axis] = slice(slab.start, slab.stop)
            inside = tuple(place)
            for rows in _blocks(slab.scores):
                self._decide(inside, rows, slab.scores[rows])
            return
        planes = np.moveaxis(slab.scores, slab.axis, 0)
        along = self._maps[slab.axis]
        last = slab.stop == self._model.shape[slab.axis]
        while self._next < len(along.low) and (last or along.high[self._next] < slab.stop):
            low = self._plane(planes, slab.start, int(along.low[self._next]))
            share = float(along.share[self._next])
            if share > 0:
                low = low * np.float32(1 - share)
                low += self._plane(planes, slab.start, int(along.high[self._next])) * np.float32(share)
            self._paint(slab.axis, self._next, low)
            self._next += 1
        # the next source plane lies above this slab's last plane and still needs it
        self._kept = planes[-1].copy()

    def _check(self, slab: Slab) -> None:
        expected = tuple(slab.stop - slab.start if a == slab.axis else n for a, n in enumerate(self._model.shape))
        channels = len(self._decision.ids)
        fits = slab.scores.shape[:3] == expected and slab.scores.shape[3] in (channels, channels + 1)
        if slab.start != self._expected or not fits:
            raise InputError(
                f"slab: expected planes from {self._expected} with {channels} classes on the grid "
                f"{self._model.shape}, got planes {slab.start} to {slab.stop} of shape {slab.scores.shape}"
            )

    def _plane(self, planes: Float32, start: int, index: int) -> Float32:
        if index >= start:
            plane: Float32 = planes[index - start]
            return plane
        if self._kept is None or index != start - 1:
            raise InputError(f"slab: plane {index} was needed after it had been dropped")
        return self._kept

    def _paint(self, axis: int, index: int, plane: Float32) -> None:
        """Interpolate and decide one source plane across `axis`, given there on the model's other two axes."""
        first, second = (m for a, m in enumerate(self._maps) if a != axis)
        place: list[Any] = [slice(None)] * 3
        place[axis] = index
        inside, height = tuple(place), len(first.low)
        step = max(1, BLOCK // (len(second.low) * plane.shape[-1]))
        for row in range(0, height, step):
            rows = slice(row, min(row + step, height))
            block = _mix(plane, first.low[rows], first.high[rows], first.share[rows], axis=0)
            if not second.identity or len(second.low) != plane.shape[1]:
                block = _mix(block, second.low, second.high, second.share, axis=1)
            self._decide(inside, (rows,), block)

    def _decide(self, inside: tuple[Any, ...], part: tuple[slice, ...], scores: Float32) -> None:
        """Decide a block of voxels: `part` of what `inside` takes of the kept part of the scan."""
        decision = self._decision
        channels = len(decision.ids)
        doubt = scores[..., channels] if scores.shape[-1] > channels else None
        scores = np.ascontiguousarray(scores[..., :channels])
        winner, shared = winners(scores, decision)
        self._labels[inside][part] = self._names[winner]
        self.overlapping_voxels += shared
        self._tally(scores.reshape(-1, channels), winner.ravel())
        if self._probabilities is not None:
            self._probabilities[inside][part] = scores
        if self._uncertainty is not None:
            known = entropy(scores, decision.exclusive) if doubt is None else as_bytes(doubt)
            self._uncertainty[inside][part] = known

    def _tally(self, scores: Float32, winner: npt.NDArray[np.intp]) -> None:
        channels = scores.shape[1]
        # one number past the end stands for the score of "none"
        at = np.minimum(winner, channels - 1)
        at += np.arange(0, scores.size, channels)
        self._sums += np.bincount(winner, weights=scores.ravel()[at], minlength=channels + 1)
        self._counts += np.bincount(winner, minlength=channels + 1)


def _mix(values: Float32, low: npt.NDArray[np.intp], high: npt.NDArray[np.intp], share: Float32, axis: int) -> Float32:
    """Return values (a, b, channel) read between voxels `low` and `high` of one axis, linearly."""
    if not share.any():
        return values.take(low, axis=axis)
    weight = share.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    mixed = values.take(low, axis=axis)
    mixed *= 1 - weight
    above = values.take(high, axis=axis)
    above *= weight
    mixed += above
    return mixed


def _blocks(scores: Float32) -> Iterator[tuple[slice, slice]]:
    """Yield parts (z, y) of an array (z, y, x, channel) of about `BLOCK` numbers each."""
    depth, height, width, channels = scores.shape
    step = max(1, BLOCK // (width * channels))
    for z in range(depth):
        for y in range(0, height, step):
            yield slice(z, z + 1), slice(y, min(y + step, height))
