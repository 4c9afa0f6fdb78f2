"""One way in: sniff the content, check the header, decode, compare with what was claimed."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Preview, Progress
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.dicom import items as dicom
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.formats import READS, part_of, read_file
from napari_medcnn.io.found import Found, Item, shown
from napari_medcnn.io.sniff import describe_unknown, sniff

_MAX_LABEL = 65535
#: More ids than this are not classes but noise; they stay without names.
_MAX_NAMED = 4096

T = TypeVar("T")
#: Pauses while it works, and ends with an image; closing it stops the work.
Reading = Generator[Progress | Preview, None, Volume | LabelMap]


def inspect(path: Path | str) -> Found:
    """Return what a file or folder holds, from headers only.

    A folder is walked with its subfolders; DICOM files become one item per image, other files one each, named by
    their path in the folder.  What cannot be read is in `Found.skipped` with the reason.

    Raises
    ------
    InputError
        Nothing is there, it cannot be read, or it holds no image.
    """
    return _end_of(scan_steps([Path(path)]))


def read(path: Path | str, item: str | None = None, consent: Consent = NONE) -> Volume | LabelMap:
    """Return the image of a file or folder: a `LabelMap` if the file says it is a mask, else a `Volume`.

    Parameters
    ----------
    path
        File or folder; the content decides the format.
    item
        `Item.id` where there are several.
    consent
        What may be done instead of refusing: resampling, one of several duplicates, a damaged file, ...

    Raises
    ------
    InputError
        Missing, empty, cut, damaged, larger than memory, or several items and none named (they are listed).
    ConsentNeededError
        It opens only with a consent that was not given; `asks` names it.
    UnsupportedError
        Recognised and not read; the message says what does.
    GeometryError
        The grid is singular, or cannot be made even.
    """
    return _end_of(read_steps(Path(path), item, consent))


def read_steps(path: Path, item: str | None = None, consent: Consent = NONE) -> Reading:
    """Read as `read` does, with progress and perhaps a first picture."""
    if not path.is_dir() and sniff(path) != "dicom":
        volume, labels = _load(path, item, consent)
        volume = _sourced(volume, path, item or "", consent)
        return volume if labels is None else _as_labels(volume, labels)
    found = yield from scan_steps([path])
    return (yield from found_steps(found, found.item(item), consent))


def found_steps(found: Found, item: Item, consent: Consent = NONE) -> Reading:
    """Read one item of what was found, without looking at the rest of its folder again; pauses as `read_steps`."""
    if isinstance(item.basis, dicom.Basis):
        value = yield from dicom.read_steps(item, consent)
        return _sourced(value, *_origin(found, item), consent, item.files)
    volume, labels = _load(item.files[0] if item.files else found.path, item.id, consent)
    volume = _sourced(volume, *_origin(found, item), consent, item.files)
    return volume if labels is None else _as_labels(volume, labels)


def read_found(found: Found, item: Item, consent: Consent = NONE) -> Volume | LabelMap:
    """Return one item of what was found, as `read`; errors too, and if a file changed since it was looked at."""
    return _end_of(found_steps(found, item, consent))


def read_volume(path: Path | str, item: str | None = None, consent: Consent = NONE) -> Volume:
    """Return the image as a `Volume` whatever it says of itself; arguments and errors as `read`."""
    path = Path(path)
    if not path.is_dir() and sniff(path) != "dicom":
        return _sourced(_load(path, item, consent)[0], path, item or "", consent)
    found = inspect(path)
    return read_item(found, found.item(item), consent)


def read_item(found: Found, item: Item, consent: Consent = NONE) -> Volume:
    """Return one item of what was found as a `Volume` whatever it says of itself; errors as `read_found`."""
    if isinstance(item.basis, dicom.Basis):
        value = _as_volume(_end_of(dicom.read_steps(item, consent)))
        return _sourced(value, *_origin(found, item), consent, item.files)
    volume, _ = _load(item.files[0] if item.files else found.path, item.id, consent)
    return _sourced(volume, *_origin(found, item), consent, item.files)


def read_labels(path: Path | str, item: str | None = None, consent: Consent = NONE) -> LabelMap:
    """Return a mask: whole numbers of 0 and up, with the names and colours its file carries.

    A palette picture gives its palette numbers; a colour picture only if it is grey.  The array is the caller's own,
    uint8 or uint16 (uint16 above id 255).

    Raises
    ------
    InputError
        As `read`; or the values are fractions, negative, above 65535, or more than 3D.
    """
    path = Path(path)
    if not path.is_dir() and sniff(path) != "dicom":
        volume, labels = _load(path, item, consent, as_ids=True)
        return _as_labels(_sourced(volume, path, item or "", consent), labels or LabelSet())
    found = inspect(path)
    chosen = found.item(item)
    if isinstance(chosen.basis, dicom.Basis):
        value = read_found(found, chosen, consent)
        return value if isinstance(value, LabelMap) else _as_labels(value, LabelSet())
    volume, labels = _load(chosen.files[0], chosen.id, consent, as_ids=True)
    return _as_labels(_sourced(volume, path, chosen.id, consent), labels or LabelSet())


def _end_of(steps: Generator[object, None, T]) -> T:
    try:
        while True:
            next(steps)
    except StopIteration as end:
        value: T = end.value
        return value


def _as_volume(value: Volume | LabelMap) -> Volume:
    if isinstance(value, Volume):
        return value
    return Volume(
        value.array, value.geometry, name=value.name, notes=value.notes, source=value.source, report=value.report,
        frame_of_reference=value.frame_of_reference,
    )  # fmt: skip


def _as_labels(volume: Volume, labels: LabelSet) -> LabelMap:
    array, notes = volume.array, list(volume.notes)
    if volume.axes == "zyxc" and volume.is_picture and bool(np.all(array == array[..., :1])):
        array = array[..., 0]
        notes.append("The mask was stored as a grey picture in three equal channels.")
    elif volume.axes != "zyx":
        raise InputError(
            f"{volume.name}: expected a mask with one class number per voxel, got axes {volume.axes} of shape "
            f"{array.shape}; save one channel or time point on its own"
        )
    ids, note = _ids(volume.name, array)
    notes += [note] if note else []
    labels = named(labels, ids)
    return LabelMap(
        ids, volume.geometry, labels, volume.name, tuple(notes), dict(volume.source), volume.report,
        volume.frame_of_reference,
    )  # fmt: skip


def named(labels: LabelSet, ids: Array) -> LabelSet:
    """Return `labels` with a name for every id present in `ids`, unless there are too many to be classes."""
    present = ids_present(ids)
    return labels.covering(present) if len(present) <= _MAX_NAMED else labels


def ids_present(ids: Array) -> list[int]:
    """Return the ids of a (z, y, x) uint8 or uint16 array in rising order, 0 included; [] for an empty array."""
    seen = np.zeros(_MAX_LABEL + 1, bool)
    for plane in ids:  # plane by plane: an index as wide as the volume would take eight times its memory
        seen[plane] = True
    return [int(i) for i in np.flatnonzero(seen)]


def _ids(name: str, array: Array) -> tuple[Array, str]:
    """Return class ids as a writable uint8 or uint16 array, and a note if they came as fractions."""
    note = ""
    if array.dtype.kind == "c":
        raise InputError(f"{name}: expected class numbers, got complex numbers")
    if array.dtype.kind == "f":
        if not np.all(np.isfinite(array)) or not np.array_equal(array, np.rint(array)):
            raise InputError(
                f"{name}: expected class numbers (0, 1, 2 ...), got fractions or NaN; a probability map must be "
                "thresholded first"
            )
        note = "The mask was stored as fractions; all are whole numbers."
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if low < 0 or high > _MAX_LABEL:
        raise InputError(f"{name}: expected class numbers from 0 to {_MAX_LABEL}, got {low:g} to {high:g}")
    return np.array(array, dtype=np.uint8 if high <= 255 else np.uint16), note


def _load(path: Path, item: str | None, consent: Consent, as_ids: bool = False) -> tuple[Volume, LabelSet | None]:
    """Return the image of a file that is not DICOM and, if it is a mask, its classes."""
    kind = sniff(path)
    if kind is None:
        raise UnsupportedError(f"{shown(path)}: {describe_unknown(path)}; {READS}")
    if kind == "dicom":
        raise InputError(f"{shown(path)}: it changed since it was looked at; open it again")
    return read_file(path, kind, item, consent, as_ids)


def _origin(found: Found, item: Item) -> tuple[Path, str]:
    """Return the path and item id that open the same image again, also where several paths were looked at together."""
    if isinstance(item.basis, dicom.Basis):
        whole = [root for root in found.roots if all(file.is_relative_to(root) for file in item.files)]
        media = [root for root in found.roots if all(file.is_relative_to(root.parent) for file in item.files)]
        return next((root for root in (*whole, *media)), found.path), item.id
    if len(found.roots) > 1 or not found.path.is_dir():
        return (item.files[0] if item.files else found.path), part_of(item.id) or ""
    return found.path, item.id


V = TypeVar("V", bound=Volume | LabelMap)


def _sourced(value: V, path: Path, item: str, consent: Consent, files: Sequence[Path] = ()) -> V:
    """Return the image with where it came from, what was agreed to for it, and the file names that its report names.

    The names are for whoever writes the report where no name of a file may stand.
    """
    agreed: dict[str, object] = {"consent": consent.to_json()} if consent != NONE else {}
    said = " ".join((*value.report.found, *value.report.warnings))
    names = {word for file in (*files, path) for word in (file.name, shown(file), file.name[-40:]) if word in said}
    if names:
        agreed["names"] = tuple(sorted(names))
    return replace(value, source={"path": os.fspath(path), "item": item, **agreed})


__all__ = ["found_steps", "inspect", "read", "read_found", "read_item", "read_labels", "read_steps", "read_volume"]
