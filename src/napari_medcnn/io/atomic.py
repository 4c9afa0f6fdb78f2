"""Writing that leaves the old file or the new one, never a mix and never a cut one.

A temporary file in the same folder is written, flushed to the disk, read back and compared, and only then renamed
over the target (POSIX rename(2) and Windows ReplaceFile are atomic within one file system).
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from napari_medcnn.errors import Cancelled, MedcnnError, SaveError
from napari_medcnn.io.found import plain, shown

_MARK = ".medcnn-tmp"
_STALE_SECONDS = 24 * 3600.0
_RESERVED = ("con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10)))
_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EFBIG: "the file would be larger than this system allows",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "this folder may not be written to",
    errno.EPERM: "this folder may not be written to",
    errno.ENAMETOOLONG: "the path is too long",
    errno.ENOENT: "the folder is not there any more",
    errno.EIO: "the disk reports a fault",
}
if hasattr(errno, "EDQUOT"):
    _WORDS[errno.EDQUOT] = "your disk quota is used up"


def atomic_write(path: Path | str, write: Callable[[Path], None], verify: Callable[[Path], None]) -> None:
    """Write `path` through a temporary file beside it; the old file stays as it is until the new one is proven.

    Parameters
    ----------
    path
        Target; a link is followed, so that the file it names is replaced.
    write
        Writes everything into the file it is given (which exists, empty).
    verify
        Reads that file back and raises a `MedcnnError` if it differs from what was meant.

    Raises
    ------
    SaveError
        Anything went wrong; the message says what and what to do.  The old file is intact and no temporary is left.
    Cancelled
        `write` or `verify` was asked to stop; as above.
    """
    target = Path(os.path.realpath(path))
    check_name(target)
    check_folder(target.parent)
    if is_protected(target):
        raise SaveError(f"{shown(target)}: not saved, the file is write-protected; save under another name")
    done = False
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:60]}.", suffix=_MARK, dir=target.parent)
        temporary = Path(name)
        os.close(handle)
        _copy_mode(target, temporary)
        write(temporary)
        _sync_file(temporary)
        verify(temporary)
        _replace(temporary, target)
        done = True
        sync_folder(target.parent)
    except OSError as error:
        raise SaveError(_explained(target, error)) from error
    except (SaveError, Cancelled):
        raise
    except MedcnnError as error:
        raise SaveError(
            f"{shown(target)}: not saved, what was written does not read back equal ({error}); the file that was there "
            "is unchanged; save to another place"
        ) from error
    finally:
        if temporary is not None and not done:
            _remove(temporary)
    remove_leftovers(target.parent)


def check_folder(folder: Path) -> None:
    """Raise `SaveError` if a folder is missing or may not be written to: asked before work starts, not after."""
    if not folder.is_dir():
        raise SaveError(f"{shown(folder)}: there is no such folder; create it or choose another place")
    if not os.access(folder, os.W_OK):
        raise SaveError(f"{shown(folder)}: this folder may not be written to (read-only); choose another place")


def is_protected(path: Path) -> bool:
    """Return True for a file that its owner has marked as not to be written, even where a new one could replace it."""
    try:
        return not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK)
    except OSError:
        return False  # there is none


def check_name(path: Path, system: str = sys.platform) -> None:
    """Raise `SaveError` for a file name that the system would refuse or change in silence (Windows only)."""
    if system != "win32":
        return
    name = path.name
    bad = sorted({c for c in name if c in '<>:"|?*' or ord(c) < 32})
    if bad or name.endswith((".", " ")) or name.split(".")[0].lower() in _RESERVED:
        raise SaveError(f"{plain(name)}: Windows does not allow this file name; choose another")


def sync_folder(folder: Path, system: str = os.name) -> bool:
    """Bring a rename to the disk; False where the system cannot (Windows, some network disks)."""
    if system == "nt":
        return False
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        os.fsync(handle)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def remove_leftovers(folder: Path, older_than_s: float = _STALE_SECONDS) -> int:
    """Remove temporary files that a killed process left here more than `older_than_s` ago; return how many."""
    removed = 0
    try:
        for path in folder.glob(f".*{_MARK}"):
            if path.is_file() and time.time() - path.stat().st_mtime > older_than_s:
                _remove(path)
                removed += 1
    except OSError:
        return removed
    return removed


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
        if sys.platform == "darwin":  # pragma: no cover - fsync alone leaves the drive's cache there
            import fcntl

            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
    finally:
        os.close(handle)


def _replace(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except PermissionError as error:
        raise SaveError(
            f"{shown(target)}: not saved, the file cannot be replaced; it may be open in another program or protected. "
            "Close it there and save again, or save under another name"
        ) from error


def _copy_mode(target: Path, temporary: Path) -> None:
    """Give the new file the rights of the old one, or the usual ones: a temporary is private to its owner."""
    if os.name == "nt":
        return
    try:
        mode = target.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    os.chmod(temporary, mode)


def _explained(target: Path, error: OSError) -> str:
    words = _WORDS.get(error.errno or 0, plain(error.strerror or error, 100))
    return (
        f"{shown(target)}: not saved, {words}; the file that was there is unchanged. Free some space or choose another "
        "place, and save again"
    )


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return
