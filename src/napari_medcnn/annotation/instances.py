"""Pieces of a class with ids that last: each listing takes them over from the one before, by what both have in common.

An id is given to one piece and never to another one later. A piece that was cut keeps its id at the part with most of
it; joined pieces keep the id of the one that brought most; what is left gets new ids. Voxels that were listed before
have the ids they had then: undo brings back ids too.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.annotation.tools.islands import Pieces
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError

#: Ids of earlier listings are kept up to so many bytes; a listing of 100 000 pieces has 400 000.
KNOWN_BYTES = 8 * 1024 * 1024

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Runs:
    """Voxels in a row along x: where they begin and end in the whole mask laid out flat, and the index of their piece.

    Rising and without a common voxel. A class has far fewer runs than voxels.
    """

    starts: Ints
    stops: Ints
    piece: Ints

    def packed(self) -> bytes:
        """Return the runs compressed; equal runs give equal bytes."""
        parts = (np.diff(self.starts, prepend=0), self.stops - self.starts, self.piece)
        return zlib.compress(b"".join(part.astype("<i8").tobytes() for part in parts), 1)

    @classmethod
    def unpacked(cls, packed: bytes) -> _Runs:
        """Return what `packed` gave."""
        gaps, lengths, piece = np.frombuffer(zlib.decompress(packed), "<i8").reshape(3, -1)
        starts = np.cumsum(gaps)
        return cls(starts, starts + lengths, piece)


@dataclass(frozen=True, eq=False)
class Instances:
    """The pieces of a class at one listing; make it with `listed`.

    Parameters
    ----------
    ids
        int32: the id of each piece, from 1; the largest piece comes first, as in `Pieces`.
    voxels
        int64: how many each has.
    places
        int64 (pieces, 3): a voxel (z, y, x) of each, the nearest to its middle.
    next_id
        The lowest one that was never given.
    shape
        Of the whole mask (z, y, x).
    """

    ids: NDArray[np.int32]
    voxels: Ints
    places: Ints
    next_id: int
    shape: tuple[int, ...]
    _packed: bytes = field(repr=False)
    _known: tuple[tuple[bytes, NDArray[np.int32]], ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)


def listed(found: Pieces, shape: Sequence[int], before: Instances | None = None) -> Instances:
    """Return the pieces of a class with ids, those of the listing before where a piece goes on.

    Pairs of an old and a new piece are taken by falling number of common voxels, equal ones by the lower id and then by
    the order of the new pieces. About as long as finding the pieces; a few bytes per row of voxels are kept.

    Parameters
    ----------
    found
        The pieces in the whole mask, not in a slice; none is fine.
    shape
        Of the mask (z, y, x).
    before
        The last listing of the same class in the same mask; None for the first, which numbers by size.

    Raises
    ------
    InputError
        The listing before is of a mask of another shape.
    """
    size = tuple(int(n) for n in shape)
    if before is not None and before.shape != size:
        raise InputError(f"instances: expected a mask of shape {before.shape}, as listed before, got {size}")
    runs = _runs_of(found, size)
    packed = runs.packed()
    key = hashlib.sha256(packed).digest()
    known = () if before is None else before._known
    ids, next_id = next((ids for each, ids in known if each == key), None), 1 if before is None else before.next_id
    if ids is None:
        ids, next_id = _carried(runs, len(found), before)
    known = _kept((*(each for each in known if each[0] != key), (key, ids)))
    return Instances(ids, found.voxels, _places(runs, len(found), size), next_id, size, packed, known)


class KeptInstances:
    """The last listings of a mask's classes; those of a class that is gone wait until undo brings it back."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._last: dict[int, Instances] = {}
        self._gone: dict[tuple[int, str], Instances] = {}

    def of(self, label_id: int) -> Instances | None:
        """Return the last listing of a class; None for one that was never listed."""
        return self._last.get(label_id)

    def keep(self, label_id: int, now: Instances) -> None:
        """Keep a listing in the place of the one before."""
        self._last[label_id] = now

    def follow(self, labels: LabelSet) -> None:
        """Take the classes that there are now: another class that gets the number of one that is gone starts anew."""
        before, self._names = self._names, {label.id: label.name for label in labels}
        for label_id in before.keys() - self._names.keys() & self._last.keys():
            self._gone[label_id, before[label_id]] = self._last.pop(label_id)
        for label_id in self._names.keys() - before.keys():
            back = self._gone.pop((label_id, self._names[label_id]), None)
            if back is not None:
                self._last[label_id] = back

    def forget(self) -> None:
        """Begin with another mask."""
        self._names, self._last, self._gone = {}, {}, {}


