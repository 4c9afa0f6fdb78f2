"""Cine: time points, or slices where there is no time, one after the other; and the slider of time in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QLabel, QWidget

from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.number_field import NumberField
from napari_medcnn.widgets.parts import button, column, row
from napari_medcnn.widgets.scan_tab import moves
from napari_medcnn.widgets.wording import frame_words

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_LEAST_PER_SECOND, _FIRST_PER_SECOND, _MOST_PER_SECOND = 0.1, 10.0, 60.0
_STEPS = {"b": "b-values", "TE": "echoes", "echo": "echoes", "TI": "inversion times"}
#: The window always has this long to draw and to hear before the next picture, in ms.
_REST_MS = 5


class CineRow(QWidget):
    """Play, and how fast."""

    def __init__(self, played: Callable[[], Any]) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.play = button("Play", played)
        self.play.setCheckable(True)
        self.speed = NumberField("Pictures per second", low=_LEAST_PER_SECOND, high=_MOST_PER_SECOND)
        self.speed.setMaximumWidth(60)
        self.what = QLabel()
        layout.addLayout(row(self.play, self.speed, self.what, stretch=True))

    def show_cine(self, running: bool, speed: float, what: str) -> None:
        """Show whether it runs, how fast and over what."""
        self.play.setChecked(running)
        self.play.setText("Stop" if running else "Play")
        self.play.setToolTip("Stop (Esc)" if running else f"Show the {what} one after the other, over and over")
        self.speed.show_number(speed)
        self.what.setText(f"{what} per second")


class Cine(QObject):
    """Plays the scan of one dock; what is seen follows the clock, so a slow computer skips pictures.

    Parameters
    ----------
    dock
        Whose scan is played; another scan, Esc and closing end it.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock = dock
        self.per_second = _FIRST_PER_SECOND
        self.running = False
        self._began, self._first, self._axis = 0.0, 0, 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self.row = CineRow(self.toggle)
        dock.scan.add_section("Cine", self.row, opened=True, fits=moves)
        self.row.speed.typed.connect(self._set_speed)
        self.row.speed.refused.connect(dock.showing.on_failed)
        dock.session.scan_changed.connect(self._on_scan)
        events = dock.viewer.dims.events
        # napari writes its own names again whenever a layer comes or goes
        for emitter in (events.current_step, events.axis_labels):
            emitter.connect(self._name_slider)
        events.order.connect(self._on_order)
        self._on_scan()

    def actions(self) -> dict[str, Callable[..., Any]]:
        """No key of its own."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what a saved reading keeps: how fast it plays."""
        return {"per_second": float(self.per_second)}

    def restore(self, kept: dict[str, Any]) -> None:
        """Take the speed of a saved reading; it does not begin to play."""
        per_second = float(kept["per_second"])
        if not _LEAST_PER_SECOND <= per_second <= _MOST_PER_SECOND:
            raise ValueError("speed")
        self._set_speed(per_second)

    def cancel(self) -> None:
        """Esc ends it."""
        self.stop()

    def close(self) -> None:
        """End it and let go of the viewer."""
        self.stop()
        events = self._dock.viewer.dims.events
        for emitter in (events.current_step, events.axis_labels):
            emitter.disconnect(self._name_slider)
        events.order.disconnect(self._on_order)

    # ---- playing ---------------------------------------------------------------------------------------------------

    @property
    def axis(self) -> int | None:
        """The slider that is played: time points, echoes or b-values, else slices; None where nothing moves."""
        viewing, dims = self._dock.viewing, self._dock.viewer.dims
        for axis in (viewing.time_axis, viewing.slice_axis):
            if axis is not None and axis < dims.ndim and axis in dims.not_displayed and dims.nsteps[axis] > 1:
                return int(axis)
        return None

    def toggle(self) -> None:
        """Play or stop."""
        self.stop() if self.running else self.start()

    def start(self) -> None:
        """Play from what is seen."""
        axis = self.axis
        self.running = axis is not None
        if axis is not None:
            self._begin_at_what_is_seen(axis)
            self._timer.start(round(1000 / self.per_second))
        self._show()

    def stop(self) -> None:
        """Stay at what is seen."""
        self._timer.stop()
        self.running = False
        self._show()

    def _begin_at_what_is_seen(self, axis: int) -> None:
        self._axis, self._began = axis, time.monotonic()
        self._first = int(self._dock.viewer.dims.current_step[axis])

    def _tick(self) -> None:
        """Show the picture whose time it is; the next tick waits until this one is drawn, so they never pile up."""
        axis, dims = self.axis, self._dock.viewer.dims
        if axis is None or axis != self._axis:
            self.stop()
            return
        gone = int((time.monotonic() - self._began) * self.per_second)
        dims.set_current_step(axis, (self._first + gone) % int(dims.nsteps[axis]))
        next_at = self._began + (gone + 1) / self.per_second
        self._timer.start(max(_REST_MS, round(1000 * (next_at - time.monotonic()))))

    def _set_speed(self, per_second: float) -> None:
        self.per_second = per_second
        if self.running:
            self._begin_at_what_is_seen(self._axis)
        self._show()

    def _on_scan(self) -> None:
        self.stop()
        self._name_slider()

    def _on_order(self, _event: Any = None) -> None:
        """Another plane: its slices are played, or nothing is left to play."""
        if self.running and self.axis != self._axis:
            self.stop()
        self._show()

    def _show(self) -> None:
        self.row.setEnabled(self.axis is not None)
        self.row.show_cine(self.running, self.per_second, self._plural())

    def _plural(self) -> str:
        scan = self._dock.session.scan
        if scan is None or self._dock.viewing.time_axis is None:
            return "slices"
        return _STEPS.get(scan.frame_name, "time points")

    # ---- the slider of time ------------------------------------------------------------------------------------------

    def _name_slider(self, _event: Any = None) -> None:
        """Write the value and unit before napari's slider, which itself counts from 0."""
        scan, dims = self._dock.session.scan, self._dock.viewer.dims
        layer = self._dock.layers.scan
        if scan is None or layer is None or not str(layer.metadata[KEY].get("axes", "")).startswith("t"):
            return
        words = frame_words(scan, self._dock.frame) or "time point"
        if dims.axis_labels[0] != words:
            dims.set_axis_label(0, words)
