"""What a file or folder holds, told before any voxel is read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import InputError

Kind = Literal["volume", "labels", "picture", "other"]

_DOUBLE_SUFFIXES = (".nii.gz", ".seg.nrrd", ".img.gz", ".hdr.gz", ".ome.tif", ".ome.tiff", ".gipl.gz")


@dataclass(frozen=True)
class Person:
    """Whom a study is of.  For the screen only, and only while names are shown: never logged, saved or exported.

    All may be empty; `birth_date` is YYYY-MM-DD.  The representation tells nothing.
    """

    name: str = field(default="", repr=False)
    id: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)


@dataclass(frozen=True)
class Study:
    """The examination an image belongs to; `date` is YYYY-MM-DD.  Everything may be empty."""

    uid: str = ""
    date: str = ""
    description: str = ""
    person: Person = Person()


@dataclass(frozen=True)
class Item:
    """One image inside a file or folder.

    Parameters
    ----------
    id
        Stable name inside its file or folder: the DICOM series, a layer, or the path relative to the folder.
    kind
        ``"other"`` for what is recognised and not read; `warnings` then says why.
    axes
        Letters of t, c, z, y, x in the order of `shape`; empty for ``"other"``.
    shape
        Size along each axis as the array will have it.
    dtype
        NumPy name of the type as stored, before any modality rescale.
    geometry
        Grid, None where the header states none that can be used; `warnings` then says why.
    modality, series_uid
        DICOM values, or empty.
    title
        For people; never a patient's name or number.
    warnings
        What is odd or missing, in words: all that `report` assumed or refused.
    files
        The files the voxels come from.
    report
        What was found, assumed and refused, and which consent opens it.
    study
        Whom and which examination it belongs to; None where the format says nothing of it.
    series_number, description, date
        Of the DICOM series (date YYYY-MM-DD, of the series or else of the study), or empty.
    nbytes
        Bytes of the files on disk; 0 if unknown.
    basis
        What its reader needs to open it without looking again; nobody else's business.
    """

    id: str
    kind: Kind
    axes: str
    shape: tuple[int, ...]
    dtype: str
    geometry: Geometry | None
    modality: str = ""
    series_uid: str = ""
    title: str = ""
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    report: Report = Report()
    study: Study | None = None
    series_number: str = ""
    description: str = ""
    date: str = ""
    nbytes: int = 0
    basis: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Found:
    """The items of `path`, and what was left out as (path, reason); both may be empty.

    `roots` are the files and folders that were looked at together, `path` the first of them.
    """

    path: Path
    items: tuple[Item, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    roots: tuple[Path, ...] = ()

    def item(self, item_id: str | None) -> Item:
        """Return the item of that id; with None, the only one there is.

        Raises
        ------
        InputError
            There is none, or several and none named; they are listed.
        """
        if item_id is None and len(self.items) == 1:
            return self.items[0]
        for candidate in self.items:
            if candidate.id == item_id:
                return candidate
        listed = "; ".join(f"{i.id} ({i.title}, {'x'.join(map(str, i.shape)) or i.kind})" for i in self.items[:12])
        more = f"; and {len(self.items) - 12} more" if len(self.items) > 12 else ""
        problem = "several images" if item_id is None else f"no image {plain(item_id)!r}"
        raise InputError(f"{shown(self.path)}: {problem} here; choose one: {listed}{more}")


def files_of(name: str) -> int:
    """Return how many files an entry of `Found.skipped` stands for: 1, or those of its "and 12 more"."""
    more = re.fullmatch(r"and ([\d,]+) more", name)
    return int(more[1].replace(",", "")) if more else 1


def plain(text: object, limit: int = 80) -> str:
    """Return header text as one line of printable characters, cut to `limit`: never markup, never control codes."""
    head = str(text)[: limit * 4 + 16]
    line = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def stem(path: Path) -> str:
    """Return a file's name without its image suffix, as plain text of at most 60 characters; never empty."""
    name = path.name
    for suffix in _DOUBLE_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return plain(name[: -len(suffix)], 60) or "Scan"
    return plain(path.stem, 60) or "Scan"


def shown(path: Path) -> str:
    """Return a path for a message: its name only, plain and cut."""
    return plain(path.name, 100) or plain(os.fspath(path), 100)
