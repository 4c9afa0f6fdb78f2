"""What hangs together: connected pieces of a region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medcnn.annotation.tools.mask import Bools

#: A piece of a class holds together through faces, edges and corners, as in nnU-Net and `imaging.postprocess`.
PIECES = 3
#: The background, and what grows in a scan, holds together through faces only: the dual of the above.
FACES = 1


def numbered(region: Bools, connectivity: int) -> tuple[NDArray[np.int32], int]:
    """Return connected pieces numbered from 1 in array order, and how many; see `PIECES` and `FACES`."""
    if not region.size:
        return np.zeros(region.shape, np.int32), 0
    pieces = np.zeros(region.shape, np.int32)
    count = ndimage.label(region, structure=ndimage.generate_binary_structure(3, connectivity), output=pieces)
    return pieces, int(count)


def piece_at(region: Bools, place: Sequence[int], connectivity: int) -> Bools:
    """Return the connected piece of `region` that holds the voxel `place`; nothing where it is False."""
    pieces, _ = numbered(region, connectivity)
    number = pieces[tuple(place)]
    return np.asarray(pieces == number) if number else np.zeros(region.shape, bool)
