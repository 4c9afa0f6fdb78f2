"""What one DICOM file holds, worked out by pydicom and the standard alone; nothing of the package is used.

A `Frame` is one decoded plane after its modality rescale, with the place the attributes give it (DICOM PS3.3
C.7.6.2.1.1 for single frames, C.7.6.16.2 for functional groups, C.8.8.3.2 for dose grids).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, apply_modality_lut, convert_color_space, pixel_array

from zoo import jpeg_lossless

SEG_CLASSES = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
DIRECTORY = "1.2.840.10008.1.3.10"
UNCOMPRESSED = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}


@dataclass
class Frame:
    """One plane; `position` (first pixel), `row`, `column` in LPS mm, or None where nothing is stated."""

    path: Path
    number: int
    pixels: np.ndarray
    position: np.ndarray | None = None
    row: np.ndarray | None = None
    column: np.ndarray | None = None
    pixel_mm: tuple[float, float] | None = None
    instance: int = 0
    when: dict[str, float] = field(default_factory=dict)

    @property
    def placed(self) -> bool:
        return self.position is not None and self.pixel_mm is not None

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)

    def lps(self, r: float, c: float) -> np.ndarray:
        return self.position + self.row * c * self.pixel_mm[1] + self.column * r * self.pixel_mm[0]

    def corners(self) -> dict[tuple[int, int], np.ndarray]:
        h, w = self.pixels.shape[:2]
        return {(r, c): self.lps(r, c) for r in (0, h - 1) for c in (0, w - 1)}


@dataclass
class Content:
    """What a file holds: "image", "seg", "slide", "structures", "directory", "none" (no pixels) or "undecodable".

    `suv` is the factor from the rescaled values to SUVbw, None where the file does not give it.
    """

    path: Path
    kind: str
    why: str = ""
    frames: list[Frame] = field(default_factory=list)
    modality: str = ""
    syntax: str = ""
    data: Dataset | None = None
    lossy: bool = False
    twin: bool = False
    reader: str = "pydicom"
    suv: float | None = None

    @property
    def share(self) -> float:
        """How much of the range of values another decoder may differ by on average: 0 unless lossy."""
        if not self.lossy:
            return 0.0
        return 0.02 if self.twin else 0.004  # against the picture before compression, or another decoder


LOSSLESS_JPEG = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
LOSSY = {".50", ".51", ".53", ".55", ".81", ".91", ".203"}


def load(path: Path) -> Dataset | None:
    """Return the data set, None if this is no DICOM at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = pydicom.dcmread(path)
        except Exception:
            try:
                data = pydicom.dcmread(path, force=True)
            except Exception:
                return None
            if not any(k in data for k in ("SOPClassUID", "Rows", "Modality", "StudyInstanceUID", "PatientName")):
                return None
    return data


def series_number(path: Path) -> str:
    """Return the SeriesInstanceUID of a file, "" where it states none."""
    data = load(path)
    return "" if data is None else str(data.get("SeriesInstanceUID") or "")


def content(path: Path) -> Content | None:
    """Return what the file holds, None if it is no DICOM."""
    data = load(path)
    if data is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _content(path, data)


def _suv(data: Dataset) -> float | None:
    """Return SUVbw per Bq/ml: weight in g over the dose left at the start of the series (QIBA's rule)."""
    dose = (data.get("RadiopharmaceuticalInformationSequence") or [None])[0]
    wanted = ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime")
    if (
        dose is None
        or data.get("Units") != "BQML"
        or not data.get("PatientWeight")
        or not all(dose.get(k) for k in wanted)
    ):
        return None

    def seconds(text: str) -> float:
        return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:] or 0)

    waited = seconds(str(data.SeriesTime)) - seconds(str(dose.RadiopharmaceuticalStartTime))
    left = float(dose.RadionuclideTotalDose) * 2 ** (-waited / float(dose.RadionuclideHalfLife))
    return float(data.PatientWeight) * 1000 / left


def by_itk(path: Path, held: Content) -> Content | None:
    """Return the frames as SimpleITK decodes them, in the order of the file; None where it cannot be trusted."""
    data = held.data
    if str(data.get("PhotometricInterpretation")) not in ("MONOCHROME2", "RGB"):
        return None
    count = int(data.get("NumberOfFrames") or 1)
    if len({str(_group(data, n, "PixelValueTransformationSequence")) for n in range(count)}) > 1:
        return None  # a rescale of each frame's own is beyond SimpleITK
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError:
        return None
    planes = values if values.ndim > 2 else values[None]
    return Content(path, "image", "", [Frame(path, n, plane) for n, plane in enumerate(planes)], reader="SimpleITK")


def with_pixels_of(path: Path, held: Content, twin: Content, before: bool) -> Content:
    """Return `held`, placed by its own header, with the pixels of the same picture (`before` it was compressed)."""
    frames = []
    for other in twin.frames:
        frame = Frame(path, other.number, other.pixels)
        _place(held.data, other.number, frame)
        frames.append(frame)
    reader = "same picture" if before else twin.reader
    return replace(held, kind=twin.kind, frames=frames, twin=before, reader=reader)


