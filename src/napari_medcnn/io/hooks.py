"""What napari calls when a file is dropped on its window or a layer is saved from its menu.

These hooks work at once, in napari's own thread: io knows neither windows nor tasks. Our dock and ``medcnn open`` read
in a task with progress and cancel instead, through `verbs.open`; `takes_long` says when that matters.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.found import Found
from napari_medcnn.io.layerdata import LayerTuple, layer_info, mask_from_layer, mask_layer, on_source_grid, scan_layers
from napari_medcnn.io.read import inspect, read_found
from napari_medcnn.io.save import save_labels, save_volume

#: Above this a file is better read by a task with progress and cancel.
LONG_BYTES = 20_000_000

#: So many files dropped at once are taken for the slices of something and looked at together.
_TOGETHER = 8

Reader = Callable[[Any], list[LayerTuple]]


def takes_long(path: Path | str) -> bool:
    """Return True for a folder, or a file of more than 20 MB."""
    path = Path(path)
    return path.is_dir() or (path.is_file() and path.stat().st_size > LONG_BYTES)


def napari_get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader if every path holds an image that we read, by content and not by name; else None.

    Which names napari asks us about stands in the manifest: pictures stay with napari unless our dock opens them.
    """
    names = _names(path)
    if not names:
        return None
    try:
        found = [inspect(Path(name)) for name in names] if len(names) < _TOGETHER else [_together(names)]
    except (MedcnnError, OSError):
        return None
    if not all(any(item.kind != "other" for item in one.items) for one in found):
        return None
    return _read_layers


def _read_layers(path: str | Sequence[str]) -> list[LayerTuple]:
    """Read everything; each series of a folder, and of files given together, becomes layers of its own.

    Faults say which file.
    """
    names = _names(path)
    found = _together(names)
    layers: list[LayerTuple] = []
    for item in found.items:
        if item.kind != "other":
            value = read_found(found, item)
            layers += [mask_layer(value)] if isinstance(value, LabelMap) else scan_layers(value)
    if not layers:
        raise InputError(f"{', '.join(names)}: there is no image in it that can be read")
    return layers


def _together(names: Sequence[str]) -> Found:
    """Look at all paths together: the files of one series, chosen one by one, are one scan."""
    steps = scan_steps([Path(name) for name in names])
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Found = end.value
            return found


def write_labels(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save one labels layer; ours go back onto the grid of their scan, others keep what the layer says of itself."""
    metadata, name = attributes.get("metadata") or {}, str(attributes.get("name") or "Mask")
    if layer_info(metadata) is not None:
        mask = mask_from_layer(data, metadata, name)
    else:
        array = _three_axes(np.asarray(data), name)
        present = [int(i) for i in np.unique(array)]
        mask = LabelMap(array, _foreign_grid(array, attributes), LabelSet.for_ids(present), name=name)
    save_labels(mask, Path(path))
    return [path]


def write_image(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save one image layer; ours go back onto their own grid, others keep what the layer says of itself."""
    metadata, name = attributes.get("metadata") or {}, str(attributes.get("name") or "Scan")
    info = layer_info(metadata)
    if info is not None:
        volume = Volume(
            on_source_grid(data, info, name),
            info["geometry"],
            info.get("axes", "zyx"),
            name=name,
            modality=info.get("modality", ""),
            value_unit=info.get("value_unit", ""),
        )
    else:
        if attributes.get("rgb"):
            raise InputError(f"{name}: a colour picture is saved by napari itself; choose PNG or TIFF")
        array = _three_axes(np.asarray(data), name)
        volume = Volume(array, _foreign_grid(array, attributes), name=name)
    save_volume(volume, Path(path))
    return [path]


def _names(path: str | os.PathLike[str] | Sequence[str]) -> list[str]:
    return [str(path)] if isinstance(path, str | os.PathLike) else [str(p) for p in path]


def _three_axes(array: Array, name: str) -> Array:
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        raise InputError(f"{name}: expected 2 or 3 axes, got {array.ndim}; save one time point or channel at a time")
    return array


def _foreign_grid(array: Array, attributes: Mapping[str, Any]) -> Geometry:
    """Return the grid of a layer that is not ours: its scale where that is in mm, and no claim about left and right."""
    scale = [abs(float(s)) for s in attributes.get("scale", ())]
    units = [str(u) for u in attributes.get("units") or ()]
    in_mm = len(scale) >= 2 and bool(units) and all(u in ("mm", "millimeter") for u in units[-2:]) and min(scale) > 0
    spacing = ([1.0] * 3 + scale)[-3:] if in_mm else [1.0] * 3
    return Geometry(
        (array.shape[0], array.shape[1], array.shape[2]),
        (spacing[0], spacing[1], spacing[2]),
        spacing_known=in_mm,
        orientation_known=False,
    )
