"""Pieces of a class: list them, keep or remove the clicked one, the largest, the small ones, split, give away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.connect import PIECES
from napari_medcnn.annotation.tools.flood import seed_in
from napari_medcnn.annotation.tools.mask import Mask, Plane, box_of
from napari_medcnn.annotation.tools.parts import numbered_parts
from napari_medcnn.errors import GeometryError, InputError


@dataclass(frozen=True)
class Piece:
    """One connected piece of a class.

    Parameters
    ----------
    number
        From 1, the largest first; equal ones in a fixed order.
    voxels
        How many.
    volume_mm3
        None where the spacing is not known.
    centre
        Mean voxel index (z, y, x); it may lie outside the piece.
    box
        Of the mask, tight.
    """

    number: int
    voxels: int
    volume_mm3: float | None
    centre: tuple[float, float, float]
    box: Box


@dataclass(frozen=True, eq=False)
class Pieces:
    """All pieces of a class.

    Parameters
    ----------
    label
        The class.
    box
        The tight box of the class in the mask, or in the slice looked at.
    numbers
        int32, filling the box: the number of the piece, the largest is 1, 0 outside the class.
    voxels
        int64: how many each piece has, the largest first; empty where the class has no voxel.
    voxel_mm3
        Volume of a voxel; None where the spacing is not known.
    """

    label: int
    box: Box
    numbers: NDArray[np.int32]
    voxels: NDArray[np.int64]
    voxel_mm3: float | None = None

    def __len__(self) -> int:
        return len(self.voxels)

    def table(self, most: int = 100) -> tuple[Piece, ...]:
        """Return a row for each piece, the largest first, of at most so many: noise has a hundred thousand."""
        rows: list[Piece] = []
        sizes = self.voxels[:most].tolist()
        if not sizes:
            return ()
        for number, own in enumerate(ndimage.find_objects(self.numbers, max_label=len(sizes)), 1):
            size, inside = sizes[number - 1], self.numbers[own] == number
            centre = []
            for axis in range(3):
                along = inside.sum(axis=tuple(a for a in range(3) if a != axis))
                centre.append(self.box[axis].start + own[axis].start + float(along @ np.arange(along.size)) / size)
            place = tuple(slice(b.start + o.start, b.start + o.stop) for b, o in zip(self.box, own, strict=True))
            mm3 = None if self.voxel_mm3 is None else size * self.voxel_mm3
            rows.append(Piece(number, size, mm3, (centre[0], centre[1], centre[2]), place))
        return tuple(rows)


def pieces(mask: Mask, label: int, plane: Plane | None = None) -> Pieces:
    """Return the connected pieces of a class, through faces, edges and corners, in 3D or in a slice.

    Raises
    ------
    InputError
        `label` is 0, or there is no such slice.
    """
    _require_class(label)
    limit = mask.region(plane)
    box = box_of(mask.array, label, limit)
    if box is None:
        nowhere = tuple(slice(part.start, part.start) for part in limit)
        return Pieces(label, nowhere, np.zeros((0, 0, 0), np.int32), np.zeros(0, np.int64))
    numbers, voxels = numbered_parts(np.asarray(mask.array[box] == label), PIECES)
    return Pieces(label, box, numbers, voxels, mask.voxel_mm3)


def keep_piece(mask: Mask, seed: Sequence[float], plane: Plane | None = None) -> Edit:
    """Keep the piece under a click and make all others of its class background.

    With a plane only that slice is looked at and changed.

    Raises
    ------
    InputError
        The click lies outside the mask or the slice, on the background, or on a locked class.
    """
    found, number = _clicked(mask, seed, plane)
    return mask.given(found.box, (found.numbers != number) & (found.numbers != 0), 0)


def remove_piece(mask: Mask, seed: Sequence[float], plane: Plane | None = None) -> Edit:
    """Make the piece under a click background; as `keep_piece`."""
    return give_piece(mask, seed, 0, plane)


def give_piece(mask: Mask, seed: Sequence[float], label: int, plane: Plane | None = None) -> Edit:
    """Give the piece under a click to another class; errors as `keep_piece`, and where that class is locked."""
    found, number = _clicked(mask, seed, plane)
    return mask.given(found.box, np.asarray(found.numbers == number), label)


def keep_largest(mask: Mask, label: int, plane: Plane | None = None) -> Edit:
    """Keep the largest piece of a class and make all others background; of equal ones it is always the same that stays.

    Returns
    -------
    Edit
        Empty where the class has no voxel or one piece.

    Raises
    ------
    InputError
        The class is 0 or locked.
    """
    mask.require_free(label)
    found = pieces(mask, label, plane)
    return mask.given(found.box, found.numbers > 1, 0)


def remove_small(
    mask: Mask,
    label: int,
    minimum_mm3: float | None = None,
    minimum_voxels: int | None = None,
    plane: Plane | None = None,
) -> Edit:
    """Make the pieces of a class that are smaller than a limit background; a piece of just that size stays.

    Parameters
    ----------
    minimum_mm3, minimum_voxels
        Exactly one of them; 1 ml is 1000 mm3.

    Returns
    -------
    Edit
        Empty where no piece is smaller.

    Raises
    ------
    GeometryError
        The limit is in mm3 and the size of a voxel is not known.
    InputError
        None or both of the limits; the class is 0 or locked.
    """
    if (minimum_mm3 is None) == (minimum_voxels is None):
        raise InputError("smallest piece: expected a size either in mm3 or in voxels")
    mask.require_free(label)
    if minimum_mm3 is not None:
        if mask.voxel_mm3 is None:
            raise GeometryError(
                "smallest piece: the file does not state the size of a voxel, so there are no mm3; give it in voxels"
            )
        # 10 voxels of 0.1 mm3 are not smaller than 1 mm3
        smallest = minimum_mm3 / mask.voxel_mm3 * (1 - 1e-9)
    else:
        smallest = float(minimum_voxels or 0)
    found = pieces(mask, label, plane)
    stay = int(np.count_nonzero(found.voxels >= smallest))  # the largest come first
    return mask.given(found.box, found.numbers > stay, 0)


def split(mask: Mask, label: int, new_labels: Sequence[int], plane: Plane | None = None) -> Edit:
    """Make each piece a class of its own: the largest stays, the next ones get `new_labels` in order.

    Returns
    -------
    Edit
        Empty where the class has no voxel or one piece.

    Raises
    ------
    InputError
        More pieces than new ids and one; a class is locked, named twice, or does not fit the mask's type.
    """
    mask.require_free(label, *new_labels)
    if len({0, label, *new_labels}) != len(new_labels) + 2:
        raise InputError(f"split: expected different new classes, none of them 0 or {label}, got {list(new_labels)}")
    found = pieces(mask, label, plane)
    count = len(found)
    if count < 2:
        return mask.nothing()
    if count > len(new_labels) + 1:
        raise InputError(
            f"split: class {label} has {count} pieces and there are {len(new_labels)} new classes for them; remove the "
            "small pieces first, or add classes"
        )
    ids = np.array([0, label, *new_labels[: count - 1]], np.int64)
    now = mask.array[found.box]
    return mask.replaced(found.box, np.where(found.numbers != 0, ids[found.numbers], now))


def _clicked(mask: Mask, seed: Sequence[float], plane: Plane | None) -> tuple[Pieces, int]:
    place = seed_in(mask, seed, plane)
    label = int(mask.array[place])
    if label == 0:
        raise InputError(f"seed: there is no class at {place}; click on the piece you mean")
    mask.require_free(label)
    found = pieces(mask, label, plane)
    return found, int(found.numbers[tuple(i - part.start for i, part in zip(place, found.box, strict=True))])


def _require_class(label: int) -> None:
    if label == 0:
        raise InputError("class: expected one of the classes, got 0, the background; it has no pieces")
