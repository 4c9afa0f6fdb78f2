"""PNG, JPEG, BMP and TIFF: grey, RGB, 8 and 16 bit; a multi-page TIFF is a stack.

Pillow decodes; SimpleITK where Pillow would cut 16-bit colour to 8 bit, or TIFF compression needs it.  The structure
of a TIFF is walked first: decoders give the pages they find and keep quiet about the rest.
"""

from __future__ import annotations

import json
import math
import struct
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import SimpleITK as sitk
import tifffile
from PIL import Image, UnidentifiedImageError

from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import Item, plain, shown, stem
from napari_medcnn.io.payload import check_memory, incomplete
from napari_medcnn.io.sniff import Format

#: Text chunk in which our PNG masks carry their classes.
LABEL_CHUNK = "medcnn-labels"
_CHANNELS = {"1": 1, "L": 1, "P": 1, "I": 1, "I;16": 1, "I;16B": 1, "F": 1, "LA": 1, "PA": 1, "La": 1}
_PLAIN_TIFF = (1, 8, 32946)  # none, deflate, deflate (old number): what tifffile decodes by itself


def inspect_picture(path: Path, kind: Format) -> tuple[Item, ...]:
    """Return the one item of a picture file, from its header."""
    if kind == "tiff":
        with _tiff(path) as tif:
            shape, axes, dtype, _ = _tiff_layout(path, tif)
        known = "picture" if shape[0] == 1 else "volume"
        grid = Geometry((shape[0], shape[1], shape[2]), spacing_known=False, orientation_known=False)
        return (Item(path.name, known, axes, shape, dtype.name, grid, "picture", title=stem(path), files=(path,)),)  # type: ignore[arg-type]
    with _opened(path) as image:
        channels = _CHANNELS.get(image.mode, 3)
        shape = (1, image.height, image.width) + ((3,) if channels == 3 else ())
        deep = _is_deep_colour(path, kind) or image.mode.startswith("I")
        mask = LABEL_CHUNK in image.info
        grid = Geometry.picture(image.height, image.width)
    return (
        Item(
            path.name, "labels" if mask else "picture", "zyxc" if channels == 3 else "zyx", shape,
            "uint16" if deep else "uint8", grid, "picture", title=stem(path), files=(path,),
        ),
    )  # fmt: skip


def read_picture(path: Path, kind: Format, as_ids: bool = False) -> tuple[Volume, LabelSet | None]:
    """Return a picture as depth 1 (a multi-page TIFF as a stack), and the classes a mask of ours carries.

    Parameters
    ----------
    as_ids
        Keep palette numbers instead of their colours: for masks.

    Raises
    ------
    InputError
        Cut, damaged, larger than the free memory, or of a kind that is not read.
    """
    notes: list[str] = []
    if kind == "tiff":
        array, axes, inverted = _read_tiff(path, as_ids, notes)
        grid = Geometry((array.shape[0], array.shape[1], array.shape[2]), spacing_known=False, orientation_known=False)
        return Volume(array, grid, axes, stem(path), "picture", inverted=inverted, notes=tuple(notes)), None
    with _opened(path) as image:
        labels = _own_labels(path, image)
        flat = _decoded(path, kind, image, as_ids or labels is not None, notes)
        if image.getexif().get(0x0112, 1) not in (0, 1):
            notes.append("The camera marked this picture as turned; it is shown as stored.")
    axes = "zyxc" if flat.ndim == 3 else "zyx"
    grid = Geometry.picture(flat.shape[0], flat.shape[1])
    return Volume(flat[np.newaxis], grid, axes, stem(path), "picture", notes=tuple(notes)), labels


