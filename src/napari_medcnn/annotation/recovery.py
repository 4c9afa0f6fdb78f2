"""Bringing back what a killed session had not saved."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_medcnn.annotation.class_steps import ClassChange
from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.journal import FRAME, MAGIC, SUFFIX, VERSION, JournalInfo, lock_of
from napari_medcnn.annotation.liveness import is_held
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import MedcnnError, ProjectError, SaveError

_HEADER_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Recovery:
    """Work of a session that ended without saving.

    Parameters
    ----------
    info
        Case, source and reader, as given when the journal was started.
    steps
        How many whole steps the journal holds.
    when
        Last change of the file in seconds since 1970, to be shown to people; nothing is ordered by it.
    """

    path: Path
    info: JournalInfo
    steps: int
    when: float
    geometry: Geometry

    def restore(self) -> LabelMap:
        """Return the mask with every whole step done again; what follows a torn frame is not there any more.

        Raises
        ------
        ProjectError
            The mask before the first stroke is damaged, or the file has gone.
        """
        try:
            with open(self.path, "rb") as file:
                frames = _frames(file)
                header = _read_header(next(frames))
                array = _base(next(frames), header)
                labels = LabelSet.from_json(header["labels"])
                for frame in frames:
                    step = _step(frame)
                    labels = labels if step.classes is None else step.classes.after
                    wide = np.promote_types(array.dtype, step.dtype)
                    if wide != array.dtype:  # a class beyond the first mask's type was added later
                        array = array.astype(wide)
                    step.apply(array)
        except StopIteration as error:
            raise ProjectError(f"{self.path}: the stroke journal is cut before its first stroke") from error
        except OSError as error:
            raise ProjectError(f"{self.path}: the stroke journal cannot be read ({error.strerror})") from error
        ids = [int(i) for i in np.unique(array) if i]
        notes = (f"Recovered from {self.steps} unsaved steps.",)
        return LabelMap(array, self.geometry, labels.covering(ids), str(header["name"]), notes, dict(self.info.source))

    def discard(self) -> None:
        """Remove the journal for good.

        Raises
        ------
        SaveError
            It cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
            lock_of(self.path).unlink(missing_ok=True)
        except OSError as error:
            raise SaveError(f"{self.path}: cannot be removed ({error.strerror})") from error


def find_recoverable(folder: Path) -> list[Recovery]:
    """Return what can be recovered in `folder`, the latest session first (by its number, not by a clock).

    Journals of processes that live are left out; so are those without a whole step (nothing was lost) and those
    whose first frames are damaged. An absent folder gives ``[]``.
    """
    found = []
    for path in sorted(Path(folder).glob(f"*{SUFFIX}"), reverse=True):
        if is_held(lock_of(path)):
            continue
        with contextlib.suppress(OSError, MedcnnError, StopIteration), open(path, "rb") as file:
            frames = _frames(file)
            header = _read_header(next(frames))
            next(frames)
            steps = sum(1 for _ in frames)
            info = JournalInfo(str(header["case"]), dict(header["source"]), str(header["reader"]))
            if steps:
                found.append(Recovery(path, info, steps, path.stat().st_mtime, _geometry(header["geometry"])))
    return found


def remove_empty(folder: Path, older_than_seconds: float = 60.0) -> int:
    """Remove journals without a stroke that killed sessions left; return how many went.

    Only a journal that ends right after its first mask, or before it was begun, goes: where anything follows, a
    person may have worked.  Younger files are left alone, because a session may just be starting one; so are those
    of processes that live.  What cannot be removed stays.
    """
    removed = 0
    for path in sorted(Path(folder).glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError):
            if is_held(lock_of(path)) or time.time() - path.stat().st_mtime < older_than_seconds:
                continue
            if _holds_no_stroke(path):
                path.unlink()
                lock_of(path).unlink(missing_ok=True)
                removed += 1
    return removed


def _holds_no_stroke(path: Path) -> bool:
    """Return True if nothing follows the first mask; a frame that is damaged or cut may have been work."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        if size <= len(MAGIC):
            file.seek(0)
            return MAGIC.startswith(file.read())
        lengths = [len(body) for body in _frames(file)]
    return len(lengths) <= 2 and len(MAGIC) + sum(FRAME.size + n for n in lengths) == size


def _frames(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bodies of whole frames in order; the first that is cut, changed or out of order ends it."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        return
    expected = 0
    while True:
        head = file.read(FRAME.size)
        if len(head) < FRAME.size:
            return
        length, checksum, counter = FRAME.unpack(head)
        if counter != expected or length > size - file.tell():
            return
        body = file.read(length)
        if len(body) != length or zlib.crc32(body, zlib.crc32(head[-8:])) != checksum:
            return
        yield body
        expected += 1


def _read_header(body: bytes) -> dict[str, Any]:
    try:
        header = json.loads(body) if len(body) <= _HEADER_LIMIT else None
        if not isinstance(header, dict) or header.get("version") != VERSION:
            raise ProjectError("stroke journal: unknown version; open it with the napari-medcnn that wrote it")
        missing = {"reader", "case", "source", "name", "geometry", "labels", "dtype", "shape"} - header.keys()
        if missing or not isinstance(header["source"], dict):
            raise ProjectError(f"stroke journal: header lacks {sorted(missing)}")
    except ValueError as error:
        raise ProjectError(f"stroke journal: damaged header ({error})") from error
    return header


def _geometry(data: Any) -> Geometry:
    try:
        return Geometry(**{**data, "shape": tuple(data["shape"])})
    except (TypeError, KeyError) as error:
        raise ProjectError(f"stroke journal: damaged grid ({error})") from error


def _base(body: bytes, header: dict[str, Any]) -> Array:
    try:
        dtype, shape = np.dtype(header["dtype"]), tuple(int(n) for n in header["shape"])
        if dtype.kind not in "iu" or len(shape) != 3 or min(shape) < 1:
            raise ProjectError(f"stroke journal: expected a mask, got {dtype} {shape}")
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        raw = zlib.decompressobj().decompress(body, size + 1)
    except (TypeError, ValueError, zlib.error) as error:
        raise ProjectError(f"stroke journal: the first mask is damaged ({error})") from error
    if len(raw) != size or hashlib.sha256(raw).hexdigest() != header.get("base_sha256"):
        raise ProjectError("stroke journal: the first mask is damaged")
    return np.frombuffer(bytearray(raw), dtype).reshape(shape)


def _step(body: bytes) -> Step:
    try:
        (length,) = struct.unpack_from("<I", body)
        head = json.loads(body[4 : 4 + length])
        box = tuple(slice(int(a), int(b)) for a, b in head["box"])
        view = tuple(int(v) for v in head["view"])
        dtype = np.dtype(head["dtype"])
        if dtype.kind not in "biu":
            raise ProjectError(f"stroke journal: expected class ids, got {dtype}")
        classes = None
        if head.get("classes") is not None:
            before, after = head["classes"]
            classes = ClassChange(LabelSet.from_json(before), LabelSet.from_json(after))
        return Step(str(head["name"]), box, view, dtype.str, int(head["changed"]), body[4 + length :], classes)
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ProjectError(f"stroke journal: a step is damaged ({error})") from error
