"""What goes to the terminal: progress and errors to stderr, answers to stdout."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TextIO

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.events import Events, Failed, Progress, Result
from napari_medcnn.errors import MedcnnError

_BAR = 24
_WIDTH = 100


class Reporter:
    """Shows progress: a bar that is drawn over on a terminal, else a line whenever the words change."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._last = ""
        self._fraction = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live and self._last:
            self._write("\r" + " " * _WIDTH + "\r")

    def show(self, progress: Progress) -> None:
        """Show one event."""
        if progress.fraction is not None:
            self._fraction = progress.fraction
        if self._live:
            filled = round(_BAR * min(max(self._fraction, 0.0), 1.0))
            line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {plain(progress.message)}"[:_WIDTH]
            if line != self._last:
                self._write("\r" + line.ljust(_WIDTH))
                self._last = line
        elif progress.message != self._last:
            self._write(plain(progress.message) + "\n")
            self._last = progress.message

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a closed stderr must not stop the work
            self._stream.write(text)
            self._stream.flush()


def finish(events: Events) -> Any:
    """Run a verb to its end, showing progress; return its value or raise its error.  An interrupt closes it."""
    try:
        with Reporter(sys.stderr) as reporter:
            for event in events:
                if isinstance(event, Progress):
                    reporter.show(event)
                elif isinstance(event, Result):
                    return event.value
                elif isinstance(event, Failed):
                    raise event.error
    finally:
        events.close()
    raise MedcnnError("The work ended without a result; please report this.")


def say(text: str) -> None:
    """Write one line of the answer to stdout."""
    sys.stdout.write(text + "\n")


def say_json(data: dict[str, Any]) -> None:
    """Write the one JSON object of ``--json`` to stdout."""
    sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")


def complain(text: str) -> None:
    """Write one line to stderr."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"medcnn: {plain(text)}\n")


def plain(text: str) -> str:
    """Return text on one line without control characters: words from a file header may hold anything."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def consent_of(args: argparse.Namespace) -> Consent:
    """Return what the flags agree to."""
    return Consent(args.resample, args.duplicates, args.damaged, args.large, args.complex_part, args.unnumbered)
