"""From a part to a volume: planes decoded, straightened and completed as agreed, and everything said of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Preview, Progress
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import ConsentNeededError, GeometryError, UnsupportedError
from napari_medcnn.io.dicom.decode import read_planes
from napari_medcnn.io.dicom.facts import Part, Plane
from napari_medcnn.io.dicom.pixels.fill import filled
from napari_medcnn.io.dicom.pixels.meaning import Meaning, meaning_of
from napari_medcnn.io.dicom.sorting import unnumbered
from napari_medcnn.io.dicom.sorting.stack_grid import without_advice
from napari_medcnn.io.straighten import even_slices, resample_affine, straight_grid

Planes = tuple[tuple[Plane, ...], ...]
_RGB = ("red", "green", "blue")


def read_part(part: Part, consent: Consent = NONE) -> Volume:
    """Return a part as a volume; see `read_part_steps`."""
    steps = read_part_steps(part, consent)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            volume: Volume = end.value
            return volume


def read_part_steps(part: Part, consent: Consent = NONE) -> Generator[Progress | Preview, None, Volume]:
    """Yield a preview of the middle plane, then progress, and return the volume.

    Closing the generator cancels; its threads have ended when `close` returns.

    Parameters
    ----------
    part
        From `gate.sort_series`.
    consent
        Whether a tilted or uneven stack may be resampled, and which of differing images at one place is taken.

    Raises
    ------
    ConsentNeededError
        The part opens only with a consent that was not given; `asks` names it.
    UnsupportedError, GeometryError
        The part does not open at all; the message is its report's.
    IncompleteFileError, InputError
        A file is cut, damaged, has changed, or the memory does not suffice.
    """
    planes, assumed = _agreed(part, consent)
    t, z = len(planes) // 2, len(planes[0]) // 2
    meaning = meaning_of(part, planes)
    planes = meaning.planes
    middle = read_planes(planes[t][z].header, [planes[t][z].frame])[0]
    if len(planes) * len(planes[0]) > 1:
        yield Preview(_volume(part, meaning, middle[np.newaxis], _preview_grid(part, middle, z)))
    array = yield from filled(planes, middle)
    geometry = part.geometry
    if geometry is None:
        yield Progress(None, "Bringing the slices onto a straight, even grid")
        array, geometry = _straightened(part, array)
        assumed = (*assumed, f"Resampled onto a straight, even grid (linear), as agreed: {_facts(part)}.")
    timed = len(planes) > 1 or part.axes.startswith("t")
    return _volume(part, meaning, array if timed else array[0], geometry, assumed)


def read_plane(part: Part, t: int, z: int) -> Array:
    """Return one plane (y, x) or (y, x, 3) as it will be in the volume, for a thumbnail; never resampled.

    Raises
    ------
    UnsupportedError
        The part has no such plane.
    IncompleteFileError, InputError
        Its file is cut, damaged or not readable.
    """
    if not 0 <= t < len(part.planes) or not 0 <= z < len(part.planes[t]):
        raise UnsupportedError(f"{part.title}: it has no picture {z + 1} of time point {t + 1}")
    one = part.planes[t][z]
    return np.asarray(read_planes(one.header, [one.frame])[0])


def _agreed(part: Part, consent: Consent) -> tuple[Planes, tuple[str, ...]]:
    """Return the planes to read and what was decided on the way, or refuse."""
    if not part.planes or not part.planes[0]:
        raise UnsupportedError(f"{part.title}: {_said(part)}")
    if part.duplicates and consent.duplicates == "ask":
        raise ConsentNeededError(
            f"{part.title}: {_said(part)}. Open it with 'duplicates' set to 'first' or 'last' to take one of them",
            "duplicates",
        )
    asks = part.report.asks == unnumbered.ASKS
    if asks and not consent.unnumbered:
        raise ConsentNeededError(f"{part.title}: {_said(part)}", unnumbered.ASKS)
    crooked = part.affine_lps is not None or part.positions_mm is not None
    if part.geometry is None and not crooked:
        raise GeometryError(f"{part.title}: {_said(part)}")
    if part.geometry is None and not consent.resample:
        raise ConsentNeededError(
            f"{part.title}: {_said(part)}. Its values would then be interpolated",
            "resample",
        )
    if part.report.refused and not part.duplicates and part.geometry is not None and not asks:
        raise UnsupportedError(f"{part.title}: {_said(part)}")
    if not part.duplicates:
        return part.planes, (unnumbered.agreed_words(part),) if asks else ()
    words = f"Of {len(part.duplicates) + len({d[:2] for d in part.duplicates})} differing images at "
    words += f"{len({d[:2] for d in part.duplicates})} places the {consent.duplicates} was taken, as agreed."
    if consent.duplicates == "first":
        return part.planes, (words,)
    chosen = [list(slices) for slices in part.planes]
    for t, z, later in part.duplicates:  # in rising order, so that the last one stays
        chosen[t][z] = later
    return tuple(tuple(slices) for slices in chosen), (words,)


def _said(part: Part) -> str:
    return "; ".join(r.rstrip(".") for r in part.report.refused) or "it does not form an image"


def _facts(part: Part) -> str:
    return "; ".join(without_advice(r.rstrip(".")) for r in part.report.refused)


def _volume(part: Part, meaning: Meaning, array: Array, geometry: Geometry, assumed: tuple[str, ...] = ()) -> Volume:
    first = part.first.header
    colour = bool(array.shape[-1] == 3 and first.stored is not None and meaning.colour)
    letters = ("t" if array.ndim - colour == 4 else "") + "zyx" + ("c" if colour else "")
    axes: Axes = next(a for a in ("zyx", "zyxc", "tzyx", "tzyxc") if a == letters)
    report = replace(
        part.report,
        found=(*part.report.found, *meaning.found),
        assumed=(*part.report.assumed, *meaning.assumed, *assumed),
    )
    timed = axes.startswith("t")
    return Volume(
        array,
        geometry,
        axes,
        part.title,
        first.modality,
        meaning.unit,
        _RGB if colour else (),
        part.frame_values if timed else (),
        part.frame_unit if timed else "",
        part.frame_name if timed else "",
        meaning.windows[0][1:] if meaning.windows else None,
        meaning.windows,
        meaning.inverted,
        tuple(dict.fromkeys(report.assumed)),
        report=report,
        detector_mm=first.detector_mm,
        patient_orientation=first.patient_orientation,
        laterality=first.laterality,
        frame_of_reference=first.frame_of_reference,
    )


def _preview_grid(part: Part, middle: Array, z: int) -> Geometry:
    """Return the middle plane's place in the grid; unknown where the grid is only made by resampling."""
    grid = part.geometry
    if grid is None:
        return Geometry.picture(middle.shape[0], middle.shape[1])
    origin = grid.index_to_lps((z, 0, 0))
    return replace(grid, shape=(1, *grid.shape[1:]), origin_lps=(float(origin[0]), float(origin[1]), float(origin[2])))


