"""One view in the canvas area: a napari canvas with our overlay on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_medcnn.io.layerdata import layer_info
from napari_medcnn.widgets._beyond_public import forget_copies, listen_to_copies
from napari_medcnn.widgets.views.drawing_guard import guard
from napari_medcnn.widgets.views.frame import Frame, Place
from napari_medcnn.widgets.views.overlay import Overlay, Painter

if TYPE_CHECKING:
    from napari.qt import QtViewer

MAIN, SECOND, THIRD, VOLUME = "main", "second", "third", "volume"
#: Part of a canvas that a whole plane fills.
_FILLED = 0.95


@dataclass(frozen=True)
class Look:
    """What part of a plane is looked at: its middle, and the zoom with 1 for the whole plane in the canvas."""

    centre: tuple[float, float]
    zoom: float


class Pane:
    """A view of the scan.

    Parameters
    ----------
    name
        "main" is napari's own canvas, "second" and "third" show the two other planes, "volume" the 3D view.
    viewer
        The napari viewer model behind it.
    qt
        The widget that shows it.
    painters
        What is drawn over it; the list is shared by all panes.
    """

    def __init__(self, name: str, viewer: Any, qt: QtViewer, painters: list[Painter]) -> None:
        self.name = name
        self.viewer = viewer
        self.qt = qt
        guard(viewer)
        forget_copies(viewer)
        if name != MAIN:
            # napari's own window does so, too, and says in a thread what lies under the mouse; nobody reads what the
            # viewer of a further view has to say, which costs a copy of its list of layers with every move of the mouse
            viewer.cursor.events.position.disconnect(viewer.update_status_from_cursor)
        # it covers what lies behind it: Qt need not draw that each time when words over it change
        self.native.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.painters = painters
        self.overlay = Overlay(self, painters)
        self._on_moved: Callable[[Pane], None] | None = None
        self._on_looked: Callable[[Pane], None] | None = None
        self._on_turned: Callable[[Pane], None] | None = None
        self._size = (0, 0)

    @property
    def native(self) -> QWidget:
        """The canvas: it has the focus, gets keys and mouse."""
        native: QWidget = self.qt.canvas.native
        return native

    # ---- what it shows -------------------------------------------------------------------------------------------

    @property
    def is_flat(self) -> bool:
        """True while it shows a plane, False for a 3D view."""
        return bool(self.viewer.dims.ndisplay == 2)

    @property
    def axis(self) -> int | None:
        """Display axis (0 body, 1 front to back, 2 side to side) along which its slices follow; None in 3D."""
        frame = self.frame()
        return None if frame is None else frame.depth_axis

    @property
    def slider(self) -> int | None:
        """Index among the viewer's axes of the slider of slices; None in 3D and for pictures."""
        axis, ndim = self.axis, int(self.viewer.dims.ndim)
        return None if axis is None or self._shows_picture or axis + ndim - 3 < 0 else axis + ndim - 3

    @property
    def _shows_picture(self) -> bool:
        """True for a picture: the slider of one with several frames is time, not depth."""
        infos = (layer_info(layer.metadata) for layer in self.viewer.layers)
        return any(info is not None and info["picture"] for info in infos)

    def frame(self) -> Frame | None:
        """Return which part of the world is seen now; None in 3D or before the first layer."""
        dims, camera = self.viewer.dims, self.viewer.scene.camera
        if dims.ndisplay != 2 or not len(self.viewer.layers):
            return None
        offset = int(dims.ndim) - 3  # -1 for pictures, 1 with a time axis
        rows, columns = (int(axis) - offset for axis in dims.order[-2:])
        if {rows, columns} - {0, 1, 2}:
            return None
        depth_axis = 3 - rows - columns
        slider = depth_axis + offset
        return Frame(
            width=max(1, self.native.width()),
            height=max(1, self.native.height()),
            axes=(rows, columns),
            depth_axis=depth_axis,
            centre=(float(camera.center[-2]), float(camera.center[-1])),
            depth=float(dims.point[slider]) if slider >= 0 and not self._shows_picture else 0.0,
            zoom=float(camera.zoom),
            mirrored=camera.orientation2d[1] == "left",
        )

    def place_at(self, x: float, y: float) -> Place | None:
        """Return the world place (z, y, x) under a pixel of the canvas; None in 3D."""
        frame = self.frame()
        return None if frame is None else frame.to_place(x, y)

    # ---- what it is told -----------------------------------------------------------------------------------------

    def show_plane(self, axis: int, ndim: int) -> None:
        """Let slices follow along a display axis; the viewer has `ndim` axes, time before the three of space."""
        dims, lead = self.viewer.dims, ndim - 3
        order = (*range(lead), *(lead + a for a in (axis, *(a for a in range(3) if a != axis))))
        if dims.ndim != ndim:
            dims.ndim = ndim
        if tuple(dims.order) != order:
            dims.order = order

    def show_place(self, place: Place, lead: tuple[float, ...]) -> None:
        """Show the slice that a place lies in, at a point of the leading axes; shown axes keep their numbers.

        Napari slices anew whenever any number of its point changes, even one that does not choose the slice.
        """
        dims = self.viewer.dims
        if not len(self.viewer.layers) or dims.ndim < 3:
            return
        point, offset = list(dims.point), int(dims.ndim) - 3
        wanted = (*lead[-offset:], *place) if offset else place
        if len(wanted) != len(point):
            return
        for axis in dims.not_displayed:
            first, last, _step = dims.range[axis]
            start, step = self._slices(axis)
            point[axis] = float(np.clip(start + round((wanted[axis] - start) / step) * step, first, last))
        for _ in range(2):  # napari's slider answers with the nearest of its own steps once, and not again
            if not np.allclose(point, dims.point, rtol=0, atol=1e-9):
                dims.point = tuple(point)

    def _slices(self, axis: int) -> tuple[float, float]:
        """Return where the slices of the lowest layer begin along an axis, and how far they lie apart.

        Napari's own steps are those of all layers together, hidden ones too: of another scan beside this one, whose
        slices lie between those of the first.
        """
        lowest = self.viewer.layers[0]
        own = axis - (int(self.viewer.dims.ndim) - int(lowest.ndim))
        if own < 0:
            start, _stop, step = self.viewer.dims.range[axis]
            return float(start), float(step)
        return float(lowest.translate[own]), abs(float(lowest.scale[own]))

    @property
    def whole_zoom(self) -> float:
        """Pixels per unit of the world with which all of the plane fills the canvas; 1 without layers."""
        width, height = max(1, self.native.width()), max(1, self.native.height())
        return self._whole_zoom(width, height)

    def _whole_zoom(self, width: int, height: int) -> float:
        if not len(self.viewer.layers):
            return 1.0
        extent = self.viewer.layers.extent
        size = (extent.world[1] - extent.world[0] + extent.step)[list(self.viewer.dims.displayed)]
        if not self.is_flat:
            return float(min(width, height))
        return float(_FILLED * min(height / max(size[-2], 1e-9), width / max(size[-1], 1e-9)))

    def fit(self) -> None:
        """Show the whole plane."""
        if not self.is_flat or not len(self.viewer.layers):
            return
        world = self.viewer.layers.extent.world[:, list(self.viewer.dims.displayed)]
        row, column = (world[0] + world[1]) / 2
        self.look = Look((float(row), float(column)), 1.0)

    @property
    def look(self) -> Look:
        """What part of the plane is looked at."""
        camera = self.viewer.scene.camera
        return Look((float(camera.center[-2]), float(camera.center[-1])), float(camera.zoom) / self.whole_zoom)

    @look.setter
    def look(self, look: Look) -> None:
        camera = self.viewer.scene.camera
        camera.center = (0.0, *look.centre)
        camera.zoom = look.zoom * self.whole_zoom

    def resized(self, width: int, height: int) -> None:
        """The canvas gets another size: what was seen stays seen, larger or smaller."""
        before, self._size = self._size, (width, height)
        if len(self.viewer.layers) and min(*before, width, height) > 1:
            factor = self._whole_zoom(width, height) / self._whole_zoom(*before)
            self.viewer.scene.camera.zoom *= factor

    # ---- listening -----------------------------------------------------------------------------------------------

    def connect(
        self,
        on_moved: Callable[[Pane], None],
        on_looked: Callable[[Pane], None],
        on_turned: Callable[[Pane], None],
    ) -> None:
        """Call `on_moved` for another slice or place, `on_looked` for the camera, `on_turned` for another plane."""
        self._on_moved, self._on_looked, self._on_turned = on_moved, on_looked, on_turned
        self._size = (self.native.width(), self.native.height())
        for emitter, listener in self._listeners():
            emitter.connect(listener)

    def _listeners(self) -> tuple[tuple[Any, Callable[[Any], None]], ...]:
        camera, dims = self.viewer.scene.camera.events, self.viewer.dims.events
        return (
            (dims.point, self._moved),
            *((emitter, self._looked) for emitter in (camera.center, camera.zoom, camera.orientation, camera.angles)),
            *((emitter, self._turned) for emitter in (dims.order, dims.ndisplay, dims.ndim)),
        )

    def _moved(self, _event: Any = None) -> None:
        if self._on_moved is not None:
            self._on_moved(self)

    def _looked(self, _event: Any = None) -> None:
        if self._on_looked is not None:
            self._on_looked(self)

    def _turned(self, _event: Any = None) -> None:
        if self._on_turned is not None:
            self._on_turned(self)

    def close(self) -> None:
        """Let go of the viewer and take our drawing layer off the canvas."""
        if self._on_moved is not None:
            for emitter, listener in self._listeners():
                emitter.disconnect(listener)
        self._on_moved = self._on_looked = self._on_turned = None
        listen_to_copies(self.viewer)
        self.native.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent, False)
        self.overlay.setParent(None)
        self.overlay.deleteLater()
