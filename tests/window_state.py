"""Keys as Qt has them, and everything of a window that a key or a drag could change behind our back."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_medcnn.widgets.keymap import KEYS

_QT = {
    "[": "BracketLeft", "]": "BracketRight", "-": "Minus", "=": "Equal", ",": "Comma", ".": "Period",
    ";": "Semicolon", "'": "Apostrophe", "\\": "Backslash", "/": "Slash", "`": "QuoteLeft", "Enter": "Return",
}  # fmt: skip
_HELD = {
    "Control": Qt.KeyboardModifier.ControlModifier, "Ctrl": Qt.KeyboardModifier.ControlModifier,
    "Shift": Qt.KeyboardModifier.ShiftModifier, "Alt": Qt.KeyboardModifier.AltModifier,
}  # fmt: skip


def qt_key(name: str) -> tuple[Any, Any]:
    """Return key and modifiers of "Control-Z", or of "Ctrl+Z" as napari prints it."""
    *held, last = name.replace("+", "-").split("-") if len(name) > 1 else [name]
    modifiers = Qt.KeyboardModifier.NoModifier
    for word in held:
        modifiers |= _HELD[word]
    return getattr(Qt.Key, f"Key_{_QT.get(last, last)}"), modifiers


def of_layer(layer: Layer) -> tuple[Any, ...]:
    """Return what a key could change on a layer."""
    found: list[Any] = [
        layer.name, str(layer.mode), layer.visible, layer.opacity, layer.editable, tuple(layer.scale),
        tuple(layer.translate), layer.affine.affine_matrix.tobytes(), layer.rotate.tobytes(),
    ]  # fmt: skip
    if isinstance(layer, Labels):
        found += [layer.selected_label, layer.brush_size, layer.preserve_labels, layer.contour, layer.n_edit_dimensions]
        found += [layer.contiguous, layer.show_selected_label, zlib.crc32(np.ascontiguousarray(layer.data))]
    elif isinstance(layer, Image):
        found += [layer.colormap.name, layer.gamma, layer.depiction, layer.rendering, layer.plane.normal]
        found += [] if layer.rgb else [tuple(layer.contrast_limits)]
    else:
        found += [len(layer.data), len(layer.selected_data)]
    return tuple(found)


def of_view(viewer: Any) -> tuple[Any, ...]:
    """Return what a key could change in a view, its layers aside."""
    dims, camera = viewer.dims, viewer.scene.camera
    return (
        len(viewer.layers), dims.ndisplay, tuple(dims.order), tuple(dims.point), dims.last_used, camera.zoom,
        tuple(camera.center), tuple(camera.angles), viewer.canvas.grid.enabled, viewer.theme,
    )  # fmt: skip


def of_window(desk: Any, layers: Any = None) -> dict[str, Any]:
    """Return everything: views, which layer is chosen, and the given layers (ours by default)."""
    dock = desk.dock
    found: dict[str, Any] = {"chosen": desk.viewer.layers.selection.active, "tab": dock.tabs.currentIndex()}
    found["layout"] = dock.views.layout
    for pane in dock.views.panes:
        found[f"view {pane.name}"] = of_view(pane.viewer)
        if pane.name != "main":
            found[f"copies {pane.name}"] = [
                (layer.name, str(layer.mode), layer.visible) for layer in pane.viewer.layers
            ]
    for layer in dock.layers.ours if layers is None else layers:
        found[f"layer {layer.name}"] = of_layer(layer)
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what differs."""
    return {key: (before.get(key), after.get(key)) for key in {**before, **after} if before.get(key) != after.get(key)}


def as_ours(name: str) -> str:
    """Return a key as our table spells it."""
    return name.replace("Ctrl", "Control").replace("+", "-") if len(name) > 1 else name


class Presses:
    """Counts what our actions are asked to do, and lets none of them do it until `end`.

    The window is looked at once after each press and compared with the look before, so that nothing which changes
    between two presses is missed either. Who changes something himself looks again.
    """

    def __init__(self, desk: Any) -> None:
        self.desk, self.called = desk, []
        self._layers: Any = None
        self._seen: dict[str, Any] = {}
        self._own = dict(desk.dock.keymap._actions)
        for row in KEYS:
            desk.dock.keymap._actions[row.action] = self._action(row.action)
            desk.dock.keymap._actions[f"release_{row.action}"] = lambda: None

    def end(self) -> None:
        """Let the actions act again, and hold nothing of the window: pytest keeps what a test was given."""
        self.desk.dock.keymap._actions.clear()
        self.desk.dock.keymap._actions.update(self._own)
        self.__dict__.clear()

    def _action(self, name: str) -> Any:
        return lambda *arguments: self.called.append((name, *arguments))

    def expected(self, name: str) -> list[tuple[Any, ...]]:
        """Return what the table says of a key in the mode that holds."""
        mode = self.desk.dock.mode
        row = next((k for k in KEYS if k.key and k.key == as_ours(name) and mode in k.modes), None)
        return [] if row is None else [(row.action, *(() if row.argument is None else (row.argument,)))]

    def look(self, layers: Any = None) -> None:
        """Look at the window as it is now: what changed until here is no key's doing. Ours are seen, or `layers`."""
        self._layers = layers
        self._seen = of_window(self.desk, layers)

    def press(self, native: Any, name: str) -> tuple[list[Any], dict[str, Any]]:
        """Press a key; return what was asked of us, and what changed all the same since the last look."""
        self.called.clear()
        QTest.keyClick(native, *qt_key(name))
        before, self._seen = self._seen, of_window(self.desk, self._layers)
        return list(self.called), changes(before, self._seen)
