"""Further facts of a header as plain JSON types: what PET, tilt, cine and vendor rules need."""

from __future__ import annotations

import math
from typing import Any

from napari_medcnn.io.dicom.header.elements import first_item, items, number, numbers, private, text, texts

_TEXTS = (
    "Units", "DecayCorrection", "SUVType", "CountsSource", "DoseUnits", "DoseType", "DoseSummationType",
    "ViewPosition", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "SeriesDate", "SeriesTime",
    "ContentTime", "BodyPartExamined", "PatientPosition", "ManufacturerModelName", "PresentationIntentType",
)  # fmt: skip
_NUMBERS = (
    "PatientWeight", "FrameReferenceTime", "ActualFrameDuration", "DecayFactor", "GantryDetectorTilt",
    "FrameTime", "CineRate", "RecommendedDisplayFrameRate", "RepetitionTime", "NumberOfTemporalPositions",
    "ImagesInAcquisition", "NumberOfSlices", "NumberOfTimeSlices", "TemporalResolution", "RescaleSlope",
    "SpacingBetweenSlices",
)  # fmt: skip
_DOSE_NUMBERS = ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadionuclidePositronFraction")
_DOSE_TEXTS = ("Radiopharmaceutical", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime",
               "RadiopharmaceuticalStopTime", "RadiopharmaceuticalStopDateTime")  # fmt: skip


def further_facts(data: Any, modality: str) -> dict[str, Any]:
    """Return what is stated, by DICOM keyword as stored (times HHMMSS.ffffff), texts cut and plain.

    "Mosaic" says why a Siemens mosaic could not be taken apart.
    PET: the first radiopharmaceutical's entries lie flat beside the rest; "PhilipsSUVFactor" and
    "PhilipsActivityFactor" are (7053,xx00) and (7053,xx09), "GEPostInjectionDateTime" is (0009,xx0D) of GEMS_PETD_01.
    """
    found: dict[str, Any] = {}
    for key in _TEXTS:
        if words := text(data, key, 40):
            found[key] = words
    for key in _NUMBERS:
        if (value := number(data, key)) is not None:
            found[key] = value
    if sequence := texts(data, "ScanningSequence", 8):
        found["ScanningSequence"] = list(sequence)
    steps = numbers(data, "FrameTimeVector")
    if steps and all(math.isfinite(v) for v in steps):
        found["FrameTimeVector"] = list(steps)
    if modality == "US" and (regions := _regions(data)):
        found["UltrasoundRegions"] = regions
    if modality == "PT":
        found.update(_pet(data))
    return found


def _pet(data: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    corrected = texts(data, "CorrectedImage", 16)
    if corrected:
        found["CorrectedImage"] = list(corrected)
    dose = first_item(data, "RadiopharmaceuticalInformationSequence")
    for key in _DOSE_NUMBERS:
        value = number(dose, key) if dose is not None else None
        if value is not None:
            found[key] = value
    for key in _DOSE_TEXTS:
        words = text(dose, key, 40) if dose is not None else ""
        if words:
            found[key] = words
    for name, element in (("PhilipsSUVFactor", 0x00), ("PhilipsActivityFactor", 0x09)):
        place = private(data, 0x7053, "Philips PET Private", element)
        value = None if place is None else number(data, place, "DS")
        if value is not None:
            found[name] = value
    place = private(data, 0x0009, "GEMS_PETD", 0x0D)
    if place is not None and (words := text(data, place, 40)):
        found["GEPostInjectionDateTime"] = words
    return found


def _regions(data: Any) -> list[dict[str, float]]:
    """Return the calibrated regions of an ultrasound image: box in pixels, unit codes and size of a pixel."""
    keys = ("RegionSpatialFormat", "RegionDataType", "RegionLocationMinX0", "RegionLocationMinY0",
            "RegionLocationMaxX1", "RegionLocationMaxY1", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection",
            "PhysicalDeltaX", "PhysicalDeltaY")  # fmt: skip
    found = []
    for one in items(data, "SequenceOfUltrasoundRegions"):
        found.append({key: value for key in keys if (value := number(one, key)) is not None})
    return found[:32]
