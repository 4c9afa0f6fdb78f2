"""DICOMDIR: the files a medium lists (PS3.3 F, PS3.10 8), only ever those inside its own folder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom

from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.header.elements import BROKEN
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.walk import FileAt, Skips, inside


def listed_files(path: Path, skips: Skips) -> Iterator[FileAt | None]:
    """Yield the files that a DICOMDIR lists, each once, in its order; None after each that is left out.

    Left out, by name and with the reason: what lies outside the folder of the DICOMDIR (absolute names, "..", links),
    and what is not there.  Names are found in any case, and with the version (";1") that old discs put behind them.

    Raises
    ------
    InputError
        The DICOMDIR cannot be read.
    """
    folder = path.parent
    real_root = os.path.realpath(folder)
    folders: dict[Path, dict[str, str]] = {}
    seen: set[str] = set()
    for parts in _references(path):
        name = "/".join(parts)
        if any(_climbs(part) for part in parts):
            skips.add(name, f"{shown(path)} points to it outside its own folder; that is refused")
            yield None
            continue
        target = _found(folder, parts, folders)
        if target is None:
            skips.add(name, f"{shown(path)} lists it, but it is not there; copy the whole disc")
            yield None
            continue
        try:
            real = os.path.realpath(target, strict=True)
            there = os.stat(real)
        except OSError as error:
            skips.add(name, f"cannot be read ({error.strerror})")
            yield None
            continue
        if not inside(real, real_root):
            skips.add(name, f"{shown(path)} lists a link to outside its folder; that is refused")
        elif not os.path.isfile(real):
            skips.add(name, "not a plain file")
        elif real not in seen:
            seen.add(real)
            yield FileAt(target, real, target.relative_to(folder).as_posix(), there)
            continue
        yield None


def _references(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the parts of each Referenced File ID (0004,1500)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, force=True)
            records = list(data.get("DirectoryRecordSequence") or ())
            found = [_parts(record) for record in records]
    except BROKEN as error:
        raise InputError(
            f"{shown(path)}: this DICOMDIR cannot be read ({plain(error, 100)}); open its folder"
        ) from error
    for parts in found:
        if parts:
            yield parts


def _parts(record: Any) -> tuple[str, ...]:
    value = record.get("ReferencedFileID")
    if value is None or value == "":
        return ()
    several = [value] if isinstance(value, str) else list(value)
    return tuple(str(part).strip(" \0") for part in several)


def _climbs(part: str) -> bool:
    """Return True for a part that is not the plain name of a file or folder."""
    return part in ("", ".", "..") or any(c in part for c in "/\\\0:")


def _found(folder: Path, parts: tuple[str, ...], folders: dict[Path, dict[str, str]]) -> Path | None:
    """Return the file of these parts, exactly so or else in another case, None if there is none."""
    exact = folder.joinpath(*parts)
    if os.path.lexists(exact):
        return exact
    at = folder
    for part in parts:
        if at not in folders:
            try:
                folders[at] = {_folded(name): name for name in sorted(os.listdir(at))}
            except OSError:
                folders[at] = {}
        name = folders[at].get(_folded(part))
        if name is None:
            return None
        at = at / name
    return at


def _folded(name: str) -> str:
    return name.partition(";")[0].rstrip(".").casefold()
