"""Planes that repeat a place: time points, echoes, b-values, or copies (DICOM PS3.3 C.7.6.16.2, C.8.3, C.8.13).

What explains the repetition becomes the t axis, with its values in real units; what two things explain (echoes of
time points) becomes separate images; what nothing explains is a copy (dropped if equal) or a conflict (asked).
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.io.dicom.copies import same_pixels
from napari_medcnn.io.dicom.facts import Plane

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Axis:
    """One explanation: the entry of `Frame.moment`, its name and unit on screen, and what one value is called."""

    key: str
    name: str
    unit: str
    word: str


#: In order of preference: what was set on the scanner explains more than when it happened.
AXES = (
    Axis("DiffusionBValue", "b", "s/mm2", "b-value"),
    Axis("EchoTime", "TE", "ms", "echo"),
    Axis("EchoNumbers", "echo", "", "echo"),
    Axis("InversionTime", "TI", "ms", "inversion time"),
    Axis("FlipAngle", "flip angle", "°", "flip angle"),
    Axis("KVP", "tube voltage", "kV", "tube voltage"),
    Axis("NominalPercentageOfCardiacPhase", "cardiac phase", "%", "cardiac phase"),
    Axis("TemporalPositionIndex", "t", "", "time point"),
    Axis("TemporalPositionIdentifier", "t", "", "time point"),
    Axis("TemporalPositionTimeOffset", "t", "s", "time point"),
    Axis("TriggerTime", "trigger", "ms", "trigger delay"),
    Axis("FrameReferenceTime", "t", "", "time point"),
    Axis("AcquisitionNumber", "t", "", "acquisition"),
    Axis("AcquisitionTime", "t", "", "time point"),
)
_SETTINGS = AXES[1:7]
_BY_TIME = AXES[7]
_MOST_RANGES = 8
_SHOWN = 3


@dataclass(frozen=True)
class Arrangement:
    """What opens as one image: for each time point its planes in rising order, and what was said.

    `places` are the numbers of the places, rising; `axis` is None for a single time point.
    """

    times: tuple[tuple[Plane, ...], ...]
    places: tuple[int, ...]
    axis: Axis | None = None
    suffix: str = ""
    words: tuple[str, ...] = ()
    duplicates: tuple[tuple[int, int, Plane], ...] = ()
    copies: tuple[Plane, ...] = ()
    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def arrange(planes: Sequence[Plane], of: Numbers) -> list[Arrangement]:
    """Return what planes at places `of` make up; every plane is in `times`, `duplicates` or `copies` of just one."""
    kept, of, copies = _without_same_files(list(planes), of)
    found = _explained(kept, of, "", ())
    if copies:
        told = _dropped(len(copies), copies[0])
        found[0] = replace(found[0], copies=(*found[0].copies, *copies), assumed=(*found[0].assumed, told))
    return found


def _explained(planes: list[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    if np.bincount(of).max(initial=0) <= 1:
        return [_once(planes, of, suffix, words)]
    for axis in AXES:
        if found := _along(axis, planes, of, suffix, words):
            return found
    for axis in _SETTINGS:
        values = [p.frame.moment.get(axis.key) for p in planes]
        if None not in values and _varies(values, of):
            return _apart(axis, planes, of, suffix, words)
    ranked = _ranked(planes, of, suffix, words)
    if ranked is not None:
        return [ranked]
    if len(set(of.tolist())) == 1 and len({p.frame.instance for p in planes}) == len(planes):
        return _one_by_one(planes, of, suffix, words)
    return [_with_conflicts(planes, of, suffix, words)]


def _varies(values: Sequence[object], of: Numbers) -> bool:
    """Return True if a value differs between planes at one place."""
    seen: dict[int, object] = {}
    return any(seen.setdefault(int(k), value) != value for k, value in zip(of, values, strict=True))


def _once(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> Arrangement:
    order = np.argsort(of, kind="stable")
    return Arrangement(
        (tuple(planes[k] for k in order),), tuple(int(of[k]) for k in order), None, suffix, words
    )  # fmt: skip


def _apart(axis: Axis, planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    """Return each value of a setting as an image of its own."""
    groups: dict[object, list[int]] = defaultdict(list)
    for k, plane in enumerate(planes):
        groups[plane.frame.moment[axis.key]].append(k)
    found = []
    for number, setting in enumerate(sorted(groups, key=_sortable)):
        chosen = groups[setting]
        behind = suffix if number == 0 else f"{suffix}:{axis.word.replace(' ', '-')}-{number + 1}"
        told = f"{axis.name} {_shown(setting)}{' ' + axis.unit if axis.unit else ''}"
        found.extend(_explained([planes[k] for k in chosen], of[chosen], behind, (*words, told)))
    return found


def _along(axis: Axis, planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    """Return the images whose t axis is `axis`, nothing if it does not explain why places repeat.

    It does if every value has each place at most once.  Values that cover the same places form one image; a value
    with places of its own (an incomplete time point, another range) is an image of its own.
    """
    values = [p.frame.moment.get(axis.key) for p in planes]
    if None in values or not _varies(values, of):
        return []
    groups: dict[object, dict[int, Plane]] = defaultdict(dict)
    for value, place, plane in zip(values, of, planes, strict=True):
        if int(place) in groups[value]:
            return []
        groups[value][int(place)] = plane
    ranges: dict[tuple[int, ...], list[object]] = defaultdict(list)
    for covered in sorted(groups, key=_sortable):
        ranges[tuple(sorted(groups[covered]))].append(covered)
    if len(ranges) > _MOST_RANGES or (len(planes) < 2 * len(groups) and len(set(of.tolist())) > 1):
        return []
    full = max(ranges, key=lambda r: (len(ranges[r]), len(r)))
    found = []
    for number, places in enumerate(sorted(ranges, key=lambda r: (r != full, r))):
        chosen = ranges[places]
        times = tuple(tuple(groups[value][place] for place in places) for value in chosen)
        behind = suffix if number == 0 else f"{suffix}:{axis.word.replace(' ', '-')}-{number + 1}"
        told = words
        if number:
            names = ", ".join(_shown(v) for v in chosen[:_SHOWN]) + (", ..." if len(chosen) > _SHOWN else "")
            told = (*words, f"{axis.word} {names}")
        found.append(Arrangement(times, places, axis if len(chosen) > 1 else None, behind, told))
    if len(found) > 1:
        found[0] = replace(found[0], assumed=(_other_ranges(axis, found, full),))
    return found


def _other_ranges(axis: Axis, found: Sequence[Arrangement], full: tuple[int, ...]) -> str:
    """Return what is said of values that do not cover the places of the rest."""
    told = []
    for other in found[1:]:
        lost = sorted(set(full) - set(other.places))
        where = f" (without slice {', '.join(str(k + 1) for k in lost[:_SHOWN])})" if 0 < len(lost) < len(full) else ""
        told.append(f"{other.words[-1]}: {len(other.places)} slices{where}")
    more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return f"Not every {axis.word} covers the same {len(full)} slices; listed apart: {'; '.join(told[:_SHOWN])}{more}."


def _ranked(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> Arrangement | None:
    """Return a 4D image whose time points are told only by the order at each place, None if that is no full grid."""
    counts = np.bincount(of)
    counts = counts[counts > 0]
    if counts.min() != counts.max():
        return None
    at: dict[int, list[Plane]] = defaultdict(list)
    for place, plane in zip(of, planes, strict=True):
        at[int(place)].append(plane)
    places = tuple(sorted(at))
    by_b = all("DiffusionBValue" in p.frame.moment for p in planes) and any(
        len({p.frame.moment["DiffusionBValue"] for p in several}) > 1 for several in at.values()
    )
    for key in _ORDERS:
        if any(len({key(p) for p in several}) < len(several) for several in at.values()):
            continue
        columns = [sorted(at[place], key=key) for place in places]
        times = tuple(zip(*columns, strict=True))
        if by_b:
            if all(len({p.frame.moment["DiffusionBValue"] for p in one}) == 1 for one in times):
                return Arrangement(times, places, AXES[0], suffix, words)
            continue
        if key is _by_instance and not _numbered(columns):
            return None
        return Arrangement(times, places, _BY_TIME, suffix, words)
    return None


def _by_time(plane: Plane) -> tuple[float, float]:
    return (_number(plane, "AcquisitionTime"), _number(plane, "TriggerTime"))


def _by_content(plane: Plane) -> tuple[float, float]:
    return (_number(plane, "FrameReferenceTime"), _number(plane, "ReferenceTime"))


def _by_instance(plane: Plane) -> tuple[float, float]:
    return (float(plane.frame.instance), float(plane.frame.index))


def _by_b_value(plane: Plane) -> tuple[float, ...]:
    return (_number(plane, "DiffusionBValue"), *_by_instance(plane))


_ORDERS: tuple[Callable[[Plane], tuple[float, ...]], ...] = (_by_time, _by_content, _by_instance, _by_b_value)


def _one_by_one(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    """Return images of one place that only their numbers tell apart, each as an image of its own."""
    return [
        _once(
            [plane],
            of[k : k + 1],
            f"{suffix}:image-{k + 1}" if k else suffix,
            (*words, f"image {plane.frame.instance}"),
        )
        for k, plane in enumerate(planes)
    ]


def _numbered(columns: Sequence[Sequence[Plane]]) -> bool:
    """Return True if images that only their numbers tell apart are time points.

    They are if the files state as many time points, or if the numbers count the slices of one time point after the
    other (or all times of one slice, then of the next), and the images at a place are no copies.
    """
    first = columns[0][0]
    stated = first.header.values.get("NumberOfTemporalPositions", first.header.values.get("NumberOfTimeSlices"))
    numbers = np.array([[p.frame.instance for p in column] for column in columns])
    one_scan_each = all(row.max() < after.min() for row, after in itertools.pairwise(numbers.T))
    one_slice_each = all(row.max() < after.min() for row, after in itertools.pairwise(numbers[numbers[:, 0].argsort()]))
    if stated != len(columns[0]) and (len(columns) < 2 or not (one_scan_each or one_slice_each)):
        return False
    middle = columns[len(columns) // 2]
    return not any(same_pixels(middle[0], other) for other in middle[1:3])


def _number(plane: Plane, key: str) -> float:
    value = plane.frame.moment.get(key, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _without_same_files(planes: list[Plane], of: Numbers) -> tuple[list[Plane], Numbers, tuple[Plane, ...]]:
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


def _with_conflicts(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> Arrangement:
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
    assumed = (_dropped(len(copies), copies[0]),) if copies else ()
    refused: tuple[str, ...] = ()
    if duplicates:
        _, z, other = duplicates[0]
        several = len(Counter(z for _, z, _ in duplicates))
        refused = (
            f"{several} {'place holds' if several == 1 else 'places hold'} images that differ and nothing tells apart "
            f"(first: slice {z + 1}, {at[places[z]][0].header.path.name[-40:]} and {other.header.path.name[-40:]}); "
            "choose the first or the last of each, by image number",
        )
    return Arrangement(
        (tuple(at[place][0] for place in places),), places, None, suffix, words, tuple(duplicates), tuple(copies),
        (), assumed, refused,
    )  # fmt: skip


def _dropped(count: int, one: Plane) -> str:
    name = one.header.path.name[-40:]
    if count == 1:
        return f"One slice is there twice, as an equal copy ({name}); the copy is left out."
    return f"{count} equal copies of slices are left out (first: {name})."


def _sortable(value: object) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, str(value))


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
