"""A map in the 3D view: the highest value of each block of voxels, so that small hot places stay hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.imaging.preview import Three, blocks_for
from napari_medcnn.io.layerdata import LayerTuple

#: A map is shown with at most this many voxels along each side of a cube: the processor may have to draw it.
_SIDE = 128
#: What the 3D view says of it: it shows the brightest along each line of sight, nothing can be told by depth.
HIGHEST, FOR_ONLY = "map: highest value along each line", "map: what spoke for, highest along each line"


@dataclass(frozen=True, eq=False)
class MapVolume:
    """A map to be drawn as a volume.

    Parameters
    ----------
    values
        float32 (z, y, x), none below 0.
    spacing, translate
        (z, y, x) of its voxels in the world of the scan.
    limits
        Ends of the colours.
    words
        What the 3D view says of it.
    """

    values: NDArray[np.float32]
    spacing: Three
    translate: Three
    limits: tuple[float, float]
    words: str


@dataclass(frozen=True)
class MapLook:
    """How it is drawn: the colours of the flat views, and whether it is seen."""

    colormap: Any
    opacity: float
    visible: bool


def map_volume(part: LayerTuple, signed: bool, side: int = _SIDE) -> MapVolume | None:
    """Return the volume of a map's layer; None for a picture.

    Of a signed map what spoke against is left out: the highest value along a line says nothing of it.
    """
    data, kwargs, _ = part
    if data.ndim != 3:
        return None
    spacing, translate = (_three(kwargs[name]) for name in ("scale", "translate"))
    blocks = blocks_for(data.shape, spacing, side, side * 2)
    values = np.clip(np.nan_to_num(np.asarray(data, np.float32), posinf=0.0), 0.0, None)
    for axis, block in enumerate(blocks):
        if block > 1:
            values = np.maximum.reduceat(values, np.arange(0, values.shape[axis], block), axis=axis)
    (sz, sy, sx), (tz, ty, tx), (bz, by, bx) = spacing, translate, blocks
    return MapVolume(
        np.ascontiguousarray(values),
        (sz * bz, sy * by, sx * bx),
        (tz + (bz - 1) / 2 * sz, ty + (by - 1) / 2 * sy, tx + (bx - 1) / 2 * sx),
        kwargs["contrast_limits"],
        FOR_ONLY if signed else HIGHEST,
    )


def _three(values: Any) -> Three:
    z, y, x = (float(v) for v in values)
    return (z, y, x)
