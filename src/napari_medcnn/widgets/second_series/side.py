"""Series next to each other: further canvases to the right of napari's own, each in its own voxels, linked by place.

Nothing is resampled here. A side shows the slice of its series that lies nearest to the place of the first view, in
the same plane and with the same mm per pixel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QBoxLayout

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.linking import Link
from napari_medcnn.io.layerdata import LayerTuple
from napari_medcnn.widgets.jobs import Second
from napari_medcnn.widgets.second_series.side_words import SideWords, draw_cross
from napari_medcnn.widgets.views.corners import Line
from napari_medcnn.widgets.views.frame import Frame, Place
from napari_medcnn.widgets.views.pane import MAIN, Pane
from napari_medcnn.widgets.views.views import Views

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

#: Sides that stand next to the first view at once.
MOST = 3
_SHOWN = ("contrast_limits", "colormap", "gamma", "interpolation2d")
_PLACED = ("scale", "translate", "units", "axis_labels")


class Side(QObject):
    """One further canvas with one series.

    Parameters
    ----------
    dock
        Whose first view it follows.
    number, second
        Which of the scans beside the open one (1 is the first), and what it is.
    grid
        How the open scan is shown.
    pointed
        Called with this side and the place under the mouse, None when it leaves.
    """

    def __init__(
        self,
        dock: MedcnnDock,
        number: int,
        second: Second,
        grid: DisplayGrid,
        pointed: Callable[[Side, Place | None], None],
    ) -> None:
        super().__init__(dock)
        self._views: Views = dock.views
        self._pointed, self._quiet = pointed, False
        self.number, self.second = number, second
        self.link = Link(grid, DisplayGrid(second.scan.geometry))
        self.linked = False
        #: Pixels per mm here for each of the first view.
        self.ratio = 1.0
        #: Returns the first lines of its upper left corner; None: which series it is, and how it is linked.
        self.titles: Callable[[], list[Line]] | None = None
        #: Place of the mouse in the world of this side, wherever it is; None if it is nowhere.
        self.cursor: Place | None = None
        self.words = SideWords(dock, self)
        self.pane = Pane(f"side {number}", *_canvas(), [self.words.paint])
        self._copy = _copy_of(second.layers[0])
        self._native = self.pane.native
        self._native.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._native.installEventFilter(self)
        viewer = self.pane.viewer
        viewer.mouse_drag_callbacks.insert(0, dock.viewing.on_drag)
        viewer.mouse_wheel_callbacks[:] = [self._on_wheel]
        viewer.mouse_move_callbacks.insert(0, self._on_move)
        viewer.mouse_double_click_callbacks.clear()

    def show(self) -> None:
        """Show the series, and go where the first view is."""
        viewer, original = self.pane.viewer, self.second.layers[0]
        viewer.layers.append(self._copy)
        viewer.layers.selection.active = None
        for name in _SHOWN:
            if hasattr(original.events, name):
                getattr(original.events, name).connect(self._on_window)
        self.pane.connect(self._on_moved, self._on_looked, self._on_turned)
        self.follow_plane()
        self.pane.fit()

    def lay_over(self, part: LayerTuple) -> Image:
        """Show a map of this scan over it, too, and return its layer."""
        data, kwargs, _ = part
        over = Image(data, **kwargs)
        self.pane.viewer.layers.append(over)
        self.pane.viewer.layers.selection.active = None
        self.pane.viewer.layers.selection.clear()
        return over

    def close(self) -> None:
        """Take the canvas out of the window."""
        original = self.second.layers[0]
        for name in _SHOWN:
            if hasattr(original.events, name):
                getattr(original.events, name).disconnect(self._on_window)
        self._native.removeEventFilter(self)
        viewer = self.pane.viewer
        for callbacks in (viewer.mouse_drag_callbacks, viewer.mouse_wheel_callbacks, viewer.mouse_move_callbacks):
            callbacks.clear()
        self.pane.close()
        viewer.layers.clear()
        self.pane.qt.close()
        self.pane.qt.setParent(None)
        self.pane.qt.deleteLater()
        self.deleteLater()

    # ---- from the first view -----------------------------------------------------------------------------------------

    def follow_plane(self) -> None:
        """Show the plane that the first view shows, the same way round."""
        axis, ndim = self._views.panes[0].axis, int(self._copy.ndim)
        with self._quietly():
            if axis is not None and ndim >= 3 and self.pane.axis != axis:
                self.pane.show_plane(axis, ndim)
                self.pane.fit()
            camera, first = self.pane.viewer.scene.camera, self._views.panes[0].viewer.scene.camera
            if camera.orientation != first.orientation:
                camera.orientation = first.orientation
        self.pane.overlay.update()

    def follow_place(self) -> None:
        """Show the slice that lies nearest to the place of all views, if both are linked."""
        if not self.linked or self._quiet:
            return
        with self._quietly():
            self.pane.show_place(self.place, tuple(float(p) for p in self.pane.viewer.dims.point[:-3]))
        self.pane.overlay.update()

    def follow_look(self) -> None:
        """Look at the same part, with the same mm per pixel."""
        first = self._views.panes[0].frame()
        mine = self.pane.frame()
        if not self.linked or self._quiet or first is None or mine is None:
            return
        there = self.link.to_second(first.to_place(first.width / 2, first.height / 2))
        camera = self.pane.viewer.scene.camera
        with self._quietly():
            camera.zoom = first.zoom * self.ratio
            camera.center = (0.0, float(there[mine.axes[0]]), float(there[mine.axes[1]]))

    @property
    def place(self) -> Place:
        """Where the shared place lies in the world of this side."""
        z, y, x = (float(v) for v in self.link.to_second(self._views.place))
        return (z, y, x)

    def link_now(self, linked: bool) -> None:
        """Follow by position from now on, or no more."""
        self.linked = linked
        self.follow_place()
        self.follow_look()
        self.pane.overlay.update()

    def link_from_here(self) -> None:
        """What both views show now belongs together from now on: slice, middle and zoom."""
        first, mine = self._views.panes[0].frame(), self.pane.frame()
        if first is None or mine is None:
            return
        here = first.to_place(first.width / 2, first.height / 2)
        there = mine.to_place(mine.width / 2, mine.height / 2)
        self.link = self.link.from_here(here, there)
        self.ratio = 1.0 if self.link.by_patient else mine.zoom / first.zoom
        self.link_now(True)

    # ---- from this side ----------------------------------------------------------------------------------------------

    def _on_moved(self, pane: Pane) -> None:
        """Another slice is shown here: all others follow."""
        frame = pane.frame()
        if self._quiet or not self.linked or frame is None:
            return
        place = list(self.place)
        place[frame.depth_axis] = frame.depth
        self._go(place)

    def _go(self, place: Sequence[float]) -> None:
        z, y, x = (float(v) for v in self.link.to_first(place))
        with self._quietly():
            self._views.go_to((z, y, x))
        self.pane.overlay.update()

    def _on_looked(self, pane: Pane) -> None:
        """Zoomed or moved here: the first view follows, and all others with it."""
        frame, first = pane.frame(), self._views.panes[0].frame()
        if not self._quiet and self.linked and frame is not None and first is not None:
            there = self.link.to_first(frame.to_place(frame.width / 2, frame.height / 2))
            camera = self._views.panes[0].viewer.scene.camera
            with self._quietly():
                camera.zoom = frame.zoom / self.ratio
                camera.center = (0.0, float(there[first.axes[0]]), float(there[first.axes[1]]))
        pane.overlay.update()

    @staticmethod
    def _on_turned(pane: Pane) -> None:
        """Another plane is shown, because the first view shows it."""
        pane.overlay.update()

    def _on_wheel(self, viewer: Any, event: Any) -> None:
        """Wheel is slice, Ctrl+wheel zooms; a picture always zooms."""
        turns, slider = float(event.delta[1]), self.pane.slider
        if "Control" in event.modifiers or slider is None:
            viewer.scene.camera.zoom *= 1.15**turns
        elif not event.modifiers and turns:
            dims = viewer.dims
            step = int(dims.current_step[slider]) + (-1 if turns > 0 else 1)
            dims.set_current_step(slider, max(0, min(step, int(dims.nsteps[slider]) - 1)))
        event.handled = True

    def _on_move(self, _viewer: Any, event: Any) -> None:
        """Say what lies under the mouse; with Shift it is the place of all views."""
        place = self.pane.place_at(float(event.pos[0]), float(event.pos[1]))
        self._pointed(self, place)
        if self.linked and tuple(event.modifiers) == ("Shift",) and not event.is_dragging and place is not None:
            self._go(place)

    def point(self, place: Place | None) -> None:
        """The mouse is at this place of this side, or nowhere."""
        self.cursor = place
        self.pane.overlay.update()

    def _on_window(self, event: Any) -> None:
        setattr(self._copy, event.type, getattr(self.second.layers[0], event.type))
        self.pane.overlay.update()

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Keys stay with the first view; what was seen stays seen in another size."""
        if event.type() == QEvent.Type.MouseButtonPress:
            self._views.panes[0].native.setFocus()
        elif event.type() == QEvent.Type.Resize:
            self.pane.resized(event.size().width(), event.size().height())
            self.follow_look()
        elif event.type() == QEvent.Type.Leave:
            self._pointed(self, None)
        return False

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before


