"""What a reader must be allowed before it does it, and the report of what it found, took for granted and refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from napari_medcnn.errors import InputError

#: What may be asked for; each is a field of `Consent`.
Asked = Literal["resample", "duplicates", "damaged", "large", "complex_part", "unnumbered"]

_CHOICES: dict[str, tuple[object, ...]] = {
    "resample": (False, True),
    "duplicates": ("ask", "first", "last"),
    "damaged": (False, True),
    "large": (False, True),
    "complex_part": ("ask", "magnitude", "phase", "real", "imaginary"),
    "unnumbered": (False, True),
}


@dataclass(frozen=True)
class Consent:
    """What the user agreed to for one image.  The default agrees to nothing.

    Parameters
    ----------
    resample
        Bring a tilted, sheared or unevenly spaced image onto a straight, even grid; the result is marked.
    duplicates
        Which of several differing images at one place is taken: the first or the last in the order of the files'
        own numbering (InstanceNumber); ``"ask"`` refuses.
    damaged
        Open what a damaged file still holds (a wrong checksum, a cut picture); the result is marked, read-only.
    large
        Expand a file beyond the size that is opened unasked.
    complex_part
        What is shown of complex numbers; ``"ask"`` refuses.
    unnumbered
        Take DICOM files without a series number as one series where all else that they state agrees.
    """

    resample: bool = False
    duplicates: Literal["ask", "first", "last"] = "ask"
    damaged: bool = False
    large: bool = False
    complex_part: Literal["ask", "magnitude", "phase", "real", "imaginary"] = "ask"
    unnumbered: bool = False

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                words = ", ".join(str(a) for a in allowed)
                raise InputError(f"{name}: expected one of {words}, got {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """Return what was agreed to, without what was not; ``{}`` for nothing."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Consent:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            An unknown name or value.
        """
        unknown = sorted(set(data) - set(_CHOICES))
        if unknown:
            raise InputError(f"consent: expected names among {', '.join(_CHOICES)}, got {unknown}")
        return cls(**data)


#: Nothing was agreed to.
NONE = Consent()


@dataclass(frozen=True)
class Report:
    """What a reader says of one image, in plain sentences; each part may be empty.

    Parameters
    ----------
    found
        What the files state that a reader should know ("10 time points, every 2 s", "gantry tilt 18.6°").
    assumed
        What was not stated and taken for granted, repaired, dropped or left out.
    refused
        Why it does not open as it stands; empty for what opens.
    asks
        What opens it all the same: a field of `Consent`, or "" if nothing does.
    """

    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    asks: Asked | Literal[""] = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must see: all that was assumed or refused."""
        return (*self.assumed, *self.refused)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "found": list(self.found), "assumed": list(self.assumed), "refused": list(self.refused), "asks": self.asks,
        }  # fmt: skip
