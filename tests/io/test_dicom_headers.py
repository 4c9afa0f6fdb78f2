"""The header pass: what a file says, checked against pydicom and against what the test wrote."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_files import CR, CT, MR, PET, RT_DOSE, group, plane_groups, shared_groups, write_enhanced, write_image
from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.dicom.headers import header_from_json, header_to_json, person_key, person_of, read_header

PIXELS = np.arange(48, dtype=np.int16).reshape(8, 6) - 7


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_pixels_are_located(tmp_path: Path, syntax) -> None:
    header = read_header(write_image(tmp_path / "a", PIXELS, syntax=syntax))
    assert header.stored is not None
    assert header.stored.length == 96
    raw = header.path.read_bytes()[header.stored.offset :][:96]
    order = ">i2" if syntax == ExplicitVRBigEndian else "<i2"
    np.testing.assert_array_equal(np.frombuffer(raw, order).reshape(8, 6), PIXELS)


def test_facts_of_a_ct_slice(tmp_path: Path) -> None:
    header = read_header(
        write_image(tmp_path / "a", PIXELS, {
            "ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
            "PixelSpacing": [0.8, 0.7], "SliceThickness": 2.5, "SpacingBetweenSlices": 2, "RescaleSlope": 2,
            "RescaleIntercept": -1024, "RescaleType": "HU", "WindowCenter": [40, 300],
            "WindowWidth": [400, 1500],
            "WindowCenterWidthExplanation": ["SOFT", "BONE"], "SeriesTime": "101112.5", "SeriesDate": "20240201",
            "ImageLaterality": "l", "PatientOrientation": ["A", "F"], "GantryDetectorTilt": -18.5, "EchoTime": 4.9,
            "AcquisitionTime": "000130.25", "ImagerPixelSpacing": [0.2, 0.1],
        })
    )  # fmt: skip
    (frame,) = header.frames
    assert (frame.position, frame.row, frame.column) == ((1, 2, 3), (0, 1, 0), (0, 0, -1))
    assert (frame.pixel_mm, frame.thickness_mm, frame.between_mm) == ((0.8, 0.7), 2.5, 2.0)
    assert (frame.slope, frame.intercept, frame.unit) == (2, -1024, "HU")
    assert frame.windows == (("SOFT", -160, 240), ("BONE", -450, 1050))
    assert (frame.moment["EchoTime"], frame.moment["AcquisitionTime"]) == (4.9, 90.25)
    assert (header.series_date, header.series_time, header.study_date) == ("2024-02-01", "10:11:12.500", "2024-01-31")
    assert (header.laterality, header.patient_orientation, header.detector_mm) == ("L", ("A", "F"), (0.2, 0.1))
    assert header.values["GantryDetectorTilt"] == -18.5
    assert (header.kind, header.modality, header.sop_class, header.nbytes) == (
        "image", "CT", CT, header.path.stat().st_size,
    )  # fmt: skip


def test_no_person_in_a_header_and_keys_tell_persons_apart(tmp_path: Path) -> None:
    a = read_header(write_image(tmp_path / "a", PIXELS), b"salt")
    b = read_header(write_image(tmp_path / "b", PIXELS, {"PatientName": "SECRET^PERSON^"}), b"salt")
    c = read_header(write_image(tmp_path / "c", PIXELS, {"PatientID": "other"}), b"salt")
    assert a.person_key == b.person_key != c.person_key
    assert read_header(a.path, b"pepper").person_key != a.person_key
    for word in ("Secret", "12345", "19600102"):
        assert word not in repr(a)
        assert word not in json.dumps(header_to_json(a))
    assert person_key("", "", "", b"x") == ""
    person = person_of(a.path)
    assert (person.name, person.id, person.birth_date) == ("Secret, Person", "ID-12345", "1960-01-02")


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95, 0.999])
def test_a_cut_file_is_never_a_header_of_an_image(tmp_path: Path, keep: float) -> None:
    raw = write_image(tmp_path / "a", PIXELS).read_bytes()
    (tmp_path / "c").write_bytes(raw[: int(len(raw) * keep)])
    try:
        header = read_header(tmp_path / "c")
    except InputError:
        return
    assert header.kind != "image"


def test_claims_are_compared_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(IncompleteFileError, match=r"96 of 786420 bytes"):
        read_header(write_image(tmp_path / "a", PIXELS, {"Rows": 65535}))
    with pytest.raises(IncompleteFileError, match=r"96 of 96000 bytes"):
        read_header(write_image(tmp_path / "b", PIXELS, {"NumberOfFrames": 1000}))
    with pytest.raises(IncompleteFileError, match="holds none"):
        read_header(write_image(tmp_path / "c", PIXELS, {"PixelData": None}))


def test_a_compressed_file_cut_inside_its_last_fragment(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a", np.tile(PIXELS, (8, 8)))
    data = pydicom.dcmread(path)
    data.compress("1.2.840.10008.1.2.5")  # RLE
    data.save_as(path)
    assert read_header(path).stored.offset is None
    raw = path.read_bytes()
    path.write_bytes(raw[:-60])
    with pytest.raises(IncompleteFileError):
        read_header(path)


def test_deflated_headers_are_read(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a", PIXELS)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path)
    header = read_header(path)
    assert (header.stored.rows, header.stored.offset, header.stored.syntax) == (8, None, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize(
    ("tags", "field", "expected", "note"),
    [
        ({"PixelSpacing": [0, 0]}, "pixel_mm", None, "pixel spacing"),
        ({"PixelSpacing": [-1, 1]}, "pixel_mm", None, "pixel spacing"),
        ({"PixelSpacing": None}, "pixel_mm", None, ""),
        ({"ImageOrientationPatient": [0.0] * 6}, "row", None, "orientation"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "row", None, "orientation"),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, "intercept", 0, "no usable scaling"),
        ({"SliceThickness": 0}, "thickness_mm", None, ""),
        ({"SliceThickness": "1e300"}, "thickness_mm", None, ""),
        ({"PixelSpacing": ["1e-300", "1e-300"]}, "pixel_mm", None, "pixel spacing"),
        ({"ImagePositionPatient": ["1e300", 0, 0]}, "position", None, "more than 100 m"),
    ],
)
def test_what_is_no_length_is_unknown_and_said(tmp_path: Path, tags, field: str, expected, note: str) -> None:
    base = {"PixelSpacing": [1, 1], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    header = read_header(write_image(tmp_path / "a", PIXELS, {**base, **tags}))
    assert getattr(header.frames[0], field) == expected
    assert any(note in n for n in header.notes) if note else header.notes == ()


def test_nan_spacing_is_unknown(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a", PIXELS, {"PixelSpacing": [1.5, 1.5]})
    path.write_bytes(path.read_bytes().replace(b"1.5\\1.5", b"nan\\nan"))
    header = read_header(path)
    assert header.frames[0].pixel_mm is None
    assert header.notes


@pytest.mark.parametrize(
    ("tags", "kind", "what"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33", "Modality": "SR"}, "other", "structured report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.59", "Modality": "KO"}, "other", "key object"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1", "Modality": "PR"}, "other", "presentation state"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.9.1.1", "Modality": "ECG"}, "other", "waveform"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.5", "Modality": "RTPLAN"}, "other", "radiotherapy plan"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.1", "Modality": "REG"}, "other", "registration"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66", "Modality": "MR"}, "other", "raw data"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "Modality": "DOC"}, "other", "PDF"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3", "Modality": "RTSTRUCT"}, "structures", ""),
        ({"SOPClassUID": "1.2.3.4", "Modality": "OT"}, "other", "without an image"),
    ],
)
def test_objects_without_an_image_are_told_apart_in_words(tmp_path: Path, tags, kind: str, what: str) -> None:
    gone = dict.fromkeys(("Rows", "Columns", "BitsAllocated", "PixelData"))
    header = read_header(write_image(tmp_path / "a", PIXELS, {**gone, **tags}))
    assert header.kind == kind
    assert what in header.what
    assert header.frames == ()


def test_a_video_is_no_image(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a", PIXELS)
    raw = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.")  # room is made below
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    data.PixelData = pydicom.encaps.encapsulate([raw[:100]])
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    header = read_header(path)
    assert (header.kind, header.what) == ("other", "a video (MPEG-4)")


def test_no_preamble_and_garbage_behind_the_pixels(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a", PIXELS, syntax=ImplicitVRLittleEndian)
    data = pydicom.dcmread(path)
    del data.file_meta
    data.preamble = None
    data.save_as(tmp_path / "bare", implicit_vr=True, little_endian=True, enforce_file_format=False)
    with open(tmp_path / "bare", "ab") as file:
        file.write(b"\xff\xfe garbage")
    header = read_header(tmp_path / "bare")
    assert (header.kind, header.stored.syntax, header.stored.length) == ("image", "", 96)


def test_text_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("This is a letter, not an image. " * 20)
    with pytest.raises(InputError, match=r"a\.txt"):
        read_header(tmp_path / "a.txt")


def test_b_values_of_the_vendors(tmp_path: Path) -> None:
    cases = [
        ({(0x0019, 0x0010): ("LO", "SIEMENS MR HEADER"), (0x0019, 0x100C): ("IS", "800")}, 800),
        ({(0x0043, 0x0010): ("LO", "GEMS_PARM_01"), (0x0043, 0x1039): ("IS", [1000000700, 8, 0, 0])}, 700),
        ({(0x2001, 0x0010): ("LO", "Philips Imaging DD 001"), (0x2001, 0x1003): ("FL", 500.0)}, 500),
        ({(0x0043, 0x0010): ("LO", "SOMEBODY ELSE"), (0x0043, 0x1039): ("IS", [3, 8, 0, 0])}, None),
    ]
    for k, (tags, expected) in enumerate(cases):
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            header = read_header(write_image(tmp_path / f"{k}", PIXELS, tags, sop_class=MR, syntax=syntax))
            assert header.frames[0].moment.get("DiffusionBValue") == expected


def test_facts_for_pet(tmp_path: Path) -> None:
    dose = group(RadionuclideTotalDose=3.7e8, RadionuclideHalfLife=6586.2, RadiopharmaceuticalStartTime="101500.00")
    tags = {"RadiopharmaceuticalInformationSequence": dose, "Units": "BQML", "PatientWeight": 70.5,
            "CorrectedImage": ["ATTN", "DECY"], "DecayCorrection": "START"}  # fmt: skip
    values = read_header(write_image(tmp_path / "a", PIXELS, tags, sop_class=PET)).values
    assert values["RadionuclideTotalDose"] == 3.7e8
    assert values["RadionuclideHalfLife"] == 6586.2
    assert values["RadiopharmaceuticalStartTime"] == "101500.00"
    assert (values["Units"], values["PatientWeight"], values["CorrectedImage"]) == ("BQML", 70.5, ["ATTN", "DECY"])


def test_planes_of_a_dose_grid(tmp_path: Path) -> None:
    dose = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
    tags = {"ImagePositionPatient": [1, 2, 10], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [2, 3],
            "DoseGridScaling": 0.001, "DoseUnits": "GY"}  # fmt: skip
    for offsets in ([0, 2.5, 5], [10, 12.5, 15]):  # relative, and absolute z (PS3.3 C.8.8.3.2)
        header = read_header(
            write_image(tmp_path / f"{offsets[0]}", dose, {**tags, "GridFrameOffsetVector": offsets}, sop_class=RT_DOSE)
        )
        assert [f.position for f in header.frames] == [(1, 2, 10), (1, 2, 12.5), (1, 2, 15)]
        assert {(f.slope, f.unit, f.index) for f in header.frames} == {(0.001, "Gy", k) for k in range(3)}


def test_offsets_of_a_dose_that_begin_nowhere_place_nothing(tmp_path: Path) -> None:
    """A z that is rounded is absolute all the same; an offset that is neither 0 nor z leaves the planes unplaced."""
    dose = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
    tags = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [2, 3], "DoseGridScaling": 0.001}
    for z, offsets in ((-123.456, [-123.46, -120.96, -118.46]), (10, [4, 6.5, 9])):
        more = {**tags, "ImagePositionPatient": [1, 2, z], "GridFrameOffsetVector": offsets}
        header = read_header(write_image(tmp_path / "dose", dose, more, sop_class=RT_DOSE))
        places = [f.position for f in header.frames]
        if z == 10:
            assert places == [None] * 3
            assert any("begin at an offset of 4 mm" in note for note in header.notes)
        else:
            np.testing.assert_allclose(places, [(1, 2, z + 2.5 * k) for k in range(3)], atol=1e-9)


def test_functional_groups_of_every_frame(tmp_path: Path) -> None:
    frames = [
        plane_groups(
            (0, 0, 2.5 * k),
            PixelValueTransformationSequence=group(RescaleSlope=1.0 + k, RescaleIntercept=-k, RescaleType="US"),
            FrameVOILUTSequence=group(WindowCenter=100.0 * k, WindowWidth=50.0),
            MREchoSequence=group(EffectiveEchoTime=10.0 + k),
            FrameContentSequence=group(StackID="2", TemporalPositionIndex=k + 1, DimensionIndexValues=[1, k + 1]),
            MRDiffusionSequence=group(DiffusionBValue=500.0 * k),
        )
        for k in range(3)
    ]
    voxels = np.zeros((3, 4, 5), np.int16)
    header = read_header(write_enhanced(tmp_path / "e", voxels, frames, shared_groups((2.5, 0.8, 0.7))))
    assert [f.position for f in header.frames] == [(0, 0, 0), (0, 0, 2.5), (0, 0, 5)]
    assert [f.slope for f in header.frames] == [1, 2, 3]
    assert [f.intercept for f in header.frames] == [0, -1, -2]
    assert header.frames[2].windows == (("", 175, 225),)
    assert {f.pixel_mm for f in header.frames} == {(0.8, 0.7)}
    assert [f.moment["EchoTime"] for f in header.frames] == [10, 11, 12]
    assert [f.moment["DiffusionBValue"] for f in header.frames] == [0, 500, 1000]
    assert [f.moment["TemporalPositionIndex"] for f in header.frames] == [1, 2, 3]
    assert {f.moment["StackID"] for f in header.frames} == {"2"}


def test_frames_without_a_description_have_no_place(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "e", np.zeros((3, 4, 5), np.int16), [plane_groups((0, 0, 0))], shared_groups())
    header = read_header(path)
    assert [f.position for f in header.frames] == [(0, 0, 0), None, None]
    assert any("states 3 frames and describes 1" in note for note in header.notes)


def test_json_is_exact_for_synthetic_files(tmp_path: Path) -> None:
    paths = [
        write_image(tmp_path / "a", PIXELS, {"PixelSpacing": [0.1, 1 / 3], "WindowCenter": 4, "WindowWidth": 7}),
        write_image(tmp_path / "b", PIXELS, {"ViewPosition": "PA", "ImagerPixelSpacing": [0.1, 0.1]}, sop_class=CR),
        write_enhanced(tmp_path / "c", np.zeros((2, 4, 5), np.int16),
                       [plane_groups((0, 0, k / 3)) for k in range(2)], shared_groups()),
    ]  # fmt: skip
    for path in paths:
        header = read_header(path, b"s")
        assert header_from_json(path, json.loads(json.dumps(header_to_json(header)))) == header
    with pytest.raises(InputError):
        header_from_json(paths[0], {"frames": 3})


@pytest.mark.parametrize("name", ["zoo-pydicom", "zoo-fodicom-bugs", "zoo-pydicom-data", "zoo-wg04", "zoo-ct-tilt"])
def test_real_headers_equal_pydicom_and_survive_json(shared_data, name: str) -> None:
    checked = 0
    for path in sorted(shared_data(name).rglob("*")):
        if not path.is_file():
            continue
        try:
            header = read_header(path, b"s")
        except InputError:
            continue
        assert header_from_json(path, json.loads(json.dumps(header_to_json(header)))) == header
        if header.kind != "image" or header.stored is None or header.stored.frames != 1:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        assert (header.stored.rows, header.stored.columns) == (data.Rows, data.Columns)
        frame = header.frames[0]
        if frame.tile is None and frame.position is not None:
            assert frame.position == tuple(float(v) for v in data.ImagePositionPatient)
            assert np.allclose([*frame.row, *frame.column], [float(v) for v in data.ImageOrientationPatient], atol=1e-4)
        if data.get("RescaleSlope"):
            assert (frame.slope, frame.intercept) == (float(data.RescaleSlope), float(data.RescaleIntercept))
        if frame.pixel_mm is not None:
            assert list(frame.pixel_mm) == [float(v) for v in data.PixelSpacing]
        assert header.series_uid == str(data.get("SeriesInstanceUID", "") or "").strip()
        checked += 1
    assert checked > 2
