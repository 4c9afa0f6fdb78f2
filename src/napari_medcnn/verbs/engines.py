"""Where a verb's engine comes from when no window owns one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_medcnn.worker.client import Engine, Launch


def new_engine(launch: Launch | None = None) -> Engine:
    """Return an engine that starts its process with the first job; whoever asked closes it."""
    return Engine(launch if launch is not None else Launch())


@contextmanager
def engine(launch: Launch | None = None) -> Iterator[Engine]:
    """Lend an engine for the length of a ``with`` block; its process ends with the block."""
    lent = new_engine(launch)
    try:
        yield lent
    finally:
        lent.close()