def _opened(path: Path) -> Image.Image:
    """Open lazily; the size is compared with the memory before a pixel is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own warning on size; the memory decides here
            image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{shown(path)}: the picture is too large once decompressed ({plain(error, 120)}); scale it down first"
        ) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error) as error:
        raise InputError(
            f"{shown(path)}: the picture cannot be read ({plain(error, 100)}); it may be cut or damaged"
        ) from error
    check_memory(path, image.width * image.height * 8)
    return image


def _decoded(path: Path, kind: Format, image: Image.Image, as_ids: bool, notes: list[str]) -> Array:
    mode = image.mode
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except (OSError, ValueError, SyntaxError, struct.error, EOFError) as error:
        raise IncompleteFileError(
            f"{shown(path)}: the picture is incomplete or damaged ({plain(error, 100)}); copy it again from its source"
        ) from error
    if kind == "png" and not _png_is_whole(path):
        raise IncompleteFileError(f"{shown(path)}: the picture is incomplete (its end is missing); copy it again")
    if kind == "jpeg" and not _jpeg_is_whole(path):
        raise IncompleteFileError(f"{shown(path)}: the picture is incomplete (its end is missing); copy it again")
    if _is_deep_colour(path, kind):
        array = _by_simpleitk(path)
        if array.ndim == 3 and array.shape[-1] in (2, 4):
            notes.append("The transparency channel was left out.")
            array = array[..., 0] if array.shape[-1] == 2 else array[..., :3]
        return np.ascontiguousarray(array)
    if mode == "1":
        return np.asarray(image).astype(np.uint8)
    if mode in ("L", "F") or (mode == "P" and as_ids):
        return np.array(image)
    if mode.startswith("I"):
        wide = np.array(image)
        return wide.astype(np.uint16) if kind == "png" or mode.startswith("I;16") else wide
    if mode in ("LA", "La"):
        notes.append("The transparency channel was left out.")
        return np.array(image.convert("LA"))[..., 0].copy()
    if mode == "P":
        notes.append("Palette colours were turned into RGB.")
    elif mode in ("RGBA", "RGBa", "RGBX"):
        notes.append("The transparency channel was left out.")
        return np.array(image)[..., :3].copy()
    elif mode != "RGB":
        notes.append(f"Colours were turned from {mode} into RGB.")
    return np.array(image.convert("RGB"))


def _own_labels(path: Path, image: Image.Image) -> LabelSet | None:
    text = image.info.get(LABEL_CHUNK)
    if not isinstance(text, str):
        return None
    try:
        return LabelSet.from_json(json.loads(text))
    except ValueError as error:
        raise InputError(f"{shown(path)}: its class names are damaged ({plain(error)})") from error


def _is_deep_colour(path: Path, kind: Format) -> bool:
    """Return True for a PNG of 16 bits with colour or transparency (IHDR: bit depth, colour type)."""
    if kind != "png":
        return False
    with path.open("rb") as file:
        head = file.read(26)
    return len(head) == 26 and head[24] == 16 and head[25] in (2, 4, 6)


def _png_is_whole(path: Path) -> bool:
    """Return True if the chunks run to IEND (PNG specification, 5.3)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        place = 8
        while place + 12 <= size:
            file.seek(place)
            length, name = struct.unpack(">I4s", file.read(8))
            place += 12 + length
            if name == b"IEND":
                return bool(place <= size)
    return False


def _jpeg_is_whole(path: Path) -> bool:
    """Return True if an end-of-image marker stands in the file's last 64 KB (some cameras append data)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65536))
        return b"\xff\xd9" in file.read()


def _by_simpleitk(path: Path) -> Array:
    try:
        return np.array(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    except RuntimeError as error:
        raise UnsupportedError(f"{shown(path)}: the picture cannot be decoded ({plain(error, 120)})") from error


def _tiff(path: Path) -> tifffile.TiffFile:
    pages = _walk_tiff(path)
    try:
        tif = tifffile.TiffFile(path)
        if len(tif.pages) != pages:
            tif.close()
            raise incomplete(path, len(tif.pages), pages)
    except (tifffile.TiffFileError, ValueError, KeyError, struct.error, IndexError, TypeError) as error:
        raise InputError(f"{shown(path)}: not a valid TIFF ({plain(error, 100)}); it may be cut") from error
    return tif


def _walk_tiff(path: Path) -> int:
    """Return the number of pages, following the chain to its end (TIFF 6.0, section 2; BigTIFF)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = len(head) == 16 and struct.unpack(order + "H", head[2:4])[0] == 43
        counts, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
        if len(head) < (16 if big else 8):
            raise IncompleteFileError(f"{shown(path)}: the header is incomplete ({len(head)} bytes)")
        (place,) = struct.unpack(order + link, head[8:16] if big else head[4:8])
        seen: set[int] = set()
        while place:
            if place in seen or len(seen) > 100_000:
                raise InputError(f"{shown(path)}: its pages point at each other in a circle; the file is damaged")
            seen.add(place)
            (number,) = _at(file, path, size, place, order + counts)
            end = place + struct.calcsize(counts) + number * entry
            (place,) = _at(file, path, size, end, order + link)
    if not seen:
        raise InputError(f"{shown(path)}: a TIFF without a page")
    return len(seen)


