"""Copies of the layers of the first view in another one: the same arrays, kept alike.

A napari layer holds the slice of one view, so each view needs layers of its own. They share the array, their history
stays empty, and nothing is ever painted in them.
"""

from __future__ import annotations

from typing import Any

from napari.layers import Image, Labels, Layer

from napari_medcnn.widgets.layers import Layers

_SAME = ("visible", "opacity", "blending", "name")
_SAME_IMAGE = ("contrast_limits", "colormap", "gamma", "interpolation2d", "projection_mode")
_SAME_LABELS = ("colormap", "contour", "projection_mode")


class Mirror:
    """Keeps the layers of one further view like those of the first.

    Parameters
    ----------
    source, layers
        The first viewer, and which of its layers are ours.
    target
        The viewer model of the other view.
    volume
        True for the 3D view, which shows a small preview instead of the layers.
    """

    def __init__(self, source: Any, layers: Layers, target: Any, volume: bool) -> None:
        self._source, self._layers, self._target, self._volume = source, layers, target, volume
        self._pairs: list[tuple[Layer, Layer]] = []
        self._running = False

    def begin(self) -> None:
        """Show what the first view shows, and keep it so."""
        if self._running or self._volume:
            return
        self._running = True
        for layer in self._layers.ours:
            self._add(layer)
        self._layers.added.connect(self._add)
        self._layers.removed.connect(self._remove)

    def end(self) -> None:
        """Let everything go."""
        if not self._running:
            return
        self._running = False
        self._layers.added.disconnect(self._add)
        self._layers.removed.disconnect(self._remove)
        for original, _copy in list(self._pairs):
            self._remove(original)

    def _add(self, layer: Layer) -> None:
        copied = _copy_of(layer)
        if copied is None:
            return
        self._pairs.append((layer, copied))
        self._target.layers.append(copied)
        for name in _names(layer):
            getattr(layer.events, name).connect(self._on_changed)
        layer.events.set_data.connect(self._on_data)

    def _remove(self, layer: Layer) -> None:
        for original, copied in list(self._pairs):
            if original is layer:
                self._pairs = [pair for pair in self._pairs if pair[0] is not layer]
                for name in _names(layer):
                    getattr(layer.events, name).disconnect(self._on_changed)
                layer.events.set_data.disconnect(self._on_data)
                if copied in self._target.layers:
                    self._target.layers.remove(copied)

    def _on_changed(self, event: Any) -> None:
        for original, copied in self._pairs:
            if original is event.source and getattr(copied, event.type, None) is not None:
                setattr(copied, event.type, getattr(original, event.type))

    def _on_data(self, event: Any) -> None:
        """Voxels of a mask changed, or another slice is shown; the arrays are shared."""
        for original, copied in self._pairs:
            if original is event.source and isinstance(copied, Labels):
                copied.refresh(thumbnail=False, highlight=False, extent=False)


def _names(layer: Layer) -> tuple[str, ...]:
    return _SAME + (_SAME_LABELS if isinstance(layer, Labels) else _SAME_IMAGE)


def _copy_of(layer: Layer) -> Layer | None:
    """Return a layer over the same array; None for what is not mirrored."""
    placed = {name: getattr(layer, name) for name in ("scale", "translate", "units", "axis_labels")}
    same = {name: getattr(layer, name) for name in _names(layer)}
    if isinstance(layer, Labels):
        contour = same.pop("contour")
        copied = Labels(layer.data, features=layer.features, **same, **placed)
        copied.contour = contour
        copied.editable = False
        return copied
    if isinstance(layer, Image):
        if layer.rgb:
            for name in ("contrast_limits", "colormap"):
                same.pop(name)
        return Image(layer.data, rgb=layer.rgb, **same, **placed)
    return None
