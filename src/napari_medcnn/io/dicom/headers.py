"""The header pass: what one DICOM file says, without its pixels and without whom it is of.

pydicom reads up to the pixels; nothing here decodes, but where the pixels lie is looked up and compared with what the
header claims, so that a cut file never gets into a stack.  Names and numbers of patients leave only as a keyed hash.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, BinaryIO

import pydicom

from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Frame, Header, Stored
from napari_medcnn.io.dicom.header import frames as planes
from napari_medcnn.io.dicom.header.elements import (
    BROKEN,
    Elements,
    clock,
    date,
    has,
    pair,
    text,
    texts,
    whole,
)  # fmt: skip
from napari_medcnn.io.dicom.header.functional import functional_frames
from napari_medcnn.io.dicom.header.kinds import PROJECTIONS, kind_of, video_of, words_for
from napari_medcnn.io.dicom.header.located import located
from napari_medcnn.io.dicom.header.mosaic import is_mosaic, mosaic_frames
from napari_medcnn.io.dicom.header.values import further_facts
from napari_medcnn.io.found import Person, plain, shown

#: One of these is in every DICOM file; pydicom, told to be lenient, reads anything.
_SIGNS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality", "Rows",
          "MediaStorageSOPClassUID", "TransferSyntaxUID", "PatientName", "PatientID", "ImageType")  # fmt: skip
#: What `person_of` reads.
_WHO = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")


def open_dataset(path: Path, pixels: bool = False) -> Any:
    """Return pydicom's data set, leniently, without the pixels unless asked for.

    Raises
    ------
    InputError
        Not DICOM, or too broken to be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
    except BROKEN as error:
        raise InputError(
            f"{shown(path)}: this DICOM file cannot be read ({plain(error, 100)}); it may be cut"
        ) from error


def read_header(path: Path, salt: bytes = b"") -> Header:
    """Return what one file says.

    Parameters
    ----------
    salt
        Key of the hash that stands for the patient; files are told apart only under one salt.

    Raises
    ------
    InputError
        Not DICOM, or broken.
    IncompleteFileError
        The file ends before the pixels that its header claims.
    """
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            meta = data.file_meta
            data = Elements(data)
            if not any(has(data, key) or has(meta, key) for key in _SIGNS):
                raise InputError(f"{shown(path)}: this is not a DICOM file; none of its usual elements is there")
            return _header(path, file, (data, meta), salt)
    except BROKEN as error:
        raise InputError(
            f"{shown(path)}: this DICOM file cannot be read ({plain(error, 100)}); it may be cut"
        ) from error


