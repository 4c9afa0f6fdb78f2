"""Numbers in words: digits counted by hand."""

from __future__ import annotations

import pytest

from napari_medcnn.core.quantity import AS_STORED, length_number, number, plain, short, size_words, unit_words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (9.141, "9.14"), (10.0, "10"), (0.012345, "0.0123"), (99.96, "100"), (100.4, "100"), (1234.5, "1234"),
        (123456.7, "123457"), (-0.0, "0"), (-12.345, "-12.3"), (0.00001234, "0.0000123"), (1e9, "1000000000"),
    ],
)  # fmt: skip
def test_three_digits_and_no_fewer_than_stand_before_the_point(value: float, words: str) -> None:
    assert short(value) == number(value) == words


def test_no_value_is_no_word_and_no_unit_is_said() -> None:
    assert number(None) == ""
    assert unit_words("HU") == "HU" and unit_words("") == AS_STORED == "as stored"


@pytest.mark.parametrize(
    ("value", "words"),
    [(12.34, "12.3"), (123.45, "123.5"), (9.141, "9.1"), (0.4321, "0.43"), (0.05, "0.05")],
)
def test_lengths_are_read_in_tenths_unless_they_are_smaller(value: float, words: str) -> None:
    assert length_number(value) == words


def test_lengths_areas_and_volumes() -> None:
    assert size_words(12.34, "mm") == "12.3 mm"
    assert size_words(456.4, "mm", 2) == "456 mm²" and size_words(4.5678, "px", 2) == "4.57 px²"
    assert size_words(999.4, "mm", 3) == "999 mm³" and size_words(1234.5, "mm", 3) == "1.23 ml"
    assert size_words(1_234_567.0, "mm", 3) == "1235 ml"


def test_plain_numbers_can_be_typed_again() -> None:
    assert plain(1e-7) == "0.0000001" and plain(1234567.0) == "1234567" and plain(0.1 + 0.2) == "0.3"
