"""Moving through a scan and its brightness: what keys, wheel and right-drag do, whichever layer is selected."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.layers import Layers

#: Name, level and width in HU of the usual windows of CT, in the order of keys 1 to 5.
CT_WINDOWS: tuple[tuple[str, float, float], ...] = (
    ("Soft tissue", 40.0, 400.0),
    ("Lung", -600.0, 1500.0),
    ("Bone", 400.0, 1800.0),
    ("Brain", 40.0, 80.0),
    ("Liver", 80.0, 150.0),
)
_ZOOM_STEP = 1.15
_LEFT, _RIGHT, _MIDDLE = 1, 2, 3


class Viewing:
    """Slices, window and level, overlays of the open scan.

    Parameters
    ----------
    viewer, layers
        Where to look, and which layers are ours.
    """

    def __init__(self, viewer: Any, layers: Layers) -> None:
        self._viewer = viewer
        self._layers = layers
        self.wheel_moves_slices = True
        #: Further display windows that the file of the open scan offers, as (name, low, high).
        self.file_windows: tuple[tuple[str, float, float], ...] = ()
        self._first_window: tuple[float, float] | None = None
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
        """Go `steps` slices on, stopping at the ends."""
        self._step(self.slice_axis, steps)

    def move_time(self, steps: int) -> None:
        """Go `steps` time points on."""
        self._step(self.time_axis, steps)

    def go_to_end(self, last: bool) -> None:
        """Show the first or the last slice."""
        axis = self.slice_axis
        if axis is not None:
            self._step(axis, 10**9 if last else -(10**9))

    def show_slice(self, point: tuple[float, ...]) -> None:
        """Show the place of an undone stroke (world coordinates of the viewer)."""
        if len(point) == self._viewer.dims.ndim:
            self._viewer.dims.point = point

    def _step(self, axis: int | None, steps: int) -> None:
        if axis is None:
            return
        dims = self._viewer.dims
        last = int(dims.nsteps[axis]) - 1
        dims.set_current_step(axis, int(np.clip(dims.current_step[axis] + steps, 0, max(0, last))))

    # ---- brightness ----------------------------------------------------------------------------------------------

    def presets(self) -> tuple[tuple[str, float, float], ...]:
        """Return (name, low, high) of the windows for this scan; empty for colour pictures."""
        scan = self._layers.scan
        if scan is None or scan.rgb:
            return ()
        info = scan.metadata[KEY]
        if info.get("value_unit") == "HU":
            usual = tuple((name, level - width / 2, level + width / 2) for name, level, width in CT_WINDOWS)
            return (*usual, *self.file_windows)
        low, high = info["range"]
        return (("All values", low, high), *self.file_windows)

    def remember_window(self) -> None:
        """Note the window with which the scan came: preset 0 goes back to it."""
        scan = self._layers.scan
        self._first_window = None if scan is None or scan.rgb else tuple(scan.contrast_limits)

    def use_preset(self, number: int) -> None:
        """Use preset 1, 2, ...; 0 is the window the scan came with.  Numbers without a preset do nothing."""
        if number == 0 and self._first_window is not None:
            self.set_window(*self._first_window)
        elif 1 <= number <= len(self.presets()):
            _, low, high = self.presets()[number - 1]
            self.set_window(low, high)

    def set_window(self, low: float, high: float) -> None:
        """Show values from `low` (black) to `high` (white)."""
        scan = self._layers.scan
        if scan is None or scan.rgb or not low < high:
            return
        reach_low, reach_high = scan.contrast_limits_range
        scan.contrast_limits_range = (min(low, reach_low), max(high, reach_high))
        scan.contrast_limits = (low, high)

    def invert(self) -> None:
        """Swap black and white of the scan."""
        scan = self._layers.scan
        if scan is not None and not scan.rgb:
            scan.colormap = "gray" if scan.colormap.name == "gray_r" else "gray_r"

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
        if self._layers.scan is None:
            return
        turns = float(event.delta[1])
        if "Control" in event.modifiers:
            viewer.scene.camera.zoom *= _ZOOM_STEP**turns
            event.handled = True
        elif not event.modifiers and self.wheel_moves_slices and self.slice_axis is not None:
            self.move(-1 if turns > 0 else 1)
            event.handled = True

    def on_drag(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        """Right: window and level. Middle: pan. Ctrl+left in a painting tool: erase. None of them paints.

        The mask's tool is put aside before napari hands the press to the layer, and comes back after the release.
        """
        mask: Any = self._layers.mask
        mode = str(mask.mode) if mask is not None else "pan_zoom"
        painting = mode in ("paint", "erase", "fill", "polygon", "pick")
        button = event.button
        if button == _LEFT and "Control" in event.modifiers and mode in ("paint", "fill"):
            instead: str | None = "erase"
        elif button in (_RIGHT, _MIDDLE) or (painting and event.modifiers):
            instead = "pan_zoom"
        else:
            return
        paused: Any = mask if painting else None
        if paused is not None:
            paused.mode = instead
        event.handled = True
        drag = self._window_drag() if button == _RIGHT else self._pan_drag()
        next(drag)
        last = np.array(event.pos, dtype=float)
        yield
        while event.type == "mouse_move":
            event.handled = True
            here = np.array(event.pos, dtype=float)
            if button in (_RIGHT, _MIDDLE):
                drag.send(here - last)
            last = here
            yield
        event.handled = True
        if paused is not None and self._layers.is_ours(paused):
            paused.mode = mode

    def _window_drag(self) -> Generator[None, Any, None]:
        """Right is wider, up is brighter, as in radiology viewers: the level falls."""
        while True:
            dx, dy = yield
            scan = self._layers.scan
            if scan is None or scan.rgb:
                continue
            low, high = scan.contrast_limits
            reach = scan.contrast_limits_range
            unit = max((reach[1] - reach[0]) / 1000, 1e-9)
            width = max(high - low + dx * unit, unit)
            level = (low + high) / 2 + dy * unit
            self.set_window(level - width / 2, level + width / 2)

    def _pan_drag(self) -> Generator[None, Any, None]:
        while True:
            dx, dy = yield
            camera = self._viewer.scene.camera
            centre = np.array(camera.center, dtype=float)
            centre[-2:] -= np.array([dy, dx]) / camera.zoom
            camera.center = tuple(centre)
