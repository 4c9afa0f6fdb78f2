"""Tables that other programs read, and the record that is kept with a scan."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from napari_medcnn.core.measures import BALL, LENGTH, Measure
from napari_medcnn.core.ruler import SetScale
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.measures_file import Kept, Table, as_csv, as_tsv, read_kept, save_kept, save_table

TABLE = Table(
    ("name", "length [mm]", "voxels", "note"),
    (("Länge, links", 12.3456789, 7, None), ("=cmd|' /C calc'!A0", 1e-7, 0, 'two\nlines\tand "quotes"')),
)
KEPT = Kept(
    (Measure(LENGTH, ((0, 0.1, 1 / 3), (0, 2, 7e-9)), 0, 3, "Länge"), Measure(BALL, ((1, 2, 3), (4, 5, 6)), 2)),
    SetScale(50.0, 123.4, "2026-11-21"),
)


def test_a_table_is_utf_8_with_comma_and_point(tmp_path: Path) -> None:
    save_table(TABLE, tmp_path / "t.csv")
    raw = (tmp_path / "t.csv").read_bytes()
    assert b"\r" not in raw and raw.decode("utf-8") == as_csv(TABLE)
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8"), newline="")))
    assert rows[0] == list(TABLE.header)
    assert rows[1] == ["Länge, links", "12.3457", "7", ""]
    assert rows[2] == ["'=cmd|' /C calc'!A0", "1e-07", "0", 'two lines and "quotes"']


def test_the_clipboard_has_tabs(tmp_path: Path) -> None:
    lines = as_tsv(TABLE).splitlines()
    assert len(lines) == 3 and [line.count("\t") for line in lines] == [3, 3, 3]


def test_a_failed_table_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="no such folder"):
        save_table(TABLE, tmp_path / "away" / "t.csv")


def test_what_is_kept_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    save_kept(KEPT, path)
    assert read_kept(path) == KEPT
    assert [p.name for p in tmp_path.iterdir()] == ["k.json"]


def test_nothing_to_keep_keeps_no_file(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    save_kept(KEPT, path)
    save_kept(Kept(), path)
    assert list(tmp_path.iterdir()) == [] and read_kept(path) == Kept()
    save_kept(Kept(), path)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"format": "something else"}', "\x00\x01", "[" * 100_000,
        json.dumps({**KEPT.to_json(), "measures": [{"kind": "length"}]}),
        json.dumps({**KEPT.to_json(), "measures": 4}),
        json.dumps({**KEPT.to_json(), "scale": {"known_mm": -1, "drawn": 3}}),
        json.dumps({**KEPT.to_json(), "version": 99}),
        json.dumps(KEPT.to_json()).replace('"frame": 3', '"frame": Infinity'),
        json.dumps(KEPT.to_json()).replace('"frame": 3', '"frame": ' + "9" * 5000),
        json.dumps(KEPT.to_json()).replace("7e-09", "1" + "0" * 400),
        json.dumps(KEPT.to_json()).replace("7e-09", "1e300"),
        json.dumps(KEPT.to_json()).replace("\\u00e4", "\\ud800"),
        json.dumps({**KEPT.to_json(), "scale": {"known_mm": 10**400, "drawn": 1}}),
        json.dumps({**KEPT.to_json(), "scale": {"known_mm": 1e300, "drawn": 1e-300}}),
        json.dumps(KEPT.to_json()) + " " * 4_000_000,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_and_put_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"put aside as k\.unreadable"):
        read_kept(path)
    assert (tmp_path / "k.unreadable").read_text(encoding="utf-8") == text and not path.exists()
    assert read_kept(path) == Kept()


def test_bytes_that_are_no_text_are_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_kept(path)
