"""The table of cases: read from any spreadsheet, written whole, and checked before anybody learns from it (row 56)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from napari_medcnn.errors import InputError, ProjectError, SaveError
from napari_medcnn.io.dataset import Dataset, Row, add_case, check_dataset, read_dataset, write_dataset

HEADER = "case,patient,image,mask,class,split,site"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "dataset.csv"


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def kinds(problems: list) -> set[tuple[str, str]]:
    return {(p.level, p.kind) for p in problems}


def test_read_by_hand(table: Path) -> None:
    table.write_text(f"{HEADER}\na,p1,im/a.nii.gz,m/a.nii.gz,,train,north\nb,,x_t1.nii|x_t2.nii,,tumour,test,\n")
    dataset = read_dataset(table)
    assert dataset.folder == table.parent.resolve()
    assert dataset.rows == (
        Row("a", "p1", (Path("im/a.nii.gz"),), (Path("m/a.nii.gz"),), "", "train", "north"),
        Row("b", "", (Path("x_t1.nii"), Path("x_t2.nii")), (), "tumour", "test", ""),
    )
    assert [r.case for r in dataset.split("test").rows] == ["b"]
    assert dataset.resolve(Path("im/a.nii.gz")) == table.parent.resolve() / "im" / "a.nii.gz"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_spreadsheets_of_all_countries(table: Path, delimiter: str, start: bytes) -> None:
    lines = [["Case", "image ", "class"], ["Müller, A", "a.png", "gut; sehr"], ["", "", ""]]
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    table.write_bytes(start + text.encode())
    assert read_dataset(table).rows == (Row("Müller, A", image=(Path("a.png"),), cls="gut; sehr"),)


@pytest.mark.skipif(sys.platform == "win32", reason="there it is the native form")
def test_folders_written_on_windows(table: Path) -> None:
    table.write_text(f"{HEADER}\na,,scans\\a.nii,,,,\n")
    assert read_dataset(table).rows[0].image == (Path("scans/a.nii"),)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"case,mask\n", "missing .'image'"),
        (b"case,image,colour\n", "unknown .'colour'"),
        (b"case,image,image\n", "twice"),
        (b"case,image\na,b,c\n", "line 2: expected 2 cells, got 3"),
        (b"case,image\n,b\n", "line 2: expected a name"),
        (b"case,image\na,\xff\n", "UTF-8"),
    ],
)
def test_damaged_tables_are_named(table: Path, raw: bytes, words: str) -> None:
    table.write_bytes(raw)
    with pytest.raises(ProjectError, match=words):
        read_dataset(table)


def test_a_table_that_is_not_there(table: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        read_dataset(table)


def test_there_and_back_with_relative_paths(table: Path) -> None:
    rows = (
        Row("a, quoted", "p", (table.parent.resolve() / "im" / "a.nii",), (Path("m/a.nii"),), 'cl"ass', "train", "ß"),
        Row("b", image=(Path("b1.nii"), Path("b2.nii"))),
    )
    write_dataset(Dataset(rows, table.parent), table)
    raw = table.read_bytes()
    assert raw.startswith(HEADER.encode() + b"\n") and b"im/a.nii" in raw and str(table.parent).encode() not in raw
    back = read_dataset(table)
    assert back.rows[0].image == (Path("im/a.nii"),) and back.rows[0].cls == 'cl"ass'
    assert back.rows[1] == rows[1]


def test_paths_stay_right_when_the_table_moves(table: Path, tmp_path: Path) -> None:
    files(tmp_path, "im/a.nii")
    dataset = Dataset((Row("a", image=(Path("im/a.nii"),)),), tmp_path)
    (tmp_path / "other").mkdir()
    moved = read_dataset(write_dataset(dataset, tmp_path / "other" / "dataset.csv"))
    assert moved.rows[0].image == (Path("../im/a.nii"),)
    assert moved.resolve(moved.rows[0].image[0]).exists()


def test_add_replace_and_keep_the_rest(table: Path) -> None:
    add_case(table, Row("a", image=(Path("a.nii"),)))
    add_case(table, Row("b", image=(Path("b.nii"),)))
    add_case(table, Row("a", image=(Path("a.nii"),), mask=(Path("a_mask.nii"),), split="train"))
    rows = read_dataset(table).rows
    assert [r.case for r in rows] == ["a", "b"] and rows[0].mask == (Path("a_mask.nii"),)


def test_row_36_a_fault_while_writing_leaves_the_old_table(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_case(table, Row("a", image=(Path("a.nii"),)))
    before = table.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match=r"No space left.*old table is intact"):
        add_case(table, Row("b", image=(Path("b.nii"),)))
    assert table.read_bytes() == before
    assert [p.name for p in table.parent.iterdir()] == ["dataset.csv"]


def test_a_name_that_cannot_be_written(table: Path) -> None:
    with pytest.raises(SaveError, match="rename it"):
        write_dataset(Dataset((Row("a", image=(Path("a|b.nii"),)),), table.parent), table)


def good(folder: Path) -> Dataset:
    files(folder, "a.nii", "b.nii", "ma.nii", "mb.nii")
    return Dataset(
        (
            Row("a", "p1", (Path("a.nii"),), (Path("ma.nii"),), split="train"),
            Row("b", "p2", (Path("b.nii"),), (Path("mb.nii"),), split="test"),
        ),
        folder,
    )


def with_row(dataset: Dataset, **changes: object) -> Dataset:
    fields = {"case": "c", "patient": "p3", "image": (Path("a.nii"),), "mask": (Path("ma.nii"),), "split": "train"}
    return Dataset((*dataset.rows, Row(**{**fields, **changes})), dataset.folder)  # type: ignore[arg-type]


def test_row_56_a_sound_table_has_no_problem(tmp_path: Path) -> None:
    assert check_dataset(good(tmp_path), None) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"patient": "p2"}, ("stop", "patient in several splits")),
        ({"split": "test"}, ("stop", "image in several splits")),
        ({}, ("warn", "image twice")),
        ({"case": "a"}, ("stop", "case twice")),
        ({"image": (Path("gone.nii"),)}, ("stop", "missing image")),
        ({"mask": (Path("gone.nii"),)}, ("stop", "missing mask")),
        ({"image": ()}, ("stop", "no image")),
        ({"mask": ()}, ("stop", "no mask")),
    ],
)
def test_row_56_each_fault_is_found_and_names_its_cases(tmp_path: Path, changes: dict, expected: tuple) -> None:
    problems = check_dataset(with_row(good(tmp_path), **changes), None)
    assert expected in kinds(problems)
    (problem,) = [p for p in problems if (p.level, p.kind) == expected]
    assert set(problem.cases) & {"a", "b", "c"} and all(
        case in str(problem) or "Patient" in str(problem) for case in problem.cases
    )
    assert [p.level for p in problems] == sorted((p.level for p in problems), key=lambda level: level != "stop")


def test_row_56_one_case_one_class_no_training(tmp_path: Path) -> None:
    one = Dataset(good(tmp_path).rows[:1], tmp_path)
    assert kinds(check_dataset(one, None)) == {("stop", "too few")}
    same = Dataset(tuple(Row(c, c, (Path(f"{c}.nii"),), cls="ill", split="train") for c in "ab"), tmp_path)
    assert kinds(check_dataset(same, None, task="classification")) == {("stop", "one class")}
    unlabelled = Dataset((*same.rows[:1], Row("b", "b", (Path("b.nii"),), split="train")), tmp_path)
    assert ("stop", "no class") in kinds(check_dataset(unlabelled, None, task="classification"))
    assert kinds(check_dataset(good(tmp_path).split("test"), None)) == {("stop", "too few"), ("stop", "no training")}


def test_row_56_sizes_of_image_and_mask(tmp_path: Path) -> None:
    dataset = good(tmp_path)

    def size(path: Path) -> tuple[int, ...]:
        if path.name == "b.nii":
            raise InputError("b.nii is cut")
        return (3, 4, 5) if path.name != "ma.nii" else (3, 4, 6)

    problems = check_dataset(dataset, size)
    assert kinds(problems) == {("stop", "size"), ("stop", "unreadable")}
    (wrong,) = [p for p in problems if p.kind == "size"]
    assert "a.nii 5 x 4 x 3" in wrong.text and "ma.nii 6 x 4 x 3" in wrong.text


def test_unknown_patients_are_no_leak(tmp_path: Path) -> None:
    files(tmp_path, "a.nii", "b.nii", "m.nii")
    rows = [Row(c, "", (Path(f"{c}.nii"),), (Path("m.nii"),), split=s) for c, s in (("a", "train"), ("b", "test"))]
    assert check_dataset(Dataset(tuple(rows), tmp_path), None) == []
