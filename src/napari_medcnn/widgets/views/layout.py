"""Where the canvases stand: the further three beside and below napari's own, which is never moved.

`QtViewer` is a splitter that takes a second canvas below its own, and the layout of the central widget takes a column
to the right. Both columns are divided alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QBoxLayout, QSplitter

from napari_medcnn.widgets.views.pane import Pane

if TYPE_CHECKING:
    from napari.qt import QtViewer

_ALL = 1_000_000  # Qt scales sizes of a splitter to the room there is


class Area(QObject):
    """The four canvases of a window: main and second in the left column, volume and third in the right one.

    Parameters
    ----------
    main
        Napari's own widget, which stays where it is.
    second, third, volume
        The further panes; they get their place here, hidden.
    """

    def __init__(self, main: QtViewer, second: Pane, third: Pane, volume: Pane, parent: QObject) -> None:
        super().__init__(parent)
        self._main, self._second, self._third, self._volume = main, second, third, volume
        for pane in (second, third, volume):
            pane.qt.hide()
        main.addWidget(second.qt)
        self._right = QSplitter(Qt.Orientation.Vertical)
        self._right.addWidget(volume.qt)
        self._right.addWidget(third.qt)
        self._right.hide()
        room = main.parentWidget().layout()
        room.addWidget(self._right)
        if isinstance(room, QBoxLayout):
            room.setStretchFactor(main, 1)
            room.setStretchFactor(self._right, 1)
        main.splitterMoved.connect(self._follow_left)
        self._right.splitterMoved.connect(self._follow_right)

    def show_four(self) -> None:
        """Show all of them, equally large."""
        for widget in (self._second.qt, self._volume.qt, self._third.qt, self._main, self._right):
            widget.show()
        self._main.setSizes([_ALL, _ALL])
        self._right.setSizes([_ALL, _ALL])

    def show_main(self) -> None:
        """Show napari's own canvas alone."""
        self._keep_focus()
        self._main.show()
        self._right.hide()
        for pane in (self._second, self._third, self._volume):
            pane.qt.hide()

    def show_volume(self) -> None:
        """Show the 3D view alone."""
        self._volume.qt.show()
        self._right.show()
        self._volume.native.setFocus()
        for widget in (self._third.qt, self._second.qt, self._main):
            widget.hide()

    def _keep_focus(self) -> None:
        """A canvas that is hidden hands the keys to napari's own, not to the next text field."""
        focused = self._main.window().focusWidget()
        if any(focused is pane.native for pane in (self._second, self._third, self._volume)):
            self._main.show()
            self._main.canvas.native.setFocus()

    def _follow_left(self) -> None:
        self._right.setSizes(self._main.sizes())

    def _follow_right(self) -> None:
        self._main.setSizes(self._right.sizes())

    def close(self) -> None:
        """Take the further canvases out of the window."""
        self._main.show()
        self._main.splitterMoved.disconnect(self._follow_left)
        for pane in (self._second, self._third, self._volume):
            pane.qt.close()
            pane.qt.setParent(None)
            pane.qt.deleteLater()
        self._right.setParent(None)
        self._right.deleteLater()
