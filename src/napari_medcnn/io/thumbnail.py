"""A small picture of an item for a list: its middle stored slice, windowed, sides as a radiologist expects them."""

from __future__ import annotations

import math

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.dicom import assemble
from napari_medcnn.io.dicom.facts import Part
from napari_medcnn.io.dicom.items import Basis
from napari_medcnn.io.found import Found, Item, shown
from napari_medcnn.io.layerdata import window_for
from napari_medcnn.io.read import read_found

#: Larger images are not read whole for a thumbnail.
_WHOLE_BYTES = 128_000_000
SIZE = 96


def thumbnail(found: Found, item: Item, size: int = SIZE) -> Array:
    """Return uint8 (height, width) grey or (height, width, 3) colour, at most `size` pixels high and wide.

    Of DICOM series and NIfTI files one slice is read, of others the image if it is small.  Small values are bright
    where the file says so; pixels are square where their size is known.  Masks are shown in the colours of their
    classes, at the slice where most is marked.

    Raises
    ------
    InputError
        The item cannot be read; or it is too large to be read for a thumbnail (UnsupportedError).
    """
    if not 8 <= size <= 1024:
        raise InputError(f"size: expected 8 to 1024 pixels, got {size}")
    if item.kind == "other":
        raise UnsupportedError(f"{item.title}: there is no picture of what cannot be read")
    basis = item.basis
    if isinstance(basis, Basis) and basis.part is not None:
        return _drawn(_of_part(basis.part), size)
    if _bytes_of(item) > _WHOLE_BYTES:
        return _drawn(_of_nifti(found, item), size)
    value = read_found(found, item)
    if isinstance(value, LabelMap):
        return _coloured(value, size)
    return _drawn(_middle(value), size)


def _bytes_of(item: Item) -> int:
    try:
        width = np.dtype(item.dtype).itemsize
    except TypeError:
        width = 8
    return math.prod(item.shape) * width


def _of_part(part: Part) -> Volume:
    """Return the middle slice of a DICOM series, of its first time point."""
    row = part.planes[0]
    z = len(row) // 2
    header, frame = row[z]
    plane = assemble.read_plane(part, 0, z)
    unit = frame.unit or ("HU" if header.modality == "CT" else "")
    window = frame.windows[0][1:] if frame.windows else None
    inverted = header.stored is not None and header.stored.photometric == "MONOCHROME1"
    grid = part.geometry
    if grid is None and frame.pixel_mm is not None:
        grid = Geometry((1, *plane.shape[:2]), (1.0, *frame.pixel_mm), orientation_known=False)
    return _one_slice(plane, grid, window=window, value_unit=unit, inverted=inverted)


def _one_slice(
    plane: Array,
    grid: Geometry | None,
    window: tuple[float, float] | None,
    value_unit: str = "",
    inverted: bool = False,
) -> Volume:
    """Return a slice as a volume of depth 1 whose rows and columns run where they are expected."""
    spacing = grid.spacing_mm[1:] if grid is not None and grid.spacing_known else (1.0, 1.0)
    plane, turned = _turned(plane, grid)
    if turned:
        spacing = spacing[::-1]
    shape = (1, plane.shape[0], plane.shape[1])
    flat = Geometry(shape, (1.0, spacing[0], spacing[1]), orientation_known=False)
    axes = "zyxc" if plane.ndim == 3 else "zyx"
    return Volume(plane[np.newaxis], flat, axes, value_unit=value_unit, window=window, inverted=inverted)  # type: ignore[arg-type]


def _turned(plane: Array, grid: Geometry | None) -> tuple[Array, bool]:
    """Return the slice with head or front up, and the patient's left or back at the right; True if transposed."""
    if grid is None or not grid.orientation_known:
        return plane, False
    how = grid.reorientation_to()
    ranks = [how.order.index(axis) for axis in (1, 2)]  # 0 head to foot, 1 front to back, 2 right to left
    flips = tuple(slice(None, None, -1 if how.flips[rank] else 1) for rank in ranks)
    plane = plane[flips]
    return (plane.swapaxes(0, 1), True) if ranks[0] > ranks[1] else (plane, False)


