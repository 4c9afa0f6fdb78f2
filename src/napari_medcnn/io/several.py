"""Voxels that lie in several data files, one after the other along the slowest axis (NRRD and MetaImage lists)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.inside import beside
from napari_medcnn.io.payload import Payload, check_memory, read_payload

_MOST_FILES = 100_000


def listed_files(header: Path, names: list[str]) -> tuple[Path, ...]:
    """Return the files that a header lists, each inside its folder; errors as `inside.beside`."""
    if not names or len(names) > _MOST_FILES:
        raise InputError(f"{shown(header)}: expected a list of data files, got {len(names)} names")
    return tuple(beside(header, name) for name in names)


def counted_names(header: Path, text: str) -> list[str]:
    """Return the names of a pattern with first number, last number and step: "slice%03d.raw 1 30 1".

    Raises
    ------
    InputError
        The pattern has another form than %d or %0Nd, or the numbers do not count.
    """
    words = text.split()
    place = words[0].find("%") if words else -1
    end = words[0].find("d", place) if place >= 0 else -1
    width = words[0][place + 1 : end] if end > 0 else "?"
    try:
        numbers = [int(word) for word in words[1:4]] + [1] * (2 <= len(words[1:]) < 3)
        first, last, step = numbers[:3]
        digits = int(width or "0")
        if step == 0 or (last - first) * step < 0 or digits > 20 or abs((last - first) // step) > _MOST_FILES:
            raise ValueError("the numbers do not count from the first to the last")
    except ValueError as error:
        raise InputError(
            f"{shown(header)}: expected data files like 'slice%03d.raw 1 30 1', got {plain(text)!r} ({plain(error)})"
        ) from error
    fill = "0" if width.startswith("0") else " "
    before, after = words[0][:place], words[0][end + 1 :]
    return [
        before + str(number).rjust(digits, fill) + after
        for number in range(first, last + (1 if step > 0 else -1), step)
    ]


def read_several(
    where: tuple[Payload, ...], dtype: np.dtype[Any], shape: tuple[int, ...], consent: Consent, notes: list[str]
) -> Array:
    """Return voxels in C order whose slowest axis is spread evenly over the files; errors as `read_payload`."""
    if len(where) == 1:
        return read_payload(where[0], dtype, shape, consent, notes)
    count = math.prod(shape)
    if count % len(where):
        raise InputError(
            f"{shown(where[0].path)}: expected the {count} voxels to spread evenly over {len(where)} data files"
        )
    check_memory(where[0].path, count * dtype.itemsize)
    array = np.empty((len(where), count // len(where)), dtype.newbyteorder("="))
    for k, one in enumerate(where):
        found: list[str] = []
        array[k] = read_payload(one, dtype, (count // len(where),), consent, found)
        notes += [note for note in found if note not in notes]
    return array.reshape(shape)
