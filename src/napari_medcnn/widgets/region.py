"""A region of interest: rectangles of a Shapes layer as a box of the scan's own grid, and the box in words.

A rectangle limits the slice it is drawn in and reaches through all slices; rectangles on several slices reach from
the first of them to the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.core.options import Span
from napari_medcnn.errors import InputError
from napari_medcnn.io.layerdata import KEY

#: An axis along which all corners lie closer together than this (in voxels) is the one the rectangle was drawn on.
_FLAT = 0.5
Box = tuple[Span, Span, Span]


@dataclass(frozen=True)
class Region:
    """A box: `shown` along the display axes, `source` along those of the file, and what to say of it."""

    shown: Box
    source: Box
    words: str


def region_of(shapes: Any, scan: Any) -> Region:
    """Return the box around the shapes of a layer (the selected ones, where some are).

    Parameters
    ----------
    shapes
        A napari Shapes layer of any number of axes.
    scan
        The layer of the scan, one of ours.

    Raises
    ------
    InputError
        Nothing is drawn, or it lies beside the scan.
    """
    chosen = sorted(shapes.selected_data) or range(len(shapes.data))
    points = [shapes.data_to_world(corner) for index in chosen for corner in np.asarray(shapes.data[index], float)]
    if not points:
        raise InputError(f"Draw a rectangle in {shapes.name} first, or run on the whole scan.")
    info = scan.metadata[KEY]
    grid, how = info["geometry"], info["how"]
    corners = _indices(np.array(points, float), scan, picture=info["picture"])
    return box_around(corners, grid, how, str(shapes.name))


def box_around(corners: Any, grid: Geometry, how: Reorientation, name: str = "the region") -> Region:
    """Return the box around corners (n, 3), in voxels along display axes; NaN along an axis that is not limited."""
    shape = grid.reoriented(how).shape
    spans: list[Span] = []
    for axis, n in enumerate(shape):
        values = corners[:, axis]
        if np.isnan(values).any() or float(np.ptp(values)) < _FLAT:
            spans.append((0, n))
            continue
        start, stop = max(0, int(np.rint(values.min()))), min(n, int(np.rint(values.max())) + 1)
        if start >= stop:
            raise InputError(f"{name} lies beside the scan; draw the rectangle on the picture.")
        spans.append((start, stop))
    shown: Box = (spans[0], spans[1], spans[2])
    return Region(shown, how.inverse.box(shown, shape), box_words(shown, grid.reoriented(how)))


def box_words(shown: Sequence[Span], grid: Geometry) -> str:
    """Return the size of a box of display order, in mm where the spacing is known, and its slices.

    Slices are counted along the axis that the box does not limit, as a rectangle drawn in any plane leaves one; along
    the body where it limits all or none.
    """
    sizes = [stop - start for start, stop in shown]
    through = next((axis for axis, n in enumerate(grid.shape) if n > 1 and sizes[axis] == n), 0)
    down, across = (axis for axis in range(3) if axis != through)
    if grid.spacing_known:
        mm = [n * s for n, s in zip(sizes, grid.spacing_mm, strict=True)]
        words = f"{mm[across]:.3g} x {mm[down]:.3g} mm"
    else:
        words = f"{sizes[across]} x {sizes[down]} px"
    count = grid.shape[through]
    if count == 1:
        return words
    first, last = shown[through][0] + 1, shown[through][1]
    slices = "all slices" if sizes[through] == count else f"slices {first} to {last} of {count}"
    if grid.spacing_known and sizes[through] != count:
        slices += f" ({mm[through]:.3g} mm)"
    return f"{words}, {slices}"


def _indices(world: Any, scan: Any, picture: bool) -> Any:
    """Return voxel indices (n, 3) along display axes of world points; NaN where a point has no such axis."""
    axes = 2 if picture else 3
    scale, translate = np.asarray(scan.scale)[-axes:], np.asarray(scan.translate)[-axes:]
    given = min(axes, world.shape[1])
    index = np.full((len(world), 3), np.nan)
    index[:, 3 - given :] = (world[:, -given:] - translate[-given:]) / scale[-given:]
    return index
