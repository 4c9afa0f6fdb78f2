"""Open a scan or a mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.io.read import read
from napari_medcnn.verbs.guard import guarded, stop_if


@dataclass(frozen=True)
class OpenRequest:
    """Read one item of a file or folder; `consent` allows what is refused unasked."""

    path: Path
    item: str | None = None
    consent: Consent = NONE


@guarded
def run(request: OpenRequest, cancel: Cancel) -> Events:
    """Read; the result is a Volume or a LabelMap."""
    stop_if(cancel)
    yield Progress(None, "Reading")
    value = read(Path(request.path), request.item, request.consent)
    stop_if(cancel)
    yield Result(value)
