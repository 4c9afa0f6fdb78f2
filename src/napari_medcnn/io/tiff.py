"""TIFF and BigTIFF: grey, RGB, palette, 8 and 16 bit, float; pages as a stack, or as items where they differ."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import tifffile
from PIL import Image, TiffImagePlugin

from napari_medcnn.core.consent import NONE, Asked, Consent, Report
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import Item, Kind, plain, shown, stem
from napari_medcnn.io.mended import missing_note
from napari_medcnn.io.payload import Payload, check_claim, check_expanded, incomplete, read_payload
from napari_medcnn.io.tiff_meta import Meta, meta_of
from napari_medcnn.io.tiff_pages import (
    CMYK,
    GREY_INVERTED,
    PALETTE,
    TIFF_ERRORS,
    YCBCR,
    Layout,
    Pages,
    layout_of,
    opened,
)  # fmt: skip

_SELF_DECODED = (1, 8, 32946)  # none, deflate, deflate (old number): what tifffile decodes by itself
_LARGE, _RATIO = 512_000_000, 200


def inspect_tiff(path: Path) -> tuple[Item, ...]:
    """Return one item, or one per run of equal pages ("page-1", ...)."""
    with opened(path) as tif:
        layout, meta = layout_of(path, tif), _meta(path, tif)
    return tuple(_item(path, layout, group, meta) for group in layout.groups)


def read_tiff(path: Path, as_ids: bool = False, consent: Consent = NONE, part: str | None = None) -> Volume:
    """Return one image of a TIFF; errors as `pictures.read_picture`."""
    with opened(path) as tif:
        layout, meta = layout_of(path, tif), _meta(path, tif)
        group = _chosen(path, layout, part)
        if layout.missing and not consent.damaged:
            raise ConsentNeededError(_missing_words(path, layout), asks="damaged")
        _check_whole(path, group)
        _check_size(path, group, meta, consent)
        axes, sizes = _shape(group, meta)
        array = _unpaged(path, tif, group, sizes) if _is_unpaged(group, meta) else _decoded(path, tif, group, layout)
        array = _coloured(array, group, tif, as_ids)
    if as_ids and group.photometric == PALETTE:
        axes = "tzyx" if axes.startswith("t") else "zyx"
    array = _ordered(array, group, meta, axes)
    report = _report(group, meta, layout, as_ids)
    if layout.missing:
        report = Report(report.found, (*report.assumed, missing_note(layout.missing)))
    first = axes.index("z")
    grid = _geometry((array.shape[first], array.shape[first + 1], array.shape[first + 2]), meta)
    step = meta.step_s
    timed = axes.startswith("t") and math.isfinite(step) and step > 0
    return Volume(
        array, grid, axes, _title(path, layout, group), "picture",
        frame_values=tuple(round(step * k, 9) for k in range(array.shape[0])) if timed else (),
        frame_unit="s" if timed else "", frame_name="t" if timed else "",
        inverted=group.photometric == GREY_INVERTED, notes=report.warnings, report=report,
    )  # fmt: skip


def _meta(path: Path, tif: tifffile.TiffFile) -> Meta:
    meta = meta_of(tif)
    ok = all(count >= 1 for _, count in meta.order) and meta.pages <= 10_000_000
    return meta if ok else Meta()


def _is_unpaged(group: Pages, meta: Meta) -> bool:
    """Return True for ImageJ's large stacks: one page in the table, the others behind it without an entry."""
    return meta.program == "ImageJ" and group.count == 1 and meta.pages > 1 and group.samples == 1


def _shape(group: Pages, meta: Meta) -> tuple[Axes, tuple[int, ...]]:
    """Return axes and shape as the array will have them (colour as RGB)."""
    sizes = {"z": group.count, "y": group.height, "x": group.width}
    if _stated(group, meta):
        sizes |= {"z": 1} | {letter: count for letter, count in meta.order if letter == "z" or count > 1}
    if group.is_colour:
        sizes["c"] = 3
    axes: dict[str, Axes] = {"zyx": "zyx", "zyxc": "zyxc", "tzyx": "tzyx", "tzyxc": "tzyxc"}
    text = "".join(letter for letter in "tzyxc" if letter in sizes)
    return axes[text], tuple(sizes[letter] for letter in text)


def _stated(group: Pages, meta: Meta) -> bool:
    """Return True if the program's order of pages fits the pages that are there."""
    channels = math.prod(count for letter, count in meta.order if letter == "c")
    if group.is_colour and channels > 1:
        return False
    return meta.pages > 1 and (meta.pages == group.count or _is_unpaged(group, meta))


