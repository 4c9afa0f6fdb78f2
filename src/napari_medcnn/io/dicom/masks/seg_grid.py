"""The grid that the frames of a segmentation stand on: by their positions, never by their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_medcnn.core.geometry import Array, Float, Geometry
from napari_medcnn.core.placing import PLACE_TOLERANCE
from napari_medcnn.errors import GeometryError, InputError, UnsupportedError
from napari_medcnn.io.dicom.masks.seg_facts import SegFrame, Segmentation
from napari_medcnn.io.found import shown

#: Largest deviation of a frame from its place on the grid, as a share of the distance of planes and, sideways, of a
#: pixel: files round positions, to 0.01 mm at best.
_ALONG, _ASIDE = 0.05, 0.05
#: A stated distance of planes may be rounded by so much of itself.
_STATED = 0.01
_TURN = 1e-3
_MAX_PLANES = 65536


@dataclass(frozen=True)
class Placed:
    """A grid, the plane of each frame in it (one number for each frame, in their order), and what was assumed."""

    geometry: Geometry
    planes: tuple[int, ...]
    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def placed(seg: Segmentation, reference: Geometry | None = None) -> Placed:
    """Return the smallest even grid that holds every frame at its position.

    Planes rise along the normal (row x column).  Their distance is the first of these that puts every frame on a
    plane: that of `reference` along the same normal (unless the file states another), SpacingBetweenSlices, the
    smallest distance of two frames, SliceThickness.  Planes without a frame are background.

    Raises
    ------
    UnsupportedError
        The frames lie on a microscope slide.
    GeometryError
        The frames lie in different directions, are shifted sideways, or at distances that no even grid holds.
    InputError
        Some frames state a position and some do not.
    """
    name = shown(seg.header.path)
    if seg.slide:
        raise UnsupportedError(
            f"{name}: a segmentation of a microscope slide (tiles on a slide, not planes in a patient); slides are not "
            "read, QuPath reads them"
        )
    stated = [f.position is not None and f.row is not None for f in seg.frames]
    if not any(stated):
        return _unplaced(name, seg)
    if not all(stated):
        raise InputError(
            f"{name}: {stated.count(False)} of {len(stated)} frames state no position or orientation in the patient, "
            "so where they belong is not known"
        )
    return _in_patient(name, seg, reference)


def _unplaced(name: str, seg: Segmentation) -> Placed:
    """Rows by columns, for the mask of a picture: one frame for each segment."""
    named = [f.segment for f in seg.frames]
    if len(named) != len(set(named)):
        raise GeometryError(
            f"{name}: {len(named)} frames without a position in the patient; only one frame for each segment can be "
            "told apart without one"
        )
    note = "The frames state no position in the patient: opened as a picture, left and right are not stated."
    return Placed(Geometry.picture(seg.rows, seg.columns), (0,) * len(named), (), (note,))


def _in_patient(name: str, seg: Segmentation, reference: Geometry | None) -> Placed:
    first = seg.frames[0]
    row, column = np.array(first.row), np.array(first.column)
    normal = np.cross(row, column)
    positions = np.array([f.position for f in seg.frames], dtype=np.float64)
    if np.abs(positions).max() > 1e7:
        raise GeometryError(
            f"{name}: a frame lies {np.abs(positions).max():.3g} mm from the origin; that is no patient"
        )
    pixel = _one_pixel_size(name, seg)
    for f in seg.frames:
        turn = max(float(np.abs(np.array(f.row) - row).max()), float(np.abs(np.array(f.column) - column).max()))
        if turn > _TURN:
            raise GeometryError(
                f"{name}: its frames lie in different directions (frames 1 and {f.index + 1}); one grid cannot hold "
                "them, so it is not opened"
            )
    along = positions @ normal
    lowest = int(along.argmin())
    aside = (positions - positions[lowest]) @ np.column_stack([row, column])
    size = (pixel[1], pixel[0]) if pixel else (1.0, 1.0)
    if np.any(np.abs(aside) > np.array(size) * _ASIDE):
        worst = int(np.abs(aside).max(axis=1).argmax())
        raise GeometryError(
            f"{name}: its frames do not lie straight above each other (frame {worst + 1} is shifted sideways by "
            f"{np.abs(aside[worst]).max():.3g} mm): a tilted or tiled stack, which one grid cannot hold; "
            "it is not opened"
        )
    above = along - along[lowest]
    step, planes, assumed = _step(name, seg.frames, above, _reference_step(reference, normal))
    depth = max(planes) + 1
    known = pixel is not None and step is not None
    if pixel is None:
        assumed = (*assumed, "The frames state no pixel spacing: sizes in mm are not known.")
    direction = np.column_stack([row, column, normal])
    x, y, z = (float(v) for v in positions[lowest])
    spacing = (step or 1.0, *size[::-1])
    grid = Geometry((depth, seg.rows, seg.columns), spacing, (x, y, z), direction, spacing_known=known)
    held = len(set(planes))
    found = (f"{held} of {depth} planes are stored; the others are background.",) if held < depth else ()
    return Placed(grid, planes, found, assumed)


def _one_pixel_size(name: str, seg: Segmentation) -> tuple[float, float] | None:
    sizes = {f.pixel_mm for f in seg.frames}
    first = seg.frames[0].pixel_mm
    for size in sizes:
        if (size is None) != (first is None) or (size and first and not np.allclose(size, first, rtol=1e-4)):
            raise GeometryError(f"{name}: its frames have pixels of different sizes; one grid cannot hold them")
    return first


def _reference_step(reference: Geometry | None, normal: Float) -> float | None:
    """Return the distance of the reference's planes along `normal`, None if none of its axes runs along it."""
    if reference is None or not (reference.spacing_known and reference.orientation_known):
        return None
    cosines = np.abs(normal @ reference.direction)
    column = int(cosines.argmax())
    return reference.spacing_mm[2 - column] if cosines[column] > 1 - _TURN else None


