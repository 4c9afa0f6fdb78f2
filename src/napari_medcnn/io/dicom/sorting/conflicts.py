"""Planes at one place that nothing tells apart: equal copies are dropped and counted, differing ones are asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from napari_medcnn.io.dicom.facts import Header, Plane
from napari_medcnn.io.dicom.sorting.arrangement import Arrangement, Numbers
from napari_medcnn.io.dicom.sorting.copies import same_pixels


def without_same_files(planes: list[Plane], of: Numbers) -> tuple[list[Plane], Numbers, tuple[Plane, ...]]:
    """Return the planes without byte-equal copies of one object (same SOP instance, frame and place)."""
    seen: dict[tuple[str, int, object, int], int] = {}
    kept, copies = [], []
    for k, plane in enumerate(planes):
        key = (plane.header.sop_uid, plane.frame.index, plane.frame.tile, int(of[k]))
        first = seen.setdefault(key, k) if plane.header.sop_uid else k
        if first != k and same_pixels(planes[first], plane):
            copies.append(plane)
        else:
            kept.append(k)
    return [planes[k] for k in kept], of[kept], tuple(copies)


def with_conflicts(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> Arrangement:
    """Return one image of the first plane at each place; equal others are copies, differing ones are asked."""
    at: dict[int, list[Plane]] = defaultdict(list)
    for place, plane in zip(of, planes, strict=True):
        at[int(place)].append(plane)
    places = tuple(sorted(at))
    copies: list[Plane] = []
    duplicates: list[tuple[int, int, Plane]] = []
    for z, place in enumerate(places):
        first, *others = at[place]
        for other in others:
            if same_pixels(first, other):
                copies.append(other)
            else:
                duplicates.append((0, z, other))
    assumed = (dropped_words(len(copies), copies[0]),) if copies else ()
    refused: tuple[str, ...] = ()
    if duplicates:
        _, z, other = duplicates[0]
        uids, files = ({key(p.header) for p in at[places[z]]} for key in (_uid_of, _path_of))
        same = ". Their files name one and the same image: one was changed, or compressed with loss"
        same = same if len(uids) == 1 and len(files) > 1 else ". They are frames of one file" if len(files) == 1 else ""
        several = len(Counter(z for _, z, _ in duplicates))
        refused = (
            f"{several} {'place holds' if several == 1 else 'places hold'} images that differ and nothing tells apart "
            f"(first: slice {z + 1}, {at[places[z]][0].header.path.name[-40:]} and {other.header.path.name[-40:]}); "
            f"choose the first or the last of each, by image number{same}",
        )
    return Arrangement(
        (tuple(at[place][0] for place in places),), places, None, suffix, words, tuple(duplicates), tuple(copies),
        (), assumed, refused,
    )  # fmt: skip


def _uid_of(header: Header) -> str:
    return header.sop_uid


def _path_of(header: Header) -> str:
    return str(header.path)


def dropped_words(count: int, one: Plane) -> str:
    """Return what is said of equal copies that were left out; `one` is the first of them."""
    name = one.header.path.name[-40:]
    if count == 1:
        return f"One slice is there twice, as an equal copy ({name}); the copy is left out."
    return f"{count} equal copies of slices are left out (first: {name})."
