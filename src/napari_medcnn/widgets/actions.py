"""What the keys of the table do in one dock, and its place in napari's lists of mouse callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_medcnn.widgets.correcting import Correcting
from napari_medcnn.widgets.strokes import Strokes
from napari_medcnn.widgets.viewing import Viewing
from napari_medcnn.widgets.views.views import Views

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


def actions_of(dock: MedcnnDock) -> dict[str, Callable[..., Any]]:
    """Return the function of every action that `keymap.KEYS` names."""
    view, work = dock.viewing, dock.correcting
    return {
        "move": view.move,
        "go_to_end": lambda last: view.go_to_end(bool(last)),
        "move_time": view.move_time,
        "preset": view.use_preset,
        "invert": view.invert,
        "hide_overlays": view.hold_overlays,
        "release_hide_overlays": view.release_overlays,
        "outline": view.outline,
        "toggle_mode": dock.toggle_mode,
        "show_keys": dock.show_keys,
        "cancel": dock.cancel,
        "undo": dock.strokes.undo,
        "redo": dock.strokes.redo,
        "pick_class": work.choose_class,
        "step_class": work.step_class,
        "swap_class": work.swap_class,
        "tool_pick": lambda: work.use_tool("pick"),
        "tool_paint": lambda: work.use_tool("paint"),
        "tool_erase": lambda: work.use_tool("erase"),
        "tool_fill": lambda: work.use_tool("fill"),
        "brush": work.step_brush,
        **dock.reading.actions(),
    }


class MouseHooks:
    """Our mouse callbacks, first in napari's lists: they decide before a layer's tool hears of a press."""

    def __init__(self, viewer: Any, views: Views, viewing: Viewing, strokes: Strokes, correcting: Correcting) -> None:
        views.add_hook("wheel", correcting.on_wheel, main_only=True)
        views.add_hook("wheel", viewing.on_wheel)
        views.add_hook("drag", viewing.on_drag)
        views.add_hook("drag", strokes.on_press, main_only=True)
        # napari also moves its sliders on Ctrl+wheel, which is zoom here; one gesture, one meaning.
        self._wheel = viewer.mouse_wheel_callbacks
        self._silenced = [c for c in self._wheel if getattr(c, "__name__", "") == "dims_scroll"]
        for callback in self._silenced:
            self._wheel.remove(callback)

    def close(self) -> None:
        """Give the wheel back; `Views.close` takes our callbacks out."""
        self._wheel[:0] = self._silenced
        self._silenced = []
