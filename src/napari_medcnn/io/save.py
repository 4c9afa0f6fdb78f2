"""One way out: every file is written beside its target, read back, compared, and only then put in place.

Masks carry their class names in the file itself: NIfTI as JSON in a header extension (code 6), NRRD in the field
``medcnn``, .seg.nrrd as 3D Slicer's segments, MetaImage in ``medcnn_label_<id>`` lines, PNG in a text chunk beside its
palette, COCO-style JSON among its categories.  Nothing of a patient, and no file name, is written into a header.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import default_colour
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import SaveError
from napari_medcnn.io import encode
from napari_medcnn.io.atomic import atomic_write
from napari_medcnn.io.coco import coco_of
from napari_medcnn.io.file_state import FileState, check_unchanged
from napari_medcnn.io.found import shown
from napari_medcnn.io.pictures import LABEL_CHUNK
from napari_medcnn.io.read import named, read_labels, read_volume

_AFFINE_TOLERANCE_MM = 1e-4
_VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
_LABEL_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".png", ".json")


def save_labels(mask: LabelMap, path: Path | str, seen: FileState | None = None) -> None:
    """Write a mask; the suffix of `path` decides: .nii.gz, .nii, .seg.nrrd, .nrrd, .mha; of pictures .png, .json.

    A DICOM segmentation needs its series: `io.dicom.seg_out.save_seg`.  JSON is as COCO has it.
    Every id present gets a name.  A PNG is indexed-colour: pixel value = class id, up to 255.

    Parameters
    ----------
    seen
        How the file was when it was opened or last saved: if it is not so any more, it is not written over.

    Raises
    ------
    ChangedOnDiskError
        Another program wrote to the file since it was `seen`.
    SaveError
        The suffix is not written, the mask does not fit the format, or the disk failed; the old file is intact.
    """
    path = Path(path)
    check_unchanged(path, seen)
    suffix = _suffix(path, _LABEL_SUFFIXES)
    ids = _narrow(path, mask.array)
    labels = named(mask.labels, ids)
    whole = LabelMap(ids, mask.geometry, labels)
    if suffix == ".png":
        _check_png(path, whole)
        writer: Callable[[BinaryIO], None] = lambda file: _png(file, whole)  # noqa: E731
    elif suffix == ".json":
        _check_flat(path, whole, "COCO-style JSON file")
        text = json.dumps(coco_of(whole, path.name[: -len(suffix)]), ensure_ascii=False)
        writer = lambda file: _write_all(file, text.encode("utf-8"))  # noqa: E731
    else:
        record = encode.Record("zyx", mask.geometry, labels)
        writer = lambda file: encode.write(file, suffix, ids, record)  # noqa: E731

    def verify(temporary: Path) -> None:
        back = read_labels(temporary)
        if not np.array_equal(back.array, ids):
            raise SaveError(f"{shown(path)}: not saved, the voxels read back differ; the old file is unchanged")
        if back.labels.to_json() != labels.to_json() and not _only_codes_differ(back, whole, suffix):
            raise SaveError(f"{shown(path)}: not saved, the class names read back differ; the old file is unchanged")
        _same_place(path, back.geometry, mask.geometry)
        check_unchanged(path, seen)  # once more, right before the rename

    _commit(path, writer, verify)


def save_volume(volume: Volume, path: Path | str) -> None:
    """Write an image as .nii.gz, .nii, .nrrd or .mha, values and type as they are (bool becomes uint8).

    Raises
    ------
    SaveError
        As `save_labels`.
    """
    path = Path(path)
    suffix = _suffix(path, _VOLUME_SUFFIXES)
    array = volume.array
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype.kind == "c" and suffix in (".nrrd", ".mha"):
        raise SaveError(f"{shown(path)}: complex numbers are written as NIfTI only; choose .nii.gz")
    record = encode.Record(volume.axes, volume.geometry, None, volume.frame_values)

    def verify(temporary: Path) -> None:
        back = read_volume(temporary)
        shape = back.array.shape == array.shape or back.array.size == array.size
        if not shape or not np.array_equal(back.array.reshape(array.shape), array, equal_nan=array.dtype.kind in "fc"):
            raise SaveError(f"{shown(path)}: not saved, the voxels read back differ; the old file is unchanged")
        _same_place(path, back.geometry, volume.geometry)

    _commit(path, lambda file: encode.write(file, suffix, array, record), verify)


def save_text(text: str, path: Path | str) -> None:
    """Write text as UTF-8, line ends as they are; errors as `save_labels`."""
    data = text.encode("utf-8")

    def verify(temporary: Path) -> None:
        if temporary.read_bytes() != data:
            raise SaveError(f"{shown(Path(path))}: not saved, the text read back differs; the old file is unchanged")

    _commit(Path(path), lambda file: _write_all(file, data), verify)


def save_json(data: Any, path: Path | str) -> None:
    """Write plain data as JSON (numbers with a point, NaN refused); errors as `save_labels`."""
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise SaveError(f"{shown(Path(path))}: not saved, this cannot be written as JSON ({error})") from error
    save_text(text, path)


def _write_all(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _commit(path: Path, writer: Callable[[BinaryIO], None], verify: Callable[[Path], None]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            writer(file)

    atomic_write(path, write, verify)


def _suffix(path: Path, allowed: tuple[str, ...]) -> str:
    """Return the longest allowed suffix of a name."""
    name = path.name.lower()
    for suffix in sorted(allowed, key=len, reverse=True):
        if name.endswith(suffix) and len(name) > len(suffix):
            return suffix
    raise SaveError(f"{shown(path)}: expected a name that ends in {', '.join(allowed)}; choose one of them")


def _narrow(path: Path, array: Array) -> Array:
    """Return ids as uint8 while all fit, else uint16."""
    high = int(array.max()) if array.size else 0
    if high > 65535:
        raise SaveError(f"{shown(path)}: expected class ids up to 65535, got {high}")
    return np.ascontiguousarray(array, dtype=np.uint8 if high <= 255 else np.uint16)


def _only_codes_differ(back: LabelMap, meant: LabelMap, suffix: str) -> bool:
    """.seg.nrrd written by others has no place for our codes; everything else must be equal."""
    same = [replace(x, code=None) for x in back.labels] == [replace(x, code=None) for x in meant.labels]
    return suffix == ".seg.nrrd" and same


def _same_place(path: Path, back: Geometry, meant: Geometry) -> None:
    """Raise `SaveError` unless the grid read back is the one meant, to 1e-4 mm."""
    known = (back.spacing_known, back.orientation_known) == (meant.spacing_known, meant.orientation_known)
    near = np.abs(back.affine_lps - meant.affine_lps).max() <= _AFFINE_TOLERANCE_MM * max(
        1.0, float(np.abs(meant.origin_lps).max()) * 1e-3
    )
    if not meant.orientation_known:  # such a file states lengths only
        near = (
            bool(np.allclose(back.spacing_mm, meant.spacing_mm, atol=_AFFINE_TOLERANCE_MM)) or not meant.spacing_known
        )
    if back.shape != meant.shape or not known or not near:
        raise SaveError(
            f"{shown(path)}: not saved, the position or voxel size read back differs; the old file is unchanged"
        )


def _check_png(path: Path, mask: LabelMap) -> None:
    _check_flat(path, mask, "PNG")
    if mask.array.dtype != np.uint8 or (mask.labels.ids and mask.labels.ids[-1] > 255):
        raise SaveError(f"{shown(path)}: an indexed PNG holds class ids up to 255; choose .nii.gz or .seg.nrrd")


def _check_flat(path: Path, mask: LabelMap, what: str) -> None:
    if mask.geometry.shape[0] != 1:
        raise SaveError(
            f"{shown(path)}: a {what} holds one slice, this mask has {mask.geometry.shape[0]}; choose .nii.gz or "
            ".seg.nrrd"
        )
    if mask.geometry.spacing_known or mask.geometry.orientation_known:
        raise SaveError(
            f"{shown(path)}: a {what} cannot hold the position and voxel size of this mask; choose .nii.gz or .seg.nrrd"
        )


def _png(file: BinaryIO, mask: LabelMap) -> None:
    image = Image.fromarray(np.ascontiguousarray(mask.array[0]))
    palette = [0, 0, 0]
    for label_id in range(1, 256):
        palette += list(mask.labels.by_id(label_id).colour if label_id in mask.labels else default_colour(label_id))
    image.putpalette(palette, "RGB")
    info = PngImagePlugin.PngInfo()
    info.add_text(LABEL_CHUNK, json.dumps(mask.labels.to_json()), zip=True)
    image.save(file, "PNG", pnginfo=info, optimize=False)
