"""What can be handed on, and what was chosen of it: plain values between the dialogs and those who do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SLICES, TIMES = "slices", "time points"


@dataclass(frozen=True)
class Offer:
    """What holds for every kind of export.

    `suggestion` is a file name without suffix that names nobody. `person` is whom the names would name, "" if the file
    states nobody. `risk` says why the picture itself may show a name; then someone has to look before it goes.
    """

    suggestion: str
    person: str = ""
    risk: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureOffer(Offer):
    """Pictures: how many views are seen, and how large the file will be.

    `sizes` has (width, height) in pixels for every (all views, scale, with names) that can be chosen.
    """

    views: int = 1
    sizes: Mapping[tuple[bool, int, bool], tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class PictureWish:
    """`path` None means the clipboard."""

    path: Path | None
    all_views: bool = True
    scale: int = 2
    names: bool = False


@dataclass(frozen=True)
class FilmOffer(Offer):
    """Films: ways through the scan as (name, how many, which is seen now), and whether MP4 can be written."""

    ways: tuple[tuple[str, int, int], ...] = ()
    size: tuple[int, int] = (0, 0)
    mp4: bool = False


@dataclass(frozen=True)
class FilmWish:
    """From `first` to `last`, counted from 1, both included; `scale` 0.5, 1 or 2."""

    path: Path
    along: str
    first: int
    last: int
    per_second: float = 10.0
    scale: float = 1.0
    names: bool = False


@dataclass(frozen=True)
class ShareOffer(Offer):
    """Cases to share: parts as (key, words, bytes at most, ticked at first)."""

    parts: tuple[tuple[str, str, int, bool], ...] = ()


@dataclass(frozen=True)
class ShareWish:
    """Which parts go into the zip."""

    path: Path
    parts: frozenset[str] = frozenset()
    names: bool = False


@dataclass(frozen=True)
class MapOffer(Offer):
    """A map that says why a model said something."""


@dataclass(frozen=True)
class MapWish:
    """Where a map goes; the suffix says as what."""

    path: Path
    names: bool = False


def risk_words(risk: tuple[str, ...]) -> str:
    """Return the warning of a picture that may show a name, "" where nothing speaks for it."""
    return f"The picture itself may show a name ({'; '.join(risk)}): look at it." if risk else ""
