"""A small writer of synthetic DICOM with pydicom, for every test that needs files of known content."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
PET = "1.2.840.10008.5.1.4.1.1.128"
CR = "1.2.840.10008.5.1.4.1.1.1"
XA = "1.2.840.10008.5.1.4.1.1.12.1"
US_MULTI = "1.2.840.10008.5.1.4.1.1.3.1"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_MODALITY = {CT: "CT", MR: "MR", PET: "PT", CR: "CR", XA: "XA", US_MULTI: "US", SECONDARY: "OT", ENHANCED_MR: "MR",
             RT_DOSE: "RTDOSE"}  # fmt: skip


def uid(*words: object) -> str:
    """Return the UID that stands for these words: the same in every run."""
    return str(generate_uid(entropy_srcs=[str(w) for w in words]))


def write_image(path: Path, pixels: np.ndarray, tags: Mapping[str, Any] | None = None, **more: Any) -> Path:
    """Write one file; pixels (y, x), (y, x, 3), (n, y, x) or (n, y, x, 3) of any integer type, stored as they are.

    `tags` (keyword -> value) go over the defaults; None deletes one; (group, element) tuples take (VR, value).
    `more`: sop_class, syntax (uncompressed ones), change (called with the data set last).
    Values may be invalid on purpose: pydicom's warnings are silenced.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _written(path, pixels, tags, **more)


def _written(path: Path, pixels: np.ndarray, tags: Mapping[str, Any] | None = None, **more: Any) -> Path:
    sop_class, syntax = more.get("sop_class", CT), more.get("syntax", ExplicitVRLittleEndian)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, syntax
    meta.MediaStorageSOPInstanceUID = uid("sop", path)
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate = "Secret^Person", "ID-12345", "19600102"
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study"), uid("series")
    data.StudyDate, data.SeriesNumber, data.SeriesDescription = "20240131", 5, "Thorax"
    data.Modality = _MODALITY.get(sop_class, "OT")
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.FrameOfReferenceUID, data.InstanceNumber = uid("frame of reference"), 1
    colour = pixels.shape[-1] == 3 and pixels.ndim in (3, 4) and pixels.dtype.itemsize <= 2
    grey = pixels.ndim - (1 if colour else 0)
    if grey == 3:
        data.NumberOfFrames = pixels.shape[0]
    data.Rows, data.Columns = pixels.shape[grey - 2 : grey]
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    big = syntax == ExplicitVRBigEndian
    raw = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    data.PixelData = raw + bytes(len(raw) % 2)
    data["PixelData"].VR = "OW" if bits > 8 else "OB"
    _set(data, tags or {})
    if more.get("change"):
        more["change"](data)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(
        path, data, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=not big, force_encoding=True
    )
    return path


def _set(data: Dataset, tags: Mapping[Any, Any]) -> None:
    for key, value in tags.items():
        if isinstance(key, tuple):
            data.add_new(key, *value)
        elif value is None:
            if key in data:
                delattr(data, key)
        else:
            setattr(data, key, value)


def place_tags(
    k: float, spacing: Sequence[float], origin: Sequence[float], direction: np.ndarray, step: Sequence[float] | None
) -> dict[str, Any]:
    """Return the tags of slice k of a grid: spacing (z, y, x) mm, ITK direction; `step` moves slices off the normal."""
    along = np.asarray(direction)[:, 2] * spacing[0] if step is None else np.asarray(step, dtype=float)
    return {
        "PixelSpacing": [float(spacing[1]), float(spacing[2])],
        "SliceThickness": float(spacing[0]),
        "ImageOrientationPatient": [round(float(v), 10) for v in np.asarray(direction)[:, :2].T.ravel()],
        "ImagePositionPatient": [round(float(v), 8) for v in np.asarray(origin) + k * along],
    }


def write_series(
    folder: Path,
    voxels: np.ndarray,
    spacing: Sequence[float] = (2.5, 0.8, 0.7),
    tags: Mapping[str, Any] | None = None,
    each: Callable[[int], Mapping[str, Any]] | None = None,
    **more: Any,
) -> list[Path]:
    """Write (z, y, x[, 3]) voxels as one file a slice, named against their order in space; return them in order of z.

    `each(k)` gives tags of slice k.  `more`: origin, direction (ITK 3x3), step (mm from slice to slice, LPS), name
    (prefix of file names; other series need another `tags["SeriesInstanceUID"]`), and what `write_image` takes.
    """
    origin, direction = more.pop("origin", (10.0, 20.0, 30.0)), more.pop("direction", np.eye(3))
    step, name = more.pop("step", None), more.pop("name", "s")
    paths = []
    for k, plane in enumerate(voxels):
        own = {"InstanceNumber": k + 1, **place_tags(k, spacing, origin, direction, step), **(tags or {})}
        own.update(each(k) if each else {})
        paths.append(write_image(folder / f"{name}{(len(voxels) - k) * 7 % 1000:03d}-{k}.dcm", plane, own, **more))
    return paths


def write_times(
    folder: Path, voxels: np.ndarray, at: Callable[[int], Mapping[str, Any]], **more: Any
) -> list[list[Path]]:
    """Write (t, z, y, x) voxels as one series; `at(t)` gives the tags of time point t.  InstanceNumber counts on."""
    tags, each = dict(more.pop("tags", None) or {}), more.pop("each", None)
    found = []
    for t, volume in enumerate(voxels):

        def one(k: int, t: int = t, n: int = len(volume)) -> Mapping[str, Any]:
            return {"InstanceNumber": t * n + k + 1, **(each(k) if each else {})}

        found.append(write_series(folder, volume, tags={**tags, **at(t)}, each=one, name=f"t{t:02d}-", **more))
    return found


def group(**values: Any) -> Items:
    """Return a sequence of one item with these values."""
    one = Dataset()
    _set(one, values)
    return Items([one])


def write_enhanced(
    path: Path,
    frames: np.ndarray,
    per_frame: Sequence[Mapping[str, Items]],
    shared: Mapping[str, Items] | None = None,
    tags: Mapping[str, Any] | None = None,
    **more: Any,
) -> Path:
    """Write an enhanced multi-frame file; functional groups by keyword, each made with `group`."""

    def add(data: FileDataset) -> None:
        top = Dataset()
        _set(top, shared or {})
        data.SharedFunctionalGroupsSequence = Items([top])
        own = []
        for one in per_frame:
            item = Dataset()
            _set(item, one)
            own.append(item)
        data.PerFrameFunctionalGroupsSequence = Items(own)

    return write_image(path, frames, {"FrameOfReferenceUID": uid("frame of reference"), **(tags or {})},
                       sop_class=more.pop("sop_class", ENHANCED_MR), change=add, **more)  # fmt: skip


def plane_groups(position: Sequence[float], **more: Items) -> dict[str, Items]:
    """Return the functional groups of a frame at `position` (LPS mm), and others as given."""
    return {"PlanePositionSequence": group(ImagePositionPatient=[float(v) for v in position]), **more}


def shared_groups(
    spacing: Sequence[float] = (2.5, 0.8, 0.7), orientation: Sequence[float] = (1, 0, 0, 0, 1, 0), **more: Items
) -> dict[str, Items]:
    """Return the shared functional groups of a grid: spacing (z, y, x) mm and the directions of rows and columns."""
    return {
        "PlaneOrientationSequence": group(ImageOrientationPatient=[float(v) for v in orientation]),
        "PixelMeasuresSequence": group(
            PixelSpacing=[float(spacing[1]), float(spacing[2])], SliceThickness=float(spacing[0])
        ),
        **more,
    }
