"""Where a tool works: the mask with what may be written, the slice in view, the voxel under the mouse, the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_medcnn.annotation.tools.mask import Mask, Plane
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.results import Segmentation
from napari_medcnn.errors import InputError
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.io.read import read_labels
from napari_medcnn.widgets.tools.given import Voxel
from napari_medcnn.widgets.views.frame import Place
from napari_medcnn.widgets.views.pane import Pane
from napari_medcnn.widgets.views.views import Views

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

#: What is said where a tool that works in slices meets napari's own view in 3D.
NO_SLICE = "Tools work in slices, and this view is in 3D. Show slices again: the 2D/3D button below the layers."
#: Which of red, green and blue stands for a colour picture where a tool goes by values.
_GREEN = 1


class Pointed(QObject):
    """Follows the mouse over all flat views."""

    def __init__(self, views: Views) -> None:
        super().__init__(views)
        self._views = views
        self._pane: Pane | None = None
        self._place: Place | None = None
        views.pointed.connect(self._on_pointed)

    def voxel(self, mask: Any) -> Voxel | None:
        """Return the voxel (z, y, x) of a mask's layer under the mouse; None beside it, and over no view."""
        frame = None if self._pane is None else self._pane.frame()
        if frame is None or self._place is None:
            return None
        at = list(self._place)
        at[frame.depth_axis] = frame.depth  # slices may have changed under a mouse that rests
        return voxel_at(mask, (at[0], at[1], at[2]))

    def on_canvas(self) -> tuple[QWidget, tuple[float, float]]:
        """Return the canvas the mouse is over, and the pixel; the middle of napari's own where it is over none."""
        pane = self._pane or self._views.panes[0]
        frame = pane.frame()
        if frame is None or self._place is None:
            return pane.native, (pane.native.width() / 2, pane.native.height() / 2)
        return pane.native, frame.to_canvas(self._place)

    def _on_pointed(self, pane: Pane, place: Place | None) -> None:
        self._pane, self._place = (None, None) if place is None else (pane, place)


def voxel_at(mask: Any, place: Place) -> Voxel | None:
    """Return the voxel (z, y, x) of a mask's layer at a world place (z, y, x); None beside it."""
    found = np.floor(np.asarray(mask.world_to_data(place[-mask.ndim :]), float) + 0.5).astype(int).tolist()
    if not all(0 <= i < n for i, n in zip(found, mask.data.shape, strict=True)):
        return None
    z, y, x = found if len(found) == 3 else (0, *found)
    return (z, y, x)


def layer_of(dock: MedcnnDock) -> Any:
    """Return the layer of the open mask; InputError where there is none."""
    if dock.layers.mask is None:
        raise InputError("The tools need a mask: run a model, or start an empty mask on the Correct tab.")
    return dock.layers.mask


def mask_of(dock: MedcnnDock) -> Mask:
    """Return the open mask for tools, with its locked classes."""
    info, array = layer_of(dock).metadata[KEY], dock.strokes.array
    if array is None:
        raise InputError("The tools cannot change this mask; open it again.")
    shown = info["geometry"].reoriented(info["how"])
    return Mask(array, shown.spacing_mm if shown.spacing_known else None, dock.session.locked)


def shows_slice(dock: MedcnnDock) -> bool:
    """Return False while the view that tools mean shows a volume in 3D."""
    pane = dock.views.current
    return layer_of(dock).ndim == 2 or (pane is not None and pane.is_flat)


def plane_of(dock: MedcnnDock) -> Plane:
    """Return the slice that is looked at: in the view where the mouse was last; the first one in 3D."""
    mask, pane = layer_of(dock), dock.views.current
    frame = None if pane is None else pane.frame()
    if frame is None or mask.ndim == 2:
        return Plane(0, 0)
    at = list(dock.views.place)
    at[frame.depth_axis] = frame.depth
    index = round(float(mask.world_to_data(at)[frame.depth_axis]))
    return Plane(frame.depth_axis, min(max(0, index), mask.data.shape[frame.depth_axis] - 1))


def values_of(dock: MedcnnDock) -> Array | None:
    """Return the values (z, y, x) that lie under the mask, of the time point that is shown; None without a scan.

    Of a colour picture they are its green: the brightest part of what an eye sees, where vessels and stained tissue
    stand out most, and a number that the corner of the picture says.
    """
    scan = dock.layers.scan
    if scan is None:
        return None
    data = scan.data
    if str(scan.metadata[KEY].get("axes", "")).startswith("t"):
        data = data[dock.frame]
    if scan.rgb:
        data = data[..., _GREEN]
    return data[None] if data.ndim == 2 else data


def unit_of(dock: MedcnnDock) -> str:
    """Return what the values under the mask are counted in: HU, G in a colour picture as in its corner, else empty."""
    scan = dock.layers.scan
    if scan is None:
        return ""
    return "G" if scan.rgb else str(scan.metadata[KEY].get("value_unit") or "")


def window_of(dock: MedcnnDock) -> tuple[float, float]:
    """Return the lowest and highest value of the brightness window, or of a colour; 0 and 1 without a scan."""
    scan = dock.layers.scan
    if scan is None:
        return (0.0, 1.0)
    if scan.rgb:
        kind = np.dtype(scan.data.dtype)
        return (0.0, float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0)
    low, high = (float(v) for v in scan.contrast_limits)
    return (low, high)


def others_of(dock: MedcnnDock) -> dict[str, Callable[[], Array]]:
    """Return the model's mask and the saved one in the order that is shown, each read when it is asked for."""
    info, result, path = layer_of(dock).metadata[KEY], dock.session.result, dock.session.file.path
    how, geometry = info["how"], info["geometry"]
    found: dict[str, Callable[[], Array]] = {}
    if isinstance(result, Segmentation):
        array = result.mask.array
        found["model"] = lambda: how.apply(array)
    if path is not None:

        def saved() -> Array:
            mask = read_labels(path)
            if not mask.geometry.same_grid(geometry):
                raise InputError(f"{path.name}: the saved mask does not lie on the grid of the scan any more.")
            return how.apply(mask.array)

        found["saved"] = saved
    return found


def channel_ids(result: Segmentation, count: int) -> tuple[int, ...] | None:
    """Return the class id of each of `count` channels of probabilities, 0 for background; None if they do not say."""
    by_name = {label.name: label.id for label in result.mask.labels}
    ids = tuple(by_name.get(name, 0) for name in result.channel_names)
    return ids if len(ids) == count and len(set(ids)) == len(ids) else None
