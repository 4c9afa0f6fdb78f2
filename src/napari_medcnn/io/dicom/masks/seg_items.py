"""What items of segmentations and of structures share: titles, ids of layers, the item of what does not open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Header
from napari_medcnn.io.found import Item, plain, shown

LAYER = ":layer-"

Layers = tuple[tuple[int, ...], ...]


def title_of(header: Header) -> str:
    """Return "SEG 300, Liver": modality, series number, description; never a patient's name or number."""
    head = " ".join(part for part in (modality_of(header), header.series_number) if part)
    return f"{head}, {header.description}" if header.description else head


def modality_of(header: Header) -> str:
    """Return the modality, or what the kind of object has where the file states none."""
    return header.modality or ("SEG" if header.kind == "segmentation" else "RTSTRUCT")


def base_of(header: Header) -> str:
    """Return the id that the items of a file begin with."""
    return header.series_uid or header.sop_uid or header.kind


def common(header: Header) -> dict[str, Any]:
    """Return what every item of a file repeats of its header."""
    return {
        "modality": modality_of(header),
        "files": (header.path,),
        "series_number": header.series_number,
        "description": header.description,
        "date": header.series_date or header.study_date,
        "nbytes": header.nbytes,
    }


def refused_item(header: Header, error: InputError) -> Item:
    """Return the item of a file that does not open, with the reason."""
    reason = Report(refused=(str(error),))
    return Item(
        base_of(header), "other", "", (), "uint8", None, title=title_of(header), warnings=reason.warnings,
        report=reason, series_uid=header.series_uid, **common(header),
    )  # fmt: skip


def layer_items(
    header: Header, grid: Geometry, layers: Sequence[tuple[Sequence[str], int]], report: Report, series_uid: str
) -> tuple[Item, ...]:
    """Return one item of kind "labels" for each layer: (names of its classes, highest id); one alone has no number."""
    items = []
    for k, (names, highest) in enumerate(layers):
        single = len(layers) == 1
        named = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        items.append(
            Item(
                base_of(header) if single else f"{base_of(header)}{LAYER}{k + 1}",
                "labels",
                "zyx",
                grid.shape,
                "uint16" if highest > 255 else "uint8",
                grid,
                title=title_of(header) if single else f"{title_of(header)}, layer {k + 1} ({plain(named, 60)})",
                warnings=report.warnings,
                report=report,
                series_uid=series_uid,
                **common(header),
            )
        )
    return tuple(items)


def chosen(header: Header, item_id: str | None, layers: Layers, what: str) -> tuple[int, ...]:
    """Return the members of the layer that an item id names; the only one if there is one.

    Raises
    ------
    InputError
        There are several and none is named; `what` says what overlaps.
    """
    _, mark, number = (item_id or "").rpartition(LAYER)
    if not mark and len(layers) == 1:
        return layers[0]
    if mark and number.isdecimal() and 1 <= int(number) <= len(layers):
        return layers[int(number) - 1]
    raise InputError(
        f"{shown(header.path)}: its {what} overlap and make {len(layers)} layers; choose one of layer-1 to "
        f"layer-{len(layers)}, got {plain(item_id) if item_id else 'none'}"
    )
