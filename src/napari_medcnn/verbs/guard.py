"""What every verb does alike: errors become the last event, cancel is looked at, events of other work are passed on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

from napari_medcnn.core.events import Cancel, Event, Events, Failed, Result
from napari_medcnn.errors import Cancelled, InputError, MedcnnError

P = ParamSpec("P")
T = TypeVar("T")
#: Events of a part of the work; the generator's own return value is what the part made.
Steps = Generator[Event, None, Any]


def guarded(work: Callable[P, Events]) -> Callable[P, Events]:
    """Turn named errors, and what the system says of files and memory, into a `Failed` event.

    Anything else is a mistake of ours and passes through.
    """

    @functools.wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> Events:
        try:
            yield from work(*args, **kwargs)
        except MedcnnError as error:
            yield Failed(error)
        except OSError as error:
            yield Failed(InputError(plain_os_error(error)))
        except MemoryError:
            yield Failed(InputError("Not enough memory; close other programs or take a smaller scan."))

    return run


def plain_os_error(error: OSError) -> str:
    """Return one line in words: which file, and what the system says."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def stop_if(cancel: Cancel) -> None:
    """Raise `Cancelled` once somebody asked to stop."""
    if cancel.is_set():
        raise Cancelled("Stopped; nothing was changed.")


def stoppable(work: Generator[Event, None, T], cancel: Cancel) -> Generator[Event, None, T]:
    """Pass on the events of reading, look between them whether to stop, and return its value; closing closes it."""
    try:
        while True:
            stop_if(cancel)
            yield next(work)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        work.close()


def relay(events: Events) -> Steps:
    """Pass on the progress of other work and return its result, or raise its error; closing closes it too."""
    try:
        for event in events:
            if isinstance(event, Result):
                return event.value
            if isinstance(event, Failed):
                raise event.error
            yield event
    finally:
        events.close()
    raise MedcnnError("The work ended without a result; please report this.")
