"""The plain files under a folder, in order of name; all else is left out, named and counted, and never opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from napari_medcnn.io.found import plain

#: More files than this in one folder are not walked; the rest is said to be left out.
MAX_FILES = 200_000
#: Of one reason so many are named, the rest is counted.
_NAMED = 40
#: So many different reasons are told.
_REASONS = 300

_KINDS = (
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISFIFO, "a pipe, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)


class FileAt(NamedTuple):
    """A plain file: its path, its real path, its name for people, and what the system says of it."""

    path: Path
    real: str
    name: str
    stat: os.stat_result


class Skips:
    """Collects what was left out and why: a few of each reason by name, the rest by count."""

    def __init__(self) -> None:
        self._by_reason: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, reason: str) -> None:
        """Leave out `name`; both are cut to plain text, and the name is not said twice."""
        reason = plain(reason.removeprefix(f"{Path(name).name}: "), 400)
        if reason not in self._counts and len(self._counts) >= _REASONS:
            reason = "other reasons, not listed; open the file alone to see why"
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if self._counts[reason] <= _NAMED:
            self._by_reason.setdefault(reason, []).append(plain(name, 200))

    @property
    def count(self) -> int:
        """How many were left out."""
        return sum(self._counts.values())

    def entries(self) -> tuple[tuple[str, str], ...]:
        """Return (name, reason) in the order they came; after the last one named, how many more there are."""
        found: list[tuple[str, str]] = []
        for reason, names in self._by_reason.items():
            found += [(name, reason) for name in names]
            more = self._counts[reason] - len(names)
            if more:
                found.append((f"and {more:,} more", reason))
        return tuple(found)


def walk(root: Path, skips: Skips, prefix: str = "") -> Iterator[FileAt | None]:
    """Yield the plain files under `root`, subfolders included; None after each thing left out, so that work can stop.

    Left out are hidden files and folders, sockets, pipes, devices, folders that cannot be read, and links: to a file
    that is there anyway, and to anything outside `root`.  A link to a file inside that is not listed otherwise (its
    folder is hidden) stands for it.  Folders behind links are never entered, so there are no loops.  Names are relative
    to `root`, with `prefix` in front.
    """
    real_root = os.path.realpath(root)
    seen: set[tuple[int, int]] = set()
    links: list[tuple[Path, str]] = []
    waiting, count = [(Path(root), prefix, real_root)], 0
    while waiting:
        folder, name, real = waiting.pop()  # no link lies between `real_root` and `real`
        below: list[tuple[Path, str, str]] = []
        for entry in _entries(folder, name, skips):
            child = f"{name}/{entry.name}" if name else entry.name
            try:
                there = os.lstat(entry.path)
            except OSError as error:
                skips.add(child, f"cannot be read ({error.strerror})")
                yield None
                continue
            if stat.S_ISLNK(there.st_mode):
                links.append((Path(entry.path), child))
            elif entry.name.startswith("."):
                skips.add(child, "a hidden folder" if stat.S_ISDIR(there.st_mode) else "a hidden file")
            elif stat.S_ISDIR(there.st_mode):
                below.append((Path(entry.path), child, os.path.join(real, entry.name)))
            elif not stat.S_ISREG(there.st_mode):
                skips.add(child, next((words for test, words in _KINDS if test(there.st_mode)), "not a plain file"))
            else:
                count += 1
                if count > MAX_FILES:
                    skips.add("...", f"more than {MAX_FILES:,} files; the rest was not looked at, open a part of it")
                    return
                seen.add((there.st_dev, there.st_ino))
                yield FileAt(Path(entry.path), os.path.join(real, entry.name), child, there)
                continue
            yield None
        waiting += reversed(below)
    for path, name in links:
        yield _behind(path, name, real_root, seen, skips)


def _entries(folder: Path, name: str, skips: Skips) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        skips.add(name or folder.name, f"this folder cannot be read ({error.strerror})")
        return []


def _behind(path: Path, name: str, real_root: str, seen: set[tuple[int, int]], skips: Skips) -> FileAt | None:
    """Return the file that a link stands for, None (and why) if it is outside, there anyway, or no file."""
    try:
        real = os.path.realpath(path, strict=True)
        there = os.stat(real)
    except OSError:
        skips.add(name, "a link that leads nowhere")
        return None
    if not inside(real, real_root):
        skips.add(name, "a link to outside this folder; it was not followed")
    elif stat.S_ISDIR(there.st_mode):
        skips.add(name, "a link to a folder; it was not followed")
    elif not stat.S_ISREG(there.st_mode):
        skips.add(name, "a link to something that is no file")
    elif (there.st_dev, there.st_ino) in seen:
        skips.add(name, "a link to a file that is read where it lies")
    else:
        seen.add((there.st_dev, there.st_ino))
        return FileAt(path, real, name, there)
    return None


def inside(real: str, real_root: str) -> bool:
    """Return True if a real path lies in a real folder."""
    return real == real_root or real.startswith(os.path.join(real_root, ""))
