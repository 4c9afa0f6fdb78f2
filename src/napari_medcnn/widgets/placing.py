"""Laying a mask over the open scan: exactly where the grids agree, resampled only if agreed to, else refused."""

from __future__ import annotations

from dataclasses import replace

from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import ConsentNeededError, GeometryError
from napari_medcnn.imaging.embed import embedded, fits_words
from napari_medcnn.imaging.resample import resample_labels

#: What `ConsentNeededError.asks` says here: no reader's consent, but the window's own question.
ASKS = "mask"


def placed(mask: LabelMap, scan: Volume, resample: bool = False) -> LabelMap:
    """Return the mask on the scan's grid.

    Parameters
    ----------
    mask, scan
        Of any grids.
    resample
        The user agreed to nearest neighbour where the voxels of both do not coincide.

    Raises
    ------
    GeometryError
        The mask belongs to another frame of reference (another examination or position), does not say where it lies,
        or lies wholly outside the scan.
    ConsentNeededError
        It lies in the same space on another grid, and nobody agreed to resample it.
    """
    why_not = fits_words(mask, scan)
    if not why_not:
        exact = embedded(mask, scan.geometry)
        return mask if exact is None else exact
    if not why_not.startswith("another grid"):
        raise GeometryError(f"{mask.name}: {why_not}.")
    if not resample:
        raise ConsentNeededError(
            f"{mask.name}: {why_not}. Resampling onto the scan gives each voxel the nearest class: edges move by up "
            "to half a voxel.",
            ASKS,
        )
    array = resample_labels(mask.array, mask.geometry, scan.geometry)
    if mask.array.any() and not array.any():
        raise GeometryError(f"{mask.name}: nothing of this mask lies inside the open scan; open its own scan.")
    note = "Resampled onto the scan (nearest class): it was drawn on another grid."
    return replace(mask, array=array, geometry=scan.geometry, notes=(*mask.notes, note))
