"""Curves over time points, echoes or b-values: live under the mouse, at the crosshair, of a region or a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_medcnn.core.curves import Curve, has_curve, mean_curve, mean_steps, steps_of, voxel_curve
from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import MedcnnError
from napari_medcnn.imaging.region_stats import pick
from napari_medcnn.io.measures_file import Cell, Table
from napari_medcnn.widgets.curve.page import CurvePage
from napari_medcnn.widgets.curve.plot import COLOURS
from napari_medcnn.widgets.parts import button
from napari_medcnn.widgets.tables import ask_and_save, copy_table
from napari_medcnn.widgets.tasks import Work
from napari_medcnn.widgets.views.frame import Place

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.measuring.measuring import Measuring
    from napari_medcnn.widgets.strip import Strip

PAGE, TASK = "Curve", "Curve"
CURSOR, CROSSHAIR, CLASS, REGION = "cursor", "crosshair", "class ", "region "
_NO_STEPS = "A curve needs several time points, echoes or b-values with one value per voxel; this scan has none."
_LATER_MS = 250


def means_of(volume: Volume, box: tuple[slice, slice, slice], inside: Any) -> Work:
    """Measure a region at every step: the result is the list of means."""

    def work(cancel: Cancel) -> Events:
        means = []
        for mean in mean_steps(volume, box, inside):
            if cancel.is_set():
                return
            means.append(mean)
            yield Progress(len(means) / volume.frames, "Measuring the curve")
        yield Result(means)

    return work


class Curves(QObject):
    """The page of the strip at work.

    Parameters
    ----------
    dock, strip, measuring
        Whose scan is measured, where it is shown, and whose regions can be chosen.
    """

    def __init__(self, dock: MedcnnDock, strip: Strip, measuring: Measuring) -> None:
        super().__init__(dock)
        self._dock, self._strip, self._measuring = dock, strip, measuring
        self.page = CurvePage()
        self.live: Curve | None = None
        self.kept: list[Curve] = []
        self._place: Place | None = None
        strip.add_page(PAGE, self.page)
        self.button = button("Curve", self._toggle, "Values over time, echoes or b-values, below the picture")
        self.button.setCheckable(True)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER_MS)
        self._later.timeout.connect(self.measure)
        self._connect()
        self._on_scan()

    def _connect(self) -> None:
        dock, page = self._dock, self.page
        page.source_chosen.connect(self.measure)
        page.pinned.connect(self.keep)
        page.cleared.connect(self.clear)
        page.copy_asked.connect(self.copy)
        page.save_asked.connect(self.save)
        self._strip.page_changed.connect(self._on_page)
        dock.session.scan_changed.connect(self._on_scan)
        dock.session.mask_changed.connect(self._on_regions)
        dock.session.classes_changed.connect(self._on_regions)
        dock.strokes.changed.connect(self._on_strokes)
        self._measuring.board.changed.connect(self._on_regions)
        dock.views.pointed.connect(self._on_pointed)
        dock.views.place_changed.connect(self._on_place)
        dock.viewer.dims.events.current_step.connect(self._on_step)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """It has no keys."""
        return {}

    def close(self) -> None:
        """Let go of the viewer."""
        self._later.stop()
        self._dock.viewer.dims.events.current_step.disconnect(self._on_step)

    @property
    def scan(self) -> Volume | None:
        """The open scan, if it has several steps."""
        scan = self._dock.session.scan
        return scan if has_curve(scan) else None

    @property
    def _seen(self) -> bool:
        return self._strip.page == PAGE

    # ---- what happens ------------------------------------------------------------------------------------------------

    def _toggle(self) -> None:
        self._strip.toggle_page(PAGE)
        self.button.setChecked(self._seen)

    def _on_page(self, _page: str) -> None:
        self.button.setChecked(self._seen)
        if self._seen:
            self._on_regions()
            self.measure()

    def _on_scan(self) -> None:
        self.live, self.kept, self._place = None, [], None
        self._dock.tasks.drop(TASK)
        self.button.setVisible(self.scan is not None)
        if self.scan is None and self._seen:
            self._strip.hide()
        self._on_regions()
        self._show()  # the curves of the scan before go with it

    def _on_regions(self) -> None:
        """Classes or regions came, went or changed."""
        classes = [] if self._dock.layers.mask is None else list(self._dock.session.labels)
        regions = [m for m in self._measuring.board.measures if m.is_region]
        sources = [(CURSOR, "At the mouse"), (CROSSHAIR, "At the crosshair")]
        sources += [(f"{REGION}{m.id}", f"Region: {m.name}") for m in regions]
        sources += [(f"{CLASS}{label.id}", f"Class: {label.name}") for label in classes]
        self.page.show_sources(sources)
        self._on_strokes()

    def _on_strokes(self) -> None:
        if self._seen and self.page.chosen.startswith((CLASS, REGION)):
            self._later.start()

    def _on_pointed(self, _pane: object, place: Place | None) -> None:
        if self._seen and place is not None and self.page.chosen == CURSOR:
            self._place = place
            self.measure()

    def _on_place(self) -> None:
        if self._seen and self.page.chosen == CROSSHAIR:
            self.measure()

    def _on_step(self, _event: Any = None) -> None:
        if self._seen:
            self._show()

    # ---- measuring ---------------------------------------------------------------------------------------------------

    def measure(self, _key: str = "") -> None:
        """Measure what is chosen; a region or class in a task."""
        scan, key = self.scan, self.page.chosen
        if scan is None or not self._seen:
            self._show()
            return
        if key in (CURSOR, CROSSHAIR):
            self._dock.tasks.drop(TASK)
            place = self._dock.views.place if key == CROSSHAIR else self._place
            self.live = None if place is None else self._at(scan, place)
            self._show()
            return
        found = self._region(scan, key)
        if found is None:
            self.live = None
            self._show()
            return
        name, box, inside = found

        def done(means: list[float]) -> None:
            if self.scan is scan and self.page.chosen == key:
                self.live = mean_curve(scan, means, name)
                self._show()

        self._dock.tasks.start(TASK, means_of(scan, box, inside), done, self._dock.showing.on_failed)

    @staticmethod
    def _at(scan: Volume, place: Place) -> Curve | None:
        grid = DisplayGrid(scan.geometry)
        if not grid.holds(place):
            return None
        z, y, x = (int(i) for i in np.floor(grid.source_of(place) + 0.5))
        return voxel_curve(scan, (z, y, x), f"voxel {x}, {y}, {z}")

    def _region(self, scan: Volume, key: str) -> tuple[str, tuple[slice, slice, slice], Any] | None:
        """Return name, box and voxels of a region or class; None if it is gone."""
        if key.startswith(REGION):
            board = self._measuring.board
            measure = board.find(key.removeprefix(REGION))
            if measure is None:
                return None
            picked = pick(measure, scan.geometry.shape, board.ruler)
            return f"{measure.name}, mean", picked.box, picked.inside
        number = int(key.removeprefix(CLASS) or 0)
        try:
            inside = self._dock.layers.mask_value().array == number
        except MedcnnError:
            return None
        if inside.shape != scan.geometry.shape:
            return None
        reach = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
        if not reach[0].size:
            return None
        z, y, x = (slice(int(r[0]), int(r[-1]) + 1) for r in reach)
        return f"{self._dock.session.labels.name_of(number)}, mean", (z, y, x), inside[z, y, x]

    # ---- showing and handing on --------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Keep the curve that is seen; the oldest makes room when there are no more colours."""
        if self.live is None:
            return
        names = {curve.name for curve in self.kept}
        name, number = self.live.name, 2
        while name in names:
            name, number = f"{self.live.name} ({number})", number + 1
        self.kept = [*self.kept, replace(self.live, name=name)][-(len(COLOURS) - 1) :]
        self._show()

    def clear(self) -> None:
        """Take the kept curves away."""
        self.kept = []
        self._show()

    @property
    def table(self) -> Table | None:
        """All curves as columns beside the steps; None without any."""
        curves = [*self.kept, *([self.live] if self.live is not None else [])]
        if not curves:
            return None
        heads = (curves[0].x_label, *(f"{curve.name} ({curve.y_label})" for curve in curves))
        rows: list[tuple[Cell, ...]] = []
        for at, x in enumerate(curves[0].x):
            values = (float(curve.y[at]) for curve in curves)
            rows.append((float(x), *(value if np.isfinite(value) else None for value in values)))
        return Table(heads, tuple(rows))

    def copy(self) -> None:
        """Put all curves on the clipboard."""
        if self.table is not None:
            copy_table(self._dock, self.table)

    def save(self) -> None:
        """Ask for a file and write all curves."""
        dock, table = self._dock, self.table
        if table is not None:
            ask_and_save(dock.session, dock.dialogs, dock.say, lambda: table, "curve.csv")

    def _show(self) -> None:
        page, scan = self.page, self.scan
        shown = [(number, curve) for number, curve in enumerate(self.kept, 1)]
        if self.live is not None:
            shown.append((0, self.live))
        now = None if scan is None else float(steps_of(scan)[0][min(self._dock.frame, scan.frames - 1)])
        page.plot.show_curves(shown, now, _NO_STEPS if scan is None else self._hint())
        page.pin.setEnabled(self.live is not None)
        page.clear.setEnabled(bool(self.kept))
        for made in (page.copy, page.save):
            made.setEnabled(bool(shown))

    def _hint(self) -> str:
        if self.page.chosen == CURSOR:
            return "Move the mouse over the picture."
        return "There is nothing to measure there."
