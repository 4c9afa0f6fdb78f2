"""One way in: sniff the content, check the header, decode, compare with what was claimed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.dicom import series as dicom
from napari_medcnn.io.found import Found, Item, plain, shown
from napari_medcnn.io.metaimage import inspect_metaimage, read_metaimage
from napari_medcnn.io.nifti import inspect_nifti, read_nifti
from napari_medcnn.io.nrrd import inspect_nrrd, read_nrrd
from napari_medcnn.io.pictures import inspect_picture, read_picture
from napari_medcnn.io.sniff import Format, describe_unknown, sniff

_MAX_LABEL = 65535
#: More ids than this are not classes but noise; they stay without names.
_MAX_NAMED = 4096
#: More files than this in one folder are not walked; the rest is counted as skipped.
_MAX_FILES = 200_000


def inspect(path: Path | str) -> Found:
    """Return what a file or folder holds, from headers only.

    A folder is walked with its subfolders; DICOM files become one item per series, other files one each, named by
    their path in the folder.  What cannot be read is in `Found.skipped` with the reason.

    Raises
    ------
    InputError
        Nothing is there, it cannot be read, or it holds no image.
    """
    path = Path(path)
    found, _ = _look(path)
    return found


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
    UnsupportedError
        Recognised and not read; the message says what does.
    GeometryError
        The grid is singular; or irregular, without consent to resample.
    """
    volume, labels = _load(Path(path), item, consent)
    return volume if labels is None else _as_labels(volume, labels)


def read_volume(path: Path | str, item: str | None = None, consent: Consent = NONE) -> Volume:
    """Return the image as a `Volume` whatever it says of itself; arguments and errors as `read`."""
    return _load(Path(path), item, consent)[0]


def read_item(found: Found, item: Item, consent: Consent = NONE) -> Volume:
    """Return one item of what `inspect` found, without looking at the rest of its folder again; errors as `read`."""
    if not found.path.is_dir() or not item.files:
        return read_volume(found.path, item.id, consent)
    if len(item.files) == 1 and sniff(item.files[0]) != "dicom":
        layer = item.id.rpartition(":")[2] if ":layer-" in item.id else None
        return _sourced(_load(item.files[0], layer, consent)[0], found.path, item.id)
    series, _ = dicom.gather(item.files)
    if item.id not in series:
        return read_volume(found.path, item.id, consent)
    return _sourced(dicom.read_series(series[item.id], consent), found.path, item.id)


def read_labels(path: Path | str, item: str | None = None) -> LabelMap:
    """Return a mask: whole numbers of 0 and up, with the names and colours its file carries.

    A palette picture gives its palette numbers; a colour picture only if it is grey.  The array is the caller's own,
    uint8 or uint16 (uint16 above id 255).

    Raises
    ------
    InputError
        As `read`; or the values are fractions, negative, above 65535, or more than 3D.
    """
    volume, labels = _load(Path(path), item, consent=NONE, as_ids=True)
    return _as_labels(volume, labels or LabelSet())


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
    return LabelMap(ids, volume.geometry, labels, volume.name, tuple(notes), dict(volume.source))


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
    """Return the image and, if the file is a mask, its classes."""
    if path.is_dir():
        chosen, series = _choose(path, item)
        if chosen.id in series:
            return _sourced(dicom.read_series(series[chosen.id], consent), path, chosen.id), None
        layer = chosen.id.rpartition(":")[2] if ":layer-" in chosen.id else None
        volume, names = _load(chosen.files[0], layer, consent, as_ids)
        return _sourced(volume, path, chosen.id), names
    kind = sniff(path)
    labels: LabelSet | None = None
    if kind is None:
        raise UnsupportedError(f"{shown(path)}: {describe_unknown(path)}; {_READS}")
    if kind == "dicom":
        series, skipped = dicom.gather([path])
        if not series:
            raise UnsupportedError(_named(path, skipped[0][1]))
        volume = dicom.read_series(next(iter(series.values())), consent)
    elif kind == "nifti":
        volume, note, is_mask = read_nifti(path, consent)
        labels = LabelSet.from_json(note.get("labels", [])) if is_mask and volume.axes == "zyx" else None
    elif kind == "nrrd":
        volume, labels = read_nrrd(path, item, consent)
    elif kind == "metaimage":
        volume, labels = read_metaimage(path, consent)
    else:
        volume, labels = read_picture(path, kind, as_ids)
    return _sourced(volume, path, item or ""), labels


