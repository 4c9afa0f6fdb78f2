"""Where "here" is: the voxel under the mouse, and a click that asks about one."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.widgets.keymap import READ
from napari_medcnn.widgets.views.badges import source_index
from napari_medcnn.widgets.views.frame import Place
from napari_medcnn.widgets.views.pane import Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_LEFT, _CLICK = 1, 4.0
Voxel = tuple[int, int, int]


class Pointer(QObject):
    """Follows the mouse over all flat views.

    Signals: `clicked` with a voxel (z, y, x of the file's order) once it is armed; `armed_changed`.
    """

    clicked = Signal(object)
    armed_changed = Signal(bool)

    def __init__(self, dock: MedcnnDock, missed: Callable[[str], None]) -> None:
        super().__init__(dock)
        self._dock, self._missed = dock, missed
        self._pane: Pane | None = None
        self._place: Place | None = None
        self.armed = False
        dock.views.pointed.connect(self._on_pointed)
        dock.views.add_hook("drag", self.on_press)
        dock.tabs.currentChanged.connect(lambda _index: self.disarm() if dock.mode != READ else None)

    def voxel(self) -> Voxel | None:
        """Return the voxel under the mouse; None if it is over no flat view, or beside the scan."""
        pane, place = self._pane, self._place
        frame = None if pane is None else pane.frame()
        if frame is None or place is None:
            return None
        at = list(place)
        at[frame.depth_axis] = frame.depth  # slices may have changed under a mouse that rests
        return self._voxel_at((at[0], at[1], at[2]))

    def _voxel_at(self, place: Place) -> Voxel | None:
        scan = self._dock.session.scan
        grid = None if scan is None else DisplayGrid(scan.geometry)
        return source_index(grid, place) if grid is not None and grid.holds(place) else None

    def arm(self, armed: bool) -> None:
        """Let the next click on a picture be the question."""
        if armed:
            self._dock.reading.measuring.hand.disarm()
        if armed != self.armed:
            self.armed = armed
            for pane in self._dock.views.panes:
                if pane.is_flat:
                    pane.viewer.cursor.style = "pointing" if armed else "standard"
            self.armed_changed.emit(armed)

    def disarm(self) -> None:
        """A click moves the picture again."""
        self.arm(False)

    def _on_pointed(self, pane: Pane, place: Place | None) -> None:
        self._pane, self._place = (None, None) if place is None else (pane, place)

    def on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Left, while armed: the place under it is asked about when the button goes up; a drag is none."""
        pane = self._dock.views.pane_of(viewer)
        frame = None if pane is None else pane.frame()
        plain = event.button == _LEFT and not event.modifiers and not event.handled
        if not self.armed or not plain or frame is None or self._dock.mode != READ:
            return
        start = (float(event.pos[0]), float(event.pos[1]))
        event.handled = True
        yield
        while event.type == "mouse_move":
            event.handled = True
            yield
        event.handled = True
        if math.dist(start, (float(event.pos[0]), float(event.pos[1]))) > _CLICK:
            return
        voxel = self._voxel_at(frame.to_place(*start))
        if voxel is None:
            self._missed("That is beside the scan: click on the scan.")
            return
        self.disarm()
        self.clicked.emit(voxel)
