"""The napari window around the dock: its layer docks, the dock's width, and what happens when it closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_medcnn.widgets.physical_keys import PhysicalDigits

WIDTH, WIDTH_LARGE, LARGE_SCREEN = 340, 380, 1900
_NAPARI_DOCKS = ("layer list", "layer controls")


def wanted_width(widget: QWidget) -> int:
    """Return 340 px on small screens, 380 on large ones."""
    screen = widget.screen()
    return WIDTH_LARGE if screen is not None and screen.availableGeometry().width() >= LARGE_SCREEN else WIDTH


class HostWindow(QObject):
    """Knows the main window through Qt alone; napari has no public handle for its own docks.

    Parameters
    ----------
    inner
        Our widget; it must stand in the window already.
    may_close
        Asked when the window is about to close; False keeps it open.
    closing
        Called once when the window really closes.

    Signals: `taken_out` with the name of the dock, when somebody took our widget out of the window.
    """

    taken_out = Signal(str)

    def __init__(self, inner: QWidget, may_close: Callable[[], bool], closing: Callable[[], None]) -> None:
        super().__init__(inner)
        self._inner, self._may_close, self._closing = inner, may_close, closing
        self._window = inner.window()
        self._window.installEventFilter(self)
        inner.installEventFilter(self)
        dock = self._dock()
        self._name = "" if dock is None else dock.objectName()
        self._digits = PhysicalDigits(self._window, self)

    def watch(self, canvas: QWidget) -> None:
        """A further canvas came: its digits are read by the place of the key, too."""
        self._digits.watch(canvas)

    def show_napari_docks(self, shown: bool) -> None:
        """Show or hide napari's layer list and layer controls; found by their Qt names."""
        for dock in self._window.findChildren(QDockWidget):
            if dock.objectName() in _NAPARI_DOCKS:
                dock.setVisible(shown)
        QTimer.singleShot(0, self.take_width)

    def take_width(self) -> None:
        """Give the dock its width; the rest is the picture's."""
        dock = self._dock()
        if dock is not None and isinstance(self._window, QMainWindow):
            self._window.resizeDocks([dock], [wanted_width(self._inner)], Qt.Orientation.Horizontal)

    def let_go(self) -> None:
        """Leave the window as it was found."""
        self._window.removeEventFilter(self)
        self._inner.removeEventFilter(self)
        self._digits.let_go()
        for dock in self._window.findChildren(QDockWidget):
            if dock.objectName() in _NAPARI_DOCKS:
                dock.setVisible(True)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """See the window close before napari does."""
        if watched is self._window and event.type() == QEvent.Type.Close:
            if not self._may_close():
                event.ignore()
                return True
            self._closing()
        if watched is self._inner and event.type() == QEvent.Type.ParentChange and self._inner.parentWidget() is None:
            QTimer.singleShot(0, self._taken_out)  # napari is still at it
        return bool(super().eventFilter(watched, event))

    def _taken_out(self) -> None:
        if self._inner.parentWidget() is None:
            self.taken_out.emit(self._name)

    def _dock(self) -> QDockWidget | None:
        widget = self._inner.parentWidget()
        while widget is not None and not isinstance(widget, QDockWidget):
            widget = widget.parentWidget()
        return widget