def _straightened(part: Part, array: Array) -> tuple[Array, Geometry]:
    """Return all time points on one straight, even grid.

    Raises
    ------
    UnsupportedError
        Colours: there is no mixing them that would not invent one.
    """
    if array.ndim != 4:
        raise UnsupportedError(f"{part.title}: {_said(part)}; a colour image is not resampled")
    positions, affine = part.positions_mm, part.affine_lps
    step = 0.0
    if positions is not None:
        step = _step_mm(part)
        array = _each(len(array), (even_slices(volume, positions, step) for volume in array))
    depth, rows, columns = array.shape[1:]
    if affine is None:
        return array, _even_grid(part, (depth, rows, columns), step)
    target = straight_grid((depth, rows, columns), affine)
    if part.first.frame.pixel_mm is None:
        target = replace(target, spacing_known=False)
    return _each(len(array), (resample_affine(volume, affine, target) for volume in array)), target


def _each(count: int, volumes: Iterator[Array]) -> Array:
    """Return equal arrays in one, made one after the other so that only one stands beside it."""
    out = np.empty(0)
    for k, volume in enumerate(volumes):
        if k == 0:
            out = np.empty((count, *volume.shape), volume.dtype) if count > 1 else volume[np.newaxis]
        if count > 1:
            out[k] = volume
    return out


def _step_mm(part: Part) -> float:
    """Return the even step along the normal: that of the sheared grid if there is one, else the usual gap."""
    if part.affine_lps is not None:
        columns = part.affine_lps[:3, :3]
        normal = np.cross(columns[:, 0], columns[:, 1])
        return float(abs(columns[:, 2] @ normal) / np.linalg.norm(normal))
    return float(np.median(np.diff(part.positions_mm if part.positions_mm is not None else (0.0, 1.0))))


def _even_grid(part: Part, shape: tuple[int, int, int], step: float) -> Geometry:
    frame = part.first.frame
    row = np.array(frame.row or (1.0, 0.0, 0.0))
    column = np.array(frame.column or (0.0, 1.0, 0.0))
    y, x = frame.pixel_mm or (1.0, 1.0)
    normal = np.cross(row, column)
    return Geometry(
        shape,
        (step, y, x),
        frame.position or (0.0, 0.0, 0.0),
        np.column_stack([row, column, normal]),
        spacing_known=frame.pixel_mm is not None,
        orientation_known=frame.row is not None and frame.position is not None,
    )
