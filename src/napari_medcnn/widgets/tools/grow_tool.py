"""Region grow: a click sets the seed, the wheel the tolerance, Enter or a second click takes the region."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QPainter

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.grow import Levels, Reach, flood_levels, grow_to
from napari_medcnn.annotation.tools.mask import Mask, Plane
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.quantity import short
from napari_medcnn.errors import Cancelled, InputError, MedcnnError
from napari_medcnn.widgets.showing import TOOL
from napari_medcnn.widgets.tools import place
from napari_medcnn.widgets.tools.applying import apply_edit, much, say
from napari_medcnn.widgets.tools.filling import locked_words
from napari_medcnn.widgets.tools.given import SLICE, Value
from napari_medcnn.widgets.tools.hand import At, DrawnTool
from napari_medcnn.widgets.tools.preview import EditPreview
from napari_medcnn.widgets.tools.registry import Tool, tool
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.sheet import YELLOW, Sheet

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_HINT = (
    "Click in the region; the wheel changes the tolerance, Enter or a second click takes the region, Esc gives it up. "
    "With Ctrl it erases."
)
#: Part of the brightness window that the first tolerance is, and factor of one turn of the wheel.
_FIRST, _STEP = 0.1, 1.1


class GrowTool(DrawnTool):
    """Grows one region at a time.

    Parameters
    ----------
    dock
        Its mask, scan, form and history.
    """

    name, words = "grow", "Region grow"

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        self.preview = EditPreview(dock.views)
        self.levels: Levels | None = None
        #: In the unit of the scan; None until the first seed of a scan.
        self.tolerance: float | None = None
        #: Of the layer whose values `tolerance` is of; a scan that was closed is not held.
        self._scan: Callable[[], object] = _nobody
        self._seed: At | None = None
        self._mouse: At | None = None
        self._running = False
        self._row: Tool = tool("grow")
        self._reach: tuple[Value, Value] | None = None
        dock.correct.form.changed.connect(self._on_form)
        dock.strokes.changed.connect(self._show)

    # ---- taking it in hand -----------------------------------------------------------------------------------------

    def take(self) -> None:
        """Arm it and show its form."""
        dock = self._dock
        try:
            mask, values = place.mask_of(dock), place.values_of(dock)
            if values is None:
                raise InputError("Region grow needs the values of a scan; open the scan of this mask first.")
            mask.require_scan(values)
        except MedcnnError as error:
            say(dock, str(error))
            return
        if not dock.toolbox.hand.arm(self):
            return
        scan = dock.layers.scan
        if self._scan() is not scan:  # other values: another tolerance
            self._scan, self.tolerance = _nobody if scan is None else weakref.ref(scan), None
        if self.tolerance is None:
            low, high = place.window_of(dock)
            self.tolerance = float(f"{(high - low) * _FIRST:.2g}")
        first, *rest = tool("grow").fields
        unit = self._unit
        asked = replace(first, words=f"Tolerance ({unit})" if unit else first.words)
        self._row = replace(tool("grow"), fields=(asked, *rest))
        dock.toolbox.open_form(self._row)
        dock.correct.form.show_value("tolerance", self.tolerance)
        self._reach = self._options()[1:]
        dock.correct.form.say(_HINT)

    @property
    def _unit(self) -> str:
        return place.unit_of(self._dock)

    def _options(self) -> tuple[float, Value, Value]:
        """Return tolerance, where and how far, as the form says."""
        form = self._dock.correct.form
        values = form.values() if form.tool is self._row else {}
        return (
            float(values.get("tolerance", self.tolerance or 0.0)),
            values.get("where", ""),
            values.get("radius", 30.0),
        )

    # ---- mouse and keys --------------------------------------------------------------------------------------------

    def press(self, at: At) -> None:
        """A click in the region that is shown takes it; elsewhere it is a new seed."""
        self._mouse = at
        if not at.inside:
            return
        if self.levels is not None and self._in_region(at):
            self._apply()
            return
        self._start(at)

    def move(self, at: At) -> None:
        """The words stay beside the mouse."""
        before, self._mouse = self._mouse, at
        if self._seed is not None:
            at.pane.overlay.update()
            if before is not None and before.pane is not at.pane:
                before.pane.overlay.update()

    def wheel(self, turns: float) -> bool:
        """Change the tolerance while a region is shown; else the wheel is the slices'."""
        if self.levels is None or self.tolerance is None:
            return False
        step, now = self._finest(), self.tolerance
        if turns > 0:
            now = max(now + step, now * _STEP**turns)
        else:
            now = max(0.0, min(now - step, now * _STEP**turns))
        self._set(float(np.clip(round(now / step) * step, 0.0, self.levels.largest)))
        return True

    def enter(self) -> bool:
        """Take the region."""
        if self.levels is None:
            return False
        self._apply()
        return True

    def from_form(self, preview: bool) -> bool:
        """Apply was pressed, or Preview: the region is seen already."""
        if self._dock.correct.form.tool is not self._row:
            return False
        self._on_form()  # a number that is still being typed
        if self.levels is None:
            self._dock.correct.form.say("Click in the region first.")
        elif not preview:
            self._apply()
        return True

    def cancel(self) -> bool:
        """Give the region up."""
        self._mouse = None  # it knows a view, which would live as long as it is known
        if self._seed is None:
            return False
        self._forget()
        return True

    # ---- doing -----------------------------------------------------------------------------------------------------

    def _start(self, at: At) -> None:
        """Find out at which tolerance each voxel around the seed belongs to it: once, in a thread."""
        dock = self._dock
        dock.strokes.commit()
        self._forget()
        label = self._label(at)
        array = dock.strokes.array
        under = 0 if array is None else int(array[at.index])
        for each in (label, under):
            if each in dock.session.locked:
                say(dock, locked_words(dock, each))
                return
        _, where, radius = self._options()
        plane = Plane(at.axis, at.index[at.axis]) if where == SLICE else None
        try:
            mask, values = place.mask_of(dock), place.values_of(dock)
            if dock.tasks.running(TOOL) is not None:
                raise InputError("Another tool is still at work; wait for it, or cancel it.")
            if values is None:
                raise InputError("Region grow needs the values of a scan; open the scan of this mask first.")
            reach = Reach(float(radius), plane)
        except MedcnnError as error:
            say(dock, str(error))
            return
        self._seed, self._running = at, True
        work = partial(_work, mask, values, at.index, reach)
        task = dock.tasks.start_aside(TOOL, work, self._ready, self._failed)
        task.ended.connect(self._ended)
        dock.views.redraw()

    def _ready(self, levels: Levels) -> None:
        if self._seed is None:
            return
        self.levels = levels
        if self.tolerance is not None:
            self.tolerance = min(self.tolerance, levels.largest)
            self._set(self.tolerance)

    def _failed(self, error: MedcnnError) -> None:
        self._forget()
        say(self._dock, str(error))

    def _ended(self) -> None:
        self._running = False

    def _forget(self) -> None:
        if self._running:
            self._running = False
            self._dock.tasks.drop(TOOL)
        if self._seed is not None:
            self._seed = self.levels = None
            self.preview.show(None)
            self._dock.correct.form.say(_HINT)
            self._dock.views.redraw()

    def _label(self, at: At) -> int:
        mask = self._dock.layers.mask
        return 0 if at.erases or mask is None else int(mask.selected_label)

    def _edit(self) -> Edit | None:
        if self.levels is None or self._seed is None or self.tolerance is None:
            return None
        return grow_to(place.mask_of(self._dock), self.levels, self.tolerance, self._label(self._seed))

    def _in_region(self, at: At) -> bool:
        levels = self.levels
        if levels is None or self.tolerance is None:
            return False
        here = tuple(i - part.start for i, part in zip(at.index, levels.box, strict=True))
        if not all(0 <= i < n for i, n in zip(here, levels.level.shape, strict=True)):
            return False
        return bool(levels.level[here] <= np.float32(self.tolerance))

    def _set(self, tolerance: float) -> None:
        """Use another tolerance; form, picture and words follow."""
        self.tolerance = tolerance
        self._dock.correct.form.show_value("tolerance", tolerance)
        self._show()

    def _show(self) -> None:
        """Show the region as it would be written now."""
        if self.levels is None:
            return
        try:
            edit = self._edit()
        except MedcnnError as error:  # the class was locked meanwhile
            self._failed(error)
            return
        self.preview.show(edit, self._dock.layers.mask)
        self._dock.views.redraw()
        self._dock.correct.form.say(self._long_words())

    def _apply(self) -> None:
        dock, seed = self._dock, self._seed
        try:
            edit = self._edit()
        except MedcnnError as error:
            self._failed(error)
            return
        self._forget()
        if edit is not None and seed is not None:
            apply_edit(dock, self.words, edit, seed.axis, "the region is of that class already")

    def _on_form(self) -> None:
        """Something was typed or chosen in the form."""
        if self._dock.correct.form.tool is not self._row:
            return
        tolerance, *reach = self._options()
        if (reach[0], reach[1]) != self._reach:
            self._reach = (reach[0], reach[1])
            if self._seed is not None:
                self._start(self._seed)
        self.tolerance = tolerance if self.levels is None else min(tolerance, self.levels.largest)
        self._show()

    def _finest(self) -> float:
        """Return the smallest step of the tolerance: 1, or a thousandth of the window where values have fractions."""
        scan = self._dock.layers.scan
        if scan is None or np.dtype(scan.data.dtype).kind != "f":
            return 1.0
        low, high = place.window_of(self._dock)
        return 10.0 ** float(np.floor(np.log10(max(high - low, 1e-6) / 200)))

    # ---- words and drawing -----------------------------------------------------------------------------------------

    def _words(self) -> str:
        if self._running or self.levels is None or self.tolerance is None:
            return "Region grow ..."
        amount = much(self._dock, self.levels.count(self.tolerance))
        return f"\N{PLUS-MINUS SIGN} {short(self.tolerance)} {self._unit}".rstrip() + f", {amount}"

    def _long_words(self) -> str:
        values, seed = place.values_of(self._dock), self._seed
        if values is None or seed is None or self.tolerance is None or self.levels is None:
            return ""
        value, unit = float(values[seed.index]), self._unit
        low, high = short(value - self.tolerance), short(value + self.tolerance)
        amount = much(self._dock, self.levels.count(self.tolerance))
        return f"Values from {low} to {high} {unit}".rstrip() + f": {amount}. The wheel changes it; Enter takes it."

    def paint(self, painter: QPainter, frame: Frame) -> None:
        """The tolerance and how much the region holds, beside the mouse."""
        at = self._mouse or self._seed
        if self._seed is None or at is None:
            return
        pane = at.pane
        if painter.device() is not pane.overlay:
            return
        sheet = Sheet.of(painter, frame, pane)
        words = self._words()
        room = sheet.width_of(words, sheet.strong) + 24
        x = at.pixel[0] + 16 if at.pixel[0] + 16 + room < frame.width else at.pixel[0] - room
        sheet.write(words, x, max(sheet.row, at.pixel[1] - 10), sheet.strong, YELLOW)


def _nobody() -> None:
    """Where there was no scan yet."""


def _work(mask: Mask, values: Array, seed: tuple[int, int, int], reach: Reach, cancel: Cancel) -> Events:
    def told(_done: int, _total: int) -> None:
        if cancel.is_set():
            raise Cancelled("Region grow was cancelled.")

    yield Progress(None, GrowTool.words)
    yield Result(flood_levels(mask, values, seed, reach, progress=told))
