"""The place that is asked about: a voxel, the piece of a mask that holds it, and masks on the grid of the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError

#: Voxels that touch by a face, an edge or a corner belong together.
_TOUCHING = np.ones((3, 3, 3), bool)


def component_at(mask: Array, voxel: tuple[int, int, int]) -> Array:
    """Return where the connected component (26 neighbours) of one class lies that holds `voxel`; bool (z, y, x).

    Raises
    ------
    InputError
        The voxel lies outside, or is background.
    """
    if any(i >= n for i, n in zip(voxel, mask.shape, strict=True)):
        raise InputError(f"voxel: expected an index inside {mask.shape} (z, y, x), got {voxel}")
    label = mask[voxel]
    if not label:
        raise InputError(f"voxel: {voxel} is background in the mask; choose one inside the mask")
    parts, _ = ndimage.label(mask == label, structure=_TOUCHING)
    found: Array = parts == parts[voxel]
    return found


def inside(voxel: tuple[int, int, int], shape: tuple[int, ...]) -> bool:
    """Return True if an index (z, y, x) lies in an array of this shape."""
    return all(0 <= i < n for i, n in zip(voxel, shape, strict=True))


def refuse_other_grid(argument: str, mask: LabelMap, scan: Geometry) -> None:
    """Refuse a mask on another grid than the scan's.

    Parameters
    ----------
    argument
        What the mask was given as: "mask", "reference".

    Raises
    ------
    InputError
        Names the file, both grids, and what to do.
    """
    own = mask.geometry
    if own.same_grid(scan):
        return
    path = str(mask.source.get("path") or "")
    name = f"{argument}: {Path(path).name}" if path else argument
    if own.shape == scan.shape and own.spacing_mm == scan.spacing_mm:
        what = (
            f"has the size of the scan ({_size(scan)}) but lies elsewhere: its first voxel at {_place(own)} mm, the "
            f"scan's at {_place(scan)} mm (LPS), or it is turned"
        )
    else:
        what = f"has {_size(own)}, the scan {_size(scan)} (z, y, x)"
    raise InputError(
        f"{name} {what}. Expected the scan's own grid: resample the mask onto the scan (nearest neighbour), or draw it "
        "on this scan and save it from there."
    )


def _size(grid: Geometry) -> str:
    voxels = " x ".join(str(n) for n in grid.shape)
    if not grid.spacing_known:
        return f"{voxels} voxels of unknown size"
    return f"{voxels} voxels of {' x '.join(f'{s:.4g}' for s in grid.spacing_mm)} mm"


def _place(grid: Geometry) -> str:
    return ", ".join(f"{v:.1f}" for v in grid.index_to_lps([0.0, 0.0, 0.0]))
