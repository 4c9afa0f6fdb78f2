"""The only file that adds, edits, locks or removes layers.

Layers of ours are remembered by identity.  They are locked against deletion, cannot be moved or turned, and speak of
classes by name.  A mask's array is written in place; `layer.data` is never replaced, because napari's own history
would survive that and later write voxels that no longer exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.layerdata import KEY, LayerTuple, label_colours, label_features, mask_from_layer

Array = NDArray[Any]
Tool = Literal["pan_zoom", "paint", "erase", "fill", "pick"]

_PLACED = ("scale", "translate", "rotate", "shear", "affine")


def colormap_of(labels: LabelSet, hidden: Iterable[int] = ()) -> DirectLabelColormap:
    """Return the colours of the classes; hidden classes and background are transparent, unnamed ids grey."""
    colours = label_colours(labels)
    for label_id in hidden:
        colours[label_id] = (0.0, 0.0, 0.0, 0.0)
    return DirectLabelColormap(color_dict={key: np.array(rgba, np.float32) for key, rgba in colours.items()})


class Layers(QObject):
    """Our layers in one viewer: at most one case (a scan of one or more layers) and its masks.

    Parameters
    ----------
    viewer
        The napari viewer, as the plugin receives it.
    say
        Shows one line to the user.
    """

    removed = Signal(object)

    def __init__(self, viewer: Any, say: Callable[[str], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._say = say
        self._ours: list[Layer] = []
        self._places: dict[int, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        self._names_hidden = False
        self._restoring = False
        self.scan: Image | None = None
        self.mask: Labels | None = None
        viewer.layers.events.removed.connect(self._on_removed)

    # ---- adding and removing -----------------------------------------------------------------------------------

    def add_scan(self, parts: list[LayerTuple]) -> Image:
        """Add the layers of a scan; sliders reach over all its values, not only over the window shown first."""
        added = [self._add(Image(data, **kwargs)) for data, kwargs, _ in parts]
        self.scan = added[0]
        for layer in added:
            low, high = layer.metadata[KEY]["range"]
            if not layer.rgb:
                limits = layer.contrast_limits
                layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
                layer.contrast_limits = limits
        self._viewer.reset_view()
        return self.scan

    def add_mask(self, part: LayerTuple, labels: LabelSet) -> Labels:
        """Add a mask that becomes the one which tools, undo and saving mean."""
        data, kwargs, _ = part
        layer = Labels(data, **{**kwargs, "colormap": colormap_of(labels)})
        self.mask = self._add(layer)
        layer.n_edit_dimensions = 2
        layer.selected_label = labels.ids[0] if labels.ids else 1
        self.select(layer)
        return layer

    def discard(self, layer: Layer) -> None:
        """Take one of our layers away."""
        layer.locked = False
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def close_case(self) -> None:
        """Take all our layers away."""
        for layer in list(self._ours):
            self.discard(layer)

    def is_ours(self, layer: object) -> bool:
        """Return True for a layer that this dock made."""
        return any(layer is ours for ours in self._ours)

    @property
    def ours(self) -> tuple[Layer, ...]:
        """Our layers, oldest first."""
        return tuple(self._ours)

    def warm_up(self, then: Callable[[], None] | None = None) -> None:
        """Show tiny layers once: the first mask of a session costs a second or two of shader work.

        Skipped where layers exist already: theirs have paid, and a layer without units would disturb them.
        """
        if len(self._viewer.layers):
            if then is not None:
                then()
            return
        tiny: list[Layer] = [
            Image(np.zeros((4, 4), np.uint8), contrast_limits=(0, 1), name="getting ready", opacity=0.01),
            Labels(
                np.zeros((4, 4), np.uint8), name="getting ready", colormap=colormap_of(LabelSet.for_ids([1])), opacity=0
            ),
        ]
        for layer in tiny:
            self._viewer.add_layer(layer)

        def clear() -> None:
            for layer in tiny:
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            if then is not None:
                then()

        QTimer.singleShot(150, clear)

    # ---- editing -----------------------------------------------------------------------------------------------

    def select(self, layer: Layer | None) -> None:
        """Make one layer the active one, so that its mouse tools work."""
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.selection.active = layer

    def use_tool(self, tool: Tool) -> None:
        """Give the mask a mouse tool and select it: nothing depends on which layer was selected before."""
        if self.mask is None:
            return
        if tool != "pan_zoom":
            self.mask.visible = True
            self.select(self.mask)
        self.mask.mode = tool

    def name_classes(self, labels: LabelSet, hidden: Iterable[int] = ()) -> None:
        """Show new names, colours and visibility of the classes of the mask."""
        if self.mask is None:
            return
        self.mask.colormap = colormap_of(labels, hidden)
        self.mask.features = label_features(labels)
        self.mask.metadata[KEY] = {**self.mask.metadata[KEY], "labels": labels}

    def hide_names(self, hidden: bool) -> None:
        """Call our layers Scan and Mask, or by their names again; napari's status bar says what the layer is called."""
        self._names_hidden = hidden
        for layer in self._ours:
            self._show_name(layer)
        self._viewer.status = ""

    def _show_name(self, layer: Layer) -> None:
        role = str(layer.metadata[KEY]["role"]).capitalize()
        layer.name = role if self._names_hidden else self._names[id(layer)]

    def redraw_mask(self) -> None:
        """Show what was written into the mask's array."""
        if self.mask is not None:
            self.mask.refresh(extent=False)

    def forget_strokes(self) -> None:
        """Empty napari's own history by its public reset; ours is the only one."""
        if self.mask is None:
            return
        mode, brush = self.mask.mode, self.mask.brush_size
        self.mask.editable = False
        self.mask.editable = True
        self.mask.mode = mode
        self.mask.brush_size = brush

    def write_mask(self, array: Array) -> None:
        """Write a whole new mask (display order) in place."""
        if self.mask is not None:
            self.mask.data[...] = array
            self.forget_strokes()
            self.redraw_mask()

    def mask_value(self) -> LabelMap:
        """Return the mask on the scan's own grid, as it stands now.

        Raises
        ------
        InputError
            There is no mask.
        """
        if self.mask is None:
            raise InputError("There is no mask yet; run a model or start an empty mask first.")
        return mask_from_layer(self.mask.data, self.mask.metadata, self._names[id(self.mask)])

    # ---- protecting --------------------------------------------------------------------------------------------

    def _add(self, layer: Layer) -> Layer:
        layer.locked = True
        self._ours.append(layer)
        self._viewer.add_layer(layer)
        self._names[id(layer)] = layer.name
        if self._names_hidden:
            self._show_name(layer)
        self._places[id(layer)] = {name: _copy(getattr(layer, name)) for name in _PLACED}
        layer.events.mode.connect(self._on_mode)
        for name in _PLACED:
            getattr(layer.events, name).connect(self._on_moved)
        return layer

    def _on_mode(self, event: Any) -> None:
        if str(event.mode) == "transform":
            event.source.mode = "pan_zoom"
            self._say("A scan or mask of MedCNN cannot be moved or turned; its place in the patient would be lost.")

    def _on_moved(self, event: Any) -> None:
        layer = event.source
        place = self._places.get(id(layer))
        if place is None or self._restoring:
            return
        self._restoring = True
        try:
            changed = False
            for name, value in place.items():
                if not _same(getattr(layer, name), value):
                    setattr(layer, name, value)
                    changed = True
        finally:
            self._restoring = False
        if changed:
            self._say("Put back: a scan or mask of MedCNN cannot be moved or turned.")

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if not self.is_ours(layer):
            return
        self._ours = [ours for ours in self._ours if ours is not layer]
        self._places.pop(id(layer), None)
        self._names.pop(id(layer), None)
        if layer is self.scan:
            self.scan = None
        if layer is self.mask:
            self.mask = None
        self.removed.emit(layer)

    def close(self) -> None:
        """Let go of the viewer; its layers stay."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        for layer in self._ours:
            layer.events.mode.disconnect(self._on_mode)
            for name in _PLACED:
                getattr(layer.events, name).disconnect(self._on_moved)
        self._ours.clear()


def _copy(value: Any) -> Any:
    matrix = getattr(value, "affine_matrix", None)
    return np.array(matrix if matrix is not None else value, dtype=float)


def _same(value: Any, kept: Any) -> bool:
    return bool(np.allclose(_copy(value), kept))
