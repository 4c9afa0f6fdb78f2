"""The series gate: from headers to what opens as one image, every plane accounted for, nothing guessed.

Order: planes of one patient, size, kind and orientation (`split`), their places along the normal (`places`), what
repeats a place (`moments`, `timing`), and the grid (`stack_grid`).  What has no place is a picture or a film.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Axes
from napari_medcnn.io.dicom.arrangement import Arrangement
from napari_medcnn.io.dicom.facts import Header, Part, Plane
from napari_medcnn.io.dicom.kinds import PROJECTIONS, SLIDE
from napari_medcnn.io.dicom.moments import arrange
from napari_medcnn.io.dicom.places import Places, places_of
from napari_medcnn.io.dicom.split import Bundle, bundles_of, divide, image_type, is_colour
from napari_medcnn.io.dicom.stack_grid import flat_geometry, grid_of, spacing_words
from napari_medcnn.io.dicom.timing import Timing, cine_of, timing_of

_THICKER = 0.02  # share by which slices may be thicker or thinner than their step before it is said
_CENTIMETRES = 3  # code of the physical unit of an ultrasound region (PS3.3 C.8.5.5.1.15)
_CROSS_SECTIONS = ("CT", "MR", "PT", "RTDOSE")


def group(headers: Iterable[Header]) -> dict[str, list[Header]]:
    """Return headers by series UID; a file without one stands alone under "file-" and a hash of its name."""
    found: dict[str, list[Header]] = {}
    for header in headers:
        uid = header.series_uid or "file-" + hashlib.sha256(header.path.name.encode()).hexdigest()[:12]
        found.setdefault(uid, []).append(header)
    return found


def title_of(header: Header, words: Sequence[str] = ()) -> str:
    """Return "CT 5, Thorax 1 mm": modality, series number, description; never a patient's name or number."""
    head = " ".join(part for part in (header.modality or "DICOM", header.series_number) if part)
    return ", ".join(part for part in (head, header.description, *words) if part)


def sort_series(headers: Sequence[Header]) -> tuple[Part, ...]:
    """Return what opens of one series.

    Parameters
    ----------
    headers
        Of kind "image" and of one series UID, in any order; others are ignored.

    Returns
    -------
    One or several parts in a stable order; () for no image.  Every file is in `Part.files` of a part, every frame in
    its planes or duplicates, in a part that is refused, or named in what it assumed (equal copies).
    """
    images = [h for h in headers if h.kind == "image" and h.stored is not None and h.frames]
    if not images:
        return ()
    uid = next(iter(group(images[:1])))
    placed: list[Header] = []
    flat: list[Header] = []
    sheets: list[Header] = []
    for header in images:
        if "Mosaic" in header.values:
            sheets.append(header)
            continue
        spatial = header.sop_class not in PROJECTIONS and all(_is_placed(f.position, f.row) for f in header.frames)
        (placed if spatial and not _is_slide(header) else flat).append(header)
    parts: list[Part] = []
    for bundle in bundles_of([Plane(h, f) for h in placed for f in h.frames]):
        parts.extend(_spatial(uid, bundle))
    parts.extend(_flat(uid, flat, others=len(placed)))
    if sheets:
        parts.append(_sheets(uid + (":mosaic" if parts else ""), sheets))
    return tuple(_noted(parts))


def _sheets(part_id: str, headers: Sequence[Header]) -> Part:
    why = (
        f"It is a Siemens mosaic (many slices on one sheet), and {headers[0].values['Mosaic']}; export it again "
        "without removing private elements, or convert it with dcm2niix"
    )
    return Part(
        part_id, title_of(headers[0]), report=Report(refused=(why,)), files=tuple(sorted(h.path for h in headers))
    )


def _is_placed(position: object, row: object) -> bool:
    return position is not None and row is not None


def _is_slide(header: Header) -> bool:
    return header.sop_class == SLIDE


def _spatial(uid: str, bundle: Bundle) -> list[Part]:
    """Return the parts of planes that could be one stack."""
    places = places_of(bundle.planes)
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
    return [_part(uid, bundle, places, one) for one in arrange(bundle.planes, places.of)]


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
        tuple(dict.fromkeys((*bundle.assumed, *one.assumed, *timing.assumed, *grid.report.assumed))),
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


