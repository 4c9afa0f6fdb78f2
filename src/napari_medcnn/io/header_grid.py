"""What the headers of NIfTI, NRRD, MetaImage, MGH and GIPL have in common: the grid, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from napari_medcnn.core.geometry import ORTHONORMAL_TOLERANCE, Float, Geometry
from napari_medcnn.core.volume import Axes
from napari_medcnn.errors import ConsentNeededError, GeometryError
from napari_medcnn.io.found import shown

#: Axes that are not quite at right angles are straightened without asking if no voxel moves by more than this share
#: of the smallest voxel edge (headers hold numbers of few digits).
_UNASKED_SHIFT = 0.05


@dataclass(frozen=True)
class GridHeader:
    """A checked header.

    Parameters
    ----------
    axes, shape, dtype
        Of the array as it will be in memory, before any rescale.
    affine_lps
        4x4, index (x, y, z) to LPS mm; None where the file states no orientation.
    spacing_mm, spacing_known
        Along z, y, x; ones where not known.
    notes
        In words, what was assumed or odd.
    found
        In words, what else the header states.
    """

    #: What the format calls its axes, for messages.
    matrix: ClassVar[str] = "matrix"

    path: Path
    axes: Axes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine_lps: Float | None
    spacing_mm: tuple[float, float, float]
    spacing_known: bool
    notes: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def grid(self) -> tuple[int, int, int]:
        """Shape of the (z, y, x) part."""
        first = self.axes.index("z")
        return (self.shape[first], self.shape[first + 1], self.shape[first + 2])

    @property
    def is_mask(self) -> bool:
        """True if the file says of itself that it is a mask."""
        return False

    def geometry(self) -> Geometry:
        """Return the grid.

        Raises
        ------
        GeometryError
            It is singular.
        ConsentNeededError
            It is sheared: asks "resample".
        """
        if self.affine_lps is None:
            return Geometry(self.grid, self.spacing_mm, spacing_known=self.spacing_known, orientation_known=False)
        if is_singular(self.affine_lps):
            raise GeometryError(
                f"{shown(self.path)}: its {self.matrix} is singular, so it does not say where the voxels lie; repair "
                "the header with the program that wrote it"
            )
        try:
            return Geometry.from_affine(self.grid, self.affine_lps, spacing_known=self.spacing_known)
        except GeometryError as error:
            raise ConsentNeededError(
                f"{shown(self.path)}: its grid is sheared (axes up to {shear_deg(self.affine_lps):.2f}° from right "
                "angles); resampling brings it onto a straight grid",
                asks="resample",
            ) from error


def is_singular(affine: Float) -> bool:
    """Return True if the axes of an affine are not finite, of no length, or in one plane."""
    columns = affine[:3, :3]
    if not np.all(np.isfinite(affine)):
        return True
    lengths = np.linalg.norm(columns, axis=0)
    return bool(lengths.min() <= 0 or abs(np.linalg.det(columns / lengths)) < 1e-6)


def shear_deg(affine: Float) -> float:
    """Return the largest deviation of the axes from right angles in degrees."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(unit.T @ unit - np.eye(3))
    return float(np.degrees(np.arcsin(np.clip(cosines.max(), 0.0, 1.0))))


def settled(affine: Float | None, grid: tuple[int, int, int], notes: list[str]) -> Float | None:
    """Return an affine whose axes are all but at right angles with right angles, and say so in `notes`.

    The nearest rotation (polar decomposition) takes the place of the axes, the centre of the grid stays.  Deviations
    that `Geometry` takes as they are, and real shears, come back unchanged.
    """
    if affine is None or is_singular(affine):
        return affine
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    unit = affine[:3, :3] / lengths
    if float(np.abs(unit.T @ unit - np.eye(3)).max()) <= ORTHONORMAL_TOLERANCE:
        return affine
    left, _, right = np.linalg.svd(unit)
    straight = affine.copy()
    straight[:3, :3] = (left @ right) * lengths
    centre = (np.array(grid[::-1]) - 1) / 2
    straight[:3, 3] = affine[:3, :3] @ centre + affine[:3, 3] - straight[:3, :3] @ centre
    change = straight[:3, :3] - affine[:3, :3]
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    shift = float(np.linalg.norm((signs * np.maximum(centre, 0.5)) @ change.T, axis=1).max())
    if shift > _UNASKED_SHIFT * float(lengths.min()):
        return affine
    notes.append(
        f"The axes of the file's matrix are up to {shear_deg(affine):.3f}° from right angles; they were straightened, "
        f"which moves no voxel by more than {max(shift, 0.001):.3f} mm."
    )
    return straight
