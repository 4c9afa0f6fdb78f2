"""Files whose frames lie nowhere in space: pictures, films, slices that lost their place, sheets left whole."""

from __future__ import annotations

from collections.abc import Sequence

from napari_medcnn.core.consent import Report
from napari_medcnn.core.volume import Axes
from napari_medcnn.io.dicom.facts import Header, Part, Plane
from napari_medcnn.io.dicom.header.kinds import PROJECTIONS, SLIDE
from napari_medcnn.io.dicom.sorting.split import is_colour
from napari_medcnn.io.dicom.sorting.stack_grid import flat_geometry, spacing_words
from napari_medcnn.io.dicom.sorting.timing import Timing, cine_of

_CENTIMETRES = 3  # code of the physical unit of an ultrasound region (PS3.3 C.8.5.5.1.15)
_CROSS_SECTIONS = ("CT", "MR", "PT", "RTDOSE")


def title_of(header: Header, words: Sequence[str] = ()) -> str:
    """Return "CT 5, Thorax 1 mm": modality, series number, description; never a patient's name or number."""
    head = " ".join(part for part in (header.modality or "DICOM", header.series_number) if part)
    return ", ".join(part for part in (head, header.description, *words) if part)


def flat_parts(uid: str, headers: Sequence[Header], others: int) -> list[Part]:
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
        kind = "unplaced" if others else "image"  # placed images that repeat a place are numbered images, too
        suffix = f":{kind}-{k + 1}" if taken or k else ""
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
    if is_slide(header) and count > 1:
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
                "the rest is not, so lengths in mm are not given."
            )
    return tuple(found)


def sheet_part(part_id: str, headers: Sequence[Header]) -> Part:
    """Return the refusal of mosaics that cannot be taken apart."""
    why = (
        f"It is a Siemens mosaic (many slices on one sheet), and {headers[0].values['Mosaic']}; export it again "
        "without removing private elements, or convert it with dcm2niix"
    )
    return Part(
        part_id, title_of(headers[0]), report=Report(refused=(why,)), files=tuple(sorted(h.path for h in headers))
    )


def odd_part(part_id: str, headers: Sequence[Header]) -> Part:
    """Return the refusal of images with neither one nor three values per pixel."""
    counts = sorted({h.stored.samples for h in headers if h.stored is not None})
    why = f"It has {' or '.join(map(str, counts))} values per pixel; 1 (grey) and 3 (colour) are read"
    files = tuple(sorted(h.path for h in headers))
    return Part(part_id, title_of(headers[0]), report=Report(refused=(why,)), files=files)


def is_slide(header: Header) -> bool:
    """Return True for the tiles of a microscope slide."""
    return header.sop_class == SLIDE
