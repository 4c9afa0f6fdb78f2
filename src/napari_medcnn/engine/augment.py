"""Random geometry for training patches, 2D and 3D: turned, mirrored, scaled, sheared, cut in one interpolation.

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
    mirror : exchange left and right (x) in half of the patches.
    turn_degrees : largest turn around each axis of a 3D patch; 2D patches are turned by any angle.
    """

    zoom: tuple[float, float] = (0.7, 1.4)
    stretch: float = 0.08
    shear: float = 0.08
    mirror: bool = False
    turn_degrees: float = 15.0


def random_matrix(limits: AffineRange, rng: np.random.Generator) -> Matrix:
    """Return a 2x2 matrix from patch offsets (x, y) to picture offsets: any rotation, and what `limits` allows."""
    zoom = np.exp(rng.uniform(*np.log(limits.zoom))) * np.exp(rng.uniform(-limits.stretch, limits.stretch, 2))
    angle, shear = rng.uniform(0, 2 * np.pi), rng.uniform(-limits.shear, limits.shear)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: Matrix = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(1 / zoom)
    if limits.mirror and rng.random() < 0.5:
        matrix = matrix @ np.diag([-1.0, 1.0])
    return matrix


def random_matrix_3d(limits: AffineRange, rng: np.random.Generator) -> Matrix:
    """Return a 3x3 matrix from patch offsets (x, y, z) to volume offsets: small turns, and what `limits` allows."""
    zoom = np.exp(rng.uniform(*np.log(limits.zoom))) * np.exp(rng.uniform(-limits.stretch, limits.stretch, 3))
    largest = np.radians(limits.turn_degrees)
    matrix: Matrix = np.eye(3)
    for axis, angle in enumerate(rng.uniform(-largest, largest, 3)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    matrix = matrix @ (np.eye(3) + np.triu(rng.uniform(-limits.shear, limits.shear, (3, 3)), 1)) @ np.diag(1 / zoom)
    if limits.mirror and rng.random() < 0.5:
        matrix = matrix @ np.diag([-1.0, 1.0, 1.0])
    return matrix


def cut_patch(
    picture: sitk.Image, centre: npt.ArrayLike, matrix: Matrix, size: int | tuple[int, ...]
) -> npt.NDArray[Any]:
    """Return the patch ([z, ]y, x[, channel]) around a point of a picture or volume, linear, 0 outside of it.

    Parameters
    ----------
    picture : SimpleITK image, one or several channels, spacing 1; make it once per case, the copy costs most.
    centre : position (x, y[, z]) that becomes the middle of the patch.
    matrix : from patch offsets to picture offsets, see `random_matrix` and `random_matrix_3d`.
    size : ([z, ]y, x) of the patch, or one number for all axes.
    """
    n = picture.GetDimension()
    size_xyz = [size] * n if isinstance(size, int) else list(size)[::-1]
    move = sitk.AffineTransform(n)
    move.SetMatrix(matrix.ravel().tolist())
    move.SetTranslation((np.asarray(centre) - matrix @ ((np.array(size_xyz) - 1) / 2)).tolist())
    cut = sitk.Resample(picture, size_xyz, move, sitk.sitkLinear, [0.0] * n, [1.0] * n, np.eye(n).ravel().tolist(), 0.0)
    patch: npt.NDArray[Any] = sitk.GetArrayFromImage(cut)
    return patch
