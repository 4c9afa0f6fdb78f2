"""Which DICOM objects hold an image, and what the others are, in words (DICOM PS3.4 B.5, PS3.6 A)."""

from __future__ import annotations

from napari_medcnn.io.dicom.facts import HeaderKind

_ROOT = "1.2.840.10008.5.1.4.1.1."
SEGMENTATIONS = (_ROOT + "66.4", _ROOT + "66.7")
STRUCTURES = _ROOT + "481.3"
DIRECTORY = "1.2.840.10008.1.3.10"
RT_DOSE = _ROOT + "481.2"
SLIDE = _ROOT + "77.1.6"
#: Projections: every file is a picture of its own (computed, digital, mammography, intra-oral, XA, RF, RT image).
PROJECTIONS = tuple(
    _ROOT + tail
    for tail in ("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "12.1", "12.1.1", "12.2", "12.2.1", "481.1",
                 "12.3", "5")
)  # fmt: skip

#: The longest beginning that fits wins.
_OTHERS = {
    _ROOT + "88.": "a structured report",
    _ROOT + "88.59": "a key object selection",
    _ROOT + "11.": "a presentation state",
    _ROOT + "9.": "a waveform (ECG, sound or the like)",
    _ROOT + "66": "raw data",
    _ROOT + "66.1": "a registration",
    _ROOT + "66.2": "spatial fiducials",
    _ROOT + "66.3": "a deformable registration",
    _ROOT + "66.5": "a surface segmentation",
    _ROOT + "66.6": "tractography results",
    _ROOT + "67": "a real-world value mapping",
    _ROOT + "68.": "surface scan data",
    _ROOT + "104.1": "an encapsulated PDF",
    _ROOT + "104.2": "an encapsulated document (CDA)",
    _ROOT + "104.": "an encapsulated model or document",
    _ROOT + "4.2": "MR spectroscopy",
    _ROOT + "481.4": "a radiotherapy treatment record",
    _ROOT + "481.5": "a radiotherapy plan",
    _ROOT + "481.6": "a radiotherapy treatment record",
    _ROOT + "481.7": "a radiotherapy treatment summary",
    _ROOT + "481.8": "a radiotherapy plan",
    _ROOT + "481.9": "a radiotherapy treatment record",
    _ROOT + "481.": "a radiotherapy object without an image",
    _ROOT + "78.": "an ophthalmic measurement",
    _ROOT + "80.": "an ophthalmic report",
    _ROOT + "131": "a display layout",
    _ROOT + "200.": "an acquisition protocol",
    "1.2.840.10008.5.1.4.34.": "a radiotherapy or work list object",
    "1.2.840.10008.5.1.4.38.": "a hanging protocol",
    "1.2.840.10008.5.1.4.39.": "a colour palette",
    "1.2.840.10008.5.1.4.43.": "an implant template",
    "1.2.840.10008.5.1.4.44.": "an implant template",
    "1.2.840.10008.5.1.4.45.": "an implant template",
}
_MODALITIES = {"SR": "a structured report", "KO": "a key object selection", "PR": "a presentation state",
               "ECG": "a waveform (ECG, sound or the like)", "RTPLAN": "a radiotherapy plan", "REG": "a registration",
               "DOC": "an encapsulated document", "RTRECORD": "a radiotherapy treatment record"}  # fmt: skip
#: First number of the classes of images: X-ray, CT, ultrasound, MR, secondary capture, angiography, nuclear and PET.
_IMAGES = ("1", "2", "3", "4", "5", "6", "7", "12", "13", "20", "77", "128", "130")


def words_for(sop_class: str, modality: str) -> str:
    """Return what an object without an image is ("a structured report"); never empty."""
    fitting = [head for head in _OTHERS if sop_class == head or (head.endswith(".") and sop_class.startswith(head))]
    if fitting:
        return _OTHERS[max(fitting, key=len)]
    if sop_class.removeprefix(_ROOT).split(".")[0] in _IMAGES and sop_class.startswith(_ROOT):
        return "the header of an image, without its pixels"
    return _MODALITIES.get(modality, "a DICOM object without an image")


def kind_of(sop_class: str, modality: str, has_size: bool) -> HeaderKind:
    """Return the kind of an object by its class, and by whether it states rows and columns."""
    if sop_class in SEGMENTATIONS or (modality == "SEG" and has_size and not sop_class):
        return "segmentation"
    if sop_class == STRUCTURES or (modality == "RTSTRUCT" and not has_size):
        return "structures"
    if sop_class == DIRECTORY:
        return "directory"
    return "image" if has_size else "other"


def video_of(syntax: str) -> str:
    """Return "MPEG-2" and the like for a transfer syntax that holds a video, else ""."""
    tail = syntax.removeprefix("1.2.840.10008.1.2.4.")
    if tail == syntax:
        return ""
    number = tail.split(".", maxsplit=1)[0]
    return {"100": "MPEG-2", "101": "MPEG-2", "102": "MPEG-4", "103": "MPEG-4", "104": "MPEG-4", "105": "MPEG-4",
            "106": "MPEG-4", "107": "HEVC", "108": "HEVC"}.get(number, "")  # fmt: skip
