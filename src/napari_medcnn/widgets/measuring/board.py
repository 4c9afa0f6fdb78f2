"""The measures of the open scan: the list, which of them is chosen, and what they measure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.measures import Measure, next_name
from napari_medcnn.core.ruler import Ruler, SetScale, can_set_scale
from napari_medcnn.core.volume import Volume
from napari_medcnn.imaging.region_stats import RegionStats, box_voxels, region_stats
from napari_medcnn.io.measures_file import Kept
from napari_medcnn.widgets.tasks import Tasks

#: Regions of more voxels are counted in a task, and not at every step of the mouse; SUVpeak costs more per voxel.
AT_ONCE, PEAK_AT_ONCE = 500_000, 100_000


class Board(QObject):
    """What is measured on one scan.

    Signals: `changed` when a measure came, went, or is another; `redraw` when only the picture of it is: the one that
    is being drawn, the chosen one, numbers that were waited for; `failed` with an error.
    """

    changed = Signal()
    redraw = Signal()
    failed = Signal(object)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self.scan: Volume | None = None
        self.grid: DisplayGrid | None = None
        self.measures: tuple[Measure, ...] = ()
        self.scale: SetScale | None = None
        #: The one that is being drawn or moved, before it is let go.
        self.pending: Measure | None = None
        #: Id of the measure that is marked in the table and on the views.
        self.chosen = ""
        #: Id and point of the measure under the mouse; point -1 is the whole of it.
        self.under: tuple[str, int] | None = None
        self._deleted: list[tuple[int, Measure]] = []
        self._stats: dict[str, tuple[Any, RegionStats | None]] = {}

    def begin(self, scan: Volume | None) -> None:
        """Forget everything; measure on this scan from now on."""
        self.scan = scan
        self.grid = None if scan is None else DisplayGrid(scan.geometry)
        self.measures, self.scale, self.pending, self.chosen, self.under = (), None, None, "", None
        self._deleted.clear()
        self._stats.clear()
        self.changed.emit()

    @property
    def ruler(self) -> Ruler:
        """How the scan is measured; in pixels without one."""
        if self.scan is None:
            return Ruler((1.0, 1.0, 1.0), "px")
        return Ruler.of(self.scan.geometry, self.scan.detector_mm, self.scale)

    @property
    def kept(self) -> Kept:
        """What is kept with the scan."""
        return Kept(self.measures, self.scale)

    def take(self, kept: Kept) -> None:
        """Put what was kept before what was drawn in the meantime."""
        have = {measure.id for measure in self.measures}
        self.measures = (*(m for m in kept.measures if m.id not in have and self._fits(m)), *self.measures)
        self.scale = self.scale or kept.scale
        self.changed.emit()

    def _fits(self, measure: Measure) -> bool:
        return self.scan is not None and measure.frame < self.scan.frames

    # ---- the list --------------------------------------------------------------------------------------------------

    def find(self, measure_id: str) -> Measure | None:
        """Return a measure by its id."""
        return next((m for m in self.measures if m.id == measure_id), None)

    def add(self, measure: Measure) -> None:
        """Put a new measure at the end, named by its kind and a number."""
        named = replace(measure, name=measure.name or next_name(measure.kind, self.measures))
        self.measures, self.chosen = (*self.measures, named), named.id
        self.changed.emit()

    def put(self, measure: Measure) -> None:
        """Put a changed measure in the place of the one with its id."""
        self.measures = tuple(measure if m.id == measure.id else m for m in self.measures)
        self.changed.emit()

    def rename(self, measure_id: str, name: str) -> None:
        """Give a measure another name; no name keeps the old one."""
        old = self.find(measure_id)
        if old is not None:
            self.put(replace(old, name=name.strip() or old.name))

    def remove(self, measure_id: str) -> None:
        """Delete a measure; `bring_back` takes that back."""
        old = self.find(measure_id)
        if old is not None:
            self._deleted.append((self.measures.index(old), old))
            self.measures = tuple(m for m in self.measures if m.id != measure_id)
            self._stats.pop(measure_id, None)
            self.changed.emit()

    @property
    def can_bring_back(self) -> bool:
        """True after a measure of this scan was deleted."""
        return bool(self._deleted)

    def bring_back(self) -> None:
        """Undo the last deletion."""
        if self._deleted:
            index, measure = self._deleted.pop()
            self.measures = (*self.measures[:index], measure, *self.measures[index:])
            self.chosen = measure.id
            self.changed.emit()

    def choose(self, measure_id: str) -> None:
        """Mark a measure, "" for none."""
        if measure_id != self.chosen:
            self.chosen = measure_id
            self.redraw.emit()

    # ---- scale -----------------------------------------------------------------------------------------------------

    @property
    def can_set_scale(self) -> bool:
        """True where a line of known length may say how large a pixel is."""
        return self.scan is not None and can_set_scale(self.scan.geometry)

    def drawn_units(self, measure: Measure) -> float:
        """Return the length of a line without the user's scale: in px, or mm at the detector."""
        if self.scan is None:
            return 0.0
        return Ruler.of(self.scan.geometry, self.scan.detector_mm).distance(*measure.points[:2])

    def set_scale(self, scale: SetScale | None) -> None:
        """Measure with this scale from now on, None with what the file states."""
        self.scale = scale
        self._stats.clear()
        self.changed.emit()

    # ---- numbers ---------------------------------------------------------------------------------------------------

    def stats(self, measure: Measure) -> RegionStats | None:
        """Return the statistics of a region; None while they are counted in a task, and for what is no region."""
        scan = self.scan
        if scan is None or not measure.is_region or measure.frame >= scan.frames:
            return None
        asked = (measure.points, measure.frame, self.ruler)
        known = self._stats.get(measure.id)
        if known is not None and known[0] == asked:
            return known[1]
        ruler, moving = self.ruler, self.pending is not None and self.pending.id == measure.id
        peak = scan.value_unit.startswith("SUV") and ruler.has_volumes
        small = box_voxels(measure, ruler) <= AT_ONCE
        if small and (moving or not peak or box_voxels(measure, ruler, peak=True) <= PEAK_AT_ONCE):
            found = region_stats(scan.frame(measure.frame).array, measure, ruler, "" if moving else scan.value_unit)
            if not moving:
                self._stats[measure.id] = (asked, found)
            return found
        if not moving:
            self._stats[measure.id] = (asked, None)
            self._count_later(measure, asked)
        return None

    def _count_later(self, measure: Measure, asked: Any) -> None:
        scan, ruler = self.scan, self.ruler
        if scan is None:
            return

        def work(cancel: Cancel) -> Events:
            yield Progress(None, "Counting values")
            yield Result(region_stats(scan.frame(measure.frame).array, measure, ruler, scan.value_unit))

        def done(found: RegionStats) -> None:
            known = self._stats.get(measure.id)
            if known is not None and known[0] == asked:
                self._stats[measure.id] = (asked, found)
                self.changed.emit()

        self._tasks.start(f"Counting values {measure.id}", work, done, self.failed.emit)
