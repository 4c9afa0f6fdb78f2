"""The canvas area: one view, or 2x2 linked views of the same scan.

Napari's own canvas is always the first pane, so every tool works there in whatever plane it shows. The others are
further napari canvases that share its arrays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt import QtViewer
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.views.frame import Place
from napari_medcnn.widgets.views.overlay import Painter
from napari_medcnn.widgets.views.pane import MAIN, VOLUME, Pane
from napari_medcnn.widgets.views.pointing import Pointing
from napari_medcnn.widgets.views.switching import FOUR, ONE, Switching

if TYPE_CHECKING:
    from napari_medcnn.widgets.layers import Layers

__all__ = ["FOUR", "ONE", "Hook", "Views"]

#: Kind of mouse hook -> napari's list of callbacks.
_LISTS = {
    "drag": "mouse_drag_callbacks",
    "move": "mouse_move_callbacks",
    "wheel": "mouse_wheel_callbacks",
    "double_click": "mouse_double_click_callbacks",
}
_ZOOM_STEP = 1.15
Hook = Callable[[Any, Any], Any]


class Views(QObject):
    """Panes of one window, the place they share, and what is drawn and listened to in all of them.

    Signals: `layout_changed`; `pane_added` with a new pane; `place_changed` when the crosshair moved; `pointed` with
    (pane, place or None) when the mouse moves over a canvas or leaves it.
    """

    layout_changed = Signal()
    pane_added = Signal(object)
    place_changed = Signal()
    pointed = Signal(object, object)

    def __init__(self, viewer: Any, layers: Layers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._layers = getattr(viewer, "__wrapped__", viewer), layers
        self.painters: list[Painter] = []
        self.panes: tuple[Pane, ...] = ()
        #: The key H is held: what lies over the picture is hidden.
        self.held = False
        self._place: Place = (0.0, 0.0, 0.0)
        self._points: dict[str, Place] = {}
        self._hooks: list[tuple[str, Hook, bool]] = []
        self._quiet = False
        self._linked = False
        #: The pane that keys act on: where the mouse was last.
        self.active: Pane | None = None
        #: True while painters draw a picture that leaves the window: no mode, no cursor, nothing of the moment.
        self.exporting = False
        #: True while painters leave out names, numbers and dates of patients, whatever the screen shows.
        self.names_left_out = False
        self._pointing = Pointing(self)
        self._switching = Switching(self._viewer, layers, self)

    # ---- seams for features ----------------------------------------------------------------------------------------

    def add_painter(self, painter: Painter) -> None:
        """Draw something over every pane from now on; later painters draw above earlier ones."""
        self.painters.append(painter)
        self.redraw()

    def add_hook(self, kind: str, hook: Hook, main_only: bool = False) -> None:
        """Put a mouse callback (viewer, event) first in every pane: "drag", "move", "wheel" or "double_click".

        Hooks that are added later come before earlier ones. Napari calls all of them: one that finds
        ``event.handled`` set leaves the event alone.
        """
        self._hooks.append((kind, hook, main_only))
        for pane in self.panes:
            if pane.name == MAIN or not main_only:
                getattr(pane.viewer, _LISTS[kind]).insert(0, hook)

    @contextlib.contextmanager
    def without_names(self, left_out: bool = True) -> Iterator[None]:
        """Draw a picture that leaves the window: without names unless they were asked for."""
        before = self.exporting, self.names_left_out
        self.exporting, self.names_left_out = True, left_out
        try:
            yield
        finally:
            self.exporting, self.names_left_out = before

    def pane_of(self, viewer: Any) -> Pane | None:
        """Return the pane whose viewer (or a proxy of it) a mouse callback was handed."""
        wanted = getattr(viewer, "__wrapped__", viewer)
        for pane in self.panes:
            if pane.viewer is wanted:
                return pane
        return self.panes[0] if self.panes else None

    def is_main(self, viewer: Any) -> bool:
        """Return True for the viewer of napari's own canvas, or a proxy of it: tools work there only."""
        return getattr(viewer, "__wrapped__", viewer) is self._viewer

    def pane(self, name: str) -> Pane | None:
        """Return the pane "main", "second", "third" or "volume"; None before it was made."""
        return next((pane for pane in self.panes if pane.name == name), None)

    def redraw(self) -> None:
        """Draw what lies over the panes again, soon."""
        for pane in self.panes:
            pane.overlay.update()

    def hold(self, held: bool) -> None:
        """Hide what lies over the pictures, or show it again."""
        self.held = held
        self.redraw()

    @property
    def shown(self) -> tuple[Pane, ...]:
        """The panes that are seen now."""
        return tuple(pane for pane in self.panes if pane.native.isVisible())

    @property
    def current(self) -> Pane | None:
        """The flat pane that keys and numbers mean: where the mouse was last, else napari's own."""
        pane = self.active
        if pane is not None and pane.is_flat and pane.native.isVisible():
            return pane
        return self.panes[0] if self.panes else None

    @property
    def has_scan(self) -> bool:
        """True while a scan of ours is open."""
        return self._layers.scan is not None

    @property
    def grid(self) -> DisplayGrid | None:
        """How the open scan lies in the patient; None without one."""
        scan = self._layers.scan
        return None if scan is None else DisplayGrid(scan.metadata[KEY]["geometry"])

    def plane_of(self, pane: Pane) -> str:
        """Return "axial", "coronal" or "sagittal"; "" in 3D, of pictures, and where the file does not say."""
        grid, axis = self.grid, pane.axis
        return "" if grid is None or axis is None else grid.plane(axis)

    # ---- place -----------------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        """World place (z, y, x) that all views share: the crosshair. Of a picture z is 0."""
        return self._place

    def go_to(self, place: Place) -> None:
        """Show a place in every view; none slices anew that shows the slice already."""
        self._place = place
        with self.quietly():
            lead = tuple(float(p) for p in self._viewer.dims.point[:-3])
            for pane in self.panes:
                if pane.name != VOLUME and (pane.name == MAIN or self.layout == FOUR):
                    pane.show_place(place, lead)
        self.place_changed.emit()
        self.redraw()

    def move(self, steps: int, pane: Pane | None = None) -> None:
        """Go `steps` slices on in a pane, stopping at the ends; by default where the mouse was last."""
        pane = pane or self.current
        if pane is None or pane.slider is None or self.grid is None:
            return
        dims, axis, grid = pane.viewer.dims, pane.slider, self.grid
        body = axis + 3 - int(dims.ndim)
        # slices of the open scan: napari's own steps are as fine as those of any scan that is open beside it
        index = np.floor(grid.index_of(self._place) + 0.5)
        index[body] += steps
        first, last, _step = dims.range[axis]
        place = list(self._place)
        place[body] = float(np.clip(grid.world_of_index(index)[body], first, last))
        self.go_to((place[0], place[1], place[2]))

    def zoom(self, viewer: Any, turns: float, pos: Any) -> None:
        """Zoom one of the views, the place under the cursor staying there."""
        pane, camera = self.pane_of(viewer), viewer.scene.camera
        frame = None if pane is None else pane.frame()
        factor = _ZOOM_STEP**turns
        if frame is not None:
            place = frame.to_place(float(pos[0]), float(pos[1]))
            under, centre = (place[frame.axes[0]], place[frame.axes[1]]), frame.centre
            camera.center = (0.0, *(u + (c - u) / factor for u, c in zip(under, centre, strict=True)))
        camera.zoom *= factor

    def _on_moved(self, pane: Pane) -> None:
        """Somebody moved a slider: keys, napari, an undo. What changed becomes the place of all."""
        point = _space(pane.viewer.dims.point)
        before, self._points[pane.name] = self._points.get(pane.name, point), point
        if self._quiet or pane.name == VOLUME:
            return
        changed = [a for a in range(3) if abs(point[a] - before[a]) > 1e-9]
        place = list(self._place)
        for axis in changed:
            place[axis] = point[axis]
        lead = tuple(pane.viewer.dims.point[:-3])
        for other in self.panes:
            if other is not pane and other.viewer.dims.ndim == pane.viewer.dims.ndim and lead:
                with self.quietly():
                    other.viewer.dims.point = (*lead, *other.viewer.dims.point[-3:])
        self.go_to((place[0], place[1], place[2]))

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Move panes one by one without the others following."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    # ---- camera ----------------------------------------------------------------------------------------------------

    def link_zoom(self, linked: bool) -> None:
        """Give the planes the same mm per pixel and the same middle, beginning with where the mouse was last."""
        self._linked = linked
        if self.current is not None:
            self.link_from(self.current)

    def _on_looked(self, pane: Pane) -> None:
        self.link_from(pane)
        pane.overlay.update()

    def _on_turned(self, pane: Pane) -> None:
        pane.overlay.update()
        if pane.name == MAIN and self.layout == FOUR:
            self._switching.follow_soon()  # another plane in the first view: the other two make room

    def link_from(self, pane: Pane) -> None:
        """Give the other planes the zoom and the middle of one, where that is wanted."""
        frame = pane.frame()
        if not self._linked or self._quiet or self.layout != FOUR or frame is None:
            return
        middle = dict(zip(frame.axes, frame.centre, strict=True))
        with self.quietly():
            for other in self.panes:
                theirs = None if other is pane else other.frame()
                if theirs is not None:
                    camera = other.viewer.scene.camera
                    camera.zoom = frame.zoom
                    own = zip(theirs.axes, theirs.centre, strict=True)
                    camera.center = (0.0, *(middle.get(axis, at) for axis, at in own))

    # ---- layout ----------------------------------------------------------------------------------------------------

    def attach(self, window: QWidget) -> None:
        """Find napari's canvas in its window; from now on there is a pane."""
        found = [q for q in window.findChildren(QtViewer) if getattr(q.viewer, "__wrapped__", q.viewer) is self._viewer]
        if found and not self.panes:
            self.add_pane(Pane(MAIN, self._viewer, found[0], self.painters))

    @property
    def layout(self) -> str:
        """`ONE` or `FOUR`."""
        return self._switching.layout

    @property
    def opens_four(self) -> bool:
        """True if volumes open in 2x2."""
        return self._switching.opens_four

    @opens_four.setter
    def opens_four(self, wanted: bool) -> None:
        self._switching.opens_four = wanted

    def toggle(self) -> None:
        """Change between one view and 2x2."""
        self.show_one() if self.layout == FOUR else self.show_four()

    def show_four(self) -> None:
        """Show the three planes and the 3D view, if a volume is open."""
        self._switching.show_four()

    def show_one(self) -> None:
        """Show napari's own canvas alone."""
        self._switching.show_one()

    def maximise(self, pane: Pane) -> None:
        """Show one pane of 2x2 alone; a plane is given to napari's own canvas, so that every tool works in it."""
        self._switching.maximise(pane)

    def on_double_click(self, viewer: Any, event: Any) -> None:
        """On a pane of 2x2: show it alone; alone: back to 2x2. A picture is fitted into its canvas."""
        pane = self.pane_of(viewer)
        if pane is None or event.handled:
            return
        active = viewer.layers.selection.active
        if active is not None and str(active.mode) != "pan_zoom":
            return  # a tool's own second click
        event.handled = True
        if not self._switching.has_volume:
            pane.fit()
        elif self.layout == FOUR:
            self.maximise(pane)
        else:
            self.show_four()

    def add_pane(self, pane: Pane) -> None:
        """Take one more pane in: it gets the hooks, and is listened to."""
        self.panes = (*self.panes, pane)
        for kind, hook, main_only in self._hooks:
            if pane.name == MAIN or not main_only:
                getattr(pane.viewer, _LISTS[kind]).insert(0, hook)
        self._points[pane.name] = _space(pane.viewer.dims.point)
        pane.connect(self._on_moved, self._on_looked, self._on_turned)
        self._pointing.watch(pane)
        self.active = self.active or pane
        self.pane_added.emit(pane)

    def close(self) -> None:
        """Leave the window as it was found."""
        self._switching.stop()
        for pane in self.panes:
            self._pointing.let_go(pane)
            for kind, hook, _main_only in self._hooks:
                callbacks = getattr(pane.viewer, _LISTS[kind])
                if hook in callbacks:
                    callbacks.remove(hook)
            pane.close()
        self._switching.close()
        self.panes, self.active = (), None
        self._hooks.clear()
        self.painters.clear()


def _space(point: Any) -> Place:
    """Return the last three numbers of a napari point, with zeros in front of those of a picture."""
    z, y, x = [0.0, 0.0, 0.0, *(float(p) for p in point)][-3:]
    return (z, y, x)