class SideBySide:
    """All sides of a window, and what they follow.

    `on_four` is called when the user wants 2x2 instead.
    """

    def __init__(self, dock: MedcnnDock, on_four: Callable[[], None]) -> None:
        self._dock, self._on_four = dock, on_four
        self.sides: tuple[Side, ...] = ()
        self._cursor: Place | None = None

    def begin(self, chosen: Sequence[tuple[int, Second]]) -> None:
        """Show these series to the right of the first."""
        self.end()
        views = self._dock.views
        grid = views.grid
        if not views.panes or grid is None:
            return
        views.show_one()
        first = views.panes[0]
        room = first.qt.parentWidget().layout()
        self.sides = tuple(Side(self._dock, number, second, grid, self._on_side) for number, second in chosen[:MOST])
        for side in self.sides:
            room.addWidget(side.pane.qt)
            side.show()
        if isinstance(room, QBoxLayout):
            for widget in (first.qt, *(side.pane.qt for side in self.sides)):
                room.setStretchFactor(widget, 1)
        views.place_changed.connect(self._on_place)
        views.layout_changed.connect(self._on_layout)
        views.pointed.connect(self._on_pointed)
        for emitter in self._looks():
            emitter.connect(self._on_look)
        first.viewer.dims.events.order.connect(self._on_plane)
        first.viewer.scene.camera.events.orientation.connect(self._on_plane)

    def end(self) -> None:
        """Show the first view alone."""
        sides, self.sides = self.sides, ()
        if not sides:
            return
        views = self._dock.views
        views.place_changed.disconnect(self._on_place)
        views.layout_changed.disconnect(self._on_layout)
        views.pointed.disconnect(self._on_pointed)
        self._cursor = None
        for emitter in self._looks():
            emitter.disconnect(self._on_look)
        if views.panes:
            viewer = views.panes[0].viewer
            viewer.dims.events.order.disconnect(self._on_plane)
            viewer.scene.camera.events.orientation.disconnect(self._on_plane)
        for side in sides:
            side.close()

    def side_of(self, viewer: Any) -> Side | None:
        """Return the side whose viewer a mouse callback was handed."""
        wanted = getattr(viewer, "__wrapped__", viewer)
        return next((side for side in self.sides if side.pane.viewer is wanted), None)

    def redraw(self) -> None:
        """Write what lies over the pictures again."""
        for side in self.sides:
            side.pane.overlay.update()

    def paint(self, painter: QPainter, frame: Frame | None, pane: Pane) -> None:
        """Mark in the first view what the mouse points at in a side."""
        if self._cursor is not None and frame is not None and pane.name == MAIN and not self._dock.views.exporting:
            draw_cross(painter, frame, self._cursor)

    def _on_pointed(self, _pane: Pane, place: Place | None) -> None:
        """The mouse is in the first view: the sides mark the same place of the patient."""
        for side in self.sides:
            there = None if place is None or not side.linked else side.link.to_second(place)
            side.point(None if there is None else (float(there[0]), float(there[1]), float(there[2])))

    def _on_side(self, pointed: Side, place: Place | None) -> None:
        """The mouse is in a side: the first view and the other sides mark the same place."""
        here = None if place is None or not pointed.linked else pointed.link.to_first(place)
        self._cursor = None if here is None else (float(here[0]), float(here[1]), float(here[2]))
        self._on_pointed(pointed.pane, self._cursor)
        pointed.point(place)
        self._dock.views.redraw()

    def _looks(self) -> tuple[Any, ...]:
        panes = self._dock.views.panes
        if not panes:
            return ()
        camera = panes[0].viewer.scene.camera.events
        return (camera.center, camera.zoom)

    def _on_place(self) -> None:
        for side in self.sides:
            side.follow_place()

    def _on_look(self, _event: Any = None) -> None:
        for side in self.sides:
            side.follow_look()

    def _on_plane(self, _event: Any = None) -> None:
        for side in self.sides:
            side.follow_plane()
            side.follow_place()
            side.follow_look()

    def _on_layout(self) -> None:
        if self._dock.views.layout != "one":
            self._on_four()


def _canvas() -> tuple[Any, QtViewer]:
    model = ViewerModel()
    return model, QtViewer(model)


def _copy_of(layer: Image) -> Image:
    """Return a layer over the same array: a napari layer holds the slice of one view only."""
    placed = {name: getattr(layer, name) for name in _PLACED}
    look = {} if layer.rgb else {name: getattr(layer, name) for name in ("colormap", "contrast_limits", "gamma")}
    look |= {"interpolation2d": layer.interpolation2d, "metadata": layer.metadata}
    made = Image(layer.data, rgb=layer.rgb, name=layer.name, **look, **placed)
    if not layer.rgb:
        made.contrast_limits_range = layer.contrast_limits_range
        made.contrast_limits = layer.contrast_limits
    return made
