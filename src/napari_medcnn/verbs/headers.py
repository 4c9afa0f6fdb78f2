"""List the header of one file for the header viewer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.io.header_rows import header_rows
from napari_medcnn.verbs.guard import guarded, stop_if


@dataclass(frozen=True)
class HeadersRequest:
    """Read the header of one file (of a series: any of `Item.files`)."""

    path: Path


@guarded
def run(request: HeadersRequest, cancel: Cancel) -> Events:
    """Read; the result is a tuple of `io.dicom.tags.TagRow`, in the order of the file."""
    stop_if(cancel)
    yield Progress(None, "Reading the header")
    yield Result(header_rows(Path(request.path)))
