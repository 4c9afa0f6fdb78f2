"""From the slices of one DICOM series to one grid, or a refusal in words: never a guess.

Positions are compared along the normal of the slices (DICOM PS3.3 C.7.6.2.1.1).  Tolerances: a gap may differ from
the median by 1 % (highdicom's rule) or 0.011 mm (headers rounded to two digits), whichever is larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medcnn.core.geometry import Float, Geometry
from napari_medcnn.errors import GeometryError, InputError, UnsupportedError
from napari_medcnn.io.dicom.header import Slice

_RELATIVE_GAP = 0.01
_ROUNDED_MM = 0.011
_TILT_DEG = 0.1
_SHIFT_PIXELS = 0.1


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in rising order along the normal, and their grid.

    `affine_lps` is set for a sheared (tilted) stack, `positions_mm` for an uneven one: such a stack has a
    `refusal` and is only built with resampling.
    """

    slices: tuple[Slice, ...]
    geometry: Geometry | None
    notes: tuple[str, ...] = ()
    refusal: str = ""
    affine_lps: Float | None = None
    positions_mm: Float | None = None


def build_stack(name: str, slices: list[Slice]) -> Stack:
    """Return the stack of one series; `name` stands in messages.

    Raises
    ------
    UnsupportedError
        Multi-frame, mosaic, segmentation, mixed sizes or orientations, several images at one place.
    GeometryError
        Slices without a position.
    """
    first = slices[0]
    _refuse_kinds(name, slices)
    notes = [note for s in slices[:1] for note in s.notes]
    if len(slices) == 1:
        return Stack((first,), _single(first, notes), tuple(notes))
    _refuse_mixtures(name, slices)
    if any(s.position is None or s.directions is None for s in slices):
        raise GeometryError(
            f"{name}: not every one of its {len(slices)} files says where its slice lies; open one file on its own"
        )
    row, column, normal = _frame(first)
    places = np.array([s.position for s in slices])
    depths = places @ normal
    order = np.argsort(depths, kind="stable")
    slices, places, depths = [slices[k] for k in order], places[order], depths[order]
    gaps = np.diff(depths)
    step = float((depths[-1] - depths[0]) / (len(slices) - 1))
    typical = float(np.median(gaps))
    same = np.flatnonzero(gaps <= max(1e-3, 0.01 * typical))
    if len(same):
        raise _same_place(name, slices, same, depths)
    pixel = first.pixel_mm
    if pixel is None:
        notes.append(_no_spacing(first))
    y, x = pixel or (1.0, 1.0)
    uneven = np.flatnonzero(np.abs(gaps - typical) > max(_RELATIVE_GAP * typical, _ROUNDED_MM))
    if len(uneven):
        step = typical
    origin = (float(places[0][0]), float(places[0][1]), float(places[0][2]))
    shape = (len(slices), first.rows, first.columns)
    refusal, affine = "", None
    drift = (places - places[0]) @ np.column_stack([row, column])  # how slices slide in their own plane
    line = np.outer(depths - depths[0], drift[-1] / (depths[-1] - depths[0]))
    tilt = float(np.degrees(np.arctan2(np.linalg.norm(drift[-1]), depths[-1] - depths[0])))
    if np.abs(drift - line).max() > max(_SHIFT_PIXELS * min(y, x), _ROUNDED_MM):
        raise UnsupportedError(f"{name}: its slices are shifted against each other; they do not form one volume")
    if tilt > _TILT_DEG and np.linalg.norm(drift[-1]) > max(_SHIFT_PIXELS * min(y, x), _ROUNDED_MM):
        refusal = (
            f"{name}: the gantry was tilted by {tilt:.1f}°, so its slices do not stand at right angles to the stack; "
            "open it with 'resample' to bring it onto a straight grid"
        )
        affine = np.eye(4)
        through = (places[-1] - places[0]) / (depths[-1] - depths[0]) * step
        affine[:3, :3] = np.column_stack([row * x, column * y, through])
        affine[:3, 3] = origin
    if len(uneven):
        words = _where(uneven, gaps, depths, typical)
        return Stack(
            tuple(slices), None, tuple(notes),
            refusal or f"{name}: {words}; a slice may be missing. Get the missing files, or open it with 'resample' "
            "to fill in evenly", affine, depths - depths[0],
        )  # fmt: skip
    if refusal:
        return Stack(tuple(slices), None, tuple(notes), refusal, affine)
    grid = Geometry(
        shape, (step, y, x), origin, np.column_stack([row, column, normal]), spacing_known=pixel is not None
    )
    return Stack(tuple(slices), grid, tuple(notes))


def even_geometry(stack: Stack, count: int, step_mm: float) -> Geometry:
    """Return the grid of an uneven stack after its slices were interpolated to `count` even ones."""
    first = stack.slices[0]
    row, column, normal = _frame(first)
    place = first.position if first.position is not None else np.zeros(3)
    y, x = first.pixel_mm or (1.0, 1.0)
    return Geometry(
        (count, first.rows, first.columns), (step_mm, y, x), (float(place[0]), float(place[1]), float(place[2])),
        np.column_stack([row, column, normal]), spacing_known=first.pixel_mm is not None,
    )  # fmt: skip


