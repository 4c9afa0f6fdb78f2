"""Readings put aside: what is saved comes back, and nothing else is believed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from napari_medcnn.core.reading_state import ReadingState, SavedScan
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io import reading_state
from napari_medcnn.io.reading_state import forget_reading, list_readings, read_reading, save_reading

STATE = ReadingState(
    "CT 5, Thorax 1 mm",
    "2026-11-21T12:00:00+00:00",
    SavedScan("/data/Doe/ct", "series-1", "ab" * 32),
    (SavedScan("/data/Doe/pet.nii.gz"),),
    "/data/Doe/mask.nii.gz",
    {"place": [1.5, -2.0, 3.0], "layout": "four"},
    {"slab": {"mode": "max", "mm": 10}},
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def test_what_is_saved_comes_back() -> None:
    path = save_reading(STATE)
    assert read_reading(path) == STATE
    assert [listed.state for listed in list_readings()] == [STATE]


def test_it_lies_in_our_folder_under_a_name_that_tells_nothing(tmp_path: Path) -> None:
    path = save_reading(STATE)
    assert path.parent == tmp_path / "home" / "readings"
    assert "doe" not in path.name.lower() and "thorax" not in path.name.lower()
    if os.name != "nt":
        assert path.parent.stat().st_mode & 0o077 == 0


def test_one_reading_for_each_scan() -> None:
    first = save_reading(STATE)
    again = save_reading(ReadingState("later", "", STATE.scan))
    other = save_reading(ReadingState("other", "", SavedScan("/data/Doe/ct", "series-2")))
    assert first == again != other
    assert {listed.state.title for listed in list_readings()} == {"later", "other"}
    forget_reading(first)
    assert [listed.state.title for listed in list_readings()] == ["other"]


def test_only_readings_are_deleted(tmp_path: Path) -> None:
    other = tmp_path / "x.reading.json"
    other.write_text("{}")
    forget_reading(other)
    assert other.exists()


def changed(**values: object) -> bytes:
    data = json.loads(save_reading(STATE).read_bytes())
    return json.dumps({k: v for k, v in {**data, **values}.items() if v != "absent"}).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"", "damaged"),
        (lambda: b"[" * 100_000, "damaged"),
        (lambda: b"\xff\xfe", "damaged"),
        (lambda: b"[1]", "version"),
        (lambda: changed(medcnn_reading=2), "version"),
        (lambda: changed(command="rm"), "command"),
        (lambda: changed(mask="absent"), "mask"),
        (lambda: changed(mask=7), "mask"),
        (lambda: changed(scan={"path": "", "item": "", "sha256": ""}), "path"),
        (lambda: changed(scan={"path": "a\0b", "item": "", "sha256": ""}), "path"),
        (lambda: changed(scan={"path": "a", "item": "", "sha256": "zz"}), "SHA-256"),
        (lambda: changed(scan={"path": "a", "item": ""}), "sha256"),
        (lambda: changed(scan=["a"]), "path"),
        (lambda: changed(beside=[{"path": "a", "item": "", "sha256": ""}] * 51), "50"),
        (lambda: changed(view=[1]), "view"),
        (lambda: changed(features={"slab": 1}), "feature"),
        (lambda: changed(view={"a": [[[[[[[[[[1]]]]]]]]]]}), "nested"),
        (lambda: changed(view={"a": [0] * 2001}), "2001"),
        (lambda: changed(view={"a": "x" * 5000}), "5000"),
        (lambda: changed(view={"a": 1e300}), "number"),
        (lambda: changed(view={"a": 10**400}), "number"),
        (lambda: changed(view={"a": "@"}).replace(b'"@"', b"NaN"), "damaged"),
        (lambda: changed(view={"a": "@"}).replace(b'"@"', b"1e999"), "number"),
        (lambda: changed().replace(b'"mask":', b'"mask": "x", "mask":'), "damaged"),
        (lambda: b" " * 1_000_001, "at most"),
    ],
)
def test_what_is_not_ours_is_refused_by_name(tmp_path: Path, content, words: str) -> None:
    path = tmp_path / "a.reading.json"
    path.write_bytes(content())
    with pytest.raises(InputError, match=words):
        read_reading(path)


def test_a_damaged_file_is_listed_with_its_reason() -> None:
    save_reading(STATE)
    (reading_state.folder() / "x.reading.json").write_text("{")
    problems = [listed.problem for listed in list_readings() if listed.state is None]
    assert len(problems) == 1 and "damaged" in problems[0]
    assert sum(listed.state is not None for listed in list_readings()) == 1


def test_what_is_not_plain_cannot_be_saved() -> None:
    with pytest.raises(InputError, match="not plain"):
        ReadingState("a", "", STATE.scan, view={"a": Path("x")})
    with pytest.raises(InputError, match="number"):
        ReadingState("a", "", STATE.scan, view={"a": float("nan")})


def test_a_failing_disk_leaves_the_reading_before(monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_reading(STATE)
    before = path.read_bytes()

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_medcnn.io.save._write_all", full)
    with pytest.raises(SaveError, match="disk is full"):
        save_reading(ReadingState("new", "", STATE.scan))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_or_shown_is_refused() -> None:
    """Half of a letter: a file of a disk that counts bytes can have it in its name."""
    for make in (lambda: SavedScan("/data/\udcff.nii"), lambda: ReadingState("\ud800", "", STATE.scan)):
        with pytest.raises(InputError, match="expected text"):
            make()


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_to_nowhere_does_not_end_the_list() -> None:
    path = save_reading(STATE)
    (path.parent / "gone.reading.json").symlink_to(path.parent / "nowhere")
    assert [listed.state for listed in list_readings()] == [STATE, None]
