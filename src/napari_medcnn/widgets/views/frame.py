"""Which part of the world a picture shows: between its pixels and places in the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Frame:
    """A flat view of a plane, on screen or in an exported picture.

    Parameters
    ----------
    width, height
        Of the picture in pixels.
    axes
        Display axes (0 body, 1 front to back, 2 side to side) that rows and columns of the picture follow.
    depth_axis
        The third axis, along which slices follow each other.
    centre
        World coordinates (row axis, column axis) in its middle.
    depth
        World coordinate of the slice along `depth_axis`.
    zoom
        Pixels per unit of the world (mm, or px where spacing is unknown).
    mirrored
        True if the column axis runs to the left (neurological display).
    scale
        Size of letters and lines: 1 on screen, larger in large exported pictures.
    """

    width: int
    height: int
    axes: tuple[int, int]
    depth_axis: int
    centre: tuple[float, float]
    depth: float
    zoom: float
    mirrored: bool = False
    scale: float = 1.0

    def to_canvas(self, place: Place) -> tuple[float, float]:
        """Return pixels (x, y) of a world place (z, y, x); its depth does not matter."""
        down = (place[self.axes[0]] - self.centre[0]) * self.zoom
        across = (place[self.axes[1]] - self.centre[1]) * self.zoom
        return (self.width / 2 + (-across if self.mirrored else across), self.height / 2 + down)

    def to_place(self, x: float, y: float) -> Place:
        """Return the world place (z, y, x) of a pixel, on the slice that is shown."""
        across = (x - self.width / 2) / self.zoom
        found = np.zeros(3)
        found[self.axes[0]] = self.centre[0] + (y - self.height / 2) / self.zoom
        found[self.axes[1]] = self.centre[1] + (-across if self.mirrored else across)
        found[self.depth_axis] = self.depth
        return (float(found[0]), float(found[1]), float(found[2]))

    def resized(self, width: int, height: int) -> Frame:
        """Return the same part of the world in a picture of another size, letters growing with it."""
        factor = min(width / self.width, height / self.height)
        return replace(self, width=width, height=height, zoom=self.zoom * factor, scale=self.scale * factor)
