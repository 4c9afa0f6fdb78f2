"""Folders, several at once and media: what is read, what is left out and why, and nothing outside."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tarfile
import time
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_files import CT, uid, write_series
from napari_medcnn.core.events import Progress
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.io import folder as folder_module
from napari_medcnn.io import sniff as sniff_module
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.found import Found
from napari_medcnn.io.read import inspect, read, read_found
from napari_medcnn.io.walk import Skips

VOXELS = np.random.default_rng(3).integers(-1000, 2000, (4, 6, 5)).astype(np.int16)


def scan(*paths: Path) -> Found:
    steps = scan_steps(paths)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def reasons(found: Found) -> dict[str, str]:
    return dict(found.skipped)


def test_a_folder_of_one_series_is_one_item_that_opens(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    found = scan(tmp_path)
    (item,) = found.items
    assert found.skipped == ()
    np.testing.assert_array_equal(read_found(found, item).array, VOXELS)


def test_series_of_two_patients_in_one_study_are_two_persons(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS)
    other = {"PatientName": "Other^One", "PatientID": "77", "SeriesInstanceUID": uid("b")}
    write_series(tmp_path / "b", VOXELS, tags=other)
    items = scan(tmp_path).items
    assert len({i.study.uid for i in items}) == 1
    assert {(i.study.person.name, i.study.person.id) for i in items} == {
        ("Secret, Person", "ID-12345"),
        ("Other, One", "77"),
    }
    assert "Secret" not in repr(items) and "ID-12345" not in repr(items)


def test_several_roots_together_and_each_file_once(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS)
    files = write_series(tmp_path / "b", VOXELS, tags={"SeriesInstanceUID": uid("b")})
    found = scan(tmp_path / "a", tmp_path / "b", files[0], tmp_path / "gone")
    assert sorted(len(i.files) for i in found.items) == [4, 4]
    assert found.roots == (tmp_path / "a", tmp_path / "b", files[0], tmp_path / "gone")
    assert "nothing is there" in reasons(found)["gone"]


def test_one_series_on_two_media_is_one_series(tmp_path: Path) -> None:
    first = write_series(tmp_path / "disc1", VOXELS)
    (tmp_path / "disc2").mkdir()
    for path in first[2:]:
        path.rename(tmp_path / "disc2" / path.name)
    found = scan(tmp_path / "disc1", tmp_path / "disc2")
    (item,) = found.items
    np.testing.assert_array_equal(read_found(found, item).array, VOXELS)


def test_what_was_opened_of_several_can_be_opened_again_by_itself(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS)
    write_series(tmp_path / "b", VOXELS + np.int16(1), tags={"SeriesInstanceUID": uid("b")})
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "b" / "c.nii")
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "d.nii")
    found = scan(tmp_path / "a", tmp_path / "b", tmp_path / "d.nii")
    assert [i.id for i in found.items[2:]] == ["b/c.nii", "d.nii"]
    for item in found.items:
        value = read_found(found, item)
        again = read(value.source["path"], value.source["item"] or None)
        np.testing.assert_array_equal(again.array, value.array)
        assert again.source == value.source


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX") or not hasattr(os, "mkfifo"), reason="needs sockets and pipes")
def test_row_34_what_is_no_plain_file_is_left_out_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "in"
    write_series(place, VOXELS)
    os.mkfifo(place / "pipe")
    monkeypatch.chdir(place)  # names of sockets may be short only
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("plug")
        (place / ".hidden.dcm").write_bytes(b"x")
        (place / "empty.dcm").write_bytes(b"")
        (place / "loop").symlink_to(place, target_is_directory=True)
        (place / "nowhere").symlink_to(place / "not there")
        found = scan(place)
    told = reasons(found)
    assert "socket" in told["plug"] and "pipe" in told["pipe"] and "hidden" in told[".hidden.dcm"]
    assert "empty" in told["empty.dcm"] and "not followed" in told["loop"] and "nowhere" in told["nowhere"]
    assert [len(i.files) for i in found.items] == [4]


def test_row_32_nothing_outside_the_folder_is_ever_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    secret = write_series(outside, VOXELS, tags={"SeriesInstanceUID": uid("outside")})
    place = tmp_path / "in"
    write_series(place, VOXELS)
    (place / "link.dcm").symlink_to(secret[0])
    (place / "dir").symlink_to(outside, target_is_directory=True)
    (place / "up.dcm").symlink_to(Path("..") / "outside" / secret[1].name)
    opened: list[str] = []
    real = sniff_module.sniff
    monkeypatch.setattr(folder_module, "sniff", lambda path: opened.append(os.path.realpath(path)) or real(path))
    found = scan(place)
    assert len(opened) == 4 and all(Path(path).parent == place.resolve() for path in opened)
    assert [len(i.files) for i in found.items] == [4]
    assert all("outside this folder" in reasons(found)[name] for name in ("link.dcm", "dir", "up.dcm"))


def test_a_link_inside_the_folder_stands_for_a_hidden_file_once(tmp_path: Path) -> None:
    """Data sets kept with git-annex are links into a hidden folder beside them."""
    store = tmp_path / ".git" / "annex"
    files = write_series(store, VOXELS)
    for n, file in enumerate(files):
        (tmp_path / f"{n}.dcm").symlink_to(file)
    (tmp_path / "again.dcm").symlink_to(files[0])
    found = scan(tmp_path)
    assert [len(i.files) for i in found.items] == [4]
    assert "hidden folder" in reasons(found)[".git"]
    assert sum("read where it lies" in reason for reason in reasons(found).values()) == 1


def test_row_33_archives_are_named_and_never_looked_into(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../escaped.dcm", b"x")
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        info = tarfile.TarInfo("/etc/escaped")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.zip", "nested.zip")
    found = scan(tmp_path)
    assert all("archive" in reasons(found)[name] for name in ("a.zip", "b.tar", "c.tar.gz"))
    assert not (tmp_path.parent / "escaped.dcm").exists()
    with pytest.raises(UnsupportedError, match="archive"):
        inspect(tmp_path / "b.tar")


def test_row_34_files_that_vanish_or_change_meanwhile_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_series(tmp_path, VOXELS)
    real = folder_module.read_header

    def meanwhile(path: Path, salt: bytes = b""):
        header = real(path, salt)
        if path == files[0]:
            path.unlink()
        elif path == files[1]:
            path.write_bytes(path.read_bytes() + b"\0\0")
        return header

    monkeypatch.setattr(folder_module, "read_header", meanwhile)
    found = scan(tmp_path)
    assert "vanished" in reasons(found)[files[0].name] and "changed" in reasons(found)[files[1].name]
    assert sum(len(i.files) for i in found.items) == 2


def test_a_file_changed_after_the_look_does_not_open(tmp_path: Path) -> None:
    files = write_series(tmp_path, VOXELS)
    found = scan(tmp_path)
    files[1].write_bytes(files[1].read_bytes() + b"\0\0")
    with pytest.raises(InputError, match=r"changed by another program"):
        read_found(found, found.items[0])
    files[1].unlink()
    with pytest.raises(InputError, match=r"cannot be read now"):
        read_found(found, found.items[0])


def test_a_cut_slice_at_the_end_of_a_series_is_told_with_the_series(tmp_path: Path) -> None:
    """Nothing else would show it: the rest is an even stack."""
    files = write_series(tmp_path, VOXELS)
    files[3].write_bytes(files[3].read_bytes()[:-7])
    found = scan(tmp_path)
    (item,) = found.items
    assert "incomplete" in reasons(found)[files[3].name]
    assert item.warnings[0] == "1 file of this series is damaged and left out; slices may be missing."
    volume = read_found(found, item)
    assert volume.array.shape[0] == 3 and item.warnings[0] in volume.notes and item.warnings[0] in volume.report.assumed


def test_a_compressed_dicom_file_says_what_to_do(tmp_path: Path) -> None:
    (plain,) = write_series(tmp_path, VOXELS[:1])
    (tmp_path / "x.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert "gzip" in reasons(scan(tmp_path))["x.gz"]
    with pytest.raises(UnsupportedError, match="unpack it first"):
        read(tmp_path / "x.gz")


def test_many_left_out_for_one_reason_are_counted(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    for n in range(100):
        (tmp_path / f"note{n}.txt").write_text("words")
    found = scan(tmp_path)
    texts = [entry for entry in found.skipped if entry[1] == "a text file"]
    assert len(texts) == 41 and texts[-1][0] == "and 60 more"


def test_one_reason_of_many_files_is_told_for_a_few_and_names_are_not_said_twice(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    for n in range(100):
        (tmp_path / f"cut{n}.nii").write_bytes(b"")
    found = scan(tmp_path)
    assert len(found.skipped) == 41 and found.skipped[-1][0] == "and 60 more"
    assert found.skipped[0] == ("cut0.nii", "the file is empty (0 bytes); copy it again from its source")


def test_a_thousand_different_reasons_are_not_all_told() -> None:
    skips = Skips()
    for n in range(400):
        skips.add(f"cut{n}.nii", f"{n} of 1000 bytes")
    left = skips.entries()
    assert len(left) == 300 + 41 and skips.count == 400
    assert left[-1][0] == "and 60 more" and "other reasons" in left[-1][1]


def test_row_34_progress_comes_at_most_ten_times_a_second_and_closing_stops(tmp_path: Path) -> None:
    for n in range(300):
        (tmp_path / f"{n}.txt").write_text("words")
    write_series(tmp_path, VOXELS)
    steps, events, began = scan_steps([tmp_path]), [], time.monotonic()
    while True:
        try:
            events.append(next(steps))
        except StopIteration:
            break
    assert len(events) <= (time.monotonic() - began) * 11.2 + 1
    assert all(isinstance(e, Progress) for e in events)
    late = scan_steps([tmp_path])
    began = time.monotonic()
    late.close()
    assert time.monotonic() - began < 0.1


def test_progress_counts_files_and_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path, VOXELS)
    monkeypatch.setattr(folder_module, "_EVERY_S", 0.0)
    words = [event.message for event in scan_steps([tmp_path])]
    assert "2 of about 4 files; 1 series" in words
    assert words[0].startswith("Looking for files")


def test_empty_and_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image in this folder"):
        scan(tmp_path)
    with pytest.raises(InputError, match="nothing is there"):
        scan(tmp_path / "gone")
    with pytest.raises(InputError, match="at least one"):
        scan()


# --- DICOMDIR ---------------------------------------------------------------------------------------------------------


def dicomdir(path: Path, references: Sequence[object]) -> Path:
    """Write a DICOMDIR of image records with these Referenced File IDs (PS3.3 F.3)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = "1.2.840.10008.1.3.10", ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = uid("dicomdir")
    data = Dataset()
    data.file_meta = meta
    data.FileSetID = "TEST"
    data.DirectoryRecordSequence = []
    for reference in references:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names that the standard forbids are what these tests are about
            record.ReferencedFileID = reference
        record.ReferencedSOPClassUIDInFile = CT
        data.DirectoryRecordSequence.append(record)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def test_a_dicomdir_opens_what_it_lists_and_only_that(tmp_path: Path) -> None:
    listed = write_series(tmp_path / "IMAGES", VOXELS)
    for n, path in enumerate(listed):
        path.rename(path.with_name(f"IM{n}"))
    write_series(tmp_path / "MORE", VOXELS, tags={"SeriesInstanceUID": uid("more")})
    path = dicomdir(tmp_path / "DICOMDIR", [["IMAGES", f"IM{n}"] for n in range(4)])
    found = scan(path)
    (item,) = found.items
    assert len(item.files) == 4
    np.testing.assert_array_equal(read(path).array, VOXELS)
    whole = scan(tmp_path)
    assert sorted(len(i.files) for i in whole.items) == [4, 4]
    assert "list of a medium" in reasons(whole)["DICOMDIR"]


