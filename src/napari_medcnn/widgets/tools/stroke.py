"""One drag of the brush: what it sweeps is written into the mask as the mouse goes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.tools.brush import Brush, swept_region
from napari_medcnn.annotation.tools.mask import Bools, Mask
from napari_medcnn.core.geometry import Array

Point = tuple[float, float, float]


@dataclass(eq=False)
class Stroke:
    """One drag: what it paints with, where it was last, and the box of what it changed.

    Parameters
    ----------
    mask
        The mask that is painted; its array is written to.
    brush, label, scan
        See `annotation.tools.brush.paint`; 0 erases.
    name
        Of the step that it becomes.
    """

    mask: Mask
    brush: Brush
    label: int
    scan: Array | None
    name: str
    box: Box | None = field(default=None, init=False)
    #: It went over voxels of a locked class.
    met_locked: bool = field(default=False, init=False)
    _last: Point | None = field(default=None, init=False)

    def reach(self, point: Point) -> Box | None:
        """Sweep on to a voxel index (z, y, x); return the box of what changed, None for nothing."""
        axis, last = self.brush.axis, self._last
        if last is None or (axis is not None and slice_of(last[axis]) != slice_of(point[axis])):
            last = point  # the first, or another slice was turned to with the button held
        self._last = point
        path = [last, point] if last != point else [point]
        box, swept = swept_region(self.mask, self.brush, path)
        if self.brush.limits is not None and self.scan is not None:
            swept &= self.brush.limits.holds(self.scan[box])
        ids = self.mask.array[box]
        if self.mask.locked:
            free = self.mask.writable(box, drawn=True)
            self.met_locked |= bool((swept & ~free).any())
            swept &= free
        swept &= ids != self.label
        return self._write(box, ids, swept)

    def _write(self, box: Box, ids: Array, swept: Bools) -> Box | None:
        if not swept.any():
            return None
        ids[swept] = self.label
        self.box = box if self.box is None else both(self.box, box)
        return box


def both(one: Box, other: Box) -> Box:
    """Return the box around two."""
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def slice_of(at: float) -> float:
    """Return the slice that an index, with fractions, lies in."""
    return float(np.floor(at + 0.5))
