"""Masks of pictures as COCO-style JSON (cocodataset.org, "Data format"): one annotation for each piece of a class.

Programs that read the format take an annotation for one object, so every piece that hangs together, through edges and
corners, is one. What is read back is the mask: pieces of a class that touch are one again.

Regions are written as run lengths, never as polygons: a polygon has no holes and ends between pixels, run lengths are
the mask itself.  ``counts`` are pixels outside, inside, outside, ... going down the columns, from the first pixel on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.draw import polygon

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import Label, LabelSet, default_colour
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.found import Item, plain, shown, stem
from napari_medcnn.io.payload import check_memory

OVERLAPS = "Every pixel has one class: where classes met, the one painted last stays; no two annotations overlap."
#: A parsed file takes about so many times its size.
_EXPANDS = 10
_THROUGH_CORNERS = ((1, 1, 1), (1, 1, 1), (1, 1, 1))


def coco_of(mask: LabelMap, name: str) -> dict[str, Any]:
    """Return the mask of a picture as plain JSON types.

    Parameters
    ----------
    mask
        (1, y, x) class ids, every one with a name; a class without a pixel is a category without an annotation.
    name
        ``file_name`` of the picture; never that of the scan, which may name a patient.

    Returns
    -------
    ``area`` in pixels; ``bbox`` as x, y, width, height of the pixels, so that one pixel is 1 by 1. Annotations come
    class by class, and the pieces of a class line by line as their first pixels do.
    """
    ids = np.asarray(mask.array[0])
    height, width = ids.shape
    annotations: list[dict[str, Any]] = []
    for label in mask.labels:
        numbers, count = ndimage.label(ids == label.id, structure=_THROUGH_CORNERS)
        if not count:
            continue
        areas = np.bincount(numbers.ravel())
        found = zip(ndimage.find_objects(numbers), _counts_of(numbers, count), areas[1:].tolist(), strict=True)
        for (lines, columns), counts, area in found:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 1,
                    "category_id": label.id,
                    "iscrowd": 0,
                    "area": area,
                    "bbox": [columns.start, lines.start, columns.stop - columns.start, lines.stop - lines.start],
                    "segmentation": {"size": [height, width], "counts": counts},
                }
            )
    return {
        "images": [{"id": 1, "width": width, "height": height, "file_name": name}],
        "info": {"description": "A mask saved by napari-medcnn. Research use only.", "overlaps": OVERLAPS},
        "licenses": [],
        "categories": [_category(label) for label in mask.labels],
        "annotations": annotations,
    }


def _category(label: Label) -> dict[str, Any]:
    """Return a class; keys beyond the first three are ours, and only a finished class says whether it is."""
    more = {"finished": True} if label.finished else {}
    colour = list(label.colour)
    return {"id": label.id, "name": label.name, "supercategory": "", "color": colour, "code": label.code, **more}


def _counts_of(numbers: Array, count: int) -> list[list[int]]:
    """Return the run lengths of every piece of a numbered picture (y, x; 0 outside), down its columns.

    All at once: a picture of noise has a hundred thousand pieces, and a look at the whole for each takes hours.
    """
    flat = numbers.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, stops = np.concatenate([[0], edges]), np.concatenate([edges, [flat.size]])
    of = flat[starts]
    order = np.argsort(of, kind="stable")[np.count_nonzero(of == 0) :]  # by piece, each down the columns
    turns = np.column_stack([starts[order], stops[order]]).ravel().tolist()
    ends = (2 * np.cumsum(np.bincount(of[order], minlength=count + 1))).tolist()
    return [_lengths(turns[a:b], flat.size) for a, b in pairwise(ends)]


def _lengths(turns: list[int], size: int) -> list[int]:
    """Return the lengths between 0, the places where a region begins and ends, and the size; no empty one at the end.

    Where the last pixel is inside the list ends with its run, as the COCO API's own encoder has it.
    """
    whole = [0, *turns, size] if turns[-1] < size else [0, *turns]
    return [b - a for a, b in pairwise(whole)]


def inspect_coco(path: Path) -> tuple[Item, ...]:
    """Return one item of kind "labels" for each picture of the file ("page-1", ...; one alone has the file's name)."""
    data = _loaded(path)
    images = data["images"]
    labels, _ = _categories(path, data)
    items = []
    for k, image in enumerate(images, 1):
        height, width = _size(path, image)
        items.append(
            Item(
                path.name if len(images) == 1 else f"page-{k}", "labels", "zyx", (1, height, width),
                "uint16" if labels.ids and labels.ids[-1] > 255 else "uint8", Geometry.picture(height, width),
                "picture", title=stem(path) if len(images) == 1 else f"{stem(path)}, picture {k}", files=(path,),
                nbytes=path.stat().st_size,
            )
        )  # fmt: skip
    return tuple(items)


def read_coco(path: Path, part: str | None = None) -> tuple[Volume, LabelSet]:
    """Return the mask of one picture, and its classes.

    Parameters
    ----------
    part
        "page-3" where the file holds several pictures.

    Raises
    ------
    InputError
        Not such a file, damaged, or several pictures and none named.
    """
    data = _loaded(path)
    images = data["images"]
    number = int(part.removeprefix("page-")) if part and part.startswith("page-") else 1
    if (len(images) > 1 and not part) or not 1 <= number <= len(images):
        raise InputError(f"{shown(path)}: it holds {len(images)} pictures; choose one of page-1 to page-{len(images)}")
    image = images[number - 1]
    height, width = _size(path, image)
    check_memory(path, 12 * height * width)
    labels, new_ids = _categories(path, data)
    ids = np.zeros(height * width, np.uint16 if labels.ids and labels.ids[-1] > 255 else np.uint8)  # down the columns
    overlapping = 0
    for annotation in data["annotations"]:
        if not isinstance(annotation, dict) or annotation.get("image_id") != image.get("id"):
            continue
        category = annotation.get("category_id")
        if category not in new_ids:
            raise InputError(f"{shown(path)}: an annotation names class {plain(category)!r}, which is not described")
        inside = _region(path, annotation.get("segmentation"), height, width)
        before = ids[inside]
        overlapping += int(np.count_nonzero((before != 0) & (before != new_ids[category])))
        ids[inside] = new_ids[category]
    notes = []
    if any(old != new for old, new in new_ids.items()):
        notes.append("Classes were numbered from 0, which is background here; every number is one higher.")
    if overlapping:
        notes.append(f"{overlapping} pixels had several classes; the one that comes last in the file stays.")
    report = Report((), tuple(notes))
    grid = Geometry.picture(height, width)
    picture = np.ascontiguousarray(ids.reshape((height, width), order="F"))
    return Volume(picture[np.newaxis], grid, "zyx", stem(path), "picture", notes=report.warnings, report=report), labels


def _loaded(path: Path) -> dict[str, Any]:
    """Return the whole file, its three lists checked for being lists."""
    check_memory(path, _EXPANDS * path.stat().st_size)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown(path)}: damaged JSON ({plain(error, 100)}); copy it again from its source") from error
    names = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(name), list) for name in names) or not data["images"]:
        raise InputError(f"{shown(path)}: expected COCO-style JSON with the lists {', '.join(names)}")
    return data


