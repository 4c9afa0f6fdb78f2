"""What OME and ImageJ write into a TIFF: the order of its pages, pixel sizes, and time steps."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import tifffile

from napari_medcnn.io.found import plain

_MM = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3, "\\u00b5m": 1e-3, "mm": 1.0,
    "cm": 10.0, "m": 1000.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\s([^>]{0,4000})>")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']{0,200})["']""")


@dataclass(frozen=True)
class Meta:
    """What a program stated; empty where it stated nothing.

    `order` lists (letter, count) of the page axes t, z and c, slowest first; `spacing_mm` is (z, y, x) with NaN where
    unknown; `step_s` the time between frames, NaN if unknown.
    """

    program: str = ""
    order: tuple[tuple[str, int], ...] = ()
    spacing_mm: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    step_s: float = math.nan

    @property
    def pages(self) -> int:
        """How many pages the order accounts for."""
        return math.prod(count for _, count in self.order)

    @property
    def pixel_words(self) -> str:
        """The pixel size in words, or ""."""
        _, y, x = self.spacing_mm
        if not math.isfinite(x) or not math.isfinite(y):
            return ""
        large = min(x, y) >= 0.01
        return f"{x if large else x * 1000:.4g} x {y if large else y * 1000:.4g} {'mm' if large else 'µm'}"


def meta_of(tif: tifffile.TiffFile) -> Meta:
    """Return what OME or ImageJ stated; `Meta()` for neither, or for what cannot be understood."""
    try:
        if tif.is_ome and tif.ome_metadata:
            return _ome(str(tif.ome_metadata)[:1_000_000])
        if tif.is_imagej and isinstance(tif.imagej_metadata, dict):
            return _imagej(tif.imagej_metadata, tif.pages[0])
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, IndexError):
        return Meta()
    return Meta()


def _ome(xml: str) -> Meta:
    """Read the first Pixels element by its attributes; no XML parser, so nothing in it is ever expanded."""
    found = _PIXELS.search(xml)
    if found is None:
        return Meta()
    values = dict(_ATTRIBUTE.findall(found[1]))
    letters = values.get("DimensionOrder", "XYZCT").upper()[2:]
    order = tuple((letter.lower(), int(values.get(f"Size{letter}", "1"))) for letter in reversed(letters))
    z, y, x = (_length(values.get(f"PhysicalSize{a}"), values.get(f"PhysicalSize{a}Unit", "µm")) for a in "ZYX")
    unit = {"s": 1.0, "ms": 1e-3, "min": 60.0}.get(values.get("TimeIncrementUnit", "s"), math.nan)
    return Meta("OME", order, (z, y, x), float(values.get("TimeIncrement", "nan")) * unit)


def _imagej(values: dict[str, Any], page: Any) -> Meta:
    counts = {"t": values.get("frames", 1), "z": values.get("slices", 1), "c": values.get("channels", 1)}
    order = tuple((letter, int(count)) for letter, count in counts.items())
    if math.prod(count for _, count in order) == 1 and int(values.get("images", 1)) > 1:
        order = (("z", int(values["images"])),)
    unit = str(values.get("unit", ""))
    sizes = []
    for tag in ("YResolution", "XResolution"):
        stated = page.tags.get(tag)
        rate = stated.value if stated is not None else (0, 1)
        sizes.append(_length(rate[1] / rate[0] if rate[0] else None, unit))
    depth = _length(values.get("spacing"), unit)
    return Meta("ImageJ", order, (depth, sizes[0], sizes[1]), float(values.get("finterval", math.nan)) or math.nan)


def _length(value: Any, unit: str) -> float:
    """Return mm, NaN for what is no length above 0 or of another unit (pixels)."""
    if value is None:
        return math.nan
    length = float(value) * _MM.get(plain(unit, 20).lower(), math.nan)
    return length if math.isfinite(length) and length > 0 else math.nan
