"""From the places of slices to one grid, or a refusal in words that says where and why: never a guess.

Tolerances: a gap may differ from the median by 1 % (highdicom's rule) or 0.011 mm (headers rounded to two digits),
whichever is larger, as long as small differences do not add up to a tenth of a step; slices may slide by a tenth of a
pixel before a stack counts as tilted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Float, Geometry
from napari_medcnn.io.dicom.facts import Header, Plane
from napari_medcnn.io.dicom.sorting.places import SHIFT_PIXELS, Places, rounded_mm

_RELATIVE_GAP = 0.01
_OFF_STEPS = 0.1
_TILT_DEG = 0.1
_SHOWN = 3  # places named one by one
#: What a refusal ends with: what resampling would do.  After consent it is done, and said without this.
_STRAIGHTENS, _EVENS = "; resampling brings them onto a straight grid", "; resampling evens it out"
_FILLS = ". Get the missing files, or resample to fill in evenly"


@dataclass(frozen=True, eq=False)
class Grid:
    """The grid of a stack; `geometry` is None where only consent makes one, or nothing does (`report.asks` empty)."""

    geometry: Geometry | None
    affine_lps: Float | None = None
    positions_mm: Float | None = None
    report: Report = Report()


def grid_of(first: Plane, places: Places) -> Grid:
    """Return the grid of slices that lie at `places`; `first` is the plane at the first of them."""
    words = spacing_words(first, one=places.count == 1)
    if places.count == 1:
        return _single(first, words)
    depths, points = places.depths_mm, places.points
    gaps = np.diff(depths)
    typical = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - typical) > max(_RELATIVE_GAP * typical, rounded_mm(typical)))
    step = typical if len(uneven) else float((depths[-1] - depths[0]) / (places.count - 1))
    off = np.abs(depths - (depths[0] + step * np.arange(places.count)))
    adds_up = not len(uneven) and off.max() > max(_OFF_STEPS * step, rounded_mm(step))
    y, x = first.frame.pixel_mm or (1.0, 1.0)
    allowed = max(SHIFT_PIXELS * min(y, x), rounded_mm(min(y, x)))
    drift = (points - points[0]) @ np.column_stack([places.row, places.column])
    line = np.outer(depths - depths[0], drift[-1] / (depths[-1] - depths[0]))
    if np.abs(drift - line).max() > allowed:
        return Grid(None, report=Report((), words, (_slid(drift, line),)))
    found, refused = [], []
    affine = None
    slide = float(np.linalg.norm(drift[-1]))
    tilt = float(np.degrees(np.arctan2(slide, depths[-1] - depths[0])))
    if slide > allowed and tilt <= _TILT_DEG:
        words = (*words, _leans(slide, tilt))
    elif slide > allowed:
        found.append(f"The gantry was tilted by {tilt:.1f}°{_stated(first.header)}.")
        refused.append(
            f"The gantry was tilted by {tilt:.1f}°, so the slices do not stand at right angles to the stack"
            + _STRAIGHTENS
        )
        affine = np.eye(4)
        through = (points[-1] - points[0]) / (depths[-1] - depths[0]) * step
        affine[:3, :3] = np.column_stack([places.row * x, places.column * y, through])
        affine[:3, 3] = points[0]
    if len(uneven):
        refused.append(_where(uneven, gaps, depths, typical))
    if adds_up:
        refused.append(_adding_up(off, gaps, step))
    if refused:
        positions = depths - depths[0] if len(uneven) or adds_up else None
        return Grid(None, affine, positions, Report(tuple(found), words, tuple(refused), "resample"))
    return Grid(_geometry(first, places, step), report=Report(tuple(found), words))


def _geometry(first: Plane, places: Places, step: float) -> Geometry:
    stored = first.header.stored
    rows, columns = (stored.rows, stored.columns) if stored else (1, 1)
    if first.frame.tile is not None:
        rows, columns = first.frame.tile[2:]
    y, x = first.frame.pixel_mm or (1.0, 1.0)
    point = places.points[0]
    return Geometry(
        (places.count, rows, columns),
        (step, y, x),
        (float(point[0]), float(point[1]), float(point[2])),
        np.column_stack([places.row, places.column, places.normal]),
        spacing_known=first.frame.pixel_mm is not None,
    )


def _single(first: Plane, words: tuple[str, ...]) -> Grid:
    return Grid(flat_geometry(first), report=Report((), words))


def flat_geometry(plane: Plane) -> Geometry:
    """Return the grid of one plane: its depth is the stated thickness, and the spacing is unknown without one."""
    frame, stored = plane.frame, plane.header.stored
    rows, columns = (stored.rows, stored.columns) if stored else (1, 1)
    if frame.tile is not None:
        rows, columns = frame.tile[2:]
    y, x = frame.pixel_mm or (1.0, 1.0)
    depth = frame.thickness_mm or abs(frame.between_mm or 0.0)
    known = frame.pixel_mm is not None and depth > 0
    shape, spacing = (1, rows, columns), (depth or 1.0, y, x)
    if frame.position is None or frame.row is None or frame.column is None:
        return Geometry(shape, spacing, spacing_known=known, orientation_known=False)
    turn = np.column_stack([frame.row, frame.column, np.cross(frame.row, frame.column)])
    return Geometry(shape, spacing, frame.position, turn, spacing_known=known)


def spacing_words(plane: Plane, one: bool = False) -> tuple[str, ...]:
    """Return what is to be said of a pixel spacing that is not stated; `one`: of a single plane, also of its depth."""
    frame, detector = plane.frame, plane.header.detector_mm
    if frame.pixel_mm is None and detector is not None:
        return (
            f"The file states only the detector's pixel spacing ({detector[0]:g} x {detector[1]:g} mm at detector), "
            "not the patient's; lengths in mm are not given.",
        )
    if frame.pixel_mm is None:
        return ("The file does not state a pixel spacing; lengths and volumes in mm are not given.",)
    if one and not frame.thickness_mm and not frame.between_mm:
        y, x = frame.pixel_mm
        return (f"Pixel spacing {y:g} x {x:g} mm; no slice thickness, so volumes are not given.",)
    return ()


def _stated(header: Header) -> str:
    stated = header.values.get("GantryDetectorTilt")
    return f" (the file states {stated:g}°)" if isinstance(stated, (int, float)) and stated else ""


def _slid(drift: Float, line: Float) -> str:
    off = np.abs(drift - line).max(axis=1)
    worst = int(off.argmax())
    return (
        f"Its slices are shifted against each other (slice {worst + 1} by {off[worst]:.2f} mm in its plane); they do "
        "not form one volume"
    )


def _leans(slide: float, tilt: float) -> str:
    return (
        f"From the first slice to the last the positions slide by {slide:.2f} mm in the plane ({tilt:.2f}°), as with "
        "rounded directions; the slices are shown as standing straight above each other."
    )


def _adding_up(off: Float, gaps: Float, step: float) -> str:
    """Return where slices lie beside an even step though no gap stands out."""
    worst = int(off.argmax())
    return (
        f"The step between slices changes little by little ({gaps.min():.4g} to {gaps.max():.4g} mm): slice "
        f"{worst + 1} lies {off[worst]:.2f} mm from where an even step of {step:.4g} mm has it{_EVENS}"
    )


def _where(uneven: np.ndarray, gaps: Float, depths: Float, typical: float) -> str:
    """Return where gaps are uneven, and how many slices that would be."""
    told = [
        f"{gaps[k]:.2f} mm between slices {k + 1} and {k + 2} (at {depths[k]:.2f} and {depths[k + 1]:.2f} mm)"
        for k in uneven[:_SHOWN]
    ]
    more = f", and {len(uneven) - _SHOWN} more places" if len(uneven) > _SHOWN else ""
    steps = gaps[uneven] / typical
    whole = np.all((np.abs(steps - np.rint(steps)) <= 0.02) & (steps > 1.5))
    lost = int(np.rint(steps).sum()) - len(uneven)
    seems = f"{_number(lost)} missing" if whole else "a slice may be missing, or the scan changed its step"
    return f"Uneven gaps: {'; '.join(told)}{more}, where {typical:.2f} mm is usual: {seems}{_FILLS}"


def without_advice(refusal: str) -> str:
    """Return a refusal as a fact, for the note on what was resampled all the same."""
    for advice in (_STRAIGHTENS, _EVENS, _FILLS):
        refusal = refusal.removesuffix(advice)
    return refusal


def _number(lost: int) -> str:
    return "one slice seems to be" if lost == 1 else f"{lost} slices seem to be"
