"""Brush, sphere and eraser with the mouse, in every flat view: what the left button sweeps is one step of the history.

All views draw in the same array. Napari's own brush, which knows one view and counts pixels, is put aside while ours
holds the button; its modes "paint" and "erase" still say which tool is in hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QEvent, QObject, QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPen

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.tools.brush import Brush, Range, learn_range
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.quantity import short
from napari_medcnn.errors import InputError
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets._beyond_public import redraw_part
from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.tools import place
from napari_medcnn.widgets.tools.stroke import Point, Stroke
from napari_medcnn.widgets.views.frame import Frame, Place
from napari_medcnn.widgets.views.pane import MAIN, Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_LEFT = 1
_MODES = ("paint", "erase")
#: Name of napari's callback that paints.
_NAPARIS = "draw"
_WHITE, _BLACK = QColor(255, 255, 255), QColor(0, 0, 0, 170)


class Painting(QObject):
    """Paints on the mask of one dock.

    Parameters
    ----------
    dock
        Its views, layers, strokes and the brush's rows on the Correct tab.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock, self._strokes, self.row = dock, dock.strokes, dock.correct.brush_row
        self._stroke: Stroke | None = None
        #: Where the mouse is: pane and place of the world; None over no view.
        self._at: tuple[Pane, Place] | None = None
        self._space = False
        dock.strokes.settle = self._settle
        dock.views.add_hook("drag", self.on_press)
        dock.views.add_hook("double_click", self.on_double_click)
        dock.views.add_painter(self.paint)
        dock.views.pointed.connect(self._on_pointed)
        dock.views.pane_added.connect(self._on_pane)
        dock.session.mask_changed.connect(self._on_mask)
        self.row.changed.connect(self._show)
        self.row.limits_asked.connect(self._offer_limits)
        self.row.learn_asked.connect(self._on_learn)
        self.row.refused.connect(lambda error: dock.say(str(error)))

    # ---- what is in hand -------------------------------------------------------------------------------------------

    def take_brush(self) -> None:
        """Take the brush; asked again, paint in all directions, or in the slice alone."""
        mask = self._layer()
        if mask is not None and str(mask.mode) == "paint" and self.row.sphere.isEnabled():
            self.row.sphere.setChecked(not self.row.sphere.isChecked())
            self._dock.say(
                "The brush is a sphere: it paints in all directions." if self.is_sphere else "The brush paints a disc."
            )
        else:
            self._dock.correcting.use_tool("paint")

    @property
    def is_sphere(self) -> bool:
        """True if it paints in all directions."""
        return self.row.sphere.isEnabled() and self.row.sphere.isChecked()

    def close(self) -> None:
        """Let go of the views."""
        self._stroke = self._at = None
        self._strokes.settle = _nothing
        for pane in self._dock.views.panes:
            pane.native.removeEventFilter(self)

    def cancel(self) -> None:
        """Esc: no sample is learned from after all."""
        self.row.learn.setChecked(False)

    def _layer(self) -> Any:
        """Return the mask's layer if brush or eraser is in hand and would be seen to act, else None."""
        mask = self._dock.layers.mask
        if mask is None or self._dock.mode != CORRECT or str(mask.mode) not in _MODES:
            return None
        panes = self._dock.views.panes
        chosen = bool(panes) and panes[0].viewer.layers.selection.active is mask
        return mask if chosen and mask.visible and mask.editable and self._strokes.array is not None else None

    def _radius_mm(self) -> float:
        mask = self._dock.layers.mask
        return 0.0 if mask is None else float(mask.brush_size) * finest_mm(mask)[0] / 2

    # ---- mouse -----------------------------------------------------------------------------------------------------

    def on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Left paints or erases, with Ctrl it erases; other presses are not ours."""
        pane, mask = self._dock.views.pane_of(viewer), self._layer()
        held = tuple(event.modifiers)
        plain = event.button == _LEFT and not event.handled and (not held or held == ("Control",))
        if not plain or pane is None or not pane.is_flat or mask is None or self._put_aside(pane):
            return
        erase = str(mask.mode) == "erase"
        if held and erase:
            return  # Ctrl is the brush's
        event.handled = True
        aside = _without_naparis(mask)
        self._strokes.commit()
        here = self._voxel(pane, mask, event)
        if self.row.learn.isChecked():
            self._learn(pane, here)
        else:
            self._stroke = self._begin(pane, erase or bool(held))
        self._reach(pane, here)
        yield
        _give_back(mask, aside)
        while event.type == "mouse_move":
            event.handled = True
            self._on_pointed(pane, pane.place_at(*event.pos[:2]))  # napari tells of no moves in a drag
            self._reach(pane, self._voxel(pane, mask, event))
            yield
        event.handled = True
        self._reach(pane, self._voxel(pane, mask, event))  # quick moves are told late or not at all
        self._finish()
        self._dock.views.pointed.emit(pane, pane.place_at(*event.pos[:2]))

    def on_double_click(self, viewer: Any, event: Any) -> None:
        """Two quick dabs make no view large."""
        pane = self._dock.views.pane_of(viewer)
        if pane is not None and pane.is_flat and self._layer() is not None and not self._put_aside(pane):
            event.handled = True

    def _put_aside(self, pane: Pane) -> bool:
        """Return True while the button moves the picture, or something else is drawn."""
        return self._space and pane.name != MAIN

    def _voxel(self, pane: Pane, mask: Any, event: Any) -> Point:
        """Return the voxel index (z, y, x) under the mouse, with fractions, in the middle of the slice that is seen."""
        at = pane.place_at(float(event.pos[0]), float(event.pos[1])) or (0.0, 0.0, 0.0)
        found = [float(i) for i in mask.world_to_data(at[-mask.ndim :])]
        index = found if len(found) == 3 else [0.0, *found]
        index[pane.axis or 0] = float(round(index[pane.axis or 0]))  # as napari chooses the slice it shows
        return (index[0], index[1], index[2])

    def _begin(self, pane: Pane, erase: bool) -> Stroke | None:
        """Return the stroke that a press begins; None, with words, where nothing may be painted."""
        dock, sphere = self._dock, self.is_sphere
        label = 0 if erase else int(place.layer_of(dock).selected_label)
        if label in dock.session.locked:
            self._say(f"{self._strokes.names(label)}: locked; unlock it in the class table to paint it.")
            return None
        try:
            limits, mask = self.row.limits(), place.mask_of(dock)
            scan = self._values(mask) if limits is not None else None
        except InputError as error:
            self._say(str(error))
            return None
        brush = Brush(self._radius_mm(), None if sphere else pane.axis, limits)
        return Stroke(mask, brush, label, scan, "Eraser" if not label else "Sphere" if sphere else "Brush")

    def _reach(self, pane: Pane, point: Point) -> None:
        stroke = self._stroke
        if stroke is None:
            return
        if stroke.mask.array is not self._strokes.array:
            self._stroke = None  # the mask went while the button was held
            return
        box = stroke.reach(point)
        if box is not None:
            self._redraw(box)

    def _redraw(self, box: Box) -> None:
        """Show what is being written in every view, at once; all of it is drawn anew when the button is up."""
        mask = place.layer_of(self._dock)
        for pane in self._dock.views.panes:
            for layer in pane.viewer.layers if pane.is_flat else ():
                if isinstance(layer, Labels) and layer.data is mask.data:
                    redraw_part(layer, box[-mask.ndim :])

    def _finish(self) -> None:
        """The button is up: one step."""
        stroke = self._stroke
        if stroke is None or stroke.mask.array is not self._strokes.array:
            self._stroke = None
            return
        self._settle()
        self._stroke = None
        self._dock.layers.redraw_mask()
        if stroke.met_locked:
            names = " and ".join(self._strokes.names(i) for i in sorted(stroke.mask.locked))
            self._say(f"{names}: locked, its voxels were left as they are.")

    def _settle(self) -> None:
        """Make a step of what was painted so far: before anything else is done with the mask."""
        stroke = self._stroke
        if stroke is not None and stroke.box is not None and stroke.mask.array is self._strokes.array:
            box, stroke.box = stroke.box, None
            self._strokes.record(stroke.name, box)

    def _say(self, words: str) -> None:
        self._strokes.note.emit(words)

    # ---- limits ----------------------------------------------------------------------------------------------------

    def _values(self, mask: Mask) -> Array:
        """Return the scan's values under the mask; InputError where there are none."""
        scan = place.values_of(self._dock)
        if scan is None:
            raise InputError("Only values: the scan of this mask is not open, so it has no values to go by.")
        mask.require_scan(scan)
        return scan

    def _learn(self, pane: Pane, point: Point) -> None:
        """Take the values under the brush as limits."""
        brush = Brush(self._radius_mm(), None if self.is_sphere else pane.axis)
        try:
            mask = place.mask_of(self._dock)
            limits = learn_range(mask, brush, point, self._values(mask))
        except InputError as error:
            self._say(str(error))
            return
        low, high = (float(short(v)) for v in (limits.low, limits.high))
        self.row.show_limits(Range(low, high))
        self._say(f"The brush paints only values from {short(low)} to {short(high)}.")

    def _on_learn(self) -> None:
        """A sample is wanted: with the brush, whatever was in hand."""
        if self._layer() is None:
            self._dock.correcting.use_tool("paint")
        self._dock.say("Click on the tissue: its values under the brush become the range. Esc gives it up.")

    def _offer_limits(self) -> None:
        """The limits were switched on without numbers: those of the brightness window."""
        low, high = place.window_of(self._dock)
        self.row.low.show_number(float(short(low)))
        self.row.high.show_number(float(short(high)))

    # ---- showing ---------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, frame: Frame | None, pane: Pane) -> None:
        """Draw the brush as large as it is: a circle under the mouse, and where a sphere cuts the other views."""
        views, mask = self._dock.views, self._layer()
        if frame is None or mask is None or self._at is None or views.exporting or views.held:
            return
        at_pane, at = self._at
        radius = self._radius_mm() / finest_mm(mask)[1]  # in units of the world, of which zoom speaks
        if pane is not at_pane:
            away = at[frame.depth_axis] - frame.depth
            if not self.is_sphere or abs(away) >= radius:
                return
            radius = math.sqrt(radius**2 - away**2)
        size, middle = radius * frame.zoom, QPointF(*frame.to_canvas(at))
        style = Qt.PenStyle.DashLine if self.row.learn.isChecked() else Qt.PenStyle.SolidLine
        for colour, out in ((_BLACK, 1.0), (_WHITE, 0.0)):
            painter.setPen(QPen(colour, 1.2 * frame.scale, style))
            painter.drawEllipse(middle, size + out, size + out)

    def _on_pointed(self, pane: Pane, at: Place | None) -> None:
        before = self._at
        self._at = None if at is None or not pane.is_flat else (pane, at)
        if self._layer() is None and before is None:
            return
        if self.is_sphere:
            self._show()
            return
        for seen in _panes(before, self._at):
            seen.overlay.update()

    def _show(self, _event: Any = None) -> None:
        self._dock.views.redraw()

    def _on_mode(self, _event: Any = None) -> None:
        """Our circle stands for napari's, which is as large as the brush in one plane only."""
        mask = self._dock.layers.mask
        mode = "pan_zoom" if mask is None else str(mask.mode)
        if mask is not None and mode in _MODES:
            mask.cursor = "cross"
        for pane in self._dock.views.panes:
            if pane.name != MAIN and pane.is_flat:
                pane.viewer.cursor.style = "standard" if mode == "pan_zoom" else "cross"
        self._show()

    def _on_mask(self) -> None:
        """Another mask, or none."""
        mask = self._dock.layers.mask
        self._stroke = None
        self.row.put_away()
        if mask is None:
            self.row.show_units(None, "", False)
            return
        mask.events.mode.connect(self._on_mode)
        mask.events.brush_size.connect(self._show)
        info = mask.metadata[KEY]
        unit = finest_mm(mask)[0] if info["geometry"].spacing_known else None
        self.row.show_units(unit, place.unit_of(self._dock), bool(info["picture"]))
        self._on_mode()

    # ---- Space moves the picture -----------------------------------------------------------------------------------

    def _on_pane(self, pane: Pane) -> None:
        """A further view: napari puts its tool aside while Space is held in the first one only."""
        if pane.name != MAIN and pane.is_flat:
            pane.native.installEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """See Space go down and up; nothing is taken away."""
        kind = event.type()
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
                self._space = kind == QEvent.Type.KeyPress
        elif kind == QEvent.Type.FocusOut:
            self._space = False
        return False


