"""Every element of a DICOM header as a row to look at: text plain and cut, bulk by its size, nested ones indented."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.header.elements import BROKEN
from napari_medcnn.io.found import plain, shown

_LONGEST = 160
_MAX_ROWS = 20_000
_MAX_DEPTH = 12
#: Values of so many bytes are read only when they are text.
_DEFER_BYTES = 64_000
_BULK = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
_MANY = 64

#: Elements that tell whom a file is of, by whom and where it was made (PS3.15 E.1, basic profile), without dates and
#: UIDs, which stand in the list of studies anyway.  Persons (VR PN) and private elements count as such everywhere.
_PERSONAL_WORDS = """
AccessionNumber AcquisitionComments AcquisitionContextSequence ActualHumanPerformersSequence AdditionalPatientHistory
AdmissionID AdmittingDiagnosesDescription Allergies Arbitrary AuthorObserverSequence BranchOfService
CommentsOnThePerformedProcedureStep ConfidentialityConstraintOnPatientDataDescription
ConsultingPhysicianIdentificationSequence ContentCreatorIdentificationCodeSequence ContentCreatorName
CountryOfResidence CurrentPatientLocation CustodialOrganizationSequence DerivationDescription DetectorID
DeviceSerialNumber DischargeDiagnosisDescription DistributionAddress DistributionName EthnicGroup
FillerOrderNumberImagingServiceRequest FillerOrderNumberProcedure GantryID GraphicAnnotationSequence
HumanPerformerCodeSequence HumanPerformerOrganization ImageComments ImagingServiceRequestComments Impressions
InstitutionAddress InstitutionCodeSequence InstitutionName InstitutionalDepartmentName InsurancePlanIdentification
IntendedRecipientsOfResultsIdentificationSequence InterpretationText IssuerOfAccessionNumberSequence
IssuerOfAdmissionID IssuerOfAdmissionIDSequence IssuerOfPatientID IssuerOfPatientIDQualifiersSequence
IssuerOfServiceEpisodeID LastMenstrualDate MedicalAlerts MedicalRecordLocator MilitaryRank ModifiedAttributesSequence
NameOfPhysiciansReadingStudy Occupation OperatorIdentificationSequence OperatorsName OrderCallbackPhoneNumber
OrderEnteredBy OrderEntererLocation OriginalAttributesSequence OtherPatientIDs OtherPatientIDsSequence
OtherPatientNames PatientAddress PatientAge PatientBirthDate PatientBirthName PatientBirthTime PatientComments
PatientID PatientInstitutionResidence PatientInsurancePlanCodeSequence PatientMotherBirthName PatientName
PatientPrimaryLanguageCodeSequence PatientReligiousPreference PatientSex PatientSexNeutered PatientSize PatientState
PatientTelecomInformation PatientTelephoneNumbers PatientTransportArrangements PatientWeight PerformedLocation
PerformedProcedureStepID PerformedStationAETitle PerformedStationName PerformingPhysicianIdentificationSequence
PerformingPhysicianName PersonAddress PersonIdentificationCodeSequence PersonName PersonTelecomInformation
PersonTelephoneNumbers PhysicianApprovingInterpretation PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
PhysiciansReadingStudyIdentificationSequence PlacerOrderNumberImagingServiceRequest PlacerOrderNumberProcedure PlateID
PreMedication PregnancyStatus ProtocolName ReceivingApplicationEntityTitle ReferencedPatientAliasSequence
ReferencedPatientSequence ReferringPhysicianAddress ReferringPhysicianIdentificationSequence ReferringPhysicianName
ReferringPhysicianTelephoneNumbers RegionOfResidence RequestAttributesSequence RequestedContrastAgent
RequestedProcedureComments RequestedProcedureID RequestedProcedureLocation RequestingPhysician RequestingService
ResponsibleOrganization ResponsiblePerson ResultsComments ResultsDistributionListSequence ResultsID ReviewerName
ScheduledHumanPerformersSequence ScheduledPatientInstitutionResidence
ScheduledPerformingPhysicianIdentificationSequence ScheduledPerformingPhysicianName ScheduledProcedureStepID
ScheduledProcedureStepLocation ScheduledStationAETitle ScheduledStationName ScheduledStudyLocation
SendingApplicationEntityTitle ServiceEpisodeDescription ServiceEpisodeID SmokingStatus SourceApplicationEntityTitle
SpecialNeeds StationName StudyComments StudyID TextComments TextString TimezoneOffsetFromUTC TopicAuthor TopicKeywords
TopicSubject TopicTitle VerifyingObserverIdentificationCodeSequence VerifyingObserverName VerifyingObserverSequence
VerifyingOrganization VisitComments
"""
_PERSONAL = frozenset(_PERSONAL_WORDS.split())


@dataclass(frozen=True)
class TagRow:
    """One element of a header.

    Parameters
    ----------
    tag
        "0010,0010"; another format's headers have the number or name of the field, or "".
    name
        In words; "private" for elements only their maker knows.
    vr
        DICOM's type of the value, or the other format's, or "".
    value
        As text, plain and cut; of bulk data its size, of a sequence the number of its items.
    depth
        How deep in nested sequences, from 0.
    personal
        True if the value may tell whom the file is of, or by whom or where it was made: hidden with the names.
    """

    tag: str
    name: str
    vr: str
    value: str = field(repr=False)
    depth: int = 0
    personal: bool = False


def dicom_rows(path: Path) -> tuple[TagRow, ...]:
    """Return the header of a DICOM file, file meta information first; pixels are named, never read.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(file, stop_before_pixels=True, force=True, defer_size=_DEFER_BYTES)
            rest = os.fstat(file.fileno()).st_size - file.tell()
            words = _words_of_person(data)
            rows: list[TagRow] = []
            for row in (*_rows(data.file_meta, 0, False, words), *_rows(data, 0, False, words)):
                if len(rows) >= _MAX_ROWS:
                    rows.append(TagRow("", f"more than {_MAX_ROWS:,} elements; the rest is not shown", "", ""))
                    return tuple(rows)
                rows.append(row)
    except BROKEN as error:
        raise InputError(f"{shown(path)}: its DICOM header cannot be read ({plain(error, 100)})") from error
    if rest > 12:
        rows.append(TagRow("7FE0,0010", "Pixel Data", "OW", f"{rest:,} bytes (not shown)"))
    return tuple(rows)