def person_of(path: Path) -> Person:
    """Return whom a file is of, for the screen only.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_WHO))
            name, number_, sex = (text(data, key) for key in ("PatientName", "PatientID", "PatientSex"))
            return Person(_readable(name), number_, date(data, "PatientBirthDate"), sex)
    except BROKEN as error:
        raise InputError(f"{shown(path)}: this DICOM file cannot be read ({plain(error, 100)})") from error


def person_key(name: str, number_: str, birth_date: str, salt: bytes = b"") -> str:
    """Return 32 hexadecimal digits, equal for equal name, number and birth date under one salt; "" for nobody."""
    told = "\n".join(" ".join(part.split()).strip("^ ").casefold() for part in (name, number_, birth_date))
    if not told.strip():
        return ""
    return hashlib.blake2b(told.encode("utf-8", "replace"), key=salt[:64], digest_size=16).hexdigest()


def _readable(name: str) -> str:
    """Return "Family, Given Middle" of a DICOM person name; the first of its spellings (PS3.5 6.2.1)."""
    parts = [part.strip() for part in name.split("=")[0].split("^")]
    given = " ".join(part for part in parts[1:3] if part)
    return ", ".join(part for part in (parts[0], given) if part)


def _header(path: Path, file: BinaryIO, sets: tuple[Elements, Any], salt: bytes) -> Header:
    data, meta = sets
    size = os.fstat(file.fileno()).st_size
    notes: list[str] = []
    sop_class, modality = text(data, "SOPClassUID"), text(data, "Modality", 16)
    sop_class = sop_class or text(meta, "MediaStorageSOPClassUID")
    syntax = text(meta, "TransferSyntaxUID")
    stored = _stored(data, syntax)
    kind, what = kind_of(sop_class, modality, stored is not None), ""
    if kind == "image" and video_of(syntax):
        kind, what = "other", f"a video ({video_of(syntax)})"
    elif kind == "image" and has(data, "PixelDataProviderURL"):
        kind, what = "other", "an image whose pixels lie on a server"
    elif kind == "other":
        what = words_for(sop_class, modality)
    if stored is not None and kind in ("image", "segmentation"):
        stored = located(path, file, stored, size)
    frames = _frames(data, stored, sop_class, notes) if kind == "image" and stored is not None else ()
    if (
        stored is not None
        and stored.offset is not None
        and 0 < stored.bits_stored <= stored.high_bit < stored.bits_allocated
    ):
        low = stored.high_bit + 1 - stored.bits_stored
        notes.append(
            f"Values stand in bits {low} to {stored.high_bit} of {stored.bits_allocated} (an old way to store)."
        )
    detector = pair(data, "ImagerPixelSpacing")
    if sop_class in PROJECTIONS and detector is not None and not has(data, "PixelSpacingCalibrationType"):
        frames = _uncalibrated(frames, detector, notes)
    image_type = tuple(part.upper() for part in texts(data, "ImageType", 24))
    values = further_facts(data, modality)
    if is_mosaic(image_type) and len(frames) == 1 and stored is not None:
        tiles = mosaic_frames(data, frames[0], stored)
        if isinstance(tiles, str):
            values["Mosaic"] = tiles
        else:
            frames = tiles
    stated = [str(f.moment.get("FrameLaterality", "")) for f in frames[:1]]
    sides = (*(text(data, key, 4).upper() for key in ("ImageLaterality", "Laterality")), *stated)
    laterality = next((side for side in sides if side in ("L", "R", "B", "U")), "")
    return Header(
        path,
        kind,
        what,
        sop_class,
        text(data, "SOPInstanceUID"),
        text(data, "SeriesInstanceUID"),
        text(data, "StudyInstanceUID"),
        person_key(text(data, "PatientName"), text(data, "PatientID"), text(data, "PatientBirthDate"), salt),
        modality,
        text(data, "SeriesNumber", 12),
        text(data, "SeriesDescription", 60),
        text(data, "StudyDescription", 60),
        date(data, "StudyDate"),
        date(data, "SeriesDate"),
        clock(data, "SeriesTime"),
        text(data, "Manufacturer", 40),
        image_type,
        text(data, "FrameOfReferenceUID"),
        texts(data, "PatientOrientation", 8),
        laterality,
        detector,
        stored,
        frames,
        values,
        tuple(dict.fromkeys(notes)),
        size,
    )


def _stored(data: Any, syntax: str) -> Stored | None:
    """Return how pixels are stored, None where the file states no rows and columns."""
    rows, columns = whole(data, "Rows"), whole(data, "Columns")
    if rows <= 0 or columns <= 0 or not has(data, "BitsAllocated"):
        return None
    allocated = whole(data, "BitsAllocated", 16)
    used = whole(data, "BitsStored", allocated)
    return Stored(
        syntax,
        rows,
        columns,
        max(1, whole(data, "SamplesPerPixel", 1)),
        max(1, whole(data, "NumberOfFrames", 1)),
        allocated,
        used if 0 < used <= allocated else allocated,
        whole(data, "HighBit", used - 1),
        whole(data, "PixelRepresentation") == 1,
        text(data, "PhotometricInterpretation", 20).upper() or "MONOCHROME2",
        whole(data, "PlanarConfiguration"),
        "",
        lut=has(data, "ModalityLUTSequence"),
    )


def _frames(data: Any, stored: Stored, sop_class: str, notes: list[str]) -> tuple[Frame, ...]:
    if has(data, "PerFrameFunctionalGroupsSequence") or has(data, "SharedFunctionalGroupsSequence"):
        return functional_frames(data, stored.frames, notes)
    if stored.frames > 1:
        return planes.several_frames(data, stored.frames, notes, sop_class)
    return (planes.single_frame(data, notes, sop_class),)


def _uncalibrated(frames: tuple[Frame, ...], detector: tuple[float, float], notes: list[str]) -> tuple[Frame, ...]:
    """Return the frames of a projection without a pixel spacing that only repeats the detector's (PS3.3 10.7.1.3)."""
    if not any(frame.pixel_mm == detector for frame in frames):
        return frames
    notes.append("The stated pixel spacing is the detector's (not calibrated), not that of the patient.")
    return tuple(replace(f, pixel_mm=None) if f.pixel_mm == detector else f for f in frames)


def header_to_json(header: Header) -> dict[str, Any]:
    """Return plain JSON types, without the path and without what has its default."""
    found = {f.name: getattr(header, f.name) for f in fields(Header) if f.name not in ("path", "stored", "frames")}
    found = {name: value for name, value in found.items() if value not in ("", (), {}, None, 0)}
    found["stored"] = None if header.stored is None else _changed(header.stored, Stored("", 0, 0))
    found["frames"] = [_changed(frame, Frame()) for frame in header.frames]
    return found


def header_from_json(path: Path, data: Mapping[str, Any]) -> Header:
    """Read what `header_to_json` wrote, equal in every field.

    Raises
    ------
    InputError
        An entry is missing or of the wrong kind.
    """
    try:
        rest = {name: _tupled(value) for name, value in data.items() if name not in ("values", "stored", "frames")}
        stored = data["stored"]
        frames_ = tuple(
            Frame(**{k: v if k == "moment" else _tupled(v) for k, v in one.items()}) for one in data["frames"]
        )
        return Header(
            path,
            stored=None if stored is None else Stored(**{"syntax": "", "rows": 0, "columns": 0, **stored}),
            frames=frames_,
            values=dict(data.get("values", {})),
            **rest,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{shown(path)}: its stored header cannot be used ({plain(error, 80)})") from error


def _changed(value: Any, default: Any) -> dict[str, Any]:
    return {f.name: got for f in fields(value) if (got := getattr(value, f.name)) != getattr(default, f.name)}


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, (list, tuple)) else value
