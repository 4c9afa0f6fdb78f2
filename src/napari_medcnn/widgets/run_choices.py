"""What a click on Run means: which scans, which part of them, how; kept in step with the window."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.asked import flip_axes
from napari_medcnn.io.packages import Package
from napari_medcnn.widgets.ai_tab import AiTab
from napari_medcnn.widgets.names import without_names
from napari_medcnn.widgets.open_scans import OpenScan, single_channels
from napari_medcnn.widgets.region import Region, region_of
from napari_medcnn.widgets.run_jobs import Wanted
from napari_medcnn.widgets.session import Session

_PAUSE_MS = 120


def channel_names(model: Package | CommandModel) -> tuple[str, ...]:
    """Return a word for each channel that a model takes."""
    if isinstance(model, CommandModel):
        return model.channels
    preparation = model.spec.preparation
    return preparation.channel_names or tuple(f"Channel {i + 1}" for i in range(preparation.channels))


def _mirrors(scan: Volume, spec: ModelSpec) -> bool:
    try:
        return bool(flip_axes(scan.frame(0), spec))
    except InputError:
        return False


class RunChoices(QObject):
    """Fills channel rows and regions, and puts a run together.

    Signals: `scans_changed` when other scans take part, `changed` when only options or region did.
    """

    scans_changed = Signal()
    changed = Signal()

    def __init__(self, tab: AiTab, session: Session) -> None:
        super().__init__(tab)
        self._tab, self._session, self._layers = tab, session, session.layers
        self._hidden = False
        self._channels: list[OpenScan] = []
        self._soon = QTimer(self)  # a drag changes a region many times a second
        self._soon.setSingleShot(True)
        self._soon.setInterval(_PAUSE_MS)
        self._soon.timeout.connect(self._settled)
        tab.channels.changed.connect(self.scans_changed.emit)
        tab.options.changed.connect(self._soon.start)
        tab.options.draw_asked.connect(self._draw)
        session.layers.changed.connect(self._soon.start)
        session.beside_changed.connect(self.refresh)

    # ---- in step with the window ---------------------------------------------------------------------------------

    def hide_names(self, hidden: bool) -> None:
        """Call scans Scan 1, Scan 2 instead of by their names."""
        self._hidden = hidden
        self.refresh()

    def refresh(self) -> None:
        """Show rows, slices and regions for the open scan and the chosen model."""
        scan, model = self._session.scan, self._tab.model
        scans = self._session.open_scans()
        self._tab.show_scan(scan is not None, len(scans) - int(scan is not None))
        spec = model.spec if isinstance(model, Package) else None
        depth = 1 if scan is None else scan.geometry.shape[0]
        self._tab.options.show_model(spec, depth, spec is not None and scan is not None and _mirrors(scan, spec))
        names: tuple[str, ...] = () if model is None else channel_names(model)
        if scan is None or len(names) == scan.channels:
            names = ()
        self._channels = [one for found in scans for one in single_channels(found)]
        if len(names) < 2:
            names = ()
        self._tab.channels.show_channels(names, self._channels, self._titles(self._channels))
        self._show_regions()
        self.scans_changed.emit()

    def _titles(self, scans: list[OpenScan]) -> list[str]:
        if self._hidden:
            return [f"Scan {i + 1}" for i in range(len(scans))]
        return [scan.name for scan in scans]

    def _settled(self) -> None:
        others = len(self._session.open_scans())
        self._tab.show_scan(self._session.scan is not None, others - int(self._session.scan is not None))
        self._show_regions()
        self.changed.emit()

    def _show_regions(self, chosen: str | None = None) -> None:
        options = self._tab.options
        options.show_regions(tuple(self._layers.shapes()), chosen)
        options.show_drawing(self._layers.is_drawing)
        try:
            region = self.region()
            options.show_region("" if region is None else f"Only inside {region.words}.")
            self._tab.show_ready(True)
        except InputError as error:
            options.show_region(str(error))
            self._tab.show_ready(False)

    def _draw(self, drawing: bool) -> None:
        region = self._layers.draw_region(drawing)
        if region is None:
            self._tab.options.show_drawing(False)
            return
        self._show_regions(region.name)
        self.changed.emit()

    def close(self) -> None:
        """Follow the window no longer."""
        self._soon.stop()
        self._layers.changed.disconnect(self._soon.start)

    def stop_drawing(self) -> None:
        """Drags move the picture again."""
        if self._layers.is_drawing:
            self._layers.draw_region(False)
            self._tab.options.show_drawing(False)

    # ---- a run ---------------------------------------------------------------------------------------------------

    def region(self) -> Region | None:
        """Return the chosen region, None for the whole scan; InputError where nothing is drawn or it lies outside."""
        name = self._tab.options.region_name
        shapes = self._layers.shapes().get(name)
        if shapes is None or self._layers.scan is None:
            return None
        return region_of(shapes, self._layers.scan)

    def options(self, base: PredictOptions) -> PredictOptions:
        """Return `base` with what the form and the region say."""
        if isinstance(self._tab.model, CommandModel):
            return replace(base, uncertainty=False)  # a program of the user's cannot be told any of it
        region = self.region()
        return replace(self._tab.options.wanted(base), region=None if region is None else region.source)

    def scans(self) -> tuple[tuple[Volume, ...], int]:
        """Return the scans of a run and which of them is shown: one for each channel, or the open one.

        Raises
        ------
        InputError
            A channel is missing, or none of the chosen scans is the one that is shown.
        """
        scan = self._session.scan
        if scan is None:
            raise InputError("Open a scan first.")
        if not self._tab.channels.names:
            return (scan,), 0
        volumes = tuple(one.volume for one in self._tab.channels.chosen() if one.volume is not None)
        if not volumes:
            n = len(self._tab.channels.names)
            raise InputError(f"The model takes {n} scans of one patient; choose one for each channel.")
        main = next((i for i, v in enumerate(volumes) if v.geometry == scan.geometry), -1)
        if main < 0:
            raise InputError("One of the channels must be the scan that is shown; the mask is drawn on its grid.")
        return volumes, main

    def wanted(self, model: Package | CommandModel, base: PredictOptions) -> Wanted:
        """Return the run; InputError as `scans` and `region`."""
        volumes, main = self.scans()
        return Wanted(volumes, model, self.options(base), self._tab.channels.names, main)

    def words(self, text: str) -> str:
        """Return a line for the screen: without names while they are hidden."""
        return without_names(text, self._session.names, self._session.files) if self._hidden else text
