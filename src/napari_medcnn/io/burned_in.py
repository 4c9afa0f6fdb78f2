"""Does a picture perhaps show a name in its own pixels? No export can take that out; a person has to look."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

#: DICOM modality (PS3.3 C.7.3.1.1.1) -> what it is called; scanners write names into these.
_KINDS = {
    "US": "ultrasound", "IVUS": "ultrasound", "XA": "an X-ray angiogram", "RF": "a fluoroscopy", "ES": "an endoscopy",
    "XC": "a photograph", "GM": "a microscope picture", "OT": "a picture of another kind", "SC": "a secondary capture",
    "OP": "an eye picture", "ECG": "a curve", "DG": "a diaphanograph", "DOC": "a document", "SMR": "a stereo picture",
    "picture": "a picture file",
}  # fmt: skip
#: SOP classes of secondary captures (PS3.4 table B.5-1): the single one and those of several frames.
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
_TAGS = ["BurnedInAnnotation", "SOPClassUID", "ConversionType", "ImageType", "Modality"]


def reasons(modality: str, is_picture: bool = False, header: Path | None = None) -> tuple[str, ...]:
    """Return why the picture itself may show a name, in words; empty where nothing speaks for it.

    Parameters
    ----------
    modality, is_picture
        Of the scan.
    header
        One of its DICOM files, None for other formats. A file that cannot be read is a reason, too.
    """
    found = []
    kind = _KINDS.get(modality.upper(), _KINDS.get(modality, ""))
    if kind or is_picture:
        found.append(f"this is {kind or 'a picture file'}")
    if header is not None:
        found += _stated(header)
    return tuple(dict.fromkeys(found))


def _stated(header: Path) -> list[str]:
    try:
        data = pydicom.dcmread(header, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
        burned = str(data.get("BurnedInAnnotation", "")).strip().upper()
        secondary = str(data.get("SOPClassUID", "")).startswith(_SECONDARY) or bool(data.get("ConversionType", ""))
        kinds = {str(part).strip().upper() for part in data.get("ImageType", None) or ()}
    except (OSError, InvalidDicomError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return ["what its file says of text in the picture cannot be read"]
    found = []
    if burned == "YES":
        found.append("its file says that text is burned into the picture")
    if secondary or "SCREEN SAVE" in kinds:
        found.append("this is a secondary capture")
    return found
