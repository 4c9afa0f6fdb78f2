"""The series gate: from headers to what opens as one image, every plane accounted for, nothing guessed.

Order: planes of one patient, size, kind and orientation (`split`), their places along the normal (`places`), what
repeats a place (`moments`, `timing`), and the grid (`stack_grid`).  What has no place is a picture or a film.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Axes
from napari_medcnn.errors import GeometryError
from napari_medcnn.io.dicom.facts import Header, Part, Plane
from napari_medcnn.io.dicom.header.kinds import PROJECTIONS
from napari_medcnn.io.dicom.sorting import unnumbered
from napari_medcnn.io.dicom.sorting.arrangement import Arrangement
from napari_medcnn.io.dicom.sorting.films import flat_parts, is_slide, odd_part, sheet_part, title_of
from napari_medcnn.io.dicom.sorting.moments import arrange
from napari_medcnn.io.dicom.sorting.places import FAR_STEPS, Places, places_of
from napari_medcnn.io.dicom.sorting.split import Bundle, bundles_of, divide, image_type, is_colour, one_study_each
from napari_medcnn.io.dicom.sorting.stack_grid import grid_of
from napari_medcnn.io.dicom.sorting.timing import Timing, timing_of

_THICKER = 0.02  # share by which slices may be thicker or thinner than their step before it is said
_MOST_BLOCKS = 20
_KERNEL = "ConvolutionKernel"
_ALIKE = (
    ("EchoTime", "echo time"), ("DiffusionBValue", "b-value"), ("InversionTime", "inversion time"),
    ("TemporalPositionIdentifier", "time point"), ("TemporalPositionIndex", "time point"),
)  # fmt: skip


def group(headers: Iterable[Header]) -> dict[str, list[Header]]:
    """Return headers by series UID.

    Images without one that could be one series stand together under "unnumbered-" and a hash of their names and UIDs,
    any other alone under "file-" and a hash of its own.
    """
    found: dict[str, list[Header]] = {}
    without = []
    for header in headers:
        if header.series_uid:
            found.setdefault(header.series_uid, []).append(header)
        else:
            without.append(header)
    for members in unnumbered.candidates([h for h in without if h.kind == "image" and h.stored is not None]):
        if unnumbered.is_one_stack(_sorted(members, unnumbered.together_id(members)), len(members)):
            found[unnumbered.together_id(members)] = members
    taken = {header.path for members in found.values() for header in members}
    for header in without:
        if header.path not in taken:
            found.setdefault(unnumbered.lone_id(header), []).append(header)
    return found


def sort_series(headers: Sequence[Header]) -> tuple[Part, ...]:
    """Return what opens of one series.

    Parameters
    ----------
    headers
        Of kind "image" and of one of the groups that `group` makes, in any order; others are ignored.

    Returns
    -------
    One or several parts in a stable order; () for no image.  Every file is in `Part.files` of a part, every frame in
    its planes or duplicates, in a part that is refused, or named in what it assumed (equal copies).
    """
    images = [h for h in headers if h.kind == "image" and h.stored is not None and h.frames]
    if not images:
        return ()
    if unnumbered.is_together(images):
        return tuple(unnumbered.asking(part) for part in _sorted(images, unnumbered.together_id(images)))
    return _sorted(images, images[0].series_uid or unnumbered.lone_id(images[0]))


def _sorted(images: Sequence[Header], uid: str) -> tuple[Part, ...]:
    """Do as `sort_series` for images with pixels, under an id."""
    placed: list[Header] = []
    flat: list[Header] = []
    sheets: list[Header] = []
    odd: list[Header] = []
    for header in images:
        if "Mosaic" in header.values:
            sheets.append(header)
            continue
        if header.stored is not None and header.stored.samples not in (1, 3):
            odd.append(header)
            continue
        spatial = header.sop_class not in PROJECTIONS and all(_is_placed(f.position, f.row) for f in header.frames)
        (placed if spatial and not is_slide(header) else flat).append(header)
    parts: list[Part] = []
    for bundle in bundles_of([Plane(h, f) for h in placed for f in h.frames]):
        parts.extend(_spatial(uid, bundle))
    parts.extend(flat_parts(uid, flat, others=len(placed)))
    if sheets:
        parts.append(sheet_part(uid + (":mosaic" if parts else ""), sheets))
    if odd:
        parts.append(odd_part(uid + (":samples" if parts else ""), odd))
    return tuple(_noted(parts))


def _is_placed(position: object, row: object) -> bool:
    return position is not None and row is not None


def _spatial(uid: str, bundle: Bundle) -> list[Part]:
    """Return the parts of planes that could be one stack."""
    places = places_of(bundle.planes)
    blocks = places.blocks
    if (count := int(blocks[-1]) + 1) > _MOST_BLOCKS:
        why = (
            f"Its {places.count} slices lie in {count} groups, each more than {FAR_STEPS} usual steps from the next; "
            "they do not form one volume"
        )
        return [_refused(uid, bundle, why)]
    if count > 1:
        said = replace(bundle, assumed=(*bundle.assumed, _blocks_words(places)))
        apart = divide(said, "block", [int(blocks[k]) for k in places.of], lambda _, k: f"block {k}")
        return [part for one in apart for part in _spatial(uid, one)]
    if places.count < len(bundle.planes):
        kinds = [image_type(p) for p in bundle.planes]
        if len(set(kinds)) > 1 and _overlapping(kinds, places):
            common = set.intersection(*(set(kind) for kind in kinds))

            def words(key: Hashable, number: int) -> str:
                own = [str(k).lower() for k in key if k not in common] if isinstance(key, tuple) else []
                return " ".join(own) or f"type {number}"

            return [part for one in divide(bundle, "type", kinds, words) for part in _spatial(uid, one)]
    if places.shifted:
        why = (
            f"{places.shifted} of its {len(bundle.planes)} slices lie beside others at the same depth; they do not "
            "form one volume"
        )
        return [_refused(uid, bundle, why)]
    try:
        return [_part(uid, bundle, places, one) for one in arrange(bundle.planes, places.of)]
    except GeometryError as error:
        return [_refused(uid, bundle, str(error))]


def _blocks_words(places: Places) -> str:
    """Return what is said of slices that lie in blocks far apart."""
    depths, ends = places.depths_mm, np.flatnonzero(np.diff(places.blocks))
    k = int(ends[0])
    return (
        f"The series holds {len(ends) + 1} blocks of slices, {depths[k + 1] - depths[k]:.2f} mm apart (between "
        f"{depths[k]:.2f} and {depths[k + 1]:.2f} mm), where {float(np.median(np.diff(depths))):.2f} mm is usual; they "
        "are listed apart, and nothing between them is filled in."
    )


def _overlapping(kinds: Sequence[tuple[str, ...]], places: Places) -> bool:
    """Return True if planes of different image types share a place."""
    at: dict[int, tuple[str, ...]] = {}
    return any(at.setdefault(int(k), kind) != kind for k, kind in zip(places.of, kinds, strict=True))


def _part(uid: str, bundle: Bundle, places: Places, one: Arrangement) -> Part:
    first = one.times[0][0]
    chosen = places if len(one.places) == places.count else _only(places, one)
    grid = grid_of(first, chosen)
    timing = timing_of(one.times, one.axis) if one.axis is not None else Timing()
    stored = first.header.stored
    rows, columns = (stored.rows, stored.columns) if stored else (1, 1)
    rows, columns = first.frame.tile[2:] if first.frame.tile else (rows, columns)
    many, colour = len(one.times) > 1, is_colour(first)
    axes: Axes = ("tzyxc" if colour else "tzyx") if many else ("zyxc" if colour else "zyx")
    shape = (*((len(one.times),) if many else ()), len(one.places), rows, columns, *((3,) if colour else ()))
    report = Report(
        (*_stack_words(one, places, grid.geometry), *bundle.found, *one.found, *timing.found, *grid.report.found),
        tuple(
            dict.fromkeys((*bundle.assumed, *_mixed_words(one), *one.assumed, *timing.assumed, *grid.report.assumed))
        ),
        (*one.refused, *grid.report.refused),
        "duplicates" if one.duplicates else grid.report.asks,
    )
    opens = bool(report.asks) or not report.refused
    everything = [p for t in one.times for p in t] + [p for _, _, p in one.duplicates] + list(one.copies)
    return Part(
        uid + bundle.suffix + one.suffix,
        title_of(first.header, (*bundle.words, *one.words)),
        one.times if opens else (),
        axes if opens else "zyx",
        shape if opens else (),
        grid.geometry,
        grid.affine_lps,
        grid.positions_mm,
        timing.values if opens else (),
        timing.unit if opens else "",
        timing.name if opens else "",
        one.duplicates,
        report,
        _files(everything),
    )


def _stack_words(one: Arrangement, places: Places, geometry: Geometry | None) -> tuple[str, ...]:
    """Return what a reader is told of a stack: its slices, their direction and step, and a rescale that changes."""
    found = []
    if len(one.places) > 1:
        axis = int(np.abs(places.normal).argmax())
        tilt = float(np.degrees(np.arccos(min(1.0, abs(float(places.normal[axis]))))))
        way = ("sagittal", "coronal", "axial")[axis]
        step = f", {geometry.spacing_mm[0]:.4g} mm apart" if geometry is not None else ""
        thick = one.times[0][0].frame.thickness_mm
        if geometry is not None and thick and abs(thick - geometry.spacing_mm[0]) > _THICKER * thick:
            step += f", {thick:.4g} mm thick"
        found.append(f"{len(one.places)} {way} slices{step}{f', {tilt:.0f}° oblique' if tilt >= 1 else ''}.")
    scales = {(p.frame.slope, p.frame.intercept) for t in one.times for p in t}
    if len(scales) > 1:
        slopes = sorted(s for s, _ in scales)
        found.append(f"The rescale differs between slices (slope {slopes[0]:g} to {slopes[-1]:g}); each has its own.")
    return tuple(found)


def _mixed_words(one: Arrangement) -> tuple[str, ...]:
    """Return what is said of slices in one stack that were not made alike."""
    found = []
    planes = [p for t in one.times for p in t]
    kernels = sorted({str(p.frame.moment[_KERNEL]) for p in planes if _KERNEL in p.frame.moment})
    if len(kernels) > 1:
        found.append(f"Its slices were reconstructed with different kernels: {', '.join(kernels[:3])}.")
    thick = sorted({p.frame.thickness_mm for p in planes if p.frame.thickness_mm})
    if len(thick) > 1 and thick[-1] - thick[0] > _THICKER * thick[-1]:
        found.append(f"Its slices differ in thickness: {thick[0]:.4g} to {thick[-1]:.4g} mm.")
    for key, word in _ALIKE:
        for time in one.times:
            values = {f"{value:.3g}" for p in time if isinstance(value := p.frame.moment.get(key), (int, float))}
            if len(values) > 1:
                found.append(f"Slices of one volume differ in {word}: {', '.join(sorted(values, key=float)[:4])}.")
                break
    return tuple(found)


def _only(places: Places, one: Arrangement) -> Places:
    """Return the places of one arrangement, with the points of its own planes."""
    chosen = list(one.places)
    points = np.array([p.frame.position for p in one.times[0]], dtype=np.float64)
    return Places(places.of, places.depths_mm[chosen], points, places.row, places.column, places.normal)


def _refused(uid: str, bundle: Bundle, why: str) -> Part:
    return Part(
        uid + bundle.suffix, title_of(bundle.planes[0].header, bundle.words),
        report=Report(bundle.found, bundle.assumed, (why,)), files=_files(bundle.planes),
    )  # fmt: skip


def _files(planes: Iterable[Plane]) -> tuple[Path, ...]:
    return tuple(sorted({p.header.path for p in planes}))


def _noted(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with what their headers had to say, and what must be known of the series as a whole."""
    found = []
    shown = [p.header for part in parts for t in part.planes for p in t]
    persons = {h.person_key for h in shown}
    studies, own = {h.study_uid for h in shown} - {""}, one_study_each(shown)
    for part in parts:
        headers = {id(p.header): p.header for t in part.planes for p in t}.values()
        notes = list(dict.fromkeys(note for h in headers for note in h.notes))
        if len(persons) > 1:
            notes.append(f"This series holds images of {len(persons)} patients; they are listed apart.")
        if own:
            notes.append("Each file of this series names a study of its own; they are taken as one.")
        elif len(studies) > 1:
            notes.append(f"This series holds images of {len(studies)} studies; they are listed apart.")
        found.append(_with(part, tuple(notes)))
    return found


def _with(part: Part, notes: tuple[str, ...]) -> Part:
    if not notes:
        return part
    report = replace(part.report, assumed=tuple(dict.fromkeys((*part.report.assumed, *notes))))
    return replace(part, report=report)
