"""What files, folders and media hold, from headers only: with progress, stoppable, nothing outside them ever read."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_medcnn.core.events import Progress
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.dicom.directory import listed_files
from napari_medcnn.io.dicom.facts import Header
from napari_medcnn.io.dicom.header.elements import text
from napari_medcnn.io.dicom.headers import header_from_json, header_to_json, open_dataset, person_of, read_header
from napari_medcnn.io.dicom.index import HeaderIndex
from napari_medcnn.io.dicom.items import Known, State, item_steps, state_of
from napari_medcnn.io.formats import READS, inspect_file
from napari_medcnn.io.found import Found, Item, Person, plain, shown
from napari_medcnn.io.sniff import Format, describe_unknown, head_of, is_gzip, sniff
from napari_medcnn.io.walk import FileAt, Skips, walk

Steps = Generator[Progress, None, Any]
#: Ten words a second are enough for people, and few enough for a window.
_EVERY_S = 0.09
_ARCHIVES = (
    (0, b"PK\x03\x04", "ZIP"), (0, b"PK\x05\x06", "ZIP"), (257, b"ustar", "tar"), (0, b"7z\xbc\xaf", "7-Zip"),
    (0, b"Rar!", "RAR"), (0, b"BZh", "bzip2"), (0, b"\xfd7zXZ", "xz"), (0, b"\x28\xb5\x2f\xfd", "zstd"),
)  # fmt: skip


def scan_steps(paths: Sequence[Path], index: HeaderIndex | None = None) -> Generator[Progress, None, Found]:
    """Look at files and folders together; the generator's value is what was found.  Closing it stops the work.

    DICOM files of all of them become one item per image; other files one each, named by their path in the folder.  Of
    a DICOMDIR only the files that it lists are looked at.  A single file that cannot be read is an error; in a folder,
    or beside others, it is in `Found.skipped` with the reason.

    Parameters
    ----------
    index
        What headers of known files said; written to as well.

    Raises
    ------
    InputError
        Nothing is there, or nothing of it is an image.
    """
    roots = tuple(Path(path) for path in paths)
    if not roots:
        raise InputError("paths: expected at least one file or folder")
    return (yield from _Scan(roots, index).steps())


class _Scan:
    """One look at some files and folders: what was found so far."""

    def __init__(self, roots: tuple[Path, ...], index: HeaderIndex | None) -> None:
        self._roots = roots
        self._index = index
        self._salt = secrets.token_bytes(32) if index is None else index.salt
        self._alone = len(roots) == 1 and not roots[0].is_dir()
        self._skips = Skips()
        self._headers: list[Header] = []
        self._names: dict[Path, str] = {}
        self._states: dict[Path, State] = {}
        self._broken: dict[str, int] = {}
        self._items: list[Item] = []
        self._series: set[str] = set()
        self._last = time.monotonic()

    def steps(self) -> Generator[Progress, None, Found]:
        """Do all of it."""
        try:
            files = yield from self._gather()
            seen = {file.real for file in files}
            for number, file in enumerate(files):
                if self._due():
                    count = len(self._series) + len(self._items)
                    words = (
                        f"{number:,} of about {len(files):,} files; {count} {'series' if self._series else 'images'}"
                    )
                    yield Progress(number / len(files), words)
                if self._look(file) and file.path in self._roots:
                    listed = yield from self._listed(file)
                    files += [one for one in listed if one.real not in seen]
                    seen |= {one.real for one in listed}
        finally:
            if self._index is not None:
                self._index.flush()
        found = yield from self._sorted()
        self._items = [*found, *self._items]
        if not self._items:
            raise self._nothing(len(files))
        return Found(self._roots[0], tuple(self._items), self._skips.entries(), self._roots)

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last < _EVERY_S:
            return False
        self._last = now
        return True

    def _gather(self) -> Generator[Progress, None, list[FileAt]]:
        """Return all files to look at, each once."""
        files: dict[str, FileAt] = {}
        prefixes = _prefixes(self._roots)
        for root, prefix in zip(self._roots, prefixes, strict=True):
            for file in self._files_of(root, prefix):
                if file is not None:
                    files.setdefault(file.real, file)
                if self._due():
                    yield Progress(None, f"Looking for files: {len(files):,} so far")
        return list(files.values())

    def _files_of(self, root: Path, prefix: str) -> Generator[FileAt | None, None, None]:
        try:
            there = os.stat(root)
        except OSError as error:
            self._refuse(root.name, InputError(f"{shown(root)}: nothing is there ({error.strerror}); check the path"))
            return
        if root.is_dir():
            yield from walk(root, self._skips, prefix)
        else:
            yield FileAt(root, os.path.realpath(root), prefix or root.name, there)

    def _listed(self, file: FileAt) -> Generator[Progress, None, list[FileAt]]:
        """Return the files that a DICOMDIR lists."""
        self._alone = False
        found: list[FileAt] = []
        try:
            for one in listed_files(file.path, self._skips):
                found += [] if one is None else [one]
                if self._due():
                    yield Progress(None, f"Looking for files: {len(found):,} so far")
        except InputError as error:
            self._refuse(file.name, error)
        return found

    def _refuse(self, name: str, error: InputError) -> None:
        if len(self._roots) == 1:
            raise error
        self._skips.add(name, str(error))

    def _look(self, file: FileAt) -> bool:
        """Look at one file; faults are noted, unless it is the only one.  True for a DICOMDIR."""
        try:
            known = None if self._index is None else self._index.find(file.real, file.stat)
            if known is None:
                known = self._read(file)
            return self._take(file, known)
        except InputError as error:
            if self._alone:
                raise
            self._skips.add(file.name, str(error))
            self._remember_broken(file)
            return False

    def _remember_broken(self, file: FileAt) -> None:
        """Keep of which series a file says it is that cannot be read: its images then say that one is missing."""
        try:
            uid = text(open_dataset(file.path), "SeriesInstanceUID") if sniff(file.path) == "dicom" else ""
        except InputError:
            return
        if uid:
            self._broken[uid] = self._broken.get(uid, 0) + 1

    def _read(self, file: FileAt) -> Mapping[str, Any]:
        """Return what the file is, as the index keeps it; put it there if the file stayed as it was meanwhile."""
        kind = sniff(file.path)
        known: dict[str, Any] = {"kind": kind}
        if kind == "dicom":
            if is_gzip(file.path):
                raise UnsupportedError(f"{shown(file.path)}: a compressed (gzip) DICOM file; unpack it first")
            known["header"] = header_to_json(read_header(file.path, self._salt))
        try:
            now = os.stat(file.path)
        except OSError as error:
            raise InputError(f"it vanished while it was looked at ({error.strerror})") from error
        if state_of(now) != state_of(file.stat):
            raise InputError("it changed while it was looked at; look again when it is complete")
        if self._index is not None:
            self._index.put(file.real, file.stat, known)
        return known

    def _take(self, file: FileAt, known: Mapping[str, Any]) -> bool:
        """Keep what a file is; True for a DICOMDIR that was asked for itself, which is not kept."""
        kind: Format | None = known["kind"]
        if kind is None:
            what = _archive(file.path) or describe_unknown(file.path)
            if self._alone:
                raise UnsupportedError(f"{shown(file.path)}: {what}; {READS}")
            self._skips.add(file.name, what)
        elif kind == "dicom":
            header = header_from_json(file.path, known["header"])
            if header.kind == "directory" and file.path in self._roots:
                return True
            self._headers.append(header)
            self._names[file.path] = file.name
            self._states[file.path] = state_of(file.stat)
            if header.kind == "image":
                self._series.add(header.series_uid)
        else:
            own = inspect_file(file.path, kind)
            if not self._alone:
                own = tuple(
                    replace(i, id=file.name if len(own) == 1 else f"{file.name}:{i.id}", title=i.title or file.name)
                    for i in own
                )
            self._items += own
        return False

    def _sorted(self) -> Generator[Progress, None, tuple[Item, ...]]:
        """Return the DICOM items; whom they are of is read once for each person."""
        persons: dict[str, Person] = {}
        for header in self._headers:
            if header.person_key and header.person_key not in persons:
                try:
                    persons[header.person_key] = person_of(header.path)
                except InputError:
                    continue  # another file of the same person may do
                if self._due():
                    yield Progress(None, f"Sorting {len(self._headers):,} files")
        steps = item_steps(self._headers, Known(persons, self._states, self._broken))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                items, skipped = end.value
                break
            if self._due():
                yield Progress(None, f"Sorting {len(self._headers):,} files; {len(self._series)} series")
        for path, reason in skipped:
            if self._alone:
                raise UnsupportedError(reason if reason.startswith(shown(path)) else f"{shown(path)}: {reason}")
            self._skips.add(self._names[path], reason)
        return tuple(items)

    def _nothing(self, files: int) -> InputError:
        root, entries = self._roots[0], self._skips.entries()
        first = f"; {entries[0][0]}: {entries[0][1]}" if entries else ""
        count = max(files, self._skips.count)
        where = "here" if len(self._roots) > 1 else "in this folder" if root.is_dir() else "in what it lists"
        others = "1 other file" if count == 1 else f"{count:,} other files"
        return InputError(f"{shown(root)}: no image {where} ({others}{plain(first, 160)}); {READS}")


def _archive(path: Path) -> str:
    """Return words for an archive, "" for anything else; what is in it is never looked at."""
    head = head_of(path)
    for at, magic, name in _ARCHIVES:
        if head[at : at + len(magic)] == magic:
            return f"an archive ({name}); archives are not opened here: unpack it and open the folder"
    return ""


def _prefixes(roots: Sequence[Path]) -> list[str]:
    """Return a name for each of several roots, all different; "" where there is only one."""
    if len(roots) == 1:
        return [""]
    found: list[str] = []
    for root in roots:
        name, number = plain(root.name, 100) or "folder", 2
        while name in found:
            name, number = f"{plain(root.name, 100)} ({number})", number + 1
        found.append(name)
    return found
