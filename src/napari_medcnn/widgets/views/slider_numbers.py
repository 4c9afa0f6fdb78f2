"""The numbers beside napari's sliders: they count from 0 and are cut off, so they are not seen beside ours.

"100 of 200" stands in the corner of each view. Napari names these widgets for its style sheets, and they are found by
those names; they come back when no scan of ours is open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.views.pane import Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.second_series.second import SecondSeries

NUMBERS = ("slice_label", "slice_label_sep")


class SliderNumbers(QObject):
    """Hides them in every view while a scan of ours is open."""

    def __init__(self, dock: MedcnnDock, second_series: SecondSeries) -> None:
        super().__init__(dock)
        self._dock, self._second_series = dock, second_series
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.apply)
        self._watched: list[Pane] = []
        dock.views.pane_added.connect(self._watch)
        dock.session.scan_changed.connect(self._later)
        dock.session.opening.preview_changed.connect(self._later)
        second_series.changed.connect(self._later)
        for pane in dock.views.panes:
            self._watch(pane)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """No keys."""
        return {}

    def _watch(self, pane: Pane) -> None:
        self._watched.append(pane)
        pane.viewer.dims.events.ndim.connect(self._later)  # napari makes a slider for each further axis
        self._later()

    def _later(self, _event: Any = None) -> None:
        self._soon.start()

    def apply(self) -> None:
        """Show or hide them in every view."""
        session = self._dock.session
        seen = session.scan is None and session.opening.preview is None
        sides = (side.pane for side in self._second_series.side.sides)
        for pane in (*self._dock.views.panes, *sides):
            show_numbers(pane, seen)

    def close(self) -> None:
        """Give them back."""
        self._soon.stop()
        for pane in self._watched:
            pane.viewer.dims.events.ndim.disconnect(self._later)
            show_numbers(pane, True)
        self._watched.clear()


def show_numbers(pane: Pane, seen: bool) -> None:
    """Show or hide the numbers of one view."""
    for name in NUMBERS:
        for widget in pane.qt.findChildren(QWidget, name):
            widget.setVisible(seen)
