"""The engine's side of the boundary: answers requests one by one, and ends when the other side is gone.

Frames travel on private copies of stdin and stdout.  Right at the start fd 1 is pointed at fd 2, so whatever a model,
a library or a stray ``print`` writes goes to the log and can never break a frame.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from napari_medcnn.errors import Cancelled, EngineError, MedcnnError
from napari_medcnn.worker.protocol import PROTOCOL_VERSION, Reply, Request, receive, send

#: Least seconds between two progress messages of a job.
PROGRESS_SECONDS = 0.2
#: Names of the classes with which libraries say that memory is short (TensorFlow, PyTorch, CuPy).
OUT_OF_MEMORY = frozenset({"ResourceExhaustedError", "OutOfMemoryError"})
_log = logging.getLogger(__name__)


class Context:
    """What a handler may do besides its work: report and look whether it is still wanted."""

    def __init__(self, request_id: int, reply: Callable[[Reply], None]) -> None:
        self.cancelled = threading.Event()
        self._id = request_id
        self._reply = reply
        self._last = 0.0

    def progress(self, fraction: float | None, message: str) -> None:
        """Report how far the work is, 0 to 1 or None; at most a few a second are sent, the rest are dropped.

        Raises
        ------
        Cancelled
            The work is not wanted any more.
        """
        self.check_cancel()
        now = time.monotonic()
        if now - self._last >= PROGRESS_SECONDS:
            self._last = now
            share = None if fraction is None else min(max(float(fraction), 0.0), 1.0)
            self._reply(Reply(self._id, "progress", {"fraction": share, "message": message}))

    def expect(self, seconds: float, message: str) -> None:
        """Say about how long all of the work takes; never dropped."""
        body = {"fraction": None, "message": message, "expected": seconds}
        self._reply(Reply(self._id, "progress", body))

    def check_cancel(self) -> None:
        """Raise `Cancelled` if the work is not wanted any more; call it at least every half second of work."""
        if self.cancelled.is_set():
            raise Cancelled("Cancelled.")


Handler = Callable[[dict[str, Any], Context], dict[str, Any]]


def serve(handlers: Mapping[str, Handler]) -> None:
    """Take over stdin and stdout and answer requests until stdin ends; then this process ends at once.

    Parameters
    ----------
    handlers
        Verb -> function of (body, context) that returns the body of the result.  "cancel" is answered here, and so is
        "hello" unless the handlers have their own.
    """
    requests, replies = _private_pipes()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    _Server(handlers, requests, replies).run()


class _Server:
    def __init__(self, handlers: Mapping[str, Handler], requests: BinaryIO, replies: BinaryIO) -> None:
        self._handlers: dict[str, Handler] = {"hello": _hello, **handlers}
        self._requests = requests
        self._replies = replies
        self._sending = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[Request, Context]] = queue.SimpleQueue()
        self._contexts: dict[int, Context] = {}

    def run(self) -> None:
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while True:
            request, context = self._waiting.get()
            self._reply(self._answer(request, context))
            self._contexts.pop(request.id, None)

    def _listen(self) -> None:
        """Read requests while a job runs; the end of the stream means that nobody waits for us any more."""
        try:
            while (message := receive(self._requests)) is not None:
                if not isinstance(message, Request):
                    continue
                if message.verb == "cancel":
                    context = self._contexts.get(int(message.body.get("id", -1)))
                    if context is not None:
                        context.cancelled.set()
                else:
                    context = self._contexts[message.id] = Context(message.id, self._reply)
                    self._waiting.put((message, context))
        except (EngineError, OSError, ValueError):
            traceback.print_exc()
        # even in the middle of a forward pass; nothing here outlives the process that asked for it
        os._exit(0)

    def _answer(self, request: Request, context: Context) -> Reply:
        started = time.monotonic()
        _log.info("job %d %s started", request.id, request.verb)
        try:
            context.check_cancel()
            handler = self._handlers.get(request.verb)
            if handler is None:
                raise EngineError(
                    f"The engine does not know {request.verb!r}; update napari-medcnn in its environment."
                )
            reply = Reply(request.id, "result", handler(request.body, context))
        except Exception as error:  # noqa: BLE001 - the boundary: nothing may cross it but a named failure
            reply = Reply(request.id, "failed", failure(error, request.verb))
            if not isinstance(error, Cancelled):
                traceback.print_exc()
        outcome = reply.body.get("error", "done")
        _log.info("job %d %s: %s after %.2f s", request.id, request.verb, outcome, time.monotonic() - started)
        return reply

    def _reply(self, reply: Reply) -> None:
        with self._sending:
            try:
                send(self._replies, reply)
            except (ValueError, TypeError) as error:  # not JSON, or a number that is not one
                traceback.print_exc()
                message = f"The engine's answer holds something that is no number ({error})."
                send(self._replies, Reply(reply.id, "failed", {"error": "ModelError", "message": message}))
            except BrokenPipeError:
                os._exit(0)


def failure(error: Exception, verb: str) -> dict[str, Any]:
    """Return the body of a failed reply: our own errors as they are, all others named in plain words."""
    if isinstance(error, EngineError):
        return {"error": "EngineError", "message": str(error), "state": error.state}
    if isinstance(error, MedcnnError):
        return {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, MemoryError) or type(error).__name__ in OUT_OF_MEMORY:
        message = "The engine ran out of memory; close other programs, use a smaller scan, or choose the CPU."
        return {"error": "EngineError", "message": message, "state": "out of memory"}
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else -1):
        message = "The disk is full; free some space and try again."
        return {"error": "EngineError", "message": message, "state": "failed"}
    words = " ".join(str(error).split())[:200]
    message = f"The engine could not finish '{verb}': {type(error).__name__}: {words}. Details are in the job log."
    return {"error": "EngineError", "message": message, "state": "failed"}


def _hello(body: dict[str, Any], context: Context) -> dict[str, Any]:
    return {"protocol": PROTOCOL_VERSION, "pid": os.getpid(), "python": sys.version.split()[0]}


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return private copies of stdin and stdout; afterwards fd 0 is empty and fd 1 is the log."""
    source, target = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (source, target):
            msvcrt.setmode(descriptor, os.O_BINARY)
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(source, "rb"), os.fdopen(target, "wb")
