"""A case as one zip to hand on: equal content gives equal bytes, every file has its check sum, names are our own.

Entries carry no date, and no name of a file that a hospital gave: those hold names of patients.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.atomic import atomic_write, check_folder
from napari_medcnn.io.found import shown

MANIFEST, README = "manifest.json", "README.txt"
LEFT_OUT = "(left out)"
_NAME = re.compile(r"(?:[a-z0-9][a-z0-9_-]{0,40}/)?[a-z0-9A-Z][A-Za-z0-9_-]{0,60}(?:\.[a-z0-9]{1,8}){1,2}")
#: Packed already: packing them again costs time and saves nothing.
_PACKED = (".gz", ".png", ".gif", ".mp4")
_DATE = (1980, 1, 1, 0, 0, 0)
_BLOCK = 1 << 20
_SPARE_BYTES = 1 << 20
#: DICOM UIDs (PS3.5 section 9.1), dates as people and as DICOM write them, and paths.
_UID = re.compile(r"(?<![\w.])[0-2](?:\.\d+){4,}(?![\w.])")
_DATES = re.compile(r"(?<![0-9A-Za-z])(?:19|20)\d\d(?:-[01]\d-[0-3]\d|[01]\d[0-3]\d)(?:T[\d:.+-]+Z?)?(?![0-9A-Za-z])")
_PATHS = re.compile(r"(?<![\w/])(?:[A-Za-z]:[\\/]|\\\\|~?/)[^\s\"',;()]+")


@dataclass(frozen=True)
class Entry:
    """One file of the zip.

    Parameters
    ----------
    name
        In the zip: ``mask.nii.gz``, ``pictures/axial.png``; letters, digits, ``-``, ``_`` and at most one folder.
    what
        What it is, in words, for README and manifest.
    source
        Its bytes, or the file that holds them.
    """

    name: str
    what: str
    source: bytes | Path

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"name in the zip: expected plain letters, digits, - and _, got {self.name[:60]!r}")

    @property
    def size(self) -> int:
        """Bytes before packing."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


def without_identifiers(text: str, words: Iterable[str] = ()) -> str:
    """Return text without UIDs, dates and paths, and without `words`, in whatever case they stand in it."""
    for pattern in (_UID, _DATES, _PATHS):
        text = pattern.sub(LEFT_OUT, text)
    for word in sorted({w for w in words if len(w.strip()) > 1}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", LEFT_OUT, text, flags=re.IGNORECASE)
    return text


def write_share(entries: Sequence[Entry], path: Path | str, stop: Callable[[], None]) -> None:
    """Write the zip with a manifest, read every file of it back and compare; then it takes its place.

    Parameters
    ----------
    entries
        In any order; names differ, also for systems that ignore case.
    stop
        Called between blocks; raises `Cancelled` to end it.

    Raises
    ------
    InputError
        Nothing to write, or a name twice.
    SaveError
        No room, the disk failed, or what was written differs; an old file of that name is intact.
    """
    path = Path(path)
    ordered = sorted(entries, key=lambda entry: entry.name)
    names = [entry.name.casefold() for entry in ordered]
    if not ordered or len(set(names)) != len(names) or MANIFEST in names:
        raise InputError(f"share: expected files of different names, got {names or 'none'}")
    check_folder(path.absolute().parent)
    needed = sum(entry.size for entry in ordered) + _SPARE_BYTES
    free = shutil.disk_usage(path.absolute().parent).free
    if free < needed:
        raise SaveError(
            f"{shown(path)}: not saved, it needs up to {needed / 1e6:.0f} MB and the disk has {free / 1e6:.0f} MB "
            "left; free some space, choose another place, or leave the image out"
        )
    sums: dict[str, tuple[int, str]] = {}

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w") as archive:
            for entry in ordered:
                sums[entry.name] = _add(archive, entry, stop)
            _add(archive, Entry(MANIFEST, "", _manifest(ordered, sums)), stop)

    def verify(temporary: Path) -> None:
        try:
            with zipfile.ZipFile(temporary) as archive:
                back = {name: _sum(archive, name, stop) for name in archive.namelist()}
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise SaveError(
                f"{shown(path)}: not saved, the zip cannot be read back; the old file is unchanged"
            ) from error
        back.pop(MANIFEST, None)
        if back != sums:
            raise SaveError(f"{shown(path)}: not saved, the zip read back differs; the old file is unchanged")

    atomic_write(path, write, verify)


def _manifest(entries: Sequence[Entry], sums: dict[str, tuple[int, str]]) -> bytes:
    files = [
        {"name": e.name, "what": e.what, "bytes": sums[e.name][0], "sha256": sums[e.name][1]} for e in entries
    ]  # fmt: skip
    data = {"medcnn_share": 1, "research_use": "Research use only, not for diagnosis.", "files": files}
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _add(archive: zipfile.ZipFile, entry: Entry, stop: Callable[[], None]) -> tuple[int, str]:
    """Write one file and return its size and sha256."""
    item = zipfile.ZipInfo(entry.name, _DATE)
    item.create_system, item.external_attr = 3, 0o644 << 16  # the same bytes from every system
    item.compress_type = zipfile.ZIP_STORED if entry.name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
    digest, size = hashlib.sha256(), 0
    with archive.open(item, "w", force_zip64=True) as member:
        if isinstance(entry.source, bytes):
            member.write(entry.source)
            return len(entry.source), hashlib.sha256(entry.source).hexdigest()

        def take(block: bytes) -> None:
            digest.update(block)
            member.write(block)

        with entry.source.open("rb") as file:
            size = _copy(file, take, stop)
    return size, digest.hexdigest()


def _sum(archive: zipfile.ZipFile, name: str, stop: Callable[[], None]) -> tuple[int, str]:
    digest = hashlib.sha256()
    with archive.open(name) as member:
        size = _copy(member, digest.update, stop)  # type: ignore[arg-type]
    return size, digest.hexdigest()


def _copy(file: BinaryIO, take: Callable[[bytes], object], stop: Callable[[], None]) -> int:
    size = 0
    while block := file.read(_BLOCK):
        stop()
        take(block)
        size += len(block)
    return size
