"""What the keys of the table do in one dock, and its place in napari's lists of mouse callbacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_medcnn.widgets.correcting import Correcting
from napari_medcnn.widgets.strokes import Strokes
from napari_medcnn.widgets.viewing import Viewing
from napari_medcnn.widgets.views.pane import MAIN, Pane
from napari_medcnn.widgets.views.views import Views

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

#: Callbacks of napari that ours stand for, by the list they are in.
_UNWANTED = {"mouse_wheel_callbacks": ("dims_scroll",), "mouse_double_click_callbacks": ("double_click_to_zoom",)}


def actions_of(dock: MedcnnDock) -> dict[str, Callable[..., Any]]:
    """Return the function of every action that `keymap.KEYS` names."""
    view, work = dock.viewing, dock.correcting
    return {
        "move": view.move,
        "go_to_end": lambda last: view.go_to_end(bool(last)),
        "move_time": view.move_time,
        "preset": view.use_preset,
        "invert": view.invert,
        "hide_overlays": partial(_hide_overlays, dock, True),
        "release_hide_overlays": partial(_hide_overlays, dock, False),
        "outline": view.outline,
        "toggle_mode": dock.toggle_mode,
        "show_keys": dock.show_keys,
        "cancel": dock.cancel,
        "undo": dock.strokes.undo,
        "redo": dock.strokes.redo,
        "pick_class": work.choose_class,
        "step_class": work.step_class,
        "swap_class": work.swap_class,
        "find_class": work.classes.find,
        "tool_pick": lambda: work.use_tool("pick"),
        "tool_paint": lambda: dock.painting.take_brush(),
        "tool_erase": lambda: work.use_tool("erase"),
        "brush": work.step_brush,
        **dock.reading.actions(),
        **dock.why.actions(),
        **dock.toolbox.actions(),
        **dock.doubts.actions(),
    }


def _hide_overlays(dock: MedcnnDock, hidden: bool) -> None:
    """Masks, maps and the crosshair are hidden while a key is held."""
    if hidden:
        dock.viewing.hold_overlays()
    else:
        dock.viewing.release_overlays()
    dock.views.hold(hidden)


class MouseHooks:
    """Our mouse callbacks, first in napari's lists: they decide before a layer's tool hears of a press."""

    def __init__(self, viewer: Any, views: Views, viewing: Viewing, strokes: Strokes, correcting: Correcting) -> None:
        views.add_hook("wheel", correcting.on_wheel)
        views.add_hook("wheel", viewing.on_wheel)
        views.add_hook("drag", viewing.on_drag)
        views.add_hook("double_click", self.on_double_click)
        views.add_hook("drag", strokes.on_press, main_only=True)
        # Napari also moves its sliders on Ctrl+wheel and zooms on double-click; one gesture, one meaning.
        self._views = views
        self._silenced: list[tuple[Any, Any]] = []
        self._silence(viewer)
        views.pane_added.connect(self._on_pane)

    def _on_pane(self, pane: Pane) -> None:
        if pane.name != MAIN:
            self._silence(pane.viewer)

    def _silence(self, viewer: Any) -> None:
        for name, unwanted in _UNWANTED.items():
            callbacks = getattr(viewer, name)
            for callback in [c for c in callbacks if getattr(c, "__name__", "") in unwanted]:
                callbacks.remove(callback)
                self._silenced.append((callbacks, callback))

    def on_double_click(self, viewer: Any, event: Any) -> None:
        """Maximise or fit what is ours; layers of others keep what napari does."""
        if self._views.has_scan:
            self._views.on_double_click(viewer, event)
            return
        for _, callback in self._silenced:
            if getattr(callback, "__name__", "") == "double_click_to_zoom":
                callback(viewer, event)
                return

    def close(self) -> None:
        """Give napari's gestures back; `Views.close` takes our callbacks out."""
        for callbacks, callback in self._silenced:
            callbacks.insert(0, callback)
        self._silenced.clear()
