"""Measuring in one dock: tools, picture, table, and what is kept with the scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QPainter

from napari_medcnn.core.measures import ANGLE, BALL, ELLIPSE, LENGTH
from napari_medcnn.core.quantity import size_words
from napari_medcnn.core.ruler import SetScale
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.measures_file import Kept, Table, stamp
from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.measuring import classes, keeper
from napari_medcnn.widgets.measuring.board import Board
from napari_medcnn.widgets.measuring.drawing import is_chosen, marks_of, paint, seen, write_label
from napari_medcnn.widgets.measuring.hand import Hand
from napari_medcnn.widgets.measuring.labels import Box, around_readout
from napari_medcnn.widgets.measuring.panel import MeasurePanel
from napari_medcnn.widgets.measuring.rows import display_axis, file_table
from napari_medcnn.widgets.measuring.table import ClassValues, MeasureTable
from napari_medcnn.widgets.strip import Strip
from napari_medcnn.widgets.tables import ask_and_save, copy_table
from napari_medcnn.widgets.views.sheet import Sheet

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.views.frame import Frame
    from napari_medcnn.widgets.views.pane import Pane

#: Pages of the strip.
MEASURES, CLASSES = "Measures", "Classes"
LOOKING = "Looking for measures"


class Measuring:
    """The feature: connects mouse, board, painter, panel, table and keeper.

    Parameters
    ----------
    dock, strip
        What it measures in, and where its tables are shown.
    """

    def __init__(self, dock: MedcnnDock, strip: Strip) -> None:
        self._dock, self._strip = dock, strip
        self.board = Board(dock.tasks, dock)
        self.keeper = keeper.Keeper(dock)
        self.hand = Hand(dock, self.board, self._on_tool, lambda: self.scan_is_seen)
        self.panel = MeasurePanel()
        self.table = MeasureTable(self.board)
        self.class_values = ClassValues()
        self._counted: classes.Counted | None = None
        self._looking = False
        self._kept_before = Kept()
        #: Where the words of measures stand, by name of the view and id.
        self.labels: dict[tuple[str, str], Box] = {}
        strip.add_page(MEASURES, self.table)
        strip.add_page(CLASSES, self.class_values)
        self.section = dock.scan.add_section("Measure", self.panel)
        dock.views.add_painter(self.paint)
        self._connect()

    def _connect(self) -> None:
        dock, board = self._dock, self.board
        board.changed.connect(self._on_changed)
        board.redraw.connect(dock.views.redraw)
        board.failed.connect(dock.showing.on_failed)
        self.keeper.failed.connect(dock.showing.on_failed)
        self.panel.tool_asked.connect(self._on_tool_asked)
        self.panel.keep_changed.connect(self._on_keep)
        self.panel.table_asked.connect(self.toggle_table)
        self.table.wanted.connect(self.go_to)
        self.table.copy_asked.connect(self.copy)
        self.table.save_asked.connect(self.save)
        self.table.scale_asked.connect(self.set_scale)
        self.table.classes_asked.connect(self.count_classes)
        self.class_values.again_asked.connect(self.count_classes)
        self.class_values.copy_asked.connect(lambda: copy_table(dock, self._class_table()))
        self.class_values.save_asked.connect(lambda: self._save(self._class_table(), "classes.csv"))
        self._strip.page_changed.connect(lambda page: self.panel.table.setChecked(page == MEASURES))
        dock.session.scan_changed.connect(self._on_scan)
        dock.tabs.currentChanged.connect(self._on_mode)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of the keys."""
        return {
            "cancel": self._escape,
            "measure_length": lambda: self.hand.arm(LENGTH),
            "measure_angle": lambda: self.hand.arm(ANGLE),
            "measure_area": lambda: self.hand.arm(ELLIPSE),
        }

    def close(self) -> None:
        """Put the tool away, write what is to be kept, let the scan go."""
        self.hand.disarm()
        self.keeper.close()

    def cancel(self) -> bool:
        """Give up the measure that is being drawn, or put the tool away; False if there was neither."""
        return self.hand.cancel()

    def _escape(self) -> None:
        """Give up what is drawn first; what runs is stopped by the next press."""
        if not self.cancel():
            self._dock.cancel()

    # ---- doors for others ------------------------------------------------------------------------------------------

    def measures_of(self, scan: Volume) -> dict[str, Any] | None:
        """Return measures and scale of the open scan as plain JSON types; None for another scan or none measured."""
        kept = self.board.kept
        if scan is not self.board.scan or not (kept.measures or kept.scale):
            return None
        return kept.to_json()

    def restore(self, data: Any) -> None:
        """Put measures of `measures_of` beside those of the open scan.

        Raises
        ------
        InputError
            It is no record of measures.
        """
        self.board.take(Kept.from_json(data))

    # ---- scan ------------------------------------------------------------------------------------------------------

    def _on_scan(self) -> None:
        scan = self._dock.session.scan
        if scan is self.board.scan:
            return
        self.hand.disarm()
        self._looking = False
        self._counted = None
        self.class_values.show_rows((), ())
        self.board.begin(scan)
        if scan is None:
            self._strip.hide()
            return
        self.panel.tools[BALL].setVisible(scan.geometry.shape[0] > 1)
        if keeper.may_have(scan):
            self._looking = True
            self._dock.tasks.start(LOOKING, keeper.read(scan), self._on_kept, self._on_not_kept)

    def _on_kept(self, kept: Kept) -> None:
        self._looking = False
        drawn = bool(self.board.kept.measures)
        self.board.take(kept)
        if not drawn and kept.measures:
            self._dock.say(f"{len(kept.measures)} measures kept with this scan are shown.")

    def _on_not_kept(self, error: MedcnnError) -> None:
        self._looking = False
        self._dock.showing.on_failed(error)

    def _on_changed(self) -> None:
        """Keep what there is now, once what was kept before is known."""
        scan = self.board.scan
        note = self.board.ruler.note
        self.panel.show_note(f"{note[:1].upper()}{note[1:]}." if scan is not None and note else "")
        self._dock.views.redraw()
        if scan is not None and not self._looking and self.board.kept != self._kept_before:
            self.keeper.save(scan, self.board.kept)
        self._kept_before = self.board.kept

    # ---- tools -----------------------------------------------------------------------------------------------------

    def _on_tool_asked(self, kind: str) -> None:
        self.hand.arm(kind)
        self.panel.show_tool(self.hand.tool)

    def _on_tool(self) -> None:
        self.panel.show_tool(self.hand.tool)

    def _on_keep(self, keep: bool) -> None:
        self.hand.keep = keep

    def _on_mode(self, _tab: int) -> None:
        if self._dock.mode == CORRECT:
            self.hand.disarm()

    @property
    def scan_is_seen(self) -> bool:
        """False while another scan is seen alone: measures lie on the first one, and so do their values."""
        return self._dock.reading.second_series.seen is self.board.scan

    # ---- seeing ----------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, frame: Frame | None, pane: Pane) -> None:
        """Draw the measures that lie on what a view shows, then their words, none over another."""
        board = self.board
        self.labels = {key: box for key, box in self.labels.items() if key[0] != pane.name}
        if frame is None or board.scan is None or not self.scan_is_seen:
            return
        leaves = self._dock.views.exporting  # a picture that leaves the window shows nothing of the moment
        sheet, pending = Sheet.of(painter, frame, pane), None if leaves else board.pending
        shown = [m for m in board.measures if pending is None or m.id != pending.id]
        lie = (seen(board, m, frame, self._dock.frame) for m in (*shown, *([pending] if pending is not None else [])))
        here = [found for found in lie if found is not None]
        for found in here:
            paint(painter, sheet, board, found, plain=leaves)
        taken = around_readout(self._dock.reading.annotations.taken.get(pane.name, ()), sheet)
        taken += [mark for found in here for mark in marks_of(found, sheet)]
        for found in sorted(here, key=lambda one: not is_chosen(board, one.measure)):  # that one stays where it is best
            box = write_label(sheet, board, found, taken, plain=leaves)
            taken += [] if box is None else [box]
            if box is not None:
                self.labels[(pane.name, found.measure.id)] = box

    def go_to(self, measure_id: str) -> None:
        """Show a measure in every view, at its time point; in 2x2 if the single view looks along another axis."""
        dock, board = self._dock, self.board
        measure = board.find(measure_id)
        if measure is None or board.grid is None or board.scan is None:
            return
        axis = dock.viewing.time_axis
        if axis is not None:
            dock.viewer.dims.set_current_step(axis, measure.frame)
        centre = list(measure.centre)
        centre[measure.axis] = measure.points[0][measure.axis]
        z, y, x = board.grid.world_of_source(centre).tolist()
        if all(pane.axis != display_axis(board, measure) for pane in dock.views.shown) and measure.kind != BALL:
            dock.views.show_four()
        dock.views.go_to((z, y, x))
        for pane in dock.views.shown:
            frame = pane.frame()
            if frame is not None:
                left, top = frame.to_canvas((z, y, x))
                if not (0 <= left < frame.width and 0 <= top < frame.height):
                    pane.viewer.scene.camera.center = (0.0, *((z, y, x)[a] for a in frame.axes))

    def toggle_table(self) -> None:
        """Show or hide the table."""
        self._strip.toggle_page(MEASURES)
        self.panel.table.setChecked(self._strip.page == MEASURES)

    # ---- handing on ------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """What tables call the scan: "scan" while names are hidden."""
        scan = self.board.scan
        return "scan" if scan is None or self._dock.header.hides_names else scan.name

    def copy(self) -> None:
        """Put all measures on the clipboard."""
        copy_table(self._dock, self._measures_table())

    def save(self) -> None:
        """Ask for a file and write all measures."""
        self._save(self._measures_table(), "measures.csv")

    def _save(self, table: Table, suggestion: str) -> None:
        dock = self._dock
        ask_and_save(dock.session, dock.dialogs, dock.say, lambda: table, suggestion)

    def _measures_table(self) -> Table:
        return file_table(self.board, self.title, stamp())

    # ---- scale and classes -----------------------------------------------------------------------------------------

    def set_scale(self) -> None:
        """Ask how long the chosen line is in mm; nothing typed takes the scale back."""
        dock, board = self._dock, self.board
        chosen = board.find(board.chosen)
        if chosen is None or chosen.kind != LENGTH:
            dock.say("Draw a length over something of known size, choose it in the table, then Set scale.")
            return
        drawn = board.drawn_units(chosen)
        unit = "px" if board.scan is None or board.scan.detector_mm is None else "mm at the detector"
        try:
            known = dock.dialogs.known_length(size_words(drawn, unit), board.scale is not None)
            if known is None:
                return
            board.set_scale(SetScale(known, drawn, stamp()) if known > 0 else None)
        except MedcnnError as error:
            dock.showing.on_failed(error)

    def count_classes(self) -> None:
        """Count the values under each class of the mask, and show them."""
        dock, scan = self._dock, self.board.scan
        if scan is None or dock.layers.mask is None:
            dock.say("There is no mask; run a model, open a mask or draw one first.")
            return
        dock.strokes.commit()
        try:
            mask = dock.layers.mask_value()
        except MedcnnError as error:
            dock.showing.on_failed(error)
            return
        work = classes.count(scan, mask, dock.frame)
        dock.tasks.start(classes.COUNTING, work, self._on_counted, dock.showing.on_failed)

    def _on_counted(self, counted: classes.Counted) -> None:
        self._counted = counted
        self.class_values.show_rows(classes.HEADS, classes.screen_rows(counted))
        self._strip.show_page(CLASSES)

    def _class_table(self) -> Table:
        counted = self._counted or classes.Counted((), None, "")
        return classes.file_table(counted, self.title, stamp())
