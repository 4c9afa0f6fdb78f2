"""Pictures cut to the proportions of a network's input and brought to its size without aliasing.

For networks that take one small size and were trained on pictures cut and shrunk in this way (MedMNIST: centre crop to
the short edge, then 28 x 28). Reading single points of a large picture, as interpolation does, would turn ribs and
noise into patterns that were never there; here every pixel of the small picture is a weighted mean of all it covers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.record import Box

Float32 = npt.NDArray[np.float32]


def centre_box(box: Box, shape: tuple[int, ...]) -> Box:
    """Return the largest part of a box (z, y, x) that has the proportions of `shape` (y, x), around its centre.

    An odd remainder leaves the extra row or column after the part.
    """
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"fill_shape: expected a shape (y, x) of at least 1, got {shape}")
    height, width = (side.stop - side.start for side in box[1:])
    rows = min(height, max(1, round(width * shape[0] / shape[1])))
    columns = min(width, max(1, round(height * shape[1] / shape[0])))
    top, left = box[1].start + (height - rows) // 2, box[2].start + (width - columns) // 2
    return (box[0], slice(top, top + rows), slice(left, left + columns))


def filled(grid: Geometry, shape: tuple[int, ...]) -> Geometry:
    """Return the grid of `shape` (y, x) over all of `grid`, on the same centre; slices stay."""
    ny, nx = shape
    z, y, x = grid.spacing_mm
    size = (grid.shape[0], ny, nx)
    resized = replace(
        grid,
        shape=size,
        spacing_mm=(z, y * grid.shape[1] / ny, x * grid.shape[2] / nx),
        origin_lps=(0.0, 0.0, 0.0),
    )
    centre = grid.index_to_lps([(n - 1) / 2 for n in grid.shape])
    origin = centre - resized.index_to_lps([(n - 1) / 2 for n in size])
    return replace(resized, origin_lps=tuple(origin.tolist()))


def shrink(data: npt.NDArray[Any], shape: tuple[int, ...]) -> Float32:
    """Bring the planes of (z, y, x, channel) to `shape` (y, x) with a cubic kernel as wide as the pixels to be made.

    Keys' kernel with a = -0.5 (IEEE Trans. ASSP 29, 1981), stretched by the factor of reduction, as Pillow's BICUBIC:
    no aliasing. Enlarging is plain cubic interpolation; the same size gives the same values. All values must be finite.
    """
    rows, columns = _weights(data.shape[1], shape[0]), _weights(data.shape[2], shape[1])
    result = np.empty((data.shape[0], *shape, data.shape[3]), np.float32)
    for z in range(data.shape[0]):
        for channel in range(data.shape[3]):
            result[z, :, :, channel] = rows @ (data[z, :, :, channel].astype(np.float32) @ columns.T)
    return result


def _weights(old: int, new: int) -> Float32:
    """Return (new, old) weights, each row summing to 1."""
    scale = old / new
    wide = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old)[None, :] + 0.5 - centres[:, None]) / wide
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    kernel = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    weights: Float32 = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights
