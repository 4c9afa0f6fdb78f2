"""Rows of everything but DICOM."""

from __future__ import annotations

from pathlib import Path

from cases import SHARED_DATA
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.found import Found
from zoo import oracle_files
from zoo.compare import against
from zoo.expectations import TWINS
from zoo.rows import Row, read, row_of


def judge_refused(row: Row, path: Path) -> None:
    """A refusal is right if the reference refuses as well, or shows the shear that we ask about."""
    try:
        other = oracle_files.other(path)
    except Exception as error:
        row.verdict, row.reference = "refused", f"{type(error).__name__}: {error}"[:60]
        return
    if other.sheared and "shear" in row.note.lower():
        row.verdict, row.reference = "refused", "nibabel: sheared"
    else:
        row.reference = f"{other.reader} reads it"


def file_rows(where: str, path: Path, found: Found) -> list[Row]:
    """NIfTI, NRRD, MetaImage, GIPL, MGH, pictures: each item against another reader."""
    twin = TWINS.get(where)
    try:
        other, problem = oracle_files.other(SHARED_DATA / twin if twin else path), ""
    except Exception as error:
        other, problem = None, f"{type(error).__name__}: {error}"[:80]
    rows = []
    for number, item in enumerate(found.items):
        row = row_of(where, item)
        row.item = item.id if len(found.items) > 1 else ""
        rows.append(row)
        try:
            value = read(path, item.id if len(found.items) > 1 else None)
        except MedcnnError as error:
            if row.failed(error):
                continue
            if other is None:
                row.verdict, row.reference = "refused", problem
            else:
                judge_refused(row, path)
            continue
        if other is None:
            row.note = f"ours reads it, the reference does not: {problem}"
            continue
        row.reference = other.reader
        row.judge(against(value, other.layer(number, len(found.items))))
    return rows
