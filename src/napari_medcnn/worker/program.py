"""A foreign program in a process group of its own: started without a shell, listened to, and ended whole.

Whatever it prints is kept in memory only, and only its end: nothing of it is written to a file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from napari_medcnn.errors import EngineError
from napari_medcnn.worker.child import start_options

#: What steers our own Python and networks; the program brings its own.
_OURS = ("PYTHON", "TF_", "KERAS_", "MEDCNN_", "VIRTUAL_ENV", "__PYVENV", "QT_API", "NAPARI_")
_KEPT_BYTES = 16_384
_BLOCK = 65_536
#: A program that is asked to end gets so long to do it (a container ends with it), then it is killed.
_PATIENCE_S = 0.8


class Program:
    """A running program.

    Parameters
    ----------
    arguments
        The program by full path, then its arguments, as they stand.
    folder
        Its working folder.
    environment
        All of its variables.

    Raises
    ------
    EngineError
        It cannot be started.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                list(arguments),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **start_options(sys.platform),
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise EngineError(
                f"{Path(arguments[0]).name}: the program cannot be started ({reason}); check its path and that it may "
                "be run.",
                state="not started",
            ) from error
        self._out, self._err = _Tail(self._process.stdout), _Tail(self._process.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def wait(self, seconds: float) -> int | None:
        """Return the exit code (negative for a signal), or None if it still runs after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    @property
    def last_line(self) -> str:
        """The newest line with something in it, of both outputs; "" before the first."""
        newest = max((self._out, self._err), key=lambda tail: tail.time)
        return next(iter(newest.lines()[-1:]), "")

    def last_words(self, count: int = 6) -> str:
        """Return the last lines of stderr, or of stdout if it wrote none, once it has ended."""
        for tail in (self._out, self._err):
            tail.join()
        return "\n".join((self._err.lines() or self._out.lines())[-count:])

    def first_line(self) -> str:
        """Return the first line it wrote, stdout before stderr, once it has ended; "" if there is none."""
        self.last_words()
        return next(iter(self._out.lines() or self._err.lines()), "")

    def end(self) -> None:
        """End it and everything it started; returns within about two seconds."""
        if self._process.poll() is None:
            self._signal(terminate=True)
            self.wait(_PATIENCE_S)
        self._signal(terminate=False)  # also what outlived it: it must not go on reading a scan that is removed
        if self._process.poll() is None:
            self.wait(1.0)
        for tail in (self._out, self._err):
            tail.close()

    def _signal(self, terminate: bool) -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                _end_on_windows(self._process, terminate)
            else:
                os.killpg(self._process.pid, signal.SIGTERM if terminate else signal.SIGKILL)


def _end_on_windows(process: subprocess.Popen[bytes], terminate: bool) -> None:
    if terminate:
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    elif process.poll() is None:
        # TerminateProcess knows no children; taskkill does
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)  # noqa: S607
        process.kill()


class _Tail:
    """The end of what a pipe brings, read all the time so that the program never waits for us."""

    def __init__(self, stream: IO[Any] | None) -> None:
        self._stream = stream
        self._kept = b""
        self.time = 0.0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="program output", daemon=True)
        self._thread.start()

    def lines(self) -> list[str]:
        """Return the lines kept, without empty ones; a bar that is drawn over with carriage returns is many lines."""
        with self._lock:
            text = self._kept.decode("utf-8", "replace")
        return [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]

    def join(self) -> None:
        """Wait for the last words; not for long, since what the program started may hold the pipe open."""
        self._thread.join(0.5)

    def close(self) -> None:
        """Stop reading."""
        self.join()
        if self._stream is not None and not self._thread.is_alive():
            self._stream.close()

    def _read(self) -> None:
        if self._stream is None:
            return
        with contextlib.suppress(OSError, ValueError):
            while block := os.read(self._stream.fileno(), _BLOCK):
                with self._lock:
                    self._kept = (self._kept + block)[-_KEPT_BYTES:]
                    self.time = time.monotonic()


def own_environment(base: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return `base` without what steers our own Python and networks, then `more`."""
    kept = {key: value for key, value in base.items() if not key.upper().startswith(_OURS)}
    return {**kept, **more}
