"""Every scan that is open in the window, as volumes a model can run on: ours, those beside it, layers of others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.layerdata import layer_info, on_source_grid

_MM = ("mm", "millimeter")


@dataclass(frozen=True, eq=False)
class OpenScan:
    """A scan in the window.

    Parameters
    ----------
    name
        For the screen; may name a patient.
    volume
        None where it cannot be used; `problem` says why.
    placed
        ``scale``, ``translate``, ``units`` and ``axis_labels`` of a layer of others, so that its mask lies on it;
        empty for scans of ours, whose geometry says it.
    """

    name: str
    volume: Volume | None
    problem: str = ""
    placed: tuple[tuple[str, Any], ...] = ()


def single_channels(scan: OpenScan) -> list[OpenScan]:
    """Return what may be one channel of a model: the scan, or each of its channels (colours stay together)."""
    volume = scan.volume
    if volume is None or volume.axes.startswith("t"):
        return []
    if volume.axes == "zyx":
        return [scan]
    names = volume.channel_names or tuple(f"channel {i + 1}" for i in range(volume.channels))
    return [
        OpenScan(f"{scan.name}: {name}", replace(volume, array=volume.array[..., i], axes="zyx", channel_names=()))
        for i, name in enumerate(names)
    ]


def from_layer(layer: Any) -> OpenScan:
    """Return an image layer of others as a scan; what cannot be used is named with its reason."""
    try:
        info = layer_info(layer.metadata)
        if info is not None:
            return OpenScan(layer.name, _ours(layer, info))
        return OpenScan(layer.name, _foreign(layer), placed=_placed(layer))
    except MedcnnError as error:
        return OpenScan(layer.name, None, str(error))


def guess(names: Sequence[str], scans: Sequence[str], first: int = 0) -> list[int]:
    """Return for each channel name the index of the scan that is probably meant; -1 where none is left.

    A scan whose name holds the channel's as a word comes before one that only contains its letters; what no name tells
    is given out in order, beginning with `first`, the scan that is shown.
    """
    taken: list[int] = [-1] * len(names)
    for fits in (_as_word, _as_part):
        for channel, name in enumerate(names):
            if taken[channel] < 0:
                free = (i for i, scan in enumerate(scans) if i not in taken and fits(name, scan))
                taken[channel] = next(free, -1)
    order = sorted(range(len(scans)), key=lambda i: (i != first, i))
    for channel in range(len(names)):
        if taken[channel] < 0:
            taken[channel] = next((i for i in order if i not in taken), -1)
    return taken


def _as_word(name: str, scan: str) -> bool:
    words = re.split(r"[\W_]+", scan.lower())
    return bool(name) and name.lower() in words


def _as_part(name: str, scan: str) -> bool:
    return bool(name) and name.lower() in scan.lower()


def _ours(layer: Any, info: Any) -> Volume:
    """Return a layer that our reader made for napari, on the grid of its file."""
    return Volume(
        on_source_grid(layer.data, info, layer.name),
        info["geometry"],
        info.get("axes", "zyx"),
        name=layer.name,
        modality=info.get("modality", ""),
        value_unit=info.get("value_unit", ""),
        notes=tuple(info.get("notes", ())),
        source=dict(info["source"]),
    )


def _foreign(layer: Any) -> Volume:
    """Return a layer of others: its scale where that is in mm, and no claim about left and right.

    Raises
    ------
    InputError
        Turned or sheared, not in memory, or of more than three axes.
    """
    array = layer.data
    if getattr(layer, "multiscale", False) or not isinstance(array, np.ndarray):
        raise InputError("not wholly in memory; save it as a file and open that")
    turned = np.asarray(layer.affine.affine_matrix), np.asarray(layer.rotate), np.asarray(layer.shear)
    if not (np.allclose(turned[0], np.eye(len(turned[0]))) and np.allclose(turned[1], np.eye(len(turned[1])))):
        raise InputError("moved or turned in the window; save it as a file and open that")
    axes = array.ndim - int(bool(layer.rgb))
    if axes not in (2, 3) or array.dtype.kind not in "biuf":
        raise InputError(f"expected a picture or a volume, got {axes} axes")
    voxels = array if axes == 3 else array[None]
    scale = ([1.0] * 3 + [abs(float(s)) for s in layer.scale])[-3:]
    in_mm = all(str(u) in _MM for u in layer.units) and min(scale) > 0
    grid = Geometry(
        (voxels.shape[0], voxels.shape[1], voxels.shape[2]),
        (scale[0], scale[1], scale[2]) if in_mm else (1.0, 1.0, 1.0),
        spacing_known=in_mm,
        orientation_known=False,
    )
    return Volume(voxels, grid, "zyxc" if layer.rgb else "zyx", name=layer.name)


def _placed(layer: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, getattr(layer, name)) for name in ("scale", "translate", "units", "axis_labels"))
