"""The one home of every geometric convention.

Arrays are indexed ``(z, y, x)``; spacing is in millimetres in the same order.  World coordinates are LPS
(+x to the patient's Left, +y to Posterior, +z to Superior), as in DICOM (PS3.3 C.7.6.2.1.1) and ITK.
``direction`` follows ITK: its columns are the unit world vectors of the *x, y, z* index axes, so array axis ``a``
runs along column ``2 - a``.  Orientation letters come in x, y, z order and name the direction each axis runs to:
the identity direction is ``"LPS"``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.errors import GeometryError

Array = NDArray[Any]
Float = NDArray[np.float64]

#: Largest deviation of direction columns from unit length and orthogonality (float32 headers reach 1e-5).
ORTHONORMAL_TOLERANCE = 1e-4
#: Two grids are one if no corner of theirs lies further apart than this share of the smallest spacing.
GRID_TOLERANCE = 1e-3

_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))  # letter of the negative and positive direction of LPS x, y, z
#: Display order of array axes 0, 1, 2 in napari: to Inferior, to Posterior, to Left.
DISPLAY_LETTERS = ("I", "P", "L")


def _frozen(values: Any, shape: tuple[int, ...], name: str) -> Float:
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise GeometryError(f"{name}: expected shape {shape}, got {array.shape}")
    if not np.all(np.isfinite(array)):
        raise GeometryError(f"{name}: expected finite numbers, got {array.tolist()}")
    array.setflags(write=False)
    return array


def ras_to_lps(affine: Any) -> Float:
    """Return the 4x4 matrix with world x and y negated: NIfTI's RAS mm to LPS mm and, being its own inverse, back."""
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(affine, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid in space without voxels.

    Parameters
    ----------
    shape
        Voxels along (z, y, x), each at least 1; a picture has depth 1.
    spacing_mm
        Distance of voxel centres along (z, y, x), above 0.  Ones where ``spacing_known`` is False.
    origin_lps
        World position (x, y, z) in mm of the centre of voxel (0, 0, 0).
    direction
        3x3, ITK convention: columns are unit world vectors of index axes x, y, z; orthonormal within
        ``ORTHONORMAL_TOLERANCE``; may be left-handed.
    spacing_known
        False if the file states no usable spacing: measures in mm and ml refuse such a grid.
    orientation_known
        False if the file does not say where left is: no letters are shown, no reorientation is done.

    Raises
    ------
    GeometryError
        A value is of the wrong shape, not finite, not positive, or the direction is singular or sheared.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin_lps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: Float = field(default_factory=lambda: np.eye(3))
    spacing_known: bool = True
    orientation_known: bool = True

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"shape: expected three counts of at least 1 (z, y, x), got {self.shape}")
        spacing = _frozen(self.spacing_mm, (3,), "spacing_mm")
        if spacing.min() <= 0:
            raise GeometryError(f"spacing_mm: expected three lengths above 0 mm (z, y, x), got {self.spacing_mm}")
        origin = _frozen(self.origin_lps, (3,), "origin_lps")
        direction = _frozen(self.direction, (3, 3), "direction")
        error = float(np.abs(direction.T @ direction - np.eye(3)).max())
        if error > ORTHONORMAL_TOLERANCE:
            raise GeometryError(
                f"direction: expected orthonormal axes, got a deviation of {error:.3g} (sheared or singular grid); "
                "resample the image onto a straight grid first"
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "spacing_mm", tuple(spacing.tolist()))
        object.__setattr__(self, "origin_lps", tuple(origin.tolist()))
        object.__setattr__(self, "direction", direction)

    def __eq__(self, other: object) -> bool:
        """Return True only if every field is exactly equal; use `same_grid` for a tolerance."""
        if not isinstance(other, Geometry):
            return NotImplemented
        return (
            self.shape == other.shape
            and self.spacing_mm == other.spacing_mm
            and self.origin_lps == other.origin_lps
            and bool(np.array_equal(self.direction, other.direction))
            and self.spacing_known == other.spacing_known
            and self.orientation_known == other.orientation_known
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def picture(cls, height: int, width: int) -> Geometry:
        """Return the grid of a picture: depth 1, pixel size and orientation unknown."""
        return cls((1, height, width), spacing_known=False, orientation_known=False)

    @classmethod
    def from_affine(cls, shape: tuple[int, int, int], affine_lps: Any, **known: bool) -> Geometry:
        """Build a grid from a 4x4 matrix that takes index (x, y, z, 1) to LPS mm.

        Raises
        ------
        GeometryError
            The matrix is singular, sheared or not finite.
        """
        affine = _frozen(affine_lps, (4, 4), "affine_lps")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if lengths.min() <= 0:
            raise GeometryError("affine_lps: expected an invertible matrix, got an axis of length 0 (singular grid)")
        spacing = (float(lengths[2]), float(lengths[1]), float(lengths[0]))
        origin = (float(affine[0, 3]), float(affine[1, 3]), float(affine[2, 3]))
        return cls(shape, spacing, origin, affine[:3, :3] / lengths, **known)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; numbers come back bit for bit."""
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "origin_lps": list(self.origin_lps),
            "direction": self.direction.tolist(),
            "spacing_known": self.spacing_known,
            "orientation_known": self.orientation_known,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Geometry:
        """Read what `to_json` wrote.

        Raises
        ------
        GeometryError
            An entry is missing or not usable.
        """
        try:
            z, y, x = (int(n) for n in data["shape"])
            return cls(
                (z, y, x),
                tuple(data["spacing_mm"]),
                tuple(data["origin_lps"]),
                np.array(data["direction"], dtype=np.float64),
                spacing_known=bool(data["spacing_known"]),
                orientation_known=bool(data["orientation_known"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise GeometryError(
                f"geometry: expected shape, spacing, origin and direction, got {sorted(data)}"
            ) from error

    @property
    def affine_lps(self) -> Float:
        """4x4 matrix from index (x, y, z, 1) to LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * np.array(self.spacing_mm[::-1])
        affine[:3, 3] = self.origin_lps
        return affine

    @property
    def orientation(self) -> str | None:
        """Three letters in x, y, z order naming where each axis runs to (nearest axis), None if not stated."""
        if not self.orientation_known:
            return None
        letters = ""
        for world, sign in self._nearest_axes():
            letters += _LETTERS[world][sign > 0]
        return letters

    @cached_property
    def obliquity_deg(self) -> float:
        """Angle in degrees between the grid and the nearest axis-aligned grid; 0 for a straight scan."""
        nearest = np.zeros((3, 3))
        for column, (world, sign) in enumerate(self._nearest_axes()):
            nearest[world, column] = sign
        cosine = (np.trace(nearest.T @ self.direction) - 1.0) / 2.0
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel in mm3.

        Raises
        ------
        GeometryError
            The spacing is unknown.
        """
        self.require_spacing("a volume in mm3")
        return float(np.prod(self.spacing_mm))

    def require_spacing(self, purpose: str) -> None:
        """Raise `GeometryError` if the spacing is unknown; `purpose` names what it was needed for."""
        if not self.spacing_known:
            raise GeometryError(f"{purpose} needs the voxel size, and this file does not state it")

    def index_to_lps(self, index_zyx: Any) -> Float:
        """Return LPS mm (..., 3) in x, y, z order of indices (..., 3) in z, y, x order."""
        index = np.asarray(index_zyx, dtype=np.float64)[..., ::-1]
        return np.asarray(index @ self.affine_lps[:3, :3].T + np.array(self.origin_lps))

    def lps_to_index(self, point_lps: Any) -> Float:
        """Return continuous indices (..., 3) in z, y, x order of LPS mm points (..., 3) in x, y, z order."""
        point = np.asarray(point_lps, dtype=np.float64) - np.array(self.origin_lps)
        return np.asarray((point @ np.linalg.inv(self.affine_lps[:3, :3]).T)[..., ::-1])

    def same_grid(self, other: Geometry, tolerance: float = GRID_TOLERANCE) -> bool:
        """Return True if both have equal shape and corners closer than `tolerance` times the smallest spacing."""
        if self.shape != other.shape:
            return False
        corners = np.array(list(itertools.product(*[(0, n - 1) if n > 1 else (0, 1) for n in self.shape])))
        gap = np.linalg.norm(self.index_to_lps(corners) - other.index_to_lps(corners), axis=-1).max()
        return bool(gap <= tolerance * min(self.spacing_mm + other.spacing_mm))

    @cached_property
    def displayed(self) -> tuple[Reorientation, Geometry]:
        """How the display turns this grid, and the grid turned; computed once: views ask for it with every picture."""
        how = self.reorientation_to()
        return how, self.reoriented(how)

    def _nearest_axes(self) -> list[tuple[int, int]]:
        """Return for index axes x, y, z the (world axis, sign) of the best one-to-one match."""
        best = max(
            itertools.permutations(range(3)),
            key=lambda worlds: sum(abs(self.direction[world, column]) for column, world in enumerate(worlds)),
        )
        return [(world, 1 if self.direction[world, column] > 0 else -1) for column, world in enumerate(best)]

    def reorientation_to(self, letters_zyx: tuple[str, str, str] = DISPLAY_LETTERS) -> Reorientation:
        """Return the lossless flips and transposition after which array axes run to `letters_zyx`.

        With unknown orientation the identity is returned: what is not stated is not guessed.
        """
        if not self.orientation_known:
            return Reorientation((0, 1, 2), (False, False, False))
        runs_to = {}
        for column, (world, sign) in enumerate(self._nearest_axes()):
            runs_to[world] = (2 - column, sign)
        order, flips = [], []
        for letter in letters_zyx:
            found = next((i for i, pair in enumerate(_LETTERS) if letter in pair), None)
            if found is None:
                raise GeometryError(f"letters_zyx: expected letters of R L A P I S, got {letters_zyx}")
            axis, sign = runs_to[found]
            order.append(axis)
            flips.append(sign != (1 if letter == _LETTERS[found][1] else -1))
        if sorted(order) != [0, 1, 2]:
            raise GeometryError(f"letters_zyx: expected three different body axes, got {letters_zyx}")
        return Reorientation((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))

    def reoriented(self, how: Reorientation) -> Geometry:
        """Return the grid of the same voxels in the new array order; no voxel moves in the world."""
        start = [0, 0, 0]
        for axis, flip in zip(how.order, how.flips, strict=True):
            start[axis] = self.shape[axis] - 1 if flip else 0
        by_array_axis = self.direction[:, ::-1]  # columns now follow array axes z, y, x
        signs = np.array([-1.0 if flip else 1.0 for flip in how.flips])
        columns = by_array_axis[:, list(how.order)] * signs
        origin = self.index_to_lps(start)
        a, b, c = how.order
        return replace(
            self,
            shape=(self.shape[a], self.shape[b], self.shape[c]),
            spacing_mm=(self.spacing_mm[a], self.spacing_mm[b], self.spacing_mm[c]),
            origin_lps=(float(origin[0]), float(origin[1]), float(origin[2])),
            direction=columns[:, ::-1],
        )

    def display_translate_mm(self) -> tuple[float, float, float]:
        """Return napari's ``translate`` (z, y, x): the origin projected on the grid's own axes, in mm."""
        projected = self.direction.T @ np.array(self.origin_lps)
        return (float(projected[2]), float(projected[1]), float(projected[0]))

    def same_axes(self, other: Geometry, tolerance_deg: float = 0.05) -> bool:
        """Return True if both grids have parallel axes, so that one picture can hold both without resampling."""
        cosines = np.abs(np.einsum("ij,ij->j", self.direction, other.direction))
        return bool(np.all(cosines >= np.cos(np.radians(tolerance_deg)))) and bool(
            np.all(np.einsum("ij,ij->j", self.direction, other.direction) > 0)
        )


@dataclass(frozen=True)
class Reorientation:
    """A lossless change of array order: new axis ``i`` is old axis ``order[i]``, reversed if ``flips[i]``."""

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def __post_init__(self) -> None:
        if sorted(self.order) != [0, 1, 2] or len(self.flips) != 3:
            raise GeometryError(
                f"order: expected a permutation of 0, 1, 2 and three flips, got {self.order}, {self.flips}"
            )

    @property
    def inverse(self) -> Reorientation:
        """The reorientation that takes everything back."""
        order, flips = [0, 0, 0], [False, False, False]
        for new, old in enumerate(self.order):
            order[old], flips[old] = new, self.flips[new]
        return Reorientation((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))

    def apply(self, array: Array, axes: str = "zyx") -> Array:
        """Return a view of `array` in the new order; letters of `axes` other than z, y, x stay where they are.

        Raises
        ------
        GeometryError
            `axes` does not name every axis of `array`, or lacks z, y or x.
        """
        if len(axes) != array.ndim or "zyx" not in axes:
            raise GeometryError(f"axes: expected {array.ndim} letters with 'zyx' together, got {axes!r}")
        first = axes.index("zyx")
        order = list(range(array.ndim))
        order[first : first + 3] = [first + a for a in self.order]
        slices: list[slice] = [slice(None)] * array.ndim
        for new, flip in enumerate(self.flips):
            if flip:
                slices[first + new] = slice(None, None, -1)
        return array.transpose(order)[tuple(slices)]

    def box(
        self, box: tuple[tuple[int, int], ...], shape: tuple[int, int, int]
    ) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Return (start, stop) along each new axis of the same voxels as `box` along the old axes of `shape`."""
        spans = []
        for axis, flip in zip(self.order, self.flips, strict=True):
            start, stop = box[axis]
            spans.append((shape[axis] - stop, shape[axis] - start) if flip else (start, stop))
        return (spans[0], spans[1], spans[2])
