"""Lets napari ask before a window is closed in which work goes on, and leaves nothing behind with every piece of it.

Napari asks about the workers of its `create_worker`, and for that keeps each of them until the window closes, done or
not: 15 KB and 32 objects a task, several tasks a case.  So one worker stands for all work of a dock.  It is never
started; its own signals tell napari that work began and that all of it ended.
"""

from __future__ import annotations

import contextlib
from typing import Any

from napari import current_viewer
from napari.qt.threading import create_worker


class _Stands:
    """What napari calls the work by, at the moment it is told of it; it is never called."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()

    def __call__(self) -> None:
        """Do nothing."""

    def __str__(self) -> str:
        return ", ".join(self.names) or "work of MedCNN"


class BusyNote:
    """What the work of one dock is called while it runs."""

    def __init__(self) -> None:
        self._stands = _Stands()
        #: By the window that is asked about it: the one in front when the work began, as napari has it.
        self._workers: dict[int, Any] = {}
        self._told: Any = None

    def tell(self, names: tuple[str, ...]) -> None:
        """Say what runs now; with nothing, napari does not ask."""
        before, self._stands.names = self._stands.names, names
        if names and names != before:
            worker = self._worker()
            if self._told is not None and self._told is not worker:
                self._told.finished.emit()
            self._told = worker
            worker.started.emit()
        elif not names and self._told is not None:
            self._told.finished.emit()
            self._told = None

    def close(self) -> None:
        """Nothing runs any more; let go of the windows."""
        self.tell(())
        for worker in self._workers.values():
            for signal in (worker.started, worker.finished, worker.errored):
                with contextlib.suppress(TypeError, RuntimeError):  # there was no window, nobody listens
                    signal.disconnect()
        self._workers.clear()

    def _worker(self) -> Any:
        viewer = current_viewer()
        if id(viewer) not in self._workers:  # its worker keeps the viewer, so the number stays its own
            # napari's word for what it takes is a function; all that can be called are taken
            self._workers[id(viewer)] = create_worker(self._stands, _start_thread=False, _ignore_errors=True)
        return self._workers[id(viewer)]
