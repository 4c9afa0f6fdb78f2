"""The one strip at the bottom of the window: a table or a curve at a time, closed until it is asked for.

A dock of Qt's own, not of napari: napari's wrapper would put a grey title bar down its side and hand the keys that a
table does not want to the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QSize, Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QDockWidget, QHBoxLayout, QMainWindow, QPushButton, QStackedWidget, QWidget

from napari_medcnn.widgets.parts import GAP, button

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_medcnn.widgets.dock import MedcnnDock

HEIGHT = 150
_CORNERS = (Qt.Corner.BottomLeftCorner, Qt.Corner.BottomRightCorner)
_AREAS = (Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea)


class Strip(QObject):
    """Pages below the picture, one at a time.

    Signal: `page_changed` with the name of the page that is seen now, "" while the strip is closed.

    Parameters
    ----------
    dock
        Its window gets the strip when the first page is shown; keys that a page does not want are the dock's.
    """

    page_changed = Signal(str)

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock = dock
        self._qt: QDockWidget | None = None
        self._window: QMainWindow | None = None
        self._corners: tuple[Any, ...] = ()
        self._page = ""
        self._pages: dict[str, QWidget] = {}
        self._content = _Content(dock)
        self._header = _Header(self.hide)
        self._header.asked.connect(self.show_page)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """No key of its own."""
        return {}

    @property
    def page(self) -> str:
        """Name of the page that is seen, "" while the strip is closed."""
        return self._page

    @property
    def widget(self) -> QDockWidget | None:
        """The strip in the window; None until a page was shown."""
        return self._qt

    def add_page(self, name: str, page: QWidget) -> None:
        """Add a page; nothing is seen of it until it is shown."""
        self._pages[name] = page
        self._content.addWidget(page)
        self._header.add(name)

    def show_page(self, name: str) -> None:
        """Open the strip with this page; the one that was seen before goes."""
        if not self._attach():
            return
        self._content.setCurrentWidget(self._pages[name])
        self._header.choose(name)
        if self._qt is not None:
            self._qt.show()
        self._tell(name)

    def toggle_page(self, name: str) -> None:
        """Show this page, or close the strip if it is the one that is seen."""
        self.hide() if self._page == name else self.show_page(name)

    def hide(self) -> None:
        """Close the strip; its pages stay as they are."""
        if self._qt is not None:
            self._qt.hide()
        self._tell("")

    def close(self) -> None:
        """Leave the window as it was found."""
        if self._window is not None and self._qt is not None:
            self._window.removeDockWidget(self._qt)
            for corner, area in zip(_CORNERS, self._corners, strict=True):
                self._window.setCorner(corner, area)
            self._qt.setParent(None)
            self._qt.deleteLater()
        else:
            self._content.deleteLater()
            self._header.deleteLater()
        self._qt = self._window = None
        self._pages.clear()

    def _tell(self, page: str) -> None:
        if page != self._page:
            self._page = page
            self.page_changed.emit(page)

    def _attach(self) -> bool:
        """Put the strip into the window; below the picture only, so that the dock keeps its height."""
        window = self._dock.window()
        if self._qt is not None or not isinstance(window, QMainWindow):
            return self._qt is not None
        self._window, self._qt = window, QDockWidget("MedCNN tables and curves", window)
        self._qt.setObjectName("MedCNN strip")
        self._qt.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        self._qt.setTitleBarWidget(self._header)
        self._qt.setWidget(self._content)
        self._corners = tuple(window.corner(corner) for corner in _CORNERS)
        for corner, area in zip(_CORNERS, _AREAS, strict=True):
            window.setCorner(corner, area)
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self._qt)
        window.resizeDocks([self._qt], [HEIGHT], Qt.Orientation.Vertical)
        return True


class _Header(QWidget):
    """Names of the pages, and what closes the strip."""

    asked = Signal(str)

    def __init__(self, close: Callable[[], None]) -> None:
        super().__init__()
        self._buttons: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(GAP, 2, GAP, 2)
        self._row.setSpacing(GAP)
        self._row.addStretch(1)
        self.close_button = button("Close", close, "Close this strip")
        self.close_button.setAccessibleName("Close the strip")
        self._row.addWidget(self.close_button)

    def add(self, name: str) -> None:
        """Name one more page."""
        made = button(name, lambda: self.asked.emit(name))
        made.setCheckable(True)
        self._group.addButton(made)
        self._row.insertWidget(len(self._buttons), made)
        self._buttons[name] = made

    def choose(self, name: str) -> None:
        """Mark the page that is seen."""
        self._buttons[name].setChecked(True)


class _Content(QStackedWidget):
    """The pages; keys that they do not want end at the dock, where napari's do not."""

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__()
        self._dock = dock
        self.setMinimumHeight(HEIGHT - 60)

    def sizeHint(self) -> QSize:
        """Low: it stands below the picture."""
        return QSize(400, HEIGHT - 30)

    def minimumSizeHint(self) -> QSize:
        """As low as this, so that the window never grows beyond the screen; wide pages scroll."""
        return QSize(100, HEIGHT - 60)

    def keyPressEvent(self, event: Any) -> None:
        """As in the dock."""
        self._dock.keyPressEvent(event)

    def keyReleaseEvent(self, event: Any) -> None:
        """As in the dock."""
        self._dock.keyReleaseEvent(event)
