"""Saving the open mask: where a person says, and from then on by itself; in words whether the file is up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_medcnn.errors import ChangedOnDiskError, MaskHeldError, MedcnnError
from napari_medcnn.widgets.mask_file import SEG, MaskFile, saving

if TYPE_CHECKING:
    from napari_medcnn.widgets.session import Session

#: Name of the task.
SAVING = "Saving"
_SAVED, _SAVING, _NOT_SAVED = "saved", "saving ...", "not saved"
#: Milliseconds from a change until the file is brought up to date, and until the next look if hand or tool is at work.
_WAIT, _LOOK_AGAIN = 120_000, 2_000
_STOPPED = "The file is not kept up to date any more; save the mask yourself. {}"


class MaskSaving(QObject):
    """Writes the mask of one session, as it stands and on the scan's own grid, with the record of how it was made.

    A file that a person chose for this mask is kept up to date while `by_itself`; a file that was only opened, a
    DICOM segmentation (each is a new object), and any file after a model was run over the mask wait to be chosen.
    """

    #: A path and an error: saving there writes over what is another one's; a person decides.
    replace_asked = Signal(object, object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        #: "saved", "saving ..." or "not saved"; "" before there is anything to save.
        self.words = ""
        #: Bring the file up to date unasked.
        self.by_itself = True
        #: The file that a person chose for the mask as it is now; None until then.
        self._chosen: MaskFile | None = None
        #: Milliseconds from a change until that.
        self.wait_ms = _WAIT
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._keep_up)
        session.strokes.changed.connect(self._on_strokes)

    def save(self, path: Path, then: Callable[[Path], None] | None = None, over: bool = False) -> None:
        """Write the mask to a file that a person chose.

        Without `over`, `replace_asked` tells of a file that somebody else has open or has changed.
        """
        session = self._session

        def done(file: MaskFile) -> None:
            session.note.emit(f"Saved: {file.path.name}. {file.note}" if file.note else f"Saved: {file.path.name}")
            if then is not None:
                then(file.path)

        def failed(error: MedcnnError) -> None:
            if isinstance(error, ChangedOnDiskError | MaskHeldError) and not over:
                self.replace_asked.emit(path, error)
            else:
                session.failed.emit(error)

        self._write(path, over, done, failed)

    def save_again(self) -> bool:
        """Write the mask to the file that was chosen for it; False if none was."""
        file = self._file
        if file is None:
            return False
        self.save(file.path)
        return True

    def ask_again(self) -> None:
        """The mask is another one: its file waits to be chosen."""
        self._chosen = None
        self._timer.stop()

    def end(self) -> None:
        """The mask is put away."""
        self.words = ""
        self.ask_again()

    @property
    def _file(self) -> MaskFile | None:
        """The file to keep up to date, None for none; whether it is ours still, the disk tells the task that writes."""
        file = self._chosen
        return None if file is not self._session.file.now or file is None or file.path.suffix.lower() == SEG else file

    def _write(
        self, path: Path, over: bool, done: Callable[[MaskFile], None], failed: Callable[[MedcnnError], None]
    ) -> None:
        session = self._session
        session.strokes.commit()
        try:
            mask = session.layers.mask_value()
        except MedcnnError as error:
            session.failed.emit(error)
            return
        session.names.add(str(path))
        saved_up_to = session.strokes.unsaved

        def written(file: MaskFile) -> None:
            session.file.keep(file)
            self._chosen = file
            session.strokes.unsaved -= saved_up_to
            if session.strokes.unsaved <= 0:
                self._tell(_SAVED)
                session.let_recovered_go()
            else:
                self._tell(_NOT_SAVED)
                self._on_strokes()
            done(file)

        def not_written(error: MedcnnError) -> None:
            self._tell(_NOT_SAVED)
            failed(error)

        self._tell(_SAVING)
        work = saving(mask, path, session.provenance(), session.scan, session.file.now, over)
        session.tasks.start(SAVING, work, written, not_written)

    def _tell(self, words: str) -> None:
        self.words = words
        self._session.saved_changed.emit()

    def _on_strokes(self) -> None:
        unsaved = self._session.strokes.unsaved > 0
        if unsaved and self.words != _SAVING:
            self.words = _NOT_SAVED
        self._session.saved_changed.emit()
        if unsaved and self._file is not None and not self._timer.isActive():
            self._timer.start(self.wait_ms)

    def _keep_up(self) -> None:
        session, file = self._session, self._file
        if file is None or not self.by_itself or session.strokes.unsaved <= 0:
            return
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton or session.tasks.names():
            self._timer.start(min(_LOOK_AGAIN, self.wait_ms))
            return

        def stop(error: MedcnnError) -> None:
            self._chosen = None
            session.note.emit(_STOPPED.format(error))

        self._write(file.path, False, lambda _file: None, stop)
