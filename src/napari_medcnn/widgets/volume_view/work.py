"""What the 3D view computes in threads: the preview of a scan, and the surfaces of a mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import Cancelled
from napari_medcnn.imaging.preview import Three, preview_of
from napari_medcnn.imaging.surface import SIDE, Surface, boxes_of, coarser_side, surface_of
from napari_medcnn.widgets.tasks import Work
from napari_medcnn.widgets.volume_view.graphics import Graphics

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Grid:
    """How an array (z, y, x) lies in the world."""

    spacing: Three
    translate: Three


def grid_of(layer: Any) -> Grid:
    """Return where a layer of ours lies; a leading time axis is left out."""
    z, y, x = (float(v) for v in layer.scale[-3:])
    tz, ty, tx = (float(v) for v in layer.translate[-3:])
    return Grid((z, y, x), (tz, ty, tx))


def volume_of(layer: Any, frame: int) -> Array:
    """Return the voxels (z, y, x) of an image layer at a time point, a view; of colours their green."""
    data: Array = layer.data
    if layer.rgb:
        data = data[..., 1]
    return data[frame] if data.ndim == 4 else data


def preview(volume: Array, grid: Grid, graphics: Graphics) -> Work:
    """Make a small copy of a volume: the result is a `Preview3D`."""

    def work(cancel: Cancel) -> Events:
        parts = preview_of(volume, grid.spacing, grid.translate, graphics.side, graphics.largest)
        while True:
            try:
                share = next(parts)
            except StopIteration as end:
                yield Result(end.value)
                return
            if cancel.is_set():
                raise Cancelled("The 3D preview was cancelled.")
            yield Progress(share, "Preparing the 3D preview")

    return work


@dataclass(frozen=True)
class Wanted:
    """Which surfaces are made, and how fine.

    Parameters
    ----------
    classes
        Ids; those that the mask does not have are left out.
    triangles
        About how many all of them may have together; 0 for no limit.
    side
        As `imaging.surface.surface_of` takes it.
    """

    classes: frozenset[int]
    triangles: int = 0
    side: int = SIDE


def surfaces(mask: Array, labels: LabelSet, grid: Grid, wanted: Wanted) -> Work:
    """Make the surface of each wanted class that is present: the result is a dict of id to `Surface`."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Looking for classes")
        boxes = {i: box for i, box in boxes_of(np.asarray(mask)).items() if i in wanted.classes}
        made = {}
        for number, (label_id, box) in enumerate(boxes.items(), 1):
            if cancel.is_set():
                raise Cancelled("The surfaces were cancelled.")
            yield Progress((number - 1) / len(boxes), f"Surface {number} of {len(boxes)}: {labels.name_of(label_id)}")
            if (mask[box] == label_id).any():  # it may have been painted over in the meantime
                made[label_id] = surface_of(mask, label_id, box, grid.spacing, grid.translate, wanted.side)
        for label_id, most in _too_fine(made, wanted.triangles).items():
            if cancel.is_set():
                raise Cancelled("The surfaces were cancelled.")
            yield Progress(None, f"Fewer triangles: {labels.name_of(label_id)}")
            box = boxes[label_id]
            side = coarser_side(made[label_id], tuple(part.stop - part.start for part in box), most)
            if (mask[box] == label_id).any():
                made[label_id] = surface_of(mask, label_id, box, grid.spacing, grid.translate, side)
        yield Result(made)

    return work


def _too_fine(made: Mapping[int, Surface], most: int) -> dict[int, int]:
    """Return the classes that have to give up triangles, and how many each may keep: small ones keep theirs."""
    counts = {label_id: len(surface.faces) for label_id, surface in made.items()}
    if not most or sum(counts.values()) <= most:
        return {}
    share, left, rest = 0, most, sorted(counts.values())
    while rest:
        share = left // len(rest)
        if rest[0] > share:
            break
        left -= rest.pop(0)
    return {label_id: max(1, share) for label_id, count in counts.items() if count > share}
