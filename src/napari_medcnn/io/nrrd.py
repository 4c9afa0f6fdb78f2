"""NRRD (attached or with detached data files) and 3D Slicer's .seg.nrrd.

Voxels are decoded by `payload`.  Segment fields: Slicer's documentation, "Segmentations", section "Saving
segmentations to file".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import Label, LabelSet, default_colour
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.encode import FINISHED, STATUS
from napari_medcnn.io.found import Item, plain, shown, stem
from napari_medcnn.io.gridded import item_of, report_of, volume_of
from napari_medcnn.io.nrrd_header import Header, read_header, unescaped
from napari_medcnn.io.payload import Encoding, Payload
from napari_medcnn.io.several import counted_names, listed_files, read_several
from napari_medcnn.io.text_numbers import read_hex, read_numbers

_ENCODINGS: dict[str, Encoding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_SEGMENT_KEYS = ("Name", "ID", "Color", "LabelValue", "Layer", "Tags")
_TEXTS = {"ascii": read_numbers, "text": read_numbers, "txt": read_numbers, "hex": read_hex}


def inspect_nrrd(path: Path) -> tuple[Item, ...]:
    """Return the item of a NRRD file; one per layer for an overlapping segmentation."""
    header = read_header(path)
    where = _where(header)
    report = report_of(header, *(where if _encoding(header) in _ENCODINGS else ()))
    files = tuple(dict.fromkeys((path, *(w.path for w in where))))
    if header.is_mask and header.layers > 1:
        return tuple(
            item_of(
                header, report, f"layer-{k}", f"{stem(path)}, layer {k}", axes="zyx", shape=header.grid, files=files
            )
            for k in range(header.layers)
        )
    if header.is_mask and header.axes == "tzyx" and header.shape[0] == 1:
        return (item_of(header, report, axes="zyx", shape=header.grid, files=files),)
    return (item_of(header, report, files=files),)


def read_nrrd(
    path: Path, item: str | None = None, consent: Consent = NONE, as_ids: bool = False
) -> tuple[Volume, LabelSet | None]:
    """Return the image and, for a mask, the classes its header names (may be empty); None for a scan.

    Raises
    ------
    InputError
        Cut or contradictory; several layers of a segmentation and no `item`; or what `gridded.volume_of` names.
    GeometryError
        The grid is singular.
    """
    header = read_header(path)
    labels = _labels(header, item) if header.is_mask else None
    layer, axes = None, header.axes
    if header.layers > 1:
        wanted = [k for k in range(header.layers) if item == f"layer-{k}"]
        if not wanted:
            listed = ", ".join(f"layer-{k}" for k in range(header.layers))
            raise InputError(
                f"{shown(path)}: its segments overlap and lie in {header.layers} layers; choose one: {listed}"
            )
        layer, axes = wanted[0], "zyx"
    elif header.is_mask and axes == "tzyx" and header.shape[0] == 1:
        layer, axes = 0, "zyx"

    def voxels(notes: list[str]) -> Array:
        array = _voxels(header, consent, notes)
        return array if layer is None else np.ascontiguousarray(array[layer])

    values, unit, name = header.frames if axes.startswith("t") else ((), "", "")
    more = {"frame_values": values, "frame_unit": unit, "frame_name": name, "channel_names": header.channel_names}
    return volume_of(header, voxels, consent, axes, as_ids, **more), labels


def _encoding(header: Header) -> str:
    return str(header.fields["encoding"]).strip().lower()


def _where(header: Header) -> tuple[Payload, ...]:
    """Return where the voxels lie: after the header, in one file beside it, or in several."""
    fields, path = header.fields, header.path
    name = fields.get("data file", fields.get("datafile"))
    encoding = _encoding(header)
    if encoding not in _ENCODINGS and encoding not in _TEXTS:
        raise UnsupportedError(
            f"{shown(path)}: encoding {plain(encoding)!r} is not read (raw, gzip, bzip2, ascii and hex are)"
        )
    files: tuple[Path, ...] = (path,)
    start = header.data_start
    if name is not None:
        words = str(name).split()
        if words[:1] == ["LIST"]:
            names = list(header.listed)
        else:
            names = counted_names(path, str(name)) if "%" in str(name) and len(words) > 2 else [str(name)]
        files, start = listed_files(path, names), 0
    if encoding in _TEXTS and len(files) > 1:
        raise UnsupportedError(f"{shown(path)}: text in several data files is not read; save it as raw or gzip")
    lines = int(fields.get("line skip", fields.get("lineskip", 0)))
    skip = int(fields.get("byte skip", fields.get("byteskip", 0)))
    if skip < -1:
        raise InputError(f"{shown(header.path)}: expected a byte skip of -1 or more, got {skip}")
    kind = _ENCODINGS.get(encoding, "raw")
    return tuple(Payload(file, kind, skip, _after_lines(file, start, lines), name is not None) for file in files)


def _voxels(header: Header, consent: Consent, notes: list[str]) -> Array:
    where = _where(header)
    text = _TEXTS.get(_encoding(header))
    if text is not None:
        array = text(where[0].path, where[0].start + max(where[0].offset, 0), header.dtype, header.stored)
    else:
        array = read_several(where, header.dtype, header.stored, consent, notes)
    order = [header.order.index(letter) for letter in header.axes]
    return np.ascontiguousarray(np.transpose(array, order))


def _after_lines(path: Path, start: int, lines: int) -> int:
    if lines <= 0:
        return start
    with path.open("rb") as file:
        file.seek(start)
        for _ in range(min(lines, 1_000_000)):
            if not file.readline(1 << 20):
                break
        return file.tell()


def _labels(header: Header, item: str | None) -> LabelSet:
    """Return the classes of the header: ours, or Slicer's segments (of one layer, if `item` names it)."""
    if "labels" in header.note:
        return LabelSet.from_json(header.note["labels"])
    found: dict[int, Label] = {}
    names: set[str] = set()
    number = 0
    while f"Segment{number}_ID" in header.fields or f"Segment{number}_Name" in header.fields:
        get = {k: header.fields.get(f"Segment{number}_{k}", "") for k in _SEGMENT_KEYS}
        number += 1
        if header.layers > 1 and item != f"layer-{get['Layer'] or 0}":
            continue
        try:
            value = int(get["LabelValue"] or number)
            rgb = [round(255 * float(c)) for c in str(get["Color"]).split()]
        except (ValueError, OverflowError) as error:
            raise InputError(f"{shown(header.path)}: segment {number} has no usable value or colour") from error
        name = plain(unescaped(str(get["Name"] or get["ID"])), 190) or f"Class {value}"
        name = name if name not in names else f"{name} ({value})"
        names.add(name)
        colour = (
            (rgb[0], rgb[1], rgb[2])
            if len(rgb) == 3 and all(0 <= c <= 255 for c in rgb)
            else default_colour(max(value, 1))
        )
        if value >= 1 and value not in found:
            found[value] = Label(value, name, colour, finished=f"{STATUS}:{FINISHED}" in str(get["Tags"]).split("|"))
    return LabelSet(tuple(found.values()))
