"""The page of faults reads row numbers out of tests; here is what it reads."""

from __future__ import annotations

import importlib.util

import pytest

from cases import REPOSITORY


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("reliability", REPOSITORY / "scripts" / "reliability.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a full disk (row 36)", {36}),
        ("reliability rows 1, 2 and 8 to 10", {1, 2, 8, 9, 10}),
        ("Rows 52-54, 59", {52, 53, 54, 59}),
        ("test_row_38_kill_during_save", {38}),
        ("nothing: 12 arrows, row 99", set()),
    ],
)
def test_row_numbers_are_read(page, text: str, rows: set[int]) -> None:
    assert page.rows_in(text) == rows
