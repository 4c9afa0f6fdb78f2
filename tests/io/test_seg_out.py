"""DICOM segmentations that we write: others find each class on its frame, and nobody the patient."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest

from dicom_files import CR, plane_groups, shared_groups, uid, write_enhanced, write_image, write_times
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.dicom.facts import Part
from napari_medcnn.io.dicom.seg_out import SegHow, save_seg
from napari_medcnn.io.read import inspect, read
from seg_files import OBLIQUE, SHAPE, grid, parts, source_series

LABELS = LabelSet(
    (
        Label(1, "liver", (230, 159, 0), "SCT:10200004"),
        Label(2, "kidney, left", (86, 180, 233), "FMA:7205"),
        Label(3, "odd thing", (0, 158, 115)),
    )
)
PRIVATE = {
    "PatientName": "Secretname^Given", "PatientID": "MRN-4711", "PatientBirthDate": "19600102", "PatientSex": "F",
    "StudyDate": "20240131", "StudyTime": "101112.7531", "SeriesDate": "20240131", "AccessionNumber": "ACC-0815",
    "StudyID": "STUDY9", "ReferringPhysicianName": "Healer^Hidden", "InstitutionName": "Saint Nowhere",
    "StationName": "GANTRY77", "StudyDescription": "Query metastases", "SeriesDescription": "Thorax of Secretname",
    "PatientAge": "064Y", "PatientAddress": "Hill Road 5", "OperatorsName": "Radiographer^Rose",
    "DeviceSerialNumber": "SN-99887", "PatientComments": "shouts", "OtherPatientIDs": "MRN-4712",
    (0x0009, 0x0010): ("LO", "ACME 1.1"), (0x0009, 0x1001): ("LO", "privately Secretname"),
}  # fmt: skip


def part_of(folder: Path) -> Part:
    (item,) = [i for i in inspect(folder).items if i.kind == "volume" or i.kind == "picture"]
    return item.basis.part  # type: ignore[attr-defined]


def frames(path: Path) -> Iterator[tuple[int, tuple[float, ...], np.ndarray, str, int | None]]:
    """Yield segment, position, pixels, source UID and frame, by pydicom alone."""
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.reshape(-1, data.Rows, data.Columns)
    for group, plane in zip(data.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        identified = group.get("SegmentIdentificationSequence")  # of one class it stands with what all frames share
        number = identified[0].ReferencedSegmentNumber if identified else 0
        where = tuple(float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient)
        yield number, where, plane, source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")


@pytest.mark.parametrize("manner", ["BINARY", "LABELMAP"])
def test_right_segments_on_the_right_frames(tmp_path: Path, manner: Any) -> None:
    files = source_series(tmp_path / "ct", SHAPE, direction=OBLIQUE)
    truth, out = parts(), tmp_path / "out.dcm"
    part = part_of(tmp_path / "ct")
    save_seg(LabelMap(truth, grid(direction=OBLIQUE), LABELS), part, out, SegHow(manner, identified=True))
    slices = [pydicom.dcmread(f) for f in files]
    seen = list(frames(out))
    assert len(seen) == len(slices) * (3 if manner == "BINARY" else 1)
    for number, where, pixels, source, _ in seen:
        (k,) = [k for k, s in enumerate(slices) if np.allclose(s.ImagePositionPatient, where, atol=1e-6)]
        assert source == slices[k].SOPInstanceUID
        np.testing.assert_array_equal(pixels, truth[k] == number if number else truth[k])
    data, first = pydicom.dcmread(out), slices[0]
    shared = data.SharedFunctionalGroupsSequence[0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == first.ImageOrientationPatient
    assert [*shared.PixelMeasuresSequence[0].PixelSpacing] == [0.8, 0.7]
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == 2.5
    assert (data.StudyInstanceUID, data.FrameOfReferenceUID) == (first.StudyInstanceUID, first.FrameOfReferenceUID)
    assert data.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    assert (str(data.PatientName), data.PatientID, data.StudyDate) == ("Secret^Person", "ID-12345", "20240131")
    assert data.SegmentsOverlap == "NO" and data.SegmentationType == manner
    described = [s for s in data.SegmentSequence if s.SegmentNumber]  # a label map describes its background, too
    types = [s.SegmentedPropertyTypeCodeSequence[0] for s in described]
    assert [(t.CodingSchemeDesignator, t.CodeValue) for t in types] == [
        ("SCT", "10200004"), ("FMA", "7205"), ("SCT", "85756007"),
    ]  # fmt: skip


@pytest.mark.parametrize("manner", ["BINARY", "LABELMAP"])
def test_highdicom_reads_the_series_grid_and_we_read_the_same_mask(tmp_path: Path, manner: Any) -> None:
    source_series(tmp_path / "ct", SHAPE, direction=OBLIQUE)
    truth, out, own = parts(2), tmp_path / "out.dcm", grid(direction=OBLIQUE)
    notes = save_seg(LabelMap(truth, own, LABELS), part_of(tmp_path / "ct"), out, SegHow(manner))
    volume = highdicom.seg.segread(out).get_volume(combine_segments=True)
    theirs = Geometry.from_affine(volume.spatial_shape, volume.affine[:, [2, 1, 0, 3]])
    how = theirs.reorientation_to(_letters(own))  # highdicom's volume may run either way along z
    np.testing.assert_array_equal(how.apply(volume.array), truth)
    assert theirs.reoriented(how).same_grid(own, 1e-4)
    mask = read(out)
    assert isinstance(mask, LabelMap) and mask.geometry.same_grid(own, 1e-4)
    np.testing.assert_array_equal(mask.array, truth)
    assert mask.labels.to_json() == LABELS.to_json()
    assert "the one painted last stays" in notes[0] and any("Tissue" in n for n in notes)


def _letters(geometry: Geometry) -> tuple[str, str, str]:
    letters = geometry.orientation
    return letters[2], letters[1], letters[0]


def test_beside_its_series_an_identified_mask_belongs_to_it(tmp_path: Path) -> None:
    source_series(tmp_path / "ct", SHAPE)
    save_seg(LabelMap(parts(), grid(), LABELS), part_of(tmp_path / "ct"), tmp_path / "ct" / "z.dcm",
             SegHow(identified=True))  # fmt: skip
    (item,) = [i for i in inspect(tmp_path / "ct").items if i.kind == "labels"]
    assert "(of CT 5, Thorax)" in item.title and item.geometry == grid()


@pytest.mark.parametrize("manner", ["BINARY", "LABELMAP"])
def test_nothing_of_the_patient_stands_in_the_bytes(tmp_path: Path, manner: Any) -> None:
    tags = {**PRIVATE, "SpecificCharacterSet": "ISO_IR 100"}
    files = source_series(tmp_path / "Secretname", SHAPE, tags=tags)
    part, out = part_of(tmp_path / "Secretname"), tmp_path / "out.dcm"
    mask = LabelMap(parts(), grid(), LABELS.with_label(Label(3, "of Secretname", (1, 2, 3))), "Secretname")
    notes = save_seg(mask, part, out, SegHow(manner, private=frozenset({"Secretname", "MRN-4711"})))
    raw = out.read_bytes()
    for value in _told(files):
        assert value.encode() not in raw, value
    assert read(out).labels.name_of(3) == "Class 3"  # type: ignore[union-attr]
    assert any("class 3" in note for note in notes)
    save_seg(mask, part, out, SegHow(manner, identified=True))
    raw = out.read_bytes()
    for value in ("Secretname^Given", "MRN-4711", "19600102", "20240131", "ACC-0815", uid("study"), uid("series")):
        assert value.encode() in raw, value
    for value in ("Nowhere", "GANTRY77", "metastases", "Radiographer", "privately", "Hill Road"):  # no more than needed
        assert value.encode() not in raw, value


def _told(files: list[Path]) -> set[str]:
    """Return every value that went into the sources and leads to a person, and the parts of names."""
    found = {str(v[1] if isinstance(v, tuple) else v) for v in PRIVATE.values()} - {"F", "ACME 1.1"}
    for file in files:
        data = pydicom.dcmread(file, stop_before_pixels=True)
        found |= {str(e.value) for e in data if e.VR == "UI" and e.keyword != "SOPClassUID"}
    return found | {"Secretname", "Healer", "Rose"}


def test_new_uids_are_equal_for_an_equal_key_only(tmp_path: Path) -> None:
    source_series(tmp_path / "ct", SHAPE)
    part, mask = part_of(tmp_path / "ct"), LabelMap(parts(), grid(), LABELS)
    studies = []
    for key in ("k", "k", "", ""):
        save_seg(mask, part, tmp_path / "o.dcm", SegHow(key=key))
        data = pydicom.dcmread(tmp_path / "o.dcm")
        studies.append(data.StudyInstanceUID)
        assert data.PatientIdentityRemoved == "YES" and data.ContentDate == "19000101" and data.StudyDate == ""
    assert studies[0] == studies[1] and len(set(studies)) == 3


def test_ids_with_gaps_stay_in_a_label_map_and_are_told_in_a_binary(tmp_path: Path) -> None:
    source_series(tmp_path / "ct", SHAPE)
    ids = parts().astype(np.uint16) * 150  # 150, 300, 450
    part, out = part_of(tmp_path / "ct"), tmp_path / "o.dcm"
    save_seg(LabelMap(ids, grid()), part, out, SegHow("LABELMAP"))
    np.testing.assert_array_equal(read(out).array, ids)
    notes = save_seg(LabelMap(ids, grid()), part, out)
    np.testing.assert_array_equal(read(out).array, ids // 150)
    assert "class 300 is segment 2" in " ".join(notes)


def test_frames_of_one_file_are_referred_to_by_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 99, (4, 6, 5)).astype(np.uint16)
    told = [plane_groups((0, 0, 2.0 * k)) for k in (2, 0, 3, 1)]  # against their order in space
    file = write_enhanced(tmp_path / "mr" / "e", values, told, shared_groups((2, 0.8, 0.7)))
    part = part_of(tmp_path / "mr")
    truth = rng.integers(0, 2, (4, 6, 5)).astype(np.uint8)
    assert part.geometry is not None
    save_seg(LabelMap(truth, part.geometry), part, tmp_path / "o.dcm", SegHow(identified=True))
    seen = {where[2]: (source, frame) for _, where, _, source, frame in frames(tmp_path / "o.dcm")}
    own = pydicom.dcmread(file).SOPInstanceUID
    assert seen == {4.0: (own, 1), 0.0: (own, 2), 6.0: (own, 3), 2.0: (own, 4)}
    data = pydicom.dcmread(tmp_path / "o.dcm")
    assert len(data.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_the_mask_of_an_x_ray(tmp_path: Path) -> None:
    none = {"ImagePositionPatient": None, "FrameOfReferenceUID": None, "PatientOrientation": ["L", "F"]}
    write_image(tmp_path / "cr" / "a.dcm", np.zeros((9, 7), np.uint16), none, sop_class=CR)
    truth = np.random.default_rng(1).integers(0, 3, (1, 9, 7)).astype(np.uint8)
    save_seg(LabelMap(truth, Geometry.picture(9, 7)), part_of(tmp_path / "cr"), tmp_path / "o.dcm")
    np.testing.assert_array_equal(read(tmp_path / "o.dcm").array, truth)
    assert pydicom.dcmread(tmp_path / "o.dcm").NumberOfFrames == 2


def test_what_does_not_fit_is_refused_in_words(tmp_path: Path) -> None:
    source_series(tmp_path / "ct", SHAPE)
    part, out = part_of(tmp_path / "ct"), tmp_path / "o.dcm"
    beside = Geometry(SHAPE, (2.5, 0.8, 0.7), (10.3, 20.0, 30.0))
    for mask, words in (
        (LabelMap(parts(), beside, LABELS), "does not lie on the grid of CT 5"),
        (LabelMap(np.zeros(SHAPE, np.uint8), grid()), "paint something first"),
    ):
        with pytest.raises(InputError, match=words):
            save_seg(mask, part, out)
    with pytest.raises(SaveError, match=r"ends in \.dcm"):
        save_seg(LabelMap(parts(), grid(), LABELS), part, tmp_path / "o.nii.gz")
    source_series(tmp_path / "tilt", SHAPE, step=(0.0, 0.8, 2.5))
    with pytest.raises(InputError, match="no even, straight grid"):
        save_seg(LabelMap(parts(), grid(), LABELS), part_of(tmp_path / "tilt"), out)
    assert not out.exists()


def test_what_reads_back_differently_never_takes_the_place_of_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_series(tmp_path / "ct", SHAPE)
    part, out, mask = part_of(tmp_path / "ct"), tmp_path / "o.dcm", LabelMap(parts(), grid(), LABELS)
    save_seg(mask, part, out)
    old = out.read_bytes()
    real = os.fsync

    def damaged(handle: int) -> None:
        real(handle)
        size = os.fstat(handle).st_size
        if size > 3000:  # the last bytes are pixels
            last = os.pread(handle, 1, size - 3)[0]
            os.pwrite(handle, bytes([last ^ 1]), size - 3)

    monkeypatch.setattr("napari_medcnn.io.atomic.os.fsync", damaged)
    with pytest.raises(SaveError, match="voxels read back differ"):
        save_seg(LabelMap(parts(3), grid(), LABELS), part, out)
    assert out.read_bytes() == old and [p.name for p in tmp_path.iterdir() if p.is_file()] == ["o.dcm"]


def test_the_first_time_point_of_a_4d_series(tmp_path: Path) -> None:
    write_times(tmp_path / "mr", np.zeros((2, *SHAPE), np.int16), lambda t: {"TemporalPositionIdentifier": t + 1})
    save_seg(LabelMap(parts(), grid(), LABELS), part_of(tmp_path / "mr"), tmp_path / "o.dcm")
    np.testing.assert_array_equal(read(tmp_path / "o.dcm").array, parts())


def test_a_real_ct_with_the_organs_of_its_reference(tmp_path: Path, shared_data: Any) -> None:
    folder = shared_data("totalseg-ct/example_ct_dicom")
    organs = nibabel.load(shared_data("totalseg-ct/example_seg_dicom.nii.gz"))
    part = part_of(folder)
    geometry = Geometry.from_affine(organs.shape[::-1], np.diag([-1.0, -1.0, 1.0, 1.0]) @ organs.affine)
    truth = np.asarray(organs.dataobj).T.astype(np.uint8)
    truth[truth > np.unique(truth)[4]] = 0  # four organs
    save_seg(LabelMap(truth, geometry), part, tmp_path / "o.dcm", SegHow("LABELMAP"))
    volume = highdicom.seg.segread(tmp_path / "o.dcm").get_volume(combine_segments=True)
    # by position: nibabel's voxel of each of highdicom's voxels with an organ
    found = np.argwhere(volume.array)
    world = found @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    index = np.rint((world * (-1, -1, 1) - organs.affine[:3, 3]) @ np.linalg.inv(organs.affine[:3, :3]).T).astype(int)
    assert len(found) == np.count_nonzero(truth) > 1000
    np.testing.assert_array_equal(truth[index[:, 2], index[:, 1], index[:, 0]], volume.array[tuple(found.T)])
    slices = sorted(
        float(pydicom.dcmread(f, stop_before_pixels=True).ImagePositionPatient[2]) for f in folder.iterdir()
    )
    assert sorted(where[2] for _, where, *_ in frames(tmp_path / "o.dcm")) == slices
