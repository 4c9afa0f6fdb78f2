"""What every part of the table shares: a row, our readers with unnamed errors made visible, the oracle's memory."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cases import SHARED_DATA
from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io import read as ours
from napari_medcnn.io.found import Found, Item
from zoo import oracle_dicom
from zoo.compare import Match
from zoo.expectations import refusal_of, same_picture
from zoo.oracle_dicom import Content

FINE = ("equal", "near", "refused", "no image", "archive")
FAULT = "FAULT"
NO_DATA = ("README.md", "MANIFEST.csv")


class UnnamedError(MedcnnError):
    """Stands for an error that is none of ours: always a fault."""


def _unnamed(error: Exception) -> UnnamedError:
    at = traceback.extract_tb(error.__traceback__)[-1]
    return UnnamedError(f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})")


def inspect(path: Path) -> Found:
    try:
        return ours.inspect(path)
    except MedcnnError:
        raise
    except Exception as error:
        raise _unnamed(error) from error


def read(path: Path, item: str | None = None, consent: Consent = NONE) -> Volume | LabelMap:
    try:
        return ours.read(path, item, consent)
    except MedcnnError:
        raise
    except Exception as error:
        raise _unnamed(error) from error


@dataclass
class Row:
    """One line; `where` is the path below the data folder."""

    where: str
    item: str = ""
    kind: str = ""
    shape: str = ""
    reference: str = ""
    difference: str = ""
    verdict: str = FAULT
    note: str = ""

    def line(self) -> str:
        cells = (
            (self.where[-70:], 70), (self.item[-24:], 24), (self.kind, 9), (self.shape, 18), (self.reference, 14),
            (self.difference, 22), (self.verdict, 8),
        )  # fmt: skip
        return "  ".join(c.ljust(w) for c, w in cells) + "  " + " ".join(self.note.split())[:300]

    def failed(self, error: MedcnnError) -> bool:
        """Note an error of ours; True if the table expects it."""
        self.note, self.difference = str(error), type(error).__name__
        expected = refusal_of(self.where, str(error))
        if expected is None or isinstance(error, UnnamedError):
            return False
        self.verdict, self.reference = "refused", expected.why
        return True

    def judge(self, match: Match, lossy: bool = False) -> None:
        """Take the verdict from what was compared."""
        self.difference = f"{match.value:.3g}; {match.mm:.2g} mm"
        near = (lossy or match.near) and match.value > 0
        self.verdict = FAULT if match.faults else ("near" if near else "equal")
        self.note = "; ".join([*match.faults[:4], *dict.fromkeys(match.notes)])


def row_of(where: str, item: Item, **more: str) -> Row:
    return Row(where, item.id, item.kind, "x".join(map(str, item.shape)), **more)


@lru_cache(maxsize=400)
def content(path: Path) -> Content | None:
    """Return what the oracle finds; where pydicom cannot decode, the pixels of the same picture stored plainly."""
    held = oracle_dicom.content(path)
    if held is None or held.kind != "undecodable":
        return held
    inside = path.is_relative_to(SHARED_DATA)
    plain = same_picture(path.relative_to(SHARED_DATA).as_posix()) if inside else None
    twin = content(SHARED_DATA / plain) if plain else oracle_dicom.by_itk(path, held)
    return held if twin is None or not twin.frames else oracle_dicom.with_pixels_of(path, held, twin, bool(plain))


def contents(paths: list[Path]) -> list[Content]:
    return [c for c in (content(p) for p in paths) if c is not None]
