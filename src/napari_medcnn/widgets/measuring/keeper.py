"""Measures kept with a scan: one file in our own folder, found again by the voxels of the scan.

Its name holds two hashes: a quick one of shape and middle slice, so that scans without measures are never read whole,
and one of all voxels. No name of a patient, no path and no number of a study is in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import weakref
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medcnn.core import paths
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.measures_file import Kept, read_kept, save_kept
from napari_medcnn.verbs.scan_record import voxel_sha256
from napari_medcnn.widgets.tasks import Work


def quick_hash(scan: Volume) -> str:
    """Return a hash of shape, axes, type and middle slice: equal scans agree, others hardly ever."""
    frame = scan.array[0] if scan.axes.startswith("t") else scan.array
    middle = np.ascontiguousarray(frame[frame.shape[0] // 2])
    digest = hashlib.sha256(f"{scan.array.shape} {scan.axes} {scan.array.dtype}".encode())
    digest.update(middle.data)
    return digest.hexdigest()[:16]


def file_of(scan: Volume) -> Path:
    """Return where the measures of a scan are kept; reads every voxel."""
    return paths.measures() / f"{quick_hash(scan)}-{voxel_sha256(scan)[:32]}.json"


def may_have(scan: Volume) -> bool:
    """Return False if nothing is kept for a scan, after a look at one slice."""
    return any(paths.measures().glob(f"{quick_hash(scan)}-*.json"))


def read(scan: Volume) -> Work:
    """Look for what was kept with a scan: the result is `Kept`."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Looking for measures")
        yield Result(read_kept(file_of(scan)) if may_have(scan) else Kept())

    return work


class Keeper(QObject):
    """Writes what is to be kept in a thread, the newest state last; `failed` carries an error."""

    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._wanted: list[tuple[Volume, Kept]] = []
        #: Where the last scan's measures are kept; it does not hold a scan that was closed in the meantime.
        self._file: tuple[weakref.ref[Volume], Path] | None = None
        self._thread: threading.Thread | None = None

    def save(self, scan: Volume, kept: Kept) -> None:
        """Keep this with the scan, soon."""
        with self._lock:
            self._wanted = [*(entry for entry in self._wanted if entry[0] is not scan), (scan, kept)]
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="keeping measures")
                self._thread.start()

    def flush(self, seconds: float = 10.0) -> None:
        """Wait until everything is on disk."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def close(self) -> None:
        """Write what is left and let the scan go."""
        self.flush()
        self._file = None

    def _write(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._thread = None
                    return
                scan, kept = self._wanted.pop(0)
            try:
                if self._file is None or self._file[0]() is not scan:
                    self._file = (weakref.ref(scan), file_of(scan))
                save_kept(kept, self._file[1])
            except MedcnnError as error:
                with contextlib.suppress(RuntimeError):  # the dock has gone in the meantime
                    self.failed.emit(error)
            except OSError as error:
                with contextlib.suppress(RuntimeError):
                    self.failed.emit(MedcnnError(f"Measures are not kept: {error.strerror or error}"))
