"""Colours of DICOM pictures as RGB: luminance and colour differences, palettes."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.pixels import apply_color_lut

from napari_medcnn.core.geometry import Array

#: Photometric Interpretations whose decoded samples are luminance and two colour differences of full range.
YBR = ("YBR_FULL", "YBR_FULL_422")


def rgb_from_ybr(ybr: Array) -> Array:
    """Return (..., 3) RGB of full-range Y, CB, CR in the same unsigned type (DICOM PS3.3 C.7.6.3.1.2, inverted).

    The zero of the colour differences is half the type's range: 128 for 8 bits.  Rounded to the nearest, cut to range.
    """
    top = np.iinfo(ybr.dtype).max
    half = (top + 1) // 2
    wide: Array = ybr.astype(np.float64 if ybr.dtype.itemsize > 2 else np.float32)
    y, cb, cr = wide[..., 0], wide[..., 1] - half, wide[..., 2] - half
    out = np.empty_like(ybr)
    for channel, value in enumerate((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb)):
        out[..., channel] = np.clip(np.floor(value + 0.5), 0, top)
    return out


def expanded_422(raw: Array, rows: int, columns: int) -> Array:
    """Return (y, x, 3) of uncompressed YBR_FULL_422: Y1 Y2 CB CR for each two pixels of a row (C.7.6.3.1.2)."""
    pairs = raw.reshape(rows, columns // 2, 4)
    out = np.empty((rows, columns // 2, 2, 3), raw.dtype)
    out[..., 0] = pairs[..., :2]
    out[..., 1:] = pairs[:, :, np.newaxis, 2:]
    return out.reshape(rows, columns, 3)


def rgb_from_palette(stored: Array, dataset: Any) -> Array:
    """Return (y, x, 3) colours in the width the palette has: uint8 or uint16 (PS3.3 C.7.6.3.1.5 and .6)."""
    return np.asarray(apply_color_lut(stored, dataset))
