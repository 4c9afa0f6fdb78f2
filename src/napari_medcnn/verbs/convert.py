"""Write one item of a file or folder in another format, values and grid unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_medcnn import __version__
from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Cancel, Events, Preview, Progress, Result
from napari_medcnn.core.results import Provenance
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.found import Found
from napari_medcnn.io.read import found_steps, read_labels
from napari_medcnn.verbs import save_seg
from napari_medcnn.verbs.guard import Steps, guarded, relay, stop_if, stoppable
from napari_medcnn.verbs.names import provenance_path
from napari_medcnn.verbs.save import SaveRequest, write
from napari_medcnn.verbs.scan_record import scan_record, voxel_sha256

#: So many of several items are listed where one has to be chosen.
_LISTED = 8


@dataclass(frozen=True)
class ConvertRequest:
    """Read `item` of `source` and write it to `target`; `consent` allows what is refused unasked.

    A target that ends in .dcm is a DICOM segmentation; it needs `on`.

    Parameters
    ----------
    on, on_item
        The DICOM series that the mask was drawn on, and which item of it.
    label_map
        As one picture a slice with class ids, which programs before 2024 do not read; else one for each class.
    identified
        With the patient's name and the real UIDs; else without anything of the patient.
    """

    source: Path
    target: Path
    item: str | None = None
    consent: Consent = NONE
    on: Path | None = None
    on_item: str | None = None
    label_map: bool = False
    identified: bool = False

    def __post_init__(self) -> None:
        seg = Path(self.target).suffix.lower() == ".dcm"
        if seg and self.on is None:
            raise InputError(
                f"{Path(self.target).name}: a DICOM segmentation refers to the series it was drawn on; add --on "
                "SERIES, or choose .nii.gz or .seg.nrrd"
            )
        if not seg and (self.on is not None or self.on_item is not None or self.label_map or self.identified):
            raise InputError(
                f"{Path(self.target).name}: --on, --on-item, --label-map and --identified are for a target that ends "
                "in .dcm (a DICOM segmentation)"
            )


@guarded
def run(request: ConvertRequest, cancel: Cancel) -> Events:
    """Convert; the result is the path written.  Beside it stands what reading found, assumed, and was allowed.

    Fails with
    ----------
    InputError
        Several items and none chosen (they are listed), or the source itself as target.
    ConsentNeededError
        An irregular grid, differing duplicates, damage and the like, without the consent it asks for.
    SaveError
        The target cannot be written; an old file stays as it was.
    """
    stop_if(cancel)
    source, target = Path(request.source), Path(request.target)
    for path in (target, provenance_path(target)):
        if path.exists() and source.exists() and path.samefile(source):
            raise InputError(f"{target}: source and target are the same file; name another target.")
    yield Progress(None, f"Looking at {source.name}")
    found: Found = yield from stoppable(scan_steps([source]), cancel)
    if request.item is None and len(found.items) > 1:
        shapes = ((i, " x ".join(map(str, i.shape)) or "does not open") for i in found.items[:_LISTED])
        listed = "; ".join(f"{i.id} ({i.title if i.title not in i.id else i.kind}, {shape})" for i, shape in shapes)
        more = len(found.items) - _LISTED
        rest = f"; and {more} more (medcnn info lists them all)" if more > 0 else ""
        raise InputError(f"{source}: holds {len(found.items)} items, choose one with --item: {listed}{rest}")
    yield Progress(None, f"Reading {source.name}")
    value: Volume | LabelMap = yield from _without_preview(
        stoppable(found_steps(found, found.item(request.item), request.consent), cancel)
    )
    stop_if(cancel)
    if request.on is not None:
        saved: save_seg.SavedSeg = yield from relay(save_seg.run(_seg_request(request, value), cancel))
        for note in saved.notes:
            yield Progress(None, note)
        yield Result(saved.path)
        return
    yield Progress(None, f"Writing {target.name}")
    yield Result(write(SaveRequest(value, target, _provenance(value))))


def _seg_request(request: ConvertRequest, value: Volume | LabelMap) -> save_seg.SaveSegRequest:
    """Return the request; a scan that is whole numbers is taken for a mask, as when it is opened as one."""
    mask = value if isinstance(value, LabelMap) else read_labels(request.source, request.item, request.consent)
    return save_seg.SaveSegRequest(
        mask, Path(request.target), Path(request.on or ""), request.on_item,
        "LABELMAP" if request.label_map else "BINARY", request.identified, _provenance(value),
    )  # fmt: skip


def _without_preview(steps: Steps) -> Steps:
    """Pass on progress; a first picture is of no use to a file."""
    try:
        while True:
            event = next(steps)
            if not isinstance(event, Preview):
                yield event
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _provenance(value: Volume | LabelMap) -> Provenance:
    return Provenance(
        model={},
        options={},
        versions={"napari-medcnn": __version__},
        device="",
        input=scan_record(value, voxel_sha256(value)),
        time=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
    )