_READS = "NIfTI, NRRD, MetaImage, DICOM, PNG, JPEG, TIFF and BMP are read"


def _named(path: Path, reason: str) -> str:
    return reason if reason.startswith(shown(path)) else f"{shown(path)}: {reason}"


def _sourced(volume: Volume, path: Path, item: str) -> Volume:
    return replace(volume, source={"path": os.fspath(path), "item": item})


def _choose(path: Path, item: str | None) -> tuple[Item, dicom.Series]:
    found, series = _look(path)
    if item is None and len(found.items) == 1:
        return found.items[0], series
    for candidate in found.items:
        if candidate.id == item:
            return candidate, series
    listed = "; ".join(f"{i.id} ({i.title}, {'x'.join(map(str, i.shape)) or i.kind})" for i in found.items[:12])
    more = f"; and {len(found.items) - 12} more" if len(found.items) > 12 else ""
    problem = "several images" if item is None else f"no image {plain(item)!r}"
    raise InputError(f"{shown(path)}: {problem} in this folder; choose one: {listed}{more}")


def _look(path: Path) -> tuple[Found, dicom.Series]:
    if not path.exists():
        raise InputError(f"{shown(path)}: nothing is there; check the path")
    if path.is_dir():
        return _look_into(path)
    kind = sniff(path)
    if kind is None:
        raise UnsupportedError(f"{shown(path)}: {describe_unknown(path)}; {_READS}")
    if kind == "dicom":
        series, skipped = dicom.gather([path])
        if not series:
            raise UnsupportedError(_named(path, skipped[0][1]))
        return Found(path, tuple(dicom.inspect_series(uid, s) for uid, s in series.items())), series
    return Found(path, _items_of(path, kind)), {}


def _items_of(path: Path, kind: Format) -> tuple[Item, ...]:
    if kind == "nifti":
        return inspect_nifti(path)
    if kind == "nrrd":
        return inspect_nrrd(path)
    if kind == "metaimage":
        return inspect_metaimage(path)
    return inspect_picture(path, kind)


def _look_into(folder: Path) -> tuple[Found, dicom.Series]:
    skipped: list[tuple[str, str]] = []
    items: list[Item] = []
    dicom_files: list[Path] = []
    for path in _walk(folder, skipped):
        name = path.relative_to(folder).as_posix()
        try:
            kind = sniff(path)
            if kind == "dicom":
                dicom_files.append(path)
            elif kind is None:
                skipped.append((name, describe_unknown(path)))
            else:
                own = _items_of(path, kind)
                items += [replace(i, id=name if len(own) == 1 else f"{name}:{i.id}") for i in own]
        except InputError as error:
            skipped.append((name, str(error)))
    series, left = dicom.gather(dicom_files)
    skipped += [(p.relative_to(folder).as_posix(), reason) for p, reason in left]
    items = [dicom.inspect_series(uid, s) for uid, s in sorted(series.items())] + items
    if not items:
        first = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise InputError(
            f"{shown(folder)}: no image in this folder ({len(skipped)} other files{plain(first, 160)}); {_READS}"
        )
    return Found(folder, tuple(items), tuple(skipped)), series


def _walk(folder: Path, skipped: list[tuple[str, str]]) -> Iterator[Path]:
    """Yield plain files in order of name; links out of the folder, sockets and unreadable folders are skipped."""

    def refused(error: OSError) -> None:
        skipped.append((plain(error.filename), f"cannot be read ({error.strerror})"))

    real, count = folder.resolve(), 0
    for root, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            count += 1
            if count > _MAX_FILES:
                skipped.append(("...", f"more than {_MAX_FILES} files; the rest was not looked at"))
                return
            try:
                plain_file = stat.S_ISREG(path.stat().st_mode)
                inside = not path.is_symlink() or path.resolve().is_relative_to(real)
            except OSError as error:
                refused(error)
                continue
            if not plain_file or not inside:
                skipped.append((plain(name), "not a plain file in this folder"))
            else:
                yield path


__all__ = ["inspect", "read", "read_item", "read_labels", "read_volume"]