def _size(path: Path, image: Any) -> tuple[int, int]:
    height, width = (image.get("height"), image.get("width")) if isinstance(image, dict) else (None, None)
    if not (isinstance(height, int) and isinstance(width, int) and 0 < height < 1 << 20 and 0 < width < 1 << 20):
        raise InputError(
            f"{shown(path)}: expected height and width of each picture in pixels, got {plain(height)}, {plain(width)}"
        )
    return height, width


def _categories(path: Path, data: Mapping[str, Any]) -> tuple[LabelSet, dict[int, int]]:
    """Return the classes, and our id of each of theirs."""
    entries = data["categories"]
    if not all(isinstance(e, dict) and type(e.get("id")) is int and 0 <= e["id"] < 65535 for e in entries):
        raise InputError(f"{shown(path)}: expected a number from 0 to 65534 as id of each category")
    shift = int(any(e["id"] == 0 for e in entries))
    found: dict[int, Label] = {}
    for entry in entries:
        number = entry["id"] + shift
        name = plain(entry.get("name") or f"Class {number}", 190)
        if name in {x.name for x in found.values()}:
            name = f"{name} ({number})"
        colour, code = entry.get("color"), entry.get("code")
        good = (
            isinstance(colour, list) and len(colour) == 3 and all(isinstance(c, int) and 0 <= c <= 255 for c in colour)
        )
        shown_as, finished = str(code) if code else None, entry.get("finished") is True
        found[number] = Label(number, name or f"Class {number}", default_colour(number), shown_as, finished)
        if good:
            found[number] = replace(found[number], colour=(colour[0], colour[1], colour[2]))
    return LabelSet(tuple(found.values())), {e["id"]: e["id"] + shift for e in entries}


def _region(path: Path, segmentation: Any, height: int, width: int) -> Array:
    """Return the pixels of one annotation as places down the columns, each once; one without a region has none."""
    places = [np.zeros(0, np.int64)]
    try:
        if isinstance(segmentation, dict):
            return _unrolled(segmentation, height, width)
        for ring in segmentation or ():
            points = np.asarray(ring, dtype=np.float64).reshape(-1, 2) - 0.5  # a pixel's centre lies at a half
            lines, columns = polygon(points[:, 1], points[:, 0], (height, width))
            places.append(columns * height + lines)
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        raise InputError(f"{shown(path)}: a region is damaged ({plain(error, 100)})") from error
    return np.unique(np.concatenate(places))


def _unrolled(segmentation: Mapping[str, Any], height: int, width: int) -> Array:
    counts = segmentation.get("counts")
    runs = np.asarray(_decoded(counts) if isinstance(counts, str) else counts, dtype=np.int64)
    if list(segmentation.get("size", ())) != [height, width] or runs.ndim != 1 or np.any(runs < 0):
        raise ValueError("its size is not that of the picture")
    ends = np.cumsum(runs)
    if runs.sum(dtype=np.float64) != height * width:
        raise ValueError(f"run lengths of {runs.sum(dtype=np.float64):.0f} pixels, expected {height * width}")
    stops, lengths = ends[1::2], runs[1::2]
    return np.arange(lengths.sum()) + np.repeat(stops - np.cumsum(lengths), lengths)


def _decoded(text: str) -> list[int]:
    """Return the counts of a compressed string (rleFrString of the COCO API's maskApi.c): 5 bits a character from 48.

    From the fourth on each is the difference to the one two before.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its compressed run lengths hold other characters")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts
