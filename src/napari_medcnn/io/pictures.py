"""PNG, JPEG, BMP, GIF, WebP and JPEG 2000: grey, RGB, 8 and 16 bit; TIFF in `tiff`.

Pillow decodes; SimpleITK where Pillow would cut 16-bit colour to 8 bit.  Each picture class is called by name, for
the content that `sniff` found: Pillow's own search would try them all, and refuse large pictures before we may ask.
"""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from napari_medcnn.core.consent import NONE, Consent, Report
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import Axes, Volume
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.found import Item, plain, shown, stem
from napari_medcnn.io.mended import jpeg_is_whole, mended, missing_note, png_is_whole
from napari_medcnn.io.payload import check_expanded
from napari_medcnn.io.sniff import Format
from napari_medcnn.io.tiff import inspect_tiff, read_tiff

#: Text chunk in which our PNG masks carry their classes.
LABEL_CHUNK = "medcnn-labels"
#: Pillow's modes that come out with one channel.
_GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "F", "LA", "La")
_CLASSES: dict[str, Callable[[Path], Image.Image]] = {
    "png": PngImagePlugin.PngImageFile, "jpeg": JpegImagePlugin.JpegImageFile, "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile, "webp": WebPImagePlugin.WebPImageFile,
    "jpeg2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
}  # fmt: skip
_PILLOW_ERRORS = (
    OSError, ValueError, SyntaxError, struct.error, EOFError, KeyError, IndexError, TypeError,
    Image.DecompressionBombError,
)  # fmt: skip
#: A picture this large that is packed this tight is asked about, whatever memory is free.
_LARGE, _RATIO = 512_000_000, 200
#: EXIF 2.32, tag 0x0112: how the camera was held.
_TURNS = {
    2: "mirrored left to right", 3: "turned by 180°", 4: "mirrored top to bottom", 5: "mirrored and turned by 90°",
    6: "turned by 90° clockwise", 7: "mirrored and turned by 270°", 8: "turned by 90° counter-clockwise",
}  # fmt: skip


def inspect_picture(path: Path, kind: Format) -> tuple[Item, ...]:
    """Return the items of a picture file, from its header: one, or one per page or stack of a TIFF."""
    if kind == "tiff":
        return inspect_tiff(path)
    with _opened(path, kind) as image:
        grey = image.mode in _GREY_MODES or (image.mode == "P" and LABEL_CHUNK in image.info)
        shape = (1, image.height, image.width) + (() if grey else (3,))
        deep = _is_deep_colour(path, kind) or image.mode.startswith("I")
        mask = LABEL_CHUNK in image.info
        grid = Geometry.picture(image.height, image.width)
        refused, asks = [], ""
        try:
            _check_size(path, image, Consent())
        except InputError as error:
            refused, asks = [str(error)], error.asks if isinstance(error, ConsentNeededError) else ""
        report = Report((), _notes(image, kind, mask), tuple(refused), asks)  # type: ignore[arg-type]
    if not refused and ((kind == "png" and not png_is_whole(path)) or (kind == "jpeg" and not jpeg_is_whole(path))):
        words = f"{shown(path)}: the picture is incomplete or damaged; copy it again, or open it with 'damaged'"
        report = Report((), report.assumed, (words,), "damaged")
    return (
        Item(
            path.name, "labels" if mask else "picture", "zyx" if grey else "zyxc", shape,
            "uint16" if deep else "uint8", grid, "picture", title=stem(path), warnings=report.warnings, files=(path,),
            report=report, nbytes=path.stat().st_size,
        ),
    )  # fmt: skip


def read_picture(
    path: Path, kind: Format, as_ids: bool = False, consent: Consent = NONE, part: str | None = None
) -> tuple[Volume, LabelSet | None]:
    """Return a picture as depth 1 (a multi-page TIFF as a stack), and the classes a mask of ours carries.

    Parameters
    ----------
    as_ids
        Keep palette numbers instead of their colours: for masks.
    part
        "page-3" of a TIFF whose pages differ.

    Raises
    ------
    ConsentNeededError
        Cut or damaged with something left ("damaged"); it expands beyond what is opened unasked ("large").
    InputError
        Nothing is left, larger than the free memory, or of a kind that is not read.
    """
    if kind == "tiff":
        return read_tiff(path, as_ids, consent, part), None
    with _opened(path, kind) as image:
        _check_size(path, image, consent)
        labels = _own_labels(path, image)
        notes = list(_notes(image, kind, as_ids or labels is not None))
        try:
            flat = _decoded(path, kind, image, as_ids or labels is not None)
        except IncompleteFileError as error:
            left = mended(path, kind)
            if left is None:
                raise
            if not consent.damaged:
                raise ConsentNeededError(
                    f"{shown(path)}: the picture is incomplete or damaged: {left[1]}; copy it again from its source, "
                    "or open it with 'damaged' to look at the rest",
                    asks="damaged",
                ) from error
            flat = _array_of(left[0], kind, as_ids or labels is not None)
            notes.append(missing_note(left[1]))
    axes: Axes = "zyxc" if flat.ndim == 3 else "zyx"
    grid = Geometry.picture(flat.shape[0], flat.shape[1])
    report = Report((), tuple(notes))
    volume = Volume(
        flat[np.newaxis], grid, axes, stem(path), "picture", notes=report.warnings, report=report,
    )  # fmt: skip
    return volume, labels


