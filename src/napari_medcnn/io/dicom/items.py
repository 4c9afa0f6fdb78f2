"""From headers to items: each DICOM file is in an item that opens, in one that says why not, or skipped by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Preview, Progress
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, MedcnnError, UnsupportedError
from napari_medcnn.io.dicom import assemble, gate, seg, structures
from napari_medcnn.io.dicom.facts import Header, Part, Stored
from napari_medcnn.io.dicom.sorting import unnumbered
from napari_medcnn.io.found import Item, Person, Study, shown

Parts = Mapping[str, tuple[Part, ...]]
#: Size, time of writing and inode of a file when its header was read.
State = tuple[int, int, int]
#: Items, and what was left out as (path, reason).
Sorted = tuple[tuple[Item, ...], tuple[tuple[Path, str], ...]]


@dataclass(frozen=True, eq=False)
class Basis:
    """What opens one item: the part of a series, or the header of a segmentation with the grid that it belongs to.

    `own_id` is the item's name inside its own file.
    """

    part: Part | None = None
    header: Header | None = None
    reference: Geometry | None = None
    own_id: str = ""
    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class Known:
    """What a scan knows beside the headers; all may be empty.

    Parameters
    ----------
    persons
        By `Header.person_key`.
    states
        Of files, by path.
    broken
        How many files cannot be read, by the series they say they belong to.
    """

    persons: Mapping[str, Person] = field(default_factory=dict)
    states: Mapping[Path, State] = field(default_factory=dict)
    broken: Mapping[str, int] = field(default_factory=dict)


def state_of(there: os.stat_result) -> State:
    """Return what changes when a file is written."""
    return there.st_size, there.st_mtime_ns, there.st_ino


def items_of(headers: Sequence[Header], persons: Mapping[str, Person]) -> Sorted:
    """Return the items of DICOM files, and the files that hold no image with the reason; persons by person key."""
    steps = item_steps(headers, Known(persons))
    try:
        while True:
            next(steps)
    except StopIteration as end:
        found: Sorted = end.value
        return found


def item_steps(headers: Sequence[Header], known: Known) -> Generator[None, None, Sorted]:
    """Do as `items_of`, pausing after each series and each object."""
    skipped: list[tuple[Path, str]] = []
    images = [h for h in headers if h.kind == "image"]
    series: dict[str, tuple[Part, ...]] = {}
    rows: list[tuple[tuple[Any, ...], Item]] = []
    groups = gate.group(images)
    alone = sum(unnumbered.is_alone(uid) for uid in groups)
    for uid, members in sorted(groups.items()):
        parts = tuple(_incomplete(part, known.broken.get(uid, 0)) for part in gate.sort_series(members))
        if unnumbered.is_alone(uid):
            parts = tuple(unnumbered.alone(part, alone) for part in parts)
        series[uid] = parts
        for order, part in enumerate(parts):
            files = _files_of(part, members)
            rows.append((_place(files[0], 0, order), _part_item(part, files, known)))
        yield
    objects = [h for h in headers if h.kind in ("segmentation", "structures")]
    several = {uid for uid, n in Counter(h.series_uid for h in objects).items() if n > 1} | series.keys()
    for header in objects:
        try:
            made = _objects(header, series, header.series_uid in several)
        except MedcnnError as error:
            skipped.append((header.path, str(error)))
        else:
            rows += [(_place(header, 1, n), _dressed(item, header, known)) for n, item in enumerate(made)]
        yield
    for header in headers:
        if header.kind == "directory":
            skipped.append((header.path, "the list of a medium; open it itself to see only what it lists"))
        elif header.kind == "other":
            skipped.append((header.path, f"no image in this file: {header.what or 'a DICOM object without one'}"))
    return _unlike(item for _, item in sorted(rows, key=lambda row: row[0])), tuple(skipped)


def _unlike(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return the items with an id of their own each: copies of one object lie in many an export."""
    seen: Counter[str] = Counter()
    found = []
    for item in items:
        seen[item.id] += 1
        found.append(item if seen[item.id] == 1 else replace(item, id=f"{item.id}:copy-{seen[item.id]}"))
    return tuple(found)


def _place(header: Header, last: int, order: int) -> tuple[Any, ...]:
    """Return what sorts items: by study, then by number of the series; masks after the images."""
    number = int(header.series_number) if header.series_number.isdecimal() else 1 << 60
    return (header.study_date, header.study_uid, header.person_key, last, number, header.series_uid, order,
            str(header.path))  # fmt: skip


def _incomplete(part: Part, broken: int) -> Part:
    """Return the part with a word on files of its series that cannot be read: slices may be missing at its ends, too.

    Their names stand in the list of what was left out.
    """
    if not broken:
        return part
    files = "1 file of this series is" if broken == 1 else f"{broken} files of this series are"
    words = f"{files} damaged and left out; slices may be missing."
    return replace(part, report=replace(part.report, assumed=(words, *part.report.assumed)))


def _files_of(part: Part, members: Sequence[Header]) -> list[Header]:
    """Return the headers of a part, in the order of its planes, then of what it accounts for beside them."""
    headers = {header.path: header for header in members}
    planes = [plane.header.path for row in part.planes for plane in row]
    return [headers[path] for path in dict.fromkeys((*planes, *part.files)) if path in headers] or list(members)


