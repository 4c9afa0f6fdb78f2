"""Is a file still the one we read or wrote?  Asked right before it is written over, so that nobody's work is lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.errors import ChangedOnDiskError
from napari_medcnn.io.found import shown

#: Up to this size the content is compared as well: one file may be written twice within a tick of the disk's clock.
_HASHED_BYTES = 32_000_000


@dataclass(frozen=True)
class FileState:
    """A file as it was at one moment; all 0 and "" for one that was not there.

    Times are compared for being equal only: clocks jump.  Where the content is known it decides, so that a copy
    program which touches the file has not changed it.
    """

    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    sha256: str = ""

    @classmethod
    def of(cls, path: Path | str) -> FileState:
        """Return how the file is now; take it before the file is read, so that no change falls in between."""
        path = Path(path)
        try:
            there = os.stat(path)
        except OSError:
            return cls()
        digest = ""
        if there.st_size <= _HASHED_BYTES:
            with contextlib.suppress(OSError):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(there.st_size, there.st_mtime_ns, there.st_ino, digest)

    @property
    def is_there(self) -> bool:
        """False for a file that was not there."""
        return self != FileState()

    def same_as(self, other: FileState) -> bool:
        """Return True if nobody wrote to the file in between."""
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return self == other


def check_unchanged(path: Path | str, seen: FileState | None) -> None:
    """Raise `ChangedOnDiskError` if the file is not as it was `seen`; None asks nothing.

    The message holds the three choices that are left.
    """
    if seen is None:
        return
    now = FileState.of(path)
    if seen.same_as(now):
        return
    name = shown(Path(path))
    if not now.is_there:
        what, there = "was removed or renamed", "save again under this name with Save as"
    elif not seen.is_there:
        what, there = "was written by another program in the meantime", "replace it with Save as and the same name"
    else:
        what = "was changed by another program since it was opened"
        there = "replace it with Save as and the same name"
    raise ChangedOnDiskError(
        f"{name}: not saved, this file {what}. Your work is kept. Save it under another name, open the file as it is "
        f"now, or {there}"
    )
