"""Save a scan, a mask or a result, with the record of how it was made beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.results import Classification, Provenance, Segmentation
from napari_medcnn.core.saliency import SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.file_state import FileState
from napari_medcnn.io.save import save_json, save_labels, save_text, save_volume
from napari_medcnn.verbs.guard import guarded, stop_if
from napari_medcnn.verbs.names import provenance_path
from napari_medcnn.verbs.save_map import write_map

Saved = Volume | LabelMap | Segmentation | Classification | SaliencyMap


@dataclass(frozen=True)
class SaveRequest:
    """Write `obj` to `path`.

    `provenance` (a Provenance or its JSON) is written beside it; results bring their own.  `seen` is how the file of
    a mask was when it was opened or last saved: changed by another program since, it is not written over.
    """

    obj: Saved
    path: Path
    provenance: Provenance | Mapping[str, Any] | None = None
    seen: FileState | None = None


@guarded
def run(request: SaveRequest, cancel: Cancel) -> Events:
    """Write; the result is the path.  An old file of that name stays whole if anything goes wrong."""
    stop_if(cancel)
    yield Progress(None, f"Saving {Path(request.path).name}")
    yield Result(write(request))


def write(request: SaveRequest) -> Path:
    """Write now, without events."""
    path, obj, provenance = Path(request.path), request.obj, request.provenance
    if isinstance(obj, SaliencyMap):  # brings its own record; the library's also bring their scan
        return write_map(obj, path, getattr(obj, "volume", None), getattr(obj, "mask", None))
    if isinstance(obj, Segmentation | Classification):
        provenance = provenance if provenance is not None else obj.provenance
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: there is no such folder; make it first or choose another one.")
    if isinstance(obj, Segmentation):
        save_labels(obj.mask, path, request.seen)
    elif isinstance(obj, LabelMap):
        save_labels(obj, path, request.seen)
    elif isinstance(obj, Volume):
        save_volume(obj, path)
    elif isinstance(obj, Classification):
        _classification(obj, path)
    else:
        raise InputError(f"obj: expected a scan, a mask or a result, got {type(obj).__name__}")
    if provenance is not None:
        data = provenance.to_json() if isinstance(provenance, Provenance) else dict(provenance)
        save_json(data, provenance_path(path))
    return path


def predictions_table(rows: Iterable[tuple[str, Classification]]) -> str:
    """Return the text of ``predictions.csv``: ``input,class,p_<class>...``; several chosen classes joined by ``|``."""
    rows = list(rows)
    names = list(dict.fromkeys(name for _, result in rows for name in result.probabilities))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["input", "class", *(f"p_{name}" for name in names)])
    for name, result in rows:
        numbers = [f"{result.probabilities[n]:.6f}" if n in result.probabilities else "" for n in names]
        writer.writerow([name, "|".join(result.chosen), *numbers])
    return text.getvalue()


def _classification(result: Classification, path: Path) -> None:
    if path.suffix.lower() == ".csv":
        save_text(predictions_table([(str(result.provenance.input.get("sha256", "")), result)]), path)
    elif path.suffix.lower() == ".json":
        save_json({"classes": dict(result.probabilities), "chosen": list(result.chosen)}, path)
    else:
        raise InputError(f"{path.name}: class scores are saved as .csv or .json.")
