"""The canvas area: one view, or 2x2 linked views of the same scan.

Napari's own canvas is always the first pane, so every tool works there in whatever plane it shows. The others are
further napari canvases that share its arrays. They are put beside it without moving it: `QtViewer` is a splitter that
takes a second canvas below its own, and the central widget's layout takes a column to the right.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QSplitter, QWidget

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.views.frame import Place
from napari_medcnn.widgets.views.mirror import Mirror
from napari_medcnn.widgets.views.overlay import Painter
from napari_medcnn.widgets.views.pane import MAIN, SECOND, THIRD, VOLUME, Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.layers import Layers

ONE, FOUR = "one", "four"
#: Kind of mouse hook -> napari's list of callbacks.
_LISTS = {
    "drag": "mouse_drag_callbacks",
    "move": "mouse_move_callbacks",
    "wheel": "mouse_wheel_callbacks",
    "double_click": "mouse_double_click_callbacks",
}
Hook = Callable[[Any, Any], Any]


class Views(QObject):
    """Panes of one window, the place they share, and what is drawn and listened to in all of them.

    Signals: `layout_changed`; `pane_added` with a new pane; `place_changed` when the crosshair moved; `pointed` with
    (pane, place or None) when the mouse moves over a canvas.
    """

    layout_changed = Signal()
    pane_added = Signal(object)
    place_changed = Signal()
    pointed = Signal(object, object)

    def __init__(self, viewer: Any, layers: Layers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._layers = viewer, layers
        self.painters: list[Painter] = []
        self.panes: tuple[Pane, ...] = ()
        self.layout = ONE
        self._hooks: list[tuple[str, Hook, bool]] = []
        self._mirrors: list[Mirror] = []
        self._right: QSplitter | None = None
        #: The pane that keys act on: where the mouse was last.
        self.active: Pane | None = None
        #: True while painters draw a picture that leaves the window: no mode, no cursor, nothing of the moment.
        self.exporting = False
        #: True while painters leave out names, numbers and dates of patients, whatever the screen shows.
        self.names_left_out = False

    # ---- seams for features ----------------------------------------------------------------------------------------

    def add_painter(self, painter: Painter) -> None:
        """Draw something over every pane from now on; later painters draw above earlier ones."""
        self.painters.append(painter)
        self.redraw()

    def add_hook(self, kind: str, hook: Hook, main_only: bool = False) -> None:
        """Put a mouse callback (viewer, event) first in every pane: "drag", "move", "wheel" or "double_click".

        Hooks that are added later come before earlier ones; whoever sets ``event.handled`` ends it.
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
            if getattr(pane.viewer, "__wrapped__", pane.viewer) is wanted:
                return pane
        return self.panes[0] if self.panes else None

    def redraw(self) -> None:
        """Draw what lies over the panes again, soon."""
        for pane in self.panes:
            pane.overlay.update()

    @property
    def shown(self) -> tuple[Pane, ...]:
        """The panes that are seen now."""
        return tuple(pane for pane in self.panes if pane.native.isVisible())

    @property
    def grid(self) -> DisplayGrid | None:
        """How the open scan lies in the patient; None without one."""
        scan = self._layers.scan
        return None if scan is None else DisplayGrid(scan.metadata[KEY]["geometry"])

    # ---- place -----------------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        """World place (z, y, x) that all views share: the crosshair. Of a picture z is 0."""
        point = [0.0, 0.0, 0.0, *(float(p) for p in self._viewer.dims.point)][-3:]
        return (point[0], point[1], point[2])

    def go_to(self, place: Place) -> None:
        """Show a place in every view."""
        for pane in self.panes:
            dims = pane.viewer.dims
            if dims.ndim >= 3 and len(pane.viewer.layers):
                dims.point = (*dims.point[:-3], *place)
        self.place_changed.emit()
        self.redraw()

    # ---- layout ----------------------------------------------------------------------------------------------------

    def attach(self, window: QWidget) -> None:
        """Find napari's canvas in its window; from now on there is a pane."""
        wanted = getattr(self._viewer, "__wrapped__", self._viewer)
        found = [q for q in window.findChildren(QtViewer) if getattr(q.viewer, "__wrapped__", q.viewer) is wanted]
        if not found or self.panes:
            return
        self._add_pane(Pane(MAIN, self._viewer, found[0], self.painters))

    def toggle(self) -> None:
        """Change between one view and 2x2."""
        self.show_one() if self.layout == FOUR else self.show_four()

    def show_four(self) -> None:
        """Show the three planes and the 3D view, if a volume is open."""
        scan = self._layers.scan
        if not self.panes or scan is None or scan.metadata[KEY]["picture"]:
            return
        if self._right is None:
            self._build()
        for pane, mirror in zip(self.panes[1:], self._mirrors, strict=True):
            mirror.begin()
            pane.qt.show()
        if self._right is not None:
            self._right.show()
        self._order_planes()
        self._share_room()
        self.layout = FOUR
        self.go_to(self.place)
        self.layout_changed.emit()

    def show_one(self) -> None:
        """Show the first pane alone."""
        for pane, mirror in zip(self.panes[1:], self._mirrors, strict=True):
            pane.qt.hide()
            mirror.end()
        if self._right is not None:
            self._right.hide()
        self.layout = ONE
        self.layout_changed.emit()

    def _build(self) -> None:
        main = self.panes[0].qt
        made = [Pane(name, model, QtViewer(model), self.painters) for name, model in
                ((SECOND, ViewerModel()), (THIRD, ViewerModel()), (VOLUME, ViewerModel()))]  # fmt: skip
        second, third, volume = made
        for pane in made:
            pane.qt.dims.hide()
        main.addWidget(second.qt)
        self._right = QSplitter(Qt.Orientation.Vertical)
        self._right.addWidget(volume.qt)
        self._right.addWidget(third.qt)
        centre = main.parentWidget()
        centre.layout().addWidget(self._right)
        self._mirrors = [Mirror(self._viewer, self._layers, pane.viewer, pane.name == VOLUME) for pane in made]
        for pane in made:
            self._add_pane(pane)

    def _add_pane(self, pane: Pane) -> None:
        self.panes = (*self.panes, pane)
        for kind, hook, main_only in self._hooks:
            if pane.name == MAIN or not main_only:
                getattr(pane.viewer, _LISTS[kind]).insert(0, hook)
        for emitter in (pane.viewer.scene.camera.events, pane.viewer.dims.events):
            emitter.connect(self._on_view)
        self.active = self.active or pane
        self.pane_added.emit(pane)

    def _order_planes(self) -> None:
        """Give the two other planes to the second and third pane."""
        first = self.panes[0].axis
        rest = [axis for axis in (1, 2, 0) if axis != first]
        for pane, axis in zip(self.panes[1:3], rest, strict=True):
            dims = pane.viewer.dims
            lead = int(dims.ndim) - 3
            others = [a for a in range(3) if a != axis]
            dims.order = (*range(lead), lead + axis, *(lead + a for a in others))
            pane.viewer.reset_view()

    def _share_room(self) -> None:
        if self._right is None:
            return
        for splitter in (self.panes[0].qt, self._right):
            half = max(1, splitter.height() // 2)
            splitter.setSizes([half, half])

    def _on_view(self, _event: Any = None) -> None:
        self.redraw()

    def close(self) -> None:
        """Leave the window as it was found."""
        if self.layout == FOUR:
            self.show_one()
        for pane in self.panes:
            for emitter in (pane.viewer.scene.camera.events, pane.viewer.dims.events):
                emitter.disconnect(self._on_view)
            for kind, hook, _main_only in self._hooks:
                callbacks = getattr(pane.viewer, _LISTS[kind])
                if hook in callbacks:
                    callbacks.remove(hook)
            pane.overlay.setParent(None)
            pane.overlay.deleteLater()
        for pane in self.panes[1:]:
            pane.qt.close()
            pane.qt.setParent(None)
            pane.qt.deleteLater()
        if self._right is not None:
            self._right.setParent(None)
            self._right.deleteLater()
        self.panes, self._mirrors, self._right, self._hooks, self.active = (), [], None, [], None
        self.painters.clear()
