"""The near side of the boundary: a queue of jobs for one engine process, started and ended as needed.

Jobs run one at a time: a click before a run before a prefetch, and a prefetch gives way to anything else.  Whatever
happens to the process becomes the last event of the job it was doing; the next job finds a fresh process.
"""

from __future__ import annotations

import atexit
import itertools
import queue
import threading
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from napari_medcnn import errors
from napari_medcnn.core.events import Cancel, Event, Events, Failed, Progress, Result
from napari_medcnn.errors import Cancelled, EngineError, InputError, MedcnnError
from napari_medcnn.worker.arrays import Exchange
from napari_medcnn.worker.child import Child, Launch
from napari_medcnn.worker.protocol import Reply, Request

__all__ = ["Engine", "Launch", "Priority", "State"]

State = Literal["off", "starting", "ready", "busy", "crashed"]
#: A job that was asked to stop has this long before its process is killed.
KILL_SECONDS = 2.0
_BEAT_SECONDS = 0.1
_HELLO = 0


class Priority(IntEnum):
    """Who waits for it: a click is answered first, a prefetch only while nobody waits."""

    CLICK = 0
    RUN = 1
    PREFETCH = 2


@dataclass(eq=False)
class _Job:
    request: Request
    priority: Priority
    events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    cancelled: bool = False
    done: bool = False

    def end(self, event: Result | Failed) -> None:
        if not self.done:
            self.done = True
            self.events.put(event)


