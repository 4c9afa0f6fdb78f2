"""NIfTI, NRRD, MetaImage and pictures by other people's readers, or by a few lines straight from the format's text.

Each returns `Other`: values in our order ([t,] z, y, x [, c]) and, where stated, index (x, y, z, 1) to LPS mm.
"""

from __future__ import annotations

import bz2
import gzip
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk
import tifffile
from PIL import Image
from pydicom.dataset import Dataset

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass
class Other:
    """`affine` is None where the file does not state where left is; `spacing` (z, y, x) then may still be known."""

    values: np.ndarray
    affine: np.ndarray | None
    reader: str
    spacing: tuple[float, ...] | None = None
    sheared: bool = False
    mean: bool = False

    pages: list[np.ndarray | None] | None = None

    def layer(self, number: int, count: int) -> Other:
        """Return one of several items: a page of its own size, or one along the last axis."""
        if count == 1:
            return self
        if self.pages is not None:
            return replace(self, values=self.pages[number][None])
        return replace(self, values=self.values[..., number] if self.values.ndim == 4 else self.values)


def nifti(path: Path) -> Other:
    """By nibabel: scaled values, the affine that nibabel takes, unknown where both codes are 0."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    for kind in (nib.Nifti1Pair if path.suffix == ".hdr" else nib.Nifti1Image, nib.Nifti2Image):
        try:
            image = kind.from_filename(path) if path.suffix == ".hdr" else kind.from_bytes(raw)
            break
        except Exception as error:
            problem = error
    else:
        raise problem
    values = np.asarray(image.dataobj)
    if values.dtype.names:
        values = np.stack([values[n] for n in values.dtype.names], axis=-1)
        order = [*range(values.ndim - 2, -1, -1), values.ndim - 1]
        values = values.transpose(order)
    else:
        while values.ndim > 3 and values.shape[-1] == 1:
            values = values[..., 0]
        values = values.transpose()
    while values.ndim < 3:
        values = values[None]
    header = image.header
    coded = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    affine = LPS @ image.affine
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    sheared = bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4)
    zooms = [float(z) for z in header.get_zooms()[:3]]
    return Other(values, affine if coded else None, "nibabel", tuple(zooms[::-1]), sheared)


def nrrd_file(path: Path) -> Other:
    """By pynrrd."""
    values, header = nrrd.read(str(path))
    directions, origin = header.get("space directions"), header.get("space origin")
    affine = None
    if directions is not None and "space" in header:
        rows = np.array([d for d in np.atleast_2d(np.asarray(directions, float)) if np.all(np.isfinite(d))])
        if rows.shape == (3, 3):
            flip = {"left-posterior-superior": (1, 1, 1), "right-anterior-superior": (-1, -1, 1),
                    "left-anterior-superior": (1, -1, 1)}.get(str(header["space"]).lower())  # fmt: skip
            if flip:
                affine = np.eye(4)
                affine[:3, :3] = np.diag(flip) @ rows.T
                affine[:3, 3] = np.array(flip) * (np.zeros(3) if origin is None else np.asarray(origin, float))
    spacing = header.get("spacings")
    spacing = tuple(float(s) for s in spacing[::-1]) if spacing is not None and np.all(np.isfinite(spacing)) else None
    return Other(values.transpose(), affine, "pynrrd", spacing)


_META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
}  # fmt: skip


def metaimage(path: Path) -> Other:
    """By the text of the format: key = value lines, then raw or zlib data here or in a file beside."""
    raw = path.read_bytes()
    header: dict[str, str] = {}
    at = 0
    while "ElementDataFile" not in header:
        end = raw.index(b"\n", at)
        key, _, value = raw[at:end].decode("latin-1").partition("=")
        header[key.strip()] = value.strip()
        at = end + 1
    local = header["ElementDataFile"].upper() == "LOCAL"
    body = raw[at:] if local else (path.parent / header["ElementDataFile"]).read_bytes()
    if header.get("CompressedData", "False").lower() == "true":
        body = zlib.decompress(body)
    big = header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False")).lower() == "true"
    size = [int(v) for v in header["DimSize"].split()]
    channels = int(header.get("ElementNumberOfChannels", 1))
    shape = [*size[::-1], *([channels] if channels > 1 else [])]
    dtype = np.dtype(_META_TYPES[header["ElementType"]]).newbyteorder(">" if big else "<")
    values = np.frombuffer(body, dtype, int(np.prod(shape))).reshape(shape)
    n = len(size)
    spacing = next((header[k] for k in ("ElementSpacing", "ElementSize") if k in header), None)
    steps = np.array([float(v) for v in spacing.split()]) if spacing else None
    matrix = next((header[k] for k in ("TransformMatrix", "Rotation", "Orientation") if k in header), None)
    offset = next((header[k] for k in ("Offset", "Position", "Origin") if k in header), None)
    affine = None
    if matrix and n >= 3:
        turned = np.array([float(v) for v in matrix.split()]).reshape(n, n)[:3, :3]  # a row for each index axis
        affine = np.eye(4)
        affine[:3, :3] = turned.T * (steps[:3] if steps is not None else 1.0)
        affine[:3, 3] = [float(v) for v in offset.split()][:3] if offset else 0
    return Other(values, affine, "MetaImage text", tuple(steps[2::-1]) if steps is not None and n >= 3 else None)


def mgh(path: Path) -> Other:
    """By nibabel."""
    image = nib.MGHImage.from_filename(path)
    values = np.asarray(image.dataobj).transpose()
    affine = LPS @ image.affine
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return Other(values, affine, "nibabel", sheared=bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4))


_GIPL_TYPES = {7: "i1", 8: "u1", 15: "i2", 16: "u2", 31: "u4", 32: "i4", 64: "f4", 65: "f8"}


def gipl(path: Path) -> Other:
    """By the text of the format: 256 bytes of big-endian header, then the voxels."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    size = np.frombuffer(raw, ">u2", 4)
    dtype = np.dtype(_GIPL_TYPES[int(np.frombuffer(raw, ">u2", 1, 8)[0])]).newbyteorder(">")
    spacing = np.frombuffer(raw, ">f4", 4, 10)
    shape = [int(n) for n in size[:3][::-1]]
    values = np.frombuffer(raw, dtype, int(np.prod(shape)), 256).reshape(shape)
    return Other(values, None, "GIPL text", tuple(float(s) for s in spacing[:3][::-1]))


