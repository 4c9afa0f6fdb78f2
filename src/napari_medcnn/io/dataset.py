"""``dataset.csv``, the one table of cases: ``case,patient,image,mask,class,split,site``.

Paths are relative to the table (absolute ones are read, never written), several channels or masks are joined by ``|``,
an empty cell means unknown. Comma, semicolon and tab are told apart when reading; written are UTF-8 and comma.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from napari_medcnn.errors import InputError, MedcnnError, ProjectError, SaveError

COLUMNS = ("case", "patient", "image", "mask", "class", "split", "site")
#: Splits that training reads; the others are kept from it.
TRAINING_SPLITS = ("train",)
_REQUIRED = ("case", "image")
_MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class Row:
    """One case. `patient` empty means unknown: the case then counts as a patient of its own."""

    case: str
    patient: str = ""
    image: tuple[Path, ...] = ()
    mask: tuple[Path, ...] = ()
    cls: str = ""
    split: str = ""
    site: str = ""


@dataclass(frozen=True)
class Dataset:
    """The rows of a table and the folder its relative paths start from."""

    rows: tuple[Row, ...]
    folder: Path

    def resolve(self, path: Path) -> Path:
        """Return where a path of a row points to."""
        return path if path.is_absolute() else self.folder / path

    def split(self, name: str) -> Dataset:
        """Return the cases of one split only."""
        return Dataset(tuple(row for row in self.rows if row.split == name), self.folder)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a table. `level` "stop": training must not start; "warn": is noted. `cases` are involved."""

    level: str
    kind: str
    text: str
    cases: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return self.text


