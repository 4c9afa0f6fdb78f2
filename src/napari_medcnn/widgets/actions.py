"""What the keys of the table do in one dock, and its place in napari's lists of mouse callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_medcnn.widgets.correcting import Correcting
from napari_medcnn.widgets.strokes import Strokes
from napari_medcnn.widgets.viewing import Viewing

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
    }


class MouseHooks:
    """Our mouse callbacks, first in napari's lists: they decide before a layer's tool hears of a press."""

    def __init__(self, viewer: Any, viewing: Viewing, strokes: Strokes, correcting: Correcting) -> None:
        self._hooks = (
            (viewer.mouse_wheel_callbacks, correcting.on_wheel),
            (viewer.mouse_wheel_callbacks, viewing.on_wheel),
            (viewer.mouse_drag_callbacks, viewing.on_drag),
            (viewer.mouse_drag_callbacks, strokes.on_press),
        )
        for callbacks, ours in self._hooks:
            callbacks.insert(0, ours)
        # napari also moves its sliders on Ctrl+wheel, which is zoom here; one gesture, one meaning.
        self._wheel = viewer.mouse_wheel_callbacks
        self._silenced = [c for c in self._wheel if getattr(c, "__name__", "") == "dims_scroll"]
        for callback in self._silenced:
            self._wheel.remove(callback)

    def close(self) -> None:
        """Give the mouse back."""
        for callbacks, ours in self._hooks:
            if ours in callbacks:
                callbacks.remove(ours)
        self._wheel[:0] = self._silenced
        self._silenced = []
