"""A mask onto the grid of a scan without resampling, and words for whether that can be done."""

from __future__ import annotations

from dataclasses import replace

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.placing import apart, copied, placement
from napari_medcnn.core.volume import LabelMap, Volume


def embedded(mask: LabelMap, grid: Geometry) -> LabelMap | None:
    """Return the mask on `grid`: an exact copy, no voxel is resampled.

    Parameters
    ----------
    mask
        Its grid may be smaller or larger than `grid`, flipped or in another order of axes.
    grid
        Of the scan.

    Returns
    -------
    The mask with `grid` as its geometry, background where the mask's own grid did not reach; voxels with a class that
    lie outside `grid` are cut off and counted in a note.  None where the grids do not meet voxel on voxel (another
    spacing, a turn, an offset of less than a voxel), do not touch, or do not say where they lie.
    """
    if mask.geometry == grid:
        return mask
    if mask.geometry.same_grid(grid) and mask.geometry.orientation_known == grid.orientation_known:
        return replace(mask, geometry=grid)
    found = copied(mask.array, mask.geometry, grid)
    if found is None:
        return None
    array, lost = found
    note = (f"{lost} voxels of the mask lie outside of the scan and were cut off.",) if lost else ()
    return replace(mask, array=array, geometry=grid, notes=mask.notes + note)


def fits_words(mask: LabelMap, scan: Volume) -> str:
    """Return "" if the mask lies on the scan's grid or can be copied onto it exactly, else in words why not.

    The words begin with "another grid" where resampling (`imaging.resample.resample_labels`, nearest neighbour) can
    bring the mask onto the scan, and with "another space", "another place" or "another size" where nothing
    can.
    """
    ours, its = mask.geometry, scan.geometry
    if mask.frame_of_reference and scan.frame_of_reference and mask.frame_of_reference != scan.frame_of_reference:
        return (
            "another space: the mask was made in another examination or position than this scan, so where it belongs "
            "on it is not known; refused. Open the scan it was made from"
        )
    if ours.same_grid(its):
        return ""
    stated = ours.spacing_known and its.spacing_known and ours.orientation_known and its.orientation_known
    if not stated:
        return (
            f"another size: the mask is {_size(ours)} voxels and the scan {_size(its)}, and "
            f"{'the mask' if not (ours.spacing_known and ours.orientation_known) else 'the scan'} does not say where "
            "it lies; refused. Open a mask of the scan's own size"
        )
    if apart(ours, its):
        return "another place: mask and scan do not touch in space; refused. Check that they belong to one examination"
    if placement(ours, its) is not None:
        return ""
    return (
        f"another grid: the mask is {_size(ours)} voxels of {_mm(ours)} mm and the scan {_size(its)} of {_mm(its)} mm, "
        "and they do not meet voxel on voxel; it can be resampled (nearest neighbour)"
    )


def _size(grid: Geometry) -> str:
    return " x ".join(str(n) for n in grid.shape[::-1])


def _mm(grid: Geometry) -> str:
    return " x ".join(f"{s:.4g}" for s in grid.spacing_mm[::-1])
