"""Elements of a DICOM data set as numbers and plain text, leniently and fast.

pydicom parses the file; its typed values are made only where nothing simpler does, because ten thousand headers are
read one after the other.  What cannot be understood is absent, never an error.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError

from napari_medcnn.io.found import plain

#: What pydicom raises on broken files.
BROKEN = (
    InvalidDicomError, BytesLengthException, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
    OSError, NotImplementedError, OverflowError, LookupError, RecursionError, struct.error, zlib.error,
)  # fmt: skip

Key = str | tuple[int, int]
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_LONGEST = 4096  # characters of a text that are looked at


class Elements:
    """A data set whose elements are found by plain numbers: pydicom's own look-up costs as much as parsing the file."""

    __slots__ = ("_found", "data")

    def __init__(self, data: Any) -> None:
        self.data = data
        self._found = {int(tag): element for tag, element in data.items()}

    def __contains__(self, tag: int) -> bool:
        return tag in self._found

    def __getitem__(self, tag: int) -> Any:
        return self.data[tag]

    def get_item(self, tag: int) -> Any:
        """Return the element as it was read."""
        return self._found[tag]


@cache
def tag_of(key: Key) -> int:
    """Return the number of a keyword or of (group, element)."""
    if isinstance(key, tuple):
        return (key[0] << 16) | key[1]
    found = tag_for_keyword(key)
    if found is None:
        raise KeyError(key)
    return int(found)


@cache
def _stated_vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


def has(data: Any, key: Key) -> bool:
    """Return True if the element is there, even if empty."""
    return tag_of(key) in data


def _element(data: Any, key: Key) -> tuple[str, Any, bool]:
    """Return (VR, bytes or pydicom's value, little endian); the value is None if the element is absent or empty."""
    tag = tag_of(key)
    item = data.get_item(tag) if tag in data else None
    if item is None:
        return "UN", None, True
    if isinstance(item, RawDataElement):
        vr = item.VR
        if vr is None or vr == "UN" or vr not in _BINARY:
            stated = _stated_vr(tag)
            vr = stated if stated != "UN" else vr or "UN"
        return vr, item.value or None, bool(item.is_little_endian)
    return str(item.VR), item.value, True


def private(data: Any, group: int, creator: str, element: int) -> Key | None:
    """Return the key of a private element in the block that `creator` reserved (PS3.5 7.8.1), None without one."""
    for block in range(0x10, 0x20):
        if (group << 16) | block in data and text(data, (group, block)).upper().startswith(creator.upper()):
            key = (group, (block << 8) | element)
            if tag_of(key) in data:
                return key
    return None


def raw_bytes(data: Any, key: Key | None) -> bytes:
    """Return the bytes of an element as stored, b"" if it is absent or no bytes."""
    value = _element(data, key)[1] if key is not None else None
    return value if isinstance(value, bytes) else b""


def numbers(data: Any, key: Key, as_vr: str = "") -> tuple[float, ...]:
    """Return the finite or infinite numbers of an element; empty if it is absent or holds something else.

    `as_vr` names the representation of a private element, which a file may leave out.
    """
    vr, value, little = _element(data, key)
    if value is None or value == "":
        return ()
    try:
        if not isinstance(value, bytes):
            several = value if hasattr(value, "__iter__") and not isinstance(value, str) else str(value).split("\\")
            return tuple(float(v) for v in several)
        vr = as_vr if as_vr and vr not in (*_BINARY, "DS", "IS") else vr
        vr = "US" if vr == "US or SS" else vr
        if vr in _BINARY:
            letter = _BINARY[vr]
            count = len(value) // struct.calcsize(letter)
            order = "<" if little else ">"
            return tuple(float(v) for v in struct.unpack_from(f"{order}{count}{letter}", value))
        return tuple(float(v) for v in value.rstrip(b"\0 ").decode("ascii").split("\\") if v.strip())
    except (ValueError, TypeError, struct.error):
        return ()


def number(data: Any, key: Key, as_vr: str = "") -> float | None:
    """Return the first number if it is finite, else None."""
    found = numbers(data, key, as_vr)
    return found[0] if found and math.isfinite(found[0]) else None


