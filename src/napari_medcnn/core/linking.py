"""Which place of a second scan belongs to a place of the first, when both are looked at side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.geometry import Float


@dataclass(frozen=True, eq=False)
class Link:
    """The way from places of one window's world to those of another's, and back.

    Parameters
    ----------
    first, second
        How both scans are shown. Where both state their place in the patient the way leads through LPS mm, whatever
        their spacing and tilt; otherwise the worlds themselves are taken for alike.
    shift
        Added on the way from the first to the second: LPS mm (x, y, z), or world units (z, y, x) without a place.
    """

    first: DisplayGrid
    second: DisplayGrid
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def by_patient(self) -> bool:
        """True if the way leads through the patient's coordinates."""
        grids = (self.first.geometry, self.second.geometry)
        return all(grid.orientation_known and grid.spacing_known for grid in grids)

    def to_second(self, world: Any) -> Float:
        """Return the places (..., 3) of the second world (z, y, x) that belong to places of the first."""
        if not self.by_patient:
            return np.asarray(np.asarray(world, dtype=np.float64) + self.shift)
        return self.second.world_of(self.first.lps_of(world) + self.shift)

    def to_first(self, world: Any) -> Float:
        """Return the places of the first world that belong to places of the second."""
        if not self.by_patient:
            return np.asarray(np.asarray(world, dtype=np.float64) - self.shift)
        return self.first.world_of(self.second.lps_of(world) - self.shift)

    def from_here(self, first: Any, second: Any) -> Link:
        """Return the link by which these two places belong together."""
        if self.by_patient:
            shift = self.second.lps_of(second) - self.first.lps_of(first)
        else:
            shift = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
        return replace(self, shift=(float(shift[0]), float(shift[1]), float(shift[2])))
