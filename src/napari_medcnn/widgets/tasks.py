"""Runs the events of a verb in a thread, so that the window never waits.

Three traps of generator workers are handled here and nowhere else: a ``RuntimeError`` inside one ends without any
signal, stopping one does not close its generator, and errors are raised again inside a Qt slot, where some bindings
abort the process.  So every error becomes a `Failed` event before the worker sees it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from typing import Any

from napari.qt.threading import GeneratorWorker
from qtpy.QtCore import QObject, QThreadPool, Signal

from napari_medcnn.core.events import Cancel, Event, Events, Failed, Preview, Progress, Result
from napari_medcnn.errors import Cancelled, MedcnnError
from napari_medcnn.widgets.busy_note import BusyNote

#: Threads that a pool has at least.
ROOM = 32
#: Builds the events of a verb when the thread starts; looks at the flag to stop.
Work = Callable[[Cancel], Events]


def in_words(error: BaseException) -> str:
    """Return an error as one line for people; what is not ours is named, because it is a fault of the program."""
    if isinstance(error, MedcnnError):
        return str(error)
    return f"Something went wrong inside the program ({type(error).__name__}: {str(error)[:200]}); please report this."


def guarded(work: Work, cancel: Cancel) -> Generator[Event, None, None]:
    """Yield the events of `work`, at most one `Result` or `Failed` last; never raises, and closes what it opened."""
    events: Events | None = None
    try:
        events = work(cancel)
        for event in events:
            yield event
            if isinstance(event, Result | Failed):
                return
        yield Failed(MedcnnError("The work ended without a result; please report this."))
    except MedcnnError as error:
        yield Failed(error)
    except Exception as error:  # noqa: BLE001 - above all RuntimeError: the worker would swallow it, busy for ever
        yield Failed(MedcnnError(in_words(error)))
    finally:
        if events is not None:
            events.close()


class Task(QObject):
    """One piece of work in a thread.

    Signals arrive in the window's thread: `progressed` (Progress) and `previewed` (the
    value of a Preview), then exactly one of `succeeded` (the value),
    `failed` (MedcnnError) or `cancelled`, then `ended`.  After `drop` none arrives any more.
    """

    progressed = Signal(object)
    previewed = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    ended = Signal()

    def __init__(self, name: str, work: Work, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.cancel_flag: Cancel = threading.Event()
        self.running = True
        self._dropped = False
        self._events = events = guarded(work, self.cancel_flag)

        # Nothing of the task in here: superqt puts a worker into `warnings.showwarning`, and where two workers overlap
        # it stays there for good; what it holds would never be let go, the window included.
        def pump() -> Generator[Event, None, None]:
            yield from events

        self._worker = GeneratorWorker(pump)
        self._worker.yielded.connect(self._on_event)
        self._worker.aborted.connect(self._on_abort)
        self._worker.finished.connect(self._on_finished)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def cancel(self) -> None:
        """Ask the work to stop; it answers with `cancelled`."""
        self.cancel_flag.set()

    def drop(self) -> None:
        """Stop the work and hear nothing more of it (the window is closing)."""
        self._dropped = True
        self.cancel_flag.set()
        self._worker.quit()

    def let_go(self) -> None:
        """Forget who listened: Qt would keep them, and through them the window, until the task is deleted."""
        for signal in (self.progressed, self.previewed, self.succeeded, self.failed, self.cancelled):
            with contextlib.suppress(TypeError, RuntimeError):  # nobody listened, or it is deleted already
                signal.disconnect()

    def _on_event(self, event: Event) -> None:
        if self._dropped or not self.running:
            return
        if isinstance(event, Progress):
            self.progressed.emit(event)
            return
        if isinstance(event, Preview):
            self.previewed.emit(event.value)
            return
        self.running = False
        if isinstance(event, Result):
            self.succeeded.emit(event.value)
        elif isinstance(event.error, Cancelled):
            self.cancelled.emit()
        else:
            self.failed.emit(event.error)
        self.ended.emit()

    def _on_abort(self) -> None:
        """The window asked the thread to quit: the generator is suspended and must be closed by hand."""
        self.cancel_flag.set()
        self._events.close()

    def _on_finished(self) -> None:
        if self._dropped:
            self.deleteLater()
        elif self.running:
            self.running = False
            self.cancelled.emit()
            self.ended.emit()


class Tasks(QObject):
    """The tasks of one dock: names who is busy, and drops everything when the dock goes."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._running: dict[str, Task] = {}
        _leave_room()
        #: Names of what runs and would be missed if the window were closed.
        self._missed: set[str] = set()
        self._note = BusyNote()

    def start(
        self,
        name: str,
        work: Work,
        succeeded: Callable[[Any], None],
        failed: Callable[[MedcnnError], None],
        progressed: Callable[[Progress], None] | None = None,
    ) -> Task:
        """Start `work`; another task of the same name is dropped first, so a late answer never arrives."""
        task = self.start_aside(name, work, succeeded, failed, progressed)
        if self._running.get(name) is task:
            self._missed.add(name)
            self._tell()
        return task

    def start_aside(
        self,
        name: str,
        work: Work,
        succeeded: Callable[[Any], None],
        failed: Callable[[MedcnnError], None],
        progressed: Callable[[Progress], None] | None = None,
    ) -> Task:
        """Start work that nobody misses when the window is closed: napari does not ask about it."""
        task = Task(name, work, self)
        self.drop(name)
        task.succeeded.connect(succeeded)
        task.failed.connect(failed)
        if progressed is not None:
            task.progressed.connect(progressed)
        self._running[name] = task
        task.ended.connect(lambda: self._forget(name, task))
        task.start()
        self.changed.emit()
        return task

    def running(self, name: str) -> Task | None:
        """Return the task of that name while it runs."""
        return self._running.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of what runs."""
        return tuple(self._running)

    def drop(self, name: str) -> None:
        """Stop the task of that name and hear nothing more of it."""
        task = self._running.pop(name, None)
        if task is not None:
            task.drop()
            task.let_go()
            self._tell()
            self.changed.emit()

    def close(self) -> None:
        """Drop everything."""
        for name in tuple(self._running):
            self.drop(name)
        self._note.close()

    def _tell(self) -> None:
        """Tell napari what it should ask about before it closes the window."""
        self._missed &= set(self._running)
        self._note.tell(tuple(name for name in self._running if name in self._missed))

    def _forget(self, name: str, task: Task) -> None:
        if self._running.get(name) is task:
            del self._running[name]
            self._tell()
            self.changed.emit()
        task.let_go()
        task.deleteLater()


def _leave_room() -> None:
    """Let Qt have threads of its own pool beside the tasks in it.

    Qt 5 converts a large picture in that pool while the window's thread holds Python's lock. With one thread a core,
    two tasks that wait for the lock left it none, and the window stood still for ever.
    """
    pool = QThreadPool.globalInstance()
    if pool is not None:
        pool.setMaxThreadCount(max(pool.maxThreadCount(), ROOM))
