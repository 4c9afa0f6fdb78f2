"""Which format a file is, from its content; names and extensions are never believed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

from napari_medcnn.errors import InputError
from napari_medcnn.io.found import shown
from napari_medcnn.io.inflate import first_bytes

Format = Literal[
    "nifti",
    "nrrd",
    "metaimage",
    "mgh",
    "gipl",
    "dicom",
    "png",
    "jpeg",
    "tiff",
    "bmp",
    "gif",
    "webp",
    "jpeg2000",
    "coco",
]

#: What we can name and do not read, by how the content begins, and what opens it.
_KNOWN_OTHERS = (
    (b"\x89HDF", "an HDF5 file (MINC-2, Keras .h5 or other); convert MINC with mnc2nii of the MINC toolkit"),
    (b"CDF", "a MINC-1 (NetCDF) file; convert it with mnc2nii of the MINC toolkit"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive; unpack it first; a model package is opened from the AI tab"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"# === DATA DESCRIPTION FILE", "a Philips PAR file; convert it with dcm2niix or nibabel's parrec2nii"),
    (b"type  = ", "an AFNI header; convert it with 3dAFNItoNIFTI"),
    (b"\ntype  = ", "an AFNI header; convert it with 3dAFNItoNIFTI"),
    (b"\ntype = ", "an AFNI header; convert it with 3dAFNItoNIFTI"),
    (b"RIFF", "a sound or a film"),
)
#: Voxels that another file describes: suffix and those of the header beside it.
_VOXELS_OF = {
    ".img": (".hdr", ".HDR"), ".raw": (".mhd", ".nhdr"), ".zraw": (".mhd",), ".rec": (".PAR", ".par"),
    ".brik": (".HEAD",),
}  # fmt: skip
_GIPL_MAGIC = (b"\xef\xff\xe9\xb0", b"\x2a\xe3\x89\xb8")


def head_of(path: Path, count: int = 1024) -> bytes:
    """Return the first bytes, inflated where the file is gzip (a header that is itself cut gives what is there).

    Raises
    ------
    InputError
        The file is missing, empty, a folder, or cannot be read.
    """
    try:
        if not path.is_file():
            there = "a folder" if path.is_dir() else "nothing there"
            raise InputError(f"{shown(path)}: expected a file, got {there}; check the path")
        with path.open("rb") as file:
            raw = file.read(count)
    except OSError as error:
        raise InputError(
            f"{shown(path)}: cannot be read ({error.strerror or error}); check the path and your rights"
        ) from error
    if not raw:
        raise InputError(f"{shown(path)}: the file is empty (0 bytes); copy it again from its source")
    if raw[:2] == b"\x1f\x8b":
        return first_bytes(path, count)
    return raw[:count]


def is_gzip(path: Path) -> bool:
    """Return True if the file begins as gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def sniff(path: Path) -> Format | None:
    """Return the format of a file, None for content that is nothing we read (`describe_unknown` says what it is).

    Raises
    ------
    InputError
        The file is missing, empty or unreadable.
    """
    head = head_of(path)
    if head[128:132] == b"DICM":  # its preamble may begin like any other format
        return "dicom"
    if is_nifti(head) or _is_analyze(head):
        return "nifti"
    if head[:4] == b"NRRD":
        return "nrrd"
    if _is_bare_dicom(head):
        return "dicom"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return _rarer(head)


def _rarer(head: bytes) -> Format | None:
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:12] == b"\x00\x00\x00\x0cjP  \r\n\x87\n" or head[:4] == b"\xff\x4f\xff\x51":
        return "jpeg2000"
    if head[252:256] in _GIPL_MAGIC:
        return "gipl"
    if _is_mgh(head):
        return "mgh"
    if _is_coco(head):
        return "coco"
    return "metaimage" if _is_metaimage(head) else None


def _is_coco(head: bytes) -> bool:
    """Return True for JSON that begins with a list of COCO's: masks of pictures."""
    begin = head.lstrip()
    return begin[:1] == b"{" and any(key in begin for key in (b'"images"', b'"annotations"', b'"categories"'))


def _is_mgh(head: bytes) -> bool:
    """Return True for version 1, four believable sizes and a known type: MGH has no magic of its own."""
    if head[:4] != b"\0\0\0\1" or len(head) < 30:
        return False
    *sizes, kind = struct.unpack(">5i", head[4:24])
    return all(0 <= n < 1 << 16 for n in sizes) and kind in (0, 1, 3, 4, 10)


def is_nifti(head: bytes) -> bool:
    """Return True for the magic of NIfTI-1 or NIfTI-2, single file or pair, in either byte order."""
    return head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2")


def _is_analyze(head: bytes) -> bool:
    return len(head) >= 348 and head[:4] in (struct.pack("<i", 348), struct.pack(">i", 348)) and not is_nifti(head)


def _is_metaimage(head: bytes) -> bool:
    keys = {line.split(b"=", 1)[0].strip() for line in head.split(b"\n") if b"=" in line}
    return b"NDims" in keys and bool(keys & {b"ObjectType", b"DimSize", b"ElementType", b"BinaryData"})


def _is_bare_dicom(head: bytes) -> bool:
    """Return True for DICOM without a preamble: a first tag of group 0002 or 0008 with a believable length."""
    if len(head) < 16:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    order = ">" if explicit and head[0] == 0 and head[1] in (2, 8) else "<"  # big endian is always explicit
    group, element = struct.unpack(f"{order}HH", head[:4])
    if group not in (2, 8) or element > 0x2000:
        return False
    return explicit or struct.unpack("<I", head[4:8])[0] < 256


def describe_unknown(path: Path) -> str:
    """Return in words what an unreadable file seems to be."""
    head = head_of(path)
    for magic, words in _KNOWN_OTHERS:
        if head.startswith(magic):
            return words
    if head[257:262] == b"ustar":
        return "a TAR archive; unpack it first"
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    for suffix in _VOXELS_OF.get(bare.suffix.lower(), ()):
        header = bare.with_suffix(suffix)
        if header.is_file():
            return f"the voxels of {shown(header)}; open that file instead"
    if head[:1] == b"\x89" and b"IHDR" in head[:40]:
        return "a PNG picture whose beginning is damaged"
    if (
        head.isascii()
        and head[:64].decode("ascii").replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()
    ):
        return "a text file"
    return "not an image format that is read here"
