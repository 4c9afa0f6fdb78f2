"""What the headers of NIfTI, NRRD and MetaImage have in common: the grid they state, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from napari_medcnn.core.geometry import Float, Geometry
from napari_medcnn.core.volume import Axes
from napari_medcnn.errors import GeometryError
from napari_medcnn.io.found import shown


@dataclass(frozen=True)
class GridHeader:
    """A checked header.

    Parameters
    ----------
    axes, shape, dtype
        Of the array as it will be in memory.
    affine_lps
        4x4, index (x, y, z) to LPS mm; None where the file states no orientation.
    spacing_mm, spacing_known
        Along z, y, x; ones where not known.
    notes
        In words, what was assumed or odd.
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

    @property
    def grid(self) -> tuple[int, int, int]:
        """Shape of the (z, y, x) part."""
        first = self.axes.index("z")
        return (self.shape[first], self.shape[first + 1], self.shape[first + 2])

    def geometry(self) -> Geometry:
        """Return the grid.

        Raises
        ------
        GeometryError
            It is sheared or singular.
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
            raise GeometryError(
                f"{shown(self.path)}: its grid is sheared (axes up to {shear_deg(self.affine_lps):.2f}° from right "
                "angles); open it with 'resample' to bring it onto a straight grid"
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
