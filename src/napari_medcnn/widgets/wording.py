"""Results and checks as text for people."""

from __future__ import annotations

import json

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.volume import Volume
from napari_medcnn.verbs.doctor import Check

SIDES_UNKNOWN = "left/right not stated in this file"
#: DICOM modalities of pictures of the eye.
_EYE = ("OP", "OPT", "OPV", "OCT", "OPM")
_SIGNS = {"ok": "✓", "warn": "!", "missing": "✗"}


def check_words(checks: tuple[Check, ...]) -> str:
    """Return the lines of a check of this computer."""
    lines = []
    for check in checks:
        lines.append(f"{_SIGNS[check.status]}  {check.topic}: {check.text}")
        if check.next_step:
            lines.append(f"    What to do: {check.next_step}")
    return "\n".join(lines)


def how_words(result: Segmentation | Classification) -> str:
    """Return how a result was made: in words first, then the whole record as it is saved."""
    made = result.provenance
    model = made.model
    lines = [
        f"Model: {model.get('name', '')}, version {model.get('version', '')}, licence {model.get('licence', '')}",
        f"Model file sha256: {model.get('sha256', '')}",
        f"When: {made.time}",
        f"Where it ran: {made.device}",
        f"Seconds: {', '.join(f'{name} {value:.2f}' for name, value in made.seconds.items())}",
    ]
    lines += [f"Note: {note}" for note in made.notes]
    lines += ["", made.research_use, "", "The record that is saved beside the mask:", ""]
    return "\n".join(lines) + json.dumps(made.to_json(), indent=2, ensure_ascii=False, default=str)


def frame_words(scan: Volume | None, index: int) -> str:
    """Return which time, echo or b-value is seen: "t = 34.2 s"; "" where the files do not state it."""
    if scan is None or not 0 <= index < len(scan.frame_values):
        return ""
    unit = f" {scan.frame_unit}" if scan.frame_unit else ""
    value = scan.frame_values[index]
    return f"{scan.frame_name or 'step'} = {value:{'.4g' if abs(value) < 1000 else 'g'}}{unit}"


def sides_words(scan: Volume) -> str:
    """Return what a file without a place in the patient states of sides: those of a radiograph's edges, or nothing."""
    where = scan.patient_orientation
    words = f"right edge: {where[0]}, lower edge: {where[1]}" if len(where) == 2 else SIDES_UNKNOWN
    side = laterality_words(scan)
    return f"{words}; {side}" if side else words


def laterality_words(scan: Volume) -> str:
    """Return which one of a pair is seen, where the file states it: "body side: left"; of an eye "OD, right eye"."""
    if scan.modality in _EYE:
        return {"R": "OD, right eye", "L": "OS, left eye", "B": "OU, both eyes"}.get(scan.laterality, "")
    side = {"L": "left", "R": "right", "B": "both sides"}.get(scan.laterality, "")
    return f"body side: {side}" if side else ""


def sides_badge(scan: Volume) -> list[str]:
    """Return what stays on the picture of sides: that they are not stated, and which of a pair of organs is seen.

    Where the file states the sides, letters at the edges tell them.
    """
    stated = scan.geometry.orientation_known or len(scan.patient_orientation) == 2
    return [words for words in ("" if stated else SIDES_UNKNOWN, laterality_words(scan)) if words]


def badges(scan: Volume | None, consent: Consent = NONE) -> list[str]:
    """Return what stays on the picture as long as the scan is open; `consent` is what the user agreed to."""
    if scan is None:
        return []
    told = {
        "resampled": consent.resample,
        "damaged, read-only": consent.damaged,
        "duplicate slices: " + consent.duplicates: consent.duplicates != "ask",
        consent.complex_part: consent.complex_part != "ask",
        "mm at detector": scan.detector_mm is not None,
        "spacing unknown: no measures in mm": scan.detector_mm is None and not scan.geometry.spacing_known,
    }
    return [*sides_badge(scan), *(words for words, holds in told.items() if holds)]
