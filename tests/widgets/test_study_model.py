"""The words of the tree, without a window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_medcnn.core.consent import Report
from napari_medcnn.io.found import Found, Person
from napari_medcnn.widgets.names import HIDDEN, without_names
from napari_medcnn.widgets.study_model import (
    only_scan,
    person_names,
    person_words,
    scan_under,
    skipped_lines,
    skipped_words,
    study_words,
    tree_of,
)
from study_cases import ANNA, CHEST, hospital, series


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


def test_tips_name_no_file_while_names_are_hidden() -> None:
    found = hospital()
    odd = replace(found.items[0], warnings=("One slice is there twice (Koch_Karl.dcm).",), report=Report())
    (group,) = tree_of(Found(Path("x"), (odd,)), hidden=True, clean=lambda words: without_names(words, ()))
    assert group.series[0].notes == (f"One slice is there twice ({HIDDEN}).",)
    assert "Koch" not in group.series[0].spoken and HIDDEN in group.series[0].spoken


def test_a_mask_names_the_scan_it_was_made_from() -> None:
    ct = series("ct", "CT 2", CHEST)
    mask = replace(series("m", "SEG 1, Liver (of CT 2)", CHEST), kind="labels")
    stray = replace(series("s", "SEG 1, Liver (of CT 3)", CHEST), kind="labels")
    found = Found(Path("x"), (ct, mask, stray))
    assert scan_under(found, mask) is ct
    assert scan_under(found, stray) is None and scan_under(found, ct) is None
    twice = replace(found, items=(ct, replace(ct, id="other"), mask))
    assert scan_under(twice, mask) is None, "which of two is never guessed"
    elsewhere = replace(CHEST, uid="9", person=Person("Else^Some", "7"))
    assert scan_under(Found(Path("x"), (replace(ct, study=elsewhere), mask)), mask) is None


def test_files_left_out_are_counted_whole() -> None:
    skipped = (("a", "a text file"), ("b", "a text file"), ("and 1,010 more", "a text file"))
    assert skipped_words(skipped) == "1,012 files left out: a text file"
    assert skipped_lines(skipped, hidden=True) == ["1012 x a text file"]


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
