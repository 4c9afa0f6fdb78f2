"""Write one item of a file or folder in another format, values and grid unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.errors import InputError
from napari_medcnn.io.read import inspect, read
from napari_medcnn.verbs.guard import guarded, stop_if
from napari_medcnn.verbs.save import SaveRequest, write


@dataclass(frozen=True)
class ConvertRequest:
    """Read `item` of `source` and write it to `target`; `consent` allows what is refused unasked."""

    source: Path
    target: Path
    item: str | None = None
    consent: Consent = NONE


@guarded
def run(request: ConvertRequest, cancel: Cancel) -> Events:
    """Convert; the result is the path written.

    Fails with
    ----------
    InputError
        Several items and none chosen (they are listed), the source itself as target, or an irregular grid.
    SaveError
        The target cannot be written; an old file stays as it was.
    """
    stop_if(cancel)
    source, target = Path(request.source), Path(request.target)
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target}: source and target are the same file; name another target.")
    yield Progress(None, f"Looking at {source.name}")
    found = inspect(source)
    if request.item is None and len(found.items) > 1:
        listed = "; ".join(f"{i.id} ({i.kind}, {' x '.join(map(str, i.shape))})" for i in found.items)
        raise InputError(f"{source}: holds {len(found.items)} items, choose one with --item: {listed}")
    stop_if(cancel)
    yield Progress(None, f"Reading {source.name}")
    value = read(source, request.item, request.consent)
    stop_if(cancel)
    yield Progress(None, f"Writing {target.name}")
    yield Result(write(SaveRequest(value, target)))
