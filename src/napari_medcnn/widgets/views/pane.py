"""One view in the canvas area: a napari canvas with our overlay on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.views.frame import Frame, Place
from napari_medcnn.widgets.views.overlay import Overlay, Painter

if TYPE_CHECKING:
    from napari.qt import QtViewer

MAIN, SECOND, THIRD, VOLUME = "main", "second", "third", "volume"


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
        self.overlay = Overlay(self, painters)

    @property
    def native(self) -> QWidget:
        """The canvas: it has the focus, gets keys and mouse."""
        native: QWidget = self.qt.canvas.native
        return native

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
        return None if axis is None or axis + ndim - 3 < 0 else axis + ndim - 3

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
            depth=float(dims.point[slider]) if slider >= 0 else 0.0,
            zoom=float(camera.zoom),
            mirrored=camera.orientation2d[1] == "left",
        )

    def place_at(self, x: float, y: float) -> Place | None:
        """Return the world place (z, y, x) under a pixel of the canvas; None in 3D."""
        frame = self.frame()
        return None if frame is None else frame.to_place(x, y)
