"""What tasks run in their threads: verbs, and whatever is too slow for the window (copies, counts, journals)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.annotation.export import CaseExport, export_case, safe_stem
from napari_medcnn.annotation.journal import Journal, JournalInfo
from napari_medcnn.annotation.recovery import Recovery, find_recoverable, remove_empty
from napari_medcnn.annotation.snapshot import Snapshot
from napari_medcnn.core import paths
from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Cancel, Events, Preview, Progress, Result
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.core.who import NOBODY, Who, differing
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.imaging.mask_picture import mask_picture
from napari_medcnn.io import samples
from napari_medcnn.io.found import Found, Item
from napari_medcnn.io.layerdata import KEY, LayerTuple, mask_layer, scan_layers, voxel_counts
from napari_medcnn.io.read import read_labels
from napari_medcnn.io.save import save_volume
from napari_medcnn.verbs import info, predict
from napari_medcnn.verbs import open as open_verb
from napari_medcnn.widgets.dialogs import DatasetEntry
from napari_medcnn.widgets.mask_file import MaskFile
from napari_medcnn.widgets.placing import placed
from napari_medcnn.widgets.study_model import person_names
from napari_medcnn.widgets.tasks import Work

Array = NDArray[Any]
#: Unsaved work that is shown with a picture.
PICTURES = 3
#: Pixels of its longer side.
_SIDE = 64


@dataclass(frozen=True, eq=False)
class MaskWork:
    """A mask ready to be shown and corrected.

    `snapshot` has the layer's voxels as (z, y, x) before the first stroke, `counts` voxels per class, `journal` None
    where strokes cannot be kept on disk; `warning` says why.
    """

    layer: LayerTuple
    labels: LabelSet
    snapshot: Snapshot
    counts: dict[int, int]
    journal: Journal | None
    warning: str = ""


@dataclass(frozen=True, eq=False)
class Opened:
    """A scan or a mask that was read, as layers; with the item it was, and what the user agreed to."""

    scan: Volume | None
    layers: list[LayerTuple]
    mask: MaskWork | None = None
    item: Item | None = None
    consent: Consent = NONE
    file: MaskFile | None = None

    @property
    def who(self) -> Who:
        """Of whom and when the scan is, as far as its file states it."""
        return who_of(self.item, "" if self.scan is None else self.scan.frame_of_reference)


@dataclass(frozen=True, eq=False)
class Second:
    """A scan beside the open one, as it was read, and its layers."""

    opened: Opened
    scan: Volume
    layers: tuple[Any, ...]


def who_of(item: Item | None, frame_of_reference: str = "") -> Who:
    """Return of whom and when an item is; what is not DICOM states nothing."""
    if item is None or item.study is None:
        return Who(frame_of_reference=frame_of_reference)
    person = item.study.person
    said = (person.name, person.id, person.birth_date, person.sex)
    return Who(said, item.study.date, frame_of_reference)


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found, with everything in it that may name a patient: names and titles, and names of files."""

    found: Found
    names: frozenset[str]
    files: frozenset[str]


@dataclass(frozen=True, eq=False)
class Over:
    """The scan that a mask is laid over, None for none, and of whom it is; `resample` if the user agreed to that."""

    scan: Volume | None
    resample: bool = False
    who: Who = NOBODY


def prepare_mask(mask: LabelMap, scan: Volume | None) -> MaskWork:
    """Count, copy once for the layer, and start the journal; the scan's name and hash go into it, no path.

    Snapshot and journal read the array of `mask` itself: it must not change any more.
    """
    counts = voxel_counts(mask.array)
    layer = mask_layer(mask, scan, counts)
    data, kwargs, _ = layer
    info = kwargs["metadata"][KEY]
    before = _never_changed(info["how"].apply(mask.array))
    if before.dtype != data.dtype:
        before = before.astype(data.dtype)
        before.setflags(write=False)
    snapshot = Snapshot(before)
    shown = LabelMap(before, info["geometry"].reoriented(info["how"]), info["labels"], name=mask.name)
    source = scan.source if scan is not None else mask.source
    kept = {k: str(v) for k, v in source.items() if k in ("sha256", "item")}
    name = scan.name if scan is not None else mask.name
    journal, warning = None, ""
    try:
        journal = Journal.create(paths.recovery(), shown, JournalInfo(case=name, source=kept))
    except MedcnnError as error:
        warning = str(error)
    return MaskWork(layer, info["labels"], snapshot, counts, journal, warning)


def _never_changed(array: Array) -> Array:
    """Return an array as one that is only read; a copy of what lies in a file, which others may write to."""
    holder: Any = array
    while isinstance(holder, np.ndarray) and not isinstance(holder, np.memmap):
        holder = holder.base
    view = array.view() if holder is None or isinstance(holder, bytes) else array.copy()
    view.setflags(write=False)
    return view


def look(paths: tuple[Path, ...]) -> Work:
    """Look what files and folders hold: the result is `Looked`."""

    def work(cancel: Cancel) -> Events:
        for event in info.run(info.InfoRequest(paths), cancel):
            yield Result(_names_in(event.value)) if isinstance(event, Result) else event

    return work


def _names_in(found: Found) -> Looked:
    names = {item.title for item in found.items if item.study is None}  # those of DICOM name nobody
    for person in {item.study.person for item in found.items if item.study is not None}:
        names |= person_names(person)
    files = {path.name.lower() for item in found.items for path in item.files}
    return Looked(found, frozenset(names), frozenset(files))


