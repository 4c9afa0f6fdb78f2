"""Classes that overlap, spread over as few masks as a greedy rule needs: one voxel of a mask has one class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from napari_medcnn.core.geometry import Array

Pair = tuple[int, int]


class Overlaps:
    """Finds which classes share a voxel, one plane after the other; holds one plane at a time."""

    def __init__(self) -> None:
        self.pairs: set[Pair] = set()

    def add_plane(self, masks: Sequence[tuple[int, Array]]) -> None:
        """Compare all (class, bool (y, x)) of one plane with each other; each class comes once."""
        union: Array | None = None
        for k, (number, mask) in enumerate(masks):
            if union is None:
                union = mask.copy()
                continue
            if bool(np.any(union & mask)):  # seldom: only then is it worth knowing with whom
                for other, earlier in masks[:k]:
                    if bool(np.any(earlier & mask)):
                        self.pairs.add((min(other, number), max(other, number)))
            union |= mask


def layers_of(numbers: Iterable[int], pairs: Iterable[Pair]) -> tuple[tuple[int, ...], ...]:
    """Return the classes of each layer: each class, in rising order, joins the first layer it overlaps nobody in.

    One layer for classes that are all disjoint; () without classes.
    """
    against: dict[int, set[int]] = defaultdict(set)
    for a, b in pairs:
        against[a].add(b)
        against[b].add(a)
    layers: list[list[int]] = []
    for number in sorted(set(numbers)):
        home = next((layer for layer in layers if not against[number] & set(layer)), None)
        if home is None:
            layers.append([number])
        else:
            home.append(number)
    return tuple(tuple(layer) for layer in layers)
