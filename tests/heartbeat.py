"""How long a window stood still; tests and benchmarks measure it alike."""

from __future__ import annotations

import time

from qtpy.QtCore import QTimer


class Heartbeat:
    """The longest time between two beats of a 5 ms timer: how long the event loop stood still."""

    def __init__(self) -> None:
        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(5)
        self._timer.timeout.connect(self.beat)
        self._timer.start()

    def beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now

    def stop(self) -> float:
        self.beat()
        self._timer.stop()
        return self.longest
