"""Random geometry for 2D training patches: turned, mirrored, scaled, sheared, cut in one interpolation.

Everything draws from the generator it is given, so a training run is repeated by its seed. Mirroring exchanges left and
right: it is off unless the caller says that the labels have no sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AffineRange:
    """How far patches may be changed.

    Parameters
    ----------
    zoom : smallest and largest enlargement, drawn evenly on a logarithmic scale.
    stretch : largest logarithm of the extra zoom of each axis alone.
    shear : largest shear.
    mirror : exchange left and right in half of the patches.
    """

    zoom: tuple[float, float] = (0.7, 1.4)
    stretch: float = 0.08
    shear: float = 0.08
    mirror: bool = False


def random_matrix(limits: AffineRange, rng: np.random.Generator) -> Matrix:
    """Return a 2x2 matrix from patch offsets (x, y) to picture offsets: any rotation, and what `limits` allows."""
    zoom = np.exp(rng.uniform(*np.log(limits.zoom))) * np.exp(rng.uniform(-limits.stretch, limits.stretch, 2))
    angle, shear = rng.uniform(0, 2 * np.pi), rng.uniform(-limits.shear, limits.shear)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: Matrix = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(1 / zoom)
    if limits.mirror and rng.random() < 0.5:
        matrix = matrix @ np.diag([-1.0, 1.0])
    return matrix


def cut_patch(picture: sitk.Image, centre_xy: Matrix, matrix: Matrix, size: int) -> npt.NDArray[Any]:
    """Return the square patch (size, size[, channel]) around a point of a picture, linear, 0 outside the picture.

    Parameters
    ----------
    picture : 2D SimpleITK image, one or several channels, spacing 1; make it once per case, the copy costs most.
    centre_xy : picture position (x, y) that becomes the middle of the patch.
    matrix : from patch offsets to picture offsets, see `random_matrix`.
    """
    move = sitk.AffineTransform(2)
    move.SetMatrix(matrix.ravel().tolist())
    move.SetTranslation((centre_xy - matrix @ np.full(2, (size - 1) / 2)).tolist())
    cut = sitk.Resample(picture, [size, size], move, sitk.sitkLinear, [0.0] * 2, [1.0] * 2, [1.0, 0.0, 0.0, 1.0], 0.0)
    patch: npt.NDArray[Any] = sitk.GetArrayFromImage(cut)
    return patch
