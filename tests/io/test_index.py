"""The index of headers: used when nothing changed, never when something did; private, and no loss if it is damaged."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_series
from napari_medcnn.io import folder as folder_module
from napari_medcnn.io.dicom import index as index_module
from napari_medcnn.io.dicom.index import HeaderIndex
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.found import Found

VOXELS = np.random.default_rng(4).integers(-1000, 2000, (4, 6, 5)).astype(np.int16)
OLD = time.time() - 3600


def scan(path: Path, index: HeaderIndex | None) -> Found:
    steps = scan_steps([path], index)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that every parsed file is put into."""
    seen: list[Path] = []
    real = folder_module.read_header
    monkeypatch.setattr(folder_module, "read_header", lambda path, salt=b"": seen.append(path) or real(path, salt))
    return seen


def aged(files: list[Path]) -> list[Path]:
    for file in files:
        os.utime(file, (OLD, OLD))
    return files


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "home" / "headers.sqlite"


def test_the_second_look_parses_nothing_and_finds_the_same(tmp_path: Path, parsed: list[Path]) -> None:
    aged(write_series(tmp_path / "in", VOXELS))
    with HeaderIndex(file_of(tmp_path)) as index:
        first = scan(tmp_path / "in", index)
    assert len(parsed) == 4
    with HeaderIndex(file_of(tmp_path)) as index:
        second = scan(tmp_path / "in", index)
    assert len(parsed) == 4
    assert second == first and second.items[0].study == first.items[0].study
    assert scan(tmp_path / "in", None).items == first.items


@pytest.mark.parametrize("change", ["content", "times", "replaced"])
def test_a_changed_file_is_parsed_again(tmp_path: Path, parsed: list[Path], change: str) -> None:
    files = aged(write_series(tmp_path / "in", VOXELS))
    with HeaderIndex(file_of(tmp_path)) as index:
        scan(tmp_path / "in", index)
        other = write_series(tmp_path / "other", VOXELS, tags={"SeriesDescription": "Pelvis"})  # "Thorax": same length
        if change == "content":  # same size, and the time of writing set back
            files[0].write_bytes(other[0].read_bytes())
            os.utime(files[0], (OLD, OLD))
        elif change == "times":
            os.utime(files[0], (OLD + 1, OLD + 1))
        else:
            os.utime(other[0], (OLD, OLD))
            os.replace(other[0], files[0])
        parsed.clear()
        found = scan(tmp_path / "in", index)
    assert parsed == [files[0]]
    if change != "times":
        assert any(i.description == "Pelvis" or "Pelvis" in i.title for i in found.items) or len(found.items) == 1


def test_a_file_younger_than_its_clock_is_not_remembered(tmp_path: Path, parsed: list[Path]) -> None:
    write_series(tmp_path / "in", VOXELS)
    future = write_series(tmp_path / "future", VOXELS)
    for file in future:
        os.utime(file, (time.time() + 3600, time.time() + 3600))
    with HeaderIndex(file_of(tmp_path)) as index:
        for _ in range(2):
            scan(tmp_path / "in", index)
            scan(tmp_path / "future", index)
    assert len(parsed) == 16


def test_newer_code_does_not_believe_older_answers(
    tmp_path: Path, parsed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(write_series(tmp_path / "in", VOXELS))
    with HeaderIndex(file_of(tmp_path)) as index:
        scan(tmp_path / "in", index)
    monkeypatch.setattr(index_module, "__version__", "99")
    with HeaderIndex(file_of(tmp_path)) as index:
        scan(tmp_path / "in", index)
    assert len(parsed) == 8


def test_it_is_private_and_holds_no_names_and_no_paths(tmp_path: Path) -> None:
    tags = {"PatientName": "Doe^Secret", "PatientID": "MRN-4711", "ReferringPhysicianName": "Healer^Hidden",
            "PatientBirthDate": "19700304", "InstitutionName": "Saint Nowhere"}  # fmt: skip
    aged(write_series(tmp_path / "Doe_Secret_visit", VOXELS, tags=tags))
    with HeaderIndex(file_of(tmp_path)) as index:
        found = scan(tmp_path / "Doe_Secret_visit", index)
        (item,) = found.items
        assert item.study.person.name == "Doe, Secret"
        folder = file_of(tmp_path).parent
        stored = b"".join(path.read_bytes() for path in folder.iterdir())
        rows = sqlite3.connect(file_of(tmp_path)).execute("SELECT key, body FROM headers").fetchall()
    stored += b"".join(path.read_bytes() for path in folder.iterdir())
    stored += b"".join(index_module.zlib.decompress(bytes(body)[16:]) for _, body in rows)
    assert len(rows) == 4
    for word in (b"Doe", b"Secret", b"4711", b"Healer", b"19700304", b"1970-03-04", b"Nowhere", os.fsencode(tmp_path)):
        assert word not in stored
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in folder.iterdir())


