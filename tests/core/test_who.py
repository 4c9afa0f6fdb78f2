"""Two patients, two dates, one space: told apart by what files state, never by what they leave out."""

from __future__ import annotations

import pytest

from napari_medcnn.core.who import NOBODY, Who, conflict, differing, same_space, unsure

ANNA = Who(("Mueller^Anna", "ID-1", "1960-01-02", "F"), "2024-01-31", "1.2.3")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (ANNA, ""),
        (Who(("MUELLER^ANNA^", "id-1", "1960-01-02", "F"), "2024-01-31"), ""),
        (Who(("Mueller^Anna", "ID-1", "", ""), "2024-05-01"), "two dates"),
        (Who(("", "ID-1", "", ""), ""), ""),
        (Who(("Mueller^Anna", "ID-2", "1960-01-02", "F"), "2024-01-31"), "two patients"),
        (Who(("Mueller^Anna", "ID-1", "1961-01-02", "F"), "2024-01-31"), "two patients"),
        (Who(("Meier^Anna", "ID-1", "1960-01-02", "F"), "2024-05-01"), "two patients"),
        (Who(("", "", "", "M"), "2024-01-31"), "two patients"),
        (NOBODY, ""),
        (Who(date="2023-01-01"), "two dates"),
    ],
)
def test_conflict_is_told_both_ways(other: Who, expected: str) -> None:
    assert conflict(ANNA, other) == conflict(other, ANNA) == expected


def test_what_differs_is_named_by_kind_and_never_by_value() -> None:
    words = differing(ANNA, Who(("Meier^Anna", "ID-2", "1960-01-02", "F")))
    assert words == "names and patient numbers"
    assert "Mueller" not in repr(ANNA) and "ID-1" not in repr(ANNA) and "2024" not in repr(ANNA)


def test_nothing_stated_is_not_the_same() -> None:
    assert unsure(ANNA, NOBODY) and unsure(NOBODY, NOBODY)
    assert unsure(ANNA, Who(("", "", "", "F")))  # one of two sexes is no name
    assert not unsure(ANNA, Who(("", "ID-1", "", "")))
    assert not unsure(ANNA, Who(("Meier^Bert", "ID-2", "", "")))  # that is sure: they differ
    assert not Who(("", "", "", "F")).stated and ANNA.stated


def test_scripts_other_than_latin_are_told_apart() -> None:
    assert conflict(Who(("山田^太郎", "", "", "")), Who(("山田^花子", "", "", ""))) == "two patients"
    assert conflict(Who(("Yamada^Tarou=山田^太郎", "", "", "")), Who(("Yamada^Tarou", "", "", ""))) == ""
    assert conflict(Who(("Müller^A", "", "", "")), Who(("MÜLLER A", "", "", ""))) == ""


def test_space_is_shared_only_where_both_say_so() -> None:
    assert same_space(ANNA, Who(frame_of_reference="1.2.3")) is True
    assert same_space(ANNA, Who(frame_of_reference="1.2.4")) is False
    assert same_space(ANNA, NOBODY) is None