def _flat(uid: str, headers: Sequence[Header], others: int) -> list[Part]:
    """Return the parts of files whose frames have no place in space: pictures, films, and slices that lost theirs."""
    if not headers:
        return []
    ordered = sorted(headers, key=lambda h: (h.frames[0].instance, str(h.path)))
    lost = [h for h in ordered if h.modality in _CROSS_SECTIONS and h.sop_class not in PROJECTIONS]
    ranked = [h for h in lost if "SliceLocation" in h.frames[0].moment]
    parts = []
    if len(ranked) > 1:
        parts.append(_unplaced(uid, ranked, others))
        ordered = [h for h in ordered if h not in ranked]
    taken, total = others + len(parts), len(headers) + others
    numbered = len({h.frames[0].instance for h in ordered}) == len(ordered)
    for k, header in enumerate(ordered):
        suffix = f":image-{k + 1}" if taken or k else ""
        alone = f"The file does not say where its slice lies; it is listed apart from the other {total - 1}."
        said = (alone,) if total > 1 and any(header is h for h in lost) else ()
        name = f"image {header.frames[0].instance if numbered else k + 1}"
        parts.append(_picture(uid + suffix, header, said, name if len(ordered) + taken > 1 else ""))
    return parts


def _unplaced(uid: str, headers: Sequence[Header], others: int) -> Part:
    why = (
        f"{len(headers)} of its {len(headers) + others} files do not say where their slices lie (no position and "
        "orientation; a slice location alone does not place a slice); open one file on its own"
    )
    return Part(
        uid + (":unplaced" if others else ""),
        title_of(headers[0], ("without positions",) if others else ()),
        report=Report(refused=(why,)),
        files=tuple(sorted(h.path for h in headers)),
    )


def _picture(part_id: str, header: Header, assumed: tuple[str, ...], name: str) -> Part:
    """Return one file whose frames lie nowhere: a picture, or a film with a t axis."""
    planes = [Plane(header, frame) for frame in header.frames]
    count, first = len(planes), planes[0]
    view = str(header.values.get("ViewPosition", ""))
    words = [w for w in (header.laterality, view, name) if w]
    title, files = title_of(header, words), (header.path,)
    if _is_slide(header) and count > 1:
        why = f"The {count} frames are tiles of a microscope slide; slides are not read. Open them with a slide viewer"
        return Part(part_id, title, report=Report(refused=(why,)), files=files)
    timing = cine_of(header, count) if count > 1 else Timing()
    geometry, colour = flat_geometry(first), is_colour(first)
    axes: Axes = ("tzyxc" if colour else "tzyx") if count > 1 else ("zyxc" if colour else "zyx")
    shape = (*((count,) if count > 1 else ()), *geometry.shape, *((3,) if colour else ()))
    report = Report((*timing.found, *_seen_from(header)), (*assumed, *spacing_words(first, one=True), *timing.assumed))
    return Part(
        part_id, title, tuple((plane,) for plane in planes), axes, shape, geometry,
        frame_values=timing.values, frame_unit=timing.unit, frame_name=timing.name, report=report, files=files,
    )  # fmt: skip


def _seen_from(header: Header) -> tuple[str, ...]:
    """Return where rows and columns run to, and what an ultrasound image says of the size of its pixels."""
    found = []
    if len(header.patient_orientation) > 1:
        rows, columns = header.patient_orientation[:2]
        found.append(f"Rows run to {rows or '?'}, columns to {columns or '?'} of the patient.")
    for region in header.values.get("UltrasoundRegions", ())[:1]:
        in_cm = region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == _CENTIMETRES
        x, y = region.get("PhysicalDeltaX", 0.0), region.get("PhysicalDeltaY", 0.0)
        if in_cm and x and y:
            found.append(
                f"A region of this ultrasound image is calibrated: {abs(y) * 10:.3g} x {abs(x) * 10:.3g} mm per pixel; "
                "the rest is not, so lengths in mm are off."
            )
    return tuple(found)


def _noted(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with what their headers had to say, and what must be known of the series as a whole."""
    found = []
    persons = {p.header.person_key for part in parts for t in part.planes for p in t}
    for part in parts:
        headers = {id(p.header): p.header for t in part.planes for p in t}.values()
        notes = list(dict.fromkeys(note for h in headers for note in h.notes))
        if len(persons) > 1:
            notes.append(f"This series holds images of {len(persons)} patients; they are listed apart.")
        found.append(_with(part, tuple(notes)))
    return found


def _with(part: Part, notes: tuple[str, ...]) -> Part:
    if not notes:
        return part
    report = replace(part.report, assumed=tuple(dict.fromkeys((*part.report.assumed, *notes))))
    return replace(part, report=report)