def test_row_32_a_dicomdir_never_leads_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = write_series(tmp_path / "outside", VOXELS, tags={"SeriesInstanceUID": uid("outside")})
    disc = tmp_path / "disc"
    inside = write_series(disc, VOXELS)
    (disc / "LINK").symlink_to(secret[0])
    names: list[object] = [
        ["..", "outside", secret[0].name],
        str(secret[1]),
        ["LINK"],
        ["GONE"],
        f"../outside/{secret[2].name}",
    ]
    path = dicomdir(disc / "DICOMDIR", [*names, *[[p.name] for p in inside]])
    opened: list[str] = []
    real = sniff_module.sniff
    monkeypatch.setattr(folder_module, "sniff", lambda file: opened.append(os.path.realpath(file)) or real(file))
    found = scan(path)
    assert all(name.startswith(str(disc.resolve())) for name in opened)
    (item,) = found.items
    assert len(item.files) == 4
    told = reasons(found)
    assert sum("refused" in reason for reason in told.values()) == 4
    assert "not there" in told["GONE"]


def test_names_of_a_dicomdir_are_found_in_any_case_and_with_a_version(tmp_path: Path) -> None:
    files = write_series(tmp_path / "images", VOXELS)
    for n, path in enumerate(files):
        path.rename(path.with_name(f"im{n};1"))
    found = scan(dicomdir(tmp_path / "DICOMDIR", [["IMAGES", f"IM{n}"] for n in range(4)]))
    assert [len(i.files) for i in found.items] == [4]


def test_real_dicomdirs(shared_data) -> None:
    folder = shared_data("zoo-pydicom") / "dicomdirtests"
    listed = scan(folder / "DICOMDIR")
    records = pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    names = {"/".join(r.ReferencedFileID) for r in records if "ReferencedFileID" in r}
    told = {name for name, _ in listed.skipped}
    opened = {file.relative_to(folder).as_posix() for item in listed.items for file in item.files}
    assert opened <= names
    assert names <= opened | told
