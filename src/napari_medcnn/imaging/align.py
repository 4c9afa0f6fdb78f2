"""A second series on the axes of a first, so that one picture can hold both; for looking, never for measuring.

Napari places layers by scale and shift alone. Series whose axes are parallel in the patient need nothing more; any
other is resampled (linear) onto a grid that runs along the first one's axes, keeps the voxel size of its own along
each of them, and holds its whole field of view.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import replace

import numpy as np

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.imaging.resample import resample_image

RESAMPLED = "Resampled for display onto the axes of the first series; values are interpolated."
#: Bytes that a resampled copy may take; nobody waits for more, and most computers do not have it.
MOST_BYTES = 4 * 2**30


def no_place(volume: Volume) -> str:
    """Return why a scan has no place in the patient that another could be laid over, "" if it has one."""
    grid = volume.geometry
    if volume.is_picture or (grid.shape[0] == 1 and not grid.orientation_known):
        return "it is a picture, and says nothing of its place in the patient"
    if not grid.orientation_known:
        return "its file does not state where left, front and head are"
    if not grid.spacing_known:
        return "its file does not state the voxel size"
    return ""


def shares_axes(volume: Geometry, reference: Geometry) -> bool:
    """Return True if both can be shown in one picture as they are: parallel axes once turned for display.

    The angle that is let pass moves no voxel centre of either by more than a fifth of a voxel.
    """
    one, other = (grid.reoriented(grid.reorientation_to()) for grid in (volume, reference))
    if not one.same_axes(other):
        return False
    corners = np.array(list(itertools.product(*[(0, n - 1) for n in one.shape])), dtype=np.float64)
    lps = one.index_to_lps(corners)
    shown = lps @ one.direction, lps @ other.direction
    return bool(np.abs(shown[0] - shown[1]).max() <= 0.2 * min(one.spacing_mm))


def grid_along(source: Geometry, reference: Geometry) -> Geometry:
    """Return the grid along the reference's axes (display order) over all voxel centres of `source`.

    Along each axis the step is that of the source's nearest axis; the grid is centred on the source.

    Raises
    ------
    GeometryError
        Spacing or orientation of one of them is unknown.
    """
    for name, grid in (("source", source), ("reference", reference)):
        if not (grid.spacing_known and grid.orientation_known):
            raise GeometryError(f"{name}: expected a grid whose spacing and orientation are known")
    own, axes = (grid.reoriented(grid.reorientation_to()) for grid in (source, reference))
    corners = np.array(list(itertools.product(*[(0, n - 1) for n in own.shape])), dtype=np.float64)
    along = (own.index_to_lps(corners) @ axes.direction)[:, ::-1]  # (z, y, x) mm on the reference's axes
    low, high = along.min(axis=0), along.max(axis=0)
    steps = np.array(own.spacing_mm)
    nz, ny, nx = (int(n) for n in np.ceil((high - low) / steps - 1e-6).astype(int) + 1)
    first = (low + high) / 2 - (np.array([nz, ny, nx]) - 1) / 2 * steps
    origin = axes.direction @ first[::-1]
    return replace(
        own,
        shape=(nz, ny, nx),
        origin_lps=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=axes.direction,
    )


def align_steps(volume: Volume, reference: Geometry) -> Generator[float, None, Volume]:
    """Bring a scan onto the axes of `reference`; yields the share that is done.

    Where it already lies along them it comes back as it is. Type and unit of the values stay; outside of its field of
    view stands its smallest value. Complex numbers become their magnitude.

    Raises
    ------
    InputError
        Its place in the patient is not known, or the copy would be too large.
    """
    reason = no_place(volume)
    if reason:
        raise InputError(f"{volume.name}: cannot be laid over another series, because {reason}")
    if shares_axes(volume.geometry, reference):
        return volume
    target = grid_along(volume.geometry, reference)
    wanted = int(np.prod(target.shape)) * volume.frames * volume.channels * volume.array.dtype.itemsize
    if wanted > MOST_BYTES:
        raise InputError(
            f"{volume.name}: turning it onto the axes of the first series would take {wanted / 2**30:.0f} GB; "
            "look at both side by side instead"
        )
    array = np.abs(volume.array) if volume.array.dtype.kind == "c" else volume.array
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    outside = float(finite.min()) if finite.size else 0.0
    frames = array if volume.axes.startswith("t") else array[None]
    out = np.empty((len(frames), *target.shape, *frames.shape[4:]), array.dtype)
    for count, frame in enumerate(frames):
        yield count / len(frames)
        values = resample_image(frame, volume.geometry, target, outside)
        out[count] = np.rint(values) if array.dtype.kind in "biu" else values
    yield 1.0
    done = out if volume.axes.startswith("t") else out[0]
    return replace(volume, array=done, geometry=target, notes=(*volume.notes, RESAMPLED))