def _part_item(part: Part, files: Sequence[Header], known: Known) -> Item:
    first = part.first.header if part.planes else files[0]
    opens = bool(part.planes) and (not part.report.refused or bool(part.report.asks))
    item = Item(
        part.id,
        "volume" if opens else "other",
        part.axes if opens else "",
        tuple(part.shape) if opens else (),
        _dtype(first.stored),
        part.geometry if opens else None,
        title=part.title,
        warnings=part.report.warnings,
        files=tuple(h.path for h in files),
        report=part.report,
        nbytes=sum(h.nbytes for h in files),
        basis=Basis(part, states=_states(files, known)),
    )
    return _dressed(item, first, known)


def _dressed(item: Item, header: Header, known: Known) -> Item:
    """Return the item with what the header says of its series and study."""
    person = known.persons.get(header.person_key, Person())
    basis = item.basis
    if isinstance(basis, Basis) and not basis.states:
        basis = replace(basis, states=_states([header], known))
    return replace(
        item,
        modality=header.modality,
        series_uid=item.series_uid or header.series_uid,
        study=Study(header.study_uid, header.study_date, header.study_description, person),
        series_number=header.series_number,
        description=header.description,
        date=header.series_date or header.study_date,
        files=item.files or (header.path,),
        nbytes=item.nbytes or header.nbytes,
        basis=basis,
    )


def _states(files: Sequence[Header], known: Known) -> tuple[State, ...]:
    found = []
    for header in files:
        state = known.states.get(header.path)
        try:
            found.append(state_of(os.stat(header.path)) if state is None else state)
        except OSError:
            found.append((-1, -1, -1))
    return tuple(found)


def _dtype(stored: Stored | None) -> str:
    if stored is None:
        return "uint8"
    floats = {"FloatPixelData": "float32", "DoubleFloatPixelData": "float64"}
    if stored.element in floats:
        return floats[stored.element]
    return f"{'' if stored.signed else 'u'}int{stored.bits_allocated if stored.bits_allocated in (16, 32, 64) else 8}"


def _objects(header: Header, series: Parts, shared: bool) -> list[Item]:
    """Return the items of a segmentation or of contours; `shared` if others have its series UID, too."""
    if header.kind == "segmentation":
        source = _source_of(seg.referenced_series(header), header.frame_of_reference, series)
        made = seg.inspect_seg(header, None if source is None else source.geometry)
    else:
        made = structures.inspect_structures(header, series)
        source = _source_of((made[0].series_uid,), "", series) if made else None
    found = []
    for item in made:
        if header.kind == "segmentation":
            reference = None if source is None else source.geometry
        else:
            reference = item.geometry
        own = item.id
        if shared and header.series_uid and own.startswith(header.series_uid):
            own = f"{header.series_uid}:{header.sop_uid}{own.removeprefix(header.series_uid)}"
        basis = Basis(header=header, reference=reference, own_id=item.id)
        found.append(replace(item, id=own, title=_belonging(item.title, source), basis=basis))
    return found


def _source_of(uids: Sequence[str], frame_of_reference: str, series: Parts) -> Part | None:
    """Return the part with a grid, of one of these series and in the same space, that has the most slices."""
    there = [part for uid in uids for part in series.get(uid, ()) if part.geometry is not None and part.planes]
    same = [p for p in there if frame_of_reference in ("", p.first.header.frame_of_reference)]
    return max(same, key=lambda part: len(part.planes[0]), default=None)


def _belonging(title: str, source: Part | None) -> str:
    return title if source is None or source.title in title else f"{title} (of {source.title})"


def read_steps(item: Item, consent: Consent = NONE) -> Generator[Progress | Preview, None, Volume | LabelMap]:
    """Read a DICOM item: a Volume, or a LabelMap of a segmentation or of contours.

    Raises
    ------
    InputError
        A file changed since its header was read, or the item holds no image; and what the decoders say.
    """
    basis = item.basis
    if not isinstance(basis, Basis):
        raise InputError(f"{item.title}: expected an item of a DICOM folder")
    for file, state in zip(item.files, basis.states, strict=True):
        try:
            now = state_of(os.stat(file))
        except OSError as error:
            raise InputError(f"{shown(file)}: it was there a moment ago and cannot be read now "
                             f"({error.strerror}); look at the folder again") from error  # fmt: skip
        if now != state:
            raise InputError(
                f"{shown(file)}: it was changed by another program since its header was read; open it again"
            )
    if basis.part is not None:
        return (yield from assemble.read_part_steps(basis.part, consent))
    if item.kind == "other":
        raise UnsupportedError(" ".join(item.report.refused or item.warnings) or f"{item.title}: this is not read")
    if basis.header is None:
        raise InputError(f"{item.title}: expected an item of a DICOM folder")
    yield Progress(None, f"Reading {item.title}")
    if basis.header.kind == "segmentation":
        return seg.read_seg(basis.header, basis.own_id, basis.reference)
    if basis.reference is None:
        raise InputError(f"{shown(basis.header.path)}: contours need the scan they were drawn on; open its folder")
    return structures.read_structures(basis.header, basis.own_id, basis.reference)
