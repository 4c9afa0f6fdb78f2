"""What lies under the cursor: the value of every layer that is seen, with its unit and class, and where that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.quantity import plain, unit_words
from napari_medcnn.imaging.align import RESAMPLED
from napari_medcnn.io.layerdata import layer_info
from napari_medcnn.widgets.views.badges import place_words, source_index
from napari_medcnn.widgets.views.frame import Place

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.views.pane import Pane

#: Layers of these kinds have something to say.
_ROLES = ("scan", "mask", "map")


class Readout:
    """Follows the mouse over all panes; napari's status bar says the same.

    Napari's own words there are coordinates along its axes (body downwards, front to back, side to side), which nobody
    can compare with another viewer: they are replaced while the mouse is over a scan of ours.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock, self._viewer = dock, dock.viewer
        self._pane: Pane | None = None
        self._place: Place | None = None
        dock.views.pointed.connect(self.point)
        self._viewer.events.status.connect(self._on_status, position="last")
        self._viewer.events.help.connect(self._on_help, position="last")
        self._viewer.dims.events.current_step.connect(self._on_step)

    def close(self) -> None:
        """Let go of the viewer."""
        self._viewer.events.status.disconnect(self._on_status)
        self._viewer.events.help.disconnect(self._on_help)
        self._viewer.dims.events.current_step.disconnect(self._on_step)

    def point(self, pane: Pane | None, place: Place | None) -> None:
        """The mouse is over a world place of a pane, or (None) over none."""
        before = self._pane
        self._pane = None if place is None else pane
        self._place = place
        if self._dock.session.scan is None:
            return
        if self._pane is not None or before is not None:
            self._viewer.status = " · ".join(self._said)
        for changed in {id(p): p for p in (before, self._pane) if p is not None}.values():
            changed.overlay.update_lower()

    def lines(self, pane: Pane) -> list[str]:
        """Return what a pane says of the place under the cursor, values first; [] unless the mouse is over it."""
        return self._lines() if pane is self._pane else []

    @property
    def _said(self) -> list[str]:
        return self._lines() if self._pane is not None else []

    def _lines(self) -> list[str]:
        pane, place, scan = self._pane, self._place, self._dock.reading.second_series.seen
        frame = None if pane is None else pane.frame()
        if pane is None or place is None or frame is None or scan is None:
            return []
        at = list(place)
        at[frame.depth_axis] = frame.depth  # slices may have changed under a mouse that rests
        here = (at[0], at[1], at[2])
        where = where_words(DisplayGrid(scan.geometry), here, scan.is_picture)
        if RESAMPLED in scan.notes:
            where = where[:1]  # voxels of a turned copy are in no file
        return [*values_at(self._viewer, here), *where]

    def _on_step(self, _event: Any = None) -> None:
        if self._pane is not None and self._dock.session.scan is not None:
            self._viewer.status = " · ".join(self._said)

    def _on_help(self, _event: Any = None) -> None:
        """Napari names keys there that mean something else on layers of ours."""
        if self._viewer.help and self._dock.layers.is_ours(self._viewer.layers.selection.active):
            self._viewer.help = ""

    def _on_status(self, event: Any) -> None:
        if self._pane is None or self._dock.session.scan is None:
            return
        said = " · ".join(self._said)
        if event.value != said:
            self._viewer.status = said


def where_words(grid: DisplayGrid, place: Place, picture: bool) -> list[str]:
    """Return LPS mm and the voxel in the file's order (x, y, z from 0); [] outside the scan."""
    if not grid.holds(place):
        return []
    z, y, x = source_index(grid, place)
    geometry = grid.geometry
    where = []
    if geometry.orientation_known and geometry.spacing_known:
        where.append(place_words(grid.lps_of(place)))
    where.append(f"pixel {x}, {y}" if picture else f"voxel {x}, {y}, {z}")
    return where


def values_at(viewer: Any, place: Place) -> list[str]:
    """Return what every layer of ours that is seen has at a world place, the uppermost first; [] where there is none.

    A single layer needs no name: "45 HU". Several are named, and a mask speaks only where there is a class.
    """
    point = [float(p) for p in viewer.dims.point]
    lead = point[:-3] if len(point) > 3 else []
    found = []
    for layer in reversed(viewer.layers):
        info = layer_info(layer.metadata)
        if info is None or not layer.visible or info["role"] not in _ROLES:
            continue
        value = value_at(layer, [*lead, *place])
        words = "" if value is None else _words(value, info, layer)
        if words:
            found.append((info["role"], layer.name, words))
    named = sum(role != "mask" for role, _, _ in found) > 1
    return [words if not named or role == "mask" else f"{name}: {words}" for role, name, words in found]


def value_at(layer: Any, world: list[float]) -> Any:
    """Return the voxel of a layer at a world point (nearest, as it is shown), a number or colours; None outside.

    The array is asked, not the picture, so no window, slab or interpolation changes the number.
    """
    data = layer.data
    count = int(layer.ndim)
    if len(world) < count:
        return None
    scale, translate = np.asarray(layer.scale), np.asarray(layer.translate)
    index = np.floor((np.asarray(world[-count:]) - translate) / scale + 0.5).astype(int)
    if np.any(index < 0) or np.any(index >= np.asarray(data.shape[:count])):
        return None
    return np.asarray(data[tuple(int(i) for i in index)])


def _words(value: Any, info: Any, layer: Any) -> str:
    if info["role"] == "mask":
        labels: LabelSet = info["labels"] or LabelSet()
        return str(labels.name_of(int(value))) if int(value) else ""
    if value.ndim:
        return " ".join(f"{letter} {int(v)}" for letter, v in zip("RGBA", value, strict=False))
    if not np.isfinite(value):
        return "no value"
    words = plain(float(value), 5) if value.dtype.kind == "f" else str(int(value))
    unit = str(info.get("value_unit", ""))
    if info["role"] == "scan":
        unit = unit_words(unit)  # of maps, shares and scores, there is nothing to be said
    return f"{words} {unit}" if unit else words
