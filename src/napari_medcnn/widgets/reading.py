"""The features of reading in one dock: views, what is drawn over them, brightness, measures, second series, export.

Each feature is a class that takes the dock, listens to what it needs, and offers the functions of its keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from napari_medcnn.widgets.strip import Strip
from napari_medcnn.widgets.views.view_section import ViewSection
from napari_medcnn.widgets.volume_view.volume_view import VolumeView

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class Feature(Protocol):
    """What every part of reading offers."""

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions that rows of `keymap.KEYS` name."""

    def close(self) -> None:
        """Let go of the viewer."""


class Reading:
    """Makes the features, in the order in which they draw over the panes."""

    def __init__(self, dock: MedcnnDock) -> None:
        views = dock.views
        #: The block "View" of the Scan tab; features put their rows there.
        self.view_section = ViewSection(views)
        dock.scan.add_section("View", self.view_section, opened=True)
        self.strip = Strip(dock)
        self.volume_view = VolumeView(dock)
        self.features: tuple[Feature, ...] = (self.strip, self.volume_view)
        self._own = {"toggle_views": views.toggle}

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of all features' keys."""
        found: dict[str, Callable[..., Any]] = dict(self._own)
        for feature in self.features:
            found |= feature.actions()
        return found

    def close(self) -> None:
        """Let go of the viewer, the newest feature first."""
        for feature in reversed(self.features):
            feature.close()
