"""Several scans of one patient as the channels of one, on one grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.imaging.resample import resample_image


def combine(volumes: Sequence[Volume], names: Sequence[str] = ()) -> Volume:
    """Return one scan with a channel for each of several, on the grid of the first.

    Those on another grid are resampled linearly by their position in space; outside of them their smallest value
    stands. Which were, and how much they cover, is said in the notes: scans that were not taken in one session may not
    match, and nothing is registered here.

    Parameters
    ----------
    volumes : at least one, (z, y, x) each; one alone is returned as it is, with any number of channels.
    names : of the channels, one each; by default the names of the scans.

    Returns
    -------
    Volume
        (z, y, x, channel); the dtype of the scans where all share one and nothing was resampled, else float32.

    Raises
    ------
    InputError
        No scan, one with time points or channels of its own, complex numbers, or a scan that lies elsewhere.
    GeometryError
        Grids differ, and a file does not state voxel size or orientation, so nobody knows where it lies.
    """
    if not volumes:
        raise InputError("channels: expected at least one scan")
    if names and len(names) != len(volumes):
        raise InputError(f"channels: expected {len(volumes)} names, got {len(names)}")
    first = volumes[0]
    if len(volumes) == 1:
        return first
    called = tuple(names) or tuple(v.name for v in volumes)
    for name, volume in zip(called, volumes, strict=True):
        if volume.axes != "zyx":
            what = f"{volume.frames} time points" if volume.axes.startswith("t") else f"{volume.channels} channels"
            raise InputError(f"channels: {name} has {what} of its own; choose scans with one value per voxel")
        if volume.array.dtype.kind == "c":
            raise InputError(f"channels: {name} holds complex numbers; save magnitude or phase first")
    arrays, notes = [], list(first.notes)
    for name, volume in zip(called, volumes, strict=True):
        if volume.geometry.same_grid(first.geometry):
            arrays.append(volume.array)
            continue
        placed, inside = _onto(name, volume, called[0], first.geometry)
        arrays.append(placed)
        rest = "" if inside > 0.999 else f"; it covers {inside:.0%} of it, its smallest value stands for the rest"
        notes.append(f"{name} was resampled onto the grid of {called[0]}{rest}.")
    notes += [note for volume in volumes[1:] for note in volume.notes if note not in notes]
    said = [v.report for v in volumes]
    kept: dict[str, Any] = {}
    for volume in reversed(volumes):
        for key in ("consent", "names"):  # what was agreed to, and file names in the reports
            if volume.source.get(key):
                known = volume.source[key]
                kept[key] = {**kept.get(key, {}), **known} if key == "consent" else (*kept.get(key, ()), *known)
    units = {v.value_unit for v in volumes}
    paths = [str(v.source.get("path") or "") for v in volumes]
    return Volume(
        _stacked(arrays),
        first.geometry,
        "zyxc",
        name=first.name,
        modality=first.modality,
        value_unit=units.pop() if len(units) == 1 else "",
        channel_names=called,
        notes=tuple(notes),
        source={"path": "|".join(paths), "item": "", **kept} if all(paths) else kept,
        report=Report(_once(r.found for r in said), _once(r.assumed for r in said), _once(r.refused for r in said)),
        frame_of_reference=first.frame_of_reference,
    )


def _once(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for part in parts for text in part))


def _onto(name: str, volume: Volume, first: str, grid: Geometry) -> tuple[npt.NDArray[Any], float]:
    """Return a scan on another grid, and the share of that grid that it covers."""
    own = volume.geometry
    for title, one in ((first, grid), (name, own)):
        if not one.spacing_known or not one.orientation_known:
            lacks = "the voxel size" if not one.spacing_known else "the orientation"
            raise GeometryError(
                f"channels: {name} has another grid than {first}, and the file of {title} does not state {lacks}, so "
                "they cannot be laid over each other; save them on one grid first"
            )
    # at most 64 planes across each axis are looked at: the share is for a sentence
    looked = [np.unique(np.linspace(0, n - 1, min(n, 64)).round()) for n in grid.shape]
    index = own.lps_to_index(grid.index_to_lps(np.stack(np.meshgrid(*looked, indexing="ij"), axis=-1)))
    # half a voxel: a voxel reaches so far beyond its centre
    inside = float(np.mean(np.all((index >= -0.5) & (index <= np.array(own.shape) - 0.5), axis=-1)))
    if inside == 0:
        raise InputError(f"channels: {name} lies elsewhere than {first}, they share no voxel; are they of one patient?")
    values = np.array(volume.array, dtype=np.float32)
    finite = np.isfinite(values)
    lowest = float(values[finite].min()) if finite.any() else 0.0
    values[~finite] = lowest  # interpolation would spread one gap over its neighbours
    return resample_image(values, own, grid, fill=lowest), inside


def _stacked(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    kinds = {a.dtype for a in arrays}
    result = np.empty((*arrays[0].shape, len(arrays)), kinds.pop() if len(kinds) == 1 else np.float32)
    for channel, array in enumerate(arrays):
        result[..., channel] = array
    return result
