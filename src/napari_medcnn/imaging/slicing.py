"""Which slices a 2D network sees of a volume, and how many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.core.options import Slices
from napari_medcnn.core.spec import Preparation
from napari_medcnn.errors import InputError

#: Letters that array axes 0, 1, 2 run to, so that rows and columns lie as on a radiologist's screen.
LETTERS = {"axial": ("I", "P", "L"), "coronal": ("P", "I", "L"), "sagittal": ("L", "I", "P")}
_ACROSS = {"axial": "IS", "coronal": "PA", "sagittal": "LR"}
_STORED = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
_UNTURNED = Reorientation((0, 1, 2), (False, False, False))


def turn(geometry: Geometry, spec: Preparation, slices: Slices = "card") -> tuple[Reorientation, tuple[str, ...]]:
    """Return how a scan is turned for a model, and what a person should know about that.

    Parameters
    ----------
    slices : "card" turns as the model's card says. "axial", "coronal" or "sagittal" puts that axis first, because the
        slices of a 2D network follow array axis 0. The card's own letters stay if they already put it first; else
        rows and columns lie as radiologists see them (`LETTERS`).

    Returns
    -------
    Where the file does not state the orientation nothing is guessed: axial, coronal and sagittal then mean array axes
    0, 1 and 2 as stored, and the note says so.

    Raises
    ------
    InputError
        Other slices than the card's were asked for, of a 3D model or of a picture.
    """
    if slices == "card":
        if spec.orientation is None:
            return _UNTURNED, ()
        notes = () if geometry.orientation_known else (
            "The file does not state where left is; the scan was taken as stored.",
        )  # fmt: skip
        return geometry.reorientation_to(spec.orientation), notes
    if spec.dimensions != 2:
        raise InputError(f"slices: this model reads volumes whole, so it has no {slices} slices; leave it at the card")
    if geometry.shape[0] == 1:
        raise InputError(f"slices: this is a single picture, it has no {slices} slices; leave it at the card")
    if not geometry.orientation_known:
        order = _STORED[slices]
        note = f"The file does not state where left is; slices along its array axis {order[0]} were taken as {slices}."
        return Reorientation(order, (False, False, False)), (note,)
    if spec.orientation is not None and spec.orientation[0] in _ACROSS[slices]:
        return geometry.reorientation_to(spec.orientation), ()
    return geometry.reorientation_to(LETTERS[slices]), ()


class SliceStack:
    """A prepared scan whose every slice carries its neighbours as further channels (2.5D), gathered when it is cut.

    Looks like an array (z, y, x, channel) to whoever cuts boxes out of it; no copy of the volume is made. Channels are
    those of slice z - n first, then of z - n + 1, up to z + n: (slice, channel) with the channel running fastest.
    Beyond the first and the last slice these are repeated.

    Parameters
    ----------
    data : (z, y, x, channel).
    neighbours : n, slices on each side, at least 1.
    """

    def __init__(self, data: npt.NDArray[Any], neighbours: int) -> None:
        self._data, self._n = data, neighbours
        self.shape = (*data.shape[:3], data.shape[3] * (2 * neighbours + 1))
        self.dtype = data.dtype
        self.ndim = 4

    def __getitem__(self, box: tuple[slice, ...]) -> npt.NDArray[Any]:
        """Return the box (z, y, x) of slices, with all channels."""
        count = self.shape[0]
        z = np.arange(count)[box[0]]
        parts = [self._data[(np.clip(z + offset, 0, count - 1), *box[1:3])] for offset in range(-self._n, self._n + 1)]
        return np.concatenate(parts, axis=-1)


def with_neighbours(data: npt.NDArray[Any], spec: Preparation) -> Any:
    """Return what the network of `spec` sees when boxes are cut: `data` itself, or a `SliceStack` of it."""
    return SliceStack(data, spec.neighbours) if spec.neighbours else data


def flipped(window: npt.NDArray[Any], axes: Sequence[int], spec: Preparation) -> npt.NDArray[Any]:
    """Return a window (z, y, x, channel) of a 2D or 3D network mirrored along array axes, 2.5D slices included.

    Mirroring along axis 0 turns the order of the neighbours round as well: they are voxels along that axis too.
    """
    turned = np.flip(window, tuple(axes)) if axes else window
    if 0 in axes and spec.neighbours:
        grouped = turned.reshape(*turned.shape[:3], 2 * spec.neighbours + 1, -1)
        turned = grouped[..., ::-1, :].reshape(turned.shape)
    return turned
