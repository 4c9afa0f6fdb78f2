"""Open a scan or a mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.io.found import Found
from napari_medcnn.io.read import found_steps, read_steps
from napari_medcnn.verbs.guard import guarded, stop_if, stoppable


@dataclass(frozen=True)
class OpenRequest:
    """Read one item of a file or folder; `consent` allows what is refused unasked.

    With `found`, the answer of `verbs.info` for `path`, the folder is not looked at again.
    """

    path: Path
    item: str | None = None
    consent: Consent = NONE
    found: Found | None = None


@guarded
def run(request: OpenRequest, cancel: Cancel) -> Events:
    """Read; the result is a Volume or a LabelMap.  A Preview of its first picture may come before."""
    stop_if(cancel)
    yield Progress(None, "Reading")
    if request.found is not None:
        steps = found_steps(request.found, request.found.item(request.item), request.consent)
    else:
        steps = read_steps(Path(request.path), request.item, request.consent)
    value = yield from stoppable(steps, cancel)
    stop_if(cancel)
    yield Result(value)
