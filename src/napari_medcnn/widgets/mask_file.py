"""The file of the open mask: how it was when we last knew it, and who may write it (faults 40 and 41)."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.annotation.mask_lock import MaskLock
from napari_medcnn.core.events import Cancel, Events, Result
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import MaskHeldError
from napari_medcnn.io.atomic import is_protected
from napari_medcnn.io.file_state import FileState
from napari_medcnn.io.found import shown
from napari_medcnn.verbs import save, save_seg
from napari_medcnn.verbs.guard import guarded, relay
from napari_medcnn.widgets.tasks import Work

SEG = ".dcm"
#: What is said at opening of a mask that could not be saved where it lies.
NO_SAVING = (
    "{}: its folder takes no files (it may be read-only), so the mask cannot be saved there. Correct it, and save it "
    "in another folder; until then your work is kept on this computer."
)
PROTECTED = (
    "{}: this file is write-protected and stays as it is. Correct the mask, and save it under another name; until then "
    "your work is kept on this computer."
)


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask's file while the mask is open.

    Parameters
    ----------
    path
        The file.
    seen
        How it was when it was read or written.
    lock
        Our right to write it; None while another window has it open.
    note
        For the user: who has it open, that it cannot be saved where it lies, or what was lost in the file's kind; ""
        for nothing.
    """

    path: Path
    seen: FileState
    lock: MaskLock | None
    note: str = ""

    @classmethod
    def opened(cls, path: Path, before: MaskFile | None) -> MaskFile:
        """Take a file that is about to be read; `before` is that of the mask which is open still."""
        seen = FileState.of(path)
        if before is not None and before.may_write(path):
            lock = before.lock
        else:
            try:
                lock = MaskLock.take(path)
            except MaskHeldError as error:
                return cls(path, seen, None, str(error))
        # a lock is a file beside the mask: only where none could be made it is worth a look why
        refused = lock is not None and not lock.kept and not _takes_files(Path(os.path.realpath(path)).parent)
        note = NO_SAVING if refused else PROTECTED if is_protected(path) else ""
        return cls(path, seen, lock, note.format(shown(path)))

    def may_write(self, path: Path) -> bool:
        """Return True if `path` is this file, and nobody took it over."""
        return self.path == path and self.lock is not None and self.lock.is_ours

    def release(self) -> None:
        """Give the right to write back."""
        if self.lock is not None:
            self.lock.release()


class OpenFile:
    """The file of the mask that is open; `now` is None for a new mask."""

    def __init__(self) -> None:
        self.now: MaskFile | None = None

    @property
    def path(self) -> Path | None:
        """The file the mask was read from or last saved to; None for a new one."""
        return None if self.now is None else self.now.path

    def keep(self, file: MaskFile | None) -> None:
        """Go on with another file, or none; the right to write the one before is given back."""
        before, self.now = self.now, file
        if before is not None and (file is None or before.lock is not file.lock):
            before.release()


def _takes_files(folder: Path) -> bool:
    """Return whether a file can be made in a folder: the only question that every system and network answers truly."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def saving(
    mask: LabelMap, path: Path, made: dict[str, Any], scan: Volume | None, known: MaskFile | None, over: bool
) -> Work:
    """Write a mask: the result is its `MaskFile`.

    Without `over` a file that another window has open, or that another program changed since it was read, is not
    written: `MaskHeldError` or `ChangedOnDiskError` says so, and the old file stays.
    """

    @guarded
    def work(cancel: Cancel) -> Events:
        ours = known is not None and known.may_write(path)
        lock = known.lock if known is not None and ours else MaskLock.take(path, over)
        seen = known.seen if known is not None and known.path == path and not over else None
        written = False
        try:
            if path.suffix.lower() == SEG:
                source = {} if scan is None else scan.source
                series, item = Path(str(source.get("path") or "")), source.get("item")
                wanted = save_seg.SaveSegRequest(mask, path, series, item and str(item), provenance=made)
                notes = (yield from relay(save_seg.run(wanted, cancel))).notes
            else:
                notes = ()
                yield from relay(save.run(save.SaveRequest(mask, path, made, seen), cancel))
            written = True
        finally:
            if not written and not ours and lock is not None:
                lock.release()
        yield Result(MaskFile(path, FileState.of(path), lock, " ".join(notes)))

    return work