def finite(data: Any, key: Key, count: int) -> tuple[float, ...] | None:
    """Return the first `count` numbers, None if there are fewer or one is not finite."""
    found = numbers(data, key)[:count]
    return found if len(found) == count and all(math.isfinite(v) for v in found) else None


def positive(data: Any, key: Key) -> float | None:
    """Return the size of the first number; None if it is 0, absent or not finite."""
    found = abs(number(data, key) or 0.0)
    return found if found > 0 else None


def pair(data: Any, key: Key) -> tuple[float, float] | None:
    """Return two numbers above 0, else None."""
    found = finite(data, key, 2)
    return (found[0], found[1]) if found and min(found) > 0 else None


def whole(data: Any, key: Key, default: int = 0) -> int:
    """Return the first number as an integer, `default` without one."""
    found = number(data, key)
    return default if found is None else int(found)


def texts(data: Any, key: Key, limit: int = 64) -> tuple[str, ...]:
    """Return the values of a text element, each one plain line of at most `limit` characters."""
    _, value, _ = _element(data, key)
    if value is None:
        return ()
    if isinstance(value, bytes):
        if not value[:_LONGEST].isascii() or b"\x1b" in value[:_LONGEST]:
            try:
                value = data[tag_of(key)].value  # pydicom knows the character set
            except BROKEN:
                value = value[:_LONGEST].decode("latin-1")
            several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
        else:
            several = value[:_LONGEST].decode("ascii").split("\\")
    else:
        several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return tuple(_line(str(v).strip("\0 "), limit) for v in several)


def _line(value: str, limit: int) -> str:
    return value if len(value) <= limit and value.isascii() and value.isalnum() else plain(value, limit)


def text(data: Any, key: Key, limit: int = 64) -> str:
    """Return the first value of a text element as plain text, "" if absent."""
    found = texts(data, key, limit)
    return found[0] if found else ""


def items(data: Any, key: Key) -> Iterator[Any]:
    """Yield the data sets of a sequence; none if it is absent or broken."""
    if tag_of(key) not in data:
        return
    try:
        sequence = data[tag_of(key)].value
    except BROKEN:
        return
    if sequence is not None and not isinstance(sequence, (str, bytes)) and hasattr(sequence, "__iter__"):
        yield from (one for one in sequence if hasattr(one, "get_item"))


def first_item(data: Any, key: Key) -> Any:
    """Return the first data set of a sequence, None without one."""
    return next(items(data, key), None)


def date(data: Any, key: Key) -> str:
    """Return a date as YYYY-MM-DD, "" if absent or odd."""
    digits = text(data, key, 32).replace(".", "")[:8]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 and digits.isdigit() else ""


def clock(data: Any, key: Key) -> str:
    """Return a time as HH:MM:SS.fff, "" if absent or odd."""
    found = text(data, key, 32).replace(":", "")
    head, _, rest = found.partition(".")
    if not head.isdigit() or len(head) not in (2, 4, 6):
        return ""
    head = head.ljust(6, "0")
    rest = rest if rest.isdigit() else ""
    return f"{head[:2]}:{head[2:4]}:{head[4:]}.{rest.ljust(3, '0')[:3]}"


def seconds(stamp: str) -> float | None:
    """Return the seconds since midnight (or since year 0 for a DICOM date and time) of digits as DICOM writes them."""
    head, _, rest = stamp.replace(":", "").partition(".")
    fraction = rest[: next((k for k, c in enumerate(rest) if not c.isdigit()), len(rest))]
    if not head.isdigit() or len(head) < 2:
        return None
    days = 0
    if len(head) >= 8:
        import datetime

        try:
            days = datetime.date(int(head[:4]), int(head[4:6]), int(head[6:8])).toordinal()
        except ValueError:
            return None
        head = head[8:]
    head = head.ljust(6, "0")[:6]
    clocked = int(head[:2]) * 3600 + int(head[2:4]) * 60 + int(head[4:])
    return days * 86400.0 + clocked + (float(f"0.{fraction}") if fraction else 0.0)
