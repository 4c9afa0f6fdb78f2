"""Say what files, folders and media hold, from headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.io.dicom.index import HeaderIndex
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.found import Found, Item
from napari_medcnn.verbs.guard import guarded, stop_if, stoppable


@dataclass(frozen=True)
class InfoRequest:
    """Look at a file or folder, or at several together; a DICOMDIR stands for what it lists.

    With `remember`, headers of files that did not change since the last look are not parsed again, and what is parsed
    now is kept for the next look (in the user's own folder, without names of patients or files).
    """

    path: Path | Sequence[Path]
    remember: bool = True

    @property
    def paths(self) -> tuple[Path, ...]:
        """What to look at."""
        return (Path(self.path),) if isinstance(self.path, str | Path) else tuple(Path(p) for p in self.path)


@guarded
def run(request: InfoRequest, cancel: Cancel) -> Events:
    """Look; the result is an `io.found.Found`.  Progress counts files; stopping takes a tenth of a second."""
    stop_if(cancel)
    yield Progress(None, "Looking at the headers")
    if not request.remember:
        yield Result((yield from stoppable(scan_steps(request.paths), cancel)))
        return
    with HeaderIndex.default() as index:
        found = yield from stoppable(scan_steps(request.paths, index), cancel)
    yield Result(found)


def to_json(found: Found) -> dict[str, Any]:
    """Return what ``medcnn info --json`` prints; what the file does not state is None, never invented.

    Nothing of a person is in it.
    """
    several = {"paths": [str(path) for path in found.roots]} if len(found.roots) > 1 else {}
    return {"path": str(found.path), **several, "items": [_item(item) for item in found.items]}


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
        "report": item.report.to_json(),
    }
