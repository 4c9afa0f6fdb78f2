"""Copies of the layers of the first view in another one: the same arrays, kept alike.

A napari layer holds the slice of one view, so each view needs layers of its own. They share the array, their history
stays empty, and nothing is ever painted in them: no layer of a further view is ever the active one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QObject, QTimer

_PLACED = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_SAME = ("visible", "opacity", "blending")
_SAME_VALUES = ("contrast_limits_range", "contrast_limits", "colormap", "gamma")
_SAME_IMAGE = (*_SAME, "interpolation2d", "projection_mode")
_SAME_LABELS = (*_SAME, "projection_mode", "colormap", "contour", "features")
#: What cannot be compared with one word.
_ARRAYS = ("scale", "translate", "rotate", "shear", "affine", "features", "colormap")
#: What a mask announces when voxels changed: a stroke, an undo, a result, a script.
_VOXELS = ("set_data", "labels_update", "paint")
#: Milliseconds between looks at voxels that are being painted.
_PAINT_MS = 30
#: Milliseconds until a hidden layer is copied.
_LEISURE_MS = 30


class Mirror(QObject):
    """Keeps the layers of one further view like those of the first.

    Parameters
    ----------
    source
        The first viewer; its image and labels layers are shown, whoever made them.
    target
        The viewer model of the other view.
    prepare
        Called before the first layer comes into the empty target: it says which plane is wanted.
    leisure_ms
        So long after a hidden layer came its copy is made.
    """

    def __init__(
        self,
        source: Any,
        target: Any,
        prepare: Callable[[], None],
        parent: QObject | None = None,
        leisure_ms: int = _LEISURE_MS,
    ) -> None:
        super().__init__(parent)
        self._source, self._target, self._prepare = source, target, prepare
        self._pairs: list[_Pair] = []
        self._running = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_PAINT_MS)
        self._later.timeout.connect(self._refresh)
        self._waiting: list[Layer] = []
        self._at_leisure = QTimer(self)
        self._at_leisure.setSingleShot(True)
        self._at_leisure.setInterval(leisure_ms)
        self._at_leisure.timeout.connect(self._take_waiting)

    def begin(self) -> None:
        """Show what the first view shows, and keep it so."""
        if self._running:
            return
        self._running = True
        for layer in self._source.layers:
            self._add(layer)
        events = self._source.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        events.reordered.connect(self._on_reordered)

    def end(self) -> None:
        """Let everything go."""
        if not self._running:
            return
        self._running = False
        self._later.stop()
        self._at_leisure.stop()
        self._waiting.clear()
        events = self._source.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._on_reordered)
        for pair in self._pairs:
            pair.close()
        self._pairs.clear()
        self._target.layers.clear()

    def copy_of(self, layer: Layer) -> Layer | None:
        """Return what stands for a layer in this view; None for what is not mirrored."""
        return next((pair.copied for pair in self._pairs if pair.original is layer), None)

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _add(self, layer: Layer) -> None:
        copied = _copy_of(layer)
        if copied is None:
            return
        if not len(self._target.layers):
            self._prepare()
        self._pairs.append(_Pair(layer, copied, self._source.dims, self._later))
        self._target.layers.append(copied)
        self._target.layers.selection.active = None
        self._target.layers.selection.clear()

    def _on_inserted(self, event: Any) -> None:
        if event.value.visible:
            self._add(event.value)
            self._on_reordered()
            return
        self._waiting.append(event.value)  # nobody sees it yet: each view takes it in a turn of its own
        self._at_leisure.start()

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for layer in waiting:
            if self._running and layer in self._source.layers and self.copy_of(layer) is None:
                self._add(layer)
        self._on_reordered()

    def _on_removed(self, event: Any) -> None:
        for pair in self._pairs:
            if pair.original is event.value:
                pair.close()
                self._target.layers.remove(pair.copied)
        self._pairs = [pair for pair in self._pairs if pair.original is not event.value]

    def _on_reordered(self, _event: Any = None) -> None:
        """The same layers lie above the same layers."""
        layers = self._target.layers
        wanted = [copied for copied in map(self.copy_of, self._source.layers) if copied is not None]
        for index, copied in enumerate(wanted):
            now = layers.index(copied)
            if now != index:
                layers.move(now, index)

    def _refresh(self) -> None:
        for pair in self._pairs:
            pair.refresh()


class _Pair:
    """A layer of the first view and its copy."""

    def __init__(self, original: Layer, copied: Layer, dims: Any, later: QTimer) -> None:
        self.original, self.copied = original, copied
        self._dims, self._later, self._stale = dims, later, False
        self._place = self._slice()
        self._names = [n for n in (*_names(original), *_PLACED) if hasattr(original.events, n)]
        for name in self._names:
            getattr(original.events, name).connect(self._on_changed)
        for name in self._voxels:
            getattr(original.events, name).connect(self._on_voxels)
        original.events.data.connect(self._on_data)

    @property
    def _voxels(self) -> tuple[str, ...]:
        return tuple(name for name in _VOXELS if hasattr(self.original.events, name))

    def close(self) -> None:
        """Let the layer of the first view go."""
        for name in self._names:
            getattr(self.original.events, name).disconnect(self._on_changed)
        for name in self._voxels:
            getattr(self.original.events, name).disconnect(self._on_voxels)
        self.original.events.data.disconnect(self._on_data)

    def refresh(self) -> None:
        """Show the voxels as they are now."""
        if self._stale:
            self._stale = False
            self.copied.refresh(thumbnail=False, highlight=False, extent=False)

    def _on_changed(self, event: Any) -> None:
        name, value = event.type, getattr(self.original, event.type)
        if name in _ARRAYS or (getattr(self.copied, name) is not value and getattr(self.copied, name) != value):
            setattr(self.copied, name, value)

    def _on_data(self, _event: Any) -> None:
        self.copied.data = self.original.data

    def _on_voxels(self, event: Any) -> None:
        """Voxels changed, or the first view only shows another slice: that is none of the copy's business."""
        if getattr(event, "part", False):
            return  # who draws tells the copies as well: `Painting`
        place = self._slice()
        moved, self._place = place != self._place, place
        if event.type == "set_data" and moved:
            return
        self._stale = True
        if not self._later.isActive():
            self._later.start()

    def _slice(self) -> tuple[Any, ...]:
        dims = self._dims
        hidden = tuple(dims.point[axis] for axis in dims.not_displayed)
        return (hidden, dims.order, dims.ndisplay, dims.margin_left, dims.margin_right)


def _names(layer: Layer) -> tuple[str, ...]:
    if isinstance(layer, Labels):
        return _SAME_LABELS
    return _SAME_IMAGE if layer.rgb else (*_SAME_IMAGE, *_SAME_VALUES)


def _copy_of(layer: Layer) -> Layer | None:
    """Return a layer over the same array; None for what is not mirrored."""
    if not isinstance(layer, Image | Labels):
        return None
    same = {name: getattr(layer, name) for name in (*_names(layer), *_PLACED)}
    data = layer.data
    if isinstance(layer, Labels):
        contour = same.pop("contour")
        copied = Labels(data, multiscale=layer.multiscale, **same)
        copied.contour = contour
        copied.editable = False
        return copied
    reach = same.pop("contrast_limits_range", None)
    made = Image(data, multiscale=layer.multiscale, rgb=layer.rgb, **same)
    if reach is not None:
        made.contrast_limits_range = reach
        made.contrast_limits = layer.contrast_limits
    return made