def _opened(path: Path, kind: str) -> Image.Image:
    """Open lazily: no pixel is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _CLASSES[kind](path)
    except _PILLOW_ERRORS as error:
        raise InputError(
            f"{shown(path)}: the picture cannot be read ({plain(error, 100)}); it may be cut or damaged"
        ) from error


def _check_size(path: Path, image: Image.Image, consent: Consent) -> None:
    wide = 2 if image.mode.startswith("I") else 1
    need = image.width * image.height * (1 if image.mode in _GREY_MODES else 3) * wide
    check_expanded(path, need, consent, need > _LARGE and need > _RATIO * path.stat().st_size)


def _notes(image: Image.Image, kind: str, as_ids: bool) -> tuple[str, ...]:
    """Return what will be changed or left out, from the header alone."""
    notes: list[str] = []
    mode = image.mode
    if mode in ("LA", "La", "RGBA", "RGBa", "RGBX", "PA"):
        notes.append("The transparency channel was left out.")
    if mode == "P" and not as_ids:
        notes.append("Palette colours were turned into RGB.")
    elif mode not in ("1", "L", "F", "P", "RGB", "LA", "La", "RGBA", "RGBa", "RGBX") and not mode.startswith("I"):
        notes.append(f"Colours were turned from {plain(mode, 10)} into RGB.")
    try:
        turn = _TURNS.get(int(image.getexif().get(0x0112, 1)))
        pictures = int(getattr(image, "n_frames", 1)) if kind in ("gif", "webp", "png") else 1
    except _PILLOW_ERRORS:
        turn, pictures = None, 1
    if turn is not None:
        notes.append(f"The camera marked this picture as {turn}; it is shown as stored.")
    if pictures > 1:
        notes.append(f"The file holds {pictures} pictures; the first is shown.")
    return tuple(notes)


def _decoded(path: Path, kind: str, image: Image.Image, as_ids: bool) -> Array:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except _PILLOW_ERRORS as error:
        raise IncompleteFileError(
            f"{shown(path)}: the picture is incomplete or damaged ({plain(error, 100)}); copy it again from its source"
        ) from error
    if (kind == "png" and not png_is_whole(path)) or (kind == "jpeg" and not jpeg_is_whole(path)):
        raise IncompleteFileError(f"{shown(path)}: the picture is incomplete (its end is missing); copy it again")
    if _is_deep_colour(path, kind):
        array = _by_simpleitk(path)
        if array.ndim == 3 and array.shape[-1] in (2, 4):
            array = array[..., 0] if array.shape[-1] == 2 else array[..., :3]
        return np.ascontiguousarray(array)
    return _array_of(image, kind, as_ids)


def _array_of(image: Image.Image, kind: str, as_ids: bool) -> Array:
    """Return (y, x) or (y, x, 3) of a loaded picture."""
    mode = image.mode
    if mode == "1":
        return np.asarray(image).astype(np.uint8)
    if mode in ("L", "F") or (mode == "P" and as_ids):
        return np.array(image)
    if mode.startswith("I"):
        wide = np.array(image)
        return wide.astype(np.uint16) if kind == "png" or mode.startswith("I;16") else wide
    if mode in ("LA", "La"):
        return np.array(image.convert("LA"))[..., 0].copy()
    if mode in ("RGBA", "RGBa", "RGBX"):
        return np.array(image)[..., :3].copy()
    return np.array(image.convert("RGB"))


def _own_labels(path: Path, image: Image.Image) -> LabelSet | None:
    text = image.info.get(LABEL_CHUNK)
    if not isinstance(text, str):
        return None
    try:
        return LabelSet.from_json(json.loads(text))
    except ValueError as error:
        raise InputError(f"{shown(path)}: its class names are damaged ({plain(error)})") from error


def _is_deep_colour(path: Path, kind: str) -> bool:
    """Return True for a PNG of 16 bits with colour or transparency (IHDR: bit depth, colour type)."""
    if kind != "png":
        return False
    with path.open("rb") as file:
        head = file.read(26)
    return len(head) == 26 and head[24] == 16 and head[25] in (2, 4, 6)


def _by_simpleitk(path: Path) -> Array:
    try:
        return np.array(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    except RuntimeError as error:
        raise UnsupportedError(f"{shown(path)}: the picture cannot be decoded ({plain(error, 120)})") from error
