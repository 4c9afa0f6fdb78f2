"""The only file that adds, edits, locks or removes layers.

Layers of ours are remembered by identity.  They are locked against deletion, cannot be moved or turned, and speak of
classes by name.  A mask's array is written in place; `layer.data` is replaced only where ids need a wider type, because
napari's own history would survive that and later write voxels that no longer exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from napari.layers import Image, Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.layerdata import KEY, LayerTuple, label_features, mask_from_layer
from napari_medcnn.widgets import layer_parts
from napari_medcnn.widgets.layer_parts import colormap_of, place_of, same_place

Array = NDArray[Any]
Tool = Literal["pan_zoom", "paint", "erase", "fill", "pick"]

#: Group of the maps that say why a model said something.
WHY = "Why"
_PLACED = ("scale", "translate", "rotate", "shear", "affine")


class Layers(QObject):
    """Our layers in one viewer: at most one case (a scan of one or more layers) and its masks.

    Parameters
    ----------
    viewer
        The napari viewer, as the plugin receives it.
    say
        Shows one line to the user.
    """

    added = Signal(object)
    removed = Signal(object)
    #: A scan, Shapes layer or region came, went, was renamed or drawn in.
    changed = Signal()

    def __init__(self, viewer: Any, say: Callable[[str], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._say = say
        self._ours: list[Layer] = []
        self._tiny: list[Layer] = []
        self._places: dict[int, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        self._names_hidden = False
        self._restoring = False
        self.scan: Image | None = None
        self.mask: Labels | None = None
        self.region: Shapes | None = None
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.selection.events.active.connect(self._on_selected)

    # ---- adding and removing -----------------------------------------------------------------------------------

    def add_scan(self, parts: list[LayerTuple]) -> Image:
        """Add the layers of a scan; sliders reach over all its values, not only over the window shown first."""
        self.scan = self._add_images(parts)[0]
        layer_parts.show_whole(self._viewer, self.scan)
        return self.scan

    def add_beside(self, parts: list[LayerTuple]) -> tuple[Image, ...]:
        """Add one more scan to the open one, hidden and below masks and maps; it goes with the case."""
        active = self._viewer.layers.selection.active
        over = (i for i, x in enumerate(self._viewer.layers) if self.is_ours(x) and x.metadata[KEY]["role"] != "scan")
        at = next(over, len(self._viewer.layers))
        added = self._add_images([(data, {**kwargs, "visible": False}, kind) for data, kwargs, kind in parts], at)
        self.select(active)
        return added

    def _add_images(self, parts: list[LayerTuple], at: int | None = None) -> tuple[Image, ...]:
        made = [Image(data, **kwargs) for data, kwargs, _ in parts]
        for layer in made:  # before napari knows them: afterwards its controls would follow
            layer_parts.widen_limits(layer, *layer.metadata[KEY]["range"])
        return tuple(self._add(layer, None if at is None else at + i) for i, layer in enumerate(made))

    def add_preview(self, parts: list[LayerTuple]) -> None:
        """Show the first picture of a scan that is being read; no tool, key or run acts on it."""
        for layer in self._add_images(parts):
            layer.metadata[KEY] = {**layer.metadata[KEY], "role": "preview"}
            self._show_name(layer)
            layer_parts.show_whole(self._viewer, layer)

    def discard_preview(self) -> None:
        """Take the first picture away."""
        for layer in self.ours:
            if layer.metadata[KEY]["role"] == "preview":
                self.discard(layer)

    def add_mask(self, part: LayerTuple, labels: LabelSet) -> Labels:
        """Add a mask that becomes the one which tools, undo and saving mean."""
        data, kwargs, _ = part
        layer = Labels(data, **{**kwargs, "colormap": colormap_of(labels)})
        self.mask = self._add(layer)
        layer.n_edit_dimensions = 2
        layer.selected_label = labels.ids[0] if labels.ids else 1
        self.select(layer)
        return layer

    def takes_mask(self, part: LayerTuple, any_ids: bool = False) -> bool:
        """Return True if a new mask can be written into the layer there is: same voxels, ids and place."""
        return self.mask is not None and layer_parts.fits(self.mask, part, any_ids)

    def replace_mask(self, part: LayerTuple, labels: LabelSet) -> None:
        """Write a new mask into the layer there is: a third of the time that taking it away and adding one costs."""
        data, kwargs, _ = part
        mask = self.mask
        if mask is None:
            return
        mask.metadata[KEY] = kwargs["metadata"][KEY]
        self._names[id(mask)] = kwargs["name"]
        self._show_name(mask)
        mask.visible = True
        layer_parts.write_ids(mask, data)
        mask.selected_label = labels.ids[0] if labels.ids else 1
        self.name_classes(labels)
        self.forget_strokes()
        self.redraw_mask()
        self.select(mask)

    def add_mask_beside(self, part: LayerTuple, labels: LabelSet) -> Labels:
        """Add the mask of another scan: it is shown and can be saved, the tools do not act on it."""
        data, kwargs, _ = part
        active = self._viewer.layers.selection.active
        layer = self._add(Labels(data, **{**kwargs, "colormap": colormap_of(labels)}))
        layer.editable = False
        self.select(active)
        return layer

    def discard_masks_beside(self) -> None:
        """Take the masks of other scans away."""
        for layer in self.ours:
            if layer.metadata[KEY]["role"] == "mask" and layer is not self.mask:
                self.discard(layer)

    # ---- maps and the region -----------------------------------------------------------------------------------

    def add_maps(self, kind: str, parts: list[LayerTuple], visible: bool) -> tuple[Image, ...]:
        """Add maps (uncertainty, probabilities, `WHY`) as a group called `kind`."""
        active = self._viewer.layers.selection.active
        added = tuple(self._add(Image(data, **{**kwargs, "visible": visible})) for data, kwargs, _ in parts)
        for layer in added:
            layer.metadata[KEY] = {**layer.metadata[KEY], "group": kind}
        self.select(active)
        return added

    def rewrite_map(self, layer: Image, part: LayerTuple) -> None:
        """Write another map into a layer that `layer_parts.fits`."""
        layer_parts.rewrite_map(layer, part)
        self._names[id(layer)] = part[1]["name"]
        self._show_name(layer)

    def show_maps(self, kind: str, visible: bool) -> None:
        """Show or hide a group of maps."""
        for layer in self._maps(kind):
            layer.visible = visible

    def discard_maps(self) -> None:
        """Take the maps of a result away; those that say why belong to the scan."""
        for layer in self._maps():
            if layer.metadata[KEY]["group"] != WHY:
                self.discard(layer)

    def _maps(self, kind: str | None = None) -> list[Layer]:
        groups = [(layer, layer.metadata[KEY].get("group")) for layer in self._ours]
        return [layer for layer, group in groups if group is not None and kind in (None, group)]

    @property
    def shows_scan(self) -> bool:
        """True while a layer of the open scan, of a scan beside it, or its mask is there."""
        return any(layer.metadata[KEY]["role"] in ("scan", "mask") for layer in self._ours)

    def images(self) -> tuple[Image, ...]:
        """Return the image layers of others."""
        return tuple(x for x in self._viewer.layers if isinstance(x, Image) and not self.is_ours(x))

    def shapes(self) -> dict[str, Shapes]:
        """Return all Shapes layers by name, the region of ours included."""
        return {layer.name: layer for layer in self._viewer.layers if isinstance(layer, Shapes)}

    def draw_region(self, drawing: bool) -> Shapes | None:
        """Begin a new region by hand, drags draw rectangles, or stop drawing; None without a scan."""
        scan, region = self.scan, self.region
        if scan is None:
            return None
        if region is None and drawing:
            layer = layer_parts.region_layer(scan)
            layer.events.set_data.connect(self._on_changed)
            region = self.region = self._add(layer)
        if region is not None:
            if drawing:
                region.data = []
                region.visible = True
                self.select(region)
            region.mode = "add_rectangle" if drawing else "pan_zoom"
        return region

    @property
    def is_drawing(self) -> bool:
        """True while a drag draws a region."""
        return self.region is not None and str(self.region.mode) == "add_rectangle"

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
        self._tiny = layer_parts.tiny_layers()
        for layer in self._tiny:
            self._viewer.add_layer(layer)
        QTimer.singleShot(150, lambda: self._end_warm_up(then))

    def _end_warm_up(self, then: Callable[[], None] | None = None) -> None:
        """Take the tiny layers away, at the latest when a scan comes: beside it they would upset its units."""
        tiny, self._tiny = self._tiny, []
        for layer in [x for x in tiny if x in self._viewer.layers]:
            self._viewer.layers.remove(layer)
        if then is not None:
            then()

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

    def _add(self, layer: Layer, at: int | None = None) -> Layer:
        self._end_warm_up()
        layer.locked = True
        self._ours.append(layer)
        self._names[id(layer)] = layer.name
        if self._names_hidden:  # before napari knows it: its status bar keeps the name that it saw first
            self._show_name(layer)
        self._viewer.layers.insert(len(self._viewer.layers) if at is None else at, layer)
        if not self._names_hidden:
            self._names[id(layer)] = layer.name
        self._places[id(layer)] = {name: place_of(getattr(layer, name)) for name in _PLACED}
        layer.events.mode.connect(self._on_mode)
        layer_parts.say_no_keys(layer)
        for name in _PLACED:
            getattr(layer.events, name).connect(self._on_moved)
        self.added.emit(layer)
        return layer

    def _on_inserted(self, event: Any) -> None:
        event.value.events.name.connect(self._on_changed)
        self.changed.emit()

    def _on_changed(self, _event: Any = None) -> None:
        self.changed.emit()

    def _on_selected(self, _event: Any = None) -> None:
        """Another layer was chosen: a drag does not draw a region any more."""
        if self.is_drawing and self._viewer.layers.selection.active is not self.region:
            self.draw_region(False)
            self.changed.emit()

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
                if not same_place(getattr(layer, name), value):
                    setattr(layer, name, value)
                    changed = True
        finally:
            self._restoring = False
        if changed:
            self._say("Put back: a scan or mask of MedCNN cannot be moved or turned.")

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self.changed.emit()
        if not self.is_ours(layer):
            return
        self._ours = [ours for ours in self._ours if ours is not layer]
        self._places.pop(id(layer), None)
        self._names.pop(id(layer), None)
        for name in ("scan", "mask", "region"):
            if layer is getattr(self, name):
                setattr(self, name, None)
        self.removed.emit(layer)

    def close(self) -> None:
        """Let go of the viewer; its layers stay."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.selection.events.active.disconnect(self._on_selected)
        for layer in self._ours:
            layer.events.mode.disconnect(self._on_mode)
            for name in _PLACED:
                getattr(layer.events, name).disconnect(self._on_moved)
        self._ours.clear()
