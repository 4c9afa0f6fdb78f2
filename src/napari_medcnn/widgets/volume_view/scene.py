"""The layers of the 3D view: one image that is rendered as a volume, one surface for all classes that are seen.

Beside `widgets/layers.py` and the mirrors of the flat views the only file that adds layers; it adds them to a viewer
model of its own, where no tool acts and nothing is saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from napari.layers import Image
from napari.layers import Surface as SurfaceLayer
from napari.utils import Colormap

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.imaging.preview import Preview3D
from napari_medcnn.imaging.surface import Surface
from napari_medcnn.widgets.volume_view.camera import look_from_front

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
        spacing = placed.spacing if isinstance(placed, Preview3D) else placed.scale
        return (tuple(shape), *np.round([*spacing, *placed.translate], 6))

    def render(self, rendering: str) -> None:
        """Render the scan in another of `RENDERINGS`."""
        self.rendering = rendering
        if self.image is not None:
            self.image.visible = bool(rendering)
            if rendering:
                self.image.rendering = rendering

    def window(self, preview: Preview3D, limits: tuple[float, float]) -> None:
        """Use another display window, in values of the scan."""
        if self.image is not None:
            self.image.contrast_limits = _codes(preview, limits)

    # ---- classes -------------------------------------------------------------------------------------------------

    def show_surfaces(self, surfaces: Mapping[int, Surface], labels: LabelSet, hidden: Iterable[int]) -> None:
        """Show the surfaces of all classes that are not hidden, in their colours."""
        self._take(self.surface)
        self.surface = None
        away = set(hidden)
        seen = [surface for label_id, surface in surfaces.items() if label_id not in away]
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

    # ---- end -----------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Take everything away: a view that is not seen holds no memory of the graphics card."""
        self._take(self.image)
        self._take(self.surface)
        self.image = self.surface = None

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
