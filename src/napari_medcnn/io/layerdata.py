"""Scans and masks as napari layer arguments, and masks from a layer back onto the scan's own grid.

The one place that turns a `Geometry` into ``scale``, ``translate``, ``units`` and ``axis_labels``. Plain tuples: napari
is not imported. Volumes are shown with array axes running to Inferior, Posterior and Left (flips and transpositions
only, see docs/decisions/display-geometry.md); the grid of the file travels in ``metadata["medcnn"]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Array, Geometry, Reorientation
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.core.windows import CT, HU, PET, SUV, USUAL_PERCENTILES, is_window, may_be_hu
from napari_medcnn.errors import InputError

LayerTuple = tuple[Any, dict[str, Any], str]

#: Key of `metadata` under which all our layers are known.
KEY = "medcnn"
_PIECE = 1 << 20  # voxels that are counted at a time: they stay in the processor's cache
#: Voxels in eight bytes -> the number that repeats one of them in all.
_REPEATED = {n: np.uint64(sum(1 << (64 // n * i) for i in range(n))) for n in (2, 4, 8)}
_UNNAMED_RGBA = (0.6, 0.6, 0.6, 1.0)
_CLEAR = (0.0, 0.0, 0.0, 0.0)
_COLOUR_CHANNELS = frozenset({(), ("red", "green", "blue"), ("red", "green", "blue", "alpha")})


def scan_layers(volume: Volume) -> list[LayerTuple]:
    """Return the image layers of a scan: one, or one per channel where the channels are not colours.

    The data is a view in display order (no copy, read-only); pictures are 2D, colour is ``rgb=True``, time points lead
    as a ``t`` axis. Complex numbers are shown as their magnitude. ``metadata["medcnn"]["range"]`` holds the lowest and
    highest finite value for ``contrast_limits_range``, which napari would narrow to the window.
    """
    how = volume.geometry.reorientation_to()
    shown = how.apply(volume.array, volume.axes)
    if volume.is_picture:
        shown = shown[:, 0] if volume.axes.startswith("t") else shown[0]
    if shown.dtype.kind == "c":
        shown = np.abs(shown)
    colour = _is_colour(volume)
    several = volume.channels > 1 and not colour
    planes = [shown[..., c] for c in range(volume.channels)] if volume.axes.endswith("c") and not colour else [shown]
    axes = volume.axes if colour else volume.axes.rstrip("c")
    layers: list[LayerTuple] = []
    for index, plane in enumerate(planes):
        info = _info("scan", volume.geometry, how, volume.source)
        info |= {
            "case": volume.name,
            "axes": axes,
            "modality": volume.modality,
            "value_unit": volume.value_unit,
            "notes": volume.notes,
        }
        kwargs = _placed(volume.geometry, how, time=axes.startswith("t"))
        kwargs |= {"name": volume.name, "metadata": {KEY: info}}
        if several:
            title = volume.channel_names[index] if volume.channel_names else f"channel {index + 1}"
            kwargs |= {"name": f"{volume.name}: {title}", "visible": index == 0}
        kwargs["rgb"] = colour  # stated, or napari takes three or four sagittal slices for the colours of a picture
        if colour:
            info["range"] = (0.0, float(np.iinfo(plane.dtype).max))
        else:
            info["range"] = _range(plane)
            # as it is opened, and what else the file offers: keys 0, 8 and 9
            info["window"] = _window(volume, plane, info["range"])
            info["inverted"] = volume.inverted or volume.value_unit.startswith(SUV)
            info["windows"] = volume.windows[0 if volume.value_unit.startswith(SUV) else 1 :]
            kwargs |= {
                "contrast_limits": info["window"],
                "colormap": "gray_r" if info["inverted"] else "gray",
            }
        layers.append((plane, kwargs, "image"))
    return layers


def mask_layer(mask: LabelMap, scan: Volume | None = None, present: Iterable[int] | None = None) -> LayerTuple:
    """Return the labels layer of a mask: an own writable C-contiguous copy in display order, uint8 or uint16.

    `present` are the ids in it, where they were counted already.

    Every class present has a name and a colour; a class without either would show grey, so that no painted voxel is
    ever invisible. Napari's status bar names the class under the cursor from ``features``.

    Raises
    ------
    InputError
        The mask does not lie on the scan's grid, or holds an id above 65535.
    """
    geometry = mask.geometry
    if scan is not None:
        if not geometry.same_grid(scan.geometry):
            raise InputError(
                f"{mask.name}: expected the grid of the scan, {_grid_words(scan.geometry)}, "
                f"got {_grid_words(geometry)}; resample the mask onto the scan first, or open its own scan"
            )
        geometry = scan.geometry
    how = geometry.reorientation_to()
    labels = mask.labels.covering(present_ids(mask.array) if present is None else list(present))
    dtype = labels.smallest_dtype
    data = np.array(how.apply(mask.array), dtype=dtype, order="C", copy=True)
    info = _info("mask", geometry, how, mask.source)
    info |= {"labels": labels, "case": scan.name if scan is not None else mask.name, "notes": mask.notes}
    kwargs = _placed(geometry, how) | {
        "name": mask.name,
        "opacity": 0.4,
        "features": label_features(labels),
        "colormap": label_colours(labels),
        "metadata": {KEY: info},
    }
    return (data[0] if info["picture"] else data, kwargs, "labels")


def map_layer(
    array: Array,
    scan: Volume,
    name: str,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    colormap: str = "inferno",
    provenance: Mapping[str, Any] | None = None,
) -> LayerTuple:
    """Return the image layer of a map (uncertainty, saliency, probability) that lies on the scan's own grid (z, y, x).

    `limits` are the fixed ends of the colour scale, so that maps of different cases compare.
    """
    if array.shape != scan.geometry.shape:
        raise InputError(f"{name}: expected the scan's grid {scan.geometry.shape} (z, y, x), got {array.shape}")
    how = scan.geometry.reorientation_to()
    info = _info("map", scan.geometry, how, scan.source)
    info |= {"case": scan.name, "axes": "zyx", "range": limits, "provenance": dict(provenance) if provenance else None}
    shown = how.apply(array)
    kwargs = _placed(scan.geometry, how) | {
        "name": name,
        "contrast_limits": limits,
        "colormap": colormap,
        "rgb": False,
        "blending": "additive",
        "opacity": 0.6,
        "metadata": {KEY: info},
    }
    return (shown[0] if info["picture"] else shown, kwargs, "image")


def mask_from_layer(data: Any, metadata: Mapping[str, Any], name: str) -> LabelMap:
    """Return the mask of one of our labels layers, copied back onto the original grid.

    Raises
    ------
    InputError
        The layer is not ours, or its shape no longer is that of its scan.
    """
    info = layer_info(metadata)
    if info is None:
        raise InputError(f"{name}: expected a mask layer made by MedCNN; make one with New mask, and paint there")
    array = on_source_grid(data, info, name)
    labels: LabelSet = info["labels"] or LabelSet()
    return LabelMap(
        np.array(array, order="C", copy=True),
        info["geometry"],
        labels.covering(present_ids(np.asarray(data))),
        name=name,
        source=dict(info["source"]),
    )


def on_source_grid(data: Any, info: Mapping[str, Any], name: str) -> Array:
    """Return a view of one layer's data (display order) in the array order of its file, leading t axis included."""
    array = np.asarray(data)
    axes: str = info.get("axes", "zyx")
    geometry: Geometry = info["geometry"]
    how: Reorientation = info["how"]
    if info["picture"] and array.ndim == len(axes) - 1:
        array = np.expand_dims(array, axes.index("z"))
    expected = geometry.reoriented(how).shape
    first = axes.index("z")
    if array.ndim != len(axes) or array.shape[first : first + 3] != expected:
        raise InputError(f"{name}: expected the shape of its scan, {expected}, got {array.shape}; undo the change")
    return how.inverse.apply(array, axes)


