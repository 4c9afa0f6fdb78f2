"""What a pixel measures: stated by the file, only at the detector, set by the user with a line, or nothing known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Float, Geometry
from napari_medcnn.errors import InputError

AT_DETECTOR = "at the detector"
SET_BY_YOU = "scale set by you"
SQUARE_PIXELS = "size not stated, pixels taken as square"
#: Millimetres that one pixel can be at most.
_LARGEST = 1e6


@dataclass(frozen=True)
class SetScale:
    """A scale that a person gave by a line of known length.

    Parameters
    ----------
    known_mm
        What the line measures, above 0.
    drawn
        Its length on the picture before: in px, or in mm at the detector.
    at
        When, ISO 8601.
    """

    known_mm: float
    drawn: float
    at: str = ""

    def __post_init__(self) -> None:
        for name in ("known_mm", "drawn"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}: expected a length above 0, got {value}; draw the line again")
        if not 0 < self.factor <= _LARGEST:
            raise InputError(f"known_mm: expected a length that fits the line, got {self.known_mm}; draw it again")

    @property
    def factor(self) -> float:
        """Millimetres for each unit that was drawn."""
        return self.known_mm / self.drawn

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"known_mm": self.known_mm, "drawn": self.drawn, "at": self.at}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SetScale:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            An entry is missing or no length.
        """
        try:
            return cls(float(data["known_mm"]), float(data["drawn"]), str(data.get("at", "")))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"scale: expected known_mm and drawn, got {sorted(data)}") from error


@dataclass(frozen=True)
class Ruler:
    """Measures on one grid, in indices of the file's order (z, y, x).

    Parameters
    ----------
    spacing
        Size of a voxel along (z, y, x) in `unit`.
    unit
        "mm", or "px" where no size is known.
    note
        What a reader must know of it: `AT_DETECTOR`, `SET_BY_YOU`, `SQUARE_PIXELS`; "" for a size that the file states.
    has_depth
        True if slices follow each other: volumes make sense.
    """

    spacing: tuple[float, float, float]
    unit: str
    note: str = ""
    has_depth: bool = True

    @classmethod
    def of(
        cls, geometry: Geometry, detector_mm: tuple[float, float] | None = None, scale: SetScale | None = None
    ) -> Ruler:
        """Return how to measure: a size that the file states always wins, then the user's, then the detector's."""
        depth = geometry.shape[0] > 1
        if geometry.spacing_known:
            return cls(geometry.spacing_mm, "mm", "", depth)
        base = (1.0, 1.0, 1.0) if detector_mm is None else (1.0, *detector_mm)
        if scale is not None and can_set_scale(geometry):
            return cls((1.0, base[1] * scale.factor, base[2] * scale.factor), "mm", SET_BY_YOU, depth)
        if detector_mm is not None:
            return cls((1.0, base[1], base[2]), "mm", AT_DETECTOR, depth)
        return cls((1.0, 1.0, 1.0), "px", SQUARE_PIXELS, depth)

    @property
    def has_volumes(self) -> bool:
        """True if a size in mm3 can be given: every side of a voxel is stated by the file."""
        return self.unit == "mm" and self.note == "" and self.has_depth

    def vector(self, start: Any, end: Any) -> Float:
        """Return `end` minus `start` (indices (..., 3)) in `unit`, along (z, y, x)."""
        return np.asarray((np.asarray(end, float) - np.asarray(start, float)) * np.array(self.spacing))

    def distance(self, start: Any, end: Any) -> float:
        """Return the length between two indices in `unit`; exact to 1e-4, the tolerance of a grid's right angles."""
        return float(np.linalg.norm(self.vector(start, end)))

    def pixel_area(self, axis: int) -> float:
        """Return the area of a pixel of the slices that follow array axis `axis`, in square `unit`."""
        rows, columns = (a for a in range(3) if a != axis)
        return self.spacing[rows] * self.spacing[columns]


def can_set_scale(geometry: Geometry) -> bool:
    """Return True where a line of known length may give the scale: a single picture without a stated size.

    A volume has three unknown sides, and one line cannot tell them.
    """
    return not geometry.spacing_known and geometry.shape[0] == 1
