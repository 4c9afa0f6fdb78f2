"""One scan in many formats, written without the package: what a reader must say of each is known beforehand.

`Scan.lps` is the definition of where a voxel lies, straight from the attributes as the standard defines them
(DICOM PS3.3 C.7.6.2.1.1): position of the first pixel, plus steps along the row, the column and the stack.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


@dataclass(frozen=True)
class Scan:
    """Stored whole numbers (z, y, x) on a straight grid.

    `row` and `column` are unit vectors along a row (rising x index) and a column; slices run along row x column.
    """

    stored: np.ndarray
    spacing: tuple[float, float, float] = (3.0, 0.8, 0.7)  # z, y, x
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    row: tuple[float, float, float] = (1.0, 0.0, 0.0)
    column: tuple[float, float, float] = (0.0, 1.0, 0.0)
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)

    def lps(self, index_zyx: Sequence[float]) -> np.ndarray:
        z, y, x = index_zyx
        steps = np.array(self.row) * x * self.spacing[2] + np.array(self.column) * y * self.spacing[1]
        return np.array(self.origin) + steps + self.normal * z * self.spacing[0]

    @property
    def values(self) -> np.ndarray:
        return self.stored.astype(np.float64) * self.slope + self.intercept

    @property
    def affine_lps(self) -> np.ndarray:
        """Index (x, y, z, 1) to LPS mm."""
        affine = np.eye(4)
        for column, step in enumerate(([0, 0, 1], [0, 1, 0], [1, 0, 0])):
            affine[:3, column] = self.lps(step) - self.lps([0, 0, 0])
        affine[:3, 3] = self.lps([0, 0, 0])
        return affine


def _uid() -> str:
    return str(generate_uid())[:58].rstrip(".")  # room for ".1"


def decimals(values: Sequence[float]) -> list[str]:
    """Return decimal strings of at most 16 characters; what is below 1e-10 is nought."""
    rounded = [round(float(v), 10) + 0.0 for v in values]
    return [next(t for n in range(13, 5, -1) if len(t := f"{v:.{n}g}") <= 16) for v in rounded]


def _file(path: Path, scan: Scan, sop_class: str, pixels: np.ndarray, uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = UID(sop_class), ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = UID(sop_class), meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.Modality = "Test^Person", "T-1", "CT" if sop_class == CT else "MR"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
    data.FrameOfReferenceUID, data.SeriesNumber = f"{uid}.3", 5
    bits = pixels.dtype.itemsize * 8
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.add_new("PixelData", "OW", pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    if len(data.PixelData) % 2:
        data.PixelData += b"\0"
    return data


def _write(path: Path, data: FileDataset, syntax: str | None) -> None:
    if syntax == DeflatedExplicitVRLittleEndian:
        data.file_meta.TransferSyntaxUID = UID(syntax)
    elif syntax is not None and syntax != ExplicitVRLittleEndian:
        data.compress(UID(syntax), generate_instance_uid=False)
    pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=True)


def write_series(
    folder: Path, scan: Scan, *, names: Sequence[str] | None = None, numbers: Sequence[int] | None = None,
    syntax: str | None = None, change: Callable[[Dataset, int], None] | None = None,
) -> Path:  # fmt: skip
    """Write one CT file a slice; `names` and `numbers` (InstanceNumber) in any order."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = _uid()
    for k, plane in enumerate(scan.stored):
        path = folder / (names[k] if names else f"{k}.dcm")
        data = _file(path, scan, CT, plane, uid)
        data.ImageType, data.InstanceNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], numbers[k] if numbers else k + 1
        data.ImageOrientationPatient = decimals([*scan.row, *scan.column])
        data.ImagePositionPatient = decimals(scan.lps([k, 0, 0]))
        data.PixelSpacing, data.SliceThickness = decimals(scan.spacing[1:]), decimals(scan.spacing[:1])[0]
        data.RescaleSlope, data.RescaleIntercept = decimals([scan.slope])[0], decimals([scan.intercept])[0]
        if change:
            change(data, k)
        _write(path, data, syntax)
    return folder


def _item(**values: object) -> Dataset:
    item = Dataset()
    for key, value in values.items():
        setattr(item, key, value)
    return item


