"""Every format but DICOM behind two functions: what a file holds, and one of its images."""

from __future__ import annotations

import re
from pathlib import Path

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.coco import inspect_coco, read_coco
from napari_medcnn.io.found import Item, shown
from napari_medcnn.io.gipl import inspect_gipl, read_gipl
from napari_medcnn.io.metaimage import inspect_metaimage, read_metaimage
from napari_medcnn.io.mgh import inspect_mgh, read_mgh
from napari_medcnn.io.nifti import inspect_nifti, read_nifti
from napari_medcnn.io.nrrd import inspect_nrrd, read_nrrd
from napari_medcnn.io.pictures import inspect_picture, read_picture
from napari_medcnn.io.sniff import Format

#: In words, for messages.
READS = (
    "NIfTI, Analyze, NRRD, MetaImage, MGH, GIPL, DICOM, PNG, JPEG, TIFF, BMP, GIF, WebP and JPEG 2000 are read, and "
    "masks in COCO's JSON"
)

_PART = re.compile(r"(?:^|:)((?:layer|page)-\d+)$")


def inspect_file(path: Path, kind: Format) -> tuple[Item, ...]:
    """Return the items of a file that `sniff` calls `kind` (not DICOM), from its header.

    Raises
    ------
    InputError
        The header is cut or contradictory; `UnsupportedError` if it is of a layout that is not read.
    """
    if kind == "nifti":
        return inspect_nifti(path)
    if kind == "nrrd":
        return inspect_nrrd(path)
    if kind == "metaimage":
        return inspect_metaimage(path)
    if kind == "mgh":
        return inspect_mgh(path)
    if kind == "gipl":
        return inspect_gipl(path)
    if kind == "coco":
        return inspect_coco(path)
    return inspect_picture(path, kind)


def read_file(
    path: Path, kind: Format, item: str | None = None, consent: Consent = NONE, as_ids: bool = False
) -> tuple[Volume, LabelSet | None]:
    """Return one image of a file (not DICOM) and, if the file says it is a mask, its classes (may be empty).

    Parameters
    ----------
    item
        `Item.id` of `inspect_file`, or that of a folder's item, whose last part names the layer or page.
    as_ids
        For masks: keep palette numbers instead of their colours, and never mix values.

    Raises
    ------
    InputError
        As the reader of the format; `ConsentNeededError` where the user must agree first.
    """
    try:
        return _read(path, kind, part_of(item), consent, as_ids)
    except MemoryError as error:
        raise InputError(
            f"{shown(path)}: there is not enough memory for its voxels; close other programs, or crop or downsample "
            "the image first"
        ) from error


def _read(path: Path, kind: Format, part: str | None, consent: Consent, as_ids: bool) -> tuple[Volume, LabelSet | None]:
    if kind == "nifti":
        volume, note, is_mask = read_nifti(path, consent, as_ids)
        return volume, LabelSet.from_json(note.get("labels", [])) if is_mask and volume.axes == "zyx" else None
    if kind == "nrrd":
        return read_nrrd(path, part, consent, as_ids)
    if kind == "metaimage":
        return read_metaimage(path, consent, as_ids)
    if kind == "mgh":
        return read_mgh(path, consent, as_ids), None
    if kind == "gipl":
        return read_gipl(path, consent, as_ids), None
    if kind == "coco":
        return read_coco(path, part)
    return read_picture(path, kind, as_ids, consent, part)


def part_of(item: str | None) -> str | None:
    """Return the layer or page that an item's id names ("sub/a.seg.nrrd:layer-1"), None if it names none."""
    found = _PART.search(item or "")
    return found[1] if found else None
