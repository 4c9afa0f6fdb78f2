"""Look into the HDF5 weights of a ``.keras`` file before Keras does.

Links to other files make HDF5 read them (CVE-2026-1669), and a few bytes can claim a dataset of terabytes
(CVE-2026-0897, CVE-2026-12570).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from napari_medcnn.errors import ModelError, UnsafeModelError
from napari_medcnn.imaging import forecast

_MEMBER = "model.weights.h5"
#: Weights hardly compress; a dataset that is so many times larger than the whole file is a bomb.
_MAX_RATIO = 64
_SLACK_BYTES = 2**20


def check_weights(path: Path, free_bytes: int | None = None) -> int:
    """Return the bytes of all weights, after refusing links to other files, impossible sizes and too little memory.

    Parameters
    ----------
    path
        A ``.keras`` file that `io.prescan.check_keras_file` has passed.
    free_bytes
        Memory that may be used; None asks the system.

    Raises
    ------
    UnsafeModelError, ModelError
    """
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(_MEMBER).file_size
        check_room(path, size, free_bytes)
        content = io.BytesIO(archive.read(_MEMBER))
    return check_hdf5(content, path.name, size)


def check_room(path: Path, size: int | None = None, free_bytes: int | None = None) -> None:
    """Refuse a model whose weights do not fit into the memory that is free.

    Parameters
    ----------
    size
        Bytes of the weights; None is those of the file.
    free_bytes
        As in `check_weights`.

    Raises
    ------
    ModelError
        The message says how much is needed.
    """
    size = path.stat().st_size if size is None else size
    free = forecast.free_bytes() if free_bytes is None else free_bytes
    # the file is held once, the weights twice while they are copied into the network
    if free is not None and 3 * size > free:
        raise ModelError(
            f"{path.name}: needs about {3 * size / 2**20:.0f} MB of memory, {free / 2**20:.0f} MB are free; "
            "close other programs"
        )


def check_hdf5(content: io.BytesIO, name: str, size: int) -> int:
    """Return the bytes of all datasets of an HDF5 file held in memory; refusals as in `check_weights`."""
    import h5py

    total = 0
    try:
        with h5py.File(content, "r") as file:
            open_groups: list[tuple[Any, int]] = [(file, 0)]
            while open_groups:
                group, depth = open_groups.pop()
                if depth > 100:
                    raise UnsafeModelError(f"{name}: damaged or unsafe model: weights nested deeper than 100 levels")
                for key in group:
                    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                        raise UnsafeModelError(f"{name}: damaged or unsafe model: {key[:60]!r} is a link elsewhere")
                    item = group[key]
                    if isinstance(item, h5py.Group):
                        open_groups.append((item, depth + 1))
                    elif isinstance(item, h5py.Dataset):
                        total += _checked_bytes(item, name, size)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{name}: the weights are damaged ({str(error)[:120]}); copy the model again") from error
    if total > _MAX_RATIO * size + _SLACK_BYTES:
        raise UnsafeModelError(f"{name}: damaged or unsafe model: {size} bytes of weights claim {total} bytes")
    return total


def _checked_bytes(item: Any, name: str, size: int) -> int:
    if item.external is not None or item.is_virtual:
        raise UnsafeModelError(f"{name}: damaged or unsafe model: weights {item.name[:60]!r} lie in another file")
    count = 1
    for length in item.shape or ():
        count *= int(length)
    total = count * int(item.dtype.itemsize)
    if total > _MAX_RATIO * size + _SLACK_BYTES:
        raise UnsafeModelError(
            f"{name}: damaged or unsafe model: weights {item.name[:60]!r} claim {total} bytes in a file of {size}"
        )
    return total
