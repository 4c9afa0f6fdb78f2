"""Moving through a scan and its brightness: what keys, wheel and right-drag do, whichever layer is selected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.layers import Layers
from napari_medcnn.widgets.views.views import Views
from napari_medcnn.widgets.windowing import Windowing

_LEFT, _RIGHT, _MIDDLE = 1, 2, 3
_PAINTING = ("paint", "erase", "fill", "polygon", "pick")


class Viewing:
    """Slices, window and level, overlays of the open scan.

    Parameters
    ----------
    viewer, layers, views
        Where to look, which layers are ours, and all views of them.
    """

    def __init__(self, viewer: Any, layers: Layers, views: Views) -> None:
        self._viewer = viewer
        self._layers = layers
        self._views = views
        self.wheel_moves_slices = True
        self.windowing = Windowing(viewer, layers)
        #: Layer whose window a drag in a view changes, where a view shows another scan; else None.
        self.layer_under: Callable[[Any], Any] = lambda _viewer: None
        self._shown_before_hold: list[Any] = []

    # ---- places --------------------------------------------------------------------------------------------------

    @property
    def slice_axis(self) -> int | None:
        """The axis that the slider of slices moves along; None for a picture."""
        hidden = self._viewer.dims.not_displayed
        scan = self._layers.scan
        if not hidden or scan is None:
            return None
        axis = int(hidden[-1])
        return None if self._is_time(axis) else axis

    @property
    def time_axis(self) -> int | None:
        """The axis of time points, echoes or b-values; None without one."""
        return 0 if self._is_time(0) else None

    def _is_time(self, axis: int) -> bool:
        scan = self._layers.scan
        return scan is not None and axis == 0 and str(scan.metadata[KEY].get("axes", "")).startswith("t")

    def move(self, steps: int) -> None:
        """Go `steps` slices on in the view that the mouse was in last, stopping at the ends."""
        self._views.move(steps)

    def move_time(self, steps: int) -> None:
        """Go `steps` time points on."""
        self._step(self.time_axis, steps)

    def go_to_end(self, last: bool) -> None:
        """Show the first or the last slice of the view that the mouse was in last."""
        self._views.move(10**9 if last else -(10**9))

    def _step(self, axis: int | None, steps: int) -> None:
        if axis is None:
            return
        dims = self._viewer.dims
        last = int(dims.nsteps[axis]) - 1
        dims.set_current_step(axis, int(np.clip(dims.current_step[axis] + steps, 0, max(0, last))))

    # ---- brightness ----------------------------------------------------------------------------------------------

    def use_preset(self, number: int) -> None:
        """Use preset 1, 2, ...; 0 is the window the scan came with.  Numbers without a preset do nothing."""
        self.windowing.use_preset(number)

    def set_window(self, low: float, high: float) -> None:
        """Show values from `low` (black) to `high` (white)."""
        self.windowing.set_window(low, high)

    def invert(self) -> None:
        """Swap black and white of the scan."""
        self.windowing.invert()

    # ---- overlays ------------------------------------------------------------------------------------------------

    def outline(self) -> None:
        """Switch the mask between filled and outline."""
        mask = self._layers.mask
        if mask is not None:
            mask.contour = 0 if mask.contour else 2

    def hold_overlays(self) -> None:
        """Hide everything over the scan until `release_overlays`."""
        scan_layers = [layer for layer in self._layers.ours if layer.metadata[KEY]["role"] == "scan"]
        over = [x for x in self._layers.ours if not any(x is s for s in scan_layers) and x.visible]
        self._shown_before_hold = over
        for layer in over:
            layer.visible = False

    def release_overlays(self) -> None:
        """Show again what `hold_overlays` hid."""
        for layer in self._shown_before_hold:
            layer.visible = True
        self._shown_before_hold = []

    # ---- mouse ---------------------------------------------------------------------------------------------------

    def on_wheel(self, viewer: Any, event: Any) -> None:
        """Wheel moves through slices, Ctrl+wheel zooms; pictures always zoom, which napari does by itself."""
        if self._layers.scan is None or event.handled:
            return
        turns = float(event.delta[1])
        if "Control" in event.modifiers:
            self._views.zoom(viewer, turns, event.pos)
            event.handled = True
        elif not event.modifiers and self.wheel_moves_slices and turns:
            pane = self._views.pane_of(viewer)
            if pane is not None and pane.slider is not None:
                self._views.move(-1 if turns > 0 else 1, pane)
                event.handled = True

    def on_drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Right: window and level. Middle: pan. Ctrl+left in a painting tool: erase. None of them paints.

        The tool of the layer that napari will hand the press to is put aside, and comes back after the release.
        """
        button = event.button
        if event.handled:
            return  # the brush has it
        if button == _MIDDLE and viewer.dims.ndisplay == 3:
            return
        tool = self._tool(viewer)
        mode = "pan_zoom" if tool is None else str(tool.mode)
        painting = tool is not None and tool is self._layers.mask and mode in _PAINTING
        if button == _LEFT and tuple(event.modifiers) == ("Control",) and painting and mode in ("paint", "fill"):
            instead = "erase"
        elif button in (_RIGHT, _MIDDLE) or (painting and event.modifiers):
            instead = "pan_zoom"
        else:
            return
        if mode != "pan_zoom":
            tool.mode = instead
        event.handled = True
        drag = self._window_drag(viewer) if button == _RIGHT else self._pan_drag(viewer)
        next(drag)
        last = np.array(event.pos, dtype=float)
        # Nobody reads values while the hand changes the window: napari's status line rests. Each line that it writes
        # has the whole window put together once more, which takes as long as drawing the slice.
        with viewer.cursor.events.position.blocker() if button == _RIGHT else contextlib.nullcontext():
            yield
            while True:  # the release counts as well: quick moves are told late or not at all
                event.handled = True
                here = np.array(event.pos, dtype=float)
                if button in (_RIGHT, _MIDDLE):
                    drag.send(here - last)
                last = here
                if event.type != "mouse_move":
                    break
                yield
        if mode != "pan_zoom" and tool in self._viewer.layers:
            tool.mode = mode

    def _tool(self, viewer: Any) -> Any:
        """Return the layer whose tool a press would reach: the active one. Nothing is drawn in further views."""
        return viewer.layers.selection.active if self._views.is_main(viewer) else None

    def _window_drag(self, viewer: Any) -> Generator[None, Any, None]:
        layer = self.layer_under(viewer) or self.windowing.layer
        while True:
            across, down = yield
            if layer is not None:
                self.windowing.drag(layer, across, down)

    @staticmethod
    def _pan_drag(viewer: Any) -> Generator[None, Any, None]:
        while True:
            dx, dy = yield
            camera = viewer.scene.camera
            across = -dx if camera.orientation2d[1] == "left" else dx
            centre = np.array(camera.center, dtype=float)
            centre[-2:] -= np.array([dy, across]) / camera.zoom
            camera.center = tuple(centre)