def _of_nifti(found: Found, item: Item) -> Volume:
    """Return the middle slice of a large NIfTI file."""
    path = item.files[0] if item.files else found.path
    if not path.name.lower().endswith((".nii", ".nii.gz")) or item.axes not in ("zyx", "tzyx"):
        raise UnsupportedError(f"{shown(path)}: too large to be read for a small picture")
    try:
        proxy = nibabel.load(path).dataobj
        k = item.shape[-3] // 2
        where = (slice(None), slice(None), k, *([0] * (len(proxy.shape) - 3)))
        plane = np.asarray(proxy[where]).T
    except (OSError, ValueError, EOFError, IndexError, ImageFileError) as error:
        raise InputError(f"{shown(path)}: its middle slice cannot be read; the file may be cut") from error
    return _one_slice(plane, item.geometry, None)


def _middle(volume: Volume) -> Volume:
    volume = volume.frame(0)
    if volume.array.dtype.kind == "c":
        raise UnsupportedError(f"{volume.name}: there is no small picture of complex numbers")
    plane = volume.array[volume.geometry.shape[0] // 2]
    if volume.axes.endswith("c") and volume.channels != 3:
        plane = plane[..., 0] if volume.channels != 4 else plane[..., :3]
    return _one_slice(plane, volume.geometry, volume.window, volume.value_unit, volume.inverted)


def _drawn(one: Volume, size: int) -> Array:
    """Return the slice in its window as uint8, brought to size."""
    plane = one.array[0]
    if plane.ndim == 3 and plane.dtype == np.uint8:
        shades = plane
    else:
        low, high = (0.0, 65535.0) if plane.ndim == 3 and plane.dtype == np.uint16 else window_for(one)
        with np.errstate(invalid="ignore"):
            scaled = (np.nan_to_num(plane.astype(np.float64), nan=low, posinf=high, neginf=low) - low) / (high - low)
        shades = np.rint(np.clip(scaled, 0.0, 1.0) * 255).astype(np.uint8)
        if one.inverted and plane.ndim == 2:
            shades = 255 - shades
    return _resized(shades, one.geometry.spacing_mm[1:], size)


def _coloured(mask: LabelMap, size: int) -> Array:
    marked = [int(np.count_nonzero(plane)) for plane in mask.array]
    plane, turned = _turned(mask.array[int(np.argmax(marked))], mask.geometry)
    spacing = mask.geometry.spacing_mm[1:] if mask.geometry.spacing_known else (1.0, 1.0)
    ids = _resized(plane, spacing[::-1] if turned else spacing, size)
    return _colours(ids, mask.labels)


def _colours(ids: Array, labels: LabelSet) -> Array:
    out = np.zeros((*ids.shape, 3), np.uint8)
    for label in labels:
        out[ids == label.id] = label.colour
    unnamed = (ids != 0) & ~np.isin(ids, [label.id for label in labels])
    out[unnamed] = 160
    return out


def _resized(plane: Array, spacing: tuple[float, ...], size: int) -> Array:
    """Return the nearest pixels on a grid of square ones, `size` along the longer side; means of blocks for grey."""
    height, width = plane.shape[0] * spacing[0], plane.shape[1] * spacing[1]
    longest = max(height, width)
    rows, columns = max(1, round(size * height / longest)), max(1, round(size * width / longest))
    y = np.minimum((np.arange(rows) + 0.5) * plane.shape[0] / rows, plane.shape[0] - 1).astype(int)
    x = np.minimum((np.arange(columns) + 0.5) * plane.shape[1] / columns, plane.shape[1] - 1).astype(int)
    return np.ascontiguousarray(plane[y][:, x])