def _words_of_person(data: Any) -> tuple[str, ...]:
    """Return the name and number of the patient as they may stand in other elements, too."""
    found: set[str] = set()
    for key in ("PatientName", "PatientID"):
        try:
            text = str(data.get(key) or "").replace("=", "^").replace("^", " ")
        except BROKEN:
            continue
        found |= {word.casefold() for word in text.split() if len(word) >= 4}
    return tuple(found)


def _rows(data: Any, depth: int, personal: bool, words: tuple[str, ...]) -> Iterator[TagRow]:
    for tag in sorted(data.keys()):
        yield from _element_rows(data, tag, depth, personal, words)


def _element_rows(data: Any, tag: BaseTag, depth: int, inherited: bool, words: tuple[str, ...]) -> Iterator[TagRow]:
    number = f"{tag.group:04X},{tag.element:04X}"
    keyword = keyword_for_tag(tag) if dictionary_has_tag(tag) else ""
    name = "private" if tag.is_private else dictionary_description(tag) if keyword else "unknown"
    personal = inherited or tag.is_private or not keyword or keyword in _PERSONAL
    try:
        raw = data.get_item(tag, keep_deferred=True)
        bulk = isinstance(raw, RawDataElement) and raw.value is None and raw.length > _DEFER_BYTES
        if bulk and (raw.VR or (dictionary_VR(tag) if keyword else "UN")) != "SQ":
            yield TagRow(number, name, raw.VR or "", f"{raw.length:,} bytes (not shown)", depth, personal)
            return
        element = data[tag]
        vr, value = str(element.VR), element.value
        personal = personal or vr == "PN"
        if vr == "SQ":
            count = len(value)
            yield TagRow(number, name, vr, f"{count} {'item' if count == 1 else 'items'}", depth, personal)
            if depth < _MAX_DEPTH:
                for position, item in enumerate(value):
                    yield TagRow("", f"item {position + 1}", "", "", depth + 1, False)
                    yield from _rows(item, depth + 2, personal, words)
            return
        text = _text(vr, value)
    except BROKEN as error:
        yield TagRow(number, name, "", f"cannot be read ({plain(type(error).__name__)})", depth, personal)
        return
    told = text.casefold()
    yield TagRow(number, name, vr, text, depth, personal or any(word in told for word in words))


def _text(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview) or vr in _BULK:
        return f"{len(value):,} bytes (not shown)" if hasattr(value, "__len__") else plain(value, _LONGEST)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return plain(value, _LONGEST)
    if vr == "PN" and not hasattr(value, "__len__"):
        return plain(value, _LONGEST)
    several = list(value) if vr != "PN" or not hasattr(value, "original_string") else [value]
    if len(several) > _MANY:
        return f"{len(several):,} values (not shown)"
    return plain("\\".join(str(v) for v in several), _LONGEST)