def _runs_of(found: Pieces, shape: tuple[int, ...]) -> _Runs:
    """Return the runs of all pieces, slice by slice: beside a piece there is never another one."""
    nothing = np.zeros(0, np.int64)
    starts, stops, piece = [nothing], [nothing], [nothing]
    first = [part.start for part in found.box]
    for z, plane in enumerate(found.numbers, first[0]):
        edged = np.pad(plane, ((0, 0), (1, 1)))
        rows, begin = np.nonzero((plane != 0) & (edged[:, :-2] == 0))
        _, end = np.nonzero((plane != 0) & (edged[:, 2:] == 0))
        row = ((z * shape[1]) + first[1] + rows) * shape[2] + first[2]
        starts.append(row + begin)
        stops.append(row + end + 1)
        piece.append(plane[rows, begin].astype(np.int64) - 1)
    return _Runs(np.concatenate(starts), np.concatenate(stops), np.concatenate(piece))


def _carried(now: _Runs, count: int, before: Instances | None) -> tuple[NDArray[np.int32], int]:
    """Return the ids of the pieces, and the next one."""
    ids, next_id = [0] * count, 1
    if before is not None:
        next_id = before.next_id
        old, new, common = _common(_Runs.unpacked(before._packed), now, count)
        given: NDArray[np.int32] = before.ids[old]
        order = np.lexsort((new, given, -common))
        used: set[int] = set()
        for each, piece in zip(given[order].tolist(), new[order].tolist(), strict=True):
            if not ids[piece] and each not in used:
                ids[piece] = each
                used.add(each)
    for piece, each in enumerate(ids):
        if not each:
            ids[piece], next_id = next_id, next_id + 1
    return np.array(ids, np.int32), next_id


def _common(old: _Runs, now: _Runs, count: int) -> tuple[Ints, Ints, Ints]:
    """Return pairs of an old and a new piece that meet, by their index, and how many voxels they have in common."""
    low = np.searchsorted(old.stops, now.starts, "right")
    many = np.searchsorted(old.starts, now.stops, "left") - low
    of = np.repeat(np.arange(len(many)), many)
    one = np.arange(len(of)) - np.repeat(np.cumsum(many) - many, many) + low[of]
    shared = np.minimum(old.stops[one], now.stops[of]) - np.maximum(old.starts[one], now.starts[of])
    pairs, where = np.unique(old.piece[one] * max(count, 1) + now.piece[of], return_inverse=True)
    common = np.bincount(where, weights=shared, minlength=len(pairs)).astype(np.int64)
    return pairs // max(count, 1), pairs % max(count, 1), common


def _places(runs: _Runs, count: int, shape: tuple[int, ...]) -> Ints:
    """Return the voxel of each piece that lies nearest to its mean place, in voxels."""
    lengths = runs.stops - runs.starts
    z, y, x = np.unravel_index(runs.starts, shape)
    last, of = x + lengths - 1, runs.piece
    voxels = np.bincount(of, lengths, count)
    mean_z, mean_y, mean_x = ((np.bincount(of, lengths * c, count) / voxels)[of] for c in (z, y, (x + last) / 2))
    near = np.clip(np.rint(mean_x), x, last)
    apart = (z - mean_z) ** 2 + (y - mean_y) ** 2 + (near - mean_x) ** 2
    order = np.lexsort((apart, of))
    first = order[np.searchsorted(of[order], np.arange(count))]
    return np.column_stack([z, y, near])[first].astype(np.int64)


def _kept(known: tuple[tuple[bytes, NDArray[np.int32]], ...]) -> tuple[tuple[bytes, NDArray[np.int32]], ...]:
    """Return the newest listings that are not too many bytes together, the last one at least."""
    room, first = KNOWN_BYTES, len(known)
    while first and (room := room - known[first - 1][1].nbytes - 200) >= 0:
        first -= 1
    return known[min(first, len(known) - 1) :]