def test_two_indexes_have_different_keys_for_one_person(tmp_path: Path) -> None:
    with HeaderIndex(tmp_path / "a" / "x") as one, HeaderIndex(tmp_path / "b" / "x") as other:
        assert one.salt != other.salt
        salt = one.salt
    with HeaderIndex(tmp_path / "a" / "x") as again:
        assert again.salt == salt


@pytest.mark.parametrize("damage", ["noise", "cut", "flipped", "empty", "folder"])
def test_a_damaged_index_is_begun_anew_and_the_scan_goes_on(tmp_path: Path, damage: str, parsed: list[Path]) -> None:
    aged(write_series(tmp_path / "in", VOXELS))
    file = file_of(tmp_path)
    with HeaderIndex(file) as index:
        first = scan(tmp_path / "in", index)
    whole = bytearray(file.read_bytes())
    if damage == "noise":
        file.write_bytes(np.random.default_rng(0).bytes(len(whole)))
    elif damage == "cut":
        file.write_bytes(whole[: len(whole) // 2 + 100])
    elif damage == "flipped":
        for at in range(5000, len(whole), 97):
            whole[at] ^= 0xFF
        file.write_bytes(whole)
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()
        file.mkdir()
    with HeaderIndex(file) as index:
        assert scan(tmp_path / "in", index).items == first.items
        if damage == "noise":
            assert "begun anew" in index.note
    if damage != "folder":
        parsed.clear()
        with HeaderIndex(file) as index:
            scan(tmp_path / "in", index)
        with HeaderIndex(file) as index:
            scan(tmp_path / "in", index)
        assert len(parsed) <= 4


def test_an_entry_that_the_disk_changed_is_not_used(tmp_path: Path, parsed: list[Path]) -> None:
    aged(write_series(tmp_path / "in", VOXELS))
    file = file_of(tmp_path)
    with HeaderIndex(file) as index:
        scan(tmp_path / "in", index)
    with sqlite3.connect(file) as database:
        body = bytearray(database.execute("SELECT body FROM headers ORDER BY number").fetchone()[0])
        body[-8] ^= 1
        database.execute("UPDATE headers SET body = ? WHERE number = (SELECT min(number) FROM headers)", (bytes(body),))
    database.close()
    parsed.clear()
    with HeaderIndex(file) as index:
        scan(tmp_path / "in", index)
    assert len(parsed) == 1


def test_a_locked_or_read_only_index_stops_nobody(tmp_path: Path, parsed: list[Path]) -> None:
    aged(write_series(tmp_path / "in", VOXELS))
    file = file_of(tmp_path)
    with HeaderIndex(file) as index:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert len(scan(tmp_path / "in", index).items) == 1
        assert time.monotonic() - began < 5
        other.execute("ROLLBACK")
        other.close()


def test_without_a_place_for_it_folders_are_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed: list[Path]
) -> None:
    aged(write_series(tmp_path / "in", VOXELS))
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "file" / "home"))
    for _ in range(2):
        with HeaderIndex.default() as index:
            assert "not remembered" in index.note
            assert len(scan(tmp_path / "in", index).items) == 1
    assert len(parsed) == 8


def test_it_does_not_grow_without_end(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    probe = tmp_path / "probe"
    probe.write_bytes(b"x")
    os.utime(probe, (OLD, OLD))
    rng = np.random.default_rng(0)
    with HeaderIndex(file, max_bytes=300_000) as index:
        for n in range(1200):
            index.put(f"/file/{n}", probe.stat(), {"noise": rng.bytes(400).hex()})
        index.flush()
        assert index.find("/file/1199", probe.stat()) is not None
        assert index.find("/file/0", probe.stat()) is None
    assert file.stat().st_size < 700_000


_CHILD = """
import sys
from pathlib import Path
from napari_medcnn.io.dicom.index import HeaderIndex
from napari_medcnn.io.folder import scan_steps
for _ in range(4):
    with HeaderIndex(Path(sys.argv[1])) as index:
        steps = scan_steps([Path(sys.argv[2])], index)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            sys.stdout.write(str(len(end.value.items)))
"""


def test_several_processes_at_once(tmp_path: Path) -> None:
    aged(write_series(tmp_path / "in", VOXELS))
    command = [sys.executable, "-c", _CHILD, str(file_of(tmp_path)), str(tmp_path / "in")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for child in children:
        out, err = child.communicate(timeout=120)
        assert (child.returncode, out, err) == (0, b"1111", b"")
