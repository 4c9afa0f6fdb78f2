"""DICOM: one file, or the series of a folder; irregular ones are refused by name, or resampled on request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import GeometryError, InputError, UnsupportedError
from napari_medcnn.io.dicom.header import Slice, read_slice
from napari_medcnn.io.dicom.pixels import read_pixels
from napari_medcnn.io.dicom.stack import Stack, build_stack, even_geometry
from napari_medcnn.io.found import Item, shown
from napari_medcnn.io.payload import check_memory
from napari_medcnn.io.straighten import even_slices, resample_affine, straight_grid

Series = dict[str, list[Slice]]


def gather(paths: Iterable[Path]) -> tuple[Series, list[tuple[Path, str]]]:
    """Return slices by series id, and the DICOM files left out with the reason in words.

    The id is the SeriesInstanceUID; for files without one, a hash of their name.
    """
    series: Series = {}
    skipped: list[tuple[Path, str]] = []
    for path in paths:
        try:
            found = read_slice(path)
        except InputError as error:
            skipped.append((path, str(error)))
            continue
        if found is None:
            skipped.append((path, "no image in this file"))
            continue
        uid = found.series_uid or "file-" + hashlib.sha256(path.name.encode()).hexdigest()[:12]
        series.setdefault(uid, []).append(found)
    return series, skipped


def title_of(first: Slice) -> str:
    """Return "CT 5, Thorax 1 mm": modality, series number, description; never a patient's name or number."""
    head = " ".join(part for part in (first.modality or "DICOM", first.series_number) if part)
    return f"{head}, {first.description}" if first.description else head


def inspect_series(uid: str, slices: list[Slice]) -> Item:
    """Return the item of a series; kind "other" with the reason as a warning where it cannot be read as it is."""
    first = slices[0]
    files = tuple(s.path for s in slices)
    name = f"{title_of(first)} ({len(slices)} {'file' if len(slices) == 1 else 'files'})"
    shape: tuple[int, ...] = (len(slices), first.rows, first.columns)
    colour = first.samples == 3 or first.photometric == "PALETTE COLOR"
    shape, axes = ((*shape, 3), "zyxc") if colour else (shape, "zyx")
    dtype = f"{'' if first.signed else 'u'}int{first.bits}" if first.bits in (8, 16, 32, 64) else "uint8"
    try:
        stack = build_stack(name, slices)
    except InputError as error:
        return Item(uid, "other", "", (), dtype, None, first.modality, first.series_uid, name, (str(error),), files)
    warnings = (*stack.notes, stack.refusal) if stack.refusal else stack.notes
    return Item(
        uid, "volume", axes, shape, dtype, stack.geometry, first.modality, first.series_uid, name, warnings, files
    )


def read_series(slices: list[Slice], consent: Consent = NONE) -> Volume:
    """Return one series as a volume.

    Parameters
    ----------
    slices
        From `gather`; of one series.
    consent
        Whether a tilted or unevenly spaced stack may be brought onto a straight grid (linear, said in the notes).

    Raises
    ------
    UnsupportedError, GeometryError
        The series is irregular; the message says how and where.
    IncompleteFileError
        A file is cut.
    """
    stack = build_stack(title_of(slices[0]), slices)
    first = stack.slices[0]
    if stack.refusal and not consent.resample:
        raise GeometryError(stack.refusal)
    array = _stacked(stack)
    axes: Axes = "zyxc" if array.ndim == 4 else "zyx"
    notes = list(stack.notes)
    geometry = stack.geometry
    if geometry is None:
        array, geometry = _straightened(stack, array)
        notes.append(f"Resampled onto an even, straight grid. {stack.refusal}")
    ct = first.modality == "CT" and first.rescale_type in ("", "HU") and (first.slope, first.intercept) != (1.0, 0.0)
    unit = "HU" if ct or first.rescale_type == "HU" else first.rescale_type if first.rescale_type != "US" else ""
    return Volume(
        array, geometry, axes, title_of(first), first.modality, unit, window=first.window,
        inverted=first.photometric == "MONOCHROME1", notes=tuple(notes),
    )  # fmt: skip


def _stacked(stack: Stack) -> Array:
    """Return all slices in one array; types may differ between slices (a rescale of each), the widest holds all."""
    first = read_pixels(stack.slices[0])
    if len(stack.slices) == 1:
        return np.ascontiguousarray(first[np.newaxis])
    check_memory(stack.slices[0].path, first.nbytes * len(stack.slices))
    out = np.empty((len(stack.slices), *first.shape), first.dtype)
    for k, s in enumerate(stack.slices):
        plane = first if k == 0 else read_pixels(s)
        if plane.shape != first.shape:
            raise UnsupportedError(
                f"{shown(s.path)}: its decoded size {plane.shape} differs from the series' {first.shape}"
            )
        if plane.dtype != out.dtype:
            wider = np.result_type(plane.dtype, out.dtype)
            out = out if wider == out.dtype else out.astype(wider)
        out[k] = plane
    return out


def _straightened(stack: Stack, array: Array) -> tuple[Array, Geometry]:
    if array.ndim != 3:
        raise UnsupportedError("Colour stacks are not resampled")
    if stack.positions_mm is not None:
        step = float(np.median(np.diff(stack.positions_mm)))
        array = even_slices(array, stack.positions_mm, step)
        if stack.affine_lps is None:
            return array, even_geometry(stack, array.shape[0], step)
    if stack.affine_lps is None:
        raise GeometryError(stack.refusal)
    target = straight_grid((array.shape[0], array.shape[1], array.shape[2]), stack.affine_lps)
    return resample_affine(array, stack.affine_lps, target), target
