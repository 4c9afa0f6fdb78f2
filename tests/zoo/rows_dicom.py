"""Rows of DICOM: every frame of the files in exactly one place of one item, or a refusal that the headers explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import ConsentNeededError, MedcnnError
from napari_medcnn.io.found import Item
from zoo.compare import Match, Placement
from zoo.compare_seg import against_segments, against_structures, drawn_on
from zoo.irregular import WORDS, chosen, problems, straightened
from zoo.oracle_dicom import Content, Frame, series_number
from zoo.rows import FAULT, Row, contents, read, row_of

#: What opens what asks, and which of the frames at one place are then to be found; the others are straightened.
CONSENTS = {
    "duplicates": (("first", Consent(duplicates="first")), ("last", Consent(duplicates="last"))),
    "unnumbered": (("", Consent(unnumbered=True)),),
}


def dicom_rows(where: str, path: Path, items: tuple[Item, ...]) -> list[Row]:
    """Sort the items of what was opened by the kind of their files and compare each group."""
    rows: list[Row] = []
    groups: list[list[Item]] = []
    for item in items:
        together = [g for g in groups if any(set(item.files) & set(o.files) for o in g)]
        groups = [g for g in groups if g not in together] + [[i for g in together for i in g] + [item]]
    for group in groups:
        held = contents(sorted({f for item in group for f in item.files}))
        kinds = {h.kind for h in held}
        if kinds == {"seg"}:
            rows.append(_seg_row(where, path, group, held))
        elif kinds == {"structures"}:
            rows += [_structures_row(where, path, item, items, held[0]) for item in group]
        elif kinds == {"slide"}:
            rows += [_slide_row(where, path, item) for item in group]
        else:
            rows += _image_rows(where, path, group, held)
    return rows


def _image_rows(where: str, path: Path, items: list[Item], held: list[Content]) -> list[Row]:
    if not held:
        return [row_of(where, item, note="read as DICOM, and pydicom finds none") for item in items]
    if all(h.kind == "none" for h in held):
        return [_pixelless_row(where, path, item, held[0]) for item in items]
    bad = [h for h in held if h.kind == "undecodable"]
    if bad:
        return [_undecodable_row(where, path, item, bad[0]) for item in items]
    frames = [f for h in held for f in h.frames]
    places = Placement(frames, max(h.share for h in held))
    places.suv = next((h.suv for h in held if h.suv), None)
    rows, refused = [], False
    for item in items:
        row = row_of(where, item, reference=held[0].reader)
        rows.append(row)
        match = Match()
        try:
            value = read(path, item.id)
        except MedcnnError as error:
            refused = True
            _judge_refusal(row, path, item, error, frames, places.share)
            continue
        if isinstance(value, LabelMap):
            match.faults.append("an image was read as a mask")
        else:
            places.into(value, match)
        row.judge(match, places.share > 0)
        if match.dropped:
            row.note += f"; {match.dropped} equal copies"
            if not any("cop" in w for w in (*value.notes, *value.report.assumed)):
                row.verdict, row.note = FAULT, row.note + " dropped without a word"
    rest = places.rest()
    if rest and not refused:
        rows.append(Row(where, reference="pydicom", difference=f"{len(rest)} frames", note="; ".join(rest[:3])))
    return rows


def _pixelless_row(where: str, path: Path, item: Item, held: Content) -> Row:
    row = row_of(where, item, reference=held.why[:40], note="read without pixels")
    try:
        read(path, item.id)
    except MedcnnError as error:
        if not row.failed(error):
            row.verdict = "no image"
    return row


def _undecodable_row(where: str, path: Path, item: Item, held: Content) -> Row:
    """What no reader here decodes: refused by ours as well, or a fault, for nothing shows that ours is right."""
    row = row_of(where, item, reference=held.why[:60])
    try:
        value = read(path, item.id)
    except MedcnnError as error:
        if not row.failed(error):
            row.verdict = "refused"
        return row
    row.note = f"ours reads it as {np.shape(value.array)}, and nothing is here to compare with"
    return row


def _slide_row(where: str, path: Path, item: Item) -> Row:
    row = row_of(where, item, reference="slide tiles")
    try:
        read(path, item.id)
        row.note = "tiles of a slide were read as an image of the body"
    except MedcnnError as error:
        if not row.failed(error) and "slide" in str(error):
            row.verdict = "refused"
    return row


def _judge_refusal(row: Row, path: Path, item: Item, error: MedcnnError, frames: list[Frame], share: float) -> None:
    """The headers alone must show what the message says; with consent it opens, marked, with the right voxels."""
    if row.failed(error):
        return
    mine = [f for f in frames if f.path in set(item.files)]
    why = sorted(problems(mine))
    row.reference = f"positions: {', '.join(why) or 'even'}"
    asks = error.asks if isinstance(error, ConsentNeededError) else ""
    if asks == "unnumbered":
        if why or any(series_number(frame.path) for frame in mine):
            return
        row.reference = "no series number"
    elif not any(word in str(error).lower() for key in why for word in WORDS[key]):
        return
    row.verdict = "refused"
    if not asks:
        return
    row.note = f"[asks {asks}] {row.note}"
    for agreed, consent in CONSENTS.get(asks, (("", Consent(resample=True)),)):
        try:
            value = read(path, item.id, consent)
        except MedcnnError as again:
            row.verdict, row.note = FAULT, f"with consent: {again}"
            return
        if not value.notes and not value.report.assumed:
            row.verdict, row.note = FAULT, "with consent it opens without a mark"
            return
        match = Match()
        if asks in CONSENTS:
            places = Placement(chosen(mine, agreed) if agreed else mine, share)
            places.into(value, match)
            match.faults += places.rest()
        else:
            match.value = straightened(value, mine)
            if match.value > 0.01:
                match.faults.append(f"resampled voxels differ by {match.value:.3g} of the range on average")
        row.difference = f"asks; {match.value:.2g}"
        if match.faults:
            row.verdict, row.note = FAULT, f"with consent: {match.faults[0]}"
            return


def _seg_row(where: str, path: Path, items: list[Item], held: list[Content]) -> Row:
    row = row_of(where, items[0], reference=held[0].reader)
    row.item = f"{len(items)} items" if len(items) > 1 else items[0].id
    try:
        values = [read(path, item.id) for item in items]
    except MedcnnError as error:
        row.failed(error)
        return row
    masks = [v for v in values if isinstance(v, LabelMap)]
    fractions = [v for v in values if not isinstance(v, LabelMap)]
    match = Match()
    for one in held:
        mine = [m for m, i in zip(values, items, strict=True) if one.path in i.files and isinstance(m, LabelMap)]
        against_segments(mine, one, match)
    if fractions or not masks:
        match.faults.append("a segmentation was read as an image")
    row.judge(match)
    return row


def _structures_row(where: str, path: Path, item: Item, items: tuple[Item, ...], held: Content) -> Row:
    """Contours against polygons filled by scikit-image on the scan's own planes; without the scan a refusal."""
    row = row_of(where, item, reference="polygons")
    there = [c for i in items for c in contents(list(i.files)) if c.kind == "image"]
    series, space = drawn_on(held.data)
    mine = [c for c in there if c.data.get("SeriesInstanceUID") in series] or [
        c for c in there if c.data.get("FrameOfReferenceUID") in space
    ]
    scans = [f for c in mine for f in c.frames]
    try:
        value = read(path, item.id)
    except MedcnnError as error:
        if not row.failed(error) and not scans and "not in this folder" in str(error):
            row.verdict, row.reference = "refused", "no scan here"
        return row
    row.judge(against_structures(value, held.data, scans))
    return row