def _ordered(array: Array, group: Pages, meta: Meta, axes: Axes) -> Array:
    """Bring (page, y, x[, c]) into the order of `axes`."""
    if not _stated(group, meta):
        return np.ascontiguousarray(array)
    kept = [(letter, count) for letter, count in meta.order if letter in axes]
    array = array.reshape(*(count for _, count in kept), *array.shape[1:])
    letters = "".join(letter for letter, _ in kept) + "yx" + ("c" if array.ndim - len(kept) == 3 else "")
    if "z" not in letters:
        array, letters = array[np.newaxis], "z" + letters
    return np.ascontiguousarray(np.transpose(array, [letters.index(letter) for letter in axes]))


def _geometry(grid: tuple[int, int, int], meta: Meta) -> Geometry:
    """Return the grid: with spacing only where all three lengths are stated (a single page has no thickness)."""
    known = grid[0] > 1 and all(math.isfinite(s) for s in meta.spacing_mm)
    spacing = meta.spacing_mm if known else (1.0, 1.0, 1.0)
    return Geometry(grid, spacing, spacing_known=known, orientation_known=False)


def _report(group: Pages, meta: Meta, layout: Layout, as_ids: bool = False) -> Report:
    found: list[str] = []
    assumed: list[str] = []
    if meta.pixel_words:
        found.append(f"{meta.program} states a pixel size of {meta.pixel_words}.")
    if len(layout.groups) > 1:
        found.append(f"The pages of the file differ; this is {_pages_words(group)}.")
    if group.photometric == PALETTE and not as_ids:
        assumed.append("Palette colours were turned into RGB.")
    if group.photometric in (CMYK, YCBCR):
        assumed.append(f"Colours were turned from {'CMYK' if group.photometric == CMYK else 'YCbCr'} into RGB.")
    elif group.samples in (2, 4):
        assumed.append("The transparency channel was left out.")
    if meta.pages > 1 and not _stated(group, meta) and len(layout.groups) == 1:
        assumed.append(
            f"{meta.program} states {meta.pages} pages in its own order and the file holds {group.count}; they are "
            "shown in the order of the file."
        )
    return Report(tuple(found), tuple(assumed))


def _item(path: Path, layout: Layout, group: Pages, meta: Meta) -> Item:
    report = _report(group, meta, layout)
    refused: list[str] = [_missing_words(path, layout)] if layout.missing else []
    asks: Asked | str = "damaged" if refused else ""
    try:
        _check_whole(path, group)
        _check_size(path, group, meta, Consent())
    except InputError as error:
        refused, asks = [*refused, str(error)], error.asks if isinstance(error, ConsentNeededError) else ""
    report = Report(report.found, report.assumed, tuple(refused), asks)  # type: ignore[arg-type]
    axes, shape = _shape(group, meta)
    kind: Kind = "picture" if math.prod(shape[: axes.index("y")]) == 1 else "volume"
    first = axes.index("z")
    return Item(
        path.name if len(layout.groups) == 1 else f"page-{group.first + 1}", kind, axes, shape, group.dtype.name,
        _geometry((shape[first], shape[first + 1], shape[first + 2]), meta), "picture",
        title=_title(path, layout, group), warnings=report.warnings, files=(path,), report=report,
        nbytes=path.stat().st_size,
    )  # fmt: skip


def _chosen(path: Path, layout: Layout, part: str | None) -> Pages:
    if len(layout.groups) == 1:
        return layout.groups[0]
    for group in layout.groups:
        if part == f"page-{group.first + 1}":
            return group
    listed = ", ".join(f"page-{g.first + 1} ({g.width} x {g.height})" for g in layout.groups[:12])
    raise InputError(f"{shown(path)}: its pages differ in size or type; choose one: {listed}")


def _title(path: Path, layout: Layout, group: Pages) -> str:
    return stem(path) if len(layout.groups) == 1 else f"{stem(path)}, {_pages_words(group)}"


def _pages_words(group: Pages) -> str:
    first = group.first + 1
    return f"page {first}" if group.count == 1 else f"pages {first} to {first + group.count - 1}"


def _missing_words(path: Path, layout: Layout) -> str:
    return (
        f"{shown(path)}: the file is incomplete: {layout.missing}; copy it again from its source, or open it with "
        "'damaged' to look at the pages before"
    )