def read_dataset(path: Path | str) -> Dataset:
    """Read a table.

    Raises
    ------
    ProjectError
        Missing, not UTF-8, without the columns case and image, with unknown columns, or rows of another length.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ProjectError(f"{path.name}: expected a table of cases, got {path.stat().st_size} bytes")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ProjectError(f"{path}: the table cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path.name}: expected UTF-8; save the table again as CSV UTF-8") from error
    lines = [row for row in csv.reader(io.StringIO(text), delimiter=_delimiter(text)) if any(c.strip() for c in row)]
    if not lines:
        raise ProjectError(f"{path.name}: the table is empty; its first line must be {','.join(COLUMNS)}")
    header = [cell.strip().lower() for cell in lines[0]]
    unknown, missing = [c for c in header if c not in COLUMNS], [c for c in _REQUIRED if c not in header]
    if unknown or missing or len(header) != len(set(header)):
        wrong = f"unknown {unknown[:5]}" if unknown else f"missing {missing}" if missing else "one stands twice"
        raise ProjectError(f"{path.name}: expected the columns {','.join(COLUMNS)}; {wrong}")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(header):
            raise ProjectError(f"{path.name}, line {number}: expected {len(header)} cells, got {len(cells)}")
        rows.append(_row(dict(zip(header, (c.strip() for c in cells), strict=True)), f"{path.name}, line {number}"))
    return Dataset(tuple(rows), path.resolve().parent)


def write_dataset(dataset: Dataset, path: Path | str) -> Path:
    """Write a table, complete or not at all: the old one is intact on any fault.

    Raises
    ------
    SaveError
        The disk refuses, or a row holds a path that cannot be written relative to the table.
    """
    path = Path(path)
    folder = path.resolve().parent
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in dataset.rows:
        images, masks = (_joined(files, dataset, folder, row.case) for files in (row.image, row.mask))
        writer.writerow((row.case, row.patient, images, masks, row.cls, row.split, row.site))
    raw = buffer.getvalue().encode("utf-8")
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=".dataset-", suffix=".csv", dir=folder)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        if temporary.read_bytes() != raw:
            raise SaveError(f"{path}: what was written does not read back equal; the old table is intact")
        os.replace(temporary, path)
    except OSError as error:
        raise SaveError(f"{path}: cannot be written ({error.strerror or error}); the old table is intact") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def add_case(path: Path | str, row: Row) -> Dataset:
    """Add a case to a table, or replace the row of the same case; the table is made if it is not there yet."""
    path = Path(path)
    old = read_dataset(path) if path.exists() else Dataset((), path.resolve().parent)
    rows = [row if known.case == row.case else known for known in old.rows]
    new = Dataset(tuple(rows if row in rows else [*rows, row]), old.folder)
    write_dataset(new, path)
    return new


SizeOf = Callable[[Path], tuple[int, ...]]


def size_of_file(path: Path) -> tuple[int, ...]:
    """Return the size (z, y, x) that the header of an image or mask file states; no voxel is read.

    Raises
    ------
    InputError
        The file is not an image.
    """
    from napari_medcnn.io.read import inspect  # all file formats, wanted only when files are looked into

    items = [item for item in inspect(path).items if item.kind != "other"]
    if not items:
        raise InputError(f"{path.name}: there is no image in this file")
    return tuple(n for n, letter in zip(items[0].shape, items[0].axes, strict=True) if letter in "zyx")


def check_dataset(
    dataset: Dataset, size_of: SizeOf | None = size_of_file, *, task: str = "segmentation"
) -> list[Problem]:
    """Return what is wrong with a table, gravest first; an empty list means training may start.

    Checked are: no case or one only, a case twice, missing files, images without label and labels without image, one
    patient or one identical file in several splits, identical images within a split, image and mask of different size
    (from their headers; None skips it), and one class only.
    """
    problems = _rows(dataset, task) + _files(dataset)
    problems += _leaks(dataset) + _copies(dataset)
    if size_of is not None:
        problems += _sizes(dataset, size_of)
    return sorted(problems, key=lambda problem: problem.level != "stop")


def _rows(dataset: Dataset, task: str) -> list[Problem]:
    found: list[Problem] = []
    if len(dataset.rows) < 2:
        found.append(Problem("stop", "too few", f"Expected at least 2 cases, got {len(dataset.rows)}; add cases."))
    cases = [row.case for row in dataset.rows]
    for case in sorted({c for c in cases if cases.count(c) > 1}):
        found.append(Problem("stop", "case twice", f"{case} stands in the table more than once.", (case,)))
    for row in dataset.rows:
        if not row.image:
            found.append(Problem("stop", "no image", f"{row.case} has no image.", (row.case,)))
        if task == "segmentation" and not row.mask:
            found.append(Problem("stop", "no mask", f"{row.case} has an image and no mask.", (row.case,)))
        if task == "classification" and not row.cls:
            found.append(Problem("stop", "no class", f"{row.case} has an image and no class.", (row.case,)))
    classes = {row.cls for row in dataset.rows if row.split in ("", *TRAINING_SPLITS)}
    if task == "classification" and len(classes) == 1 and classes != {""}:
        text = f"Every training case is {classes.pop()!r}; there is nothing to tell apart."
        found.append(Problem("stop", "one class", text))
    if dataset.rows and not any(row.split in ("", *TRAINING_SPLITS) for row in dataset.rows):
        found.append(Problem("stop", "no training", "No case has the split train; nothing can be learnt."))
    return found


def _files(dataset: Dataset) -> list[Problem]:
    found = []
    for row in dataset.rows:
        for kind, files in (("image", row.image), ("mask", row.mask)):
            for file in files:
                if not dataset.resolve(file).exists():
                    text = f"{row.case}: the {kind} {file} is not there."
                    found.append(Problem("stop", f"missing {kind}", text, (row.case,)))
    return found


def _leaks(dataset: Dataset) -> list[Problem]:
    """Find patients that stand in several splits: a model is then measured on whom it was trained on."""
    splits: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in dataset.rows:
        if row.patient and row.split:
            splits[row.patient][row.split].append(row.case)
    return [
        Problem(
            "stop",
            "patient in several splits",
            f"Patient {patient} is in {' and '.join(sorted(by_split))}; keep each patient in one split.",
            tuple(case for cases in by_split.values() for case in cases),
        )
        for patient, by_split in sorted(splits.items())
        if len(by_split) > 1
    ]


def _copies(dataset: Dataset) -> list[Problem]:
    """Find images whose files are equal byte by byte; only files of equal size are hashed."""
    by_size: dict[int, list[tuple[Row, Path]]] = defaultdict(list)
    for row in dataset.rows:
        for file in row.image:
            path = dataset.resolve(file)
            if path.is_file():
                by_size[path.stat().st_size].append((row, path))
    equal: dict[str, list[Row]] = defaultdict(list)
    for candidates in by_size.values():
        if len({row.case for row, _ in candidates}) > 1:
            for row, path in candidates:
                equal[_sha256(path)].append(row)
    found = []
    for rows in equal.values():
        cases = tuple(dict.fromkeys(row.case for row in rows))
        if len(cases) > 1:
            leak = len({row.split for row in rows if row.split}) > 1
            what = "hold the same image in different splits" if leak else "hold the same image"
            kind = "image in several splits" if leak else "image twice"
            found.append(Problem("stop" if leak else "warn", kind, f"{' and '.join(cases)} {what}.", cases))
    return found


def _sizes(dataset: Dataset, size_of: SizeOf) -> list[Problem]:
    found = []
    for row in dataset.rows:
        sizes: dict[Path, tuple[int, ...]] = {}
        for file in (*row.image, *row.mask):
            path = dataset.resolve(file)
            if not path.exists():
                continue
            try:
                sizes[file] = tuple(size_of(path))
            except MedcnnError as error:
                found.append(Problem("stop", "unreadable", f"{row.case}: {error}", (row.case,)))
        if len(set(sizes.values())) > 1:
            words = ", ".join(f"{f.name} {' x '.join(map(str, s[::-1]))}" for f, s in sizes.items())
            found.append(Problem("stop", "size", f"{row.case}: image and mask differ in size: {words}.", (row.case,)))
    return found


def _row(cells: dict[str, str], where: str) -> Row:
    if not cells["case"]:
        raise ProjectError(f"{where}: expected a name in the column case")
    return Row(
        cells["case"],
        cells.get("patient", ""),
        _paths(cells["image"]),
        _paths(cells.get("mask", "")),
        cells.get("class", ""),
        cells.get("split", ""),
        cells.get("site", ""),
    )


def _paths(cell: str) -> tuple[Path, ...]:
    """Split a cell at ``|``; backslashes of tables written on Windows are folders elsewhere as well."""
    parts = [part.strip() for part in cell.split("|") if part.strip()]
    return tuple(Path(p) if Path(p).exists() else Path(PureWindowsPath(p).as_posix()) for p in parts)


def _joined(files: Iterable[Path], dataset: Dataset, folder: Path, case: str) -> str:
    words = []
    for file in files:
        try:
            relative = Path(os.path.relpath(dataset.resolve(file).resolve(), folder))
        except ValueError as error:  # another drive on Windows
            raise SaveError(f"{case}: {file} is on another drive than the table; copy it beside the table") from error
        word = str(PurePosixPath(*relative.parts))
        if "|" in word:
            raise SaveError(f"{case}: {file} has | in its name, which parts several files; rename it")
        words.append(word)
    return "|".join(words)


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=first.count)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
