"""Readings put aside, one JSON file each, in our own folder: never beside the study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core import paths
from napari_medcnn.core.reading_state import ReadingState, SavedScan
from napari_medcnn.errors import InputError, MedcnnError, SaveError
from napari_medcnn.io.save import save_json

VERSION = 1
MAX_BYTES = 1_000_000
_SUFFIX = ".reading.json"
_KEYS = {"medcnn_reading", "title", "saved", "scan", "beside", "mask", "view", "features"}
_SCAN_KEYS = {"path", "item", "sha256"}


@dataclass(frozen=True)
class Listed:
    """A file of the list: what it holds, or why it cannot be read."""

    path: Path
    state: ReadingState | None
    problem: str = ""


def folder() -> Path:
    """Return where readings are kept, for the user only."""
    found = paths.home() / "readings"
    found.mkdir(parents=True, exist_ok=True, mode=0o700)
    return found


def save_reading(state: ReadingState) -> Path:
    """Write a reading; one of the same scan is replaced. The file's name tells nothing.

    Raises
    ------
    SaveError
        The disk failed; a reading saved before is intact.
    """
    key = hashlib.sha256(f"{state.scan.path}\0{state.scan.item}".encode()).hexdigest()[:24]
    target = folder() / f"{key}{_SUFFIX}"
    data = {
        "medcnn_reading": VERSION, "title": state.title, "saved": state.saved, "scan": vars(state.scan),
        "beside": [vars(scan) for scan in state.beside], "mask": state.mask, "view": dict(state.view),
        "features": {name: dict(kept) for name, kept in state.features.items()},
    }  # fmt: skip
    if len(json.dumps(data)) > MAX_BYTES:
        raise SaveError("The reading is too large to be saved; close scans beside it and save again")
    save_json(data, target)
    return target


def read_reading(path: Path) -> ReadingState:
    """Read what `save_reading` wrote, and nothing else.

    Raises
    ------
    InputError
        Too large, no JSON, another version, a key missing or unknown, a value of another kind: by name.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"saved reading: expected at most {MAX_BYTES} bytes, got {path.stat().st_size}")
        data = json.loads(path.read_bytes(), parse_constant=_no_number, object_pairs_hook=_once)
    except OSError as error:
        raise InputError(f"saved reading: cannot be read ({error.strerror}); delete it and save again") from error
    except (ValueError, RecursionError) as error:
        raise InputError("saved reading: the file is damaged; delete it and save again") from error
    if not isinstance(data, dict) or data.get("medcnn_reading") != VERSION:
        raise InputError(f"saved reading: expected version {VERSION}; it was saved by another version of MedCNN")
    if set(data) != _KEYS:
        odd = sorted(set(data) ^ _KEYS)
        raise InputError(f"saved reading: expected its own entries, got or missed {', '.join(odd)[:80]}")
    if not isinstance(data["beside"], list) or len(data["beside"]) > 50:
        raise InputError("saved reading: expected a list of at most 50 scans beside")
    return ReadingState(
        data["title"], data["saved"], _scan(data["scan"]), tuple(_scan(scan) for scan in data["beside"]), data["mask"],
        data["view"], data["features"],
    )  # fmt: skip


def list_readings() -> list[Listed]:
    """Return all readings, the newest first; what cannot be read is listed with the reason."""
    found = []
    files = sorted(folder().glob(f"*{_SUFFIX}"), key=_age)
    for path in files[:200]:
        try:
            found.append(Listed(path, read_reading(path)))
        except MedcnnError as error:
            found.append(Listed(path, None, str(error)))
    return found


def forget_reading(path: Path) -> None:
    """Delete a reading; nothing else is touched."""
    if path.parent == folder() and path.name.endswith(_SUFFIX):
        path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Return a number that is lowest for the newest file; one that has just gone, or leads nowhere, comes last."""
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _scan(data: Any) -> SavedScan:
    if not isinstance(data, dict) or set(data) != _SCAN_KEYS:
        raise InputError("saved reading: expected path, item and sha256 of a scan")
    return SavedScan(data["path"], data["item"], data["sha256"])


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an entry twice")
    return found
