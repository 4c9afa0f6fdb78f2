"""Clean up a predicted mask: keep the largest piece, fill holes, drop small pieces.

Each function takes and returns an integer array (z, y, x) of class ids (a new array; the input is not changed) and
touches only the classes named. Everything works in the bounding box of the class: 2 to 4 times faster than on the whole
volume. Neighbours share a face, an edge or a corner (26 in 3D, 8 in a picture), as in nnU-Net; holes are what the
outside does not reach through faces.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import InputError, UnsupportedError

Labels = npt.NDArray[Any]
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def keep_largest(labels: Labels, ids: tuple[int, ...] | None = None, together: bool = False) -> Labels:
    """Keep the largest connected piece of each class; the others become background (0).

    Of equally large pieces the first in array order stays. `ids` None means every class present. `together` takes the
    named classes as one thing (an organ and the tumour in it) and keeps its largest piece with all classes in it.
    """
    result = _checked(labels).copy()
    if together:
        mask = result != 0 if ids is None else np.isin(result, ids)
        found = ndimage.find_objects(mask.astype(np.uint8))
        if found:
            result[found[0]][_lesser(mask[found[0]])] = 0
        return result
    for label, box in _boxes(result, ids):
        result[box][_lesser(result[box] == label)] = 0
    return result


def _lesser(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return all connected pieces of a mask but the largest."""
    pieces, _ = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    lesser: npt.NDArray[np.bool_] = mask & (pieces != sizes.argmax())
    return lesser


def fill_holes(labels: Labels, ids: tuple[int, ...] | None = None, slice_axis: int | None = None) -> Labels:
    """Fill the background that a class encloses completely; other classes inside it stay.

    In a volume a hole must be closed in 3D; with `slice_axis`, in its slice across that array axis; in a picture
    (depth 1) in its plane.
    """
    result = _checked(labels).copy()
    # in 3D every hole of a single plane is open above and below
    across = 0 if labels.shape[0] == 1 else slice_axis
    structure = None
    if across is not None:
        # the outside reaches through faces, but never from one slice to the next
        structure = ndimage.generate_binary_structure(3, 1)
        structure[tuple([0, 2] if a == across else slice(None) for a in range(3))] = False
    for label, box in _boxes(result, ids):
        view = result[box]
        mask = view == label
        filled = ndimage.binary_fill_holes(mask, structure=structure)
        view[filled & (view == 0)] = label
    return result


def remove_small(
    labels: Labels,
    geometry: Geometry,
    minimum_mm3: float | None = None,
    minimum_voxels: int | None = None,
    ids: tuple[int, ...] | None = None,
) -> Labels:
    """Remove connected pieces smaller than a limit, given either in mm3 or in voxels.

    Raises
    ------
    GeometryError
        The limit is in mm3 and the grid's spacing is unknown.
    InputError
        None or both of the limits are given.
    """
    _one_limit(minimum_mm3, minimum_voxels)
    if minimum_mm3 is not None:
        geometry.require_spacing("Removing pieces below a size in mm3")
        smallest = minimum_mm3 / geometry.voxel_mm3
    else:
        smallest = float(minimum_voxels or 0)
    result = _checked(labels).copy()
    for label, box in _boxes(result, ids):
        pieces, count = ndimage.label(result[box] == label, structure=_ALL_NEIGHBOURS)
        if count:
            sizes = np.bincount(pieces.ravel())
            # 1e-9: 10 voxels of 0.1 mm3 are not smaller than 1 mm3
            small = sizes < smallest * (1 - 1e-9)
            small[0] = False
            result[box][small[pieces]] = 0
    return result


_STEPS: Mapping[str, Callable[..., Labels]] = {
    "keep_largest": keep_largest,
    "fill_holes": fill_holes,
    "remove_small": remove_small,
}


def check_steps(steps: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Refuse the steps of a card that cannot be run, before the network works for an hour.

    Raises
    ------
    UnsupportedError
        A step is not one of `keep_largest`, `fill_holes`, `remove_small`.
    InputError
        A step has arguments that it does not take.
    """
    for name, arguments in steps:
        if name not in _STEPS:
            raise UnsupportedError(f"postprocess: expected {', '.join(_STEPS)}, got {name!r}")
        first = (None, None) if name == "remove_small" else (None,)
        try:
            inspect.signature(_STEPS[name]).bind(*first, **arguments)
        except TypeError as error:
            raise InputError(f"postprocess: step {name}: {error}") from error
        if name == "remove_small":
            _one_limit(arguments.get("minimum_mm3"), arguments.get("minimum_voxels"))


def _one_limit(minimum_mm3: float | None, minimum_voxels: int | None) -> None:
    if (minimum_mm3 is None) == (minimum_voxels is None):
        raise InputError("remove_small: expected exactly one of minimum_mm3 and minimum_voxels")


def clean_up(
    labels: Labels,
    geometry: Geometry,
    steps: Iterable[tuple[str, Mapping[str, Any]]],
    slice_axis: int | None = None,
    note: Callable[[str], None] | None = None,
) -> Labels:
    """Run the steps of a model's specification in order: (name, arguments), names as in this module.

    Parameters
    ----------
    slice_axis : array axis across which a 2D network saw its slices; holes are then closed slice by slice unless the
        step says otherwise. None for a 3D network.
    note : told in words about a step that cannot be done on this scan (a size in mm3 where the voxel size is unknown)
        and is left out: a finished mask is not thrown away for it. Without it that is an error.

    Raises
    ------
    UnsupportedError, InputError
        As `check_steps`.
    GeometryError
        See `note`.
    """
    steps = tuple(steps)
    check_steps(steps)
    for name, arguments in steps:
        if name == "keep_largest":
            labels = keep_largest(labels, **arguments)
        elif name == "fill_holes":
            labels = fill_holes(labels, **{"slice_axis": slice_axis, **arguments})
        elif note is not None and arguments.get("minimum_mm3") is not None and not geometry.spacing_known:
            note(
                f"The file does not state the voxel size, so pieces below {arguments['minimum_mm3']:g} mm3 were not "
                "removed from the mask."
            )
        else:
            labels = remove_small(labels, geometry, **arguments)
    return labels


def _boxes(labels: Labels, ids: tuple[int, ...] | None) -> list[tuple[int, tuple[slice, slice, slice]]]:
    """Return (id, bounding box) of the classes that are present and wanted, in order of id."""
    # find_objects wants a signed type and makes a list as long as the largest id (65535 at most)
    found = ndimage.find_objects(labels.astype(np.int32, copy=False))
    return [
        (label, box) for label, box in enumerate(found, start=1) if box is not None and (ids is None or label in ids)
    ]


def _checked(labels: Labels) -> Labels:
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise InputError(f"labels: expected whole numbers in (z, y, x), got shape {labels.shape}, dtype {labels.dtype}")
    return labels
