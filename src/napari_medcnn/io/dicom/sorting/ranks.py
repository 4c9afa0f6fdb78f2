"""Time points that only the order of their planes tells: ranked at each place, or numbered scan after scan."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from napari_medcnn.io.dicom.facts import Plane
from napari_medcnn.io.dicom.sorting.arrangement import AXES, BY_TIME, Arrangement, Numbers, other_ranges
from napari_medcnn.io.dicom.sorting.copies import same_pixels

_GRADIENT = "DiffusionGradientOrientation"
_BY_TRIGGER = next(axis for axis in AXES if axis.key == "TriggerTime")


def ranked(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> Arrangement | None:
    """Return a 4D image whose time points are told only by the order at each place, None if that is no full grid."""
    counts = np.bincount(of)
    counts = counts[counts > 0]
    if counts.min() != counts.max() or counts.max() == 1:
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
            if all(len({_weighting(p) for p in one}) == 1 for one in times) and (
                key not in (_by_instance, _by_b_value) or _in_turn(columns)
            ):
                return Arrangement(times, places, AXES[0], suffix, words)
            continue
        if key is _by_instance and not _numbered(columns):
            return None
        return Arrangement(times, places, _BY_TRIGGER if key is _by_trigger else BY_TIME, suffix, words)
    return None


def swept(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    """Return time points whose planes are numbered one scan after the other, where some lack slices; else nothing.

    Number n, from 1 (or 0), is slice n modulo the number of places, rising or falling, of scan n divided by it: the
    numbers tell a missing slice from a next scan, wherever it is missing.
    """
    numbers, counts = [p.frame.instance for p in planes], np.bincount(of)
    if len(set(numbers)) < len(numbers) or counts[counts > 0].min() == counts.max():
        return []
    full = tuple(sorted(set(of.tolist())))
    scans: list[dict[int, Plane]] = [{} for _ in range(int(counts.max()))]
    ranks: dict[int, int] = {}
    for place, number, plane in zip(of.tolist(), numbers, planes, strict=True):
        scan, rank = divmod(number - min(1, *numbers), len(full))
        if not 0 <= scan < len(scans) or ranks.setdefault(place, rank) != rank:
            return []
        scans[scan][place] = plane
    order = [ranks[place] for place in full]
    if order not in (sorted(order), sorted(order, reverse=True)) or len(set(order)) < len(order):
        return []
    whole = [scan for scan in scans if len(scan) == len(full)]
    rest = [k for k, scan in enumerate(scans) if len(scan) < len(full)]
    if len(whole) < 2 or len(rest) > len(whole) or len(full) < 2:
        return []
    found = [Arrangement(tuple(tuple(s[z] for z in full) for s in whole), full, BY_TIME, suffix, words)]
    for number, k in enumerate(rest):
        places = tuple(sorted(scans[k]))
        planes_there = tuple(scans[k][z] for z in places)
        behind = f"{suffix}:time-point-{number + 2}"
        found.append(Arrangement((planes_there,), places, None, behind, (*words, f"time point {k + 1}")))
    found[0] = replace(found[0], assumed=(other_ranges(BY_TIME, found, full),))
    return found


def _weighting(plane: Plane) -> tuple[float | str, ...]:
    """Return the b-value and, where stated, the direction: one volume has one of each."""
    return plane.frame.moment["DiffusionBValue"], plane.frame.moment.get(_GRADIENT, "")


def _in_turn(columns: Sequence[Sequence[Plane]]) -> bool:
    """Return True if numbers, and nothing else, tell which images of one b-value are one volume, and do so.

    They count the slices of one volume after the other, or all volumes of one slice, then of the next; or frames lie
    in that order in one file.  Where every plane states its direction, that tells.
    """
    if all(_GRADIENT in p.frame.moment or not p.frame.moment["DiffusionBValue"] for column in columns for p in column):
        return True
    for b in {p.frame.moment["DiffusionBValue"] for p in columns[0]}:
        alike = [[p for p in column if p.frame.moment["DiffusionBValue"] == b] for column in columns]
        if not _counted([[_by_instance(p) for p in column] for column in alike]):
            return False
    return True


def _counted(numbers: list[list[tuple[float, float]]]) -> bool:
    """Return True if (place, time) numbers run through one time after the other, or through one place after another."""
    by_place, by_time = sorted(numbers), [*zip(*numbers, strict=True)]
    return any(all(max(a) < min(b) for a, b in itertools.pairwise(rows)) for rows in (by_time, by_place))


def _by_trigger(plane: Plane) -> tuple[float, ...]:
    return (_number(plane, "TriggerTime"),)


def _by_time(plane: Plane) -> tuple[float, float]:
    return (_number(plane, "AcquisitionTime"), _number(plane, "TriggerTime"))


def _by_content(plane: Plane) -> tuple[float, float]:
    return (_number(plane, "FrameReferenceTime"), _number(plane, "ReferenceTime"))


def _by_instance(plane: Plane) -> tuple[float, float]:
    return (float(plane.frame.instance), float(plane.frame.index))


def _by_gradient(plane: Plane) -> tuple[float | str, ...]:
    return (_number(plane, "DiffusionBValue"), str(plane.frame.moment.get(_GRADIENT, "")))


def _by_b_value(plane: Plane) -> tuple[float, ...]:
    return (_number(plane, "DiffusionBValue"), *_by_instance(plane))


_ORDERS: tuple[Callable[[Plane], tuple[float | str, ...]], ...] = (
    _by_trigger,
    _by_time,
    _by_content,
    _by_instance,
    _by_b_value,
    _by_gradient,
)


def _numbered(columns: Sequence[Sequence[Plane]]) -> bool:
    """Return True if images that only their numbers tell apart are time points.

    They are if the files state as many time points, or if the numbers count the slices of one time point after the
    other (or all times of one slice, then of the next), and the images at a place are no copies.
    """
    first = columns[0][0]
    stated = first.header.values.get("NumberOfTemporalPositions", first.header.values.get("NumberOfTimeSlices"))
    in_turn = _counted([[(float(p.frame.instance), 0.0) for p in column] for column in columns])
    if stated != len(columns[0]) and (len(columns) < 2 or not in_turn):
        return False
    middle = columns[len(columns) // 2]
    return not any(same_pixels(middle[0], other) for other in middle[1:3])


def _number(plane: Plane, key: str) -> float:
    value = plane.frame.moment.get(key, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0
