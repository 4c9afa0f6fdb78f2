"""Say what a file or folder holds, from headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.io.found import Found, Item
from napari_medcnn.io.read import inspect
from napari_medcnn.verbs.guard import guarded, stop_if


@dataclass(frozen=True)
class InfoRequest:
    """Look at a file or folder."""

    path: Path


@guarded
def run(request: InfoRequest, cancel: Cancel) -> Events:
    """Look; the result is an `io.found.Found`."""
    stop_if(cancel)
    yield Progress(None, "Looking at the headers")
    yield Result(inspect(Path(request.path)))


def to_json(found: Found) -> dict[str, Any]:
    """Return what ``medcnn info --json`` prints; what the file does not state is None, never invented."""
    return {"path": str(found.path), "items": [_item(item) for item in found.items]}


def _item(item: Item) -> dict[str, Any]:
    grid = item.geometry
    spacing = list(grid.spacing_mm) if grid is not None and grid.spacing_known else None
    stated = grid is not None and grid.spacing_known and grid.orientation_known
    return {
        "id": item.id,
        "kind": item.kind,
        "axes": item.axes,
        "shape": [int(n) for n in item.shape],
        "dtype": str(item.dtype),
        "spacing_mm": spacing,
        "affine_lps": grid.affine_lps.tolist() if grid is not None and stated else None,
        "orientation": grid.orientation if grid is not None else None,
        "modality": item.modality,
        "series_uid": item.series_uid,
        "warnings": list(item.warnings),
    }
