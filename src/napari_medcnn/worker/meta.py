"""What goes beside an array to the engine: grid, axes, modality.  No names, no paths, no identifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError


def geometry_to_json(geometry: Geometry) -> dict[str, Any]:
    """Return plain JSON types; numbers come back bit for bit."""
    return {
        "shape": list(geometry.shape),
        "spacing_mm": list(geometry.spacing_mm),
        "origin_lps": list(geometry.origin_lps),
        "direction": geometry.direction.tolist(),
        "spacing_known": geometry.spacing_known,
        "orientation_known": geometry.orientation_known,
    }


def geometry_from_json(data: dict[str, Any]) -> Geometry:
    """Read what `geometry_to_json` wrote.

    Raises
    ------
    InputError
        An entry is missing; `GeometryError` (its child) where a value is not usable.
    """
    try:
        z, y, x = (int(n) for n in data["shape"])
        return Geometry(
            (z, y, x),
            tuple(data["spacing_mm"]),
            tuple(data["origin_lps"]),
            np.array(data["direction"], dtype=np.float64),
            spacing_known=bool(data["spacing_known"]),
            orientation_known=bool(data["orientation_known"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"geometry: expected shape, spacing, origin and direction, got {sorted(data)}") from error


def volume_meta(volume: Volume) -> dict[str, Any]:
    """Return what the engine must know of a scan besides its voxels."""
    return {
        "geometry": geometry_to_json(volume.geometry),
        "axes": volume.axes,
        "modality": volume.modality,
        "value_unit": volume.value_unit,
    }


def volume_from_meta(array: npt.NDArray[Any], meta: dict[str, Any]) -> Volume:
    """Build the scan again from its voxels and what `volume_meta` wrote; entries left out keep their defaults."""
    try:
        return Volume(
            array,
            geometry_from_json(meta["geometry"]),
            axes=meta.get("axes", "zyx"),
            modality=str(meta.get("modality", "")),
            value_unit=str(meta.get("value_unit", "")),
        )
    except KeyError as error:
        raise InputError("meta: expected the geometry of the scan, got none") from error
