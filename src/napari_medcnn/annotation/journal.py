"""The stroke journal: every change of an unsaved mask on disk at once, so that a killed process loses nothing.

One append-only file per mask and session, ``<number>-<id>.strokes``, beside ``<same>.lock`` of the process that
writes it.  The file is a magic line, then frames of

    length u32 | crc32 u32 | counter u64 | body          (little endian; the checksum covers counter and body)

Frame 0 is the header (JSON), frame 1 the mask before the first stroke (zlib), every later one a step: u32 length of
its JSON, the JSON, the step's payload.  A torn tail ends the journal where it is torn.  Order is that of the
counters, never of a clock.  A thread of its own writes: a stroke reaches the system within milliseconds (enough for
kill -9) and the disk at most two seconds later (for a loss of power), and the window waits for neither.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.liveness import write_lock
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import ProjectError, SaveError

MAGIC = b"medcnn strokes 1\n"
FRAME = struct.Struct("<IIQ")
SUFFIX = ".strokes"
VERSION = 1
SYNC_SECONDS = 2.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class JournalInfo:
    """What the header of a journal says; no patient identifiers.

    Parameters
    ----------
    case
        Name on screen, as in `Volume.name`.
    source
        Where the scan came from, to offer the recovery when it is opened again (``{"sha256": ...}`` or more).
    reader
        Random id of the reader, made up when not given.
    """

    case: str
    source: Mapping[str, Any] = field(default_factory=dict)
    reader: str = field(default_factory=lambda: secrets.token_hex(8))


class Journal:
    """The journal of one mask while it is corrected; make it with `create` at the first stroke."""

    def __init__(self, path: Path, base: LabelMap, info: JournalInfo) -> None:
        self.path = path
        given = base.array
        self._base: Array | None = np.array(given, order="C") if given.flags.writeable else given
        self._header = _header(base, info)
        self._waiting: deque[Step] = deque()
        self._counter = 0
        self._good = 0  # bytes of the file that are whole frames
        self._error: OSError | None = None
        self._closing = False
        self._retry = False  # there is something new to do, or to try again
        self._sync_now = False
        self._busy = False
        self._synced = 0.0
        self._dirty = False
        self._wake = threading.Condition()
        try:
            self._file = open(path, "x+b", buffering=0)  # noqa: SIM115 - lives as long as the journal
        except OSError as error:
            raise SaveError(f"{path}: the stroke journal cannot be started ({error.strerror}); save often") from error
        try:
            write_lock(lock_of(path))
        except ProjectError:
            self._file.close()
            path.unlink(missing_ok=True)
            raise
        self._thread = threading.Thread(target=self._work, name="medcnn-journal", daemon=True)
        self._thread.start()

    @classmethod
    def create(cls, folder: Path, base: LabelMap, info: JournalInfo) -> Journal:
        """Start a journal.

        Parameters
        ----------
        folder
            `core.paths.recovery()`, or a project's own.
        base
            The mask as it was before the first step to come; copied here, but for a read-only array: that is taken
            as it is and must never change.

        Raises
        ------
        SaveError, ProjectError
            The folder cannot be written to.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            numbers = [int(p.name.partition("-")[0]) for p in folder.glob(f"*{SUFFIX}") if p.name[:8].isdigit()]
        except OSError as error:
            raise SaveError(f"{folder}: strokes cannot be kept there ({error.strerror})") from error
        name = f"{max(numbers, default=0) + 1:08d}-{secrets.token_hex(4)}{SUFFIX}"
        return cls(folder / name, base, info)

    @property
    def error(self) -> str:
        """Why strokes are not on disk at the moment, in words; "" if all is well. They stay in memory meanwhile."""
        error = self._error
        if error is None:
            return ""
        return (
            f"{self.path.parent}: strokes cannot be written to disk ({error.strerror}). They are kept in memory; "
            "free some space or save the mask somewhere else now."
        )

    @property
    def waiting(self) -> int:
        """How many steps are in memory only."""
        return len(self._waiting)

    def append(self, step: Step) -> None:
        """Hand a step over; returns at once. For an undone step append ``step.reversed()``.

        Raises
        ------
        SaveError
            Earlier steps could not be written. This one is kept in memory with them and all are tried again now,
            in order: nothing is lost while the process lives.
        ProjectError
            The journal is closed.
        """
        with self._wake:
            if self._closing:
                raise ProjectError("the stroke journal is closed; start another one")
            self._waiting.append(step)
            failed = self.error
            self._retry = True
            self._wake.notify_all()
        if failed:
            raise SaveError(failed)

    def flush(self, timeout_seconds: float = 30.0) -> None:
        """Wait until every step is on disk.

        Raises
        ------
        SaveError
            They cannot be written, or not in time; they stay in memory.
        """
        deadline = time.monotonic() + timeout_seconds
        with self._wake:
            self._retry = self._sync_now = True
            self._wake.notify_all()
            while self._retry or self._busy:
                if time.monotonic() >= deadline:
                    raise SaveError(f"{self.path.parent}: strokes are not on disk after {timeout_seconds:g} s")
                self._wake.wait(0.1)
            if self._error is not None:
                raise SaveError(self.error)

    def close(self, saved: bool) -> None:
        """End the journal: remove it if the mask was saved, else leave it for recovery.

        Raises
        ------
        SaveError
            Not saved, and the last steps could not be written.
        """
        failed: SaveError | None = None
        if not saved and not self._closing:
            try:
                self.flush()
            except SaveError as error:
                failed = error
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join()
        self._file.close()
        lock = lock_of(self.path)
        with contextlib.suppress(OSError):
            if saved:
                self.path.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
        if failed is not None:
            raise failed

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._retry or self._closing):
                    # After a fault nothing is tried until the next step: no loop on a full disk.
                    due = self._synced + SYNC_SECONDS - time.monotonic()
                    if not self._dirty or self._error is not None:
                        self._wake.wait()
                    elif due > 0:
                        self._wake.wait(due)
                    else:
                        break
                if self._closing:
                    return
                sync, self._retry, self._sync_now, self._busy = self._sync_now, False, False, True
            try:
                self._put_back()
                self._write_waiting()
                if self._dirty and (sync or time.monotonic() - self._synced >= SYNC_SECONDS):
                    os.fsync(self._file.fileno())
                    self._synced, self._dirty = time.monotonic(), False
                self._error = None
            except OSError as error:
                self._error = error
                self._cut_back()
            with self._wake:
                self._busy = False
                self._wake.notify_all()

    def _put_back(self) -> None:
        """Write the file anew where somebody removed it (programs that tidy up do): what it held is still open."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = open(self.path, "x+b", buffering=0)  # noqa: SIM115 - lives as long as the journal
        try:
            self._file.seek(0)
            left = self._good
            while left:
                part = self._file.read(min(left, _BLOCK))
                if not part:
                    raise OSError(errno.EIO, "the journal is gone")
                left -= len(part)
                _write_all(new, part)
        except OSError:
            new.close()
            self.path.unlink(missing_ok=True)
            self._file.seek(self._good)
            raise
        self._file.close()
        self._file, self._dirty = new, True
        with contextlib.suppress(ProjectError):
            write_lock(lock_of(self.path))

    def _write_waiting(self) -> None:
        if self._base is not None:
            if self._good == 0:
                self._put(MAGIC, raw=True)
            if self._counter == 0:
                self._put(json.dumps({**self._header, "base_sha256": _sha256(self._base)}).encode())
            self._put(_packed(self._base))
            self._base = None
        while self._waiting:
            self._put(_step_body(self._waiting[0]))
            self._waiting.popleft()

    def _put(self, body: bytes, raw: bool = False) -> None:
        """Write one frame whole; the counter and the good length advance only then."""
        if not raw:
            counter = struct.pack("<Q", self._counter)
            body = FRAME.pack(len(body), zlib.crc32(body, zlib.crc32(counter)), self._counter) + body
        _write_all(self._file, body)
        self._good += len(body)
        self._counter += 0 if raw else 1
        self._dirty = True

    def _cut_back(self) -> None:
        """Drop a frame that was written in part, so that the next try continues a whole file."""
        with contextlib.suppress(OSError):
            self._file.truncate(self._good)
            self._file.seek(self._good)


def _write_all(file: FileIO, body: bytes) -> None:
    """Write all of it, however little the system takes at once."""
    view = memoryview(body)
    while view:
        view = view[file.write(view) or 0 :]


def lock_of(path: Path) -> Path:
    """Return the lock file of a journal."""
    return path.with_suffix(".lock")


def _planes(array: Array) -> Iterator[bytes]:
    """Yield the bytes of an array plane by plane, little endian, without a copy of the whole."""
    for plane in array:
        yield plane.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes()


def _sha256(array: Array) -> str:
    digest = hashlib.sha256()
    for part in _planes(array):
        digest.update(part)
    return digest.hexdigest()


def _packed(array: Array) -> bytes:
    packer = zlib.compressobj(1)
    parts = [packer.compress(part) for part in _planes(array)]
    return b"".join((*parts, packer.flush()))


def _header(base: LabelMap, info: JournalInfo) -> dict[str, Any]:
    array = base.array
    return {
        "version": VERSION,
        "reader": info.reader,
        "case": info.case,
        "source": dict(info.source),
        "name": base.name,
        "geometry": base.geometry.to_json(),
        "labels": base.labels.to_json(),
        "dtype": array.dtype.newbyteorder("<").str,
        "shape": list(array.shape),
    }


def _step_body(step: Step) -> bytes:
    head: dict[str, Any] = {
        "name": step.name,
        "box": [[part.start, part.stop] for part in step.box],
        "view": list(step.view),
        "dtype": step.dtype,
        "changed": step.changed,
    }
    if step.classes is not None:
        head["classes"] = [step.classes.before.to_json(), step.classes.after.to_json()]
    text = json.dumps(head).encode()
    return struct.pack("<I", len(text)) + text + step.payload
