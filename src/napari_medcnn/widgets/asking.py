"""Buttons of the dock that ask first: which file, where to save, may this be closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.errors import MedcnnError
from napari_medcnn.verbs import save
from napari_medcnn.widgets.mask_saving import SAVING
from napari_medcnn.widgets.parts import copy_text

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class Asking:
    """Connects these buttons; the answers come from the dock's `dialogs`."""

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        for page in (dock.start, dock.scan):
            page.open_file.connect(self._file)
            page.open_folder.connect(self._folder)
        dock.scan.close_scan.connect(self._close_scan)
        dock.scan.open_beside.connect(self._beside)
        dock.ai.channels.open_asked.connect(self._beside)
        result = dock.ai.result
        result.save_asked.connect(self._save_result)
        result.command_asked.connect(lambda: self._copy(dock.running.as_command))
        result.python_asked.connect(lambda: self._copy(dock.running.as_python))

    def may_close(self) -> bool:
        """Ask about unsaved corrections; True if closing may go on."""
        session = self._dock.session
        if not session.has_unsaved_strokes:
            return True
        answer = self._dock.dialogs.unsaved(session.scan.name if session.scan is not None else "The mask")
        if answer == "save":
            if not session.saving.save_again():
                self._dock.correcting.save()
            return False  # the user closes again once it says saved
        return answer == "discard"

    def _file(self) -> None:
        path = self._dock.dialogs.open_file()
        if path is not None:
            self._dock.open_path(path)

    def _folder(self) -> None:
        path = self._dock.dialogs.open_folder()
        if path is not None:
            self._dock.open_path(path)

    def _beside(self) -> None:
        self._dock.session.opening.beside(self._dock.dialogs.open_files())

    def _close_scan(self) -> None:
        if self.may_close():
            self._dock.session.close_scan()

    def _save_result(self) -> None:
        session = self._dock.session
        if isinstance(session.result, Classification):
            path = self._dock.dialogs.save_scores("scores.csv")
            if path is not None:
                self._save_scores(session.result, path)
        elif isinstance(session.result, Segmentation):
            self._dock.correcting.save()

    def _save_scores(self, result: Classification, path: Path) -> None:
        session = self._dock.session
        session.names.add(str(path))
        request = save.SaveRequest(result, path)
        session.tasks.start(SAVING, lambda cancel: save.run(request, cancel), self._scores_saved, session.failed.emit)

    def _scores_saved(self, path: Path) -> None:
        self._dock.session.note.emit(f"Saved: {path.name}")

    def _copy(self, make: Callable[[], str]) -> None:
        try:
            copy_text(make())
        except MedcnnError as error:
            self._dock.showing.on_failed(error)
        else:
            self._dock.say("Copied.")
