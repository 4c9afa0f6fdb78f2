"""The measuring tools: what the left button draws, and what it takes hold of.

A tool that is armed takes the left drag from moving the picture; clicks work as well as drags. Nothing is painted, and
no layer hears of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_medcnn.core.measures import POINTS, Measure, Point
from napari_medcnn.widgets.keymap import READ
from napari_medcnn.widgets.measuring.board import Board
from napari_medcnn.widgets.measuring.drawing import hit, seen, shown_slice

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.views.frame import Frame
    from napari_medcnn.widgets.views.pane import Pane

_LEFT = 1
#: A press that moves less than this many pixels is a click.
_CLICK = 4.0
FIRST_ONLY = (
    "Measures lie on the first scan, in the view on the left. To measure on the other, open it by itself as the first."
)


@dataclass
class _Drawing:
    """A measure that has got `placed` of its points; the others follow the mouse. `at`: axis, slice, time."""

    measure: Measure
    pane: Pane
    at: tuple[int, int, int]
    placed: int = 0


class Hand:
    """Draws and moves measures in every flat view.

    Parameters
    ----------
    dock
        Its views, mode and time point.
    board
        Gets what is drawn.
    told
        Called when a tool is armed or put away.
    seen
        Returns True while the picture in the views is that of the scan which is measured.
    """

    def __init__(self, dock: MedcnnDock, board: Board, told: Callable[[], None], seen: Callable[[], bool]) -> None:
        self._dock, self._board, self._told, self._seen = dock, board, told, seen
        #: Kind that is drawn next, "" for none.
        self.tool = ""
        #: True if a tool stays armed after a measure.
        self.keep = False
        self._drawing: _Drawing | None = None
        dock.views.add_hook("drag", self.on_press)
        dock.views.add_hook("move", self.on_move)
        self._hears_double_clicks = self._hears_sides = False

    # ---- arming ----------------------------------------------------------------------------------------------------

    def arm(self, kind: str) -> None:
        """Draw a measure of this kind next; asked again, put the tool away."""
        dock = self._dock
        if kind == self.tool:
            self.disarm()
            return
        refused = self._refused()
        if refused:
            dock.say(refused)
            return
        if not self._hears_double_clicks:  # only now, so that it comes before the one that makes a view large
            self._hears_double_clicks = True
            dock.views.add_hook("double_click", self.on_double_click)
        self._stop_drawing()
        if dock.layers.is_drawing:
            dock.layers.draw_region(False)
        self.tool = kind
        self._set_cursor("cross")
        if self._watch_sides():
            dock.say(FIRST_ONLY)
        self._told()

    def _watch_sides(self) -> bool:
        """Hear of presses in the views of other scans, side by side with the first; False without any."""
        second = self._dock.reading.second_series
        if not self._hears_sides:
            self._hears_sides = True
            second.changed.connect(self._watch_sides)
        for side in second.side.sides:
            callbacks = side.pane.viewer.mouse_drag_callbacks
            if self.on_side_press not in callbacks:
                callbacks.insert(0, self.on_side_press)
        return bool(second.side.sides)

    def on_side_press(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        """A tool is armed and another scan than the first was pressed: nothing is drawn there, and why is said."""
        if not self.tool or event.button != _LEFT or event.modifiers or event.handled:
            return
        self._dock.say(FIRST_ONLY)
        event.handled = True
        yield
        while event.type == "mouse_move":
            event.handled = True
            yield

    def _refused(self) -> str:
        """Return why nothing can be measured now, "" if it can."""
        if self._dock.session.scan is None:
            return "Open a scan to measure on it."
        if not self._seen():
            return "Another scan is seen: show the first one, or open that scan by itself to measure on it."
        return "" if self._dock.mode == READ else "Measuring belongs to Read (T)."

    def disarm(self) -> None:
        """Put the tool away; what was begun goes."""
        self._stop_drawing()
        if self.tool:
            self.tool = ""
            self._set_cursor("standard")
            self._told()

    def cancel(self) -> bool:
        """Give up what is pending, then the tool; False if there was nothing to cancel."""
        if self._drawing is not None:
            self._stop_drawing()
            return True
        if self.tool:
            self.disarm()
            return True
        return False

    def _set_cursor(self, style: str) -> None:
        for pane in self._dock.views.panes:
            if pane.is_flat:
                pane.viewer.cursor.style = style

    def _stop_drawing(self) -> None:
        if self._drawing is not None or self._board.pending is not None:
            self._drawing = self._board.pending = None
            self._board.redraw.emit()

    # ---- mouse -----------------------------------------------------------------------------------------------------

    def on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Left, without a key held: draw with the tool, or take hold of a measure; else the press is not ours."""
        dock = self._dock
        pane = dock.views.pane_of(viewer)
        frame = None if pane is None else pane.frame()
        plain = event.button == _LEFT and not event.modifiers and not event.handled
        if not plain or pane is None or frame is None or self._refused() or dock.layers.is_drawing:
            return
        start = (float(event.pos[0]), float(event.pos[1]))
        if self.tool:
            work = self._draw(pane, frame, start)
        else:
            grip = self._grip(frame, start)
            if grip is None:
                return
            work = self._shift(pane, *grip)
        next(work)
        event.handled = True
        moved = False
        yield
        while event.type == "mouse_move":
            event.handled = True
            here = (float(event.pos[0]), float(event.pos[1]))
            dock.views.pointed.emit(pane, pane.place_at(*here))  # napari tells of no moves while a button is down
            moved = moved or math.dist(here, start) > _CLICK
            if moved:
                work.send(here)
            yield
        event.handled = True
        here = (float(event.pos[0]), float(event.pos[1]))  # quick moves are told late or not at all
        if moved or math.dist(here, start) > _CLICK:
            work.send(here)
        work.send(None)
        work.close()

    def on_move(self, viewer: Any, event: Any) -> None:
        """No button: the end of what is drawn follows; without a tool, mark what a press would take hold of."""
        pane = self._dock.views.pane_of(viewer)
        frame = None if pane is None else pane.frame()
        if pane is None or frame is None or event.modifiers or self._refused():
            return
        at = (float(event.pos[0]), float(event.pos[1]))
        if self._drawing is not None and self._drawing.pane is pane:
            self._follow(self._point(frame, at))
        elif not self.tool and self._board.measures:
            grip = self._grip(frame, at)
            under = None if grip is None else (grip[0].id, grip[1])
            if under != self._board.under:
                self._board.under = under
                self._board.redraw.emit()

    def on_double_click(self, _viewer: Any, event: Any) -> None:
        """While a tool is armed two quick clicks are two clicks: no view is made large."""
        if self.tool:
            event.handled = True

    def _draw(self, pane: Pane, frame: Frame, start: tuple[float, float]) -> Generator[None, Any, None]:
        """Place a point at the press; a drag places the next one at its end."""
        at = (*shown_slice(self._board, frame), self._dock.frame)
        drawing = self._drawing
        if drawing is None or drawing.pane is not pane or drawing.at != at:
            points = (self._point(frame, start),) * POINTS[self.tool]
            drawing = self._drawing = _Drawing(Measure(self.tool, points, at[0], at[2]), pane, at)
        self._place(self._point(frame, start))
        here = yield
        dragged = False
        while here is not None:
            dragged = True
            self._follow(self._point(frame, here))
            here = yield
        if self._drawing is not drawing:
            yield
            return
        if dragged and drawing.placed < len(drawing.measure.points):
            drawing.placed += 1
        if drawing.placed == len(drawing.measure.points):
            self._finish(drawing)
        yield

    def _place(self, point: Point) -> None:
        if self._drawing is not None:
            self._follow(point)
            self._drawing.placed += 1

    def _follow(self, point: Point) -> None:
        """Let the points that are not placed yet, at least the last, lie under the mouse."""
        drawing = self._drawing
        if drawing is None:
            return
        for index in range(min(drawing.placed, len(drawing.measure.points) - 1), len(drawing.measure.points)):
            drawing.measure = drawing.measure.with_point(index, point)
        self._board.pending = drawing.measure
        self._board.redraw.emit()

    def _finish(self, drawing: _Drawing) -> None:
        self._drawing = self._board.pending = None
        if self._board.ruler.distance(*drawing.measure.points[:2]) > 0:
            self._board.add(drawing.measure)
        if self.keep:
            self._board.redraw.emit()
        else:
            self.disarm()

    def _shift(self, pane: Pane, measure: Measure, index: int) -> Generator[None, Any, None]:
        """Move one point of a measure, or all of it; it is changed when the button is let go."""
        board, now = self._board, measure
        board.choose(measure.id)
        frame = pane.frame()
        first: Point | None = None
        here = yield
        while here is not None and frame is not None:
            point = self._point(frame, here)
            axis = shown_slice(board, frame)[0]
            if index < 0:
                first = first or point
                now = measure.moved([0.0 if a == axis else point[a] - first[a] for a in range(3)])
            else:
                old = measure.points[index]
                now = measure.with_point(index, [old[a] if a == axis else point[a] for a in range(3)])
            board.pending = now
            board.redraw.emit()
            here = yield
        board.pending = None
        if now is not measure:
            board.put(now)
        else:
            board.redraw.emit()
        yield

    # ---- places ----------------------------------------------------------------------------------------------------

    def _point(self, frame: Frame, at: tuple[float, float]) -> Point:
        """Return the index in the file's order under a pixel, exactly on the slice that is shown."""
        grid = self._board.grid
        if grid is None:
            return (0.0, 0.0, 0.0)
        index = grid.source_of(frame.to_place(*at)).tolist()
        axis, slice_at = shown_slice(self._board, frame)
        index[axis] = float(slice_at)
        return (index[0], index[1], index[2])

    def _grip(self, frame: Frame, at: tuple[float, float]) -> tuple[Measure, int] | None:
        """Return the measure under a pixel and which of its points, -1 for all; the newest first."""
        for measure in reversed(self._board.measures):
            found = seen(self._board, measure, frame, self._dock.frame)
            index = None if found is None else hit(found, at)
            if index is not None:
                return measure, index
        return None
