"""The header viewer's rows: nested, plain, cut, bulk by size, personal ones marked."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from dicom_files import group, write_image
from napari_medcnn.core.events import Cancel, result_of
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io.dicom.tags import TagRow
from napari_medcnn.verbs.headers import HeadersRequest, run

PLANE = np.arange(30, dtype=np.int16).reshape(5, 6)


def rows_of(path: Path) -> tuple[TagRow, ...]:
    return result_of(run(HeadersRequest(path), Cancel()))


def row(rows: tuple[TagRow, ...], name: str) -> TagRow:
    return next(r for r in rows if r.name == name)


def test_values_nested_sequences_and_bulk(tmp_path: Path) -> None:
    item = group(CodeValue="T-D3000", CodingSchemeDesignator="SRT", CodeMeaning="Chest")
    tags = {
        "AnatomicRegionSequence": item,
        "SeriesDescription": "Thorax",
        "PixelSpacing": [0.8, 0.7],
        "ICCProfile": bytes(9000),
        (0x0029, 0x0010): ("LO", "MAKER"),
        (0x0029, 0x1010): ("OB", b"\1" * 40),
    }
    rows = rows_of(write_image(tmp_path / "a.dcm", PLANE, tags))
    assert row(rows, "Series Description") == TagRow("0008,103E", "Series Description", "LO", "Thorax")
    assert row(rows, "Pixel Spacing").value == "0.8\\0.7"
    assert row(rows, "Transfer Syntax UID").value == "1.2.840.10008.1.2.1"
    assert (row(rows, "Anatomic Region Sequence").value, row(rows, "Anatomic Region Sequence").depth) == ("1 item", 0)
    assert (row(rows, "Code Meaning").value, row(rows, "Code Meaning").depth) == ("Chest", 2)
    assert row(rows, "ICC Profile").value == "9,000 bytes (not shown)"
    assert [r.value for r in rows if r.tag == "0029,1010"] == ["40 bytes (not shown)"]
    assert {r.name for r in rows if r.tag.startswith("0029")} == {"private"}
    last = rows[-1]
    assert (last.name, last.tag) == ("Pixel Data", "7FE0,0010") and "bytes (not shown)" in last.value


def test_what_tells_whom_it_is_of_is_marked(tmp_path: Path) -> None:
    tags = {
        "PatientName": "Doe^Secret",
        "PatientID": "MRN-4711",
        "InstitutionName": "Saint Nowhere",
        "OperatorsName": "Healer^Hidden",
        "SeriesDescription": "Chest of Mr DOE-SECRET",
        "StudyDescription": "Chest",
        "OtherPatientIDsSequence": group(PatientID="MRN-4712", TypeOfPatientID="TEXT"),
        "PatientBirthDate": "19700304",
        (0x0029, 0x0010): ("LO", "MAKER"),
        (0x0029, 0x1011): ("LO", "x"),
    }
    rows = rows_of(write_image(tmp_path / "a.dcm", PLANE, tags))
    shown = " ".join(r.value for r in rows if not r.personal)
    for word in ("Doe", "DOE", "Secret", "4711", "4712", "Nowhere", "Healer", "19700304"):
        assert word not in shown
    assert "Doe^Secret" in {r.value for r in rows if r.personal}
    assert not row(rows, "Study Description").personal and not row(rows, "Modality").personal
    assert row(rows, "Type of Patient ID").personal  # inside a personal sequence
    assert "Secret" not in repr(rows)


def test_row_61_hostile_text_is_plain_and_cut(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tags = {"SeriesDescription": "<b>a\x1b[31m\r\nb</b>\u202e", "ImageComments": "x" * 1_000_000}
        rows = rows_of(write_image(tmp_path / "a.dcm", PLANE, tags))
    assert all(r.value.isprintable() and len(r.value) <= 200 for r in rows)
    assert "<b>a" in row(rows, "Series Description").value  # text, shown as text
    assert "1,000,000 bytes" in row(rows, "Image Comments").value


def test_deep_and_long_headers_end(tmp_path: Path) -> None:
    top = Dataset()
    inner = top
    for _ in range(40):
        inner.ContentSequence = group(TextValue="deeper")
        inner = inner.ContentSequence[0]
    many = [Dataset() for _ in range(30_000)]
    for one in many:
        one.FrameType = "X"

    def add(data: Dataset) -> None:
        data.ContentSequence = top.ContentSequence
        data.PerFrameFunctionalGroupsSequence = many

    rows = rows_of(write_image(tmp_path / "a.dcm", PLANE, change=add))
    assert max(r.depth for r in rows) < 30
    assert len(rows) == 20_001 and "more than 20,000" in rows[-1].name


def test_broken_files_are_named(tmp_path: Path) -> None:
    whole = write_image(tmp_path / "a.dcm", PLANE).read_bytes()
    for keep in (0, 140, 300, 700):
        (tmp_path / "cut.dcm").write_bytes(whole[:keep])
        try:
            rows_of(tmp_path / "cut.dcm")
        except InputError as error:
            assert "cut.dcm" in str(error)
    with pytest.raises(InputError, match=r"gone\.dcm"):
        rows_of(tmp_path / "gone.dcm")


def test_other_formats(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.diag([2, 3, 4, 1]))
    image.header["descrip"] = b"Doe Secret"
    nibabel.save(image, tmp_path / "a.nii.gz")
    rows = rows_of(tmp_path / "a.nii.gz")
    assert row(rows, "dim").value == "[3, 3, 4, 5, 1, 1, 1, 1]"
    assert (row(rows, "descrip").value, row(rows, "descrip").personal) == ("Doe Secret", True)
    simple = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16))
    for name in ("a.nrrd", "a.mha"):
        sitk.WriteImage(simple, tmp_path / name)
    assert row(rows_of(tmp_path / "a.nrrd"), "sizes").value == "5 4 3"
    rows = rows_of(tmp_path / "a.mha")
    assert row(rows, "DimSize").value == "5 4 3" and rows[-1].name == "ElementDataFile"
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UnsupportedError, match="no list of fields"):
        rows_of(tmp_path / "a.txt")


def test_every_real_header_gives_rows_or_words(shared_data) -> None:
    seen = 0
    for path in sorted(shared_data("zoo-pydicom").rglob("*")):
        if path.is_file():
            try:
                seen += bool(rows_of(path))
            except InputError as error:
                assert str(error).isprintable()
    assert seen > 100
