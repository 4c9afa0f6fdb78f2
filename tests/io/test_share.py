"""A shared case: read back by zipfile and SimpleITK, and searched for everything that names its patient."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import threading
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

import dicom_files
from napari_medcnn import errors
from napari_medcnn.core.events import result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io import share as share_io
from napari_medcnn.io.burned_in import reasons
from napari_medcnn.io.found import Person
from napari_medcnn.io.read import read_volume
from napari_medcnn.io.share import LEFT_OUT, Entry, without_identifiers, write_share
from napari_medcnn.verbs import share
from napari_medcnn.verbs.share import ShareRequest, largest_bytes

PERSON = Person("Zyxwvut^Quentin", "PAT-987654", "1931-07-19", "O")
UID_ROOT = "1.2.826.0.1.3680043.8.498.77"
MARKS = {
    "PatientName": "Zyxwvut^Quentin", "PatientID": "PAT-987654", "PatientBirthDate": "19310719",
    "OtherPatientNames": "Marknameother", "PatientAddress": "Markaddress 12", "PatientComments": "Markcomment",
    "InstitutionName": "Markhospital", "ReferringPhysicianName": "Markdoctor^X", "AccessionNumber": "MARKACC77",
    "StudyDate": "20190823", "StudyTime": "101112", "SeriesDate": "20190824", "AcquisitionDate": "20190825",
    "ContentDate": "20190826", "StudyDescription": "Markstudydescription", "SeriesDescription": "Markseriesdesc",
    "ProtocolName": "Markprotocol", "StationName": "Markstation", "DeviceSerialNumber": "MARKSERIAL5",
    "OperatorsName": "Markoperator", "StudyID": "MARKSTUDYID", "StudyInstanceUID": f"{UID_ROOT}.1",
    "SeriesInstanceUID": f"{UID_ROOT}.2", "FrameOfReferenceUID": f"{UID_ROOT}.3", "ImageComments": "Markimage",
    (0x0009, 0x0010): ("LO", "MARKPRIVATE"), (0x0009, 0x1001): ("LO", "Markprivatevalue"),
}  # fmt: skip
FORBIDDEN = [
    "zyxwvut", "quentin", "987654", "19310719", "1931-07-19", "mark", "20190823", "2019-08-23", "20190824", "20190825",
    "20190826", UID_ROOT, "secretfolder",
]  # fmt: skip
DIRECTION = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])


def nothing() -> None:
    return


@pytest.fixture
def scan(tmp_path: Path) -> Volume:
    """An oblique, anisotropic CT of 5 slices whose header is full of marks."""
    voxels = np.random.default_rng(3).integers(-900, 900, (5, 12, 14)).astype(np.int16)
    folder = tmp_path / "secretfolder" / "Zyxwvut_Quentin"
    dicom_files.write_series(folder, voxels, (2.5, 0.8, 0.7), tags=MARKS, direction=DIRECTION, name="zyxwvut")
    return read_volume(folder)


def mask_of(scan: Volume, names: dict[int, str]) -> LabelMap:
    array = np.zeros(scan.geometry.shape, np.uint8)
    for k, label in enumerate(names, 1):
        array[k, 2 : 2 + k, 3:7] = label
    labels = LabelSet(tuple(Label(i, name, (10 * i, 20, 30)) for i, name in names.items()))
    return LabelMap(array, scan.geometry, labels)


def full_request(volume: Volume, path: Path, **more: object) -> ShareRequest:
    provenance = {
        "model": {"name": "m", "sha256": "ab" * 32},
        "options": {"file": "/home/quentin/secretfolder/Zyxwvut_Quentin/a.dcm", "at": "D:\\secretfolder\\x.dcm"},
        "time": "2019-08-23T10:11:12+00:00",
        "notes": [f"Series {UID_ROOT}.2 of 2019-08-23, zyxwvut quentin, PAT-987654", "resampled 1/2 to mg/ml"],
    }
    values = {
        "scan": volume,
        "mask": mask_of(volume, {1: "Liver", 3: "Tumour of Quentin"}),
        "provenance": provenance,
        "measures": "name,length_mm\nlesion of Zyxwvut,12.5\n",
        "pictures": {"axial": np.full((20, 30, 3), 7, np.uint8)},
        "private": frozenset({"Zyxwvut^Quentin", "Zyxwvut", "Quentin", "PAT-987654", "1931-07-19", "19310719"}),
        "files": frozenset({"zyxwvut028-4.dcm"}),
    }
    return ShareRequest(path, **{**values, **more})


def write(request: ShareRequest) -> zipfile.ZipFile:
    assert result_of(share.run(request, threading.Event())) == request.path
    return zipfile.ZipFile(request.path)


def everything(path: Path) -> bytes:
    """All bytes of a zip: as they lie on the disk, every member, and what is packed in members."""
    parts = [path.read_bytes(), path.name.encode()]
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            data = archive.read(item)
            parts += [data, item.filename.encode(), item.comment, item.extra]
            if item.filename.endswith(".gz"):
                parts += [gzip.decompress(data), data[:64]]
        parts.append(archive.comment)
    return b"\n".join(parts)


def test_nothing_names_the_patient(scan: Volume, tmp_path: Path) -> None:
    request = full_request(scan, tmp_path / "case.zip")
    assert scan.source or scan.name  # the scan does know where it came from
    write(request).close()
    whole = everything(request.path)
    ascii_lower, wide = whole.lower(), whole.replace(b"\0", b"").lower()
    for word in FORBIDDEN:
        assert word.encode() not in ascii_lower, word
        assert word.encode() not in wide, word
    assert LEFT_OUT.encode() in whole


def test_the_search_would_find_them(scan: Volume, tmp_path: Path) -> None:
    """The same request with names ticked: the search above is able to fail."""
    request = full_request(scan, tmp_path / "case.zip", person=PERSON, date="2019-08-23")
    with write(request) as archive:
        readme = archive.read("README.txt").decode()
        assert "Zyxwvut^Quentin, PAT-987654, 1931-07-19" in readme
        assert "2019-08-23" in readme
        assert "Tumour of Quentin" in archive.read("classes.csv").decode()
    assert b"zyxwvut" in everything(request.path).lower()
    assert UID_ROOT.encode() not in everything(request.path)  # names were ticked, headers never are
    assert b"secretfolder" not in everything(request.path)


def test_scan_and_mask_read_back_equal(scan: Volume, tmp_path: Path) -> None:
    request = full_request(scan, tmp_path / "case.zip")
    with write(request) as archive:
        archive.extractall(tmp_path / "out")
    image = sitk.ReadImage(str(tmp_path / "out" / "scan.nii.gz"))
    mask = sitk.ReadImage(str(tmp_path / "out" / "mask.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(image), scan.array)
    assert np.array_equal(sitk.GetArrayFromImage(mask), request.mask.array)
    for back in (image, mask):
        assert np.allclose(back.GetSpacing(), (0.7, 0.8, 2.5), atol=1e-6)
        assert np.allclose(back.GetOrigin(), (10.0, 20.0, 30.0), atol=1e-4)
        assert np.allclose(np.array(back.GetDirection()).reshape(3, 3), DIRECTION, atol=1e-6)
    for key in image.GetMetaDataKeys():
        if key in ("descrip", "aux_file", "intent_name", "db_name"):
            assert image.GetMetaData(key).strip() == ""
    with (tmp_path / "out" / "classes.csv").open() as file:
        rows = {int(row["id"]): row for row in csv.DictReader(file)}
    assert {i: row["name"] for i, row in rows.items()} == {1: "Liver", 3: "Class 3"}
    assert {i: int(row["voxels"]) for i, row in rows.items()} == {1: 4, 3: 8}
    with Image.open(tmp_path / "out" / "pictures" / "axial.png") as picture:
        assert picture.size == (30, 20)


def test_manifest_has_the_sum_of_every_file(scan: Volume, tmp_path: Path) -> None:
    with write(full_request(scan, tmp_path / "case.zip")) as archive:
        names = set(archive.namelist())
        files = json.loads(archive.read("manifest.json"))["files"]
        assert {f["name"] for f in files} == names - {"manifest.json"}
        for each in files:
            data = archive.read(each["name"])
            assert (each["bytes"], each["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert names == {
            "README.txt", "classes.csv", "how-it-was-made.json", "manifest.json", "mask.nii.gz", "measures.csv",
            "pictures/axial.png", "scan.nii.gz",
        }  # fmt: skip
        how = json.loads(archive.read("how-it-was-made.json"))
        assert how["mask"]["model"]["name"] == "m"
        assert how["mask"]["notes"][1] == "resampled 1/2 to mg/ml"
        assert "time" not in how["mask"]
        assert how["scan"]["spacing_mm"] == pytest.approx([2.5, 0.8, 0.7])
        assert "Research use only" in archive.read("README.txt").decode()


def test_equal_cases_are_equal_files(scan: Volume, tmp_path: Path) -> None:
    write(full_request(scan, tmp_path / "a.zip")).close()
    write(full_request(scan, tmp_path / "b.zip")).close()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_image_is_left_out_unless_it_is_given(scan: Volume, tmp_path: Path) -> None:
    request = full_request(scan, tmp_path / "case.zip", scan=None, describes=scan)
    with write(request) as archive:
        assert "scan.nii.gz" not in archive.namelist()
        assert json.loads(archive.read("how-it-was-made.json"))["scan"]["shape"] == [5, 12, 14]
    assert set(largest_bytes(request)) == {"mask", "measures", "pictures"}
    assert largest_bytes(request)["mask"] == 5 * 12 * 14
    assert largest_bytes(full_request(scan, tmp_path / "x.zip"))["scan"] == 5 * 12 * 14 * scan.array.itemsize


def test_a_picture_is_shared_as_a_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (1, 9, 11, 3)).astype(np.uint8)
    grid = Geometry.picture(9, 11)
    volume = Volume(pixels, grid, "zyxc", name="Quentin", modality="picture")
    mask = LabelMap((pixels[..., 0] > 128).astype(np.uint8), grid, LabelSet.from_names(["Vessel"]))
    with write(ShareRequest(tmp_path / "p.zip", scan=volume, mask=mask)) as archive:
        with Image.open(io.BytesIO(archive.read("scan.png"))) as back:
            assert np.array_equal(np.asarray(back), pixels[0])
        with Image.open(io.BytesIO(archive.read("mask.png"))) as back:
            assert np.array_equal(np.asarray(back), mask.array[0])
    assert b"quentin" not in everything(tmp_path / "p.zip").lower()


def test_a_full_disk_is_said_before_anything_is_written(
    scan: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "case.zip").write_bytes(b"old")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(share_io.shutil, "disk_usage", lambda _path: usage(10**9, 10**9, 1000))
    with pytest.raises(errors.SaveError, match=r"MB left.*leave the image out"):
        result_of(share.run(full_request(scan, tmp_path / "case.zip"), threading.Event()))
    assert (tmp_path / "case.zip").read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))


def test_a_zip_that_was_changed_on_the_disk_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "case.zip").write_bytes(b"old")
    real = share_io._sum
    monkeypatch.setattr(share_io, "_sum", lambda archive, name, stop: (real(archive, name, stop)[0], "0" * 64))
    with pytest.raises(errors.SaveError, match="differs"):
        write_share([Entry("a.txt", "a", b"abc")], tmp_path / "case.zip", nothing)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("case.zip", b"old")]


def test_stopping_leaves_nothing(scan: Volume, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    cancel = threading.Event()
    events = share.run(full_request(scan, tmp_path / "out" / "case.zip"), cancel)
    next(events)
    cancel.set()
    with pytest.raises(errors.Cancelled):
        result_of(events)
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_to_share_is_said(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="tick at least one"):
        result_of(share.run(ShareRequest(tmp_path / "a.zip"), threading.Event()))


@pytest.mark.parametrize(
    "name", ["../a.txt", "/a.txt", "a\\b.txt", "a/b/c.txt", "a b.txt", ".x", "a", "é.txt", "C:a.txt"]
)
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(errors.InputError, match="name in the zip"):
        Entry(name, "x", b"")


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="different names"):
        write_share([Entry("a.txt", "", b"1"), Entry("A.txt", "", b"2")], tmp_path / "a.zip", nothing)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("of 2019-08-23T10:11:12+02:00 and 20190823", f"of {LEFT_OUT} and {LEFT_OUT}"),
        ("scan_20190823.x, sha ab20190823cd", f"scan_{LEFT_OUT}.x, sha ab20190823cd"),
        ("12345678 voxels, 20 mm", "12345678 voxels, 20 mm"),
        ("uid 1.2.840.113619.2.55 version 1.2.3", f"uid {LEFT_OUT} version 1.2.3"),
        ("in /home/x/y.dcm or C:\\a\\b", f"in {LEFT_OUT} or {LEFT_OUT}"),
        ("mg/ml, T1/T2, SCT:10200004", "mg/ml, T1/T2, SCT:10200004"),
        ("Ann, ANN and Annotated", f"{LEFT_OUT}, {LEFT_OUT} and Annotated"),
    ],
)
def test_what_is_taken_out_of_text(text: str, left: str) -> None:
    assert without_identifiers(text, ["Ann"]) == left


@pytest.mark.parametrize(
    ("tags", "sop_class", "words"),
    [
        ({}, dicom_files.CT, ()),
        ({"BurnedInAnnotation": "YES"}, dicom_files.CT, ("burned",)),
        ({"BurnedInAnnotation": "NO"}, dicom_files.CT, ()),
        ({}, dicom_files.SECONDARY, ("another kind", "secondary capture")),
        ({"ConversionType": "SD", "Modality": "CT"}, dicom_files.CT, ("secondary capture",)),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, dicom_files.CT, ("secondary capture",)),
        ({"BurnedInAnnotation": "NO"}, dicom_files.XA, ("angiogram",)),
        ({}, dicom_files.US_MULTI, ("ultrasound",)),
    ],
)
def test_pictures_that_may_show_a_name(tmp_path: Path, tags: dict, sop_class: str, words: tuple[str, ...]) -> None:
    path = dicom_files.write_image(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), tags, sop_class=sop_class)
    modality = tags.get("Modality") or {dicom_files.CT: "CT", dicom_files.XA: "XA", dicom_files.US_MULTI: "US"}.get(
        sop_class, "OT"
    )
    found = reasons(modality, header=path)
    assert len(found) == len(words)
    assert all(word in reason for word, reason in zip(words, found, strict=True))


def test_pictures_and_headers_that_cannot_be_read_are_reasons(tmp_path: Path) -> None:
    assert reasons("picture") == ("this is a picture file",)
    assert reasons("", is_picture=True) == ("this is a picture file",)
    assert reasons("CT") == reasons("MR") == reasons("PT") == ()
    assert "cannot be read" in reasons("CT", header=tmp_path / "gone.dcm")[0]
