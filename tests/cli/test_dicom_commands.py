"""DICOM from the command line: reports, consents, several inputs; nothing of a person in what is written (row 60)."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from dicom_files import uid, write_image, write_series
from napari_medcnn.core import paths

VOXELS = np.random.default_rng(5).integers(-1000, 2000, (5, 8, 7)).astype(np.int16)
WHO = {
    "PatientName": "Doe^Secret", "PatientID": "MRN-47Q11", "PatientBirthDate": "19700304",
    "ReferringPhysicianName": "Healer^Hidden", "InstitutionName": "Saint Nowhere", "OtherPatientIDs": "MRN-47Q12",
}  # fmt: skip
# None of them can stand in a UID or a hash by chance.
MARKERS = ("Doe", "Secret", "47Q11", "47Q12", "19700304", "1970-03-04", "Healer", "Nowhere")


def gapped(folder: Path) -> Path:
    write_series(folder, VOXELS, tags=WHO)[2].unlink()
    return folder


def clean(*texts: str) -> None:
    for text in texts:
        assert not [word for word in MARKERS if word in text]


def test_info_tells_what_was_assumed_and_refused(tmp_path: Path, medcnn) -> None:
    folder = gapped(tmp_path / "in")
    (item,) = medcnn("info", folder, "--json").json["items"]
    assert item["report"]["asks"] == "resample"
    assert any("between slices 2 and 3" in text for text in item["report"]["refused"])
    assert item["spacing_mm"] is None
    said = medcnn("info", folder)
    assert "does not open as it is" in said.out and "--resample" in said.out


def test_info_of_several_inputs(tmp_path: Path, medcnn) -> None:
    write_series(tmp_path / "a", VOXELS)
    write_series(tmp_path / "b", VOXELS, tags={"SeriesInstanceUID": uid("b")})
    (tmp_path / "b" / "notes.txt").write_text("words")
    ran = medcnn("info", tmp_path / "a", tmp_path / "b", "--json")
    assert list(ran.json) == ["path", "paths", "items"] and len(ran.json["items"]) == 2
    assert "skipped: b/notes.txt: a text file" in ran.err


def test_a_refusal_names_the_flag_that_opens_it(tmp_path: Path, medcnn) -> None:
    folder = gapped(tmp_path / "in")
    ran = medcnn("convert", folder, tmp_path / "out.nii.gz")
    assert ran.code == 1 and "--resample" in ran.err.splitlines()[-1]
    assert not (tmp_path / "out.nii.gz").exists()
    ran = medcnn("convert", folder, tmp_path / "out.nii.gz", "--resample")
    assert ran.code == 0
    assert nibabel.load(tmp_path / "out.nii.gz").shape == (7, 8, 5)
    record = json.loads((tmp_path / "out.provenance.json").read_text())["input"]
    assert record["consent"] == {"resample": True}
    assert any("Resampled" in text for text in record["report"]["assumed"])


def test_duplicates_are_chosen_by_flag(tmp_path: Path, medcnn) -> None:
    folder = tmp_path / "in"
    files = write_series(folder, VOXELS)
    other = VOXELS[1] + np.int16(3)
    data = pydicom.dcmread(files[1])
    place = {k: getattr(data, k) for k in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                                           "SliceThickness")}  # fmt: skip
    write_image(folder / "again.dcm", other, {**place, "InstanceNumber": 90})
    ran = medcnn("convert", folder, tmp_path / "out.nii.gz")
    assert ran.code == 1 and "--duplicates first (or last)" in ran.err
    for choice, plane in (("first", VOXELS[1]), ("last", other)):
        assert medcnn("convert", folder, tmp_path / "out.nii.gz", "--duplicates", choice).code == 0
        np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "out.nii.gz").dataobj)[:, :, 1].T, plane)
    assert medcnn("convert", folder, tmp_path / "out.nii.gz", "--duplicates", "both").code == 2


def test_predict_records_report_and_consent_and_names_the_flag(tmp_path: Path, medcnn, model: Path) -> None:
    folder = gapped(tmp_path / "in")
    ran = medcnn("predict", "-m", model, folder, "-o", tmp_path / "out", "--ignore-fit", "--json")
    assert ran.code == 1 and "To agree, add --resample" in ran.err
    assert "--resample" not in ran.json["cases"][0]["error"]
    ran = medcnn("predict", "-m", model, folder, "-o", tmp_path / "out", "--ignore-fit", "--resample", "--json")
    assert ran.code == 0, ran.err
    (record,) = (tmp_path / "out").glob("*.provenance.json")
    said = json.loads(record.read_text())
    assert said["input"]["consent"] == {"resample": True}
    assert any("Resampled" in text for text in said["input"]["report"]["assumed"])


def test_nothing_of_a_person_in_anything_written_row_60(
    tmp_path: Path, medcnn: Callable[..., Any], model: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """The files are named after the patient, too; what is on screen names paths, what is written does not."""
    home = tmp_path / "home"
    monkeypatch.setenv("MEDCNN_HOME", str(home))
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "in"
    files = write_series(folder, VOXELS, tags=WHO)
    write_image(folder / "bad.dcm", VOXELS[0], {**WHO, "SeriesInstanceUID": uid("bad")})
    cut = folder / "bad.dcm"
    cut.write_bytes(cut.read_bytes()[:-20])
    out = tmp_path / "out"
    ran = [
        medcnn("info", folder, "--json"), medcnn("info", folder), medcnn("info", cut), medcnn("info", folder),
        medcnn("convert", folder, tmp_path / "c.nii.gz"), medcnn("convert", folder, tmp_path / "c.nrrd"),
        medcnn("predict", "-m", model, folder, "-o", out, "--ignore-fit", "--json"),
    ]  # fmt: skip
    assert [r.code for r in ran] == [0, 0, 1, 0, 0, 0, 0], [r.err for r in ran]
    clean(*(r.out for r in ran), *(r.err for r in ran), caplog.text)
    # and with the patient's name in the names of the files: not in what is written
    for n, file in enumerate(files):
        file.rename(file.with_name(f"Doe_Secret_MRN-47Q11_{n}.dcm"))
    (folder / "Doe_Secret_MRN-47Q11_9.dcm").write_bytes((folder / "Doe_Secret_MRN-47Q11_0.dcm").read_bytes())
    assert medcnn("convert", folder, tmp_path / "d.nii.gz").code == 0
    assert medcnn("info", folder).code == 0
    written = [p for root in (home, out, *tmp_path.glob("*.nii.gz"), *tmp_path.glob("*.json"), tmp_path / "c.nrrd")
               for p in (root.rglob("*") if root.is_dir() else [root]) if p.is_file()]  # fmt: skip
    assert len(written) > 6 and any(paths.home() in p.parents for p in written)
    for path in written:
        content = path.read_bytes()
        clean((gzip.decompress(content) if path.suffix == ".gz" else content).decode("latin-1"), path.name)


def test_long_lists_are_short_and_name_the_way_on(tmp_path: Path, medcnn) -> None:
    for number in range(12):
        write_series(tmp_path / "in" / str(number), VOXELS, tags={"SeriesInstanceUID": uid(f"s{number}")})
        (tmp_path / "in" / f"note{number}.txt").write_text("words")
    ran = medcnn("convert", tmp_path / "in", tmp_path / "out.nii.gz")
    assert ran.code == 1 and "holds 12 items, choose one with --item" in ran.err
    assert ran.err.rstrip().endswith("and 4 more (medcnn info lists them all)")
    told = [line for line in medcnn("info", tmp_path / "in").err.splitlines() if "skipped" in line]
    assert told == ["medcnn: skipped: 12 files (first: note0.txt): a text file"]


def test_a_skipped_file_is_named_once(tmp_path: Path, medcnn) -> None:
    write_series(tmp_path / "in", VOXELS)
    (tmp_path / "in" / "empty.dcm").write_bytes(b"")
    ran = medcnn("info", tmp_path / "in")
    assert ran.err.count("empty.dcm") == 1 and "the file is empty" in ran.err


def test_a_mask_becomes_a_dicom_segmentation_without_the_patient(tmp_path: Path, medcnn) -> None:
    write_series(tmp_path / "ct", VOXELS, tags=WHO)
    medcnn("convert", tmp_path / "ct", tmp_path / "scan.nii.gz")
    scan = nibabel.load(tmp_path / "scan.nii.gz")
    truth = (np.asarray(scan.dataobj) > 500).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(truth, scan.affine), tmp_path / "mask.nii.gz")
    assert medcnn("convert", tmp_path / "mask.nii.gz", tmp_path / "m.dcm").code == 1  # it does not say on which series
    ran = medcnn("convert", tmp_path / "mask.nii.gz", tmp_path / "m.dcm", "--on", tmp_path / "ct", "--label-map")
    assert ran.code == 0 and "painted last stays" in ran.err
    data = pydicom.dcmread(tmp_path / "m.dcm")
    heights = [float(g.PlanePositionSequence[0].ImagePositionPatient[2]) for g in data.PerFrameFunctionalGroupsSequence]
    np.testing.assert_array_equal(data.pixel_array[np.argsort(heights)], VOXELS > 500)
    record = (tmp_path / "m.provenance.json").read_text()
    clean((tmp_path / "m.dcm").read_bytes().decode("latin-1"), record)
    ran = medcnn("convert", tmp_path / "mask.nii.gz", tmp_path / "m.dcm", "--on", tmp_path / "ct", "--identified")
    assert ran.code == 0 and pydicom.dcmread(tmp_path / "m.dcm").PatientID == "MRN-47Q11"
    clean(ran.out, ran.err)
    refused = medcnn("convert", tmp_path / "mask.nii.gz", tmp_path / "m.nii.gz", "--identified")
    assert refused.code == 1 and "ends in .dcm" in refused.err
