"""Where planes of one orientation lie: their places along the normal, in rising order (DICOM PS3.3 C.7.6.2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.core.geometry import Float
from napari_medcnn.io.dicom.facts import Plane

#: Positions that differ by less are one: headers are rounded to two or three digits.
ROUNDED_MM = 0.011
_SAME_MM = 1e-3
_SAME_SHARE = 0.01
#: ... unless that is more than this share of a step or pixel, as in micro-CT.
ROUNDED_SHARE = 0.25
#: Slices may slide in their plane by this share of a pixel.
SHIFT_PIXELS = 0.1
#: A gap of more usual ones than this parts a series: what lies between was never scanned, and is not made up.
FAR_STEPS = 10


def rounded_mm(size: float) -> float:
    """Return what rounding may move a position by, where steps or pixels have this size in mm."""
    return min(ROUNDED_MM, ROUNDED_SHARE * size)


@dataclass(frozen=True, eq=False)
class Places:
    """Places of planes.

    Parameters
    ----------
    of
        For each plane the number of its place.
    depths_mm
        Of each place along the normal, rising, absolute (position . normal).
    points
        (places, 3) LPS mm of the first pixel of the first plane at each place.
    row, column, normal
        Unit vectors; `row` runs along rising columns, `column` along rising rows.
    shifted
        Number of planes that lie at the depth of another and beside it: no stack holds both.
    """

    of: NDArray[np.intp]
    depths_mm: Float
    points: Float
    row: Float
    column: Float
    normal: Float
    shifted: int = 0

    @property
    def count(self) -> int:
        """Number of places."""
        return len(self.depths_mm)

    @property
    def blocks(self) -> NDArray[np.intp]:
        """For each place the number of its block: slices with no gap above `FAR_STEPS` usual ones between them."""
        gaps = np.diff(self.depths_mm)
        far = gaps > FAR_STEPS * float(np.median(gaps)) if len(gaps) > 2 else np.zeros(len(gaps), bool)
        return np.concatenate([[0], np.cumsum(far)]).astype(np.intp)


def places_of(planes: Sequence[Plane]) -> Places:
    """Return the places of at least one plane, all of one orientation and with a position."""
    frame = planes[0].frame
    row, column = np.array(frame.row, dtype=np.float64), np.array(frame.column, dtype=np.float64)
    normal = np.cross(row, column)
    points = np.array([p.frame.position for p in planes], dtype=np.float64)
    depths = points @ normal
    order = np.argsort(depths, kind="stable")
    gaps = np.diff(depths[order])
    wide = gaps[gaps > ROUNDED_MM] if (gaps > ROUNDED_MM).any() else gaps[gaps > _SAME_MM]
    typical = float(np.median(wide)) if len(wide) else 0.0
    number = np.concatenate([[0], np.cumsum(gaps > max(_SAME_MM, _SAME_SHARE * typical))])
    of = np.empty(len(planes), dtype=np.intp)
    of[order] = number
    first = np.unique(of, return_index=True)[1]
    beside = np.linalg.norm((points - points[first][of]) @ np.column_stack([row, column]), axis=1)
    pixel = min(frame.pixel_mm or (1.0, 1.0))
    allowed = max(SHIFT_PIXELS * pixel, rounded_mm(pixel))
    shifted = int(np.count_nonzero(beside > allowed))
    return Places(of, depths[first], points[first], row, column, normal, shifted)
