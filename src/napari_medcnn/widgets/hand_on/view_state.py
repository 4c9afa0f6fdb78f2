"""How a scan is seen, as plain values, and back: layout, planes, place, zoom, time point, windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_medcnn.core.reading_state import numbers
from napari_medcnn.widgets.views.views import FOUR, ONE

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


def view_state(dock: MedcnnDock) -> dict[str, Any]:
    """Return how the open scan is seen now."""
    views = dock.views
    looks, planes = {}, {}
    for pane in views.shown:
        look = pane.look if pane.frame() is not None else None
        if look is not None:
            looks[pane.name] = [*look.centre, look.zoom]
            planes[pane.name] = pane.axis
    layers = [dock.layers.scan, *(second.layers[0] for second in dock.session.seconds)]
    windows = [
        None if layer is None or layer.rgb else [*map(float, layer.contrast_limits), str(layer.colormap.name)]
        for layer in layers
    ]
    return {
        "layout": views.layout,
        "place": list(views.place),
        "time": dock.frame,
        "planes": planes,
        "looks": looks,
        "windows": windows,
        "neurological": dock.reading.annotations.neurological.box.isChecked(),
    }


def restore_view(dock: MedcnnDock, view: Mapping[str, Any]) -> bool:
    """Show the open scan as it was seen; what does not fit this scan is left as it is. Return True if any did not."""
    odd = False
    for restore in (_planes, _sides, _windows, _time, _place, _looks):
        try:
            restore(dock, view)
        except (KeyError, TypeError, ValueError, IndexError):
            odd = True
    dock.views.redraw()
    return odd


def _planes(dock: MedcnnDock, view: Mapping[str, Any]) -> None:
    views, main, axis = dock.views, dock.views.pane("main"), view["planes"].get("main")
    if view["layout"] not in (ONE, FOUR):
        raise ValueError("layout")
    views.show_one()
    scan = dock.layers.scan
    if main is not None and main.slider is not None and scan is not None and axis in (0, 1, 2) and axis != main.axis:
        main.show_plane(int(axis), int(main.viewer.dims.ndim))
    if view["layout"] == FOUR:
        views.show_four()


def _sides(dock: MedcnnDock, view: Mapping[str, Any]) -> None:
    """Which way round planes are drawn; readings that were saved before that was kept say nothing of it."""
    wanted = view.get("neurological", False)
    if not isinstance(wanted, bool):
        raise ValueError("neurological")
    dock.reading.annotations.neurological.box.setChecked(wanted)


def _windows(dock: MedcnnDock, view: Mapping[str, Any]) -> None:
    layers = [dock.layers.scan, *(second.layers[0] for second in dock.session.seconds)]
    if len(layers) != len(view["windows"]):
        layers = layers[:1]  # a scan beside is gone: nobody knows whose window is whose
    for layer, window in zip(layers, view["windows"], strict=False):
        if layer is None or window is None or layer.rgb:
            continue
        low, high = numbers(window[:2], 2)
        dock.viewing.windowing.set_window(low, high, layer)
        if window[2] in ("gray", "gray_r"):
            layer.colormap = window[2]


def _time(dock: MedcnnDock, view: Mapping[str, Any]) -> None:
    axis = dock.viewing.time_axis
    if axis is not None:
        dock.viewer.dims.set_current_step(axis, int(view["time"]))


def _place(dock: MedcnnDock, view: Mapping[str, Any]) -> None:
    z, y, x = numbers(view["place"], 3)
    dock.views.go_to((z, y, x))


def _looks(dock: MedcnnDock, view: Mapping[str, Any]) -> None:
    for pane in dock.views.shown:
        kept, frame = view["looks"].get(pane.name), pane.frame()
        if kept is not None and frame is not None:
            row, column, zoom = numbers(kept, 3)
            if not 0.01 <= zoom <= 1000:
                raise ValueError("zoom")
            pane.look = type(pane.look)((row, column), zoom)
