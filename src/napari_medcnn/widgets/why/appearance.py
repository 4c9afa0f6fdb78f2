"""How maps look, wherever they are seen: in the flat views, beside the first one, in 3D, and in the legends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_medcnn.widgets.views.corners import Line
from napari_medcnn.widgets.volume_view.map_volume import MapLook
from napari_medcnn.widgets.why.beside import Beside
from napari_medcnn.widgets.why.colours import colormap
from napari_medcnn.widgets.why.legend_painter import LegendPainter
from napari_medcnn.widgets.why.map_panel import MapPanel
from napari_medcnn.widgets.why.maps import Maps, ShownMap, lines_over

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class Appearance:
    """Draws the map that is chosen, and the one beside it, as the panel says.

    Parameters
    ----------
    dock, panel
        Whose views, and where colours, opacity and what is hidden are chosen.
    """

    def __init__(self, dock: MedcnnDock, panel: MapPanel) -> None:
        self._dock, self._panel = dock, panel
        self.maps = Maps(dock.layers, self.draw)
        self.beside = Beside(dock, self._beside_ended)
        #: The map in the second view.
        self.other: ShownMap | None = None
        self._outlined: Any = None
        self._soon_3d = QTimer(panel)
        self._soon_3d.setSingleShot(True)
        self._soon_3d.setInterval(0)
        self._soon_3d.timeout.connect(self._draw_3d)
        dock.views.add_painter(LegendPainter(lambda: None if self.maps.seen is None else self.maps.seen.legend).paint)
        dock.reading.annotations.also_said = self.lines
        panel.looked.connect(self.draw)
        panel.shown.connect(self._show)
        panel.beside.connect(self._show_beside)

    def lines(self) -> list[Line]:
        """Return what stands on the first view and on pictures while a map is seen."""
        return [] if self.maps.seen is None else lines_over(self.maps.seen)

    def draw(self) -> None:
        """Draw every map as it is chosen now."""
        shown, panel, other = self.maps.current, self._panel, self.other
        if shown is None:
            return
        for each in (shown,) if other is None else (shown, other):
            each.legend = panel.legend_of(each.name, each.made, each.explained.ranks)
        self.maps.look(shown, panel.look_of(shown.made, shown.explained.ranks))
        panel.legend.show_legend(shown.legend)
        if other is not None:
            self.beside.look(other, panel.look_of(other.made, other.explained.ranks), self.maps.seen is not None)
        self._dock.views.redraw()
        self._soon_3d.start()

    def _draw_3d(self) -> None:
        """Show the map in the 3D view: in a turn of its own, as the flat views come first."""
        shown, volume_view = self.maps.current, self._dock.reading.volume_view
        if shown is None or shown.explained.volume is None:
            volume_view.show_map(None, None)
            return
        look = self._panel.look_of(shown.made, shown.explained.ranks)
        painted = colormap(look.colour, shown.made.signed, look.hidden)
        seen = self.maps.seen is not None
        volume_view.show_map(shown.explained.volume, MapLook(painted, shown.opacity(look), seen))
        self._dock.views.redraw()

    def _show(self, visible: bool) -> None:
        self.maps.show(visible)
        self.outline(visible)

    def outline(self, wanted: bool) -> None:
        """Masks are outlines while a map is seen: two fillings over each other could not be read."""
        mask = self._dock.layers.mask
        if wanted and mask is not None and not mask.contour:
            mask.contour, self._outlined = 1, mask
        elif not wanted and self._outlined is not None:
            if self._outlined is mask and mask is not None and mask.contour == 1:
                mask.contour = 0
            self._outlined = None

    # ---- beside ----------------------------------------------------------------------------------------------------

    def _show_beside(self, at: int) -> None:
        self.end_beside()
        if 0 <= at < len(self.maps.all):
            other = self.maps.all[at]
            if self.beside.show(other):
                self.other = other
                self._panel.show_beside(at)
                self.draw()

    def follow_list(self) -> None:
        """Maps came or went: one that is gone does not stand beside, and lists name the others."""
        if self.other is not None and not any(each is self.other for each in self.maps.all):
            self.end_beside()
        self._panel.show_beside(next((i for i, each in enumerate(self.maps.all) if each is self.other), -1))

    def end_beside(self) -> None:
        """Show the first view alone."""
        self.beside.end()
        self._beside_ended()

    def _beside_ended(self) -> None:
        self.other = None
        self._panel.show_beside(-1)

    # ---- what goes -------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """No map is left: nothing of one stays in any view."""
        self.outline(False)
        self._panel.forget_map()
        self._soon_3d.start()

    def clear(self) -> None:
        """Another scan: its maps went with its layers."""
        self.end_beside()
        self.maps.clear()
        self.maps.visible = True
        self._outlined = None
