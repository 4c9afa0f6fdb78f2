"""What the dock shows when the session, its tasks or the mode change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_medcnn.errors import MedcnnError
from napari_medcnn.widgets.adding import ADD
from napari_medcnn.widgets.class_state import CHANGING
from napari_medcnn.widgets.doubts import LOOKING
from napari_medcnn.widgets.hand_on.film import FILM
from napari_medcnn.widgets.hand_on.hand_on import SHARING
from napari_medcnn.widgets.hand_on.picture import PICTURE
from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.mask_saving import SAVING
from napari_medcnn.widgets.run_all import RUN_ALL
from napari_medcnn.widgets.running import RUN
from napari_medcnn.widgets.why.why_jobs import CHECKING, EXPLAINING

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

SCAN, AI, CORRECTING = range(3)
CHECK = "Checking this computer"
#: A correction tool at work on the mask.
TOOL = "Correcting"
#: Tasks that the header's Cancel is offered for.
CANCELLABLE = (
    RUN, RUN_ALL, ADD, "Opening", SAVING, "Aligning", FILM, PICTURE, SHARING, CHECK, EXPLAINING, CHECKING, TOOL,
    CHANGING, LOOKING,
)  # fmt: skip


class Showing(QObject):
    """Keeps header, tabs, message and the chip on the canvas up to date."""

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock = dock
        self._said = ""

    def connect(self) -> None:
        """Listen to the session and the tasks, once all of the dock is there."""
        dock, session = self._dock, self._dock.session
        session.scan_changed.connect(self.on_scan)
        session.found_changed.connect(self.show_found)
        session.scan_changed.connect(dock.browsing.show_scan)
        session.scan_changed.connect(dock.browsing.keys_to_picture)
        session.mask_changed.connect(self._on_mask)
        session.saved_changed.connect(lambda: dock.header.show_saved(session.saved_words))
        session.failed.connect(self.on_failed)
        session.note.connect(dock.say)
        dock.strokes.note.connect(dock.say)
        dock.layers.added.connect(dock.keymap.bind_layer)
        dock.running.failed.connect(self.on_failed)
        dock.header.names_hidden.connect(self._hide_names)
        dock.tasks.changed.connect(self._on_tasks)
        dock.tabs.currentChanged.connect(lambda _index: self.show_mode())

    def say(self, words: str) -> None:
        """Show one line below the header, "" for none; without names while they are hidden."""
        dock = self._dock
        self._said = words
        dock.message.setText(dock.browsing.clean(words))

    def on_failed(self, error: MedcnnError) -> None:
        """Show what went wrong."""
        self.say(f"✗  {error}")

    def on_scan(self) -> None:
        """Another scan is open, or none."""
        dock, scan = self._dock, self._dock.session.scan
        dock.scan.show_scan(scan)
        shown = scan or dock.session.opening.preview
        dock.header.show_scan("" if shown is None else shown.name)
        empty = shown is None and dock.layers.mask is None and not dock.scan.tree.is_shown
        dock.pages.setCurrentIndex(0 if empty else 1)
        if shown is not None:
            dock.tabs.setCurrentIndex(SCAN)
        self.show_mode()

    def show_found(self) -> None:
        """Show the tree of what was found."""
        dock = self._dock
        dock.browsing.show_found()
        if dock.scan.tree.is_shown:
            dock.pages.setCurrentIndex(1)
            dock.tabs.setCurrentIndex(SCAN)

    def show_mode(self) -> None:
        """Name the mode in the header; the views read it when they are drawn."""
        dock, mode = self._dock, self._dock.mode
        dock.header.show_mode(mode)
        dock.correcting.show_mode(mode == CORRECT)
        dock.reading.smoothing.show_mode(mode == CORRECT)
        dock.views.redraw()

    def _hide_names(self, hidden: bool) -> None:
        self._dock.browsing.show_names()
        self._dock.layers.hide_names(hidden)
        self._dock.running.choices.hide_names(hidden)
        self.say(self._said)

    def _on_mask(self) -> None:
        dock = self._dock
        if dock.layers.mask is not None:
            dock.pages.setCurrentIndex(1)
        self.show_mode()

    def _on_tasks(self) -> None:
        named = [name for name in self._dock.tasks.names() if name in CANCELLABLE]
        self._dock.header.show_cancel(bool(named))
