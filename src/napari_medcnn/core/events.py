"""The events every verb yields: Progress (and seldom a Preview), ..., then exactly one Result or Failed."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from napari_medcnn.errors import MedcnnError


@dataclass(frozen=True)
class Progress:
    """How far the work is: `fraction` from 0 to 1, or None while it cannot be known; a few words for people.

    `expected` is about how many seconds all of the work takes, said once where it became known.
    """

    fraction: float | None
    message: str
    expected: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Preview:
    """Something to show before the result is there: the first picture of a scan that is still being read.

    `value` is a Volume of depth 1; nothing may be run on it, drawn on it or saved from it.
    """

    value: Any


@dataclass(frozen=True)
class Result:
    """The last event of work that succeeded."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The last event of work that did not; cancelled work fails with `errors.Cancelled`."""

    error: MedcnnError


Event = Progress | Preview | Result | Failed
Events = Generator[Event, None, None]
#: Set by whoever wants the work to stop; looked at a few times a second.
Cancel = threading.Event


def result_of(events: Events) -> Any:
    """Run the events to their end and return the result's value, or raise the error."""
    for event in events:
        if isinstance(event, Result):
            return event.value
        if isinstance(event, Failed):
            raise event.error
    raise MedcnnError("The work ended without a result; please report this.")
