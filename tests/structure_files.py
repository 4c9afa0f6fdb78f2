"""RT structure sets written with pydicom, and the part of a scan that they are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from dicom_files import group, uid
from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.io.dicom.facts import Header, Part, Plane

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
SPACING = (3.0, 0.8, 0.7)
OBLIQUE = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])
GRID = Geometry((5, 24, 30), SPACING, (-12.0, 7.0, 40.0), OBLIQUE)


def square(low: float, high: float) -> np.ndarray:
    return np.array([[low, low], [low, high], [high, high], [high, low]], dtype=float)


def world(grid: Geometry, plane: float, curve: Any) -> np.ndarray:
    curve = np.asarray(curve, dtype=float)
    return grid.index_to_lps(np.column_stack([np.full(len(curve), plane), curve]))


def write_structures(path: Path, regions: Sequence[dict[str, Any]], **more: Any) -> Path:
    """Write an RTSTRUCT; each region has name, contours ((n, 3) LPS) and may have number, colour, type, kinds, code.

    `more`: series (UIDs it names), space, change.
    """
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = STRUCTURE_SET
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid("structures")
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study"), uid("structures series")
    data.Modality, data.SeriesNumber, data.SeriesDescription, data.StructureSetLabel = "RTSTRUCT", 7, "Plan", "L"
    space = more.get("space", uid("frame of reference"))
    named = [group(SeriesInstanceUID=one)[0] for one in more.get("series", [uid("series")])]
    study = group(RTReferencedSeriesSequence=pydicom.Sequence(named))
    data.ReferencedFrameOfReferenceSequence = group(FrameOfReferenceUID=space, RTReferencedStudySequence=study)
    data.StructureSetROISequence = pydicom.Sequence()
    data.ROIContourSequence, data.RTROIObservationsSequence = pydicom.Sequence(), pydicom.Sequence()
    for k, region in enumerate(regions):
        number = region.get("number", k + 1)
        data.StructureSetROISequence += group(
            ROINumber=number, ROIName=region["name"], ReferencedFrameOfReferenceUID=space
        )
        kinds = region.get("kinds") or ["CLOSED_PLANAR"] * len(region["contours"])
        drawn = [
            group(
                ContourGeometricType=kind,
                NumberOfContourPoints=len(points),
                ContourData=[f"{v:.6f}"[:16] for v in np.asarray(points).ravel()],
            )[0]
            for kind, points in zip(kinds, region["contours"], strict=True)
        ]
        contours = group(ReferencedROINumber=number)
        if drawn:
            contours[0].ContourSequence = pydicom.Sequence(drawn)
        if "colour" in region:
            contours[0].ROIDisplayColor = list(region["colour"])
        data.ROIContourSequence += contours
        seen = group(ObservationNumber=k + 1, ReferencedROINumber=number, RTROIInterpretedType=region.get("type", ""))
        if "code" in region:
            scheme, value = region["code"]
            seen[0].RTROIIdentificationCodeSequence = group(CodingSchemeDesignator=scheme, CodeValue=value)
        data.RTROIObservationsSequence += seen
    if "change" in more:
        more["change"](data)
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def part(grid: Geometry, series: str = "", space: str = "", report: Report = Report()) -> Part:
    header = Header(Path("ct.dcm"), series_uid=series or uid("series"), modality="CT",
                    frame_of_reference=space or uid("frame of reference"))  # fmt: skip
    from napari_medcnn.io.dicom.facts import Frame

    planes = (tuple(Plane(header, Frame()) for _ in range(grid.shape[0])),)
    return Part(header.series_uid, "CT 5, Thorax", planes, "zyx", grid.shape, grid, report=report)


def over(grid: Geometry) -> dict[str, tuple[Part, ...]]:
    return {uid("series"): (part(grid),)}
