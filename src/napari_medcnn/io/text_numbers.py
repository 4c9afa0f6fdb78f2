"""Voxels written as text: decimal numbers between blanks, or pairs of hexadecimal digits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.payload import check_memory


def read_numbers(path: Path, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return the decimal numbers from byte `start` on, in native byte order.

    Raises
    ------
    IncompleteFileError
        There are fewer or more than `shape` needs.
    InputError
        Something else than numbers of this type.
    """
    need = math.prod(shape)
    if path.stat().st_size - start < need:  # a digit each, at least
        raise IncompleteFileError(f"{shown(path)}: the header claims {need} numbers, more than the file can hold")
    check_memory(path, need * dtype.itemsize + 60 * need)  # each number is a text of its own for a moment
    with path.open("rb") as file:
        file.seek(start)
        words = file.read().split()
    if len(words) != need:
        raise IncompleteFileError(f"{shown(path)}: the file is incomplete ({len(words)} of {need} numbers)")
    try:
        return np.array(words).astype(dtype.newbyteorder("=")).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{shown(path)}: expected numbers of type {dtype.name} ({plain(error)})") from error


def read_hex(path: Path, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return bytes written as two hexadecimal digits each (NRRD's encoding "hex"); errors as `read_numbers`."""
    need = math.prod(shape) * dtype.itemsize
    if path.stat().st_size - start < 2 * need:
        raise IncompleteFileError(f"{shown(path)}: the header claims {need} bytes, more than the file can hold")
    check_memory(path, 4 * need)
    with path.open("rb") as file:
        file.seek(start)
        digits = b"".join(file.read().split())
    if len(digits) != 2 * need:
        raise IncompleteFileError(f"{shown(path)}: the file is incomplete ({len(digits) // 2} of {need} bytes)")
    try:
        array = np.frombuffer(bytearray(bytes.fromhex(digits.decode("ascii"))), dtype).reshape(shape)
    except ValueError as error:
        raise InputError(f"{shown(path)}: expected hexadecimal digits ({plain(error)})") from error
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))
