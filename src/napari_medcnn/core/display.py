"""How what is seen lies in the patient: between the window's millimetres, voxels and LPS.

Layers of a scan are placed by ``scale`` and ``translate`` alone (docs/decisions/display-geometry.md). So the window has
a world of its own: coordinates (z, y, x) in mm along the scan's own axes, array axis 0 running to Inferior, 1 to
Posterior and 2 to Left where the file states that. This is the one place that knows how it lies in the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Float, Geometry, Reorientation

#: Name of the plane whose slices follow display axis 0, 1, 2.
PLANES = ("axial", "coronal", "sagittal")
_ENDS = (("S", "I"), ("A", "P"), ("R", "L"))


@dataclass(frozen=True, eq=False)
class DisplayGrid:
    """The grid of a scan as it is shown.

    Points are arrays (..., 3); "world" is (z, y, x) in mm of the window, "lps" is (x, y, z) in mm of the patient,
    "index" counts voxels of the display order and "source" those of the file's order, both (z, y, x) and continuous.
    Of a picture z is 0. Where the spacing is unknown a voxel counts as 1.
    """

    geometry: Geometry

    @cached_property
    def how(self) -> Reorientation:
        """From the file's array order to that of the display."""
        return self.geometry.displayed[0]

    @cached_property
    def shown(self) -> Geometry:
        """The grid in display order."""
        return self.geometry.displayed[1]

    @cached_property
    def _translate(self) -> Float:
        return np.array(self.shown.display_translate_mm())

    @cached_property
    def _spacing(self) -> Float:
        return np.array(self.shown.spacing_mm)

    def lps_of(self, world: Any) -> Float:
        """Return LPS mm of world points."""
        return np.asarray(np.asarray(world, dtype=np.float64)[..., ::-1] @ self.shown.direction.T)

    def world_of(self, lps: Any) -> Float:
        """Return world points of LPS mm."""
        return np.asarray((np.asarray(lps, dtype=np.float64) @ self.shown.direction)[..., ::-1])

    def index_of(self, world: Any) -> Float:
        """Return display indices of world points."""
        return np.asarray((np.asarray(world, dtype=np.float64) - self._translate) / self._spacing)

    def world_of_index(self, index: Any) -> Float:
        """Return world points of display indices."""
        return np.asarray(np.asarray(index, dtype=np.float64) * self._spacing + self._translate)

    def source_of(self, world: Any) -> Float:
        """Return indices in the file's order of world points."""
        return self.geometry.lps_to_index(self.lps_of(world))

    def world_of_source(self, index: Any) -> Float:
        """Return world points of indices in the file's order."""
        return self.world_of(self.geometry.index_to_lps(index))

    def holds(self, world: Any) -> bool:
        """Return True if a world point lies in a voxel of the scan."""
        index = self.index_of(world)
        return bool(np.all(index >= -0.5) and np.all(index < np.array(self.shown.shape) - 0.5))

    def slice_mm(self, axis: int, depth: float) -> float | None:
        """Return where a slice lies in the patient: LPS mm along the body axis nearest to display axis `axis`.

        `depth` is the world coordinate of the slice along that axis; left, posterior and superior are positive. Of a
        tilted scan it is the place of the middle of the slice. None for pictures, and where the file states no
        orientation or spacing.
        """
        geometry = self.geometry
        if not (geometry.orientation_known and geometry.spacing_known):
            return None
        middle = self.world_of_index((np.array(self.shown.shape) - 1) / 2)
        middle[axis] = depth
        return float(self.lps_of(middle)[2 - axis])

    def ends(self, axis: int) -> tuple[str, str]:
        """Return the letters at the low and high end of a display axis; ("", "") where the file does not state them."""
        return _ENDS[axis] if self.geometry.orientation_known else ("", "")

    def plane(self, axis: int) -> str:
        """Return the name of the plane whose slices follow a display axis; "" where the file states no orientation."""
        return PLANES[axis] if self.geometry.orientation_known else ""
