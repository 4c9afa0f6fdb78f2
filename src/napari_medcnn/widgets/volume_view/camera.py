"""Looking at a scan in 3D: from the front, head up, never mirrored; and where a place of the world is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
#: Right-handed in the display order of axes (to Inferior, to Posterior, to Left): left and right are not swapped.
ORIENTATION = ("towards", "down", "right")
_FRONT, _HEAD_UP = (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)


def look_from_front(viewer: Any) -> None:
    """Show everything from the front, as the patient stands before you: the patient's left is on the right.

    Preferences of napari may have turned an axis of new cameras around, which would mirror the patient: here they
    do not count.
    """
    camera = viewer.scene.camera
    camera.orientation = ORIENTATION
    camera.perspective = 0
    camera.set_view_direction(view_direction=_FRONT, up_direction=_HEAD_UP)
    viewer.fit_to_view()


@dataclass(frozen=True, eq=False)
class Projection:
    """Where places of the world are seen in a 3D pane (parallel projection).

    `right`, `down` and `ahead` are unit vectors of the world (z, y, x) along the rows and columns of the picture and
    into it; `zoom` is in pixels per mm.
    """

    width: int
    height: int
    centre: Float
    right: Float
    down: Float
    ahead: Float
    zoom: float

    def to_canvas(self, place: Any) -> tuple[float, float]:
        """Return pixels (x, y) of a world place (z, y, x)."""
        off = (np.asarray(place, dtype=np.float64) - self.centre) * self.zoom
        return (self.width / 2 + float(off @ self.right), self.height / 2 + float(off @ self.down))

    def depth(self, place: Any) -> float:
        """Return how far behind the middle a place lies, mm."""
        return float((np.asarray(place, dtype=np.float64) - self.centre) @ self.ahead)


def projection_of(camera: Any, width: int, height: int) -> Projection:
    """Return how a camera of napari sees the world."""
    ahead = np.array(camera.view_direction, dtype=np.float64)
    up = np.array(camera.up_direction, dtype=np.float64)
    right = np.cross(ahead, up)
    return Projection(width, height, np.array(camera.center, dtype=np.float64), right, -up, ahead, float(camera.zoom))
