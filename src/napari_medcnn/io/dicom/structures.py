"""RT Structure Sets as masks: contours filled on the grid of the series they were drawn on."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Header, Part
from napari_medcnn.io.dicom.masks.seg_items import chosen, layer_items, refused_item, title_of
from napari_medcnn.io.dicom.masks.seg_layers import Overlaps, layers_of
from napari_medcnn.io.dicom.masks.seg_names import label_set
from napari_medcnn.io.dicom.masks.structures_facts import Region, Structures, structures_of
from napari_medcnn.io.dicom.masks.structures_fill import Filled, Patch, filled
from napari_medcnn.io.found import Item, plain, shown
from napari_medcnn.io.payload import check_memory


def inspect_structures(header: Header, series: Mapping[str, tuple[Part, ...]]) -> tuple[Item, ...]:
    """Return the items of a structure set: one of kind "labels", or several layers where regions overlap.

    Parameters
    ----------
    header
        Of the file.
    series
        What lies beside it: series UID to the parts that the gate made of it.

    Returns
    -------
    Items on the grid of the series it was drawn on (`Item.series_uid`); one item of kind "other" where that series is
    not there or does not open as it stands, or the file cannot be read.
    """
    assumed: tuple[str, ...] = ()
    try:
        found = structures_of(header)
        part, assumed = _drawn_on(found, series)
        grid = _grid(header, part)
        layers, notes = _layers(found, grid)
    except InputError as error:
        return (refused_item(header, error),)
    report = _report(found, layers, (*assumed, *notes))
    highest = max(_ids(found))
    named = [([_name(found.regions[n]) for n in members], highest) for members in layers]
    return layer_items(header, grid, named, report, part.first.header.series_uid)


def read_structures(header: Header, item_id: str | None, reference: Geometry) -> LabelMap:
    """Return one layer of a structure set on the grid `reference`.

    A voxel belongs to a region if its centre lies inside an odd number of its contours in that plane
    (`structures_fill.inside`); ids are the ROI numbers where these are usable (`1` to `65535`, each once), else the
    places in the file.

    Raises
    ------
    InputError
        The file is damaged, its regions overlap and no layer is named, or nothing of it lies on this grid.
    """
    found = structures_of(header)
    check_memory(header.path, int(np.prod(reference.shape, dtype=np.float64)) * 2)
    ids = _ids(found)
    drawn = _drawn(found, reference)
    layers, notes = _layers(found, reference, drawn)
    members = chosen(header, item_id, layers, "regions")
    out = np.zeros(reference.shape, np.uint16 if max(ids) > 255 else np.uint8)
    for n in members:
        for patch in drawn[n].patches:
            out[patch.plane][patch.window][patch.mask] = ids[n]
    report = _report(found, layers, notes)
    return LabelMap(
        out,
        reference,
        label_set([found.regions[n].segment for n in members], [ids[n] for n in members]),
        title_of(header),
        report.warnings,
        {"path": os.fspath(header.path), "item": item_id or ""},
        report,
        next((r.frame_of_reference for r in found.regions if r.frame_of_reference), ""),
    )


def _drawn_on(found: Structures, series: Mapping[str, tuple[Part, ...]]) -> tuple[Part, tuple[str, ...]]:
    """Return the part the contours were drawn on, and what was assumed to find it."""
    name = shown(found.header.path)
    spaces = {r.frame_of_reference for r in found.regions if r.frame_of_reference}
    parts = [part for uid in found.series for part in series.get(uid, ())]
    if parts:
        return _best(parts, spaces), ()
    if found.series:
        listed = ", ".join(plain(uid, 64) for uid in found.series[:2])
        raise InputError(f"{name}: the scan it was drawn on is not in this folder (series {listed})")
    same = [p for group in series.values() for p in group if p.planes and p.first.header.frame_of_reference in spaces]
    if len({p.first.header.series_uid for p in same}) == 1:
        return _best(same, spaces), (
            "The file does not say which series it was drawn on; the one series in the same space was taken.",
        )
    raise InputError(
        f"{name}: the scan it was drawn on is not in this folder (the file names no series, and "
        f"{len(same) or 'no'} {'part lies' if len(same) == 1 else 'parts lie'} in the same space)"
    )


def _best(parts: Sequence[Part], spaces: set[str]) -> Part:
    """Return the part with most planes, of those in the structures' space if any is."""
    near = [p for p in parts if p.planes and p.first.header.frame_of_reference in spaces] or list(parts)
    return max(near, key=lambda part: (part.geometry is not None, len(part.planes[0]) if part.planes else 0))


