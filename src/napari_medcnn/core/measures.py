"""Measures that a reader draws: where they lie and what they measure.

Points are continuous indices in the file's own array order (z, y, x), so that a measure means the same place however
the scan is shown.  An index counts voxel centres: 0 is the centre of the first.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_medcnn.core.ruler import Ruler
from napari_medcnn.errors import InputError

LENGTH, ANGLE, COBB = "length", "angle", "cobb"
ELLIPSE, RECTANGLE, BALL = "ellipse", "rectangle", "ball"
#: Points of each kind: both ends; end, corner, end; two ends of two lines; opposite corners; centre and rim.
POINTS = {LENGTH: 2, ANGLE: 3, COBB: 4, ELLIPSE: 2, RECTANGLE: 2, BALL: 2}
REGIONS = (ELLIPSE, RECTANGLE, BALL)
#: What people call them.
WORDS = {
    LENGTH: "Length", ANGLE: "Angle", COBB: "Cobb angle", ELLIPSE: "Ellipse", RECTANGLE: "Rectangle", BALL: "Ball",
}  # fmt: skip
#: No scan has more voxels along an axis, and no line of any use is longer.
_FARTHEST = 1e9

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Parameters
    ----------
    kind
        A key of `POINTS`.
    points
        As many as the kind has.
    axis
        Array axis of the file (0, 1, 2) along which the slices of the plane it was drawn in follow.
    frame
        Time point, echo or b-value it was drawn on.
    name
        For people; may be changed.
    id
        Never changes.

    Raises
    ------
    InputError
        An unknown kind, a wrong number of points, or a number that is not finite.
    """

    kind: str
    points: tuple[Point, ...]
    axis: int
    frame: int = 0
    name: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def __post_init__(self) -> None:
        if self.kind not in POINTS:
            raise InputError(f"kind: expected one of {', '.join(POINTS)}, got {self.kind!r}")
        points = tuple(tuple(float(value) for value in point) for point in self.points)
        if len(points) != POINTS[self.kind] or any(len(point) != 3 for point in points):
            raise InputError(f"points: a {self.kind} has {POINTS[self.kind]} of (z, y, x), got {self.points}")
        if not all(abs(value) <= _FARTHEST for point in points for value in point):  # not-a-number is not, either
            raise InputError(f"points: expected finite numbers, got {str(points)[:80]}")
        if self.axis not in (0, 1, 2) or self.frame < 0:
            raise InputError(f"axis, frame: expected 0, 1 or 2 and 0 or more, got {self.axis}, {self.frame}")
        object.__setattr__(self, "points", points)

    @property
    def is_region(self) -> bool:
        """True if values under it are counted."""
        return self.kind in REGIONS

    @property
    def centre(self) -> Point:
        """Where to look to see it: the centre of a ball, the middle of its points else."""
        if self.kind == BALL:
            return self.points[0]
        low, high = np.min(self.points, axis=0), np.max(self.points, axis=0)
        z, y, x = ((low + high) / 2).tolist()
        return (z, y, x)

    def with_point(self, index: int, point: Sequence[float]) -> Measure:
        """Return it with one point elsewhere."""
        points = list(self.points)
        points[index] = (float(point[0]), float(point[1]), float(point[2]))
        return replace(self, points=tuple(points))

    def moved(self, by: Sequence[float]) -> Measure:
        """Return it shifted by (z, y, x) voxels."""
        return replace(self, points=tuple((p[0] + by[0], p[1] + by[1], p[2] + by[2]) for p in self.points))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; numbers come back bit for bit."""
        return {
            "kind": self.kind, "points": [list(p) for p in self.points], "axis": self.axis, "frame": self.frame,
            "name": self.name, "id": self.id,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measure:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            An entry is missing or of another type.
        """
        try:
            str(data["name"]).encode("utf-8")  # halves of letters could be shown, but never be kept again
            return cls(
                str(data["kind"]),
                tuple(tuple(point) for point in data["points"]),
                int(data["axis"]),
                int(data["frame"]),
                str(data["name"]),
                str(data["id"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError("measure: expected kind, points, axis, frame, name and id") from error


def length(measure: Measure, ruler: Ruler) -> float:
    """Return the distance of the two points of a length, or the radius of a ball, in the ruler's unit."""
    return ruler.distance(measure.points[0], measure.points[1])


def angle_deg(measure: Measure, ruler: Ruler) -> float | None:
    """Return degrees: 0 to 180 at the corner of an angle, 0 to 90 between the lines of Cobb; None for a side of 0.

    Where only pixels are known they are taken as square, and the ruler's note says so.
    """
    p = measure.points
    if measure.kind == COBB:
        u, v = ruler.vector(p[0], p[1]), ruler.vector(p[2], p[3])
    else:
        u, v = ruler.vector(p[1], p[0]), ruler.vector(p[1], p[2])
    if not (np.any(u) and np.any(v)):
        return None
    # atan2 keeps its digits near 0 and 180 degrees, where arccos loses half of them
    degrees = math.degrees(math.atan2(float(np.linalg.norm(np.cross(u, v))), float(np.dot(u, v))))
    return min(degrees, 180.0 - degrees) if measure.kind == COBB else degrees


def sides(measure: Measure, ruler: Ruler) -> tuple[float, float]:
    """Return width and height of a flat region in the ruler's unit, along the two axes of its plane (rising)."""
    rows, columns = (a for a in range(3) if a != measure.axis)
    vector = np.abs(ruler.vector(measure.points[0], measure.points[1]))
    return (float(vector[columns]), float(vector[rows]))


def next_name(kind: str, measures: Sequence[Measure]) -> str:
    """Return "Length 3": one more than the highest number there is of this kind."""
    word = WORDS[kind]
    taken = [m.name[len(word) + 1 :] for m in measures if m.name.startswith(f"{word} ")]
    return f"{word} {max((int(t) for t in taken if t.isdigit()), default=0) + 1}"
