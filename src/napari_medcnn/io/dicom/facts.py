"""What DICOM headers say, and what opens as one image: the values that header pass, gate and decoders share.

Everything here is plain, frozen and without pixels.  `Header` can be written to JSON, so that a folder that was looked
at once is not parsed again; it holds no name, number or birth date of a patient, only `person_key`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Float, Geometry
from napari_medcnn.core.volume import Axes

Vector = tuple[float, float, float]
HeaderKind = Literal["image", "segmentation", "structures", "directory", "other"]


@dataclass(frozen=True)
class Stored:
    """How the pixels of one file are stored (DICOM PS3.3 C.7.6.3, PS3.5 8).

    Parameters
    ----------
    syntax
        Transfer syntax UID; "" where the file does not state it (no file meta group).
    rows, columns, samples, frames
        Size; frames is at least 1.
    bits_allocated, bits_stored, high_bit, signed
        Of one sample.
    photometric
        Photometric Interpretation, upper case.
    planar
        Planar Configuration: 0 colour by pixel, 1 colour by plane.
    element
        "PixelData", "FloatPixelData", "DoubleFloatPixelData", or "" where the file holds no pixels.
    offset, length
        First byte of the pixels in the file and their number, None where they are not stored plainly
        (encapsulated, deflated) or the length is undefined.
    lut
        True if a Modality LUT Sequence takes the place of slope and intercept.
    wrapped_at
        First byte of the items of compressed pixels (the offset table's), None for plain ones or where not known.
    """

    syntax: str
    rows: int
    columns: int
    samples: int = 1
    frames: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    photometric: str = "MONOCHROME2"
    planar: int = 0
    element: str = "PixelData"
    offset: int | None = None
    length: int | None = None
    lut: bool = False
    wrapped_at: int | None = None


@dataclass(frozen=True)
class Frame:
    """One image plane of a file.

    Parameters
    ----------
    index
        Number of the frame in its file, from 0.
    position, row, column
        LPS mm of the centre of the first pixel, and unit vectors along a row (rising column index) and along a column;
        None where not stated.
    pixel_mm
        (y, x) in the patient (PixelSpacing), None if absent or unusable.
    thickness_mm, between_mm
        SliceThickness and SpacingBetweenSlices, None if absent.
    slope, intercept, unit
        Modality rescale of this frame and its RescaleType.
    windows
        (name, low, high) offered for display.
    moment
        What can tell images at one place apart, by DICOM keyword or our own word: numbers where they are numbers
        ("EchoTime": 4.9 ms, "DiffusionBValue": 800.0 s/mm2, "TemporalPositionIdentifier": 2.0, "TriggerTime",
        "t": 34.2 s, "StackID": "1", "ImageType": "M", ...).
    tile
        (first row, first column, rows, columns) inside the stored frame, for a mosaic; None for the whole frame.
    instance
        InstanceNumber of the file, 0 if absent.
    """

    index: int = 0
    position: Vector | None = None
    row: Vector | None = None
    column: Vector | None = None
    pixel_mm: tuple[float, float] | None = None
    thickness_mm: float | None = None
    between_mm: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""
    windows: tuple[tuple[str, float, float], ...] = ()
    moment: Mapping[str, float | str] = field(default_factory=dict)
    tile: tuple[int, int, int, int] | None = None
    instance: int = 0


@dataclass(frozen=True)
class Header:
    """What one DICOM file says, without its pixels and without whom it is of.

    Parameters
    ----------
    kind
        "image" has pixels to show; "segmentation" is a SEG, "structures" an RTSTRUCT, "directory" a DICOMDIR;
        "other" is what holds no image ("a structured report", `what` says it in words).
    person_key
        Equal for equal name, number and birth date: tells patients apart, names none.
    image_type
        ImageType, upper case.
    detector_mm, patient_orientation, laterality, frame_of_reference
        As of `core.volume.Volume`.
    series_date, series_time, study_date
        YYYY-MM-DD, HH:MM:SS.fff and YYYY-MM-DD, or "".
    values
        Further facts as plain JSON types: what PET, tilt and vendor rules need.
    notes
        What the header pass repaired or left out, in words.
    nbytes
        Size of the file.
    """

    path: Path
    kind: HeaderKind = "image"
    what: str = ""
    sop_class: str = ""
    sop_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    person_key: str = ""
    modality: str = ""
    series_number: str = ""
    description: str = ""
    study_description: str = ""
    study_date: str = ""
    series_date: str = ""
    series_time: str = ""
    manufacturer: str = ""
    image_type: tuple[str, ...] = ()
    frame_of_reference: str = ""
    patient_orientation: tuple[str, ...] = ()
    laterality: str = ""
    detector_mm: tuple[float, float] | None = None
    stored: Stored | None = None
    frames: tuple[Frame, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    nbytes: int = 0


class Plane(NamedTuple):
    """One frame together with the file it lies in."""

    header: Header
    frame: Frame


@dataclass(frozen=True, eq=False)
class Part:
    """What opens as one image.

    Parameters
    ----------
    id
        Stable: the series UID; with ":stack-2", ":echo-2", ":size-2" and the like behind it where one series splits.
    title
        "CT 5, Thorax 1 mm"; never a patient's name or number.
    planes
        For each time point (echo, b-value) its slices in rising order along their normal; () for what is refused.
    axes, shape
        Of the voxels to come; shape is (), axes "zyx" for what is refused.
    geometry
        The grid; None where only consent makes one.
    affine_lps
        4x4, index (x, y, z, 1) to LPS mm, of a sheared (tilted) stack, else None.
    positions_mm
        (slices,) rising, along the normal, of an unevenly spaced stack, else None.
    frame_values, frame_unit, frame_name
        As of `Volume`: one value for each time point, or empty.
    duplicates
        Planes that lie where another of `planes` lies and differ from it: (time, slice, the other plane).
        `planes` holds the first of each in order of instance number, this list the later ones in rising order.
    report
        What was found, assumed and refused, and what it asks.
    files
        The files it accounts for, those without planes and dropped copies included; never empty, in rising order.
    """

    id: str
    title: str
    planes: tuple[tuple[Plane, ...], ...] = ()
    axes: Axes = "zyx"
    shape: tuple[int, ...] = ()
    geometry: Geometry | None = None
    affine_lps: Float | None = None
    positions_mm: Float | None = None
    frame_values: tuple[float, ...] = ()
    frame_unit: str = ""
    frame_name: str = ""
    duplicates: tuple[tuple[int, int, Plane], ...] = ()
    report: Report = Report()
    files: tuple[Path, ...] = ()

    @property
    def first(self) -> Plane:
        """The first plane; only for a part that has planes."""
        return self.planes[0][0]
