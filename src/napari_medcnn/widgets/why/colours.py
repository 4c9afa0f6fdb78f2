"""Colours of maps over a scan: clear where the map is low, so that the scan stays visible below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.utils.colormaps import Colormap, ensure_colormap

from napari_medcnn.core.geometry import Array, Float

INFERNO, CIVIDIS, BOTH = "Inferno", "Cividis", "Blue and orange"
#: Words for the list -> name of napari's colours.
_HEAT = {INFERNO: "inferno", CIVIDIS: "cividis"}
#: Blue for "spoke against", orange for "spoke for" (Okabe and Ito), white between them.
_BLUE, _WHITE, _ORANGE = (0.0, 0.447, 0.698), (1.0, 1.0, 1.0), (0.902, 0.624, 0.0)
#: As fine as the table that is drawn with.
_STEPS = 1024
#: Up to this share of the largest value the colours become opaque.
_RAMP = 0.4
#: Up to this share white becomes blue or orange: white that is not clear would look like something in the scan.
_COLOURED = 0.15
#: Largest value of the colours: this share of the voxels with a value lies at or below it; few bright ones would
#: darken all others.
_BRIGHT = 0.999
#: As many values are sorted at most; more would take seconds.
_SAMPLED = 2_000_000


def choices(signed: bool) -> tuple[str, ...]:
    """Return the names of the colours that a map can be shown in, the usual one first."""
    return (BOTH, INFERNO, CIVIDIS) if signed else (INFERNO, CIVIDIS)


def colours(name: str, signed: bool, hidden: float = 0.0) -> Float:
    """Return (1024, 4) float64 RGBA from the low to the high end of the limits.

    Parameters
    ----------
    signed
        The limits are -largest to largest; in inferno and cividis what spoke against is clear.
    hidden
        Values below this share (0 to 1) of the largest are clear.
    """
    place = np.linspace(0.0, 1.0, _STEPS)
    share = 2 * place - 1 if signed else place
    size = np.abs(share) if name == BOTH else np.clip(share, 0.0, None)
    if name == BOTH:
        end = np.where(share[:, None] < 0, _BLUE, _ORANGE)
        rgb = np.asarray(_WHITE) + np.clip(size / _COLOURED, 0, 1)[:, None] * (end - np.asarray(_WHITE))
    else:
        rgb = ensure_colormap(_HEAT[name]).map(size)[:, :3]
    alpha = np.clip(size / _RAMP, 0.0, 1.0) ** 1.5
    alpha[size < hidden] = 0.0
    return np.column_stack([rgb, alpha])


def colormap(name: str, signed: bool, hidden: float = 0.0) -> Colormap:
    """Return `colours` as napari takes them; no value is clear."""
    made = Colormap(colours(name, signed, hidden), name=f"why {name} {signed} {hidden:.4f}")
    made.nan_color = (0.0, 0.0, 0.0, 0.0)
    return made


@dataclass(frozen=True, eq=False)
class Ranks:
    """The values of a map in order, to hide all but the highest.

    Parameters
    ----------
    ordered
        float32, rising; of a large map every n-th voxel. Of a signed map sizes, else values, negative ones as 0.
    largest
        What the high end of the colours stands for; above 0, 1 for an empty map.
    empty
        True if no value is above 0.
    """

    ordered: Array
    largest: float
    empty: bool

    @classmethod
    def of(cls, values: Array, signed: bool) -> Ranks:
        """Rank a map (z, y, x); values that are not numbers count as 0."""
        flat = values.reshape(-1)
        flat = flat[:: max(1, -(-flat.size // _SAMPLED))]
        size = np.nan_to_num(np.abs(flat) if signed else np.clip(flat, 0, None), posinf=0.0)
        size = np.sort(size.astype(np.float32, copy=False))
        some = size[np.searchsorted(size, 0, "right") :]
        if not some.size:
            return cls(size, 1.0, True)
        bright = float(some[min(some.size - 1, int(np.ceil(_BRIGHT * some.size)))])
        return cls(size, bright, False)

    def limits(self, signed: bool) -> tuple[float, float]:
        """Return the ends of the colours."""
        return (-self.largest if signed else 0.0, self.largest)

    def share_above(self, hidden: float) -> float:
        """Return which share of the voxels (0 to 1) is at or above a share of the largest value, and above 0."""
        if self.empty or not self.ordered.size:
            return 0.0
        limit, side = (np.float32(hidden * self.largest), "left") if hidden > 0 else (np.float32(0), "right")
        below = np.searchsorted(self.ordered, limit, "left" if side == "left" else "right")
        return float(1.0 - below / self.ordered.size)

    def hidden_for(self, share: float) -> float:
        """Return below which share of the largest value to hide, so that this share of the voxels is left."""
        count = int(np.floor(share * self.ordered.size + 0.5))
        if self.empty or not self.ordered.size or count >= self.ordered.size:
            return 0.0
        limit = self.ordered[self.ordered.size - max(1, count)]
        return float(np.clip(limit / self.largest, 0.0, 1.0))
