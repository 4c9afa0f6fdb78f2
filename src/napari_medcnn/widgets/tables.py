"""Tables leave the window: to the clipboard, or to a file that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.measures_file import Table, as_tsv, save_table
from napari_medcnn.widgets.parts import copy_text

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


def copy_table(dock: MedcnnDock, table: Table) -> None:
    """Put a table on the clipboard, for a spreadsheet."""
    copy_text(as_tsv(table))
    dock.say(f"Copied: {len(table.rows)} rows.")


def ask_and_save(dock: MedcnnDock, table: Table, suggestion: str) -> None:
    """Ask for a file and write a table; what the disk refuses is said."""
    path = dock.dialogs.save_table(suggestion)
    if path is None:
        return
    try:
        save_table(table, path)
    except MedcnnError as error:
        dock.showing.on_failed(error)
        return
    dock.session.names.add(str(path))
    dock.say(f"Saved: {path.name}")
