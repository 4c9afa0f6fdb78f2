"""Share a case: scan, mask, classes, measures, pictures and how it was made, in one zip without identifiers."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_medcnn import __version__
from napari_medcnn.core import paths
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.found import Person
from napari_medcnn.io.pictures_out import png_bytes
from napari_medcnn.io.save import save_labels, save_volume
from napari_medcnn.io.share import README, Entry, without_identifiers, write_share
from napari_medcnn.verbs.guard import guarded, stop_if

HOW = "how-it-was-made.json"


@dataclass(frozen=True, eq=False)
class ShareRequest:
    """What goes into the zip at `path`; what is None or empty is left out.

    Parameters
    ----------
    scan
        The image as it was read: values and grid, nothing of its header.
    mask
        With the names of its classes.
    provenance
        How the mask was made.
    measures
        A table (CSV, UTF-8).
    pictures
        Name without suffix -> uint8 (height, width, 3).
    describes
        The scan that mask and measures belong to, for the description of its grid; by default `scan`.
    person, date
        Written into README.txt if given: only for those who ticked that.
    private
        Words that name the patient; taken out of every text unless `person` is given.
    files
        Names of files and scans; taken out of everything but the names of classes.
    """

    path: Path
    scan: Volume | None = None
    mask: LabelMap | None = None
    provenance: Mapping[str, Any] | None = None
    measures: str = ""
    pictures: Mapping[str, Array] = field(default_factory=dict)
    describes: Volume | None = None
    person: Person | None = None
    date: str = ""
    private: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


def largest_bytes(request: ShareRequest) -> dict[str, int]:
    """Return what each part takes at most: "scan", "mask", "measures", "pictures"; parts left out are missing."""
    sizes = {}
    if request.scan is not None:
        sizes["scan"] = int(request.scan.array.nbytes)
    if request.mask is not None:
        sizes["mask"] = int(request.mask.array.size) * (1 if request.mask.labels.smallest_dtype == "uint8" else 2)
    if request.measures:
        sizes["measures"] = len(request.measures.encode("utf-8"))
    if request.pictures:
        sizes["pictures"] = sum(int(p.nbytes) for p in request.pictures.values())
    return sizes


@guarded
def run(request: ShareRequest, cancel: Cancel) -> Events:
    """Write the zip; the result is its path.  An old file of that name stays whole if anything goes wrong.

    Fails with
    ----------
    InputError
        Nothing to share.
    SaveError
        No room, the disk failed, or what was written does not read back equal.
    Cancelled
        Nothing was changed.
    """
    if all(part is None or not len(part) for part in (request.measures, request.pictures)) and (
        request.scan is None and request.mask is None
    ):
        raise InputError("There is nothing to share; tick at least one part.")
    folder = paths.exchange()
    try:
        entries: list[Entry] = []
        if request.scan is not None:
            stop_if(cancel)
            yield Progress(None, "Writing the scan")
            entries.append(_scan(request.scan, folder))
        if request.mask is not None:
            stop_if(cancel)
            yield Progress(None, "Writing the mask")
            entries += _mask(_named(request), folder)
        entries += _texts(request)
        for name, picture in sorted(request.pictures.items()):
            stop_if(cancel)
            entries.append(Entry(f"pictures/{name}.png", "picture of a view", png_bytes(picture)))
        entries.append(Entry(README, "what is in here", _readme(request, entries).encode("utf-8")))
        yield Progress(None, "Writing the zip")
        write_share(entries, request.path, lambda: stop_if(cancel))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield Result(Path(request.path))


def _scan(scan: Volume, folder: Path) -> Entry:
    """Return the image: a picture of 8 bit as PNG, everything else as NIfTI."""
    picture = scan.array[0] if scan.axes in ("zyx", "zyxc") and scan.is_picture else None
    if picture is not None and picture.dtype == "uint8" and picture.shape[2:] in ((), (3,)):
        colour = picture if picture.ndim == 3 else picture[..., None].repeat(3, axis=-1)
        return Entry("scan.png", "the picture", png_bytes(colour))
    save_volume(scan, folder / "scan.nii.gz")
    return Entry("scan.nii.gz", "the image as it was read", folder / "scan.nii.gz")


def _named(request: ShareRequest) -> LabelMap:
    """Return the mask with every class named, and no class named like the patient."""
    mask = request.mask
    if mask is None:
        raise InputError("There is no mask to share.")
    labels = mask.labels.covering(sorted(mask.counts()))
    if request.person is None:
        cleaned = [(x, without_identifiers(x.name, request.private)) for x in labels]
        labels = LabelSet(tuple(x if name == x.name else replace(x, name=f"Class {x.id}") for x, name in cleaned))
    return replace(mask, labels=labels)


def _mask(mask: LabelMap, folder: Path) -> list[Entry]:
    name = "mask.png" if mask.is_picture and not mask.geometry.spacing_known else "mask.nii.gz"
    if name == "mask.png" and mask.labels.smallest_dtype != "uint8":
        name = "mask.nii.gz"
    array = mask.array.astype(mask.labels.smallest_dtype)
    save_labels(replace(mask, array=array), folder / name)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "name", "colour", "code", "voxels"])
    counts = mask.counts()
    for label in mask.labels:
        colour = "#{:02x}{:02x}{:02x}".format(*label.colour)
        writer.writerow([label.id, label.name, colour, label.code or "", counts.get(label.id, 0)])
    return [
        Entry(name, "the mask: the number of a voxel is the id of its class, 0 is background", folder / name),
        Entry("classes.csv", "the classes of the mask", text.getvalue().encode("utf-8")),
    ]


def _texts(request: ShareRequest) -> list[Entry]:
    entries = []
    if request.measures:
        entries.append(Entry("measures.csv", "measures", _clean(request, request.measures).encode("utf-8")))
    scan = request.describes or request.scan
    how: dict[str, Any] = {"medcnn": __version__, "research_use": "Research use only, not for diagnosis."}
    if scan is not None:
        grid = scan.geometry
        how["scan"] = {
            "modality": scan.modality, "value_unit": scan.value_unit, "axes": scan.axes,
            "shape": list(scan.array.shape), "spacing_mm": list(grid.spacing_mm) if grid.spacing_known else None,
            "orientation": grid.orientation or None,
        }  # fmt: skip
    if request.mask is not None:
        how["mask"] = _cleaned(request, dict(request.provenance or {}))
    entries.append(Entry(HOW, "how it was made", (json.dumps(how, indent=2, ensure_ascii=False) + "\n").encode()))
    return entries


def _clean(request: ShareRequest, text: str) -> str:
    """Return text without paths and names of files; without anything of the patient unless that was ticked."""
    return without_identifiers(text, request.files if request.person is not None else request.files | request.private)


def _cleaned(request: ShareRequest, value: Any) -> Any:
    """Return plain JSON with every text cleaned, and without times of day: they lead to the examination."""
    if isinstance(value, str):
        return _clean(request, value)
    if isinstance(value, Mapping):
        return {_clean(request, str(k)): _cleaned(request, v) for k, v in value.items() if k != "time"}
    if isinstance(value, list | tuple):
        return [_cleaned(request, v) for v in value]
    return value


def _readme(request: ShareRequest, entries: list[Entry]) -> str:
    lines = ["A case shared from MedCNN", "Research use only, not for diagnosis.", ""]
    person = request.person
    if person is not None:
        lines += ["Patient: " + ", ".join(part for part in (person.name, person.id, person.birth_date) if part)]
        lines += [f"Examination: {request.date}"] if request.date else []
        lines += ["This case names its patient. Keep it where only those who treat the patient can read it.", ""]
    else:
        lines += [
            "Names, numbers, dates and headers of the patient were left out. What the image itself shows was not",
            "changed: a face can be seen in a head scan, and text in a picture stays.", "",
        ]  # fmt: skip
    lines.append("Files")
    lines += [f"  {entry.name}: {entry.what}" for entry in sorted(entries, key=lambda e: e.name)]
    lines += [
        "  manifest.json: size and SHA-256 of every file",
        "",
        "Scan and mask lie on the same grid. NIfTI opens in MedCNN, 3D Slicer, ITK-SNAP and most other viewers.",
    ]
    return "\n".join(lines) + "\n"
