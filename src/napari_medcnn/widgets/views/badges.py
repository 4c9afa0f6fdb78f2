"""What stands in the corners of a picture: mode, badges, patient, slice, time and brightness, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_medcnn.core import windows
from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.quantity import unit_words
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.views.corners import Line, line
from napari_medcnn.widgets.views.frame import Frame, Place

NEUROLOGICAL = "NEUROLOGICAL DISPLAY"
_BODY = (("R", "L"), ("A", "P"), ("I", "S"))
#: A scan that is turned by more than this is called tilted.
_STRAIGHT_DEG = 0.5


def place_words(lps: Any) -> str:
    """Return LPS mm as people say it: "L 12.3 · P 45.6 · S 78.9 mm"."""
    return " · ".join(_side(axis, float(value)) for axis, value in enumerate(lps)) + " mm"


def _side(axis: int, value: float) -> str:
    value = round(value, 1) + 0.0  # never "-0.0"
    return f"{_BODY[axis][int(value >= 0)]} {abs(value):.1f}"


def slice_line(scan: Volume, frame: Frame) -> Line | None:
    """Return which slice of how many is seen, where in the patient and how far slices lie apart; None for a picture.

    The place is that of the slice along the nearest axis of the body; of a tilted scan that of its middle.
    """
    if scan.is_picture or frame.depth_axis > 2:
        return None
    grid, axis = DisplayGrid(scan.geometry), frame.depth_axis
    count, spacing = grid.shown.shape[axis], grid.shown.spacing_mm[axis]
    place = [0.0, 0.0, 0.0]
    place[axis] = frame.depth
    at = int(np.floor(grid.index_of(place)[axis] + 0.5))
    if not 0 <= at < count:
        return line("outside the scan")
    words = f"{at + 1} of {count}"
    if not scan.geometry.spacing_known:
        return line(words)
    apart = f"every {spacing:.3g} mm" if count > 1 else ""
    mm = grid.slice_mm(axis, frame.depth)
    tilted = " in the middle" if tilt_words(scan) else ""
    where = "" if mm is None else f"{_side(2 - axis, mm)} mm{tilted}"
    long = " · ".join(part for part in (words, where, apart) if part)
    short = " · ".join(part for part in (words, where.removesuffix(" in the middle")) if part)
    return line(long, short, words)


def window_words(layer: Any) -> str:
    """Return "W 400 L 40" with the unit where it is not HU, "as stored" without one; "" for colours."""
    if layer.rgb:
        return ""
    low, high = (float(limit) for limit in layer.contrast_limits)
    unit = str(layer.metadata[KEY].get("value_unit", ""))
    return windows.window_words((low, high), "" if unit == windows.HU else unit_words(unit))


def preset_name(layer: Any, presets: Iterable[windows.Preset]) -> str:
    """Return the name of the preset whose window is on, "" if it is none of them."""
    here = tuple(float(limit) for limit in layer.contrast_limits)
    for preset in presets:
        if isinstance(preset, windows.Window) and _same(here, (preset.low, preset.high)):
            return preset.name
    return ""


def _same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Return True for numbers alike but for rounding; `numpy.allclose` of two pairs costs as much as drawing a line."""
    return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(one, other, strict=True))


def tilt_words(scan: Volume) -> str:
    """Return "tilted by 12°" for a scan that does not lie along the axes of the body, else ""."""
    grid = scan.geometry
    tilt = grid.obliquity_deg if grid.orientation_known else 0.0
    if tilt <= _STRAIGHT_DEG:
        return ""
    return f"tilted by {tilt:.1f}°" if tilt < 9.95 else f"tilted by {tilt:.0f}°"


def source_index(grid: DisplayGrid, place: Place) -> tuple[int, int, int]:
    """Return the voxel (z, y, x) of the file's order in which a world place lies."""
    z, y, x = np.floor(grid.source_of(place) + 0.5).astype(int)
    return int(z), int(y), int(x)
