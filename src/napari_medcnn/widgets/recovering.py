"""Work that was never saved: offering it on the start page, bringing it back, deleting it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medcnn.annotation.recovery import Recovery
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import MedcnnError
from napari_medcnn.widgets import jobs

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class Recovering:
    """Connects the start page with the session."""

    def __init__(self, dock: MedcnnDock, failed: Callable[[MedcnnError], None]) -> None:
        self._dock, self._failed = dock, failed
        self._listed = False
        dock.start.recover.connect(self.recover)
        dock.start.discard.connect(self.discard)
        dock.session.mask_changed.connect(self._look_again)

    def look(self) -> None:
        """List on the start page what can be brought back."""
        self._dock.tasks.start("Recovery", jobs.recoverable(), self._offer, self._failed)

    def _offer(self, found: list[tuple[Recovery, Array | None]]) -> None:
        self._listed = bool(found)
        self._dock.start.offer(found)

    def _look_again(self) -> None:
        """A mask was put away, perhaps one that was listed and is saved by now: that must not be offered again."""
        if self._listed and self._dock.layers.mask is None:
            self.look()

    def recover(self, recovery: Recovery) -> None:
        """Open the scan the work belongs to, then bring the work back; the journal knows no paths, so ask."""
        dock, item = self._dock, str(recovery.info.source.get("item", ""))
        dock.session.names.add(recovery.info.case)
        scan: Path | str | None = item.removeprefix("sample:") if item.startswith("sample:") else None
        if scan is None:
            dock.say(f"Choose the scan {recovery.info.case}; Cancel shows the mask alone.")
            scan = dock.dialogs.open_file()
        if scan is None:
            dock.session.recover(recovery)
        else:
            dock.session.opening.then(scan, lambda: dock.session.recover(recovery))

    def discard(self, recovery: Recovery) -> None:
        """Ask, and delete the work for good."""
        if self._dock.dialogs.sure(f"Delete {recovery.steps} unsaved strokes of {recovery.info.case}?"):
            try:
                recovery.discard()
            except MedcnnError as error:
                self._failed(error)
            self.look()
