"""The words of the tree, without a window."""

from __future__ import annotations

from dataclasses import replace

from napari_medcnn.io.found import Person
from napari_medcnn.widgets.names import HIDDEN, without_names
from napari_medcnn.widgets.study_model import (
    only_scan,
    person_names,
    person_words,
    skipped_lines,
    skipped_words,
    study_words,
    tree_of,
)
from study_cases import ANNA, CHEST, hospital


def lines(groups, depth: int = 0) -> list[str]:
    found = []
    for group in groups:
        found += ["  " * depth + " | ".join(x for x in (group.title, *group.more) if x)]
        found += lines(group.groups, depth + 1)
        found += ["  " * depth + "- " + " | ".join(x for x in (r.title, r.size, r.mark) if x) for r in group.series]
    return found


def test_tree_in_words() -> None:
    assert lines(tree_of(hospital())) == [
        "MUELLER, ANNA | K-4711 · born 1961-05-04",
        "  2024-03-01 · Chest CT",
        "  - CT 5, Thorax 1 mm | 512 x 512, 60 slices",
        "  - CT 6, Skull | ? The slices are tilted by 18.6°.",
        "  - Mask: Lung lobes | 512 x 512, 60 slices",
        "  2024-09-12 · Control after therapy of Mueller",
        "  - CT 2, Thorax | 512 x 512, 60 slices | ! 6 equal copies of slices were left out.",
        "SCHMIDT, BERT | K-0815 · born 1950-12-24 | 2023-01-31 · Head MR",
        "- MR 3, fMRI | 64 x 64, 30 slices, 10 frames",
        "- SR 9, Dose | ✗ a dose report, not an image",
        "Files",
        "- mueller_anna.nii.gz | 512 x 512, 60 slices",
    ]


def test_hidden_names_stand_in_no_line_and_in_nothing_that_is_searched() -> None:
    names = person_names(ANNA)
    groups = tree_of(hospital(), hidden=True, clean=lambda words: without_names(words, names))
    told = "\n".join(lines(groups)).lower()
    assert not [part for part in ("mueller", "anna", "4711", "1961", "schmidt", "0815", "1950") if part in told]
    assert "patient 1" in told and "patient 2" in told and "file 1" in told
    assert f"control after therapy of {HIDDEN}" in told

    def searched(group) -> str:
        return " ".join([row.search for row in group.series] + [searched(inner) for inner in group.groups])

    everything = " ".join(searched(group) for group in groups)
    assert "thorax" in everything and "mueller" not in everything and "4711" not in everything


def test_one_scan_opens_by_itself_beside_masks_and_reports() -> None:
    found = hospital()
    by_id = {item.id: item for item in found.items}

    def only(*ids: str):
        item = only_scan(replace(found, items=tuple(by_id[i] for i in ids)))
        return None if item is None else item.id

    assert only("a") == "a" and only("a", "c", "f") == "a"
    assert only("b") == "b", "what asks is asked at once"
    assert only("a", "d") is None and only("c") == "c" and only("c", "f") is None


def test_words_of_empty_and_odd_headers() -> None:
    assert person_words(Person()) == "" and person_names(Person()) == set()
    assert person_words(Person("Yamada^Tarou=山田^太郎")) == "Yamada, Tarou = 山田 太郎"
    assert person_names(Person("Li^Bo", "7")) == {"Li^Bo", "Li, Bo · 7"}, "two letters would hide half of all words"
    assert study_words(replace(CHEST, date="", description="")) == "Study without a date"
    assert skipped_words(()) == ""
    assert skipped_words([("a", "x")]) == "1 file left out: x"
    many = [("a", "x")] * 3 + [("b", "y")] * 2 + [("c", "z")]
    assert skipped_words(many) == "6 files left out"
    assert skipped_lines(many, hidden=True) == ["3 x x", "2 x y", "1 x z"]
    assert skipped_lines(many, hidden=False)[3:5] == ["", "a: x"]
