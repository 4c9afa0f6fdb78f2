"""Arrays as NIfTI, NRRD and MetaImage streams.  Only `save` calls these: nothing here makes a file safe."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np

from napari_medcnn.core.geometry import Array, Geometry, ras_to_lps
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import Axes
from napari_medcnn.errors import SaveError
from napari_medcnn.io.layerdata import voxel_counts

#: Fast and within a few per cent of the size of the slowest level on scans.
_LEVEL = 4
_CHUNK = 8 << 20
#: The tag of a segment that says how far it is, and its value where nothing is left to draw, as 3D Slicer spells them.
STATUS, FINISHED = "Segmentation.Status", "completed"
_NRRD_TYPES = {
    "i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32", "i8": "int64",
    "u8": "uint64", "f4": "float", "f8": "double",
}  # fmt: skip
_META_TYPES = {
    "i1": "MET_CHAR", "u1": "MET_UCHAR", "i2": "MET_SHORT", "u2": "MET_USHORT", "i4": "MET_INT", "u4": "MET_UINT",
    "i8": "MET_LONG_LONG", "u8": "MET_ULONG_LONG", "f4": "MET_FLOAT", "f8": "MET_DOUBLE",
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """What a header must say of an array: axes, grid, classes (None for a scan), times of frames."""

    axes: Axes
    geometry: Geometry
    labels: LabelSet | None = None
    frame_values: tuple[float, ...] = ()

    def note(self) -> str:
        """Return our record for a header as JSON in ASCII (read by `nifti_header.note_of`), "" if not needed."""
        note: dict[str, Any] = {"medcnn": 1}
        if self.labels is not None:
            note["labels"] = self.labels.to_json()
        if not self.geometry.spacing_known:
            note["spacing_known"] = False
        return json.dumps(note) if len(note) > 1 else ""


def write(file: BinaryIO, suffix: str, array: Array, record: Record) -> None:
    """Write `array` in the format of `suffix` (.nii, .nii.gz, .nrrd, .seg.nrrd, .mha)."""
    if suffix == ".nii.gz":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
            _nifti(packed, array, record)  # type: ignore[arg-type]
    elif suffix == ".nii":
        _nifti(file, array, record)
    elif suffix in (".nrrd", ".seg.nrrd"):
        _nrrd(file, array, record, segments=suffix == ".seg.nrrd")
    else:
        _metaimage(file, array, record)


def _nifti(file: BinaryIO, array: Array, record: Record) -> None:
    """Write NIfTI-1, or NIfTI-2 where a size does not fit (nifti1.h: dim is int16)."""
    voxels = array
    if record.axes.endswith("c"):
        voxels = np.moveaxis(voxels, -1, 0)  # vectors are the slowest axis
        if record.axes == "zyxc":
            voxels = voxels[:, np.newaxis]
    kind = nib.Nifti2Image if max(array.shape) > 32767 else nib.Nifti1Image
    grid = record.geometry
    image = kind(voxels.T, ras_to_lps(grid.affine_lps), dtype=voxels.dtype)
    header = image.header
    code = 1 if grid.orientation_known else 0
    image.set_sform(image.affine if code else None, code)
    image.set_qform(image.affine if code else None, code)
    steps = [float(s) for s in grid.spacing_mm[::-1]] + [1.0] * (voxels.ndim - 3)
    if len(record.frame_values) > 1 and record.axes.startswith("t"):
        steps[3] = max(float(record.frame_values[1] - record.frame_values[0]), 0.0) or 1.0
    header.set_zooms(steps[: voxels.ndim])
    header.set_xyzt_units("mm" if grid.spacing_known else "unknown", "sec" if record.frame_values else "unknown")
    if record.axes.endswith("c"):
        header["intent_code"] = 1007  # NIFTI_INTENT_VECTOR
    if record.labels is not None:
        header["intent_code"] = 1002  # NIFTI_INTENT_LABEL
    if note := record.note():
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", note.encode("ascii")))
    image.file_map["image"].fileobj = file
    image.to_file_map()


def _nrrd(file: BinaryIO, array: Array, record: Record, segments: bool) -> None:
    code = array.dtype.newbyteorder("=").str[1:]
    if code not in _NRRD_TYPES:
        raise SaveError(f"NRRD cannot hold voxels of type {array.dtype}; choose .nii.gz")
    grid = record.geometry
    kinds = {"z": "domain", "y": "domain", "x": "domain", "t": "time", "c": "vector"}
    lines = ["NRRD0005", f"type: {_NRRD_TYPES[code]}", f"dimension: {array.ndim}"]
    order = record.axes[::-1]  # the file lists the fastest axis first
    if grid.orientation_known:
        lines.append("space: left-posterior-superior")
        columns = grid.affine_lps[:3, :3]
        vector = {a: "(" + ",".join(f"{v:.17g}" for v in columns[:, k]) + ")" for k, a in enumerate("xyz")}
        directions = " ".join(vector.get(a, "none") for a in order)
        origin = ",".join(f"{v:.17g}" for v in grid.origin_lps)
        placed = [f"space directions: {directions}", f"space origin: ({origin})"]
    else:
        steps = dict(zip("zyx", grid.spacing_mm, strict=True)) if grid.spacing_known else {}
        placed = ["spacings: " + " ".join(f"{steps[a]:.17g}" if a in steps else "nan" for a in order)]
    lines.append("sizes: " + " ".join(str(n) for n in array.shape[::-1]))
    lines += placed
    lines += ["kinds: " + " ".join(kinds[a] for a in order), "endian: little", "encoding: gzip"]
    if note := record.note():
        lines.append("medcnn:=" + note.replace("\\", "\\\\"))
    if segments and record.labels is not None:
        lines += _segments(array, record.labels)
    file.write(("\n".join(lines) + "\n\n").encode("utf-8"))
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
        for block in _bytes(array):
            packed.write(block)


def _segments(array: Array, labels: LabelSet) -> list[str]:
    """Return Slicer's segment fields; the extent is x, y, z first and last index, the whole image for an empty one."""
    lines = [
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    extent = " ".join(f"0 {n - 1}" for n in array.shape[::-1])
    drawn = voxel_counts(array)
    for number, label in enumerate(labels):
        colour = " ".join(f"{c / 255:.6f}" for c in label.colour)
        name = label.name.replace("\\", "\\\\")
        state = FINISHED if label.finished else "inprogress" if label.id in drawn else "notstarted"
        for key, value in (
            ("Color", colour), ("ColorAutoGenerated", "0"), ("Extent", extent), ("ID", f"Segment_{label.id}"),
            ("LabelValue", str(label.id)), ("Layer", "0"), ("Name", name), ("NameAutoGenerated", "0"),
            ("Tags", f"{STATUS}:{state}|"),
        ):  # fmt: skip
            lines.append(f"Segment{number}_{key}:={value}")
    return lines


def _metaimage(file: BinaryIO, array: Array, record: Record) -> None:
    code = array.dtype.newbyteorder("=").str[1:]
    if code not in _META_TYPES:
        raise SaveError(f"MetaImage cannot hold voxels of type {array.dtype}; choose .nii.gz")
    grid = record.geometry
    frames = record.axes.startswith("t")
    size = 4 if frames else 3
    matrix, offset, steps = np.eye(size), np.zeros(size), np.ones(size)
    matrix[:3, :3], offset[:3], steps[:3] = grid.direction.T, grid.origin_lps, grid.spacing_mm[::-1]
    packed = zlib.compressobj(_LEVEL)
    data = b"".join([*(packed.compress(block) for block in _bytes(array)), packed.flush()])
    shape = array.shape[:-1] if record.axes.endswith("c") else array.shape
    lines = [
        "ObjectType = Image",
        f"NDims = {size}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {len(data)}",
        "TransformMatrix = " + " ".join(f"{v:.17g}" for v in matrix.ravel()),
        "Offset = " + " ".join(f"{v:.17g}" for v in offset),
        "CenterOfRotation = " + " ".join(["0"] * size),
        "ElementSpacing = " + " ".join(f"{v:.17g}" for v in steps),
        "DimSize = " + " ".join(str(n) for n in shape[::-1]),
    ]
    if record.axes.endswith("c"):
        lines.append(f"ElementNumberOfChannels = {array.shape[-1]}")
    if not grid.spacing_known:
        lines.append("medcnn_spacing_known = 0")
    if not grid.orientation_known:
        lines.append("medcnn_orientation_known = 0")
    if record.labels is not None:
        lines.append("medcnn_kind = labels")
        lines += [
            f"medcnn_label_{item['id']} = {json.dumps(item, ensure_ascii=False)}" for item in record.labels.to_json()
        ]
    lines += [f"ElementType = {_META_TYPES[code]}", "ElementDataFile = LOCAL"]
    file.write(("\n".join(lines) + "\n").encode("utf-8"))
    file.write(data)


def _bytes(array: Array) -> Any:
    """Yield the little-endian bytes of an array in C order, in blocks."""
    flat = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    for start in range(0, flat.size, _CHUNK):
        yield flat[start : start + _CHUNK].tobytes()
