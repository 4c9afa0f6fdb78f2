"""One engine process: how it is started, watched and ended on each system."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from napari_medcnn.core import paths
from napari_medcnn.errors import EngineError
from napari_medcnn.worker.protocol import Reply, Request, receive, send

_LOG_LINES = 200
_LOG_FILES = 20


@dataclass(frozen=True)
class Launch:
    """How to start the engine: preferences of the user.

    Parameters
    ----------
    interpreter
        A Python that has napari-medcnn and its engine extra (another environment for a GPU, say).
    module
        What it runs.
    environment
        Added to this process's environment.
    idle_minutes
        The engine ends after so long without work; 0 never.
    start_seconds
        It counts as failed if it has not said hello by then (importing TensorFlow takes 6 to 12 s).
    """

    interpreter: str = sys.executable
    module: str = "napari_medcnn.engine"
    environment: Mapping[str, str] = field(default_factory=dict)
    idle_minutes: float = 30.0
    start_seconds: float = 180.0

    def command(self) -> list[str]:
        """Return the command line; -P keeps the current folder from standing in for a library."""
        return [self.interpreter, "-P", "-u", "-m", self.module]

    def merged_environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return `own` with the engine's defaults (where `own` says nothing) and this launch's entries."""
        defaults = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        return {**defaults, **own, **self.environment}


def start_options(platform: str) -> dict[str, Any]:
    """Return the arguments of `subprocess.Popen` that differ between systems.

    No console window flashes up on Windows, and Ctrl+C in a terminal reaches us alone: we cancel, then end the child.
    """
    if platform == "win32":
        no_window, new_group = 0x08000000, 0x00000200  # CREATE_NO_WINDOW, CREATE_NEW_PROCESS_GROUP
        return {"creationflags": no_window | new_group}
    return {"start_new_session": True}


class Child:
    """A running engine process.

    Parameters
    ----------
    on_reply, on_exit
        Called from threads of this class with (child, reply) and (child, exit code); the second exactly once.

    Raises
    ------
    EngineError
        The interpreter cannot be started.
    """

    def __init__(
        self,
        launch: Launch,
        on_reply: Callable[[Child, Reply], None],
        on_exit: Callable[[Child, int], None],
    ) -> None:
        self._on_reply = on_reply
        self._on_exit = on_exit
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._sending = threading.Lock()
        try:
            self._process = subprocess.Popen(
                launch.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=launch.merged_environment(os.environ),
                **start_options(sys.platform),
            )
        except OSError as error:
            raise EngineError(
                f"The engine's Python cannot be started ({launch.interpreter}: {error.strerror or error}); choose "
                "another one in the preferences.",
                state="not started",
            ) from error
        self._threads = [
            threading.Thread(target=target, name=f"engine {name}", daemon=True)
            for name, target in (("replies", self._read_replies), ("log", self._read_log))
        ]
        for thread in self._threads:
            thread.start()
        self._waiter = threading.Thread(target=self._wait, name="engine end", daemon=True)
        self._waiter.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Last lines the process wrote."""
        return "\n".join(list(self._lines))

    def send(self, request: Request) -> None:
        """Write a request; a process that is gone is noticed by `on_exit`, not here."""
        with self._sending, contextlib.suppress(BrokenPipeError, ConnectionError):
            if self._process.stdin is not None and not self._process.stdin.closed:
                send(self._process.stdin, request)  # type: ignore[arg-type]

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def end(self, patience: float = 1.0) -> None:
        """Close its stdin, which ends it, and kill it after `patience` seconds; returns when it is gone."""
        with self._sending, contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
        if threading.current_thread() is not self._waiter:
            self._waiter.join(2.0)

    def _read_replies(self) -> None:
        stream: BinaryIO = self._process.stdout  # type: ignore[assignment]
        try:
            while (message := receive(stream)) is not None:
                if isinstance(message, Reply):
                    self._on_reply(self, message)
        except (EngineError, OSError, ValueError) as error:
            self._lines.append(f"[unreadable answer: {error}]")
            self.kill()

    def _read_log(self) -> None:
        stream: BinaryIO = self._process.stderr  # type: ignore[assignment]
        with contextlib.ExitStack() as stack:
            file: TextIO | None = None
            with contextlib.suppress(OSError):  # a full disk must not stop the engine
                file = stack.enter_context(_log_file(self.pid).open("w", encoding="utf-8", errors="replace"))
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip()[:2000]
                self._lines.append(line)
                if file is not None:
                    try:
                        file.write(line + "\n")
                        file.flush()
                    except OSError:
                        file = None

    def _wait(self) -> None:
        code = self._process.wait()
        for thread in self._threads:  # the last answer and the last words; a grandchild may hold the pipes open
            thread.join(0.5)
        with self._sending, contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        for stream, thread in zip((self._process.stdout, self._process.stderr), self._threads, strict=True):
            if stream is not None and not thread.is_alive():
                stream.close()
        self._on_exit(self, code)


def _log_file(pid: int) -> Path:
    """Return the file for this process's log; only the newest few are kept."""
    folder = paths.logs()
    old = sorted(folder.glob("engine-*.log"), key=lambda path: path.stat().st_mtime)
    for path in old[: max(0, len(old) - _LOG_FILES + 1)]:
        with contextlib.suppress(OSError):
            path.unlink()
    return folder / f"engine-{pid}.log"
