"""What the numbers of a part mean: their unit, the display windows the files offer, SUV of a PET."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any

from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom import pet
from napari_medcnn.io.dicom.facts import Header, Part, Plane
from napari_medcnn.io.dicom.pixels.pixelfile import opened

Windows = tuple[tuple[str, float, float], ...]

#: RescaleType and Units (DICOM PS3.3 C.11.1.1.2, C.8.9.1.1.3) as readers write them; what is missing stands as it is.
_UNITS = {
    "US": "", "UNSPECIFIED": "", "HU": "HU", "OD": "OD", "BQML": "Bq/ml", "CNTS": "counts", "CPS": "counts/s",
    "GML": "g/ml", "GRAY": "Gy", "GY": "Gy", "PCNT": "%", "NONE": "", "PROPCNTS": "counts", "PROPCPS": "counts/s",
    "MLMING": "ml/min/g", "MLMINML": "ml/min/ml", "MLG": "ml/g", "1CM": "1/cm", "UMOLML": "umol/ml", "CM2": "cm2",
    "CM2ML": "cm2/ml", "STDDEV": "standard deviations", "Z_EFF": "effective atomic number", "ED": "1e23/ml",
    "EDW": "electron density of water", "HU_MOD": "modified HU", "MGML": "mg/ml",
}  # fmt: skip
_SAME = (1.0, 0.0)
OWN_TABLE = "the file's own display table"


@dataclass(frozen=True)
class Meaning:
    """What the voxels of a part mean; `planes` carry the rescale that leads to `unit`."""

    planes: tuple[tuple[Plane, ...], ...]
    unit: str = ""
    windows: Windows = ()
    inverted: bool = False
    colour: bool = False
    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def meaning_of(part: Part, planes: tuple[tuple[Plane, ...], ...]) -> Meaning:
    """Return unit, windows and what is to be said of them; a PET comes in SUV where its headers allow it.

    Raises
    ------
    InputError
        A file cannot be opened.
    """
    middle = planes[len(planes) // 2][len(planes[0]) // 2]
    header, frame = middle
    stored = header.stored
    if stored is None:
        raise InputError(f"{part.title}: it holds no pixels")
    if stored.samples == 3 or stored.photometric == "PALETTE COLOR":
        return Meaning(planes, colour=True)
    windows = _named(frame.windows) + _own_table(header)
    meaning = Meaning(planes, _unit(header, frame.unit, (frame.slope, frame.intercept)), windows,
                      stored.photometric == "MONOCHROME1")  # fmt: skip
    if header.modality == "PT":
        return _in_suv(meaning)
    return meaning


def _in_suv(meaning: Meaning) -> Meaning:
    """Return the meaning of a PET: every rescale times what turns it into SUV, or why that is not possible."""
    headers = list({id(p.header): p.header for slices in meaning.planes for p in slices}.values())
    suv = pet.suv(headers)
    if isinstance(suv, str):
        return replace(meaning, assumed=(*meaning.assumed, suv))
    planes = tuple(
        tuple(
            Plane(h, replace(f, slope=f.slope * suv.scale_of(h), intercept=f.intercept * suv.scale_of(h)))
            for h, f in slices
        )
        for slices in meaning.planes
    )
    scale = suv.scale_of(headers[0])
    windows = tuple((name, low * scale, high * scale) for name, low, high in meaning.windows)
    return replace(
        meaning, planes=planes, unit=suv.unit, windows=windows, found=(*meaning.found, *suv.found),
        assumed=(*meaning.assumed, *suv.assumed),
    )  # fmt: skip


def _unit(header: Header, stated: str, rescale: tuple[float, float]) -> str:
    """Return the unit of the rescaled values; CT without a stated one is in HU once it is rescaled."""
    stated = stated or str(header.values.get("Units", ""))
    if stated:
        return _UNITS.get(stated.upper(), stated)
    return "HU" if header.modality == "CT" and rescale != _SAME else ""


def _named(windows: Windows) -> Windows:
    """Return windows with a name each: their own explanation, or "window 1" and so on."""
    many = len(windows) > 1
    return tuple(
        (name or (f"the file's window {k + 1}" if many else "the file's window"), low, high)
        for k, (name, low, high) in enumerate(windows)
    )


def _own_table(header: Header) -> Windows:
    """Return the range of values that a VOI LUT Sequence maps (PS3.3 C.11.2.1.1) as a window, without the curve."""
    try:
        with opened(header) as file:
            data: Any = file.dataset
            sequence = data.get("VOILUTSequence") or ()
            found = []
            for item in sequence:
                entry = item.get("LUTDescriptor")
                if entry is None or len(entry) != 3:
                    continue
                count, first = int(entry[0]) or 65536, int(entry[1])
                if first > 32767 and file.stored.signed:
                    (first,) = struct.unpack("<h", struct.pack("<H", first))
                words = str(item.get("LUTExplanation", "") or "")[:32]
                found.append((f"{OWN_TABLE} ({words})" if words.isprintable() and words else OWN_TABLE,
                              float(first), float(first + count - 1)))  # fmt: skip
            return tuple(w for w in found if w[2] > w[1])
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()
