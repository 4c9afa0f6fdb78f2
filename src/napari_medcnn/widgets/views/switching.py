"""Changing between one view and 2x2, and keeping 2x2 right when another scan comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import QObject, QTimer

from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets import layer_parts
from napari_medcnn.widgets.views.layout import Area
from napari_medcnn.widgets.views.mirror import Mirror
from napari_medcnn.widgets.views.pane import MAIN, SECOND, THIRD, VOLUME, Look, Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.layers import Layers
    from napari_medcnn.widgets.views.views import Views

#: Milliseconds until the second and the third view copy a hidden layer: not both in one turn of the window.
_LEISURE_MS = (30, 120)
ONE, FOUR = "one", "four"


class Switching(QObject):
    """Which panes are seen.

    A plane that is maximised is given to napari's own canvas, so that every tool works in it; going back gives that
    canvas the acquired plane again. Each plane keeps what part of it was looked at.

    Parameters
    ----------
    viewer, layers
        The first viewer, and which of its layers are ours.
    views
        The panes.
    """

    def __init__(self, viewer: Any, layers: Layers, views: Views) -> None:
        super().__init__(views)
        self._viewer, self._layers, self._views = viewer, layers, views
        self.layout = ONE
        #: Volumes open in 2x2.
        self.opens_four = False
        self._looks: dict[str, Look] = {}
        self._mirrors: list[Mirror] = []
        self._area: Area | None = None
        #: Name of the pane that is seen alone, while 2x2 is the layout to go back to.
        self._maximised: str | None = None
        self._wants_four = False
        self._seen_scan: Any = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._follow)
        layers.added.connect(self.follow_soon)
        layers.removed.connect(self.follow_soon)

    @property
    def has_volume(self) -> bool:
        """True while a volume is open, not a picture."""
        scan = self._layers.scan
        return scan is not None and not scan.metadata[KEY]["picture"]

    def show_four(self) -> None:
        """Show the three planes and the 3D view, if a volume is open."""
        views = self._views
        if not views.panes or not self.has_volume or self.layout == FOUR:
            return
        self._wants_four = True
        area, first = self._area or self._build(), views.panes[0]
        if self._maximised in (SECOND, THIRD):
            self._looks[self._maximised] = first.look
            self._show_acquired_plane()
            first.look = self._looks.get(MAIN, Look(first.look.centre, 1.0))
        self._maximised, self.layout, self._seen_scan = None, FOUR, self._layers.scan
        area.show_four()
        with views.quietly():
            for mirror in self._mirrors:
                mirror.begin()
            self._order_planes()
        views.go_to(views.place)
        views.link_from(first)
        views.layout_changed.emit()

    def show_one(self) -> None:
        """Show the first pane alone, in the plane that the series was acquired in."""
        self._wants_four = False
        self._leave(None)

    def maximise(self, pane: Pane) -> None:
        """Show one pane of 2x2 alone."""
        if self.layout != FOUR:
            return
        views = self._views
        axis, look, first = pane.axis, pane.look, views.panes[0]
        self._leave(pane.name)
        if pane.name in (SECOND, THIRD) and axis is not None:
            with views.quietly():
                first.show_plane(axis, int(self._viewer.dims.ndim))
                first.look = look
            views.active = first
            views.go_to(views.place)

    def _leave(self, seen: str | None) -> None:
        if self._area is None or (self.layout == ONE and self._maximised is None):
            return
        views = self._views
        if self.layout == FOUR:
            self._looks = {p.name: p.look for p in views.panes if p.is_flat and len(p.viewer.layers)}
        elif seen is None and self._maximised in (SECOND, THIRD):
            self._show_acquired_plane()
        self._maximised, self.layout = seen, ONE
        if seen == VOLUME:
            self._area.show_volume()
        else:
            self._area.show_main()
        with views.quietly():
            for mirror in self._mirrors:
                mirror.end()
        views.layout_changed.emit()
        views.redraw()

    def _show_acquired_plane(self) -> None:
        """Napari's own canvas shows the plane again that the series was acquired in."""
        scan, dims = self._layers.scan, self._viewer.dims
        if scan is not None:
            lead = int(dims.ndim) - int(scan.ndim)
            with self._views.quietly():
                dims.order = (*range(lead), *(lead + axis for axis in layer_parts.axis_order(scan)))

    def _order_planes(self) -> None:
        """Give the two other planes to the second and third pane, each looking at what it looked at before."""
        first, ndim = self._views.panes[0].axis, int(self._viewer.dims.ndim)
        rest = [axis for axis in (1, 2, 0) if axis != first]
        for pane, axis in zip(self._views.panes[1:3], rest, strict=False):
            changed = pane.axis != axis
            pane.show_plane(axis, ndim)
            look = self._looks.pop(pane.name, None) if len(pane.viewer.layers) else None
            if look is not None:
                pane.look = look
            elif changed:
                pane.fit()

    def _build(self) -> Area:
        views = self._views
        made = [Pane(name, model, QtViewer(model), views.painters) for name, model in
                ((SECOND, ViewerModel()), (THIRD, ViewerModel()), (VOLUME, ViewerModel()))]  # fmt: skip
        made[2].qt.dims.hide()
        made[2].viewer.dims.ndisplay = 3
        self._area = Area(views.panes[0].qt, made[0], made[1], made[2], self)
        self._mirrors = [
            Mirror(self._viewer, pane.viewer, self._order_planes, self, leisure_ms=after)
            for pane, after in zip(made[:2], _LEISURE_MS, strict=True)
        ]
        for pane in made:
            views.add_pane(pane)
        return self._area

    # ---- another scan ----------------------------------------------------------------------------------------------

    def follow_soon(self, _layer: Any = None) -> None:
        """Look at the layers once they are all there."""
        self._later.start(0)

    def _follow(self) -> None:
        """Another scan keeps the layout; a picture is one view, and a volume after it is 2x2 again."""
        views, scan = self._views, self._layers.scan
        fresh, self._seen_scan = scan is not self._seen_scan, scan
        if fresh:
            self._looks.clear()
        if not self.has_volume:
            self._leave(None)
        elif self.layout == FOUR:
            with views.quietly():
                self._order_planes()
                for pane in views.panes[1:3]:
                    if fresh:
                        pane.fit()
            views.go_to(views.place)
            views.link_from(views.panes[0])
        elif fresh and (self._wants_four or self.opens_four):
            self._leave(None)
            self.show_four()
        views.redraw()

    # ---- end -------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Show one view and listen no more; the panes are still there."""
        self._later.stop()
        self._layers.added.disconnect(self.follow_soon)
        self._layers.removed.disconnect(self.follow_soon)
        self._leave(None)

    def close(self) -> None:
        """Take the further canvases out of the window."""
        if self._area is not None:
            self._area.close()
        self._area = None
        self._mirrors.clear()
