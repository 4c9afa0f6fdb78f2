"""The features of reading in one dock: views, what is drawn over them, brightness, measures, second series, export.

Each feature is a class that takes the dock, listens to what it needs, and offers the functions of its keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from napari_medcnn.widgets.brightness import Brightness
from napari_medcnn.widgets.cine import Cine
from napari_medcnn.widgets.curve.curves import Curves
from napari_medcnn.widgets.hand_on.hand_on import HandingOn
from napari_medcnn.widgets.hand_on.readings import Readings
from napari_medcnn.widgets.measuring.measuring import Measuring
from napari_medcnn.widgets.scan_tab import is_volume
from napari_medcnn.widgets.second_series.second import SecondSeries
from napari_medcnn.widgets.slab import Slabs
from napari_medcnn.widgets.strip import Strip
from napari_medcnn.widgets.views.annotations import Annotations
from napari_medcnn.widgets.views.crosshair import Crosshair
from napari_medcnn.widgets.views.slider_numbers import SliderNumbers
from napari_medcnn.widgets.views.smoothing import Smoothing
from napari_medcnn.widgets.views.view_section import ViewSection
from napari_medcnn.widgets.volume_view.volume_view import VolumeView

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class Feature(Protocol):
    """What every part of reading offers.

    One that has something to come back to when a saved reading is opened also offers ``state() -> dict`` (plain JSON)
    and ``restore(dict)``, which refuses what it does not know with a `ValueError` or `InputError`.
    """

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
        dock.scan.add_section("View", self.view_section, opened=True, fits=is_volume)
        self.crosshair = Crosshair(views)
        self.smoothing = Smoothing(dock.layers)
        self.strip = Strip(dock)
        self.volume_view = VolumeView(dock)
        self.annotations = Annotations(dock, self.view_section)
        self.brightness = Brightness(dock)
        self.slab = Slabs(dock, self.view_section)
        self.cine = Cine(dock)
        self.second_series = SecondSeries(dock)
        self.annotations.also_shown = self.second_series.also_shown
        self.slider_numbers = SliderNumbers(dock, self.second_series)
        self.measuring = Measuring(dock, self.strip)
        self.curves = Curves(dock, self.strip, self.measuring)
        self.view_section.add_row(self.curves.button)
        self.handing_on = HandingOn(dock)
        self.readings = Readings(dock)
        self.handing_on.add(self.readings.save_button)
        self.features: tuple[Feature, ...] = (
            self.crosshair, self.smoothing, self.annotations, self.strip, self.volume_view, self.brightness,
            self.slab, self.cine,
            self.second_series, self.slider_numbers, self.measuring, self.curves, self.handing_on, self.readings,
        )  # fmt: skip
        self._own = {"toggle_views": views.toggle}

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of all features' keys."""
        found: dict[str, Callable[..., Any]] = dict(self._own)
        for feature in self.features:
            found |= feature.actions()
        return found

    def cancel(self) -> None:
        """Stop what runs by itself or is half done, where a feature has something of the kind."""
        for feature in reversed(self.features):
            getattr(feature, "cancel", _nothing)()

    def close(self) -> None:
        """Let go of the viewer, the newest feature first."""
        for feature in reversed(self.features):
            feature.close()


def _nothing() -> None:
    """What a feature without anything to cancel does."""
