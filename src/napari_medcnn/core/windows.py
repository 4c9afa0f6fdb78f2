"""Display windows: which values are drawn black and which white, and the usual ones of each kind of scan.

A window is stated as radiologists do, by its level (middle) and width, or as the values of black and white:
low = level - width / 2 and high = level + width / 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.core.quantity import plain

Limits = tuple[float, float]

#: Unit in which CT is shown, and how every unit of PET that has a window here begins ("SUVbw", "SUVlbm").
HU, SUV = "HU", "SUV"
_SAMPLES = 1_000_000
#: The share of pixels that a drag over this many of them changes the width by e, or the level by one width.
_WIDTH_PX, _LEVEL_PX = 150.0, 200.0
#: The lowest value of a CT is that of air, or of the padding around its circle; bone is above 300.
_AIR_HU, _BONE_HU = (-4096.0, -500.0), 300.0
#: Numbers of the keys of windows.
_FIRST, _LAST = 1, 9


@dataclass(frozen=True)
class Window:
    """Values from `low` (black) to `high` (white).

    Parameters
    ----------
    name
        For people.
    low, high
        In the unit of the scan.
    inverted
        True shows small values white, False black; None leaves that as it is.
    """

    name: str
    low: float
    high: float
    inverted: bool | None = None

    def limits(self, _array: NDArray[Any], _whole: Limits) -> Limits:
        """Return (low, high)."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Percentiles:
    """The values between two percentiles of a scan, for values that have no unit: MR, pictures, counts."""

    name: str
    lower: float
    upper: float
    inverted: bool | None = None

    def limits(self, array: NDArray[Any], whole: Limits) -> Limits:
        """Return the percentiles of a scan; the `whole` range where they coincide or no value is finite."""
        return percentiles(array, (self.lower, self.upper)) or whole


Preset = Window | Percentiles


def by_level(name: str, level: float, width: float, inverted: bool | None = None) -> Window:
    """Return the window around `level` that is `width` wide."""
    return Window(name, level - width / 2, level + width / 2, inverted)


#: Windows of CT in HU, in the order of the keys 1 to 7. Level and width are those of Radiopaedia's article "Windowing
#: (CT)" (Murphy, Bell et al., radiopaedia.org/articles/windowing-ct); for soft tissue, where it gives 20 to 60 and 350
#: to 400, the usual 40 and 400.
CT = (
    by_level("Soft tissue", 40, 400),
    by_level("Lung", -600, 1500),
    by_level("Bone", 400, 1800),
    by_level("Brain", 40, 80),
    by_level("Liver", 30, 150),
    by_level("Mediastinum", 50, 350),
    by_level("Stroke", 40, 40),
)
#: PET is read dark on white, from 0 up.
PET = (Window("0 to 10", 0, 10, True), Window("0 to 5", 0, 5, True), Window("0 to 20", 0, 20, True))
#: What a scan without a unit opens with, and its further windows.
USUAL_PERCENTILES = Percentiles("0.5 to 99.5 %", 0.5, 99.5)
_WITHOUT_UNIT = (USUAL_PERCENTILES, Percentiles("2 to 98 %", 2, 98))


def may_be_hu(unit: str, modality: str, whole: Limits) -> bool:
    """Return True for a scan that states no unit and no modality, as NIfTI does, with values from air to bone."""
    return not unit and not modality and _AIR_HU[0] <= whole[0] <= _AIR_HU[1] and whole[1] >= _BONE_HU


def presets(
    unit: str, whole: Limits, further: Sequence[tuple[str, float, float]] = (), modality: str = ""
) -> Mapping[int, Preset]:
    """Return the windows of a scan by the number of their key, 1 to 9; key 0 is the window it opened with.

    Parameters
    ----------
    unit
        Of its values: "HU", "SUVbw", or "" and others. The windows of CT are also offered where values may be HU; that
        is an offer to look, nothing is taken for HU because of it.
    whole
        Its lowest and highest value.
    modality
        DICOM code, "" if not stated.
    further
        Windows that the file offers beside the one it opens with, as (name, low, high): keys 8 and 9 of a CT, the next
        free ones of other scans. Windows that are empty or not finite are left out.
    """
    if unit == HU:
        usual: tuple[Preset, ...] = CT
    elif may_be_hu(unit, modality, whole):
        usual = (*CT, USUAL_PERCENTILES, Window("All values", *whole))
    elif unit.startswith(SUV):
        usual = PET
    else:
        usual = (*_WITHOUT_UNIT, Window("All values", *whole))
    own = [Window(name, low, high) for name, low, high in further if is_window(low, high)]
    return dict(zip(range(_FIRST, _LAST + 1), (*usual, *own), strict=False))


def is_window(low: float, high: float) -> bool:
    """Return True if two numbers can be black and white."""
    return bool(np.isfinite(low) and np.isfinite(high) and low < high)


def percentiles(array: NDArray[Any], percents: Limits) -> Limits | None:
    """Return two percentiles of a regular sample (a million) of the finite values; None where they coincide.

    Small enough a sample that nobody waits: about 30 ms, whatever the scan.
    """
    step = max(1, round((array.size / _SAMPLES) ** (1 / max(1, array.ndim))))
    sample = array[tuple(slice(step // 2 if n > step else 0, None, step) for n in array.shape)].astype(np.float64)
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return None
    low, high = (float(p) for p in np.percentile(finite, percents))
    return (low, high) if low < high else None


def dragged(limits: Limits, across: float, down: float, whole: Limits, whole_numbers: bool) -> Limits:
    """Return the window after a drag by some pixels: to the right is wider, downwards raises the level (darker).

    The speed follows the width, so that narrow windows can be set finely and wide ones quickly: 150 px across change
    the width by the factor e, 200 px down the level by one width. The level stays among the values of the scan, the
    width between one step of its values and four times its range, so that the picture is never lost.

    Parameters
    ----------
    limits
        The window before.
    across, down
        Pixels.
    whole
        Lowest and highest value of the scan.
    whole_numbers
        True if values are whole numbers: the narrowest window is then 1 wide.
    """
    low, high = limits
    width, level, span = high - low, (low + high) / 2, whole[1] - whole[0]
    narrowest = 1.0 if whole_numbers else span * 1e-4
    # a window that was typed or came with the file may lie outside; it moves on from there, never further away
    widest = max(4 * span, width, narrowest)
    wider = float(np.clip(width * np.exp(np.clip(across, -1e4, 1e4) / _WIDTH_PX), min(narrowest, width), widest))
    level = float(np.clip(level + down * width / _LEVEL_PX, min(whole[0], level), max(whole[1], level)))
    return (level - wider / 2, level + wider / 2)


def window_words(limits: Limits, unit: str = "") -> str:
    """Return "W 400 L 40" as it stands in the corner of a picture; four digits are enough there."""
    width, level = limits[1] - limits[0], (limits[0] + limits[1]) / 2
    words = f"W {plain(width, 4)} L {plain(level, 4)}"
    return f"{words} {unit}" if unit else words