def _tiff_pages(path: Path) -> list[np.ndarray | None]:
    """Return the pages by tifffile, by Pillow where tifffile has no codec, None for what neither decodes."""
    out: list[np.ndarray | None] = []
    with tifffile.TiffFile(path) as tif, Image.open(path) as image:
        for number, page in enumerate(tif.pages):
            try:
                out.append(page.asarray())
            except ValueError:
                try:
                    image.seek(number)
                    out.append(np.array(image))
                except (OSError, EOFError):
                    out.append(None)
    return out


def picture(path: Path) -> Other:
    """By SimpleITK for PNG (libpng) and JPEG, by tifffile and Pillow for TIFF and what SimpleITK refuses."""
    head = path.read_bytes()[:4]
    if head[:2] in (b"II", b"MM"):
        pages = _tiff_pages(path)
        first = next(p for p in pages if p is not None)
        same = all(p is not None and p.shape == first.shape for p in pages)
        return Other(np.stack(pages) if same else first[None], None, "tifffile", pages=pages)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[None]
    except RuntimeError:
        with warnings.catch_warnings(), Image.open(path) as image:
            return Other(np.asarray(image)[None], None, "Pillow")
    if head == b"\x89PNG" and path.read_bytes()[24] == 1:
        values = values // 255  # SimpleITK shows a bit as 0 or 255
    # Decoders of JPEG differ in how they widen colours, at edges by tens; on average by less than one.
    return Other(values, None, "SimpleITK", mean=head[:2] == b"\xff\xd8")


def unpacked(path: Path) -> bytes:
    """Return the bytes of a file, gzip or bzip2 undone: what an archive of one file holds."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        return gzip.decompress(raw)
    return bz2.decompress(raw) if raw[:3] == b"BZh" else raw


_MAGIC = (
    (b"NRRD", nrrd_file),
    (b"\x89PNG", picture),
    (b"\xff\xd8", picture),
    (b"II*\0", picture),
    (b"MM\0*", picture),
    (b"II+\0", picture),
)


def kind_of(path: Path):
    """Return the reader for a file by its name and first bytes, None for DICOM and what no reader here knows."""
    name, head = path.name.lower(), path.read_bytes()[:132]
    if head[128:] == b"DICM":  # a picture's or TIFF's marks may stand in the preamble before it
        return None
    for magic, reader in _MAGIC:
        if head.startswith(magic):
            return reader
    for suffixes, reader in (
        ((".nii", ".nii.gz", ".hdr"), nifti), ((".mhd", ".mha"), metaimage), ((".gipl", ".gipl.gz"), gipl),
        ((".mgz", ".mgh"), mgh),
    ):  # fmt: skip
        if name.endswith(suffixes):
            return reader
    return None


def looks_dicom(path: Path) -> bool:
    """Return True for what may be DICOM: nothing else it is, judged by name and first bytes."""
    name = path.name.lower()
    return kind_of(path) is None and not name.endswith((
        ".zip", ".tar", ".gz", ".json", ".txt", ".par", ".rec", ".mnc", ".brik.gz", ".head", ".raw", ".zraw",
        ".npz", ".label",
    ))  # fmt: skip


def other(path: Path) -> Other:
    """Read with the reader for this file."""
    reader = kind_of(path)
    if reader is None:
        raise ValueError("no reader here")
    return reader(path)


def listed(path: Path, data: Dataset) -> list[Path]:
    """Return the files that a DICOMDIR's records name, inside its folder."""
    out = []
    for record in data.get("DirectoryRecordSequence") or []:
        name = record.get("ReferencedFileID")
        if name:
            out.append(path.parent.joinpath(*([name] if isinstance(name, str) else list(name))))
    return out