def open_item(found: Found, item: str | None, consent: Consent, over: Over) -> Work:
    """Read one item: the result is `Opened`; a mask is laid over the open scan.  The first picture comes before it."""

    def work(cancel: Cancel) -> Events:
        request = open_verb.OpenRequest(found.path, item, consent, found if found.items else None)
        for event in open_verb.run(request, cancel):
            if isinstance(event, Preview):
                yield Preview(Opened(event.value, scan_layers(event.value)))
            elif not isinstance(event, Result):
                yield event
            elif isinstance(event.value, LabelMap):
                of = who_of(found.item(item)) if found.items else NOBODY
                yield Result(Opened(None, [], _over(event.value, over, of)))
            else:
                value = predict.with_source(event.value, *_source_of(found, item))
                yield Result(Opened(value, scan_layers(value)))

    return work


def _source_of(found: Found, item_id: str | None) -> tuple[Path, str | None]:
    """Return the path and item that name a scan for the command line: of several roots, where its files lie."""
    if len(found.roots) < 2 or item_id is None:
        return found.path, item_id
    item = found.item(item_id)
    if item.study is None:
        return (item.files[0] if item.files else found.path), None
    lies_in = (root for root in found.roots if all(path.is_relative_to(root) for path in item.files))
    return next(lies_in, found.path), item_id


def open_mask(path: Path, over: Over, before: MaskFile | None) -> Work:
    """Read a file as a mask, whatever else it could be: the result is `Opened`; it is laid over the open scan.

    `before` is the file of the mask that is open.
    """

    def work(cancel: Cancel) -> Events:
        yield Progress(None, f"Reading {path.name}")
        file = MaskFile.opened(path, before)
        opened = None
        try:
            opened = read(file, cancel)
        finally:
            if opened is None and (before is None or file.lock is not before.lock):
                file.release()
        yield Result(opened)

    def read(file: MaskFile, cancel: Cancel) -> Opened:
        mask = read_labels(path)
        items: tuple[Item, ...] = ()
        with contextlib.suppress(MedcnnError):  # it is read already; whom it is of is all that is asked here
            for event in info.run(info.InfoRequest((path,)), cancel):
                items = event.value.items if isinstance(event, Result) else items
        shown = _over(mask, over, who_of(items[0] if len(items) == 1 else None))
        return Opened(None, [], shown, file=file)

    return work


def _over(mask: LabelMap, over: Over, of: Who) -> MaskWork:
    if over.scan is None:
        return prepare_mask(mask, None)
    what = differing(of, over.who)
    if what:
        raise InputError(
            f"{mask.name}: this mask is of another patient than the open scan ({what} differ). A mask is laid over "
            "the scan of its own patient only; open that scan first"
        )
    return prepare_mask(placed(mask, over.scan, over.resample), over.scan)


def open_sample(name: str) -> Work:
    """Make the example "fundus" or "phantom": the result is `Opened`."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Making the example")
        scan = samples.fundus() if name == "fundus" else samples.phantom()[0]
        yield Result(Opened(scan, scan_layers(scan)))

    return work


def empty_mask(scan: Volume, labels: LabelSet) -> Work:
    """Make an empty mask on a scan's grid: the result is `MaskWork`."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Making an empty mask")
        array = np.zeros(scan.geometry.shape, labels.smallest_dtype)
        yield Result(prepare_mask(LabelMap(array, scan.geometry, labels, name="Mask"), scan))

    return work


def recoverable() -> Work:
    """Look for work that was never saved: the result is a list of `Recovery`, the first few with a picture."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Looking for unsaved work")
        remove_empty(paths.recovery())
        found = find_recoverable(paths.recovery())
        yield Result([(each, _picture(each) if n < PICTURES else None) for n, each in enumerate(found)])

    return work


def _picture(recovery: Recovery) -> Array | None:
    """Return what was drawn as a small picture; None where it cannot be brought back."""
    try:
        return mask_picture(recovery.restore(), _SIDE)
    except MedcnnError:
        return None


def recover(recovery: Recovery, scan: Volume | None) -> Work:
    """Bring unsaved work back: the result is `MaskWork`, over `scan` if it is the scan it was drawn on.

    The journal holds the mask in the order it was shown in; over its scan it is turned back to the scan's own order.
    """

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Bringing unsaved work back")
        mask = recovery.restore()
        over = None
        if scan is not None:
            how = scan.geometry.reorientation_to()
            if mask.geometry.same_grid(scan.geometry.reoriented(how)):
                mask = mask.reoriented(how.inverse)
                mask, over = replace(mask, geometry=scan.geometry), scan
        ready = prepare_mask(mask, over)
        yield Result(ready)

    return work


def add_to_dataset(entry: DatasetEntry, scan: Volume, mask: LabelMap, provenance: dict[str, Any] | None) -> Work:
    """Write mask and row: the result is the table.  A volume that is not one plain file is written beside the mask."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Adding to the dataset")
        path = Path(str(scan.source.get("path") or ""))
        if scan.source.get("item") or not path.is_file():
            if scan.is_picture:
                raise InputError("A dataset needs the picture as a file; save it, open the file, and add it then.")
            folder = entry.folder / "images"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{safe_stem(entry.case)}.nii.gz"
            save_volume(scan, path)
        info = CaseExport(entry.case, (path,), patient=entry.patient, split=entry.split)
        yield Result(export_case(entry.folder, info, mask, provenance))

    return work
