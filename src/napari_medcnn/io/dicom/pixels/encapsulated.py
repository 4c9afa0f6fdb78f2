"""Where the compressed pictures of a DICOM file lie: fragments and offset tables (DICOM PS3.5 A.4).

Every fragment is checked against the end of the file before anything is decoded, since decoders fill what is missing
with zeros and say nothing.
"""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import BinaryIO

from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.found import shown
from napari_medcnn.io.payload import incomplete

#: (first byte in the file, number of bytes) of one fragment.
Span = tuple[int, int]

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
#: How a picture's first fragment begins: JPEG and JPEG-LS, JPEG 2000 codestream, JP2 file.
_BEGINNINGS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")
_LAST_PADDING = 4


def frame_spans(
    path: Path, file: BinaryIO, start: int, frames: int, extended: tuple[int, ...] = ()
) -> list[list[Span]]:
    """Return the fragments of each frame.

    Parameters
    ----------
    start
        First byte of the value of Pixel Data: the item of the basic offset table.
    frames
        Number of frames the header states; more in the file than stated are left out.
    extended
        Extended Offset Table, or empty.

    Raises
    ------
    IncompleteFileError
        A fragment goes on beyond the end of the file, or there are fewer pictures than frames.
    InputError
        The structure is broken.
    """
    table, fragments = _items(path, file, start)
    if frames == 1:
        if not fragments:
            raise incomplete(path, 0, 1)
        return [fragments]
    first = fragments[0][0] - 8 if fragments else start
    for offsets in (extended, table):
        found = _by_offsets(fragments, offsets, first, frames)
        if found:
            return found
    if len(fragments) == frames:
        return [[f] for f in fragments]
    return _by_beginnings(path, file, fragments, frames)


def frame_bytes(file: BinaryIO, spans: list[Span]) -> bytes:
    """Return one compressed picture, its fragments joined."""
    parts = []
    for offset, length in spans:
        file.seek(offset)
        parts.append(file.read(length))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_end(path: Path, data: bytes) -> None:
    """Refuse a JPEG, JPEG-LS or JPEG 2000 picture without its end marker: it was cut before it was wrapped.

    Raises
    ------
    IncompleteFileError
        The end marker (FFD9) is not among the last bytes, padding left out.
    """
    tail = data.rstrip(b"\0")
    if b"\xff\xd9" not in tail[-_LAST_PADDING:]:
        raise IncompleteFileError(
            f"{shown(path)}: the file is incomplete (a compressed picture of {len(data)} bytes lacks its end); "
            "copy it again from its source"
        )


def _items(path: Path, file: BinaryIO, start: int) -> tuple[tuple[int, ...], list[Span]]:
    """Return the basic offset table and all fragments; a missing end mark alone is forgiven."""
    size = file.seek(0, 2)
    place, table, fragments = start, None, []
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        if head[:4] == _END:
            break
        if head[:4] != _ITEM:
            if table is not None and fragments:
                break  # garbage behind the last whole fragment
            raise InputError(f"{shown(path)}: its compressed pixels are not wrapped in items; the file is damaged")
        (length,) = struct.unpack("<I", head[4:])
        if place + 8 + length > size:
            raise incomplete(path, size - start, place + 8 + length - start)
        if table is None:
            entries = file.read(length) if length % 4 == 0 else b""
            table = struct.unpack(f"<{len(entries) // 4}I", entries)
        else:
            fragments.append((place + 8, length))
        place += 8 + length
    else:
        if place < size or not fragments:
            raise incomplete(path, size - start, max(place + 8, size + 8) - start)
    return table or (), fragments


def _by_offsets(fragments: list[Span], offsets: tuple[int, ...], first: int, frames: int) -> list[list[Span]] | None:
    """Return fragments grouped by an offset table, None where it is absent or does not fit the fragments."""
    if len(offsets) < frames:
        return None
    starts = [offset + first + 8 for offset in offsets]
    known = {offset: k for k, (offset, _) in enumerate(fragments)}
    if any(s not in known for s in starts) or starts != sorted(set(starts)):
        return None
    edges = [known[s] for s in starts] + [len(fragments)]
    return [fragments[a:b] for a, b in itertools.pairwise(edges[: frames + 1])]


def _by_beginnings(path: Path, file: BinaryIO, fragments: list[Span], frames: int) -> list[list[Span]]:
    """Return fragments grouped by how a picture begins: the only way without an offset table."""
    groups: list[list[Span]] = []
    for offset, length in fragments:
        file.seek(offset)
        head = file.read(min(length, 6))
        if head.startswith(_BEGINNINGS) or not groups:
            groups.append([])
        groups[-1].append((offset, length))
    if len(groups) < frames:
        raise IncompleteFileError(
            f"{shown(path)}: the file is incomplete ({len(groups)} of {frames} compressed pictures); copy it again "
            "from its source"
        )
    return groups[:frames]
