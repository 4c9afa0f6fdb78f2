"""The mask as it was after the last step: what strokes are found against, copied only where something is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medcnn.core.geometry import Array


class Snapshot:
    """Voxels (z, y, x) that start as those of an array that nobody writes to.

    A slice is copied when it is first written, so opening a mask copies nothing, and a stroke only the slices it lies
    in. The memory for all of them is asked for at once; systems hand it out when it is used.

    Parameters
    ----------
    pristine
        The mask before the first step, (z, y, x); it must never change while the snapshot is in use.
    dtype
        Of the mask that is drawn in; ids of `pristine` fit into it.
    """

    def __init__(self, pristine: Array, dtype: np.dtype | str | None = None) -> None:
        self._pristine = pristine
        self._own: Array | None = None
        self._copied = np.zeros(len(pristine), bool)
        self.dtype = np.dtype(pristine.dtype if dtype is None else dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(z, y, x)."""
        return self._pristine.shape

    def __getitem__(self, box: Sequence[slice]) -> Array:
        """Return the voxels of a box, not to be written to."""
        planes = slice(*box[0].indices(len(self._copied)))
        if not self._copied[planes].any():
            return self._pristine[tuple(box)].astype(self.dtype, copy=False)
        return self._owned(planes)[tuple(box)]

    def __setitem__(self, box: Sequence[slice], values: Array) -> None:
        """Take over what stands in a box now."""
        self._owned(slice(*box[0].indices(len(self._copied))))[tuple(box)] = values

    def copy(self) -> Array:
        """Return all voxels in an array of their own; a thread may do so while others read and write boxes.

        What is written meanwhile may be in it, or not, or in part.
        """
        pristine, copied, own = self._pristine, self._copied.copy(), self._own  # in this order: `_owned` writes in that
        made = np.empty(self.shape, self.dtype)
        for z, is_own in enumerate(copied):
            made[z] = own[z] if is_own and own is not None else pristine[z]
        return made

    def widen(self, dtype: np.dtype | str) -> None:
        """Hold ids of a wider type from now on; the voxels stay as they are."""
        self.dtype = np.dtype(dtype)
        if self._own is not None:
            self._own = self._own.astype(self.dtype)
            if self._copied.all():
                self._pristine = self._own

    def _owned(self, planes: slice) -> Array:
        """Return our own voxels, of which those of `planes` are there."""
        if self._own is None:
            self._own = np.empty(self.shape, self.dtype)
        for z in range(planes.start, planes.stop):
            if not self._copied[z]:
                self._own[z] = self._pristine[z]
        self._copied[planes] = True
        if self._copied.all():
            self._pristine = self._own  # the other one is not needed any more
        return self._own
