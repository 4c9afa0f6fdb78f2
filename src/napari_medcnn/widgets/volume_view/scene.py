"""The layers of the 3D view: a scan and a map that are rendered as volumes, one surface for all classes that are seen.

Beside `widgets/layers.py` and the mirrors of the flat views the only file that adds layers; it adds them to a viewer
model of its own, where no tool acts and nothing is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Image
from napari.layers import Surface as SurfaceLayer
from napari.utils import Colormap

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.imaging.preview import Preview3D
from napari_medcnn.imaging.surface import Surface
from napari_medcnn.widgets.volume_view.camera import look_from_front
from napari_medcnn.widgets.volume_view.map_volume import MapLook, MapVolume

#: What is offered -> napari's name of the rendering; "" shows no scan.
RENDERINGS: tuple[tuple[str, str], ...] = (
    ("Brightest (MIP)", "mip"),
    ("Brightest, near ones first", "attenuated_mip"),
    ("See-through", "translucent"),
    ("No scan", ""),
)
_GREY = (0.6, 0.6, 0.6)


class Scene:
    """What stands in the viewer of the 3D pane.

    Parameters
    ----------
    viewer
        The viewer model of that pane.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._units: Any = None
        self.image: Image | None = None
        self.surface: SurfaceLayer | None = None
        self.map: Image | None = None
        self.rendering = RENDERINGS[0][1]
        viewer.dims.ndisplay = 3

    # ---- the scan ------------------------------------------------------------------------------------------------

    def show_scan(self, preview: Preview3D, limits: tuple[float, float], units: Any) -> None:
        """Show a preview in place of the one before; the camera stays if it is of the same size and place."""
        new_place = self.image is None or self._box(self.image.data.shape, self.image) != self._box(
            preview.codes.shape, preview
        )
        self._take(self.image)
        self._units = units
        made = Image(
            preview.codes, scale=preview.spacing, translate=preview.translate, units=units, name="Scan", rgb=False,
            contrast_limits=_codes(preview, limits), colormap=_grey(), interpolation3d="linear",
            blending="translucent_no_depth",  # surfaces are drawn over it: bone in front of them would look like holes
        )  # fmt: skip
        self.image = made
        self._viewer.layers.insert(0, made)
        self.render(self.rendering)
        if new_place:
            look_from_front(self._viewer)

    @staticmethod
    def _box(shape: tuple[int, ...], placed: Any) -> tuple[Any, ...]:
        spacing = placed.spacing if isinstance(placed, Preview3D | MapVolume) else placed.scale
        return (tuple(shape), *np.round([*spacing, *placed.translate], 6))

    def render(self, rendering: str) -> None:
        """Render the scan in another of `RENDERINGS`."""
        self.rendering = rendering
        if self.image is not None:
            self.image.visible = bool(rendering)
            if rendering:
                self.image.rendering = rendering

    def hide_scan(self, hidden: bool) -> None:
        """Leave the scan away for a moment, or show it again as it is to be rendered."""
        if self.image is not None:
            self.image.visible = bool(self.rendering) and not hidden

    def window(self, preview: Preview3D, limits: tuple[float, float]) -> None:
        """Use another display window, in values of the scan; the same one draws nothing."""
        codes = _codes(preview, limits)
        if self.image is not None and not np.allclose(self.image.contrast_limits, codes, rtol=0, atol=1e-3):
            self.image.contrast_limits = codes

    # ---- classes -------------------------------------------------------------------------------------------------

    def show_surfaces(self, surfaces: Mapping[int, Surface], labels: LabelSet) -> None:
        """Show these surfaces in the colours of their classes."""
        self._take(self.surface)
        self.surface = None
        seen = list(surfaces.values())
        if not seen:
            return
        starts = np.cumsum([0, *(len(surface.vertices) for surface in seen)])
        vertices = np.concatenate([surface.vertices for surface in seen])
        faces = np.concatenate([s.faces + start for s, start in zip(seen, starts, strict=False)])
        colours = np.concatenate([np.tile(_colour(labels, s.label_id), (len(s.vertices), 1)) for s in seen])
        made = SurfaceLayer(
            (vertices, faces), vertex_colors=colours, units=self._units, name="Classes", shading="smooth",
            blending="translucent",
        )  # fmt: skip
        self.surface = made
        self._viewer.layers.append(made)

    # ---- a map ---------------------------------------------------------------------------------------------------

    def show_map(self, volume: MapVolume | None, look: MapLook | None) -> None:
        """Show a map over the scan, its highest value along each line of sight; None takes it away."""
        if volume is None or look is None:
            self._take(self.map)
            self.map = None
            return
        layer = self.map
        if layer is not None and self._box(layer.data.shape, layer) == self._box(volume.values.shape, volume):
            layer.data = volume.values
            layer.contrast_limits_range = layer.contrast_limits = volume.limits
            self.look_map(look)
            return
        self._take(layer)
        self.map = Image(
            volume.values, scale=volume.spacing, translate=volume.translate, units=self._units, name="Map", rgb=False,
            contrast_limits=volume.limits, colormap=look.colormap, opacity=look.opacity, visible=look.visible,
            rendering="mip", interpolation3d="linear", blending="translucent_no_depth",
        )  # fmt: skip
        self._viewer.layers.insert(0 if self.image is None else 1, self.map)

    def look_map(self, look: MapLook) -> None:
        """Draw the map in other colours; what is so already draws nothing."""
        layer = self.map
        if layer is None:
            return
        if layer.opacity != look.opacity:
            layer.opacity = look.opacity
        if layer.colormap.name != look.colormap.name:
            layer.colormap = look.colormap
        if layer.visible != look.visible:
            layer.visible = look.visible

    # ---- end -----------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Take everything away: a view that is not seen holds no memory of the graphics card."""
        self._take(self.image)
        self._take(self.surface)
        self._take(self.map)
        self.image = self.surface = self.map = None

    def _take(self, layer: Any) -> None:
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)


def _grey() -> Colormap:
    """Return grey values that are the clearer the darker they are: see-through rendering needs that."""
    return Colormap([(0, 0, 0, 0), (1, 1, 1, 1)], name="clear grey")


def _codes(preview: Preview3D, limits: tuple[float, float]) -> tuple[float, float]:
    low, high = (preview.code_of(value) for value in limits)
    return (low, max(high, low + 1))


def _colour(labels: LabelSet, label_id: int) -> tuple[float, float, float]:
    if label_id not in labels:
        return _GREY
    red, green, blue = labels.by_id(label_id).colour
    return (red / 255, green / 255, blue / 255)
