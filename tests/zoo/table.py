"""The table: every file alone, every folder as dropped on the window, each row with its reference and verdict."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import ConsentNeededError, MedcnnError
from napari_medcnn.io.found import Found, Item
from napari_medcnn.io.read import inspect, read
from zoo import oracle_dicom, oracle_files
from zoo.compare import Match, Placement, against, difference
from zoo.compare_seg import against_segments
from zoo.expectations import refusal_of, same_picture
from zoo.irregular import WORDS, problem
from zoo.oracle_dicom import Content

FINE = ("equal", "near", "refused", "no image", "archive")
FAULT = "FAULT"
NO_DATA = ("README.md", "MANIFEST.csv")


@dataclass
class Row:
    """One line; `where` is the path below the data folder."""

    where: str
    item: str = ""
    kind: str = ""
    shape: str = ""
    reference: str = ""
    difference: str = ""
    verdict: str = ""
    note: str = ""

    def line(self) -> str:
        cells = (
            self.where[-70:],
            self.item[-24:],
            self.kind,
            self.shape,
            self.reference,
            self.difference,
            self.verdict,
        )
        widths = (70, 24, 9, 18, 14, 22, 8)
        return (
            "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + "  " + " ".join(self.note.split())[:300]
        )


@lru_cache(maxsize=400)
def content(path: Path) -> Content | None:
    return oracle_dicom.content(path)


def data_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in NO_DATA)


def rows_of(base: Path, folder: Path) -> Iterator[Row]:
    """Yield the rows of one of the data folders: each file alone, then each folder that holds files."""
    for path in data_files(folder):
        yield from file_rows(base, path)
    for inside in sorted({p.parent for p in data_files(folder)} | {folder}):
        yield from drop_rows(base, inside)


def file_rows(base: Path, path: Path) -> list[Row]:
    """Open one file alone."""
    where = path.relative_to(base).as_posix()
    try:
        found = inspect(path)
    except MedcnnError as error:
        return [_refused(where, path, error)]
    held = content(path) if found.items and _is_dicom(found, path) else None
    if held is None:
        return _other_rows(where, path, found)
    if held.kind == "directory":
        return _directory_rows(where, path, found)
    if held.kind == "seg":
        return [_seg_row(where, path, found, held)]
    return _image_rows(where, path, found.items, [held])


def _is_dicom(found: Found, path: Path) -> bool:
    return oracle_files.looks_dicom(path)


def _refused(where: str, path: Path, error: MedcnnError) -> Row:
    """A file that does not open: right only if the oracle finds no image either, or the refusal is expected."""
    row = Row(where, kind="-", verdict=FAULT, note=str(error), difference=type(error).__name__)
    expected = refusal_of(where, str(error))
    if expected is not None:
        row.verdict, row.reference = "refused", expected.why
        return row
    if path.suffix in (".zip", ".tar", ".tgz"):
        row.verdict = "archive"
        return row
    if oracle_files.kind_of(path) is not None:
        _judge_other(row, path)
        return row
    held = content(path) if oracle_files.looks_dicom(path) else None
    if held is None:
        row.verdict, row.reference = "no image", "no format known"
    elif held.kind in ("none", "structures"):
        row.verdict, row.reference = "no image", held.why[:40]
    elif held.kind == "undecodable":
        row.verdict, row.reference = "refused", held.why[:60]
    elif held.kind == "directory":
        row.verdict, row.note = FAULT, f"a DICOMDIR: {error}"
    return row


def _judge_other(row: Row, path: Path) -> None:
    try:
        other = oracle_files.other(path)
    except Exception as problem_there:
        row.verdict, row.reference = "refused", f"{type(problem_there).__name__}: {problem_there}"[:60]
        return
    if other.sheared and "shear" in row.note.lower():
        row.verdict, row.reference = "refused", "nibabel: sheared"
    else:
        row.reference = f"{other.reader} reads it"


def _other_rows(where: str, path: Path, found: Found) -> list[Row]:
    """NIfTI, NRRD, MetaImage, pictures."""
    rows = []
    try:
        other = oracle_files.other(path)
        problem_there = ""
    except Exception as error:
        other, problem_there = None, f"{type(error).__name__}: {error}"[:80]
    for number, item in enumerate(found.items):
        row = Row(where, item.id if len(found.items) > 1 else "", item.kind, _size(item), verdict=FAULT)
        rows.append(row)
        try:
            value = read(path, item.id if len(found.items) > 1 else None)
        except MedcnnError as error:
            row.note, row.difference = str(error), type(error).__name__
            expected = refusal_of(where, str(error))
            if expected is not None:
                row.verdict, row.reference = "refused", expected.why
            elif other is None:
                row.verdict, row.reference = "refused", problem_there
            else:
                _judge_other(row, path)
            continue
        if other is None:
            row.note = f"ours reads it, the reference does not: {problem_there}"
            continue
        row.reference = other.reader
        match = against(value, other if len(found.items) == 1 else other.layer(number))
        _verdict(row, match, other.lossy)
    return rows


def _verdict(row: Row, match: Match, lossy: bool) -> None:
    row.difference = f"{match.value:.3g}; {match.mm:.2g} mm"
    near = (lossy or match.near) and match.value > 0
    row.verdict = FAULT if match.faults else ("near" if near else "equal")
    row.note = "; ".join([*match.faults[:4], *dict.fromkeys(match.notes)])


def _size(item: Item) -> str:
    return "x".join(map(str, item.shape))


def _image_rows(where: str, path: Path, items: tuple[Item, ...], held: list[Content]) -> list[Row]:
    """Read all items that share files and find every frame of those files in them."""
    if all(h.kind == "none" for h in held):
        return [_pixelless_row(where, path, item, held[0]) for item in items]
    bad = [h for h in held if h.kind == "undecodable"]
    if bad:
        return [_undecodable_row(where, path, item, bad[0]) for item in items]
    frames = [f for h in held for f in h.frames]
    places = Placement(frames, any(h.lossy for h in held))
    rows, refused = [], False
    for item in items:
        row = Row(where, item.id, item.kind, _size(item), "pydicom", verdict=FAULT)
        rows.append(row)
        match = Match()
        try:
            value = read(path, item.id)
        except MedcnnError as error:
            refused = True
            _judge_refusal(row, path, item, error, frames)
            continue
        if not isinstance(value, LabelMap):
            places.into(value, match)
        else:
            match.faults.append("an image was read as a mask")
        _verdict(row, match, places.lossy)
        if match.dropped:
            row.note += f"; {match.dropped} equal copies"
            if not any("cop" in w or "equal" in w for w in (*value.notes, *value.report.assumed)):
                row.verdict, row.note = FAULT, row.note + " dropped without a word"
    rest = places.rest()
    if rest and not refused:
        rows.append(Row(where, "", "-", "", "pydicom", f"{len(rest)} frames", FAULT, "; ".join(rest[:3])))
    return rows


def _pixelless_row(where: str, path: Path, item: Item, held: Content) -> Row:
    row = Row(
        where, item.id, item.kind, _size(item), held.why[:40], verdict=FAULT, note="read, although it has no pixels"
    )
    try:
        read(path, item.id)
    except MedcnnError as error:
        row.verdict, row.note, row.difference = "no image", str(error), type(error).__name__
    return row


def _undecodable_row(where: str, path: Path, item: Item, held: Content) -> Row:
    """What pydicom cannot decode: compare with the same picture stored plainly, if there is one."""
    row = Row(where, item.id, item.kind, _size(item), held.why[:60], verdict=FAULT)
    try:
        value = read(path, item.id)
    except MedcnnError as error:
        row.verdict, row.note, row.difference = "refused", str(error), type(error).__name__
        return row
    base = next(p for p in path.parents if (p / where).exists())
    plain = same_picture(where)
    twin = content(base / plain) if plain else None
    if twin is None or not twin.frames:
        row.note = "ours reads it, pydicom does not, and nothing is here to compare with"
        return row
    gap = difference(np.asarray(value.array)[0], twin.frames[0].pixels)
    spread = float(np.ptp(twin.frames[0].pixels.astype(float)))
    row.reference, row.difference = "same picture", f"{gap:.3g} of {spread:.0f}"
    row.verdict = "near" if gap <= 0.06 * spread else FAULT
    return row


def _judge_refusal(row: Row, path: Path, item: Item, error: MedcnnError, frames: list) -> None:
    row.note, row.difference = str(error), type(error).__name__
    expected = refusal_of(row.where, str(error))
    if expected is not None:
        row.verdict, row.reference = "refused", expected.why
        return
    names = set(item.files)
    why = problem([f for f in frames if f.path in names])
    row.reference = f"positions: {why}" if why else "positions: even"
    if why and any(word in str(error).lower() for word in WORDS[why]):
        row.verdict = "refused"
    if isinstance(error, ConsentNeededError) and row.verdict == "refused":
        row.note = f"[asks {error.asks}] {row.note}"
        agreed = {"resample": Consent(resample=True), "duplicates": Consent(duplicates="first")}.get(error.asks)
        if agreed is not None:
            try:
                value = read(path, item.id, agreed)
                if not value.notes and not value.report.assumed:
                    row.verdict, row.note = FAULT, "with consent it opens without a mark"
            except MedcnnError as again:
                row.verdict, row.note = FAULT, f"with consent: {again}"


def _seg_row(where: str, path: Path, found: Found, held: Content) -> Row:
    kinds = "+".join(sorted({i.kind for i in found.items}))
    row = Row(where, f"{len(found.items)} items", kinds, _size(found.items[0]), "pydicom", verdict=FAULT)
    try:
        masks = [read(path, item.id) for item in found.items]
    except MedcnnError as error:
        row.note, row.difference = str(error), type(error).__name__
        expected = refusal_of(where, str(error))
        if expected is not None:
            row.verdict, row.reference = "refused", expected.why
        return row
    if not all(isinstance(m, LabelMap) for m in masks):
        row.note = "a segmentation was read as an image"
        return row
    _verdict(row, against_segments(masks, held), False)
    return row


def _directory_rows(where: str, path: Path, found: Found) -> list[Row]:
    rows = []
    for item in found.items:
        held = [c for c in (content(f) for f in item.files) if c is not None]
        rows += _image_rows(f"{where}", path, (item,), held)
    return rows


def drop_rows(base: Path, folder: Path) -> list[Row]:
    """Open a folder: every file is in an item or named as skipped; DICOM series hold every frame of their files."""
    where = folder.relative_to(base).as_posix() + "/"
    files = {p for p in folder.rglob("*") if p.is_file()}
    try:
        found = inspect(folder)
    except MedcnnError as error:
        verdict = "no image" if all(_imageless(base, p) for p in files) else FAULT
        return [Row(where, kind="folder", verdict=verdict, note=str(error), difference=type(error).__name__)]
    named = {folder / name for name, _ in found.skipped}
    held = {f for item in found.items for f in item.files}
    lost = sorted(p.relative_to(folder).as_posix() for p in files - named - held)
    text = f"{len(files)} files: {len(held)} in {len(found.items)} items, {len(named)} left out by name"
    rows = [
        Row(where, "", "folder", "", "", "", FAULT if lost else "equal", f"{text}; LOST {lost[:5]}" if lost else text)
    ]
    if not any(p.parent == folder for p in data_files(folder)):
        return rows
    dicom: list[list[Item]] = []
    for item in found.items:
        if not item.files or not oracle_files.looks_dicom(item.files[0]) or item.kind == "labels":
            continue
        group = next((g for g in dicom if any(set(item.files) & set(o.files) for o in g)), None)
        if group is None:
            dicom.append([item])
        else:
            group.append(item)
    for group in dicom:
        paths = sorted({f for item in group for f in item.files})
        contents = [c for c in (content(p) for p in paths) if c is not None]
        rows += _image_rows(where, folder, tuple(group), contents)
    return rows


def _imageless(base: Path, path: Path) -> bool:
    if path.name in NO_DATA:
        return True
    rows = file_rows(base, path)
    return all(r.verdict in ("no image", "refused", "archive") for r in rows)


def all_rows(base: Path, only: str = "") -> Iterator[Row]:
    """Yield every row of every data folder whose name holds `only`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for folder in sorted(p for p in base.iterdir() if p.is_dir()):
            if only in folder.name:
                yield from rows_of(base, folder)


def dicom_fault(row: Row) -> bool:
    return row.verdict not in FINE
