"""How a second series was seen, as plain values for a saved reading, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_medcnn.core.reading_state import numbers
from napari_medcnn.widgets.second_series import pairing
from napari_medcnn.widgets.second_series.fusion import COLOURS
from napari_medcnn.widgets.second_series.panel import ALONE, FUSED, SIDE
from napari_medcnn.widgets.second_series.side import Side
from napari_medcnn.widgets.views.pane import Look

if TYPE_CHECKING:
    from napari_medcnn.widgets.second_series.second import SecondSeries

_MOST_ZOOM = 1000.0


def side_state(side: Side) -> dict[str, Any]:
    """Return what one side shows, and how it follows the first view."""
    look = side.pane.look
    return {
        "linked": side.linked,
        "shift": list(side.link.shift),
        "ratio": side.ratio,
        "point": [float(p) for p in side.pane.viewer.dims.point],
        "look": [*look.centre, look.zoom],
    }


def restore_side(series: SecondSeries, side: Side, kept: Mapping[str, Any]) -> None:
    """Show a side as it was; across patients it is never linked, whatever was kept."""
    x, y, z = numbers(kept["shift"], 3)
    (ratio,) = numbers([kept["ratio"]])
    row, column, zoom = numbers(kept["look"], 3)
    point = numbers(kept["point"])
    if not 1 / _MOST_ZOOM <= ratio <= _MOST_ZOOM or not 1 / _MOST_ZOOM <= zoom <= _MOST_ZOOM:
        raise ValueError("zoom")
    side.link, side.ratio = replace(side.link, shift=(x, y, z)), ratio
    linked = kept["linked"] is True and not pairing.link_refusal(series.whose(side))
    side.link_now(linked)
    if not linked:
        dims = side.pane.viewer.dims
        if len(point) == dims.ndim:
            dims.point = tuple(point)
        side.pane.look = Look((row, column), zoom)


def state_of(series: SecondSeries) -> dict[str, Any]:
    """Return which scans are seen and how; {} without a scan beside the first."""
    seconds, second = series.seconds, series.second
    if not seconds:
        return {}
    layer = None if second is None else series.layer_of(second)
    limits = None if layer is None or layer.rgb else [float(v) for v in layer.contrast_limits]
    return {
        "count": len(seconds),
        "mode": series.mode,
        "number": series.number,
        "share": series.fusion.share,
        "colour": series.fusion.colour,
        "all": series.all_scans,
        "agreed": [number for number, each in enumerate(seconds, 1) if id(each) in series.agreed],
        "window": limits,
        "sides": {str(side.number): side_state(side) for side in series.side.sides},
    }


def restore(series: SecondSeries, kept: Mapping[str, Any]) -> None:
    """Show the scans as they were seen; what does not fit the scans that are open is refused before anything changes.

    Raises
    ------
    ValueError, KeyError, TypeError
        Another number of scans, or a value that is none.
    """
    if not kept:
        return
    seconds, mode, number = series.seconds, kept["mode"], kept["number"]
    if kept["count"] != len(seconds) or mode not in (ALONE, FUSED, SIDE) or number not in range(len(seconds) + 1):
        raise ValueError("second series")
    share, colour = numbers([kept["share"]])[0], kept["colour"]
    agreed = [int(n) for n in kept["agreed"]]
    if not 0 <= share <= 1 or colour not in COLOURS.values() or not set(agreed) <= set(range(1, len(seconds) + 1)):
        raise ValueError("second series")
    window = None if kept["window"] is None else numbers(kept["window"], 2)
    if window is not None and window[0] > window[1]:
        raise ValueError("window")
    sides = {int(n): dict(each) for n, each in dict(kept["sides"]).items()}
    series.fusion.share, series.fusion.colour = share, colour
    for n in agreed:
        series.agreed.add(id(seconds[n - 1]))
    if window is not None and number and not seconds[number - 1].layers[0].rgb:
        seconds[number - 1].layers[0].contrast_limits = tuple(window)
    series.show_as(mode, number, kept["all"] is True, sides)
