"""Measures on disk: tables for other programs, and the record that is kept with a scan in our own folder."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_medcnn.core.measures import Measure
from napari_medcnn.core.ruler import SetScale
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.atomic import atomic_write
from napari_medcnn.io.found import shown

Cell = str | int | float | None
FORMAT, VERSION = "napari-medcnn measures", 1
#: About ten thousand measures; a larger file is none of ours.
MAX_BYTES = 4_000_000
#: A spreadsheet would run a cell that begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Table:
    """Rows under headers with their units in them."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Kept:
    """What is kept with a scan: its measures, and the scale that the user set."""

    measures: tuple[Measure, ...] = ()
    scale: SetScale | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; nothing of the scan is in it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "scale": None if self.scale is None else self.scale.to_json(),
            "measures": [measure.to_json() for measure in self.measures],
        }

    @classmethod
    def from_json(cls, data: Any) -> Kept:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            It is no such record, or one of a later version.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise InputError("measures: expected a record of measures, got something else")
        if data.get("version") != VERSION:
            raise InputError(
                f"measures: expected version {VERSION}, got {str(data.get('version'))[:20]}; a newer napari-medcnn "
                "wrote it, open it there"
            )
        rows, scale = data.get("measures"), data.get("scale")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError("measures: expected a list of measures")
        if scale is not None and not isinstance(scale, dict):
            raise InputError("scale: expected known_mm and drawn")
        return cls(tuple(Measure.from_json(row) for row in rows), None if scale is None else SetScale.from_json(scale))


def stamp() -> str:
    """Return the time of now as tables state it: ISO 8601, local, with its offset from UTC."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def as_csv(table: Table) -> str:
    """Return a table with commas between cells, a point in numbers, and one line feed per row."""
    return _text(table, ",", "\n")


def as_tsv(table: Table) -> str:
    """Return a table for the clipboard: spreadsheets take tabs."""
    return _text(table, "\t", "\n")


def save_table(table: Table, path: Path) -> None:
    """Write a table as CSV in UTF-8; the old file stays until the new one is proven.

    Raises
    ------
    SaveError
        The disk refuses.
    """
    raw = as_csv(table).encode("utf-8")
    atomic_write(path, lambda target: _write(target, raw), lambda target: _check(target, raw))


def save_kept(kept: Kept, path: Path) -> None:
    """Keep measures; a scan without any keeps no file.

    Raises
    ------
    SaveError
        The disk refuses.
    """
    if not kept.measures and kept.scale is None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SaveError(f"{shown(path)}: the old measures cannot be deleted ({error.strerror or error})") from error
        return
    raw = json.dumps(kept.to_json(), ensure_ascii=False, indent=1).encode("utf-8")
    atomic_write(path, lambda target: _write(target, raw), lambda target: _check(target, raw))


def read_kept(path: Path) -> Kept:
    """Return what was kept; nothing if there is no file.

    Raises
    ------
    InputError
        The file cannot be read. It is put aside under another name, so that nothing is written over it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _put_aside(path, f"expected at most {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Kept()
    except (OSError, UnicodeDecodeError) as error:
        raise _put_aside(path, str(error)) from error
    try:
        return Kept.from_json(json.loads(text))
    except (ValueError, RecursionError, InputError) as error:
        raise _put_aside(path, str(error)) from error


def _put_aside(path: Path, why: str) -> InputError:
    aside = path.with_suffix(".unreadable")
    try:
        path.replace(aside)
        where = f"they were put aside as {aside.name} in {aside.parent}"
    except OSError:
        where = f"they stay in {path}"
    return InputError(f"The measures kept with this scan cannot be read ({why[:120]}); {where}.")


def _text(table: Table, delimiter: str, end: str) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end)
    writer.writerow(table.header)
    writer.writerows([_cell(cell) for cell in row] for row in table.rows)
    return buffer.getvalue()


def _cell(cell: Cell) -> str:
    """Return a cell's text: numbers with a point and six digits, words on one line and never as a formula."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.6g}"
    if isinstance(cell, int):
        return str(cell)
    words = " ".join(cell.split())
    return f"'{words}" if words.startswith(_FORMULA) else words


def _write(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def _check(path: Path, raw: bytes) -> None:
    if path.read_bytes() != raw:
        raise SaveError("the bytes differ")
