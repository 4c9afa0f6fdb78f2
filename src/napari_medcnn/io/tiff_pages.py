"""The pages of a TIFF: walked, checked against the file's size, and put into groups that make one image each.

Decoders give the pages they find and keep quiet about the rest, so the structure is walked first.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile

from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.payload import incomplete

_MOST_PAGES = 100_000
#: No compression that is read packs tighter (deflate 1032, LZW about 1400); a larger claim is a lie.
_MOST_RATIO = 4000
TIFF_ERRORS = (
    tifffile.TiffFileError, zlib.error, ValueError, KeyError, struct.error, IndexError, TypeError, OSError,
    ArithmeticError,
)  # fmt: skip
GREY_INVERTED, GREY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6


@dataclass(frozen=True)
class Pages:
    """Consecutive pages of one size and type, `first` counted from 0.

    `empty` counts strips or tiles without a byte in the file.
    """

    first: int
    count: int
    height: int
    width: int
    samples: int
    dtype: np.dtype[Any]
    photometric: int
    compression: int
    predictor: int
    planar: bool
    empty: int = 0

    @property
    def is_colour(self) -> bool:
        """True if it comes out as RGB (a palette does, unless its numbers are wanted)."""
        return self.samples >= 3 or self.photometric == PALETTE

    @property
    def nbytes(self) -> int:
        """Bytes of the pages as they come out."""
        return self.count * self.height * self.width * (3 if self.is_colour else 1) * self.dtype.itemsize


@dataclass(frozen=True)
class Layout:
    """The groups of whole pages; `missing` says in words what is not there, or is empty."""

    groups: tuple[Pages, ...]
    missing: str


@contextmanager
def opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF; whatever tifffile trips over comes out as a named error."""
    try:
        tif = tifffile.TiffFile(path)
    except TIFF_ERRORS as error:
        raise InputError(f"{shown(path)}: not a valid TIFF ({plain(error, 100)}); it may be cut") from error
    with tif:
        yield tif


def layout_of(path: Path, tif: tifffile.TiffFile) -> Layout:
    """Return the pages whose every strip lies in the file.

    Raises
    ------
    IncompleteFileError
        Not even the first page is whole.
    UnsupportedError
        Pixels of a type or a page of a layout that is not read.
    """
    size = path.stat().st_size
    pages, fault = _walk(path)
    groups: list[Pages] = []
    for number in range(pages):
        try:
            page: Any = tif.pages[number]
            page = page.aspage() if hasattr(page, "aspage") else page
            lack = _lack(page, size)
            found = _pages(path, number, page) if not lack else None
        except TIFF_ERRORS as error:
            lack, found = plain(error, 100) or "unreadable", None
        if found is None:
            if number == 0:
                raise incomplete(path, size, max(size + 1, int(lack) if lack.isdigit() else 0))
            fault = f"pages {number + 1} and on are missing"
            break
        last = groups[-1] if groups else None
        if last is not None and _same(last, found):
            groups[-1] = Pages(**(vars(last) | {"count": last.count + 1, "empty": last.empty + found.empty}))
        else:
            groups.append(found)
    return Layout(tuple(groups), fault)


def _same(one: Pages, other: Pages) -> bool:
    names = ("height", "width", "samples", "dtype", "photometric", "planar")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _lack(page: Any, size: int) -> str:
    """Return "" if all strips of a page lie in the file, else how long the file had to be."""
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not ends or len(page.dataoffsets) != len(page.databytecounts):
        return str(size + 1)
    if max(ends) > size:
        return str(max(ends))
    if len(page.dataoffsets) < math.prod(page.chunked):  # decoders put zeros where a strip has no entry
        return str(size + 1)
    if page.nbytes > _MOST_RATIO * sum(page.databytecounts) + (1 << 16):
        return str(size + page.nbytes // _MOST_RATIO)
    if page.compression == 1 and sum(page.databytecounts) < page.nbytes:
        return str(size + page.nbytes - sum(page.databytecounts))
    return ""


def _pages(path: Path, number: int, page: Any) -> Pages:
    dtype = page.dtype
    if dtype is None or np.dtype(dtype).kind not in "biuf":
        raise UnsupportedError(f"{shown(path)}: pixels of type {dtype} (page {number + 1}) are not read")
    samples = int(page.samplesperpixel)
    if samples > 4 or (page.ndim, samples > 1) not in ((2, False), (3, True)):
        raise UnsupportedError(f"{shown(path)}: a page of shape {page.shape} ({page.axes}) is not read")
    kind = int(page.photometric)
    if kind not in (GREY_INVERTED, GREY, RGB, PALETTE, CMYK, YCBCR) or (kind == CMYK and samples != 4):
        name = plain(getattr(page.photometric, "name", kind))
        raise UnsupportedError(f"{shown(path)}: colours of kind {name} are not read; save it as RGB")
    return Pages(
        number, 1, int(page.imagelength), int(page.imagewidth), samples, np.dtype(dtype), kind, int(page.compression),
        int(page.predictor), str(page.axes).startswith("S"), sum(n == 0 for n in page.databytecounts),
    )  # fmt: skip


def _walk(path: Path) -> tuple[int, str]:
    """Return the number of pages and what is wrong with their chain (TIFF 6.0, section 2; BigTIFF).

    Raises
    ------
    IncompleteFileError
        There is not even a first page.
    """
    size = path.stat().st_size
    seen: set[int] = set()
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = len(head) == 16 and struct.unpack(order + "H", head[2:4])[0] == 43
        counts, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
        if len(head) < (16 if big else 8):
            raise IncompleteFileError(f"{shown(path)}: the header is incomplete ({len(head)} bytes)")
        (place,) = struct.unpack(order + link, head[8:16] if big else head[4:8])
        while place:
            if place in seen or len(seen) > _MOST_PAGES:
                raise InputError(f"{shown(path)}: its pages point back at each other; the file is damaged")
            number = _at(file, size, place, order + counts)
            end = place + struct.calcsize(counts) + (number or 0) * entry
            following = _at(file, size, end, order + link)
            if number is None or following is None:
                if not seen:
                    raise IncompleteFileError(
                        f"{shown(path)}: the file is incomplete (a page lies at byte {place} of {size}); copy it again"
                    )
                return len(seen), f"pages {len(seen) + 1} and on are missing"
            seen.add(place)
            place = following
    if not seen:
        raise InputError(f"{shown(path)}: a TIFF without a page")
    return len(seen), ""


def _at(file: BinaryIO, size: int, place: int, form: str) -> int | None:
    need = struct.calcsize(form)
    if place + need > size:
        return None
    file.seek(place)
    return int(struct.unpack(form, file.read(need))[0])
