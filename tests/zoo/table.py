"""The table: every file alone, every folder as dropped on the window, each row with its reference and verdict."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from napari_medcnn.errors import MedcnnError
from zoo import oracle_files, rows_files
from zoo.rows import FAULT, NO_DATA, Row, UnnamedError, content, inspect
from zoo.rows_dicom import dicom_rows


def data_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in NO_DATA)


def file_rows(base: Path, path: Path) -> list[Row]:
    """Open one file alone."""
    where = path.relative_to(base).as_posix()
    try:
        found = inspect(path)
    except MedcnnError as error:
        return [_refused(where, path, error)]
    if not oracle_files.looks_dicom(path):
        return rows_files.file_rows(where, path, found)
    return dicom_rows(where, path, found.items)


def _refused(where: str, path: Path, error: MedcnnError) -> Row:
    """A file that does not open: right only if the oracle finds no image either, or the refusal is expected."""
    row = Row(where, kind="-")
    if row.failed(error):
        return row
    if path.suffix in (".zip", ".tar", ".tgz"):
        row.verdict = "archive"
        return row
    if oracle_files.kind_of(path) is not None:
        rows_files.judge_refused(row, path)
        return row
    held = content(path) if oracle_files.looks_dicom(path) else None
    if held is None:
        row.verdict, row.reference = "no image", "no format known"
    elif held.kind in ("none", "structures"):
        row.verdict, row.reference = "no image", held.why[:40]
    elif held.kind in ("undecodable", "slide"):
        row.verdict, row.reference = "refused", held.why[:60]
    elif held.kind == "directory" and not any(_holds_image(p) for p in oracle_files.listed(path, held.data)):
        row.verdict, row.reference = "no image", "lists no image"
    return row


def _holds_image(path: Path) -> bool:
    held = content(path) if path.is_file() else None
    return held is not None and held.kind not in ("none", "undecodable")


def drop_rows(base: Path, folder: Path) -> list[Row]:
    """Open a folder: every file is in an item or named as left out; DICOM items hold every frame of their files."""
    where = folder.relative_to(base).as_posix() + "/"
    files = {p for p in folder.rglob("*") if p.is_file()}
    try:
        found = inspect(folder)
    except MedcnnError as error:
        row = Row(where, kind="folder")
        if not row.failed(error) and all(_imageless(base, p) for p in files):
            row.verdict = "no image"
        return [row]
    named = {folder / name for name, _ in found.skipped}
    counted = sum(int(m[1].replace(",", "")) for n, _ in found.skipped if (m := re.fullmatch(r"and ([\d,]+) more", n)))
    held = {f for item in found.items for f in item.files}
    lost = sorted(p.relative_to(folder).as_posix() for p in files - named - held)
    row = Row(where, kind="folder", reference="list of files", verdict="equal" if len(lost) == counted else FAULT)
    row.note = f"{len(files)} files: {len(held)} in {len(found.items)} items, {len(files) - len(held)} left out"
    if row.verdict == FAULT:
        row.note += f"; {counted} counted, LOST {lost[:5]}"
    if not any(p.parent == folder for p in data_files(folder)):
        return [row]
    items = tuple(i for i in found.items if i.files and oracle_files.looks_dicom(i.files[0]))
    return [row, *dicom_rows(where, folder, items)]


def _imageless(base: Path, path: Path) -> bool:
    if path.name in NO_DATA:
        return True
    return all(r.verdict in ("no image", "refused", "archive") for r in file_rows(base, path))


def rows_of(base: Path, folder: Path) -> Iterator[Row]:
    """Yield the rows of one of the data folders: each file alone, then each folder that holds files."""
    for path in data_files(folder):
        yield from file_rows(base, path)
    for inside in sorted({p.parent for p in data_files(folder)} | {folder}):
        yield from drop_rows(base, inside)


def all_rows(base: Path, only: str = "") -> Iterator[Row]:
    """Yield every row of every data folder whose name holds `only`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for folder in sorted(p for p in base.iterdir() if p.is_dir() and only in p.name):
            for row in rows_of(base, folder):
                if row.difference == UnnamedError.__name__:
                    row.verdict = FAULT
                yield row
