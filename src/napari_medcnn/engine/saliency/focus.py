"""Keep of a large scan what is looked at: noise, steps and maps then cost what the windows cost, not the whole body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_medcnn.engine.saliency.explainer import Explainer
from napari_medcnn.engine.saliency.views import View, Views
from napari_medcnn.imaging.pipeline import Prepared
from napari_medcnn.imaging.record import Box, Record
from napari_medcnn.imaging.resample import AxisMap, cropped

#: A box with more than this share of the scan is not worth a copy, unless told otherwise.
_WORTH = 0.5


def one_window(asked: Explainer) -> Explainer:
    """Return the question about that part of a region which lies in one window: the one that counts most of it.

    A question about a whole case, or one that takes one window anyway, is returned as it is.
    """
    if asked.region is None or len(asked.views.views) == 1:
        return asked
    most = max(asked.views.views, key=lambda view: float(view.weights.sum()))
    weights = np.zeros_like(most.weights)
    weights[most.here] = asked.region[most.inside]
    views = replace(asked.views, views=(replace(most, weights=weights),))
    prepared, views, box = focused(asked.prepared, views, worth=1.0)
    return replace(asked, prepared=prepared, views=views, region=asked.region[box], known_score=None)


def focused(prepared: Prepared, views: Views, worth: float = _WORTH) -> tuple[Prepared, Views, Box]:
    """Return the part of a prepared scan that windows look at, the windows on it, and where it lies on the grid.

    The record of the part paints only the voxels of the scan that lie in it; what the windows give is the same.
    """
    box = views.box()
    whole = prepared.data.shape[:3]
    shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    if np.prod(shape) > worth * np.prod(whole):
        return prepared, views, (slice(0, whole[0]), slice(0, whole[1]), slice(0, whole[2]))
    moved = tuple(View(_moved(view.inside, box), view.here, view.weights) for view in views.views)
    part = Prepared(np.ascontiguousarray(prepared.data[box]), _cut(prepared.record, box))
    return part, replace(views, shape=shape, views=moved), box


def _moved(inside: Box, box: Box) -> Box:
    z, y, x = (slice(i.start - b.start, i.stop - b.start) for i, b in zip(inside, box, strict=True))
    return (z, y, x)


def _cut(record: Record, box: Box) -> Record:
    """Return the record of a box of the model's grid: the voxels of the scan whose centres lie in it are painted."""
    painted = []
    for reading, side, old in zip(AxisMap.between(record.part, record.model), box, record.box, strict=True):
        position = reading.low + reading.share
        inside = np.flatnonzero((position >= side.start - 0.5) & (position <= side.stop - 0.5))
        if not inside.size:  # between two voxels of a scan that is coarser than the network's grid
            inside = np.array([np.abs(position - (side.start + side.stop - 1) / 2).argmin()])
        painted.append(slice(old.start + int(inside[0]), old.start + int(inside[-1]) + 1))
    z, y, x = (side.stop - side.start for side in box)
    model = cropped(record.model, (box[0].start, box[1].start, box[2].start), (z, y, x))
    return replace(record, box=(painted[0], painted[1], painted[2]), model=model)
