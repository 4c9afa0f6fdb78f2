"""What goes beside an array to the engine: grid, axes, modality.  No names, no paths, no identifiers."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError


def volume_meta(volume: Volume) -> dict[str, Any]:
    """Return what the engine must know of a scan besides its voxels."""
    return {
        "geometry": volume.geometry.to_json(),
        "axes": volume.axes,
        "modality": volume.modality,
        "value_unit": volume.value_unit,
        "inverted": volume.inverted,
    }


def volume_from_meta(array: npt.NDArray[Any], meta: dict[str, Any]) -> Volume:
    """Build the scan again from its voxels and what `volume_meta` wrote; entries left out keep their defaults."""
    try:
        return Volume(
            array,
            Geometry.from_json(meta["geometry"]),
            axes=meta.get("axes", "zyx"),
            modality=str(meta.get("modality", "")),
            value_unit=str(meta.get("value_unit", "")),
            inverted=bool(meta.get("inverted", False)),
        )
    except KeyError as error:
        raise InputError("meta: expected the geometry of the scan, got none") from error