def _step(
    name: str, frames: tuple[SegFrame, ...], above: Float, known: float | None
) -> tuple[float | None, tuple[int, ...], tuple[str, ...]]:
    """Return the distance of planes (None: one plane of unknown thickness), each frame's plane, what was assumed."""
    stated = next((f.between_mm for f in frames if f.between_mm), None)
    thick = next((f.thickness_mm for f in frames if f.thickness_mm), None)
    order = np.argsort(above, kind="stable")
    gaps = np.diff(above[order])
    wide = gaps[gaps > 1e-3 * (known or stated or thick or 1.0)]  # what is less is one plane, rounded differently
    if not len(wide):
        step = known or stated or thick
        note = () if step else ("The file does not state how thick its one plane is: sizes in mm are not known.",)
        return step, (0,) * len(frames), note
    if known and stated and abs(known - stated) > _ALONG * stated:
        known = None  # planes of another distance than the scan's would lie in it like stripes
    for candidate in (known, stated, float(wide.min()), thick):
        fitted = _fitted(above, order, gaps, candidate) if candidate else None
        if fitted is None:
            continue
        step, planes = fitted
        note = ()
        if stated and abs(step - stated) > _ALONG * stated:
            note = (
                f"The file states {stated:g} mm between planes, its frames lie on planes {step:.4g} mm apart; the "
                "positions were taken.",
            )
        return step, planes, note
    raise GeometryError(
        f"{name}: the distances of its planes ({wide.min():.4g} to {wide.max():.4g} mm) are no multiples of one "
        "distance, so no even grid holds them; it is not opened"
    )


def _fitted(above: Float, order: Array, gaps: Float, step: float) -> tuple[float, tuple[int, ...]] | None:
    """Return the distance near `step` that puts every frame on a plane, and the planes; None if none does.

    Whole steps are counted from frame to frame, so that the rounding of a stated step does not add up.
    """
    if float(above.max()) / step > _MAX_PLANES:
        return None
    places = np.zeros(len(above))
    places[order[1:]] = np.cumsum(np.rint(gaps / step))
    if places.max() == 0:
        return None
    best = float(places @ above / (places @ places))
    if abs(best - step) > _STATED * step or np.abs(above - places * best).max() > _ALONG * best:
        return None
    if np.abs(above - places * step).max() <= PLACE_TOLERANCE * step:
        best = step
    return best, tuple(int(k) for k in places)
