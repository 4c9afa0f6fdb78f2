"""Save a mask as a DICOM segmentation of the series it was drawn on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.placing import placement
from napari_medcnn.core.results import Provenance
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Part
from napari_medcnn.io.dicom.items import Basis
from napari_medcnn.io.dicom.seg_out import SegHow, save_seg
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.found import Found, Item, Person
from napari_medcnn.io.save import save_json
from napari_medcnn.verbs.guard import guarded, stop_if, stoppable
from napari_medcnn.verbs.names import provenance_path

_LISTED = 8


@dataclass(frozen=True)
class SaveSegRequest:
    """Write `mask` to `path` (.dcm) as a segmentation of a DICOM series.

    Parameters
    ----------
    series
        File or folder of the series, as ``Volume.source["path"]`` of the scan says.
    item
        Which item of it, as ``Volume.source["item"]``; None takes the only one on whose grid the mask lies.
    manner
        "BINARY" for every program, "LABELMAP" for newer ones: smaller, and class ids stay.
    identified
        Name the patient and refer to the real series; only for those who chose that.
    provenance
        How the mask was made; written beside the file.
    """

    mask: LabelMap
    path: Path
    series: Path
    item: str | None = None
    manner: Literal["BINARY", "LABELMAP"] = "BINARY"
    identified: bool = False
    provenance: Provenance | Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SavedSeg:
    """The file, and what a user should know of it, in words."""

    path: Path
    notes: tuple[str, ...]


@guarded
def run(request: SaveSegRequest, cancel: Cancel) -> Events:
    """Write, read back and compare; the result is a `SavedSeg`.  An old file stays whole if anything goes wrong.

    Fails with
    ----------
    InputError
        No such series, several that fit, or the mask lies on another grid.
    SaveError
        The disk failed, or what was written does not read back equal.
    """
    stop_if(cancel)
    yield Progress(None, f"Looking at {Path(request.series).name}")
    found: Found = yield from stoppable(scan_steps([Path(request.series)]), cancel)
    item, part = _series(found, request)
    stop_if(cancel)
    yield Progress(None, f"Saving {Path(request.path).name}")
    person = item.study.person if item.study is not None else Person()
    how = SegHow(request.manner, request.identified, private=_words(person))
    path = Path(request.path)
    notes = save_seg(request.mask, part, path, how)
    if request.provenance is not None:
        made = request.provenance
        save_json(made.to_json() if isinstance(made, Provenance) else dict(made), provenance_path(path))
    yield Result(SavedSeg(path, notes))


def _series(found: Found, request: SaveSegRequest) -> tuple[Item, Part]:
    """Return the series and its planes."""
    if request.item is not None:
        chosen = [found.item(request.item)]
    else:
        series = [i for i in found.items if isinstance(i.basis, Basis) and i.basis.part is not None]
        chosen = [i for i in series if _fits(request.mask, i)] or series
    if not chosen:
        raise InputError(f"{found.path.name}: there is no DICOM series here; name the one the mask was drawn on")
    if len(chosen) > 1:
        listed = "; ".join(f"{i.id} ({i.title}, {'x'.join(map(str, i.shape))})" for i in chosen[:_LISTED])
        raise InputError(f"{found.path.name}: several series here; say on which the mask was drawn: {listed}")
    item = chosen[0]
    if not isinstance(item.basis, Basis) or item.basis.part is None:
        raise InputError(f"{item.title}: this is no DICOM series; a DICOM segmentation is saved on one, or use .nii.gz")
    return item, item.basis.part


def _fits(mask: LabelMap, item: Item) -> bool:
    if item.geometry is None:
        return False
    flat = mask.is_picture and not item.geometry.orientation_known and mask.geometry.shape == item.geometry.shape
    place = placement(mask.geometry, item.geometry)
    return flat or (place is not None and place[1] == (0, 0, 0) and mask.geometry.same_grid(item.geometry))


def _words(person: Person) -> frozenset[str]:
    """Return what names a patient: the whole name, its parts, number and birth date as people and DICOM write it."""
    parts = {person.name, person.id, person.birth_date, person.birth_date.replace("-", "")}
    parts |= {word for word in person.name.replace("^", " ").replace(",", " ").split() if len(word) > 2}
    return frozenset(parts - {""})
