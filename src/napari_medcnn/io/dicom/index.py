"""What the headers of known files said, so that a folder is parsed once: one private SQLite file, never just believed.

An entry is used only while size, times and inode of its file, and the code that reads headers, are what they were; a
file changed within the last seconds is not put in at all.  Paths are there as keyed hashes only, and headers hold no
name, number or birth date.  The index is a convenience: whatever happens to it, a scan goes on without it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import stat
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from napari_medcnn import __version__
from napari_medcnn.core import paths

_LAYOUT = 1
#: A file this young may be written again without any of its times showing it.
_TOO_YOUNG_S = 2.5
_BUSY_S = 0.25
#: So many entries wait before they are written.
_BATCH = 500
_MAX_BYTES = 256_000_000
_MAX_ENTRY = 1_000_000


class HeaderIndex:
    """Entries by real path; each is a plain JSON value that the caller understands.

    Parameters
    ----------
    file
        The database; made with its folder if it is not there, made anew if it is damaged.
    max_bytes
        About how large it may grow; the oldest half goes when it is larger.
    """

    def __init__(self, file: Path, max_bytes: int = _MAX_BYTES) -> None:
        self._file = Path(file)
        self._max_bytes = max_bytes
        self._code = _code_mark()
        self._waiting: dict[bytes, tuple[bytes, bytes]] = {}
        self._database: sqlite3.Connection | None = None
        self.salt = secrets.token_bytes(32)
        #: What happened to the index itself, in words; "" if nothing did.
        self.note = ""
        self._open()

    @classmethod
    def default(cls) -> Self:
        """Return the user's own index; one that remembers nothing if there is no place for it."""
        try:
            home = paths.home()
        except OSError:
            home = Path(os.devnull)  # nothing can be made below it
        return cls(home / "index" / "headers.sqlite")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, real: str, there: os.stat_result) -> Any | None:
        """Return what was put in for a file if it is unchanged, else None; `there` is its state now."""
        if self._database is None:
            return None
        key = self._key(real)
        try:
            row = self._database.execute("SELECT stamp, body FROM headers WHERE key = ?", (key,)).fetchone()
            if row is None or bytes(row[0]) != self._stamp(there):
                return None
            check, packed = bytes(row[1])[:16], bytes(row[1])[16:]
            if check != self._check(key, bytes(row[0]), packed):
                return None
            return json.loads(zlib.decompress(packed))
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            self._rebuild()
            return None
        except (ValueError, zlib.error, TypeError):
            return None

    def put(self, real: str, there: os.stat_result, value: Mapping[str, Any]) -> None:
        """Remember `value` for a file whose state was `there` before and after it was read."""
        if self._database is None or abs(time.time() - there.st_mtime) < _TOO_YOUNG_S or there.st_mtime > time.time():
            return
        packed = zlib.compress(json.dumps(value, allow_nan=True, separators=(",", ":")).encode(), 1)
        if len(packed) > _MAX_ENTRY:
            return
        key, stamp = self._key(real), self._stamp(there)
        self._waiting[key] = (stamp, self._check(key, stamp, packed) + packed)
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what waits; if that cannot be done (a full disk, another program), it is dropped."""
        if self._database is None or not self._waiting:
            return
        rows = [(key, stamp, body) for key, (stamp, body) in self._waiting.items()]
        self._waiting.clear()
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO headers (key, stamp, body) VALUES (?, ?, ?)", rows)
            self._shrink()
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self._rebuild()

    def close(self) -> None:
        """Write what waits and let the file go."""
        self.flush()
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.OperationalError as error:
            self._give_up(str(error))
        except (sqlite3.DatabaseError, ValueError):
            self._rebuild()
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def _connect(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
        if stat.S_IMODE(self._file.stat().st_mode) & 0o077:
            self._file.chmod(0o600)
        database = sqlite3.connect(self._file, timeout=_BUSY_S, check_same_thread=False)
        self._database = database
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        with database:
            database.execute("BEGIN IMMEDIATE")
            layout = database.execute("PRAGMA user_version").fetchone()[0]
            if layout not in (0, _LAYOUT):
                raise ValueError("written by another version")
            if layout == 0:
                database.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
                database.execute(
                    "CREATE TABLE headers (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, stamp BLOB NOT NULL, "
                    "body BLOB NOT NULL)"
                )
                database.execute("INSERT INTO facts VALUES ('salt', ?)", (self.salt,))
                database.execute(f"PRAGMA user_version = {_LAYOUT}")
        found = database.execute("SELECT value FROM facts WHERE name = 'salt'").fetchone()
        if found is None or len(found[0]) != 32:
            raise ValueError("no key in it")
        self.salt = bytes(found[0])

    def _rebuild(self) -> None:
        """Throw a damaged index away and begin a new one."""
        if self.note:  # once is enough: a disk that damages files gets no index
            self._give_up("it was damaged twice")
            return
        self.note = "The list of known files was damaged and was begun anew; nothing else is affected."
        self._let_go()
        try:
            for suffix in ("", "-wal", "-shm"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
            self._connect()
        except (OSError, sqlite3.Error, ValueError) as error:
            self._give_up(str(error))

    def _give_up(self, why: str) -> None:
        self._let_go()
        self._waiting.clear()
        self.note = f"Known files are not remembered ({why}); folders are read each time."

    def _let_go(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = None

    def _shrink(self) -> None:
        """Drop the oldest half once the file is too large."""
        if self._database is None:
            return
        pages = self._database.execute("PRAGMA page_count").fetchone()[0]
        if pages * self._database.execute("PRAGMA page_size").fetchone()[0] <= self._max_bytes:
            return
        self._database.execute(
            "DELETE FROM headers WHERE number <= (SELECT (min(number) + max(number)) / 2 FROM headers)"
        )
        self._database.commit()
        self._database.execute("VACUUM")

    def _key(self, real: str) -> bytes:
        return hashlib.blake2b(os.fsencode(real), digest_size=16, key=self.salt).digest()

    def _check(self, key: bytes, stamp: bytes, packed: bytes) -> bytes:
        """Return what tells an entry that the disk damaged from a whole one."""
        return hashlib.blake2b(key + stamp + packed, digest_size=16, key=self.salt).digest()

    def _stamp(self, there: os.stat_result) -> bytes:
        # the time of change as well: it cannot be set back by tools that keep the time of writing
        state = (there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino, there.st_dev, self._code)
        return hashlib.blake2b(repr(state).encode(), digest_size=16).digest()


def _code_mark() -> str:
    """Return what changes with the code that reads headers, so that a newer one never sees an older one's answers."""
    folder = Path(__file__).parent
    marks: list[object] = [__version__]
    with suppress(OSError):
        for file in (*sorted(folder.rglob("*.py")), folder.parent / "sniff.py"):
            there = file.stat()
            marks.append((file.name, there.st_size, there.st_mtime_ns))
    return hashlib.blake2b(repr(marks).encode(), digest_size=16).hexdigest()
