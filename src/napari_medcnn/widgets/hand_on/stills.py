"""Pictures of several views, drawn one after the other: the window lives between them, and all show the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QImage

from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.widgets.hand_on import render
from napari_medcnn.widgets.views.pane import Pane
from napari_medcnn.widgets.views.views import Views

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

#: So often it begins anew because something else was shown in the meantime, before it gives up.
_TRIES = 4
#: The window has this long to draw and to hear before the next view, in ms.
_REST_MS = 5

Taken = Callable[[list[QImage]], None]
Failed = Callable[[MedcnnError], None]


class Stills(QObject):
    """Draws the views of one dock into pictures.

    Parameters
    ----------
    dock
        Whose views; its header says how far it is.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock, self._views = dock, dock.views
        self._panes: tuple[Pane, ...] = ()
        self._scale, self._names = 1.0, False
        self._pictures: list[QImage] = []
        self._seen: object = None
        self._tries = 0
        self._taken: Taken | None = None
        self._failed: Failed | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._timer.timeout.connect(self._step)

    def take(self, panes: Sequence[Pane], scale: float, names: bool, taken: Taken, failed: Failed) -> None:
        """Draw `panes` and hand over one picture each; one of them is called unless `end` comes first.

        Where something else is shown before all are drawn it begins anew, so that no picture mixes two moments.
        """
        self.end()
        self._panes, self._scale, self._names = tuple(panes), scale, names
        self._taken, self._failed, self._tries = taken, failed, 0
        self._begin()

    @property
    def running(self) -> bool:
        """True while views are being drawn."""
        return self._taken is not None

    def end(self) -> None:
        """Stop; nobody is told."""
        self._timer.stop()
        if self._taken is not None:
            self._taken = self._failed = None
            self._pictures, self._panes, self._seen = [], (), None
            self._dock.header.show_progress("")

    def _begin(self) -> None:
        self._pictures, self._seen = [], shown_now(self._views, self._panes)
        self._tries += 1
        self._dock.header.show_progress("Picture 0 %")
        self._timer.start()

    def _step(self) -> None:
        try:
            if shown_now(self._views, self._panes) != self._seen:
                if self._tries >= _TRIES:
                    raise InputError(
                        "The views changed while the picture was made; leave them as they are for a moment."
                    )
                self._begin()
                return
            with self._views.without_names(not self._names):
                pane = self._panes[len(self._pictures)]
                self._pictures.append(render.view_picture(self._views, pane, self._scale))
        except MedcnnError as error:
            failed = self._failed
            self.end()
            if failed is not None:
                failed(error)
            return
        share = len(self._pictures) / len(self._panes)
        self._dock.header.show_progress(f"Picture {share:.0%}".replace("%", " %"))
        if share < 1:
            self._timer.start()
            return
        pictures, taken = self._pictures, self._taken
        self.end()
        if taken is not None:
            taken(pictures)


def shown_now(views: Views, panes: Sequence[Pane]) -> tuple[object, ...]:
    """Return everything that tells one picture of these views from another, strokes aside."""
    found: list[object] = [views.place]
    for pane in panes:
        camera = pane.viewer.scene.camera
        found += [pane.name, pane.native.isVisible(), tuple(pane.viewer.dims.point), pane.frame(), tuple(camera.angles)]
        for layer in pane.viewer.layers:
            limits = tuple(getattr(layer, "contrast_limits", ()) or ()) if not getattr(layer, "rgb", False) else ()
            found += [id(layer), bool(layer.visible), float(layer.opacity), limits]
    return tuple(found)
