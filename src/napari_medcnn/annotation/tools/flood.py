"""Fill what hangs together: a piece of a class, or a hole in the background, in a slice or in 3D."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.connect import FACES, PIECES, piece_at
from napari_medcnn.annotation.tools.mask import Bools, Mask, Plane, box_of
from napari_medcnn.errors import InputError


def fill(mask: Mask, seed: Sequence[float], label: int, plane: Plane | None = None, *, open_too: bool = False) -> Edit:
    """Give the connected piece under a click to a class.

    On a class it is the piece of that class (through faces, edges and corners), on the background the hole (through
    faces). A hole is background that does not reach the border of the scan, or of the slice.

    Parameters
    ----------
    seed
        Voxel index (z, y, x) of the click.
    plane
        Fill in this slice only; the seed must lie in it. None for 3D.
    open_too
        Fill background that is not enclosed as well: all of it, up to the border.

    Returns
    -------
    Edit
        Empty where the piece is of that class already.

    Raises
    ------
    InputError
        The seed lies outside, or outside the slice; it is in a locked class, or `label` is; the background there is not
        enclosed.
    """
    place = seed_in(mask, seed, plane)
    mask.require_free(int(mask.array[place]))
    box, piece = piece_under(mask, place, plane, open_too=open_too)
    return mask.given(box, piece & mask.writable(box, drawn=True), label)


def seed_in(mask: Mask, seed: Sequence[float], plane: Plane | None) -> tuple[int, int, int]:
    """Return the voxel of a click; InputError where it lies outside the mask or the slice."""
    place = mask.index(seed)
    if plane is not None and place[plane.axis] != plane.index:
        raise InputError(f"seed: expected a voxel of slice {plane.index} across axis {plane.axis}, got {place}")
    return place


def piece_under(
    mask: Mask, place: tuple[int, int, int], plane: Plane | None, *, open_too: bool = False
) -> tuple[Box, Bools]:
    """Return the box of the piece under a voxel, and which voxels of the box belong to it; see `fill`."""
    limit = mask.region(plane)
    label = int(mask.array[place])
    if label:
        box = box_of(mask.array, label, limit) or limit
        return box, _piece(mask, box, place, label, PIECES)
    box = limit if open_too else _around_classes(mask, limit)
    outside = any(not part.start <= i < part.stop for part, i in zip(box, place, strict=True))
    piece = np.zeros((0, 0, 0), bool) if outside else _piece(mask, box, place, 0, FACES)
    if not open_too and (outside or _touches_border(piece, plane)):
        where = "this slice" if plane is not None else "the scan"
        raise InputError(
            f"The background here is open to the border of {where}: filling it would fill nearly everything; "
            "close the outline first."
        )
    return box, piece


def _piece(mask: Mask, box: Box, place: tuple[int, int, int], label: int, connectivity: int) -> Bools:
    here = tuple(i - part.start for i, part in zip(place, box, strict=True))
    return piece_at(np.asarray(mask.array[box] == label), here, connectivity)


def _around_classes(mask: Mask, limit: Box) -> Box:
    """Return the box of all classes inside `limit` with one voxel around: a hole lies in it, the outside leaves it."""
    tight = box_of(mask.array, None, limit)
    if tight is None:
        return tuple(slice(part.start, part.start) for part in limit)
    # a slice stays one slice
    return tuple(
        slice(max(t.start - 1, part.start), min(t.stop + 1, part.stop)) for t, part in zip(tight, limit, strict=True)
    )


def _touches_border(piece: Bools, plane: Plane | None) -> bool:
    """Return whether a piece reaches an end of its box, along the axes that a hole must be closed along."""
    axes = [a for a in range(3) if (plane is None or a != plane.axis) and not (plane is None and piece.shape[a] == 1)]
    return any(bool(piece.take([0, -1], axis=a).any()) for a in axes)
