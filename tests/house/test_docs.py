"""The pages point at what exists, and name no place that only one machine has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cases import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def test_there_are_pages() -> None:
    names = {p.relative_to(REPOSITORY).as_posix() for p in PAGES}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/reliability.md", "docs/radiologist.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = [t for t in LINK.findall(page.read_text(encoding="utf-8")) if not t.startswith(("http", "mailto"))]
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_tests_named_on_a_page_exist(page: Path) -> None:
    named = re.findall(r"`(tests/[\w./]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8"))
    missing = []
    for file, function in named:
        path = REPOSITORY / file
        if not path.exists() or (function and f"def {function}(" not in path.read_text(encoding="utf-8")):
            missing.append(f"{file}::{function}")
    assert missing == []


def test_every_decision_has_a_page() -> None:
    pages = {p.stem for p in (REPOSITORY / "docs" / "decisions").glob("*.md")}
    assert {"engine-process", "display-geometry", "own-undo", "model-package", "array-handover"} <= pages