def layer_info(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what we know of a layer from its metadata, None if it is not one of ours."""
    info = metadata.get(KEY)
    return info if isinstance(info, dict) and {"geometry", "how", "picture"} <= set(info) else None


def label_features(labels: LabelSet) -> dict[str, list[Any]]:
    """Return napari's ``features`` of a mask: its ``index`` column holds ids, so the status bar names the class."""
    return {"index": [0, *labels.ids], "class": ["background", *labels.names]}


def label_colours(labels: LabelSet) -> dict[int | None, tuple[float, float, float, float]]:
    """Return id -> RGBA (0 to 1) as napari's Labels take it; background is clear, ids without a name are grey."""
    colours: dict[int | None, tuple[float, float, float, float]] = {None: _UNNAMED_RGBA, 0: _CLEAR}
    for label in labels:
        red, green, blue = label.colour
        colours[label.id] = (red / 255, green / 255, blue / 255, 1.0)
    return colours


def present_ids(array: Array) -> list[int]:
    """Return the class ids present in rising order, 0 left out. Plane by plane: no sort of the whole volume.

    Raises
    ------
    InputError
        An id is above 65535.
    """
    return list(voxel_counts(array))


def voxel_counts(array: Array) -> dict[int, int]:
    """Return class id -> number of voxels in rising order of ids, background left out.

    Piece by piece: no sort and no wide copy of the whole volume. Eight bytes are looked at together: most of a mask is
    background, and most of the rest lies inside one class, so only words at the edge of one are counted by voxels.

    Raises
    ------
    InputError
        An id is above 65535.
    """
    top = 255 if array.dtype.itemsize == 1 else int(array.max()) if array.size else 0
    if top > 65535:
        raise InputError(f"mask: expected class ids from 0 to 65535, got {top}; renumber the objects first")
    flat = _in_memory_order(array)
    middle = flat.size // 2 // _PIECE * _PIECE
    parts = (flat[:middle], flat[middle:]) if middle else (flat,)
    with ThreadPoolExecutor(len(parts)) as two:
        numbers = np.sum(list(two.map(lambda part: _counted(part, top + 1), parts)), axis=0)
    return {int(i): int(numbers[i]) for i in np.flatnonzero(numbers) if i}


def _counted(flat: Array, size: int) -> Array:
    """Return how often each id below `size` stands in a row of voxels; of background only what lies beside others."""
    numbers = np.zeros(size, dtype=np.int64)
    each = 8 // flat.itemsize
    for start in range(0, flat.size, _PIECE):
        part = flat[start : start + _PIECE]
        whole = part.nbytes // 8 * 8 // part.itemsize
        words = part[:whole].view(np.uint64)
        words = words[words != 0]
        if each > 1 and words.size:
            first = words.view(part.dtype)[::each]
            same = words == first.astype(np.uint64) * _REPEATED[each]
            numbers += each * np.bincount(first[same].astype(np.intp), minlength=size)
            words = words[~same]
        for voxels in (words.view(part.dtype), part[whole:]):
            if voxels.size:
                numbers += np.bincount(voxels.astype(np.intp, copy=False), minlength=size)
    return numbers


def _in_memory_order(array: Array) -> Array:
    """Return all voxels in a row in the order in which they lie in memory; a copy only where they have gaps."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    back = tuple(slice(None, None, -1) if array.strides[axis] < 0 else slice(None) for axis in order)
    return np.ascontiguousarray(array.transpose(order)[back]).reshape(-1)


def window_for(volume: Volume) -> tuple[float, float]:
    """Return the (low, high) to show at once.

    0 to 10 for SUV, so that scans compare: scanners store a window of the day's highest value. Else the file's own
    window; soft tissue for HU; percentiles for what has no unit.
    """
    plane = np.abs(volume.array) if volume.array.dtype.kind == "c" else volume.array
    return _window(volume, plane, _range(plane))


def _window(volume: Volume, plane: Array, limits: tuple[float, float]) -> tuple[float, float]:
    if volume.value_unit.startswith(SUV):
        return PET[0].limits(plane, limits)
    if volume.window is not None and is_window(*volume.window):
        return (float(volume.window[0]), float(volume.window[1]))
    if plane.dtype.kind == "b":
        return (0.0, 1.0)
    if plane.dtype == np.uint8 and volume.is_picture:
        return (0.0, 255.0)
    low, high = USUAL_PERCENTILES.limits(plane, limits)
    soft_tissue = CT[0]
    hu = volume.value_unit == HU or may_be_hu(volume.value_unit, volume.modality, limits)
    if hu and low < soft_tissue.high and high > soft_tissue.low:
        return (soft_tissue.low, soft_tissue.high)
    return (low, high)


def _range(plane: Array) -> tuple[float, float]:
    """Return the lowest and highest finite value, one apart if they are equal; (0, 1) if no value is finite."""
    half = (len(plane) + 1) // 2
    with ThreadPoolExecutor(2) as two:
        ends = list(two.map(_ends, (plane[:half], plane[half:])))
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if low > high:
        return (0.0, 1.0)
    return (low, high) if low < high else (low, low + 1.0)


def _ends(planes: Array) -> tuple[float, float]:
    """Return the lowest and highest finite value; (inf, -inf) without any."""
    low, high = np.inf, -np.inf
    for part in planes:
        values = part[np.isfinite(part)] if part.dtype.kind == "f" else part
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return low, high


def _is_colour(volume: Volume) -> bool:
    if not volume.axes.endswith("c") or volume.channels not in (3, 4):
        return False
    names = tuple(name.lower() for name in volume.channel_names)
    eight_bit = volume.array.dtype == np.uint8
    return names in _COLOUR_CHANNELS and (eight_bit or (volume.is_picture and volume.array.dtype == np.uint16))


def _info(role: str, geometry: Geometry, how: Reorientation, source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "role": role,
        "geometry": geometry,
        "how": how,
        "labels": None,
        "case": "",
        "provenance": None,
        "source": dict(source),
        "picture": geometry.shape[0] == 1 and not geometry.orientation_known,
    }


def _placed(geometry: Geometry, how: Reorientation, *, time: bool = False) -> dict[str, Any]:
    """Return scale, translate, units and axis_labels; napari wants the same units on every layer of a scan.

    Unknown spacing is ``pixel``: a ruler in mm would be an invention. A time axis counts frames.
    """
    shown = geometry.reoriented(how)
    scale, translate = list(shown.spacing_mm), list(shown.display_translate_mm())
    names = ["S-I", "A-P", "R-L"] if geometry.orientation_known else ["z", "y", "x"]
    units = ["mm" if geometry.spacing_known else "pixel"] * 3
    if geometry.shape[0] == 1 and not geometry.orientation_known:
        scale, translate, names, units = scale[1:], translate[1:], names[1:], units[1:]
    if time:
        scale, translate, names, units = [1.0, *scale], [0.0, *translate], ["t", *names], ["pixel", *units]
    return {"scale": scale, "translate": translate, "axis_labels": names, "units": units}


def _grid_words(geometry: Geometry) -> str:
    size = " x ".join(map(str, geometry.shape[::-1]))
    spacing = " x ".join(f"{s:.3g}" for s in geometry.spacing_mm[::-1])
    return f"{size} voxels of {spacing} mm" if geometry.spacing_known else f"{size} voxels"
