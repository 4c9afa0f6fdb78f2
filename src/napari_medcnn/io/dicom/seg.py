"""DICOM Segmentation objects as masks: every frame placed by its position, values always class ids.

Overlapping segments become several layers (`<id>:layer-1`, ...); a fractional segmentation becomes volumes of 0 to 1,
one for each segment (`<id>:segment-<number>`), and is never thresholded unasked.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Header
from napari_medcnn.io.dicom.masks.seg_facts import Segmentation, facts_of, series_named
from napari_medcnn.io.dicom.masks.seg_grid import Placed, placed
from napari_medcnn.io.dicom.masks.seg_items import base_of, chosen, common, layer_items, refused_item, title_of
from napari_medcnn.io.dicom.masks.seg_layers import Overlaps, layers_of
from napari_medcnn.io.dicom.masks.seg_names import label_set
from napari_medcnn.io.dicom.masks.seg_onto import grid_on, on_reference
from napari_medcnn.io.dicom.masks.seg_pixels import Frames, check_readable, opened
from napari_medcnn.io.found import Item, shown
from napari_medcnn.io.payload import check_memory

_SEGMENT = ":segment-"


def inspect_seg(header: Header, reference: Geometry | None = None) -> tuple[Item, ...]:
    """Return the items of a segmentation: one of kind "labels", several where segments overlap, "volume" if fractional.

    With `reference` (as of `read_seg`) their grid is that one wherever the frames lie in it voxel on voxel.

    The pixels are looked at only where several segments have frames in one plane, to see whether they overlap: what the
    header says of that (SegmentsOverlap) is not relied on.  What cannot be read is one item of kind "other", whose
    report says why.
    """
    try:
        seg = facts_of(header)
        place = placed(seg, reference)
        check_readable(header)
        grid = grid_on(place.geometry, reference)
        if seg.manner == "FRACTIONAL":
            return _fractional_items(seg, place, grid)
        layers = _layers(seg, place)
    except InputError as error:
        return (refused_item(header, error),)
    named = [([_name(seg, n) for n in numbers], max(numbers, default=0)) for numbers in layers]
    return layer_items(header, grid, named, _report(seg, place, layers), header.series_uid)


def read_seg(header: Header, item_id: str | None, reference: Geometry | None = None) -> LabelMap | Volume:
    """Return one item of a segmentation.

    Parameters
    ----------
    header
        Of the file.
    item_id
        As `inspect_seg` gave it; None for a file with one item.
    reference
        Grid of the series it was made from, where that is known: the mask then comes on this grid if it lies in it
        voxel on voxel, and else on its own, smallest grid with a note.

    Returns
    -------
    A `LabelMap` whose ids are the segment numbers; a `Volume` of float32 from 0 to 1 for a fractional segmentation.

    Raises
    ------
    InputError
        The file is damaged or contradicts itself, or there are several items and none is named.
    UnsupportedError, GeometryError
        As `inspect_seg` reports them.
    """
    seg = facts_of(header)
    place = placed(seg, reference)
    check_memory(header.path, int(np.prod(place.geometry.shape, dtype=np.float64)) * _itemsize(seg))
    if seg.manner == "FRACTIONAL":
        return _fraction(seg, place, item_id, reference)
    layers = _layers(seg, place)
    wanted = chosen(header, item_id, layers, "segments")
    array = _painted(seg, place, frozenset(wanted))
    labels, assumed = _labels(seg, wanted, array)
    report = _report(seg, place, layers, assumed)
    mask = LabelMap(
        array,
        place.geometry,
        labels,
        title_of(header),
        report.warnings,
        {"path": os.fspath(header.path), "item": item_id or ""},
        report,
        header.frame_of_reference,
    )
    return on_reference(mask, reference)


def referenced_series(header: Header) -> tuple[str, ...]:
    """Return the series that the file names as its source, most likely one; () where it names none or is broken."""
    return series_named(header.path)


def _itemsize(seg: Segmentation) -> int:
    return 4 if seg.manner == "FRACTIONAL" else 2 if max(seg.segments, default=0) > 255 else 1


def _by_plane(seg: Segmentation, place: Placed) -> Iterator[tuple[int, list[int]]]:
    """Yield planes and the indices of their frames."""
    planes: dict[int, list[int]] = defaultdict(list)
    for frame, plane in zip(seg.frames, place.planes, strict=True):
        planes[plane].append(frame.index)
    yield from sorted(planes.items())


def _layers(seg: Segmentation, place: Placed) -> tuple[tuple[int, ...], ...]:
    """Return the segment numbers of each layer; of a label map, all in one."""
    _check_single(seg, place)
    if seg.manner == "LABELMAP":
        return (tuple(sorted(seg.segments)),)
    overlaps = Overlaps()
    shared = [indices for _, indices in _by_plane(seg, place) if len(indices) > 1]
    if shared and len(seg.segments) > 1:
        with opened(seg.header) as frames:
            for indices in shared:
                overlaps.add_plane([(seg.frames[i].segment, frames.read(i) != 0) for i in indices])
    return layers_of(seg.segments, overlaps.pairs)


def _check_single(seg: Segmentation, place: Placed) -> None:
    """Refuse two frames of one class (of a label map: any two) in one plane."""
    for plane, indices in _by_plane(seg, place):
        taken: dict[int, int] = {}
        for i in indices:
            other = taken.setdefault(seg.frames[i].segment, i)
            if other != i:
                raise InputError(
                    f"{shown(seg.header.path)}: frames {other + 1} and {i + 1} show one segment in one plane "
                    f"({plane + 1}); which holds is not stated (several time points are not read)"
                )


def _painted(seg: Segmentation, place: Placed, wanted: frozenset[int]) -> Array:
    out = np.zeros(place.geometry.shape, np.uint16 if _itemsize(seg) == 2 else np.uint8)
    with opened(seg.header) as frames:
        for plane, indices in _by_plane(seg, place):
            for i in indices:
                if seg.manner == "LABELMAP":
                    out = _pasted(seg, out, plane, frames.read(i))
                elif seg.frames[i].segment in wanted:
                    out[plane][frames.read(i) != 0] = seg.frames[i].segment
    return out


def _pasted(seg: Segmentation, out: Array, plane: int, values: Array) -> Array:
    """Write one frame of a label map; ids beyond 255 widen the array, padding becomes background."""
    if values.dtype.itemsize > out.dtype.itemsize and int(values.max(initial=0)) > 255:
        out = out.astype(np.uint16)
    out[plane] = values
    for value in seg.background - {0}:
        out[plane][values == value] = 0
    return out


def _labels(seg: Segmentation, wanted: tuple[int, ...], array: Array) -> tuple[LabelSet, tuple[str, ...]]:
    labels = label_set([seg.segments[n] for n in wanted], wanted)
    if seg.manner != "LABELMAP":
        return labels, ()
    seen = np.zeros(65536, bool)
    for plane in array:
        seen[plane] = True
    present = [int(n) for n in np.flatnonzero(seen) if n]
    unnamed = [n for n in present if n not in seg.segments]
    if not unnamed:
        return labels, ()
    said = ", ".join(str(n) for n in unnamed[:5])
    return labels.covering(present), (f"Class {said} stands in the pixels and is not described in the file.",)


def _fractional_items(seg: Segmentation, place: Placed, grid: Geometry) -> tuple[Item, ...]:
    single = len(seg.segments) == 1
    report = _report(seg, place, ())
    return tuple(
        Item(
            base_of(seg.header) if single else f"{base_of(seg.header)}{_SEGMENT}{number}",
            "volume",
            "zyx",
            grid.shape,
            "uint8",
            grid,
            title=f"{title_of(seg.header)}, {_name(seg, number)} (0 to 1)",
            warnings=report.warnings,
            report=report,
            series_uid=seg.header.series_uid,
            **common(seg.header),
        )
        for number in sorted(seg.segments)
    )


def _fraction(seg: Segmentation, place: Placed, item_id: str | None, reference: Geometry | None) -> Volume:
    """Return one segment of a fractional segmentation: stored value / MaximumFractionalValue (PS3.3 C.8.20.2)."""
    _, mark, text = (item_id or "").rpartition(_SEGMENT)
    number = int(text) if mark and text.isdigit() else next(iter(seg.segments))
    if number not in seg.segments or (not mark and len(seg.segments) > 1):
        names = ", ".join(f"segment-{n}" for n in sorted(seg.segments))
        raise InputError(
            f"{shown(seg.header.path)}: this fractional segmentation holds several segments; choose one of {names}"
        )
    out = np.zeros(place.geometry.shape, np.float32)
    with opened(seg.header) as frames:
        for plane, indices in _by_plane(seg, place):
            for i in (i for i in indices if seg.frames[i].segment == number):
                out[plane] = _shares(seg, frames, i)
    report = _report(seg, place, ())
    volume = Volume(
        out, place.geometry, "zyx", f"{title_of(seg.header)}, {_name(seg, number)}", "SEG", window=(0.0, 1.0),
        notes=report.warnings, source={"path": os.fspath(seg.header.path), "item": item_id or ""}, report=report,
        frame_of_reference=seg.header.frame_of_reference,
    )  # fmt: skip
    return on_reference(volume, reference)


def _shares(seg: Segmentation, frames: Frames, index: int) -> Array:
    values = frames.read(index)
    if int(values.max(initial=0)) > seg.maximum:
        raise InputError(
            f"{shown(seg.header.path)}: frame {index + 1} holds {int(values.max())}, above the stated maximum "
            f"{seg.maximum} of a fraction"
        )
    return values.astype(np.float32) / np.float32(seg.maximum)


def _report(
    seg: Segmentation, place: Placed, layers: tuple[tuple[int, ...], ...], more: tuple[str, ...] = ()
) -> Report:
    kinds = {"BINARY": "binary", "LABELMAP": "label map", "FRACTIONAL": f"fractional ({seg.fraction.lower() or '?'})"}
    count = len(seg.segments)
    found = [f"A {kinds[seg.manner]} segmentation of {count} {'segment' if count == 1 else 'segments'}."]
    if len(layers) > 1:
        found.append(f"Segments overlap: spread over {len(layers)} layers, in which none does.")
    if seg.background - {0}:
        found.append(f"The value {max(seg.background)} marks pixels without a class; it is background here.")
    return Report((*found, *place.found), (*seg.assumed, *place.assumed, *more))


def _name(seg: Segmentation, number: int) -> str:
    return seg.segments[number].name or f"Segment {number}"
