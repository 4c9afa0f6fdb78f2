"""Names, codes and colours of segments and structures: from DICOM's elements to classes of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_medcnn.core.labels import Colour, Label, LabelSet, default_colour
from napari_medcnn.io.dicom.header.elements import first_item, numbers, text, whole
from napari_medcnn.io.found import plain

#: "Tissue" as category and as type: what programs write where nobody chose a code, so it codes nothing.
GENERIC = ("SCT", "85756007")
#: White of sRGB (IEC 61966-2-1: D65, two-degree observer); CIE 15 for the formula of L*a*b*.
_WHITE = (0.95047, 1.0, 1.08883)
_TO_RGB = ((3.2404542, -1.5371385, -0.4985314), (-0.9692660, 1.8760108, 0.0415560), (0.0556434, -0.2040259, 1.0572252))


@dataclass(frozen=True)
class Segment:
    """What a file says of one class.

    Parameters
    ----------
    number
        SegmentNumber or ROINumber as stated.
    name
        Plain text; may be empty or repeated.
    code
        ``scheme:value``, or None.
    colour
        sRGB, or None.
    """

    number: int
    name: str = ""
    code: str | None = None
    colour: Colour | None = None


def segment_of(data: Any) -> Segment:
    """Return the class that one item of Segment Sequence (PS3.3 C.8.20.4) describes; number -1 if it states none."""
    lab = numbers(data, "RecommendedDisplayCIELabValue")
    colour = lab_to_rgb((int(lab[0]), int(lab[1]), int(lab[2]))) if _stored_lab(lab) else None
    name = text(data, "SegmentLabel", 200) or text(data, "SegmentDescription", 200)
    code = code_of(first_item(data, "SegmentedPropertyTypeCodeSequence"))
    if code == ":".join(GENERIC) == code_of(first_item(data, "SegmentedPropertyCategoryCodeSequence")):
        code = None
    return Segment(whole(data, "SegmentNumber", -1), name, code, colour)


def _stored_lab(values: Sequence[float]) -> bool:
    return len(values) == 3 and all(0 <= v <= 65535 for v in values)


def code_of(item: Any) -> str | None:
    """Return ``scheme:value`` of an item of a code sequence (PS3.3 8.8), None where it is absent or incomplete."""
    if item is None:
        return None
    scheme = text(item, "CodingSchemeDesignator", 16)
    value = text(item, "CodeValue", 64) or text(item, "LongCodeValue", 64)
    return f"{scheme}:{value}" if scheme and value else None


def lab_to_rgb(stored: tuple[int, int, int]) -> Colour:
    """Return sRGB (0..255) of a CIELab colour as DICOM stores it, cut to what a screen shows.

    Parameters
    ----------
    stored
        Three 16-bit numbers: L* from 0 to 100 and a*, b* from -128 to 127, each over 0 to 65535 (PS3.3 C.10.7.1.1).

    Notes
    -----
    The white is that of sRGB (D65), although the standard's connection space is D50: DCMTK, dcmqi, highdicom and 3D
    Slicer all write without adaptation, and only so does a colour come back as it was chosen.
    """
    light = stored[0] * 100.0 / 65535.0
    a, b = (v * 255.0 / 65535.0 - 128.0 for v in stored[1:])
    middle = (light + 16.0) / 116.0
    xyz = [w * _cube(t) for w, t in zip(_WHITE, (middle + a / 500.0, middle, middle - b / 200.0), strict=True)]
    red, green, blue = (_gamma(sum(m * v for m, v in zip(row, xyz, strict=True))) for row in _TO_RGB)
    return (red, green, blue)


def _cube(t: float) -> float:
    edge = 6.0 / 29.0
    return t**3 if t > edge else 3.0 * edge**2 * (t - 4.0 / 29.0)


def _gamma(linear: float) -> int:
    cut = min(max(linear, 0.0), 1.0)
    return round(255.0 * (12.92 * cut if cut <= 0.0031308 else 1.055 * cut ** (1 / 2.4) - 0.055))


def label_set(segments: Sequence[Segment], ids: Sequence[int]) -> LabelSet:
    """Return the classes under `ids` (one for each segment, each once); names made present and unique."""
    taken: set[str] = set()
    labels = []
    for segment, number in zip(segments, ids, strict=True):
        name = plain(segment.name, 200) or f"Segment {number}"
        if name in taken:
            name = f"{plain(segment.name, 180) or 'Segment'} ({number})"
        while name in taken:
            name = f"{name[:190]}'"
        taken.add(name)
        labels.append(Label(number, name, segment.colour or default_colour(number), segment.code))
    return LabelSet(tuple(labels))
