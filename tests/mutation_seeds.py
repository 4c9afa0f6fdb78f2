"""Small valid files of every format, to be damaged; written without the package."""

from __future__ import annotations

import gc
import io
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import tifffile
from highdicom.sr.coding import CodedConcept
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.fileset import FileSet
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from scan_writers import Scan, write_enhanced, write_itk, write_mosaic, write_nifti, write_nrrd, write_series

_RAMP = np.add.outer(np.arange(36) * 5, np.arange(40) * 3).astype(np.int16)  # J2K wants 32 pixels a side
SCAN = Scan((_RAMP + np.arange(3)[:, None, None] * 40).astype(np.int16), row=(0.8, 0.6, 0), column=(-0.6, 0.8, 0))


@dataclass(frozen=True)
class Seed:
    """`target` is the file in `folder` that is damaged, `opened` what is opened: it, or a folder that holds it."""

    folder: Path
    target: Path
    opened: Path


Writer = Callable[[Path], Seed]


def _alone(path: Path) -> Seed:
    return Seed(path.parent, path, path)


def _in_series(folder: Path) -> Seed:
    return Seed(folder, folder / "1.dcm", folder)


def _compressed(syntax: str) -> Writer:
    """One compressed slice alone: in a folder with others a damaged file would only be left out."""
    return lambda base: _alone(write_series(base, SCAN, syntax=syntax) / "1.dcm")


def _jpeg_baseline(base: Path) -> Seed:
    """8-bit lossy: pydicom writes no JPEG, Pillow does."""
    scan = Scan(np.clip(SCAN.stored, 0, 255).astype(np.uint8))

    def change(data: Dataset, k: int) -> None:
        out = io.BytesIO()
        Image.fromarray(scan.stored[k]).save(out, "JPEG", quality=90)
        data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        data.PixelData = encapsulate([out.getvalue()])
        data["PixelData"].is_undefined_length = True

    return _alone(write_series(base, scan, change=change) / "1.dcm")


def _palette(base: Path) -> Seed:
    def change(data: Dataset, k: int) -> None:
        data.PhotometricInterpretation = "PALETTE COLOR"
        for colour in ("Red", "Green", "Blue"):
            setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
            setattr(data, f"{colour}PaletteColorLookupTableData", bytes(range(256)))
        del data.RescaleSlope, data.RescaleIntercept

    scan = Scan(np.clip(SCAN.stored[:1], 0, 255).astype(np.uint8))
    return _alone(write_series(base, scan, names=["palette.dcm"], change=change) / "palette.dcm")


def _segmentation(base: Path) -> Seed:
    series = write_series(base / "series", SCAN)
    sources = []
    for path in sorted(series.iterdir()):
        data = pydicom.dcmread(path)
        data.update({"StudyDate": "", "StudyTime": "", "AccessionNumber": "", "StudyID": "1", "PatientBirthDate": ""})
        data.update({"PatientSex": "", "ReferringPhysicianName": "", "Laterality": ""})
        sources.append(data)
    liver = CodedConcept("10200004", "SCT", "Liver")
    segments = [
        hd.seg.SegmentDescription(
            n, f"part {n}", CodedConcept("123037004", "SCT", "Anatomical structure"), liver,
            hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        ) for n in (1, 2)
    ]  # fmt: skip
    masks = np.stack([SCAN.stored > 150, SCAN.stored > 250], axis=-1).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = hd.seg.Segmentation(
            sources, masks, "BINARY", segments, generate_uid(), 9, generate_uid(), 1, "maker", "model", "1", "0",
        )  # fmt: skip
    seg.save_as(base / "series" / "seg.dcm")
    return Seed(base, series / "seg.dcm", series)


