"""What every correction tool works on: class ids with the size of a voxel, and which voxels may be written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.annotation.box import Box, around, clipped, shape_of, whole
from napari_medcnn.annotation.edits import Edit, give, replace_box
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import GeometryError, InputError

Bools = NDArray[np.bool_]
#: Told (steps done, steps in all) by long tools; it may raise `Cancelled`, and nothing has been written then.
Progress = Callable[[int, int], None]

#: Largest share by which a length in mm may miss a limit and still count as on it: distance maps are float32, and were
#: seen to be off by 2e-5 of a distance.
ON_LIMIT = 1e-4


@dataclass(frozen=True)
class Plane:
    """One slice of a mask.

    Parameters
    ----------
    axis
        0, 1 or 2: across z, y or x.
    index
        Which slice.
    """

    axis: int
    index: int

    def box(self, shape: Sequence[int]) -> Box:
        """Return the box of this slice in a mask of `shape` (z, y, x); InputError where there is no such slice."""
        check_axis(self.axis)
        if not 0 <= self.index < shape[self.axis]:
            raise InputError(f"slice: expected 0 to {shape[self.axis] - 1} along axis {self.axis}, got {self.index}")
        return tuple(slice(self.index, self.index + 1) if a == self.axis else slice(0, n) for a, n in enumerate(shape))


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask that tools read; none of them writes to it.

    Parameters
    ----------
    array
        Class ids (z, y, x) of any integer type, 0 the background; a picture has z = 1.
    spacing_mm
        Distance of voxel centres along (z, y, x), above 0. None where the file does not state it: every length in mm
        then counts voxels, and volumes in mm3 are refused.
    locked
        Finished classes: no tool takes a voxel from them or gives one to them.
    over
        Classes whose voxels may be overwritten, 0 being the background. None leaves it to the tool: what is drawn by
        hand (brush, lasso, fill, region) goes over everything but locked classes, what is worked out from shapes
        (margin, smoothing, holes, slices between, threshold) over the background alone. What a call names itself (a
        clicked piece, a class to look inside, the model's box) is taken whatever stands here.

    Raises
    ------
    InputError
        The array is not whole numbers in three axes.
    GeometryError
        A spacing is not a length above 0.
    """

    array: Array
    spacing_mm: Sequence[float] | None = None
    locked: Collection[int] = field(default_factory=frozenset)
    over: Collection[int] | None = None

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or self.array.dtype.kind not in "biu":
            raise InputError(
                f"mask: expected whole numbers in (z, y, x), got {self.array.dtype} of shape {self.array.shape}"
            )
        if self.spacing_mm is not None:
            spacing = np.asarray(self.spacing_mm, float)
            if spacing.shape != (3,) or not np.all(np.isfinite(spacing)) or spacing.min() <= 0:
                raise GeometryError(f"spacing_mm: expected 3 lengths above 0 (z, y, x), got {self.spacing_mm}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(z, y, x)."""
        return self.array.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """(z, y, x) in mm, ones where it is not known."""
        if self.spacing_mm is None:
            return (1.0, 1.0, 1.0)
        z, y, x = (float(s) for s in self.spacing_mm)
        return (z, y, x)

    @property
    def voxel_mm3(self) -> float | None:
        """Volume of a voxel; None where the spacing is not known."""
        return None if self.spacing_mm is None else float(np.prod(self.spacing))

    def writable(self, box: Box, *, drawn: bool) -> Bools:
        """Return which voxels of a box a tool may give to another class; `drawn` by hand or worked out, see `over`."""
        ids = self.array[box]
        if self.over is None and drawn:
            return np.ones(ids.shape, bool) if not self.locked else ~np.isin(ids, list(self.locked))
        may = {0} if self.over is None else set(self.over)
        return np.asarray(np.isin(ids, sorted(may - set(self.locked))))

    def require_free(self, *labels: int) -> None:
        """Raise InputError where one of the classes is locked."""
        for label in labels:
            if label in self.locked:
                raise InputError(f"class {label} is locked; unlock it in the class table to change it")

    def require_scan(self, scan: Array) -> None:
        """Raise InputError where a scan is not one value per voxel of this mask."""
        if scan.shape != self.shape or scan.dtype.kind not in "biuf":
            raise InputError(
                f"scan: expected one real value per voxel of the mask {self.shape}, got {scan.dtype} of shape "
                f"{scan.shape}; choose one channel of a colour picture first"
            )

    def index(self, point: Sequence[float], what: str = "seed") -> tuple[int, int, int]:
        """Return the voxel nearest to a point (voxel index z, y, x); InputError where it lies outside the mask."""
        if len(point) != 3 or not np.all(np.isfinite(np.asarray(point, float))):
            raise InputError(f"{what}: expected a voxel index (z, y, x), got {tuple(point)}")
        z, y, x = (int(np.floor(float(p) + 0.5)) for p in point)
        if not all(0 <= i < n for i, n in zip((z, y, x), self.shape, strict=True)):
            raise InputError(f"{what}: expected a voxel inside the scan of {self.shape}, got {(z, y, x)}")
        return (z, y, x)

    def region(self, plane: Plane | None) -> Box:
        """Return the box of a slice, or of the whole mask."""
        return whole(self.shape) if plane is None else plane.box(self.shape)

    # writing

    def nothing(self) -> Edit:
        """Return an edit that changes nothing."""
        box = tuple(slice(0, 0) for _ in self.shape)
        return Edit(box, self.array[box].copy(), self.array[box].copy())

    def given(self, box: Box, chosen: Bools, label: int) -> Edit:
        """Return the edit that gives the True voxels of `chosen`, which fills `box`, to a class; empty for none.

        Raises
        ------
        InputError
            The class is locked or does not fit the mask's type.
        """
        self.require_free(label)
        tight = around(chosen, box)
        if tight is None:
            return self.nothing()
        return give(self.array, tight, chosen[inner(tight, box)], label, self.locked)

    def replaced(self, box: Box, values: Array) -> Edit:
        """Return the edit that writes class ids filling `box`, except where either side is locked; cut to the change.

        Raises
        ------
        InputError
            An id does not fit the mask's type.
        """
        tight = around(np.asarray(values != self.array[box]), box)
        if tight is None:
            return self.nothing()
        return replace_box(self.array, tight, values[inner(tight, box)], self.locked)

    def reshaped(self, label: int, box: Box, shape: Bools, *, drawn: bool = False) -> Edit:
        """Return the edit after which `label` has this shape in `box`, as far as what it may overwrite allows.

        Voxels that the class loses become background.

        Raises
        ------
        InputError
            The class is locked.
        """
        self.require_free(label)
        if label == 0:
            raise InputError("class: expected one of the classes, got 0, the background; it has no shape of its own")
        now = self.array[box]
        values = now.copy()
        values[shape & (now != label) & self.writable(box, drawn=drawn)] = label
        values[(now == label) & ~shape] = 0
        return self.replaced(box, values)


def check_axis(axis: int) -> int:
    """Return `axis`; InputError unless it is 0, 1 or 2."""
    if axis not in (0, 1, 2):
        raise InputError(f"axis: expected 0, 1 or 2 (across z, y or x), got {axis}")
    return axis


def check_length(length_mm: float, what: str, *, zero: bool = True) -> float:
    """Return a length in mm; InputError unless it is finite and 0 (or above 0) or more."""
    length = float(length_mm)
    if not np.isfinite(length) or length < 0 or (length == 0 and not zero):
        raise InputError(f"{what}: expected {'0 mm or more' if zero else 'more than 0 mm'}, got {length_mm}")
    return length


def inner(tight: Box, box: Box) -> Box:
    """Return where `tight` lies in an array that fills `box`."""
    return tuple(slice(t.start - b.start, t.stop - b.start) for t, b in zip(tight, box, strict=True))


def widened_box(box: Box, length_mm: float, spacing: Sequence[float], limit: Box) -> Box:
    """Return `box` with `length_mm` more on every side, in whole voxels, and at least one, cut to `limit`."""
    steps = [max(1, int(np.ceil(length_mm / s * (1 + ON_LIMIT)))) for s in spacing]
    return tuple(
        slice(max(b.start - n, end.start), min(b.stop + n, end.stop))
        for b, n, end in zip(box, steps, limit, strict=True)
    )


def box_of(array: Array, label: int | None, limit: Box | None = None) -> Box | None:
    """Return the tight box of a class (None: of everything but 0) inside `limit`; None where it has no voxel there.

    Plane by plane: about 20 ms for 512x512x300 bytes.
    """
    limit = whole(array.shape) if limit is None else clipped(limit, array.shape)
    part = array[limit]
    rows, columns = np.zeros(part.shape[1], bool), np.zeros(part.shape[2], bool)
    planes = np.zeros(part.shape[0], bool)
    for z, ids in enumerate(part):
        hit = ids != 0 if label is None else ids == label
        found = hit.any(axis=1)
        if found.any():
            planes[z] = True
            rows |= found
            columns |= hit.any(axis=0)
    if not planes.any():
        return None
    spans = [np.flatnonzero(hits)[[0, -1]] for hits in (planes, rows, columns)]
    return tuple(
        slice(end.start + int(first), end.start + int(last) + 1)
        for end, (first, last) in zip(limit, spans, strict=True)
    )


def tell(progress: Progress | None, done: int, total: int) -> None:
    """Report progress where somebody listens; a listener raises to cancel."""
    if progress is not None:
        progress(done, total)


def shape_in(box: Box) -> tuple[int, int, int]:
    """Return the shape (z, y, x) of what fills a box of a mask."""
    z, y, x = shape_of(box)
    return (z, y, x)
