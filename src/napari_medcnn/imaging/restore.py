"""From class scores on the model grid, slab by slab, to labels on the scan's own grid.

Whole-volume scores are never held: each source plane is decided as soon as the two model planes around it are finished,
its classes interpolated linearly one after the other with a running best. Memory holds a slab, one kept plane and the
labels, which come out in the scan's own axis order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.spec import Decision
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.patches import Slab
from napari_medcnn.imaging.record import Record
from napari_medcnn.imaging.resample import AxisMap, interpolate_plane

Float32 = npt.NDArray[np.float32]


class LabelPainter:
    """Collects slabs of probabilities in order and paints labels, and what else is wanted, on the source grid.

    Parameters
    ----------
    record : what the preparation did. The results have the shape and axis order of its source grid; outside its box
        they are background, sure, with probability 0.
    decision : how probabilities become ids.
    uncertainty : also paint how close the decision was: uint8, 0 sure to 255 undecided.
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
        self._decision = decision
        self._model = record.model
        # views in the model's axis order: writing into them puts every value at its place in the source order
        self._labels = how.apply(self.labels)[record.box]
        self._uncertainty = None if self.uncertainty is None else how.apply(self.uncertainty)[record.box]
        if probabilities is not None:
            probabilities[:] = 0
        self._probabilities = None if probabilities is None else how.apply(probabilities, "zyxc")[record.box]
        self._maps = AxisMap.between(record.part, record.model)
        self._kept: Float32 | None = None
        self._next = 0
        self._expected = 0
        self._sums = np.zeros(channels)
        self._counts = np.zeros(channels, np.int64)

    @property
    def mean_scores(self) -> dict[int, float]:
        """Mean probability of each class over the voxels it won; classes that won none are left out."""
        return {
            label: float(total / count)
            for label, total, count in zip(self._decision.ids, self._sums, self._counts, strict=True)
            if count
        }

    def add(self, slab: Slab) -> None:
        """Paint every source plane that this slab completes. Slabs must come in order, each plane once."""
        others = tuple(n for a, n in enumerate(self._model.shape) if a != slab.axis)
        planes = np.moveaxis(slab.scores, slab.axis, 0)
        if slab.start != self._expected or planes.shape != (slab.stop - slab.start, *others, len(self._decision.ids)):
            raise InputError(
                f"slab: expected planes from {self._expected} with {len(self._decision.ids)} classes on the grid "
                f"{self._model.shape}, got planes {slab.start} to {slab.stop} of shape {slab.scores.shape}"
            )
        along = self._maps[slab.axis]
        last = slab.stop == self._model.shape[slab.axis]
        while self._next < len(along.low) and (last or along.high[self._next] < slab.stop):
            low = self._plane(planes, slab.start, int(along.low[self._next]))
            high = self._plane(planes, slab.start, int(along.high[self._next]))
            self._paint(slab.axis, self._next, low, high, float(along.share[self._next]))
            self._next += 1
        # the next source plane lies above this slab's last plane and still needs it
        self._kept = planes[-1].copy()
        self._expected = slab.stop

    def _plane(self, planes: Float32, start: int, index: int) -> Float32:
        if index >= start:
            plane: Float32 = planes[index - start]
            return plane
        if self._kept is None or index != start - 1:
            raise InputError(f"slab: plane {index} was needed after it had been dropped")
        return self._kept

    def _paint(self, axis: int, index: int, low: Float32, high: Float32, share: float) -> None:
        """Decide one source plane across `axis`."""
        first, second = (m for a, m in enumerate(self._maps) if a != axis)
        shape = (len(first.low), len(second.low))
        decision = self._decision
        # without exclusive classes background wins unless a channel reaches its threshold (margin 0)
        best = np.full(shape, -np.inf if decision.exclusive else 0.0, np.float32)
        runner_up = np.full(shape, -np.inf, np.float32)
        winner = np.full(shape, -1, np.int32)
        place: list[Any] = [slice(None)] * 3
        place[axis] = index
        for channel in range(len(decision.ids)):
            score = low[..., channel]
            if share > 0:
                score = score * (1 - share) + high[..., channel] * share
            score = interpolate_plane(score, first, second)
            if self._probabilities is not None:
                self._probabilities[(*place, channel)] = score
            margin = score if decision.exclusive else _relative(score, decision.thresholds[channel])
            # of equal classes the first stays; a channel exactly at its threshold beats the background
            better = (margin > best) | ((margin == best) & (winner < 0))
            np.maximum(runner_up, np.where(better, best, margin), out=runner_up)
            np.copyto(best, margin, where=better)
            winner[better] = channel
        self._labels[tuple(place)] = np.append(decision.ids, 0).astype(decision.dtype)[winner]
        self._tally(winner, best)
        if self._uncertainty is not None:
            # one exclusive channel has no rival: -inf means certain
            gap = np.clip(best - runner_up, 0, 1)
            self._uncertainty[tuple(place)] = np.rint(255 * (1 - gap)).astype(np.uint8)

    def _tally(self, winner: npt.NDArray[np.int32], best: Float32) -> None:
        won = winner >= 0
        decision = self._decision
        sums = np.bincount(winner[won], weights=best[won], minlength=len(decision.ids))
        counts = np.bincount(winner[won], minlength=len(decision.ids))
        if not decision.exclusive:
            # back from the relative margin to the probability: t + margin (1 - t)
            limits = np.array(decision.thresholds)
            sums = counts * limits + sums * (1 - limits)
        self._sums += sums
        self._counts += counts


def _relative(score: Float32, threshold: float) -> Float32:
    """Return how far a probability is above (1 at p = 1) or below (-1 at p = 0) its threshold."""
    above = (score - threshold) / (1 - threshold)
    below = (score - threshold) / threshold
    return np.where(score >= threshold, above, below).astype(np.float32)
