"""A mask of a DICOM series as a DICOM Segmentation (PS3.3 A.51 and A.86): written, read back, compared, then kept.

Every plane of the series has its frame, empty ones too, so that the grid of the file is the grid of the series.
Without a separate choice nothing in it leads to the patient: UIDs are new ones, names, numbers and dates are left out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom

from napari_medcnn import __version__
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.placing import copied
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.atomic import atomic_write
from napari_medcnn.io.dicom.facts import Part
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.masks.seg_names import GENERIC
from napari_medcnn.io.dicom.masks.seg_source import NO_DATE, NO_TIME, Uids, refer, stand_ins
from napari_medcnn.io.dicom.seg import read_seg
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.read import named
from napari_medcnn.io.share import without_identifiers

#: How far the grid read back may be from the series', in voxels: headers round positions.
_TOLERANCE = 0.02
OVERLAPS = "Every voxel has one class: where classes met, the one painted last stays, and none overlap in the file."


@dataclass(frozen=True)
class SegHow:
    """How a segmentation is written.

    Parameters
    ----------
    manner
        "BINARY": a frame for each class and plane, which every program reads. "LABELMAP": one frame a plane, values
        are class ids; smaller, and read by programs of 2024 and later.
    identified
        Name the patient and refer to the series by its real UIDs, for the archive it came from.
    key
        Without `identified`: the same key gives the same new UIDs; "" takes a random one.
    private
        Words that name the patient; a class whose name holds one is called by its number unless `identified`.
    """

    manner: Literal["BINARY", "LABELMAP"] = "BINARY"
    identified: bool = False
    key: str = ""
    private: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.manner not in ("BINARY", "LABELMAP"):
            raise InputError(f"manner: expected BINARY or LABELMAP, got {self.manner!r}")


def save_seg(mask: LabelMap, part: Part, path: Path | str, how: SegHow = SegHow()) -> tuple[str, ...]:
    """Write a mask as a segmentation of the series it was drawn on.

    Parameters
    ----------
    mask
        (z, y, x) class ids on the grid of the series, or on one that lies in it voxel on voxel.
    part
        The series, as the gate sorted it.
    path
        Ends in ``.dcm``.

    Returns
    -------
    What a user should know, in words: overlaps, renumbered classes, what was left out.

    Raises
    ------
    InputError
        The mask lies on another grid, holds no class, or the series cannot be referred to.
    SaveError
        The disk failed, or what was written does not read back equal; the old file is intact.
    """
    path = Path(path)
    if path.suffix.lower() != ".dcm":
        raise SaveError(f"{shown(path)}: expected a name that ends in .dcm for a DICOM segmentation")
    grid = _grid_of(part)
    ids = _on_series(mask, part, grid)
    labels = _labels(mask, ids, how)
    numbers = {x.id: k for k, x in enumerate(labels, 1)} if how.manner == "BINARY" else {x.id: x.id for x in labels}
    table = np.zeros(65536, np.uint16 if max(numbers.values()) > 255 else np.uint8)
    table[list(numbers)] = list(numbers.values())
    array = table[ids]
    meant = LabelMap(array, grid, LabelSet(tuple(replace(x, id=numbers[x.id]) for x in labels)))
    data = _built(meant, part, how)

    def verify(temporary: Path) -> None:
        _compare(path, temporary, meant)

    atomic_write(path, lambda temporary: data.save_as(temporary, enforce_file_format=True), verify)
    return _notes(mask, labels, numbers, how)


def _grid_of(part: Part) -> Geometry:
    if part.geometry is None or not part.planes:
        raise InputError(
            f"{part.title}: its slices form no even, straight grid, so the mask lies on a resampled one; a DICOM "
            "segmentation needs the series' own. Save as .seg.nrrd or .nii.gz"
        )
    return part.geometry


def _on_series(mask: LabelMap, part: Part, grid: Geometry) -> Array:
    """Return the ids on the grid of the series, as uint16; exact copies only."""
    if int(mask.array.max(initial=0)) > 65535:
        raise SaveError(f"expected class ids up to 65535, got {int(mask.array.max())}")
    array = mask.array.astype(np.uint16)
    if mask.geometry.same_grid(grid) or (mask.is_picture and mask.geometry.shape == grid.shape):
        return array
    found = copied(array, mask.geometry, grid)
    if found is None or found[1]:
        raise InputError(
            f"{mask.name}: the mask does not lie on the grid of {part.title} "
            f"({' x '.join(map(str, mask.geometry.shape))} against {' x '.join(map(str, grid.shape))} voxels); choose "
            "the series it was drawn on, or save as .nii.gz"
        )
    return found[0]


def _labels(mask: LabelMap, ids: Array, how: SegHow) -> LabelSet:
    """Return the classes as the file will hold them: names of at most 64 characters (PS3.5 6.2, LO), each once."""
    labels = named(mask.labels, ids)
    if not len(labels):
        raise InputError(f"{mask.name}: there is no class in this mask, so nothing to save; paint something first")
    if set(np.unique(ids).tolist()) - {0, *labels.ids}:
        raise InputError(
            f"{mask.name}: more than {len(labels)} numbers in it have no name; this is not a mask of classes"
        )
    taken: set[str] = set()
    found = []
    for label in labels:
        name = plain(label.name.replace("\\", "/"), 64)
        if not how.identified and without_identifiers(name, how.private) != name:
            name = f"Class {label.id}"
        if name in taken:
            name = f"{name[:56]} ({label.id})"
        taken.add(name)
        code = label.code if label.code and _code_parts(label.code) else None
        found.append(Label(label.id, name, label.colour, code))
    return LabelSet(tuple(found))


def _code_parts(code: str) -> tuple[str, str] | None:
    scheme, mark, value = code.partition(":")
    good = mark and 0 < len(scheme) <= 16 and 0 < len(value) <= 64 and "\\" not in code and code.isprintable()
    return (scheme, value) if good else None


def _built(meant: LabelMap, part: Part, how: SegHow) -> pydicom.Dataset:
    """Return the whole object, references and de-identification included."""
    uids = Uids.of(how.identified, how.key)
    sources = stand_ins(part, meant.geometry, uids)
    try:
        data = _written_by_highdicom(meant, how, sources)
    except (ValueError, TypeError, AttributeError) as error:
        raise SaveError(
            f"{part.title}: a DICOM segmentation of it cannot be made ({plain(error, 200)}); save as .seg.nrrd "
            "or .nii.gz"
        ) from error
    refer(data, part, sources, uids)
    if not how.identified:
        _say_nothing(data)
    return data


def _written_by_highdicom(meant: LabelMap, how: SegHow, sources: list[pydicom.Dataset]) -> pydicom.Dataset:
    import highdicom

    with warnings.catch_warnings():
        return highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=meant.array,
            segmentation_type=how.manner,
            segment_descriptions=[_described(label) for label in meant.labels],
            series_instance_uid=str(pydicom.uid.generate_uid(prefix=None)),
            series_number=300,
            sop_instance_uid=str(pydicom.uid.generate_uid(prefix=None)),
            instance_number=1,
            manufacturer="napari-medcnn",
            manufacturer_model_name="napari-medcnn",
            software_versions=__version__,
            device_serial_number="0",
            content_label="SEGMENTATION",
            content_description="One class per voxel, the last painted; none overlap",
            series_description="Segmentation",
            omit_empty_frames=False,
        )


def _described(label: Label) -> Any:
    import highdicom
    from highdicom.sr.coding import CodedConcept

    generic = CodedConcept(GENERIC[1], GENERIC[0], "Tissue")
    parts = _code_parts(label.code) if label.code else None
    return highdicom.seg.SegmentDescription(
        segment_number=label.id,
        segment_label=label.name,
        segmented_property_category=generic,
        segmented_property_type=CodedConcept(parts[1], parts[0], label.name) if parts else generic,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="napari-medcnn",
            family=CodedConcept("123109", "DCM", "Manual Processing"),
            version=__version__,
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*label.colour),
    )


def _say_nothing(data: pydicom.Dataset) -> None:
    """Take out days and times, which lead to the examination, and say that the patient was left out (PS3.15 E.1)."""
    data.ContentDate, data.ContentTime = NO_DATE, NO_TIME
    for keyword in (
        "InstanceCreationDate",
        "InstanceCreationTime",
        "SeriesDate",
        "SeriesTime",
        "ContributingEquipmentSequence",
    ):
        if keyword in data:
            delattr(data, keyword)
    data.PatientIdentityRemoved = "YES"
    data.LongitudinalTemporalInformationModified = "REMOVED"
    data.DeidentificationMethod = "New UIDs; only the grid of the series was kept"


def _compare(path: Path, temporary: Path, meant: LabelMap) -> None:
    """Raise `SaveError` unless the file gives the voxels, the classes and the grid that were meant."""
    back = read_seg(read_header(temporary), None)
    if not isinstance(back, LabelMap) or not np.array_equal(back.array, meant.array):
        raise SaveError(f"{shown(path)}: not saved, the voxels read back differ; the old file is unchanged")
    if back.labels.to_json() != meant.labels.to_json():
        raise SaveError(f"{shown(path)}: not saved, the classes read back differ; the old file is unchanged")
    if meant.geometry.orientation_known and not back.geometry.same_grid(meant.geometry, _TOLERANCE):
        raise SaveError(
            f"{shown(path)}: not saved, the position or voxel size read back differs; the old file is unchanged"
        )


def _notes(mask: LabelMap, labels: LabelSet, numbers: dict[int, int], how: SegHow) -> tuple[str, ...]:
    notes = [OVERLAPS]
    moved = [f"{x.name}: class {x.id} is segment {numbers[x.id]}" for x in labels if numbers[x.id] != x.id]
    if moved:
        notes.append("Segments are numbered without gaps: " + "; ".join(moved) + ".")
    renamed = [f"class {x.id}" for x in labels if x.id in mask.labels and x.name != mask.labels.name_of(x.id)]
    if renamed:
        notes.append("Names were shortened or left out: " + ", ".join(renamed) + ".")
    if mask.labels.finished:
        notes.append("Which classes are finished is not in this file; .seg.nrrd and .nii.gz keep it.")
    if any(x.code is None for x in labels):
        notes.append('Classes without a code carry the generic one, "Tissue" (SCT 85756007).')
    if how.identified:
        notes.append("This file names its patient. Keep it where only those who treat the patient can read it.")
    else:
        notes.append("Names, numbers, dates and UIDs of the patient were left out; it cannot be traced to its series.")
    return tuple(notes)
