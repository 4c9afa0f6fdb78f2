"""What a preparation did to the grid: all that is needed to bring an answer back."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.imaging.resample import cropped

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Record:
    """What `prepare` did to the grid, enough to undo it.

    Parameters
    ----------
    source : grid of the scan as read.
    how : reorientation to the model's axes.
    box : the part of the reoriented scan that the answer fills, (z, y, x) slices with start and stop: what is left of
        it after the body box, the box of what is not zero, and the region asked for.
    model : grid the network sees; covers `box`, and with a region some of the scan around it.
    notes : in words, what a person should know (voxel size unknown, values that were not numbers, ...).
    """

    source: Geometry
    how: Reorientation
    box: Box
    model: Geometry
    notes: tuple[str, ...] = ()

    @property
    def part(self) -> Geometry:
        """Grid of the kept part of the reoriented scan, at the scan's own voxel size."""
        start = (self.box[0].start, self.box[1].start, self.box[2].start)
        shape = tuple(s.stop - s.start for s in self.box)
        return cropped(self.source.reoriented(self.how), start, (shape[0], shape[1], shape[2]))