class Engine:
    """The engine process as the rest of the program sees it; every method may be called from any thread.

    Parameters
    ----------
    launch
        Interpreter, module and environment; read when a process is started.
    """

    def __init__(self, launch: Launch | None = None) -> None:
        self.launch = launch or Launch()
        self.exchange = Exchange()
        self.hello: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._ids = itertools.count(_HELLO + 1)
        self._waiting: list[_Job] = []
        self._active: _Job | None = None
        self._child: Child | None = None
        self._starting = False
        self._launches = 0  # a release while a process is being started makes that start void
        self._ready = False
        self._crashed = False
        self._closed = False
        self._log = ""
        self._idle: threading.Timer | None = None
        self._late: threading.Timer | None = None
        atexit.register(self.close)

    @property
    def state(self) -> State:
        """What the process does: "off", "starting", "ready", "busy", or "crashed" until the next start."""
        with self._lock:
            if self._child is None and not self._starting:
                return "crashed" if self._crashed else "off"
            if not self._ready:
                return "starting"
            return "busy" if self._active is not None else "ready"

    @property
    def log(self) -> str:
        """Last lines the process wrote, also after its end."""
        with self._lock:
            return self._child.log if self._child is not None else self._log

    @property
    def pid(self) -> int | None:
        """Number of the process, None while there is none."""
        with self._lock:
            return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start the process in the background unless it runs; failures show in `state` and in the next job."""
        with self._lock:
            if self._child is not None or self._starting or self._closed:
                return
            self._starting, self._ready, self._crashed = True, False, False
            self._launches += 1
            number = self._launches
        threading.Thread(target=self._launch, args=(number,), name="engine start", daemon=True).start()

    def run(self, verb: str, body: dict[str, Any], cancel: Cancel, priority: Priority = Priority.RUN) -> Events:
        """Have the engine do something.

        Yields `Progress` at least four times a second, then one `Result` (the reply's body) or `Failed`.  Setting
        `cancel`, or closing the generator, stops the work: by message, then by ending the process after two seconds.
        """
        job = _Job(Request(next(self._ids), verb, body), priority)
        last = Progress(None, "Waiting for the engine")
        try:
            self._submit(job)
            while True:
                if cancel.is_set():
                    self._cancel(job)
                try:
                    event = job.events.get(timeout=_BEAT_SECONDS)
                except queue.Empty:
                    yield last
                    continue
                if isinstance(event, Progress):
                    last = event
                yield event
                if not isinstance(event, Progress):
                    return
        finally:
            self._cancel(job)  # nothing to do for finished work

    def release(self) -> None:
        """End the process in the background, which gives all its memory back; jobs are cancelled."""
        child = self._detach(Cancelled("Cancelled: the engine was released."))
        if child is not None:
            threading.Thread(target=child.end, name="engine release", daemon=True).start()

    def close(self) -> None:
        """End the process, wait for its end, and remove the exchange folder; the engine cannot be used afterwards."""
        with self._lock:
            self._closed = True
        child = self._detach(Cancelled("Cancelled: the program ends."))
        if child is not None:
            child.end()
        self.exchange.close()
        atexit.unregister(self.close)

    # -- the queue ------------------------------------------------------------------------------------------------

    def _submit(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                job.end(Failed(EngineError("The engine was closed; open the dock again.", state="not started")))
                return
            if job.priority is not Priority.PREFETCH:
                for other in [*self._waiting, *([self._active] if self._active else [])]:
                    if other.priority is Priority.PREFETCH:
                        self._cancel(other)
            self._stop_idle()
            self._waiting.append(job)
            self._waiting.sort(key=lambda waiting: (waiting.priority, waiting.request.id))
            self._pump()

    def _pump(self) -> None:
        """Hand the next job to an idle process; start one if there is none.  Called with the lock held."""
        if self._active is None and self._waiting and self._child is None:
            self.start()
        while self._ready and self._child is not None and self._active is None and self._waiting:
            job = self._waiting.pop(0)
            try:
                self._child.send(job.request)
            except (ValueError, TypeError) as error:
                job.end(Failed(InputError(f"request: expected plain numbers and words ({error})")))
                continue
            except EngineError as error:
                job.end(Failed(error))
                continue
            self._active = job
        if self._ready and self._active is None and self._idle is None:
            self._start_idle()

    def _cancel(self, job: _Job) -> None:
        with self._lock:
            if job.done or job.cancelled:
                return
            job.cancelled = True
            if job is not self._active:
                if job in self._waiting:
                    self._waiting.remove(job)
                job.end(Failed(Cancelled("Cancelled.")))
                return
            child = self._child
            if child is not None:
                child.send(Request(next(self._ids), "cancel", {"id": job.request.id}))
                timer = threading.Timer(KILL_SECONDS, self._kill_if_still, (child, job))
                timer.daemon = True
                timer.start()

    def _kill_if_still(self, child: Child, job: _Job) -> None:
        with self._lock:
            if self._active is not job or self._child is not child:
                return
        child.kill()

    def _finish(self, event: Result | Failed) -> None:
        """End the active job and go on.  Called with the lock held."""
        job, self._active = self._active, None
        if job is not None:
            job.end(Failed(Cancelled("Cancelled.")) if job.cancelled else event)
        self._pump()

    # -- the process ----------------------------------------------------------------------------------------------

    def _launch(self, number: int) -> None:
        try:
            child = Child(self.launch, self._on_reply, self._on_exit)
        except EngineError as error:
            with self._lock:
                if number == self._launches and self._starting:
                    self._starting, self._crashed = False, True
                    self._fail_waiting(error)
            return
        with self._lock:
            wanted = number == self._launches and self._starting
            if wanted:
                self._starting, self._child = False, child
                child.send(Request(_HELLO, "hello"))
                self._late = threading.Timer(self.launch.start_seconds, self._start_too_long, (child,))
                self._late.daemon = True
                self._late.start()
        if not wanted:
            child.end()

    def _start_too_long(self, child: Child) -> None:
        with self._lock:
            late = self._child is child and not self._ready
        if late:
            child.kill()

    def _on_reply(self, child: Child, reply: Reply) -> None:
        with self._lock:
            if child is not self._child:
                return
            if reply.id == _HELLO and not self._ready:
                if reply.kind == "failed":
                    self._fail_waiting(_error_of(reply, child.log))
                    self.release()
                elif reply.kind == "result":
                    self.hello, self._ready = dict(reply.body), True
                    self._stop_late()
                    self._pump()
                return
            job = self._active
            if job is None or reply.id != job.request.id:
                return  # an answer nobody waits for any more
            if reply.kind == "progress":
                fraction = reply.body.get("fraction")
                if not job.cancelled:
                    words, expected = str(reply.body.get("message", "")), reply.body.get("expected")
                    job.events.put(Progress(fraction, words, expected=expected))
            elif reply.kind == "result":
                self._finish(Result(reply.body))
            else:
                self._finish(Failed(_error_of(reply, child.log)))

    def _on_exit(self, child: Child, code: int) -> None:
        with self._lock:
            if child is not self._child:
                return
            self._log, self._child = child.log, None
            was_ready, self._ready = self._ready, False
            self._stop_idle()
            self._stop_late()
            asked_for = self._active is not None and self._active.cancelled
            self._crashed = not asked_for
            if not was_ready:
                self._fail_waiting(_start_error(code, child.log, self.launch))
                return
            self._finish(Failed(_exit_error(code, child.log)))
            if asked_for:
                self.start()  # the user cancelled; the next run should find a warm engine

    def _fail_waiting(self, error: MedcnnError) -> None:
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            job.end(Failed(error))

    def _detach(self, reason: Cancelled) -> Child | None:
        """Forget the process and end every job with `reason`; the caller ends the process."""
        with self._lock:
            self._stop_idle()
            self._stop_late()
            child, self._child = self._child, None
            if child is not None:
                self._log = child.log
            self._starting = self._ready = self._crashed = False
            job, self._active = self._active, None
            if job is not None:
                job.end(Failed(reason))
            self._fail_waiting(reason)
            return child

    def _start_idle(self) -> None:
        if self.launch.idle_minutes > 0:
            self._idle = threading.Timer(self.launch.idle_minutes * 60.0, self._end_idle)
            self._idle.daemon = True
            self._idle.start()

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _stop_late(self) -> None:
        if self._late is not None:
            self._late.cancel()  # else it holds this engine until its time is over
            self._late = None

    def _end_idle(self) -> None:
        with self._lock:
            # a job may have come in between the timer's end and this lock
            if self._idle is threading.current_thread() and self._active is None and not self._waiting:
                self.release()


def _error_of(reply: Reply, log: str) -> MedcnnError:
    """Turn a failed reply into the error it names; unknown names become `EngineError`."""
    message = str(reply.body.get("message", "The engine failed without saying why."))
    kind = getattr(errors, str(reply.body.get("error")), EngineError)
    if not (isinstance(kind, type) and issubclass(kind, MedcnnError)) or issubclass(kind, EngineError):
        return EngineError(message, state=str(reply.body.get("state", "failed")), stderr_tail=_tail(log))
    return kind(message)


def _exit_error(code: int, log: str) -> EngineError:
    again = "The next run starts a new one."
    if code == -9:  # SIGKILL: not ours, or the job would count as cancelled
        message = f"The engine was killed, most often because the computer ran out of memory. {again}"
        return EngineError(message, "killed", code, _tail(log))
    return EngineError(f"The engine crashed ({_status(code)}). {again}", "crashed", code, _tail(log))


def _start_error(code: int, log: str, launch: Launch) -> EngineError:
    lines = [line for line in log.splitlines() if line.strip()]
    reason = f": {lines[-1][:200]}" if lines else ""
    message = f"The engine did not start ({_status(code)}){reason}. Its Python is {launch.interpreter}."
    return EngineError(message, "not started", code, _tail(log))


def _status(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-20:])