def _grid(header: Header, part: Part) -> Geometry:
    """Return the grid of a part that contours can be filled on."""
    grid = part.geometry
    single = part.planes and grid is not None and grid.shape[0] == 1 and part.first.frame.pixel_mm is not None
    # one slice of unknown thickness: the plane of a contour can still be told, and its size in the plane is known
    if grid is None or not grid.orientation_known or not (grid.spacing_known or single):
        why = "; ".join(part.report.refused) or "its place in the patient is not stated"
        raise InputError(
            f"{shown(header.path)}: the scan it was drawn on ({plain(part.title)}) has no even grid as it stands "
            f"({plain(why, 160)}), so the contours cannot be filled"
        )
    return grid


def _ids(found: Structures) -> list[int]:
    """Return the class id of each region: its number if all are usable, else its place in the file."""
    numbers = [region.segment.number for region in found.regions]
    if all(1 <= n <= 65535 for n in numbers) and len(set(numbers)) == len(numbers):
        return numbers
    return list(range(1, len(numbers) + 1))


def _drawn(found: Structures, grid: Geometry) -> list[Filled]:
    return [filled(region.contours, grid) for region in found.regions]


def _layers(
    found: Structures, grid: Geometry, drawn: Sequence[Filled] | None = None
) -> tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]:
    """Return the places in the file of the regions of each layer, and what to say of contours that were not drawn.

    Raises
    ------
    InputError
        No contour of any region lies on the grid although there are some.
    """
    drawn = _drawn(found, grid) if drawn is None else drawn
    planes: dict[int, list[tuple[int, Patch]]] = defaultdict(list)
    for n, region in enumerate(drawn):
        for patch in region.patches:
            planes[patch.plane].append((n, patch))
    overlaps = Overlaps()
    for members in planes.values():
        if len({n for n, _ in members}) > 1:
            overlaps.add_plane([(n, _full(patch, grid.shape[1:])) for n, patch in members])
    if not planes and any(region.contours for region in found.regions):
        raise InputError(
            f"{shown(found.header.path)}: none of its contours lies on the planes of the scan it was drawn on; "
            "scan and structures may not belong together, or it was drawn in another direction"
        )
    return layers_of(range(len(drawn)), overlaps.pairs), _notes(found, drawn)


def _full(patch: Patch, shape: tuple[int, int]) -> Array:
    out = np.zeros(shape, bool)
    out[patch.window] = patch.mask
    return out


_REASONS = (
    ("outside", "beyond the scan left out"),
    ("across", "not in one plane of the scan left out"),
    ("moved", "between planes drawn on the nearest plane"),
    ("dropped", "between planes left out, since their plane has a nearer one"),
)


def _notes(found: Structures, drawn: Sequence[Filled]) -> tuple[str, ...]:
    """Say in words, region by region, what is not in the mask as it was drawn."""
    notes = []
    for region, result in zip(found.regions, drawn, strict=True):
        name = _name(region)
        if not region.contours and not region.left_out:
            notes.append(f"{name} has no contour; its class is empty.")
        for kind, count in region.left_out.items():
            notes.append(f"{name}: {_several(count)} of type {kind} left out (only closed planar contours are filled).")
        for field, words in _REASONS:
            count = getattr(result, field)
            if count:
                notes.append(f"{name}: {_several(count)} {words}.")
    return tuple(notes)


def _several(count: int) -> str:
    return f"{count} {'contour' if count == 1 else 'contours'}"


def _name(region: Region) -> str:
    return plain(region.segment.name, 60) or f"Region {region.segment.number}"


def _report(found: Structures, layers: tuple[tuple[int, ...], ...], assumed: tuple[str, ...]) -> Report:
    count = len(found.regions)
    said = [f"Structures with {count} {'region' if count == 1 else 'regions'}, drawn as contours."]
    kinds = [f"{_name(r)} {r.kind}" for r in found.regions if r.kind]
    if kinds:
        said.append(f"Interpreted types: {', '.join(kinds[:12])}{', ...' if len(kinds) > 12 else ''}.")
    if len(layers) > 1:
        said.append(f"Regions overlap: spread over {len(layers)} layers, in which none does.")
    return Report(tuple(said), assumed)
