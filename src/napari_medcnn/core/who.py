"""Of whom and when a scan is: enough to tell two patients and two dates apart, and nothing that a log could leak."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

Conflict = Literal["", "two patients", "two dates"]
TWO_PATIENTS: Conflict = "two patients"
TWO_DATES: Conflict = "two dates"
#: What one file can say of a person, in the order of `Who.person`.
_SAID = ("names", "patient numbers", "birth dates", "sexes")


@dataclass(frozen=True)
class Who:
    """Of whom, when and in which coordinate system an image is; everything may be empty, and empty is never "same".

    Parameters
    ----------
    person
        What the file says of the patient, as (name, number, birth date, sex). In memory only: the representation
        tells nothing.
    date
        Of the study, YYYY-MM-DD.
    frame_of_reference
        DICOM Frame of Reference UID: images that share it share one space.
    """

    person: tuple[str, str, str, str] = field(default=("", "", "", ""), repr=False)
    date: str = field(default="", repr=False)
    frame_of_reference: str = ""

    @property
    def stated(self) -> bool:
        """True if the file names the patient in any way."""
        return any(self._keys[:3])

    @property
    def _keys(self) -> tuple[str, ...]:
        name, *rest = self.person
        written = [part for part in name.split("=") if _key(part)]  # one name in Latin letters, then in others
        return (_key(written[0]) if written else "", *(_key(part) for part in rest))


NOBODY = Who()


def conflict(a: Who, b: Who) -> Conflict:
    """Return what keeps two images apart: "two patients", "two dates" of one (or nobody's) study, or ""."""
    if differing(a, b):
        return TWO_PATIENTS
    return TWO_DATES if a.date and b.date and a.date != b.date else ""


def differing(a: Who, b: Who) -> str:
    """Return in words what both files state of the patient and state differently; "" if nothing is.

    One difference makes two patients: a name that was typed differently is asked about, a mask on the wrong patient is
    not. Capitals, accents and the signs between the parts of a name do not count.
    """
    found = [word for word, x, y in zip(_SAID, a._keys, b._keys, strict=True) if x and y and x != y]
    return " and ".join(found)


def unsure(a: Who, b: Who) -> bool:
    """Return True if nothing that both files state says that the patient is the same one."""
    return not differing(a, b) and not any(x and x == y for x, y in zip(a._keys[:3], b._keys[:3], strict=True))


def same_space(a: Who, b: Who) -> bool | None:
    """Return True if both share a coordinate system, False if they state different ones, None if that is not stated."""
    if not a.frame_of_reference or not b.frame_of_reference:
        return None
    return a.frame_of_reference == b.frame_of_reference


def _key(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if c.isalnum())