def finest_mm(mask: Any) -> tuple[float, float]:
    """Return the finest spacing of a mask's layer, and mm in a unit of its world; 1 where no spacing is stated."""
    info = mask.metadata[KEY]
    shown = info["geometry"].reoriented(info["how"])
    if not shown.spacing_known:
        return 1.0, 1.0 / abs(float(mask.scale[-1]))
    spacing: Sequence[float] = shown.spacing_mm[-2:] if info["picture"] else shown.spacing_mm
    return float(min(spacing)), float(shown.spacing_mm[-1]) / abs(float(mask.scale[-1]))


def _nothing() -> None:
    """What is to be settled when nobody paints."""


def _panes(*places: tuple[Pane, Place] | None) -> list[Pane]:
    found: list[Pane] = []
    for known in places:
        if known is not None and known[0] not in found:
            found.append(known[0])
    return found


def _without_naparis(mask: Any) -> list[Callable[..., Any]]:
    """Take napari's own brush off a layer before it hears of a press; return what was taken."""
    aside = [each for each in mask.mouse_drag_callbacks if getattr(each, "__name__", "") == _NAPARIS]
    for each in aside:
        mask.mouse_drag_callbacks.remove(each)
    return aside


def _give_back(mask: Any, aside: list[Callable[..., Any]]) -> None:
    """Leave the layer as napari made it; another tool may have come meanwhile, and brought its own."""
    if str(mask.mode) in _MODES:
        mask.mouse_drag_callbacks.extend(each for each in aside if each not in mask.mouse_drag_callbacks)
