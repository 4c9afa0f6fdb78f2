"""Images without a series number (SeriesInstanceUID): which of them could be one series, by all else that they state.

Nothing says that such files belong together, so they open as one only if the user agrees; and they are offered as one
only if every further fact is the same and they form one even stack. Otherwise each stands alone, which is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from napari_medcnn.core.consent import Report
from napari_medcnn.io.dicom.facts import Header, Part, Plane
from napari_medcnn.io.dicom.header.kinds import PROJECTIONS
from napari_medcnn.io.dicom.sorting.split import bundles_of

#: The consent that opens them as one.
ASKS = "unnumbered"
_ALONE, _TOGETHER = "file-", "unnumbered-"
#: Two slices always lie evenly: from so many on it says something.
_FEWEST = 3


def lone_id(header: Header) -> str:
    """Return the id of a file that stands alone: it stays when the folder moves."""
    return _ALONE + _digest([header])


def together_id(headers: Iterable[Header]) -> str:
    """Return the id of files that are offered as one series."""
    return _TOGETHER + _digest(headers)


def _digest(headers: Iterable[Header]) -> str:
    marks = sorted(f"{h.path.name}\n{h.sop_uid}".encode("utf-8", "surrogateescape") for h in headers)
    return hashlib.sha256(b"\n".join(marks)).hexdigest()[:12]


def candidates(headers: Sequence[Header]) -> list[list[Header]]:
    """Return files that agree in everything they state, three or more each; of kind "image" and without a series UID.

    Compared are folder, patient, study, frame of reference, modality, image type, number, words and dates of the series
    and by `split.bundles_of` size, orientation and spacing.
    """
    alike: dict[Hashable, list[Header]] = {}
    for header in headers:
        frames = header.frames
        placed = len(frames) == 1 and frames[0].position is not None and frames[0].row is not None
        if placed and header.sop_class not in PROJECTIONS and "Mosaic" not in header.values:
            alike.setdefault(_facts(header), []).append(header)
    found = []
    for members in alike.values():
        for bundle in bundles_of([Plane(h, h.frames[0]) for h in members]):
            if len(bundle.planes) >= _FEWEST:
                found.append([plane.header for plane in bundle.planes])
    return found


def _facts(header: Header) -> Hashable:
    frame = header.frames[0]
    return (
        header.path.parent, header.person_key, header.study_uid, header.frame_of_reference, header.modality,
        header.sop_class, header.image_type, header.series_number, header.description, header.study_date,
        header.series_date, header.series_time, header.manufacturer, frame.thickness_mm, frame.between_mm, frame.unit,
        header.stored.photometric if header.stored else "",
    )  # fmt: skip


def is_one_stack(parts: Sequence[Part], count: int) -> bool:
    """Return True if the gate made one even stack of all `count` files: each a slice with a number of its own.

    Anything that would have to be decided (a gap, a tilt, two images at one place, several time points, slices that
    were not made alike) speaks against one series.
    """
    if len(parts) != 1 or len(parts[0].planes) != 1:
        return False
    (part,) = parts
    refused = part.report.refused or part.report.asks or part.duplicates
    numbers = {plane.frame.instance for plane in part.planes[0]}
    return (
        not refused
        and part.geometry is not None
        and part.positions_mm is None
        and len(part.planes[0]) == count
        and len(numbers) in (1, count)
        and not any("differ" in words for words in part.report.assumed)
    )


def asking(part: Part) -> Part:
    """Return the part of such files: it opens once the user agrees."""
    why = (
        f"No series number (SeriesInstanceUID) in these {len(part.files)} files. All else that they state agrees and "
        "they form one even stack, but nothing says that they belong together"
    )
    report = replace(part.report, refused=(*part.report.refused, why), asks="unnumbered")
    return replace(part, report=report)


def agreed_words(part: Part) -> str:
    """Return what is recorded once the user agreed."""
    return f"{len(part.files)} files without a series number were taken as one series, as agreed."


def alone(part: Part, count: int) -> Part:
    """Return the part of a file that stands alone, with a word on it; `count` of the folder are listed so."""
    words = "No series number (SeriesInstanceUID) in this file"
    words += f"; {count} such files are shown one by one." if count > 1 else "; it is shown alone."
    report = part.report
    return replace(part, report=Report(report.found, (words, *report.assumed), report.refused, report.asks))


def is_alone(part_id: str) -> bool:
    """Return True for the id of a file that stands alone."""
    return part_id.startswith(_ALONE)


def is_together(headers: Sequence[Header]) -> bool:
    """Return True for files that are offered as one series although none states its number."""
    return len(headers) > 1 and not any(h.series_uid for h in headers)
