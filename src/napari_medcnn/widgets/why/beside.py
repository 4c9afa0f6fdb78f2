"""A second map in a second view to the right: the same scan, place and zoom, another method or class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_medcnn.widgets.jobs import Second
from napari_medcnn.widgets.second_series.side import SideBySide
from napari_medcnn.widgets.views.slider_numbers import show_numbers
from napari_medcnn.widgets.why.legend_painter import LegendPainter
from napari_medcnn.widgets.why.maps import Look, ShownMap, lines_over

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class Beside:
    """Shows one map next to the first view.

    Parameters
    ----------
    dock
        Whose scan and first view.
    ended
        Called when the second view went because something else needed the room.
    """

    def __init__(self, dock: MedcnnDock, ended: Callable[[], None]) -> None:
        self._dock, self._ended = dock, ended
        self.sides = SideBySide(dock, self._on_other_layout)

        self._over: Any = None

    @property
    def is_shown(self) -> bool:
        """True while there is a second view."""
        return bool(self.sides.sides)

    def show(self, shown: ShownMap) -> bool:
        """Show a map beside the first view; False if there is no room for it now."""
        dock, scan, opened = self._dock, self._dock.session.scan, self._dock.session.opened
        if scan is None or opened is None or dock.layers.scan is None:
            return False
        if dock.reading.second_series.side.sides:
            dock.say("A second scan stands beside this one: close that view first.")
            return False
        self.sides.begin([(1, Second(opened, scan, (dock.layers.scan,)))])
        for side in self.sides.sides:
            side.titles = lambda: lines_over(shown)
            side.pane.painters.append(LegendPainter(lambda: shown.legend if self.visible else None, True).paint)
            self._over = side.lay_over(shown.explained.layer)
            side.link_now(True)
            show_numbers(side.pane, False)
        return self.is_shown

    @property
    def visible(self) -> bool:
        """True while the map is seen in the second view."""
        return self._over is not None and bool(self._over.visible)

    def look(self, shown: ShownMap, look: Look, visible: bool) -> None:
        """Draw the map as it is chosen now."""
        if self._over is None:
            return
        shown.paint(self._over, look)
        if self._over.visible != visible:
            self._over.visible = visible
        for side in self.sides.sides:
            side.pane.overlay.update()

    def end(self) -> None:
        """Show the first view alone."""
        self._over = None
        self.sides.end()

    def _on_other_layout(self) -> None:
        self.end()
        self._ended()
