"""How a value changes over time points, echoes or b-values: at a voxel, in a region, in a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.core.quantity import unit_words
from napari_medcnn.core.volume import Volume


@dataclass(frozen=True, eq=False)
class Curve:
    """Values over steps.

    Parameters
    ----------
    name
        For people.
    x, y
        (n,) float64: value of each step (34.2 s), and of the voxel or the mean there; y may hold NaN.
    x_label
        What x is, with its unit: "t (s)".
    y_label
        What y is: "HU", or "as stored" where the file states no unit.
    """

    name: str
    x: Float
    y: Float
    x_label: str
    y_label: str


def steps_of(volume: Volume) -> tuple[Float, str]:
    """Return the value of each time point, echo or b-value and what it is; counted from 1 where not stated."""
    if not volume.frame_values:
        return np.arange(1.0, volume.frames + 1), "step"
    unit = f" ({volume.frame_unit})" if volume.frame_unit else ""
    return np.array(volume.frame_values, dtype=np.float64), f"{volume.frame_name or 'step'}{unit}"


def has_curve(volume: Volume | None) -> bool:
    """Return True for a scan of several steps with one value per voxel."""
    return volume is not None and volume.frames > 1 and volume.axes == "tzyx"


def voxel_curve(volume: Volume, index: tuple[int, int, int], name: str) -> Curve | None:
    """Return the values of a voxel (z, y, x of the file's order) at all steps; None outside of the scan."""
    if not all(0 <= at < size for at, size in zip(index, volume.geometry.shape, strict=True)):
        return None
    z, y, x = index
    return _curve(volume, name, _real(volume.array[:, z, y, x]).astype(np.float64))


def mean_steps(volume: Volume, box: tuple[slice, slice, slice], inside: Array) -> Iterator[float]:
    """Yield the mean of a region at each step in turn; NaN where none of its values is finite.

    `box` is a part of the scan, (start, stop) along (z, y, x); `inside` says which of its voxels count.
    """
    for frame in volume.array:
        values = _real(frame[box][inside]).astype(np.float64)
        values = values[np.isfinite(values)]
        yield float(values.mean()) if values.size else float("nan")


def mean_curve(volume: Volume, means: list[float], name: str) -> Curve:
    """Return the curve of means that `mean_steps` gave."""
    return _curve(volume, name, np.array(means, dtype=np.float64))


def _curve(volume: Volume, name: str, y: Float) -> Curve:
    x, label = steps_of(volume)
    return Curve(name, x, y, label, unit_words(volume.value_unit))


def _real(values: Array) -> Array:
    return np.abs(values) if values.dtype.kind == "c" else values
