"""Arrays that cross to the engine: memory-mapped plain files in a private folder.

Shared memory segments are unlinked when a child with a resource tracker of its own ends (seen on Python 3.11), and
fresh pages cost about fifteen times a reused block, so one file is kept per open volume and written again.
The dtype of the source is kept: int16 stays int16.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_medcnn.core import paths
from napari_medcnn.errors import EngineError, InputError
from napari_medcnn.worker.protocol import ArrayRef

Mode = Literal["r", "r+"]
PREFIX = "medcnn-exchange-"
_OWNER = "owner"


class Exchange:
    """A private folder of memory-mapped arrays, one file per key; safe to use from several threads.

    Parameters
    ----------
    folder
        An empty private folder; None makes a fresh one (access for the user only) in the system's temporary folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._given = folder
        self._folder: Path | None = None
        self._kept: dict[str, tuple[ArrayRef, npt.NDArray[Any]]] = {}
        self._sizes: dict[str, int] = {}

    @property
    def folder(self) -> Path:
        """The folder, made on first use; left-overs of dead processes are removed then."""
        if self._folder is None:
            remove_stale(Path(tempfile.gettempdir()))
            folder = self._given or paths.exchange()
            folder.chmod(0o700)
            (folder / _OWNER).write_text(str(os.getpid()), encoding="ascii")
            self._folder = folder
        return self._folder

    def put(self, array: npt.NDArray[Any], key: str) -> ArrayRef:
        """Copy `array` into the file of `key`, which is made once and written again afterwards.

        Parameters
        ----------
        array
            Any shape with at least one element; any order in memory (the file is C-ordered); numbers or bool.
        key
            Names the open volume; the same key with another shape or dtype uses the same file while it is large
            enough.

        Raises
        ------
        EngineError
            The temporary folder has no room for it.
        InputError
            The array is empty or does not hold numbers.
        """
        with self._lock:
            ref = self.new(array.shape, array.dtype, key)
            self._kept[key][1][...] = array
        return ref

    def new(self, shape: tuple[int, ...], dtype: npt.DTypeLike, key: str) -> ArrayRef:
        """Return a writable array for results; the content is what the file held before, or zeros.

        Raises
        ------
        EngineError, InputError
            As `put`.
        """
        kind = np.dtype(dtype)
        if kind.kind not in "biufc" or kind.hasobject:
            raise InputError(f"array: expected numbers, got dtype {kind}")
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        if size == 0:
            raise InputError(f"array: expected at least one element, got shape {shape}")
        with self._lock:
            name = hashlib.sha256(key.encode()).hexdigest()[:24] + ".raw"  # a key may hold any character
            path = self.folder / name
            ref = ArrayRef(str(path), kind.newbyteorder("=").str, tuple(int(n) for n in shape))
            if key in self._kept and self._kept[key][0] == ref:
                return ref
            if self._sizes.get(key, 0) < size:
                self._kept.pop(key, None)
                _reserve(path, size)
                self._sizes[key] = size
            self._kept[key] = (ref, open_array(ref, "r+"))
            return ref

    def open(self, ref: ArrayRef, mode: Mode = "r") -> npt.NDArray[Any]:
        """Map an array of this exchange.

        Raises
        ------
        InputError
            The file is not in this folder.
        """
        if Path(ref.path).parent != self.folder:
            raise InputError(f"array: expected a file of {self.folder}, got {ref.path}")
        return open_array(ref, mode)

    def forget(self, key: str) -> None:
        """Remove the file of `key`; arrays still mapped stay readable (on Windows the file goes at `close`)."""
        with self._lock:
            kept = self._kept.pop(key, None)
            self._sizes.pop(key, None)
        if kept is not None:
            path = Path(kept[0].path)
            del kept  # Windows cannot remove a file that is still mapped here
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder; called again it does nothing."""
        with self._lock:
            self._kept.clear()
            self._sizes.clear()
            folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def open_array(ref: ArrayRef, mode: Mode = "r") -> npt.NDArray[Any]:
    """Map the file an `ArrayRef` names, C-ordered, after checking that it is long enough.

    Raises
    ------
    InputError
        The dtype is not one of numbers, or the file is missing or too short (reading on would kill the process).
    """
    dtype = np.dtype(ref.dtype)
    if dtype.hasobject or dtype.kind not in "biufc":
        raise InputError(f"array: expected numbers, got dtype {ref.dtype}")
    size = int(np.prod(ref.shape, dtype=np.int64)) * dtype.itemsize
    try:
        there = os.path.getsize(ref.path)
    except OSError as error:
        raise InputError("array: its file is gone; open the scan again") from error
    if size <= 0 or there < size:
        raise InputError(f"array: expected a file of at least {size} bytes, got {there}")
    mapped: npt.NDArray[Any] = np.memmap(ref.path, dtype=dtype, mode=mode, shape=ref.shape)
    return mapped


def remove_stale(parent: Path) -> list[Path]:
    """Remove exchange folders whose owner process is gone, and return them; those of living ones stay."""
    removed = []
    for folder in parent.glob(PREFIX + "*"):
        try:
            owner = int((folder / _OWNER).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue  # just being made, or another user's: not ours to judge
        if not process_lives(owner, sys.platform):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def process_lives(pid: int, platform: str) -> bool:
    """Return True while a process of this number exists (perhaps another user's)."""
    if platform == "win32":
        return _lives_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lives_on_windows(pid: int) -> bool:
    # os.kill(pid, 0) would end the process there: signal 0 is CTRL_C_EVENT
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    query_limited, still_active = 0x1000, 259
    handle = kernel.OpenProcess(query_limited, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return bool(known) and code.value == still_active


def _reserve(path: Path, size: int) -> None:
    """Make the file that long with its blocks taken: a full disk must be an error here, not a fatal signal later."""
    try:
        if shutil.disk_usage(path.parent).free < size:  # asked first: reserving would fill the disk before it fails
            raise OSError("no space left")
        with path.open("r+b" if path.exists() else "w+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:  # Windows and macOS take the blocks when they are written
                file.truncate(size)
        path.chmod(0o600)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise EngineError(
            f"The temporary folder has no room for {size / 2**20:.0f} MB ({error.strerror or error}); free some space "
            "or point TMPDIR to a larger disk."
        ) from error
