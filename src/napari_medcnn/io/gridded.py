"""From a checked header to an item and to a volume: the same questions and the same report for every format."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_medcnn.core.consent import NONE, Consent, Report
from napari_medcnn.core.geometry import Array, Float, Geometry
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import ConsentNeededError, GeometryError, InputError
from napari_medcnn.io.found import Item, Kind, shown, stem
from napari_medcnn.io.header_grid import GridHeader, shear_deg
from napari_medcnn.io.payload import Payload, check_memory, look, read_payload
from napari_medcnn.io.straighten import resample_affine, straight_grid

RESAMPLED_NOTE = "The grid was sheared by {:.2f}°; the image was resampled onto a straight one; {}."
#: A straight grid over a sheared one may hold this many times its voxels.
_MOST_GROWTH = 30


def report_of(header: GridHeader, *stored: Payload) -> Report:
    """Return what is to be said before the voxels are read, `stored` being where they lie (checked where cheap)."""
    found, assumed, refused, asks = list(header.found), list(header.notes), [], []
    need = math.prod(header.shape) * header.dtype.itemsize
    try:
        for where in stored:
            if remark := look(where, need // len(stored)):
                (assumed if where.encoding == "gzip" else found).append(remark)  # gzip would have told: suspicious
    except InputError as error:
        refused.append(str(error))
        asks.append(error.asks if isinstance(error, ConsentNeededError) else "")
    for question in (header.geometry, lambda: check_complex(header, NONE)):
        try:
            question()
        except InputError as error:
            refused.append(str(error))
            asks.append(error.asks if isinstance(error, ConsentNeededError) else "")
    first = asks[0] if asks and all(asks) else ""
    return Report(tuple(found), tuple(assumed), tuple(refused), first)  # type: ignore[arg-type]


def item_of(header: GridHeader, report: Report, ident: str = "", title: str = "", **changed: Any) -> Item:
    """Return the item of a file with one image; `changed` sets other fields of `Item`."""
    try:
        geometry: Geometry | None = header.geometry()
    except InputError:
        geometry = None
    kind: Kind = "labels" if header.is_mask else "volume"
    values: dict[str, Any] = {
        "id": ident or header.path.name, "kind": kind, "axes": header.axes, "shape": header.shape,
        "dtype": header.dtype.newbyteorder("=").name, "geometry": geometry, "title": title or stem(header.path),
        "warnings": report.warnings, "files": (header.path,), "report": report, "nbytes": header.path.stat().st_size,
    }  # fmt: skip
    return Item(**(values | changed))


def check_complex(header: GridHeader, consent: Consent) -> None:
    """Raise `ConsentNeededError` if the voxels are complex numbers and no part of them was chosen."""
    if header.dtype.kind == "c" and consent.complex_part == "ask":
        raise ConsentNeededError(
            f"{shown(header.path)}: its voxels are complex numbers; choose which part to open: magnitude, phase, real "
            "or imaginary",
            asks="complex_part",
        )


def volume_of(
    header: GridHeader,
    voxels: Callable[[list[str]], Array],
    consent: Consent,
    axes: Axes | None = None,
    as_ids: bool = False,
    **more: Any,
) -> Volume:
    """Return the image: questions first, then voxels, then what was agreed to.

    Parameters
    ----------
    voxels
        Reads the array; appends what it had to assume.
    axes
        Of what `voxels` returns, where they differ from the header's (one layer of several).
    as_ids
        The voxels are class ids, whatever the file says: resampled by the nearest, never mixed.
    more
        Further fields of `Volume`.

    Raises
    ------
    ConsentNeededError
        Sheared, or complex numbers, and not agreed to.
    GeometryError
        The grid is singular, or too far from a straight one.
    """
    notes: list[str] = []
    axes = axes or header.axes
    target, sheared = _grid_for(header, consent)
    check_complex(header, consent)
    array = voxels(notes)
    if sheared is not None:
        ids = as_ids or header.is_mask
        array = _straightened(header.affine_lps, array, axes, target, ids)
        notes.append(RESAMPLED_NOTE.format(sheared, "each voxel takes the nearest" if ids else "values are mixed"))
    if array.dtype.kind == "c":
        array = part_of(array, consent.complex_part)
        notes.append(f"The voxels are complex numbers; shown is the {consent.complex_part}.")
    report = Report(header.found, (*header.notes, *notes))
    values: dict[str, Any] = {"name": stem(header.path), "notes": report.assumed, "report": report} | more
    return Volume(array, target, axes, **values)


def stored_volume(header: GridHeader, where: Payload, consent: Consent, as_ids: bool) -> Volume:
    """Return the image of a file whose voxels lie in one piece, as its header says; errors as `volume_of`."""
    return volume_of(
        header,
        lambda notes: read_payload(where, header.dtype, header.shape, consent, notes),
        consent,
        as_ids=as_ids,
    )


def _grid_for(header: GridHeader, consent: Consent) -> tuple[Geometry, float | None]:
    """Return the grid to open on, and the shear in degrees if that is another than the file's."""
    try:
        return header.geometry(), None
    except ConsentNeededError:
        if not consent.resample or header.affine_lps is None:
            raise
    target = straight_grid(header.grid, header.affine_lps)
    if math.prod(target.shape) > _MOST_GROWTH * math.prod(header.grid):
        raise GeometryError(
            f"{shown(header.path)}: its axes are so far from right angles that a straight grid would hold "
            f"{math.prod(target.shape) / math.prod(header.grid):.0f} times its voxels; repair the header with the "
            "program that wrote it"
        )
    check_memory(header.path, math.prod(header.shape) // math.prod(header.grid) * math.prod(target.shape) * 8)
    return target, shear_deg(header.affine_lps)


def _straightened(affine: Float | None, array: Array, axes: str, target: Geometry, ids: bool) -> Array:
    """Return every time point and channel of `array` on the straight grid."""
    if affine is None:
        return array
    if array.dtype.kind == "c":
        parts = [_straightened(affine, p, axes, target, ids) for p in (array.real, array.imag)]
        return np.asarray(parts[0] + 1j * parts[1]).astype(array.dtype)
    first = axes.index("z")
    lead, tail = array.shape[:first], array.shape[first + 3 :]
    out = np.empty((*lead, *target.shape, *tail), array.dtype)
    for at in itertools.product(*(range(n) for n in lead)):
        for channel in itertools.product(*(range(n) for n in tail)):
            place: tuple[Any, ...] = (*at, slice(None), slice(None), slice(None), *channel)
            out[place] = resample_affine(np.ascontiguousarray(array[place]), affine, target, labels=ids)
    return out


def part_of(array: Array, part: str) -> Array:
    """Return the magnitude, phase (radians), real or imaginary part of complex numbers, in the same precision."""
    functions: dict[str, Callable[[Array], Any]] = {
        "magnitude": np.abs, "phase": np.angle, "real": np.real, "imaginary": np.imag,
    }  # fmt: skip
    return np.ascontiguousarray(functions[part](array))
