"""The manifest of a long run: what was done with which model and options, so that it can be resumed.

``OUT/manifest.json`` is replaced as a whole after each case.  What a program of the user said last is not in it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_medcnn import __version__
from napari_medcnn.errors import InputError
from napari_medcnn.io.save import save_json

FILE = "manifest.json"
_VERSION = 1
#: Writing may take so much of the time of a run; beyond it a case waits for the next.
_SHARE = 0.05
#: What must be equal for a case not to be run again.
KEY = ("input", "item", "input_sha256", "model_sha256", "options")
_HEADERS = (".hdr", ".mhd", ".nhdr")


class Manifest:
    """Rows of cases, by what they were made of.

    Parameters
    ----------
    folder
        Where ``manifest.json`` stands; None keeps nothing (one output file).
    head
        What is said once: model, research use.
    resume
        Keep the rows of an earlier run.

    Raises
    ------
    InputError
        There is a ``manifest.json`` that is none of ours.
    """

    def __init__(self, folder: Path | None, head: Mapping[str, Any], resume: bool) -> None:
        self._path = None if folder is None else folder / FILE
        self._head = dict(head)
        self._rows: dict[str, dict[str, Any]] = {}
        self._wait_until = 0.0
        self._written = True
        for row in self._read(resume):
            self._rows[_name(row)] = row

    def done_before(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the row of a case that is done with equal input, model and options and whose output is there."""
        row = self._rows.get(_name(key))
        if row is None or row.get("status") != "done" or any(row.get(k) != key.get(k) for k in KEY):
            return None
        return row if row.get("output") and Path(row["output"]).is_file() else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Put in the row of a case, in place of an earlier one, and write."""
        self._rows[_name(row)] = dict(row)
        self._written = False
        if time.monotonic() >= self._wait_until:
            self.write()

    def write(self) -> None:
        """Write now, if anything is new."""
        if self._path is None or self._written:
            return
        started = time.monotonic()
        save_json({"medcnn": _VERSION, **self._head, "cases": list(self._rows.values())}, self._path)
        ended = time.monotonic()
        self._wait_until = ended + (ended - started) / _SHARE
        self._written = True

    def _read(self, resume: bool) -> list[dict[str, Any]]:
        if self._path is None or not self._path.exists():
            return []
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(data, dict) or data.get("medcnn") != _VERSION:
                raise InputError(
                    f"{self._path}: this file was not written by medcnn predict; choose another OUT folder."
                )
            return [dict(row) for row in data["cases"]] if resume else []
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._path}: not the manifest of a run; remove it or choose another OUT.") from error


def head(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest says once."""
    return {
        "software": f"napari-medcnn {__version__}",
        "research_use": "Research use only, not for diagnosis.",
        "model": dict(model),
    }


def files_sha256(files: Iterable[Path]) -> str:
    """Return one hash of the content of all files of a case; of a bare header with the data files beside it."""
    total = hashlib.sha256()
    for path in files:
        beside = sorted(path.parent.glob(f"{path.stem}.*")) if path.suffix.lower() in _HEADERS else [path]
        for file in beside:
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _name(row: Mapping[str, Any]) -> str:
    return json.dumps([row.get("input"), row.get("item")])