def _check_whole(path: Path, group: Pages) -> None:
    if group.empty:
        raise UnsupportedError(
            f"{shown(path)}: {_pages_words(group)}: {group.empty} of its tiles or strips hold no data (a sparse or "
            "emptied file), so parts of the picture do not exist; save it again from its source"
        )


def _check_size(path: Path, group: Pages, meta: Meta, consent: Consent) -> None:
    need = group.nbytes * (meta.pages if _is_unpaged(group, meta) else 1)
    check_expanded(path, need, consent, need > _LARGE and need > _RATIO * path.stat().st_size)


def _unpaged(path: Path, tif: tifffile.TiffFile, group: Pages, shape: tuple[int, ...]) -> Array:
    page: Any = tif.pages[0]
    dtype = group.dtype.newbyteorder(tif.byteorder)
    if group.compression != 1:
        raise incomplete(path, path.stat().st_size, path.stat().st_size + 1)
    where = Payload(path, "raw", int(page.dataoffsets[0]))
    check_claim(where, math.prod(shape) * dtype.itemsize)
    return read_payload(where, dtype, (math.prod(shape) // (group.height * group.width), group.height, group.width))


def _decoded(path: Path, tif: tifffile.TiffFile, group: Pages, layout: Layout) -> Array:
    """Return (page, y, x) or (page, y, x, samples); CMYK and YCbCr as RGB."""
    numbers = range(group.first, group.first + group.count)
    if group.photometric in (CMYK, YCBCR):
        return _by_pillow(path, group, "RGB")
    if group.compression in _SELF_DECODED and group.predictor == 1:
        try:
            array = np.stack([np.asarray(tif.pages[number].asarray()) for number in numbers])
        except TIFF_ERRORS as error:
            raise IncompleteFileError(f"{shown(path)}: a page is damaged ({plain(error, 100)})") from error
        except RuntimeError as error:
            raise UnsupportedError(f"{shown(path)}: a page cannot be decoded ({plain(error, 100)})") from error
        return np.moveaxis(array, 1, -1) if group.planar else array
    if len(layout.groups) > 1 or layout.missing or group.photometric == PALETTE:  # SimpleITK would colour it
        return _by_pillow(path, group, None)
    return _by_simpleitk(path, group)


def _by_pillow(path: Path, group: Pages, mode: str | None) -> Array:
    """Decode page by page through libtiff; only what Pillow does not narrow to 8 bit."""
    if group.dtype.itemsize > 1 and (group.samples > 1 or group.dtype.kind == "i"):
        raise UnsupportedError(f"{shown(path)}: its pages cannot be decoded; save them without compression")
    pages = []
    try:
        with TiffImagePlugin.TiffImageFile(path) as image:
            for number in range(group.first, group.first + group.count):
                image.seek(number)
                pages.append(np.array(image.convert(mode) if mode else image))
    except (*TIFF_ERRORS, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise IncompleteFileError(f"{shown(path)}: a page is damaged ({plain(error, 100)})") from error
    array = np.stack(pages)
    if array.shape[:3] != (group.count, group.height, group.width):
        raise incomplete(path, array.shape[0], group.count)
    return array.astype(group.dtype, copy=False)


def _by_simpleitk(path: Path, group: Pages) -> Array:
    try:
        array = np.array(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    except RuntimeError as error:
        raise UnsupportedError(f"{shown(path)}: the picture cannot be decoded ({plain(error, 120)})") from error
    shape = (group.count, group.height, group.width)
    if group.samples > 1:
        array = array.reshape(shape + array.shape[array.ndim - 1 :])
    array = array.reshape(shape) if array.size == math.prod(shape) else array
    if array.shape[:3] != shape:
        raise incomplete(path, array.shape[0], group.count)
    return array


def _coloured(array: Array, group: Pages, tif: tifffile.TiffFile, as_ids: bool) -> Array:
    """Turn palette numbers into colours unless they are wanted, and leave transparency out."""
    page: Any = tif.pages[group.first]
    if group.photometric == PALETTE and page.colormap is not None and array.ndim == 3 and not as_ids:
        table = np.asarray(page.colormap)
        array = np.moveaxis((table[:, array] >> 8).astype(np.uint8), 0, -1)
    if array.ndim == 4 and array.shape[-1] in (2, 4):
        array = array[..., 0] if array.shape[-1] == 2 else array[..., :3]
    return np.ascontiguousarray(array)
