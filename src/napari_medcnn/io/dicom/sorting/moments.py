"""Planes that repeat a place: time points, echoes, b-values, or copies (DICOM PS3.3 C.7.6.16.2, C.8.3, C.8.13).

What explains the repetition becomes the t axis, with its values in real units; what two things explain (echoes of
time points) becomes separate images; what nothing explains is a copy (dropped if equal) or a conflict (asked).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_medcnn.io.dicom.facts import Plane
from napari_medcnn.io.dicom.sorting.arrangement import (
    AXES,
    Arrangement,
    Axis,
    Numbers,
    once,
    other_ranges,
    shown_value,
    sortable,
    stated,
)  # fmt: skip
from napari_medcnn.io.dicom.sorting.conflicts import dropped_words, with_conflicts, without_same_files
from napari_medcnn.io.dicom.sorting.ranks import ranked, swept

_SHOWN = 3


_SETTINGS = AXES[1:7]
#: Slices that differ in these are no one volume, even where no place repeats.
_NEVER_MIXED = AXES[:4]
_NAMED = (
    Axis("ConvolutionKernel", "kernel", "", "kernel"),
    Axis("FilterType", "filter", "", "filter"),
    Axis("SequenceName", "sequence", "", "sequence"),
)
_MOST_RANGES = 8


def arrange(planes: Sequence[Plane], of: Numbers) -> list[Arrangement]:
    """Return what planes at places `of` make up; every plane is in `times`, `duplicates` or `copies` of just one."""
    kept, of, copies = without_same_files(list(planes), of)
    found = _explained(kept, of, "", ())
    if copies:
        told = dropped_words(len(copies), copies[0])
        found[0] = replace(found[0], copies=(*found[0].copies, *copies), assumed=(*found[0].assumed, told))
    return found


def _explained(planes: list[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    if np.bincount(of).max(initial=0) <= 1:
        for axis in _NEVER_MIXED:
            settings = [stated(p, axis) for p in planes]
            if None not in settings and 2 <= _distinct(settings) <= len(planes) // 2:
                return _apart(axis, planes, of, suffix, words)
        return [once(planes, of, suffix, words)]
    for axis in AXES:
        if found := _along(axis, planes, of, suffix, words):
            return found
    diffusion = all("DiffusionBValue" in p.frame.moment for p in planes)
    for axis in (*_SETTINGS, *_NAMED[: 2 if diffusion else 3]):
        values = [stated(p, axis) for p in planes]
        if None not in values and _varies(values, of):
            return _apart(axis, planes, of, suffix, words)
    in_order = ranked(planes, of, suffix, words)
    if in_order is not None:
        return [in_order]
    if scans := swept(planes, of, suffix, words):
        return scans
    if len(set(of.tolist())) == 1 and len({p.frame.instance for p in planes}) == len(planes):
        return _one_by_one(planes, of, suffix, words)
    return [with_conflicts(planes, of, suffix, words)]


def _varies(values: Sequence[object], of: Numbers) -> bool:
    """Return True if a value differs between planes at one place."""
    seen: dict[int, object] = {}
    return any(seen.setdefault(int(k), value) != value for k, value in zip(of, values, strict=True))


def _distinct(values: Sequence[object]) -> int:
    """Return the number of values that differ by more than rounding."""
    return len({f"{v:.3g}" if isinstance(v, (int, float)) else v for v in values})


def _apart(axis: Axis, planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    """Return each value of a setting as an image of its own."""
    groups: dict[object, list[int]] = defaultdict(list)
    for k, plane in enumerate(planes):
        groups[stated(plane, axis)].append(k)
    found = []
    for number, setting in enumerate(sorted(groups, key=sortable)):
        chosen = groups[setting]
        behind = suffix if number == 0 else f"{suffix}:{axis.word.replace(' ', '-')}-{number + 1}"
        told = f"{axis.name} {shown_value(setting)}{' ' + axis.unit if axis.unit else ''}"
        found.extend(_explained([planes[k] for k in chosen], of[chosen], behind, (*words, told)))
    return found


def _along(axis: Axis, planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    """Return the images whose t axis is `axis`, nothing if it does not explain why places repeat.

    It does if every value has each place at most once.  Values that cover the same places form one image; a value
    with places of its own (an incomplete time point, another range) is an image of its own.
    """
    values = [stated(p, axis) for p in planes]
    if None in values or not _varies(values, of):
        return []
    groups: dict[object, dict[int, Plane]] = defaultdict(dict)
    for value, place, plane in zip(values, of, planes, strict=True):
        if int(place) in groups[value]:
            return []
        groups[value][int(place)] = plane
    ranges: dict[tuple[int, ...], list[object]] = defaultdict(list)
    for covered in sorted(groups, key=sortable):
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
            names = ", ".join(shown_value(v) for v in chosen[:_SHOWN]) + (", ..." if len(chosen) > _SHOWN else "")
            told = (*words, f"{axis.word} {names}")
        found.append(Arrangement(times, places, axis if len(chosen) > 1 else None, behind, told))
    if len(found) > 1:
        found[0] = replace(found[0], assumed=(other_ranges(axis, found, full),))
    return found


def _one_by_one(planes: Sequence[Plane], of: Numbers, suffix: str, words: tuple[str, ...]) -> list[Arrangement]:
    """Return images of one place that only their numbers tell apart, each as an image of its own."""
    return [
        once(
            [plane],
            of[k : k + 1],
            f"{suffix}:image-{k + 1}" if k else suffix,
            (*words, f"image {plane.frame.instance}"),
        )
        for k, plane in enumerate(planes)
    ]
