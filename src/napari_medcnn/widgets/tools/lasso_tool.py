"""Lasso and polygon: a drag goes round, clicks set corners; the inside goes to the chosen class, or is erased."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qtpy.QtGui import QPainter

from napari_medcnn.annotation.tools.lasso import fill_polygon
from napari_medcnn.annotation.tools.mask import Plane
from napari_medcnn.errors import MedcnnError
from napari_medcnn.widgets.tools import outline, place
from napari_medcnn.widgets.tools.applying import apply_edit, say
from napari_medcnn.widgets.tools.filling import locked_words
from napari_medcnn.widgets.tools.hand import At, DrawnTool
from napari_medcnn.widgets.tools.outline import DRAWN, ERASED, Voxel
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.pane import Pane
from napari_medcnn.widgets.views.sheet import Sheet

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

#: A press that moves less than this many pixels is a click; a drag keeps points this far apart at least.
_CLICK, _APART = 4.0, 1.5


@dataclass
class _Outline:
    """An outline that is being drawn in one slice; `kept[i]` points were there before drag or click i."""

    pane: Pane
    plane: Plane
    erases: bool
    points: list[Voxel] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    hover: Voxel | None = None
    pressed: tuple[float, float] = (0.0, 0.0)
    last: tuple[float, float] = (0.0, 0.0)
    dragged: bool = False


class LassoTool(DrawnTool):
    """Draws one outline at a time in any flat view.

    Parameters
    ----------
    dock
        Its mask, classes and history.
    """

    name, words = "lasso", "Lasso"
    hint = (
        "Lasso: drag around it, or click corners; double-click or Enter finishes, Backspace takes the last corner "
        "back, Esc gives up. With Ctrl it erases."
    )

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        self._drawn: _Outline | None = None

    # ---- mouse -----------------------------------------------------------------------------------------------------

    def press(self, at: At) -> None:
        """A corner; a drag may follow."""
        drawn = self._drawn
        if drawn is None:
            drawn = self._begin(at)
            if drawn is None:
                return
        elif (drawn.plane.axis, drawn.plane.index) != (at.axis, at.index[at.axis]):
            say(
                self._dock,
                f"The outline that is begun lies on slice {drawn.plane.index + 1}: Enter finishes it, Esc gives it up.",
            )
            return
        drawn.pane = at.pane
        drawn.kept.append(len(drawn.points))
        drawn.points.append(at.voxel)
        drawn.hover, drawn.dragged = None, False
        drawn.pressed = drawn.last = at.pixel
        self._redraw()

    def move(self, at: At) -> None:
        """The line follows."""
        drawn = self._drawn
        if drawn is None or drawn.pane is not at.pane or drawn.plane.index != at.index[drawn.plane.axis]:
            return
        if at.pressed and drawn.kept:
            drawn.dragged = drawn.dragged or math.dist(at.pixel, drawn.pressed) > _CLICK
            if drawn.dragged and math.dist(at.pixel, drawn.last) >= _APART:
                drawn.points.append(at.voxel)
                drawn.last = at.pixel
        elif not at.pressed:
            drawn.hover = at.voxel
        self._redraw()

    def release(self, at: At) -> None:
        """A drag that began the outline ends it; else corners may follow."""
        self.move(At(at.pane, at.axis, at.voxel, at.pixel, at.modifiers, True, at.inside))  # quick moves are not told
        drawn = self._drawn
        if drawn is not None and drawn.dragged and drawn.kept == [0]:
            self._finish()

    def double_click(self, at: At) -> None:
        """Finish; the first of the two clicks has set the corner."""
        if self._drawn is not None:
            self._finish()

    # ---- keys ------------------------------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Finish the outline."""
        if self._drawn is None:
            return False
        self._finish()
        return True

    def backspace(self) -> bool:
        """Take the last corner, or the last drag, back."""
        drawn = self._drawn
        if drawn is None:
            return False
        del drawn.points[drawn.kept.pop() :]
        if not drawn.kept:
            self._drawn = None
        self._dock.views.redraw()
        return True

    def cancel(self) -> bool:
        """Give the outline up."""
        if self._drawn is None:
            return False
        self._drawn = None
        self._dock.views.redraw()
        return True

    # ---- doing -----------------------------------------------------------------------------------------------------

    def _begin(self, at: At) -> _Outline | None:
        dock = self._dock
        mask = dock.layers.mask
        label = 0 if at.erases or mask is None else int(mask.selected_label)
        if label in dock.session.locked:
            say(dock, locked_words(dock, label))
            return None
        shape = () if dock.strokes.array is None else dock.strokes.array.shape
        if not shape or not 0 <= at.index[at.axis] < shape[at.axis]:
            say(dock, "There is no mask on this slice.")
            return None
        dock.strokes.commit()
        self._drawn = _Outline(at.pane, Plane(at.axis, at.index[at.axis]), erases=label == 0)
        return self._drawn

    def _finish(self) -> None:
        """Fill the outline as one step."""
        drawn, dock = self._drawn, self._dock
        if drawn is None:
            return
        if len(drawn.points) < 3:
            say(dock, "An outline needs three corners: click further ones, or drag around it.")
            return
        self._drawn = None
        dock.views.redraw()
        u, v = (a for a in range(3) if a != drawn.plane.axis)
        corners = [(point[u], point[v]) for point in drawn.points]
        label = 0 if drawn.erases else int(place.layer_of(dock).selected_label)
        if label in dock.session.locked:
            say(dock, locked_words(dock, label))
            return
        try:
            edit = fill_polygon(place.mask_of(dock), drawn.plane, corners, label)
        except MedcnnError as error:
            say(dock, str(error))
            return
        apply_edit(dock, self.words, edit, drawn.plane.axis, "nothing inside that could change")

    # ---- drawing ---------------------------------------------------------------------------------------------------

    def _redraw(self) -> None:
        if self._drawn is not None:
            self._drawn.pane.overlay.update()

    def paint(self, painter: QPainter, frame: Frame) -> None:
        """The outline so far, the line to the mouse, and how it would close."""
        drawn, mask = self._drawn, self._dock.layers.mask
        if drawn is None or mask is None or not outline.shows(frame, mask, drawn.plane.axis, drawn.plane.index):
            return
        voxels = [*drawn.points] + ([drawn.hover] if drawn.hover is not None else [])
        points = outline.pixels(frame, mask, voxels)
        colour = ERASED if drawn.erases else DRAWN
        outline.stroke(painter, points, colour, frame.scale, closed=True)
        outline.marks(painter, [points[i] for i in drawn.kept], colour, frame.scale)
        if drawn.erases:
            sheet = Sheet.of(painter, frame, drawn.pane)
            sheet.write("Erase", points[0].x() + 8, points[0].y() - 8, sheet.strong, ERASED)
