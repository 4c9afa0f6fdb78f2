"""What the left button draws while correcting: one drawing tool at a time, in every flat view.

A tool that is armed takes the left button from napari; right and middle drags, Space+drag and Alt+drag stay what they
are. No layer hears of what is drawn: a tool changes the mask through `Strokes.change` when it is finished.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QPainter

from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.tools.applying import say
from napari_medcnn.widgets.tools.place import NO_SLICE
from napari_medcnn.widgets.views.pane import MAIN

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.views.frame import Frame
    from napari_medcnn.widgets.views.pane import Pane

_LEFT = 1
_REFUSED = "Drawing tools belong to Correct (T), and need a mask."


@dataclass(frozen=True)
class At:
    """Where the mouse is.

    Parameters
    ----------
    pane
        The view it is over.
    axis
        Axis (0 z, 1 y, 2 x) of the mask that the view cuts across: 0 for a picture.
    voxel
        Index (z, y, x) in the mask, fractions included; whole along `axis`. It may lie beside the mask.
    pixel
        (x, y) on the canvas of the view.
    modifiers
        Keys held, as napari names them: "Control", "Shift".
    pressed
        True while the left button is down.
    inside
        The voxel lies in the mask.
    """

    pane: Pane
    axis: int
    voxel: tuple[float, float, float]
    pixel: tuple[float, float]
    modifiers: frozenset[str] = field(default_factory=frozenset)
    pressed: bool = False
    inside: bool = True

    @property
    def index(self) -> tuple[int, int, int]:
        """The voxel that the mouse is in."""
        z, y, x = (int(np.floor(v + 0.5)) for v in self.voxel)
        return (z, y, x)

    @property
    def erases(self) -> bool:
        """Ctrl is held."""
        return "Control" in self.modifiers


class DrawnTool:
    """A tool of the mouse that does nothing; tools override what they need.

    `name` is that of its row in the table, `words` its step in the history, `hint` is said when it is taken.
    `cursor` is napari's name of a mouse pointer.
    """

    name = words = hint = ""
    cursor = "cross"

    def press(self, at: At) -> None:
        """The left button went down."""

    def move(self, at: At) -> None:
        """The mouse moved, with the button (`at.pressed`) or without it."""

    def release(self, at: At) -> None:
        """The button went up."""

    def double_click(self, at: At) -> None:
        """Clicked twice; the first click came as a press and a release."""

    def enter(self) -> bool:
        """Finish what is pending; False if nothing is."""
        return False

    def backspace(self) -> bool:
        """Take the last point back; False if there is none."""
        return False

    def wheel(self, turns: float) -> bool:
        """The wheel was turned, up is above 0; False leaves it to the slices."""
        return False

    def cancel(self) -> bool:
        """Give up what is pending; False if nothing is."""
        return False

    def from_form(self, preview: bool) -> bool:
        """Apply, or Preview, was pressed in a form; False leaves it to the toolbox."""
        return False

    def paint(self, painter: QPainter, frame: Frame) -> None:
        """Draw over a flat view."""


class CorrectHand(QObject):
    """Hands presses, moves and keys to the tool that is armed.

    Parameters
    ----------
    dock
        Its views, mode and mask.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock = dock
        #: The tool in hand, None for none.
        self.armed: DrawnTool | None = None
        #: What napari's own tool was, to come back when ours is put away.
        self._before = "pan_zoom"
        self._space = False
        self._arming = False
        #: Tools that stand for one of napari's own, by its mode: that tells what is in hand.
        self.stand_ins: dict[str, DrawnTool] = {}
        self._told: list[Callable[[], None]] = []

    def listen(self) -> None:
        """Hear of the mouse before all others; called once those listen."""
        dock = self._dock
        dock.views.add_hook("drag", self.on_press)
        dock.views.add_hook("move", self.on_move)
        dock.views.add_hook("wheel", self.on_wheel)
        dock.views.add_hook("double_click", self.on_double_click)
        dock.views.add_painter(self.paint)
        dock.tabs.currentChanged.connect(self._on_mode)
        dock.session.mask_changed.connect(self._on_mask)
        dock.views.pane_added.connect(self._on_pane)
        for pane in dock.views.panes:
            self._on_pane(pane)

    def on_change(self, told: Callable[[], None]) -> None:
        """Call `told` whenever a tool is armed or put away."""
        self._told.append(told)

    # ---- arming ----------------------------------------------------------------------------------------------------

    def arm(self, tool: DrawnTool) -> bool:
        """Take a tool in hand; the one before gives up what it has begun. False where nothing can be drawn."""
        dock = self._dock
        mask = dock.layers.mask
        if dock.mode != CORRECT or mask is None:
            dock.say(_REFUSED)
            return False
        if self.armed is not None:
            self._give_up(self.armed)
        else:
            self._before = str(mask.mode)
        self.armed = tool
        self._arming = True
        try:
            dock.layers.use_tool("pan_zoom")
        finally:
            self._arming = False
        mask.visible = True
        self._watch(mask)
        self._set_cursor(tool.cursor)
        dock.say("")
        dock.correct.say(tool.hint)
        self._changed()
        return True

    def disarm(self, *, restore: bool = True) -> None:
        """Put the tool away; what was begun goes. With `restore` the tool that was used before it comes back."""
        tool, self.armed = self.armed, None
        if tool is None:
            return
        self._give_up(tool)
        self._set_cursor("standard")
        if restore and self._dock.layers.mask is not None and self._dock.mode == CORRECT:
            self._dock.correcting.use_tool(self._before)
        self._before = "pan_zoom"
        self._changed()

    def cancel(self) -> bool:
        """Give up what is pending, else put the tool away; False if there was nothing to cancel."""
        if self.armed is None:
            return False
        if not self.armed.cancel():
            self.disarm()
        self._dock.views.redraw()
        return True

    def enter(self) -> bool:
        """Finish what is pending; False if nothing is."""
        return self.armed is not None and self.armed.enter()

    def backspace(self) -> bool:
        """Take the last point back; False if there is none."""
        return self.armed is not None and self.armed.backspace()

    @staticmethod
    def _give_up(tool: DrawnTool) -> None:
        for _ in range(3):  # a tool may have something within something
            if not tool.cancel():
                return

    def _changed(self) -> None:
        for told in self._told:
            told()
        self._dock.views.redraw()

    def _set_cursor(self, style: str) -> None:
        for pane in self._dock.views.panes:
            if pane.is_flat:
                pane.viewer.cursor.style = style

    def _watch(self, mask: Any) -> None:
        mask.events.mode.disconnect(self._on_layer_mode)
        mask.events.mode.connect(self._on_layer_mode)

    def _on_layer_mode(self, event: Any) -> None:
        """Napari's brush or another tool of the layer was chosen: ours is put away."""
        if self.armed is not None and not self._arming and str(event.mode) not in ("pan_zoom", "transform"):
            self.disarm(restore=False)

    def _on_mode(self, _index: int = 0) -> None:
        if self._dock.mode != CORRECT:
            self.disarm(restore=False)

    def _on_mask(self) -> None:
        """Another mask: what was begun belongs to the one before."""
        mask, tool = self._dock.layers.mask, self.armed
        if tool is None:
            return
        self._give_up(tool)
        if mask is None or str(mask.mode) != "pan_zoom":
            self.disarm(restore=False)
        else:
            self._watch(mask)

    # ---- mouse -----------------------------------------------------------------------------------------------------

    def at(self, pane: Pane, pos: Any, modifiers: Any = (), pressed: bool = False) -> At | None:
        """Return where a pixel of a view lies in the mask; None in 3D and without a mask."""
        mask, frame = self._dock.layers.mask, pane.frame()
        if mask is None or frame is None:
            return None
        x, y = float(pos[0]), float(pos[1])
        place = frame.to_place(x, y)
        found = [float(v) for v in mask.world_to_data(place[-mask.ndim :])]
        shape = tuple(mask.data.shape)
        if mask.ndim == 2:
            found, shape = [0.0, *found], (1, *shape)
        axis = 0 if mask.ndim == 2 else frame.depth_axis
        found[axis] = float(np.floor(found[axis] + 0.5))
        inside = all(-0.5 <= v < n - 0.5 for v, n in zip(found, shape, strict=True))
        voxel = (found[0], found[1], found[2])
        return At(pane, axis, voxel, (x, y), frozenset(str(getattr(m, "name", m)) for m in modifiers), pressed, inside)

    def on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """The left button, alone or with Ctrl: the tool's until it goes up."""
        tool = self._working()
        pane = self._dock.views.pane_of(viewer)
        if pane is not None and pane.name == MAIN and not pane.is_flat:
            yield from self._hold_back(viewer, event)
            return
        if tool is None or pane is None or event.button != _LEFT or event.handled or self._space:
            return
        if tuple(event.modifiers) not in ((), ("Control",)):
            return  # the zoom box, and moving the picture
        at = self.at(pane, event.pos, event.modifiers, pressed=True)
        if at is None:
            return
        event.handled = True
        mask = self._dock.layers.mask
        mode = "" if mask is None else str(mask.mode)
        if self.armed is None:  # napari's own tool is put aside, as for a right-drag
            self._set_mode(mask, "pan_zoom")
        tool.press(at)
        modifiers = event.modifiers  # those of the press hold for the whole drag
        yield
        while event.type == "mouse_move":
            event.handled = True
            here = self.at(pane, event.pos, modifiers, pressed=True)
            # napari tells of no moves while a button is down
            self._dock.views.pointed.emit(pane, pane.place_at(float(event.pos[0]), float(event.pos[1])))
            if here is not None and self.armed in (tool, None):
                tool.move(here)
            yield
        event.handled = True
        here = self.at(pane, event.pos, modifiers)
        if here is not None and self.armed in (tool, None):
            tool.release(here)
        if self.armed is None and mask is not None and str(mask.mode) == "pan_zoom":
            self._set_mode(mask, mode)

    def _hold_back(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Let the mouse turn napari's own view while it shows 3D: its brush would paint past ours, with any button."""
        mask = self._dock.layers.mask
        mode = str(mask.mode) if mask is not None and viewer.layers.selection.active is mask else "pan_zoom"
        if mode != "pan_zoom" or self._working() is not None:
            say(self._dock, NO_SLICE)
        if mask is None or mode == "pan_zoom":
            return
        self._set_mode(mask, "pan_zoom")
        yield
        while event.type == "mouse_move":
            yield
        if str(mask.mode) == "pan_zoom":
            self._set_mode(mask, mode)

    def on_move(self, viewer: Any, event: Any) -> None:
        """No button is down."""
        tool, pane = self._working(), self._dock.views.pane_of(viewer)
        if tool is None or pane is None:
            return
        at = self.at(pane, event.pos, event.modifiers)
        if at is not None:
            tool.move(at)

    def on_double_click(self, viewer: Any, event: Any) -> None:
        """While a tool is armed no view is made large."""
        tool, pane = self._working(), self._dock.views.pane_of(viewer)
        if tool is None or pane is None or event.handled:
            return
        at = self.at(pane, event.pos, event.modifiers)
        if at is not None:
            event.handled = True
            tool.double_click(at)

    def on_wheel(self, viewer: Any, event: Any) -> None:
        """The wheel without a key held, over a flat view: the tool's if it wants it."""
        tool, pane = self._working(), self._dock.views.pane_of(viewer)
        if tool is None or pane is None or not pane.is_flat or event.modifiers or event.handled:
            return
        turns = float(event.delta[1])
        if turns and tool.wheel(turns):
            event.handled = True

    def paint(self, painter: QPainter, frame: Frame | None, _pane: Pane) -> None:
        """Let the tool draw; nothing in 3D, in exported pictures and while overlays are hidden."""
        views = self._dock.views
        if self.armed is not None and frame is not None and not views.exporting and not views.held:
            self.armed.paint(painter, frame)

    def _working(self) -> DrawnTool | None:
        """Return the tool that the mouse works with now."""
        mask = self._dock.layers.mask
        if mask is None or self._dock.mode != CORRECT:
            return None
        return self.armed or self.stand_ins.get(str(mask.mode))

    def _set_mode(self, mask: Any, mode: str) -> None:
        self._arming = True
        try:
            mask.mode = mode
        finally:
            self._arming = False

    # ---- Space -----------------------------------------------------------------------------------------------------

    def _on_pane(self, pane: Pane) -> None:
        pane.native.installEventFilter(self)
        if self.armed is not None and pane.is_flat:
            pane.viewer.cursor.style = self.armed.cursor

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Space held: the left button moves the picture, as with napari's own tools."""
        kind = event.type()
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) and event.key() == Qt.Key.Key_Space:
            self._space = kind == QEvent.Type.KeyPress
        elif kind == QEvent.Type.FocusOut:
            self._space = False
        return False
