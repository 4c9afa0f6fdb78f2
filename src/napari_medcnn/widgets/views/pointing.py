"""Which canvas the mouse is in: it gets the keys, and listeners hear what is pointed at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject

from napari_medcnn.widgets.views.pane import Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.views.views import Views

_INSIDE = (QEvent.Type.Enter, QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel)


class Pointing(QObject):
    """Watches the canvases through Qt: what napari tells comes too late or not at all (leaving, sizes)."""

    def __init__(self, views: Views) -> None:
        super().__init__(views)
        self._views = views
        views.add_hook("move", self._on_move)

    def watch(self, pane: Pane) -> None:
        """Listen to one more canvas."""
        pane.native.installEventFilter(self)

    def let_go(self, pane: Pane) -> None:
        """Leave a canvas alone."""
        pane.native.removeEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """See where the mouse is and how large canvases are; nothing is taken away."""
        kind = event.type()
        if kind in _INSIDE:
            self._enter(watched, kind == QEvent.Type.MouseButtonPress)
        elif kind == QEvent.Type.Leave:
            pane = self._pane(watched)
            if pane is not None:
                self._views.pointed.emit(pane, None)
        elif kind == QEvent.Type.Resize:
            pane = self._pane(watched)
            if pane is not None:
                pane.resized(event.size().width(), event.size().height())
        return False

    def _pane(self, native: Any) -> Pane | None:
        return next((pane for pane in self._views.panes if pane.native is native), None)

    def _enter(self, native: Any, pressed: bool) -> None:
        """Keys act where the mouse is, if they act on a canvas at all; a press always brings them there."""
        pane = self._pane(native)
        if pane is None:
            return
        self._views.active = pane
        focused = native.window().focusWidget()
        if focused is not native and (pressed or (focused is not None and self._pane(focused) is not None)):
            native.setFocus()

    def _on_move(self, viewer: Any, event: Any) -> None:
        pane = self._views.pane_of(viewer)
        if pane is not None:
            x, y = (float(v) for v in event.pos[:2])
            self._views.pointed.emit(pane, pane.place_at(x, y))
