"""Tables leave the window: to the clipboard, or to a file that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.io.measures_file import Table, as_tsv, save_table
from napari_medcnn.widgets.dialogs import Dialogs
from napari_medcnn.widgets.parts import copy_text
from napari_medcnn.widgets.session import Session

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

#: What the task that writes a table is called; each table has one of its own, so that none drops another's.
SAVING_TABLE = "Saving the table {}"


def copy_table(dock: MedcnnDock, table: Table) -> None:
    """Put a table on the clipboard, for a spreadsheet."""
    copy_text(as_tsv(table))
    dock.say(f"Copied: {len(table.rows)} rows.")


def ask_and_save(
    session: Session, dialogs: Dialogs, say: Callable[[str], None], make: Callable[[], Table], suggestion: str
) -> None:
    """Ask for a file; `make` and write a table in a thread. What the disk refuses is said."""
    path = dialogs.save_table(suggestion)
    if path is None:
        return
    session.names.add(str(path))
    task = SAVING_TABLE.format(suggestion)

    def work(cancel: Cancel) -> Events:
        yield Progress(None, task)
        save_table(make(), path)
        yield Result(path)

    session.tasks.start(task, work, lambda done: say(f"Saved: {done.name}"), session.failed.emit)
