"""A reading that is put aside: which scans, how they were seen. Plain values, valid once made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_medcnn.errors import InputError

MAX_TEXT, MAX_DEPTH, MAX_ITEMS = 4096, 8, 2000
_HASH = 64
_LARGEST = 1e15
#: No place, angle or brightness of a view is beyond this; not-a-number is not below it, either.
_FARTHEST = 1e9


@dataclass(frozen=True)
class SavedScan:
    """Where a scan was, and what it was: `item` inside `path`, the sha256 of its voxels ("" if unknown)."""

    path: str
    item: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        for name, value in (("path", self.path), ("item", self.item), ("sha256", self.sha256)):
            if not _is_text(value):
                raise InputError(f"saved reading: expected text for {name}, got {str(value)[:40]!r}")
        if not self.path:
            raise InputError("saved reading: expected the path of the scan, got nothing")
        if self.sha256 and (len(self.sha256) != _HASH or set(self.sha256) - set("0123456789abcdef")):
            raise InputError("saved reading: expected a SHA-256 of 64 digits")


@dataclass(frozen=True)
class ReadingState:
    """A reading.

    Parameters
    ----------
    title
        For the list of readings; may name a file, so it is hidden with the names.
    saved
        When, ISO 8601.
    scan
        The open scan.
    beside
        Further scans that were open.
    mask
        Path of the mask's file, "" if it was never saved.
    view
        Layout, place, planes, windows: plain JSON.
    features
        Name of a feature -> what it keeps: plain JSON.
    """

    title: str
    saved: str
    scan: SavedScan
    beside: tuple[SavedScan, ...] = ()
    mask: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in (("title", self.title), ("saved", self.saved), ("mask", self.mask)):
            if not _is_text(value):
                raise InputError(f"saved reading: expected text for {name}, got {str(value)[:40]!r}")
        check_plain(self.view, "view")
        check_plain(self.features, "features")
        if not isinstance(self.view, Mapping) or not isinstance(self.features, Mapping):
            raise InputError("saved reading: expected names and values for view and features")
        if not all(isinstance(value, Mapping) for value in self.features.values()):
            raise InputError("saved reading: expected names and values for each feature")


def numbers(values: Any, count: int | None = None) -> list[float]:
    """Return the finite numbers of a kept list, `count` of them if that is given.

    Raises
    ------
    ValueError, TypeError
        Another number of values, or a value that is no number a view could have.
    """
    found = [float(value) for value in values]
    if count not in (None, len(found)) or not all(abs(value) <= _FARTHEST for value in found):
        raise ValueError(f"expected {count if count is not None else 'finite'} numbers")
    return found


def _is_text(value: Any) -> bool:
    """Return True for text that can be written and shown: no NUL, no halves of letters, not too long."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def check_plain(value: Any, what: str, depth: int = 0) -> None:
    """Raise `InputError` unless a value is plain JSON of reasonable size with finite numbers."""
    if depth > MAX_DEPTH:
        raise InputError(f"saved reading: {what} is nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if not _is_text(value):
            raise InputError(f"saved reading: {what} holds a text of {len(value)} letters that is none")
    elif isinstance(value, int | float):
        if not abs(value) <= _LARGEST:  # not-a-number is not, either
            raise InputError(f"saved reading: {what} holds a number that is none: {str(value)[:20]}")
    elif isinstance(value, Mapping | list | tuple):
        if len(value) > MAX_ITEMS:
            raise InputError(f"saved reading: {what} holds {len(value)} values")
        if isinstance(value, Mapping) and not all(isinstance(key, str) and len(key) <= 200 for key in value):
            raise InputError(f"saved reading: {what} has a name that is no text")
        for part in value.values() if isinstance(value, Mapping) else value:
            check_plain(part, what, depth + 1)
    else:
        raise InputError(f"saved reading: {what} holds {type(value).__name__}, which is not plain")