def write_enhanced(path: Path, scan: Scan, order: Sequence[int] | None = None) -> Path:
    """Write one Enhanced MR file; `order` is the stack index of each frame in the file."""
    order = list(order) if order is not None else list(range(len(scan.stored)))
    data = _file(path, scan, ENHANCED_MR, scan.stored[order], _uid())
    data.ImageType, data.InstanceNumber, data.NumberOfFrames = ["ORIGINAL", "PRIMARY", "M", "NONE"], 1, len(order)
    measures = _item(PixelSpacing=decimals(scan.spacing[1:]), SliceThickness=decimals(scan.spacing[:1])[0])
    rescale = _item(
        RescaleSlope=decimals([scan.slope])[0], RescaleIntercept=decimals([scan.intercept])[0], RescaleType="US"
    )
    turned = _item(ImageOrientationPatient=decimals([*scan.row, *scan.column]))
    data.SharedFunctionalGroupsSequence = [
        _item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[turned])
    ]  # fmt: skip
    data.PerFrameFunctionalGroupsSequence = [
        _item(
            FrameContentSequence=[_item(StackID="1", InStackPositionNumber=k + 1, DimensionIndexValues=[1, k + 1])],
            PlanePositionSequence=[_item(ImagePositionPatient=decimals(scan.lps([k, 0, 0])))],
            PixelValueTransformationSequence=[rescale],
        )
        for k in order
    ]
    _write(path, data, None)
    return path


def _csa(tags: dict[str, tuple[str, list[str]]]) -> bytes:
    """Return a Siemens CSA2 header with the tags given (name -> VR, values), as every open reader knows it."""
    out = b"SV10\4\3\2\1" + struct.pack("<II", len(tags), 77)
    for name, (vr, values) in tags.items():
        out += name.encode().ljust(64, b"\0")
        out += struct.pack("<i4siii", len(values), vr.encode(), 6, max(6, len(values)), 77)
        for value in values + [""] * (max(6, len(values)) - len(values)):
            text = (value + "\0").encode() if value else b""
            out += struct.pack("<4i", len(text), len(text), 77, len(text)) + text.ljust(-(-len(text) // 4) * 4, b"\0")
    return out + bytes(-len(out) % 4)


def write_mosaic(path: Path, scan: Scan) -> Path:
    """Write a Siemens mosaic: all slices as tiles of one sheet, positioned as the scanner does.

    The sheet's ImagePositionPatient is that of a sheet centred where the first slice is centred, so the first slice
    itself begins (sheet size - slice size) / 2 pixels further in.
    """
    n, h, w = scan.stored.shape
    side = int(np.ceil(np.sqrt(n)))
    sheet = np.zeros((side * h, side * w), scan.stored.dtype)
    for k, plane in enumerate(scan.stored):
        y, x = divmod(k, side)
        sheet[y * h : (y + 1) * h, x * w : (x + 1) * w] = plane
    data = _file(path, scan, MR, sheet, _uid())
    data.Manufacturer, data.ImageType = "SIEMENS", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    data.InstanceNumber = data.AcquisitionNumber = 1
    data.ImageOrientationPatient = decimals([*scan.row, *scan.column])
    data.ImagePositionPatient = decimals(scan.lps([0, -(side - 1) * h / 2, -(side - 1) * w / 2]))
    data.PixelSpacing = decimals(scan.spacing[1:])
    data.SliceThickness = data.SpacingBetweenSlices = decimals(scan.spacing[:1])[0]
    if (scan.slope, scan.intercept) != (1.0, 0.0):
        data.RescaleSlope, data.RescaleIntercept = decimals([scan.slope])[0], decimals([scan.intercept])[0]
    tags = {
        "AcquisitionMatrixText": ("SH", [f"{h}*{w}"]),
        "NumberOfImagesInMosaic": ("US", [str(n)]),
        "SliceNormalVector": ("FD", [f"{v:.8f}" for v in scan.normal]),
    }
    block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", n)
    data.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", _csa(tags))
    _write(path, data, None)
    return path


def write_nifti(path: Path, scan: Scan) -> Path:
    """Write with nibabel: RAS, axes x, y, z; the stored numbers, without slope and intercept."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine_lps
    image = nib.Nifti1Image(np.ascontiguousarray(scan.stored.transpose(2, 1, 0)), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def write_nrrd(path: Path, scan: Scan, space: str = "left-posterior-superior", **header: object) -> Path:
    """Write with pynrrd, in LPS or RAS."""
    flip = np.diag([-1.0, -1.0, 1.0]) if space.startswith("right-anterior") else np.eye(3)
    affine = scan.affine_lps
    nrrd.write(
        str(path), np.ascontiguousarray(scan.stored.transpose(2, 1, 0)),
        {
            "space": space, "space directions": (flip @ affine[:3, :3]).T, "space origin": flip @ affine[:3, 3],
            "kinds": ["domain"] * 3, "encoding": "gzip", **header,
        },
    )  # fmt: skip
    return path


def write_itk(path: Path, scan: Scan) -> Path:
    """Write with SimpleITK: MetaImage, or whatever the suffix says."""
    image = sitk.GetImageFromArray(scan.stored)
    image.SetSpacing([float(s) for s in scan.spacing[::-1]])
    image.SetOrigin([float(v) for v in scan.origin])
    image.SetDirection(np.column_stack([scan.row, scan.column, scan.normal]).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path