def _content(path: Path, data: Dataset) -> Content:
    sop = str(data.get("SOPClassUID", "") or data.file_meta.get("MediaStorageSOPClassUID", ""))
    syntax = str(data.file_meta.get("TransferSyntaxUID", ""))
    about = {"modality": str(data.get("Modality", "")), "syntax": syntax, "data": data}
    if "DirectoryRecordSequence" in data or sop == DIRECTORY:
        return Content(path, "directory", "a DICOMDIR", **about)
    if sop == STRUCTURES:
        return Content(path, "structures", "an RTSTRUCT", **about)
    if not any(k in data for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return Content(path, "none", f"no pixels ({pydicom.uid.UID(sop).name or 'unknown object'})", **about)
    lossy = any(syntax.endswith(f"1.2.4{tail}") for tail in LOSSY)
    if (sop == SLIDE or "TotalPixelMatrixColumns" in data) and int(data.get("NumberOfFrames") or 1) > 1:
        return Content(path, "slide", "tiles of a microscope slide", **about)
    kind = "seg" if sop in SEG_CLASSES else "image"
    try:
        if not syntax:
            data.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        frames = _mosaic(path, data) if "MOSAIC" in (data.get("ImageType") or []) else _frames(path, data)
    except Exception as error:
        return Content(path, "undecodable", f"pydicom: {type(error).__name__}: {error}"[:160], **about, lossy=lossy)
    return Content(path, kind, "", frames, **about, lossy=lossy, suv=_suv(data))


def _floats(data: Dataset, name: str, count: int) -> np.ndarray | None:
    value = data.get(name)
    try:
        numbers = np.array([float(v) for v in value])
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.all(np.isfinite(numbers)) else None


def _group(data: Dataset, index: int, sequence: str) -> Dataset:
    """Return the functional group macro of a frame: its own, or the shared one, or an empty data set."""
    for holder in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        groups = data.get(holder)
        if groups:
            item = groups[index if holder.startswith("Per") and index < len(groups) else 0]
            if item.get(sequence):
                return item[sequence].value[0]
    return Dataset()


def _unit(vector: np.ndarray) -> np.ndarray | None:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-6 else None


def _place(data: Dataset, index: int, frame: Frame) -> None:
    many = "PerFrameFunctionalGroupsSequence" in data
    if many:
        position = _floats(_group(data, index, "PlanePositionSequence"), "ImagePositionPatient", 3)
        turned = _floats(_group(data, index, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
        pixel = _floats(_group(data, index, "PixelMeasuresSequence"), "PixelSpacing", 2)
    else:
        position = _floats(data, "ImagePositionPatient", 3)
        turned = _floats(data, "ImageOrientationPatient", 6)
        pixel = _floats(data, "PixelSpacing", 2)
        detector = _floats(data, "ImagerPixelSpacing", 2)
        if pixel is not None and detector is not None and np.array_equal(pixel, detector):
            pixel = None  # not calibrated: sizes at the detector (PS3.3 C.8.11.3.1.2, 10.7.1.3)
        if int(data.get("NumberOfFrames") or 1) > 1:
            offsets = data.get("GridFrameOffsetVector")
            if position is None or turned is None or offsets is None or len(offsets) <= index:
                position = None
            else:
                first = float(offsets[0])
                step = float(offsets[index]) - (first if abs(first) < 1e-6 else 0.0)
                position = position + np.cross(turned[:3], turned[3:]) * step
    frame.pixel_mm = (float(pixel[0]), float(pixel[1])) if pixel is not None and pixel.min() > 0 else None
    if position is not None and turned is not None:
        row, column = _unit(turned[:3]), _unit(turned[3:])
        if row is not None and column is not None and abs(row @ column) < 1e-3:
            frame.position, frame.row, frame.column = position, row, column


def _masked(data: Dataset, pixels: np.ndarray, syntax: str) -> np.ndarray:
    """Drop bits outside BitsStored (overlays, dirt) and extend the sign: PS3.5 8.1.1 leaves them undefined."""
    stored, allocated = int(data.get("BitsStored") or 0), int(data.get("BitsAllocated") or 0)
    if syntax not in UNCOMPRESSED or pixels.dtype.kind not in "iu" or not 1 < stored < allocated:
        return pixels
    shift = int(data.get("HighBit") or stored - 1) + 1 - stored
    wide = (pixels.astype(np.int64) >> max(shift, 0)) & ((1 << stored) - 1)
    if pixels.dtype.kind == "i":
        wide = np.where(wide >= 1 << (stored - 1), wide - (1 << stored), wide)
    return wide


def _decoded(data: Dataset, index: int, syntax: str) -> np.ndarray:
    """Return one frame as stored, colours as RGB: by pydicom, lossless JPEG by our own reading of T.81."""
    if syntax not in LOSSLESS_JPEG:
        return np.asarray(pixel_array(data, index=index))
    count = int(data.get("NumberOfFrames") or 1)
    streams = list(generate_frames(data.PixelData, number_of_frames=count))
    pixels = jpeg_lossless.decode(streams[index])
    if int(data.get("PixelRepresentation") or 0) and pixels.dtype == np.uint16:
        pixels = (pixels << (16 - int(data.BitsStored))).view(np.int16) >> (16 - int(data.BitsStored))
    if pixels.ndim == 3 and str(data.PhotometricInterpretation).startswith("YBR"):
        pixels = convert_color_space(pixels, str(data.PhotometricInterpretation), "RGB")
    return pixels


def _frames(path: Path, data: Dataset) -> list[Frame]:
    syntax = str(data.file_meta.TransferSyntaxUID)
    try:
        count = int(data.get("NumberOfFrames") or 1)
    except ValueError:  # PS3.5: an integer string; what is none says nothing
        count = 1
        del data.NumberOfFrames
    out = []
    for index in range(count):
        pixels = _decoded(data, index, syntax)
        photometric = str(data.get("PhotometricInterpretation", ""))
        samples = int(data.get("SamplesPerPixel") or 1)
        if photometric == "PALETTE COLOR":
            pixels = np.asarray(apply_color_lut(pixels, data))
        elif samples == 1:
            pixels = _rescaled(data, index, _masked(data, pixels, syntax))
        frame = Frame(path, index, pixels, instance=int(data.get("InstanceNumber") or 0))
        _place(data, index, frame)
        _date(data, index, frame)
        out.append(frame)
    return out


_MOMENTS = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime", "NominalCardiacTriggerDelayTime", "EchoTime",
    "EffectiveEchoTime", "DiffusionBValue", "AcquisitionTime", "ContentTime", "AcquisitionNumber",
)  # fmt: skip


def _date(data: Dataset, index: int, frame: Frame) -> None:
    """Note what may order frames at one place: tags of the file or of the frame's groups."""
    holders = [data]
    for groups in (data.get("SharedFunctionalGroupsSequence"), data.get("PerFrameFunctionalGroupsSequence")):
        if groups:
            own = groups[index if len(groups) > index else 0]
            holders += [e.value[0] for e in own if e.VR == "SQ" and e.value]
    for holder in holders:
        for name in _MOMENTS:
            try:
                frame.when[name] = float(holder[name].value)
            except (KeyError, TypeError, ValueError):
                continue
    frame.when["InstanceNumber"] = float(frame.instance)
    frame.when["frame"] = float(index)


def _rescaled(data: Dataset, index: int, pixels: np.ndarray) -> np.ndarray:
    group = _group(data, index, "PixelValueTransformationSequence")
    if "RescaleSlope" in group:
        slope, intercept = float(group.RescaleSlope), float(group.get("RescaleIntercept", 0))
        return pixels if (slope, intercept) == (1, 0) else pixels * slope + intercept
    if data.get("DoseGridScaling") is not None:
        return pixels * float(data.DoseGridScaling)
    if "ModalityLUTSequence" in data:
        return np.asarray(apply_modality_lut(pixels, data))
    slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
    if slope is None and intercept is None:
        return pixels
    slope = float(slope if slope not in (None, "") else 1)
    intercept = float(intercept if intercept not in (None, "") else 0)
    return pixels if (slope, intercept) == (1, 0) or slope == 0 else pixels * slope + intercept


def _mosaic(path: Path, data: Dataset) -> list[Frame]:
    """Split a Siemens mosaic with nibabel, another project's reading of the vendor's header."""
    from nibabel.nicom import dicomwrappers

    wrapper: Any = dicomwrappers.wrapper_from_data(data)
    if not isinstance(wrapper, dicomwrappers.MosaicWrapper):
        return _frames(path, data)
    syntax = str(data.file_meta.TransferSyntaxUID)
    sheet = _rescaled(data, 0, _masked(data, _decoded(data, 0, syntax), syntax))
    h, w, n = wrapper.image_shape
    side = sheet.shape[1] // w
    affine = np.asarray(wrapper.affine)  # (row, column, slice) to LPS
    out = []
    for k in range(n):
        y, x = divmod(k, side)
        frame = Frame(path, k, sheet[y * h : (y + 1) * h, x * w : (x + 1) * w], instance=int(data.InstanceNumber))
        frame.position = affine[:3, 3] + k * affine[:3, 2]
        lengths = np.linalg.norm(affine[:3, :2], axis=0)
        frame.column, frame.row = affine[:3, 0] / lengths[0], affine[:3, 1] / lengths[1]
        frame.pixel_mm = (float(lengths[0]), float(lengths[1]))
        _date(data, 0, frame)
        out.append(frame)
    return out
