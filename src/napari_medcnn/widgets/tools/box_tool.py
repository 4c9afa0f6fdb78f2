"""A box drawn over what a model did: accept or reject it there, in this slice or in all slices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QMenu

from napari_medcnn.annotation.box import Box
from napari_medcnn.errors import MedcnnError
from napari_medcnn.widgets.tools import outline, place
from napari_medcnn.widgets.tools.applying import say
from napari_medcnn.widgets.tools.given import Spot
from napari_medcnn.widgets.tools.hand import At, DrawnTool
from napari_medcnn.widgets.tools.outline import DRAWN, Voxel
from napari_medcnn.widgets.tools.pieces_menu import show_at
from napari_medcnn.widgets.tools.registry import BOX_TOOLS, Tool
from napari_medcnn.widgets.views.frame import Frame

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_SMALLEST = 4.0  # pixels
_NO_MODEL = "Accept or reject the model in a box: no model has drawn this mask; run one on the AI tab first."


@dataclass
class _Drawn:
    """A box between two corners in one slice; `asked` once the menu is there."""

    start: At
    end: At
    asked: bool = False

    @property
    def corners(self) -> list[Voxel]:
        """The four corners (z, y, x) in their order."""
        a, b = self.start.voxel, self.end.voxel
        u, v = (axis for axis in range(3) if axis != self.start.axis)
        found = []
        for first, second in ((a, a), (b, a), (b, b), (a, b)):
            corner = list(a)
            corner[u], corner[v] = first[u], second[v]
            found.append((corner[0], corner[1], corner[2]))
        return found

    def box(self, shape: tuple[int, ...], deep: bool) -> Box:
        """Return the voxels whose centres lie inside; with `deep` in all slices."""
        spans = []
        for axis in range(3):
            low, high = sorted((self.start.voxel[axis], self.end.voxel[axis]))
            spans.append(slice(max(0, math.ceil(low)), max(0, math.floor(high) + 1)))
        at = self.start.index[self.start.axis]
        spans[self.start.axis] = slice(0, shape[self.start.axis]) if deep else slice(at, at + 1)
        return tuple(spans)


class BoxTool(DrawnTool):
    """Asks in a menu, once a box was drawn, what is to be done in it.

    Parameters
    ----------
    dock
        Its mask, result and toolbox.
    """

    name, words = "model_box", "Model in a box"
    hint = "Drag a box over what the model did; then choose whether to accept or reject it there."

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        self._drawn: _Drawn | None = None
        self.menu: Any = None

    def take(self) -> None:
        """Arm it where a model has drawn, else say what is missing."""
        dock = self._dock
        try:
            there = "model" in place.others_of(dock)
        except MedcnnError as error:
            say(dock, str(error))
            return
        if not there:
            say(dock, _NO_MODEL)
            return
        dock.toolbox.hand.arm(self)

    # ---- mouse -----------------------------------------------------------------------------------------------------

    def press(self, at: At) -> None:
        """The first corner."""
        self._drawn = _Drawn(at, at)
        self._dock.views.redraw()

    def move(self, at: At) -> None:
        """The other corner follows."""
        drawn = self._drawn
        if drawn is not None and at.pressed and not drawn.asked and at.axis == drawn.start.axis:
            drawn.end = at
            at.pane.overlay.update()

    def release(self, at: At) -> None:
        """Ask what is to be done."""
        drawn = self._drawn
        if drawn is None or drawn.asked:
            return
        if at.axis == drawn.start.axis:
            drawn.end = at  # quick moves are told late or not at all
        (ax, ay), (bx, by) = drawn.start.pixel, drawn.end.pixel
        if min(abs(bx - ax), abs(by - ay)) < _SMALLEST:
            self.cancel()
            say(self._dock, self.hint)
            return
        drawn.asked = True
        self._ask(drawn)

    def cancel(self) -> bool:
        """Give the box up."""
        if self._drawn is None:
            return False
        self._drawn = None
        self._dock.views.redraw()
        return True

    # ---- doing -----------------------------------------------------------------------------------------------------

    def _ask(self, drawn: _Drawn) -> None:
        dock = self._dock
        shape = () if dock.strokes.array is None else dock.strokes.array.shape
        others = place.others_of(dock)
        if not shape or "model" not in others:
            self.cancel()
            say(dock, _NO_MODEL)
            return
        menu = QMenu()
        menu.setAccessibleName("The model in this box")
        for deep in (False, True) if shape[drawn.start.axis] > 1 else (False,):
            if shape[drawn.start.axis] > 1:
                heading = menu.addAction("In all slices" if deep else "In this slice")
                heading.setEnabled(False)  # not every style draws the words of a section
            for row in BOX_TOOLS:
                if row.name != "saved_box" or "saved" in others:
                    _add(menu, row.words, partial(self._do, row, drawn.box(shape, deep), drawn.start))
            if not deep and shape[drawn.start.axis] > 1:
                menu.addSeparator()
        menu.aboutToHide.connect(self._on_hidden)
        self.menu = menu
        show_at(menu, drawn.end.pane.native, drawn.end.pixel)

    def _do(self, row: Tool, box: Box, at: At) -> None:
        self.cancel()
        self._dock.toolbox.use(row, {"which": "all"}, None, Spot(None, at.axis, box))

    def _on_hidden(self) -> None:
        self.menu = None
        self.cancel()

    def paint(self, painter: QPainter, frame: Frame) -> None:
        """The box on the slice it was drawn in."""
        drawn, mask = self._drawn, self._dock.layers.mask
        if drawn is None or mask is None:
            return
        at = drawn.start
        if outline.shows(frame, mask, at.axis, at.index[at.axis]):
            points = outline.pixels(frame, mask, drawn.corners)
            outline.stroke(painter, [*points, points[0]], DRAWN, frame.scale)


def _add(menu: QMenu, words: str, act: Callable[[], None]) -> None:
    made = menu.addAction(words)
    made.triggered.connect(lambda _checked=False: act())