def _frame(first: Slice) -> tuple[Float, Float, Float]:
    axes = first.directions if first.directions is not None else np.eye(3)[:2]
    row, column = axes[0], axes[1]
    return row, column, np.cross(row, column)


def _refuse_kinds(name: str, slices: list[Slice]) -> None:
    for s in slices:
        if s.is_segmentation:
            raise UnsupportedError(
                f"{name}: a DICOM segmentation (SEG) is not read yet; export it as .seg.nrrd or NIfTI"
            )
        if s.is_mosaic:
            raise UnsupportedError(
                f"{name}: a Siemens mosaic (many slices in one sheet) is not read; convert it with dcm2niix"
            )
        if s.frames > 1:
            raise UnsupportedError(
                f"{name}: a multi-frame image ({s.frames} frames in one file) is not read yet; convert it with dcm2niix"
            )
        if s.samples not in (1, 3):
            raise UnsupportedError(f"{name}: {s.samples} values per pixel; 1 (grey) and 3 (colour) are read")


def _refuse_mixtures(name: str, slices: list[Slice]) -> None:
    sizes = sorted({(s.rows, s.columns) for s in slices})
    if len(sizes) > 1:
        raise UnsupportedError(
            f"{name}: its images differ in size ({plain_list(sizes)} rows x columns); open one part alone"
        )
    if len({(s.samples, s.photometric) for s in slices}) > 1:
        raise UnsupportedError(f"{name}: it mixes grey and colour images; open one part alone")
    first = slices[0]
    for s in slices:
        if (s.directions is None) != (first.directions is None) or (
            s.directions is not None
            and first.directions is not None
            and float(np.abs(s.directions - first.directions).max()) > 1e-3
        ):
            raise UnsupportedError(
                f"{name}: its images lie in different orientations (a localizer?); open one part alone"
            )
        if (
            s.pixel_mm is not None
            and first.pixel_mm is not None
            and not np.allclose(s.pixel_mm, first.pixel_mm, rtol=1e-4)
        ):
            raise UnsupportedError(f"{name}: its images differ in pixel spacing; open one part alone")
    if len({s.pixel_mm is None for s in slices}) > 1:
        raise UnsupportedError(f"{name}: some of its images state a pixel spacing and some do not; open one part alone")


def plain_list(sizes: list[tuple[int, int]]) -> str:
    """Return up to four sizes as words."""
    return ", ".join(f"{a}x{b}" for a, b in sizes[:4]) + (", ..." if len(sizes) > 4 else "")


def _same_place(name: str, slices: list[Slice], same: np.ndarray, depths: Float) -> InputError:
    """Return the error for images at one place: copies of a slice, or time points, echoes and the like."""
    a, b = slices[int(same[0])], slices[int(same[0]) + 1]
    at = f"{len(same)} of {len(slices)} images repeat the place of another (first at {depths[int(same[0])]:.2f} mm)"
    if a.extra.get("sop") and a.extra.get("sop") == b.extra.get("sop"):
        return GeometryError(f"{name}: {at}: duplicated slices; remove the copies ({_names(a.path, b.path)})")
    differing = sorted({x.split("=")[0] for x in set(a.moment) ^ set(b.moment)})
    how = f", and differ in {', '.join(differing[:3])}" if differing else ""
    return UnsupportedError(
        f"{name}: {at}{how}: time points or echoes (4D, not read from DICOM yet), or copies; convert it with dcm2niix"
    )


def _names(*paths: Path) -> str:
    return ", ".join(p.name[-40:] for p in paths)


def _where(uneven: np.ndarray, gaps: Float, depths: Float, typical: float) -> str:
    k = int(uneven[0])
    more = f", and {len(uneven) - 1} more places" if len(uneven) > 1 else ""
    return (
        f"uneven gaps: {gaps[k]:.2f} mm between slices {k + 1} and {k + 2} (at {depths[k]:.2f} mm), "
        f"where {typical:.2f} mm is usual{more}"
    )


def _no_spacing(s: Slice) -> str:
    if s.imager_mm is not None:
        return (
            f"The file states only the detector's pixel spacing ({s.imager_mm[0]:g} mm), not the patient's; "
            "lengths in mm are off."
        )
    return "The file does not state a pixel spacing; lengths and volumes in mm are off."


def _single(s: Slice, notes: list[str]) -> Geometry:
    """Return the grid of one image; its depth is the stated thickness, unknown without one."""
    known = s.pixel_mm is not None and s.thickness_mm is not None
    if s.pixel_mm is None:
        notes.append(_no_spacing(s))
    elif s.thickness_mm is None:
        notes.append(f"Pixel spacing {s.pixel_mm[0]:g} x {s.pixel_mm[1]:g} mm; no slice thickness, so volumes are off.")
    y, x = s.pixel_mm or (1.0, 1.0)
    spacing = (s.thickness_mm or 1.0, y, x)
    shape = (1, s.rows, s.columns)
    if s.position is None or s.directions is None:
        return Geometry(shape, spacing, spacing_known=known, orientation_known=False)
    row, column, normal = _frame(s)
    origin = (float(s.position[0]), float(s.position[1]), float(s.position[2]))
    return Geometry(shape, spacing, origin, np.column_stack([row, column, normal]), spacing_known=known)
