"""One writer for a mask file: a lock beside it says who has it open, on this computer or another one."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.annotation.liveness import is_held, lock_data
from napari_medcnn.errors import MaskHeldError
from napari_medcnn.io.found import plain, shown

_LONGEST = 100_000


def lock_path(mask: Path | str) -> Path:
    """Return the lock of a mask file; links are followed, so that one file has one lock."""
    real = Path(os.path.realpath(mask))
    return real.with_name(f".{real.name}.medcnn-lock")


@dataclass(frozen=True)
class MaskLock:
    """The right to write a mask file, until `release`.

    `kept` is False where the folder takes no files: nobody can be told then, and nobody can save there either.
    """

    path: Path
    text: str
    kept: bool = True

    @classmethod
    def take(cls, mask: Path | str, over: bool = False) -> MaskLock:
        """Take the lock of a mask; that of a process which ended without giving it back is taken over.

        Parameters
        ----------
        over
            Take it away from whoever holds it: only after somebody was asked.

        Raises
        ------
        MaskHeldError
            Another window has it open, here or as far as we can tell on another computer; says whose and since when.
        """
        path = lock_path(mask)
        text = json.dumps({**lock_data(), "user": _user(), "since": time.time()})
        for _ in range(2):  # a second try if a lock is gone or was left behind
            if over:
                _remove(path)
            try:
                with open(path, "x", encoding="utf-8") as file:
                    file.write(text)
                return cls(path, text)
            except FileExistsError:
                if is_held(path):
                    raise _held(Path(mask), path) from None
                _remove(path)
            except OSError:
                return cls(path, text, kept=False)
        raise _held(Path(mask), path)

    @property
    def is_ours(self) -> bool:
        """False once somebody took it over, who was asked first: then the file is not ours to write."""
        try:
            return not self.kept or self.path.read_text(encoding="utf-8") == self.text
        except OSError:
            return False

    def release(self) -> None:
        """Give it back; one that is not ours any more stays."""
        if self.kept and self.is_ours:
            _remove(self.path)


def _held(mask: Path, path: Path) -> MaskHeldError:
    """Return the error that names the owner; the lock may be gone or damaged by now."""
    try:
        data = json.loads(path.read_text(encoding="utf-8")[:_LONGEST])
        who, host, since = plain(data.get("user") or "somebody", 40), plain(data.get("host", ""), 60), data.get("since")
        minutes = max(0, round((time.time() - float(since)) / 60)) if isinstance(since, int | float) else None
    except (OSError, ValueError, AttributeError):
        who, host, minutes = "somebody", "", None
    age = "" if minutes is None else f", for {minutes} minutes" if minutes < 120 else f", for {minutes // 60} hours"
    return MaskHeldError(
        f"{shown(mask)}: {who}{f' on {host}' if host else ''} has this mask open{age}. Close it there, "
        "save yours under another name, or take it over if that window is gone"
    )


def _user() -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return ""


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
