"""Cases that several tests share: small, anisotropic by default, and derived from formulas only.

Nothing here imports the package, so an oracle environment without it can use the same cases.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]

# Real data lies beside the checkout and is never part of it; tests that need it skip by name where it is absent.
SHARED_DATA = Path(os.environ.get("MEDCNN_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")

ANISOTROPIC_MM = (3.0, 0.8, 0.7)

# the 48 ways in which array axes 0, 1, 2 can run through a body
LETTERS = [
    tuple(pair[bit] for pair, bit in zip(pairs, bits, strict=True))
    for pairs in itertools.permutations(("RL", "AP", "IS"))
    for bits in itertools.product((0, 1), repeat=3)
]


def ball(
    shape: tuple[int, int, int],
    centre: tuple[float, float, float],
    radius_mm: float,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray:
    """Return a bool array (z, y, x): voxels strictly nearer to ``centre`` (voxel index) than the radius."""
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, spacing_mm, strict=True))
    return np.asarray(squared < radius_mm**2)


SURFACE_SPACING_MM = (3.0, 0.8, 0.8)


def surface_pair() -> tuple[np.ndarray, np.ndarray]:
    """Return the reference and the predicted mask (24, 64, 64) of the surface-distance golden numbers.

    Two balls of 15 and 14 mm, three voxels apart in y and one in x, and one stray voxel far from both.
    """
    shape = (24, 64, 64)
    reference = ball(shape, (12, 32, 32), 15.0, SURFACE_SPACING_MM)
    predicted = ball(shape, (12, 33, 35), 14.0, SURFACE_SPACING_MM)
    predicted[20, 5, 5] = True
    return reference, predicted


def noise(shape: tuple[int, ...], *, seed: int = 0, dtype: str = "int16") -> np.ndarray:
    """Return seeded integers that use the range of CT numbers, so a wrong flip or slope cannot hide."""
    return np.random.default_rng(seed).integers(-1024, 3000, size=shape).astype(dtype)