def _at(file: BinaryIO, path: Path, size: int, place: int, form: str) -> tuple[Any, ...]:
    need = struct.calcsize(form)
    if place + need > size:
        raise IncompleteFileError(
            f"{shown(path)}: the file is incomplete (a page lies at byte {place} of {size}); copy it again"
        )
    file.seek(place)
    return struct.unpack(form, file.read(need))


def _tiff_layout(path: Path, tif: tifffile.TiffFile) -> tuple[tuple[int, ...], Axes, np.dtype[Any], Any]:
    """Return shape, axes and type of all pages as one stack, and the first page; every strip must lie in the file."""
    size = path.stat().st_size
    first = tif.pages[0]
    for number, page in enumerate(tif.pages):
        page = page.aspage() if hasattr(page, "aspage") else page
        if page.shape != first.shape or page.dtype != first.dtype:
            raise UnsupportedError(
                f"{shown(path)}: its pages differ in size or type (page 1: {first.shape}, page {number + 1}: "
                f"{page.shape}); save the wanted page on its own"
            )
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if not ends or max(ends) > size or len(page.dataoffsets) != len(page.databytecounts):
            raise incomplete(path, size, max(ends, default=size + 1))
        if page.compression == 1 and sum(page.databytecounts) < page.nbytes:
            raise incomplete(path, sum(page.databytecounts), page.nbytes)
    dtype = first.dtype
    if dtype is None or dtype.kind not in "biuf":
        raise UnsupportedError(f"{shown(path)}: pixels of type {dtype} are not read")
    samples = int(first.samplesperpixel)
    if samples > 4 or (first.ndim, samples > 1) not in ((2, False), (3, True)):
        raise UnsupportedError(f"{shown(path)}: a page of shape {first.shape} ({first.axes}) is not read")
    shape = (len(tif.pages), int(first.imagelength), int(first.imagewidth))
    colour = samples >= 3 or first.photometric == 3
    return (*shape, 3) if colour else shape, "zyxc" if colour else "zyx", np.dtype(dtype), first


def _read_tiff(path: Path, as_ids: bool, notes: list[str]) -> tuple[Array, Axes, bool]:
    with _tiff(path) as tif:
        shape, _, dtype, first = _tiff_layout(path, tif)
        check_memory(path, math.prod(shape) * dtype.itemsize)
        if int(first.compression) in _PLAIN_TIFF and int(first.predictor) == 1:
            try:
                pages = [np.asarray(page.asarray()) for page in tif.pages]
            except (ValueError, tifffile.TiffFileError, struct.error, OSError, ArithmeticError) as error:
                raise IncompleteFileError(f"{shown(path)}: a page is damaged ({plain(error, 100)})") from error
            except RuntimeError as error:
                raise UnsupportedError(f"{shown(path)}: a page cannot be decoded ({plain(error, 100)})") from error
            array = np.stack(pages)
            planar = first.axes.startswith("S")
            array = np.moveaxis(array, 1, -1) if planar else array
        else:
            array = _by_simpleitk(path)
            array = array.reshape(shape[:3] + array.shape[array.ndim - 1 :]) if first.samplesperpixel > 1 else array
            array = array.reshape(shape[:3]) if array.size == math.prod(shape[:3]) else array
            if array.shape[:3] != shape[:3]:
                raise incomplete(path, array.shape[0], shape[0])
        palette = first.photometric == 3 and first.colormap is not None and array.ndim == 3
        if palette and not as_ids:
            table = np.asarray(first.colormap)
            array = (table[:, array] >> 8).astype(np.uint8)
            array = np.moveaxis(array, 0, -1)
            notes.append("Palette colours were turned into RGB.")
        if array.ndim == 4 and array.shape[-1] in (2, 4):
            notes.append("The transparency channel was left out.")
            array = array[..., 0] if array.shape[-1] == 2 else array[..., :3]
    array = np.ascontiguousarray(array)
    return array, "zyxc" if array.ndim == 4 else "zyx", int(first.photometric) == 0
