"""What a segmentation says of the series it was drawn on: its grid, its references, and as little else as possible.

highdicom takes patient, study and grid from the images it is given.  It is given stand-ins that we make, one for each
plane: they hold what is listed here and nothing else of a header, so that nothing else can get into the file.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydicom
from pydicom.valuerep import DSfloat

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Part, Plane

#: Copied into an identified file only: whom and which examination it is of (PS3.3 C.7.1.1 and C.7.2.1).
IDENTIFYING = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_CT, _CR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.1"
_SEXES = ("M", "F", "O")
#: What a date is where none may be told but the standard asks for one (PS3.15 E.1: a dummy value).
NO_DATE, NO_TIME = "19000101", "000000"


@dataclass(frozen=True)
class Uids:
    """UIDs as they go into a file: the series' own if it names its patient, else new ones that lead nowhere.

    `key` decides the new ones: the same key gives the same, so that several masks of one study stay together; by
    default a random one that nobody keeps.
    """

    identified: bool
    key: str

    @classmethod
    def of(cls, identified: bool, key: str = "") -> Uids:
        """Return the rule; without a key a new one."""
        return cls(identified, key or secrets.token_hex(32))

    def __call__(self, uid: str) -> str:
        """Return what stands for `uid`, which may be empty."""
        return uid if self.identified and uid else uid_of(self.key, uid)


def uid_of(*words: str) -> str:
    """Return the UID that stands for these words: 128 bits of their SHA-256 as a UUID-derived one (PS3.5 B.2)."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def stand_ins(part: Part, grid: Geometry, uids: Uids) -> list[pydicom.Dataset]:
    """Return one stand-in image for each plane of the first time point, in the order of the planes.

    Raises
    ------
    InputError
        The series states no pixel size or no even grid, or its planes are no images of their own.
    """
    planes = part.planes[0]
    placed = grid.orientation_known
    if any(plane.frame.tile for plane in planes):
        raise InputError(
            f"{part.title}: its slices lie in one picture (mosaic), which a DICOM segmentation cannot refer to; "
            "save the mask as .seg.nrrd or .nii.gz"
        )
    if placed and not grid.spacing_known:
        raise InputError(
            f"{part.title}: it states no pixel size, without which a DICOM segmentation has no place; save as .nii.gz"
        )
    if not placed and len(planes) > 1:
        raise InputError(
            f"{part.title}: its {len(planes)} pictures state no place in the patient; a DICOM segmentation cannot hold "
            "them, save the mask as .nii.gz"
        )
    who = _who(planes[0]) if uids.identified else {}
    first = planes[0].header  # of a series whose files each name a study of their own, the first speaks for all
    common = {
        "StudyInstanceUID": uids(first.study_uid),
        "SeriesInstanceUID": uids(first.series_uid),
        "FrameOfReferenceUID": uids(first.frame_of_reference),
        "Modality": first.modality or "OT",
        "SpecificCharacterSet": "ISO_IR 192",
        **{k: who.get(k, None if k in ("StudyDate", "StudyTime") else "") for k in IDENTIFYING},
    }
    return [_stand_in(plane, grid, common, uid_of(uids.key, "plane", str(k))) for k, plane in enumerate(planes)]


def _stand_in(plane: Plane, grid: Geometry, common: Mapping[str, Any], uid: str) -> pydicom.Dataset:
    frame, data = plane.frame, pydicom.Dataset()
    placed = grid.orientation_known
    # Real class and UID come into the references afterwards: highdicom knows neither every class nor single frames.
    data.SOPClassUID, data.SOPInstanceUID = (_CT if placed else _CR), uid
    data.Rows, data.Columns = grid.shape[1], grid.shape[2]
    for keyword, value in common.items():
        if placed or keyword != "FrameOfReferenceUID":
            setattr(data, keyword, value)
    if placed and frame.position is not None and frame.row is not None and frame.column is not None:
        data.PositionReferenceIndicator = ""
        data.ImagePositionPatient = _decimals(frame.position)
        data.ImageOrientationPatient = _decimals((*frame.row, *frame.column))
        data.PixelSpacing = _decimals(grid.spacing_mm[1:])
        data.SliceThickness = _decimals((frame.thickness_mm or grid.spacing_mm[0],))[0]
        data.SpacingBetweenSlices = _decimals(grid.spacing_mm[:1])[0]
    return data


def _decimals(values: Sequence[float]) -> list[DSfloat]:
    """Return decimal strings of at most 16 characters (PS3.5 6.2, DS)."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def _who(plane: Plane) -> dict[str, Any]:
    """Return patient and examination as the first file of the series states them."""
    path = plane.header.path
    try:
        data = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=list(IDENTIFYING))
        found = {k: data.get(k) for k in IDENTIFYING}
    except (OSError, ValueError, TypeError, pydicom.errors.InvalidDicomError) as error:
        raise InputError(f"{path.name}: patient and study cannot be read from it ({error})") from error
    told = {k: str(v) for k, v in found.items() if v not in (None, "")}
    if told.get("PatientSex", "") not in _SEXES:
        told.pop("PatientSex", None)
    return told


def refer(data: pydicom.Dataset, part: Part, sources: Sequence[pydicom.Dataset], uids: Uids) -> None:
    """Put the real class, UID and frame number of each plane where the stand-ins were referred to."""
    planes = dict(zip((str(s.SOPInstanceUID) for s in sources), part.planes[0], strict=True))
    for items in _sequences(data):
        seen: set[tuple[str, int]] = set()
        kept = []
        for item in items:
            plane = planes.get(str(item.get("ReferencedSOPInstanceUID", "")))
            if plane is not None:
                header = plane.header
                single = header.stored is None or header.stored.frames == 1
                item.ReferencedSOPClassUID = header.sop_class
                item.ReferencedSOPInstanceUID = uids(header.sop_uid)
                if not single and "PurposeOfReferenceCodeSequence" in item:
                    item.ReferencedFrameNumber = plane.frame.index + 1
                key = (header.sop_uid, 0 if single or "ReferencedFrameNumber" not in item else plane.frame.index + 1)
                if key in seen:
                    continue
                seen.add(key)
            kept.append(item)
        items[:] = kept


def _sequences(data: pydicom.Dataset) -> Iterator[Any]:
    """Yield every sequence in a data set, inner ones first."""
    for element in data:
        if element.VR == "SQ":
            for item in element.value:
                yield from _sequences(item)
            yield element.value