def _structures(base: Path) -> Seed:
    series = write_series(base / "series", SCAN)
    first = pydicom.dcmread(series / "0.dcm")
    uid = generate_uid()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.481.3")
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = uid, ExplicitVRLittleEndian
    data = FileDataset("rt.dcm", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = meta.MediaStorageSOPClassUID, uid, "RTSTRUCT"
    data.StudyInstanceUID, data.SeriesInstanceUID = first.StudyInstanceUID, generate_uid()
    data.StructureSetLabel = "set"
    roi, contours, reference, series_item, study = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = 1, "part", first.FrameOfReferenceUID
    series_item.SeriesInstanceUID = first.SeriesInstanceUID
    study.RTReferencedSeriesSequence = [series_item]
    reference.FrameOfReferenceUID, reference.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    contours.ReferencedROINumber, contours.ROIDisplayColor = 1, [255, 0, 0]
    contours.ContourSequence = []
    for z in range(3):
        ring = Dataset()
        corners = [SCAN.lps([z, y, x]) for y, x in ((2, 2), (2, 15), (12, 15), (12, 2))]
        ring.ContourGeometricType, ring.NumberOfContourPoints = "CLOSED_PLANAR", 4
        ring.ContourData = [f"{v:.4f}" for corner in corners for v in corner]
        contours.ContourSequence.append(ring)
    data.StructureSetROISequence, data.ROIContourSequence = [roi], [contours]
    data.ReferencedFrameOfReferenceSequence = [reference]
    pydicom.dcmwrite(series / "rt.dcm", data, implicit_vr=False, little_endian=True)
    return Seed(base, series / "rt.dcm", series)


def _directory(base: Path) -> Seed:
    series, disc = write_series(base / "loose", SCAN), base / "disc"
    files = FileSet()
    for path in sorted(series.iterdir()):
        data = pydicom.dcmread(path)
        data.update({"StudyDate": "20260101", "StudyTime": "1200", "AccessionNumber": "", "StudyID": "1"})
        files.add(data)
    files.write(disc)
    with warnings.catch_warnings():  # a FileSet leaves its folder of copies to the collector, which warns
        warnings.simplefilter("ignore", ResourceWarning)
        del files
        gc.collect()
    shutil.rmtree(series)
    return Seed(disc, disc / "DICOMDIR", disc / "DICOMDIR")


def _picture(base: Path, name: str, **options: object) -> Seed:
    rgb = np.stack([_RAMP % 256, (_RAMP * 3) % 256, 255 - _RAMP % 256], axis=-1).astype(np.uint8)
    Image.fromarray(rgb).save(base / name, **options)
    return _alone(base / name)


def _tiff(base: Path, **options: object) -> Seed:
    tifffile.imwrite(base / "pages.tif", SCAN.stored.astype(np.uint16), photometric="minisblack", **options)
    return _alone(base / "pages.tif")


def _itk(name: str) -> Writer:
    return lambda base: _alone(write_itk(base / name, SCAN))


WRITERS: dict[str, Writer] = {
    "DICOM plain": lambda base: _alone(write_series(base, SCAN) / "1.dcm"),
    "DICOM in a series": lambda base: _in_series(write_series(base / "series", SCAN)),
    "DICOM RLE": _compressed("1.2.840.10008.1.2.5"),
    "DICOM JPEG": _jpeg_baseline,
    "DICOM J2K": _compressed("1.2.840.10008.1.2.4.90"),
    "DICOM JPEG-LS": _compressed("1.2.840.10008.1.2.4.80"),
    "DICOM deflated": _compressed("1.2.840.10008.1.2.1.99"),
    "DICOM palette": _palette,
    "DICOM enhanced": lambda base: _alone(write_enhanced(base / "enhanced.dcm", SCAN, [2, 0, 1])),
    "DICOM mosaic": lambda base: _alone(write_mosaic(base / "mosaic.dcm", SCAN)),
    "SEG": _segmentation,
    "RTSTRUCT": _structures,
    "DICOMDIR": _directory,
    "NIfTI": lambda base: _alone(write_nifti(base / "n.nii", SCAN)),
    "NIfTI.gz": lambda base: _alone(write_nifti(base / "n.nii.gz", SCAN)),
    "NRRD": lambda base: _alone(write_nrrd(base / "n.nrrd", SCAN)),
    "NRRD raw": lambda base: _alone(write_nrrd(base / "n.nrrd", SCAN, encoding="raw")),
    "MHA": _itk("m.mha"),
    "PNG": lambda base: _picture(base, "p.png"),
    "JPEG": lambda base: _picture(base, "p.jpg", quality=90),
    "TIFF": lambda base: _tiff(base, compression="zlib"),
    "TIFF raw": _tiff,
}


def write_seed(name: str, base: Path) -> Seed:
    base.mkdir(parents=True)
    return WRITERS[name](base)


_DIGITS = np.frombuffer(b"0123456789-.e", np.uint8)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return damaged bytes: flipped, overwritten, cut, doubled, shifted or with another number in a text header.

    Half of all changes go into the first tenth, where headers lie.
    """
    out = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 4, 8]))):
        length = len(out)
        if length < 8:
            break
        reach = max(8, length // 10) if rng.random() < 0.5 else length
        at = int(rng.integers(0, reach))
        size = int(min(rng.choice([1, 1, 2, 4, 16]), length - at))
        kind = rng.choice(["flip", "random", "extreme", "cut", "double", "drop", "digit"], p=[.25, .2, .2, .1, .05, .05, .15])  # fmt: skip  # noqa: E501
        if kind == "flip":
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == "random":
            out[at : at + size] = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
        elif kind == "extreme":
            out[at : at + size] = bytes([int(rng.choice([0, 0x7F, 0x80, 0xFF]))]) * size
        elif kind == "cut":
            del out[int(rng.integers(1, length)) :]
        elif kind == "double":
            out[at:at] = out[at : at + int(rng.integers(1, 64))]
        elif kind == "drop":
            del out[at : at + size]
        else:
            digits = [i for i in range(min(length, 4096)) if 48 <= out[i] <= 57]
            if digits:
                out[int(rng.choice(digits))] = int(rng.choice(_DIGITS))
    return bytes(out)
