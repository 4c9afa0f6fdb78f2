"""The random walker with priors: what `seeds` and `refine` share.

Grady, IEEE TPAMI 28:1768, 2006, and "Multilabel random walkers with prior models", CVPR 2005. `skimage.segmentation`
has the first without the priors of the second; scipy solves both here, and can be stopped between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg

from napari_medcnn.annotation.tools.connect import FACES, numbered
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError

Floats = NDArray[np.float32]

_STEPS = 500
_LEAST = 1e-6  # weight of an edge across the sharpest border: the graph stays in one piece


@dataclass(frozen=True)
class Walk:
    """How the walker walks.

    Parameters
    ----------
    beta
        0 or more: how much a step across a border of the scan is avoided. 13 here is 130 in scikit-image.
    gamma
        0 or more: weight of the prior against the scan, per voxel; 0 for none.
    tolerance
        Largest residual of the equations as a share of the right side.
    """

    beta: float = 13.0
    gamma: float = 0.0
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and self.gamma >= 0 and 0 < self.tolerance < 1):
            raise InputError(f"random walker: expected beta and gamma of 0 or more and a tolerance below 1, got {self}")


def probabilities(
    values: Array,
    marks: NDArray[np.int32],
    spacing: Sequence[float],
    how: Walk,
    prior: Floats | None = None,
    step: Callable[[], None] | None = None,
) -> Floats:
    """Return how probably a walker from each voxel first meets a mark of each number.

    Parameters
    ----------
    values
        Of the scan, (z, y, x); what is not finite counts as the mean of the rest.
    marks
        (z, y, x): 1 to n where a voxel is marked, 0 where it is asked, below 0 where nobody may walk.
    spacing
        (z, y, x) in mm.
    prior
        (n, z, y, x), 0 to 1 and 1 in sum over n, needed where gamma is above 0.
    step
        Called at each step of the solver; it may raise to cancel.

    Returns
    -------
    float32 (n, z, y, x)
        0 to 1 and about 1 in sum; 0 where nobody may walk or no mark can be reached. The solver takes 500 steps at
        most, and what it has then counts.

    Raises
    ------
    InputError
        No mark is there and no prior.
    """
    count = len(prior) if prior is not None else int(marks.max(initial=0))
    if count == 0:
        raise InputError("seeds: expected at least one marked voxel, got none")
    weights = _weights(values, marks >= 0, spacing, how.beta)
    asked = marks == 0
    degree = np.zeros(marks.shape, np.float32)
    for axis, weight in enumerate(weights):
        low, high = _ends(axis)
        degree[low] += weight
        degree[high] += weight
    degree += np.float32(how.gamma)
    diagonal = np.where(asked & (degree > 0), degree, np.float32(1)).ravel()

    def product(flat: Array) -> Array:
        inside = np.where(asked, flat.reshape(marks.shape), 0)
        out = degree * inside - _neighbours(weights, inside)
        return np.asarray(np.where(asked & (degree > 0), out, flat.reshape(marks.shape))).ravel()

    def watch(_flat: Array) -> None:
        if step is not None:
            step()

    matrix = LinearOperator((marks.size, marks.size), matvec=product, dtype=np.float32)
    inverse = LinearOperator((marks.size, marks.size), matvec=lambda flat: flat / diagonal, dtype=np.float32)
    found = np.zeros((count, *marks.shape), np.float32)
    for number in range(count):
        sure = (marks == number + 1).astype(np.float32)
        if prior is None and number == count - 1 and count > 1:
            # who meets none of the others meets the last, if anybody can be met
            found[number] = np.where(asked & _reached(marks), 1 - found[:number].sum(axis=0), sure)
            break
        right = _neighbours(weights, sure)
        if prior is not None:
            right += np.float32(how.gamma) * prior[number]
        right = np.where(asked, right, 0)
        start = np.where(asked, 0 if prior is None else prior[number], 0).ravel()
        solved, _ = cg(
            matrix, right.ravel(), x0=start, rtol=how.tolerance, maxiter=_STEPS, M=inverse, callback=watch
        )  # fmt: skip
        found[number] = np.where(asked, np.clip(solved.reshape(marks.shape), 0, 1), sure)
    return found


def _weights(values: Array, open_: NDArray[np.bool_], spacing: Sequence[float], beta: float) -> list[Floats]:
    """Return the weight of each edge along z, y, x: small across borders of the scan, and by 1 over the square in mm.

    The second makes the equations those of a walk in mm (the Laplacian on an uneven grid).
    """
    wide = values.astype(np.float64)
    finite = np.isfinite(wide)
    wide = np.where(finite, wide, wide[finite].mean() if finite.any() else 0.0)
    spread = float(wide.std())
    scaled = (wide / spread if spread > 0 else wide * 0).astype(np.float32)
    smallest, found = min(spacing), []
    for axis in range(3):
        low, high = _ends(axis)
        weight = np.exp(np.float32(-beta) * np.diff(scaled, axis=axis) ** 2) + np.float32(_LEAST)
        weight *= np.float32((smallest / spacing[axis]) ** 2)
        found.append(np.asarray(np.where(open_[low] & open_[high], weight, 0), np.float32))
    return found


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the places of the lower and the upper voxel of every edge along an axis."""
    everything = [slice(None)] * 3
    low, high = everything.copy(), everything.copy()
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)


def _neighbours(weights: list[Floats], values: Floats) -> Floats:
    """Return the weighted sum over the neighbours of each voxel."""
    total = np.zeros_like(values)
    for axis, weight in enumerate(weights):
        low, high = _ends(axis)
        total[low] += weight * values[high]
        total[high] += weight * values[low]
    return total


def _reached(marks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return the voxels from which some mark can be reached."""
    pieces, count = numbered(marks >= 0, FACES)
    met = np.zeros(count + 1, bool)
    met[pieces[marks > 0]] = True
    met[0] = False
    return np.asarray(met[pieces])
