"""Numbers in words: how many digits a value, a length, an area or a volume is shown with, and what stands for a unit.

The one home of that: picture, tables, readout and window say the same number alike. Files get more digits.
"""

from __future__ import annotations

import numpy as np

#: Stands in the place of the unit of values of which the file states none.
AS_STORED = "as stored"
_MM3_PER_ML = 1000.0


def plain(value: float, digits: int = 7) -> str:
    """Return a number with a point and without an exponent, as it can be typed again; "-0" is 0."""
    rounded = float(f"{value:.{digits}g}")
    return np.format_float_positional(rounded + 0.0, trim="-")


def short(value: float) -> str:
    """Return three digits of a number, and no fewer than stand before the point: "0.0123", "9.14", "123", "4567"."""
    return plain(round(value) if abs(value) >= 100 else value, 3 if abs(value) < 100 else 15)


def number(value: float | None) -> str:
    """Return a value as `short` does, "" for none."""
    return "" if value is None else short(value)


def length_number(value: float) -> str:
    """Return the number of a length: tenths, as rulers are read, and below 1 two digits that count."""
    return f"{value:.1f}" if value == 0 or abs(value) >= 1 else plain(value, 2)


def size_words(value: float, unit: str, power: int = 1) -> str:
    """Return "12.3 mm", "456 mm²", "1.23 ml": a length, an area or a volume; ml from 1000 mm³ on."""
    if power == 1:
        return f"{length_number(value)} {unit}"
    if power == 3 and unit == "mm" and value >= _MM3_PER_ML:
        return f"{short(value / _MM3_PER_ML)} ml"
    return f"{short(value)} {unit}{'²' if power == 2 else '³'}"


def unit_words(unit: str) -> str:
    """Return the unit of values, `AS_STORED` where the file states none."""
    return unit or AS_STORED
