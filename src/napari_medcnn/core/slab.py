"""Which slices a slab of some thickness takes in, and how the viewer is told.

A slice is as thick as its distance to the next: n slices make a slab of n times the spacing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Slab:
    """The slices `first` to `last` (both included) of an axis with a spacing."""

    first: int
    last: int
    spacing: float

    @property
    def count(self) -> int:
        """Number of slices."""
        return self.last - self.first + 1

    @property
    def thickness(self) -> float:
        """What these slices really are together, in the unit of the spacing."""
        return self.count * self.spacing


def slices_for(thickness: float, spacing: float) -> int:
    """Return how many slices come nearest to a thickness; at least one."""
    return max(1, math.floor(thickness / spacing + 0.5))


def slab_at(index: float, count: int, length: int, spacing: float) -> Slab:
    """Return `count` slices around the one that is seen; an even count has one more behind it. Cut at the ends.

    Parameters
    ----------
    index
        Continuous index of the place; the slice that is seen is the nearest, halves to the even one as napari rounds.
    count
        How many slices are wanted.
    length
        How many slices there are.
    spacing
        From slice to slice.
    """
    middle = min(max(round(index), 0), length - 1)
    return Slab(max(0, middle - (count - 1) // 2), min(length - 1, middle + count // 2), spacing)


def margins(index: float, slab: Slab) -> tuple[float, float]:
    """Return napari's margins (left, right) for a slab, in the unit of the spacing.

    Napari takes the slices from round(index - left) up to round(index + right), and that one too only where index +
    right is a whole number (`_ScalarFieldSliceRequest._data_slice_to_slices`). So both ends are put on whole numbers;
    margins of half the thickness would lose or gain a slice, depending on where between two slices the place is.
    """
    return ((index - slab.first) * slab.spacing, (slab.last - index) * slab.spacing)
