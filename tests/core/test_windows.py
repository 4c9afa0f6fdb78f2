"""Display windows against numbers worked out by hand, and slabs against what napari really takes in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.core.slab import Slab, margins, slab_at, slices_for
from napari_medcnn.core.windows import (
    CT,
    PET,
    Percentiles,
    Window,
    by_level,
    dragged,
    is_window,
    percentiles,
    plain,
    presets,
    window_words,
)

# level - width / 2 and level + width / 2, worked out by hand
CT_BY_HAND = {
    1: ("Soft tissue", -160, 240),  # level 40, width 400
    2: ("Lung", -1350, 150),  # level -600, width 1500
    3: ("Bone", -500, 1300),  # level 400, width 1800
    4: ("Brain", 0, 80),  # level 40, width 80
    5: ("Liver", -45, 105),  # level 30, width 150
    6: ("Mediastinum", -125, 225),  # level 50, width 350
    7: ("Stroke", 20, 60),  # level 40, width 40
}


def limits_of(preset) -> tuple:
    return (preset.name, preset.low, preset.high)


def test_windows_of_ct_by_key() -> None:
    found = presets("HU", (-1024.0, 3071.0))
    assert {number: limits_of(preset) for number, preset in found.items()} == CT_BY_HAND
    assert all(preset.inverted is None for preset in CT), "a window of CT leaves black and white as they are"


def test_further_windows_of_a_ct_have_keys_8_and_9() -> None:
    further = [("empty", 5.0, 5.0), ("ANGIO", 0.0, 700.0), ("turned", 3.0, 2.0), ("PE", -100.0, 600.0),
               ("nan", math.nan, 1.0), ("third", 0.0, 1.0)]  # fmt: skip
    found = presets("HU", (-1024.0, 3071.0), further)
    assert limits_of(found[8]) == ("ANGIO", 0.0, 700.0)
    assert limits_of(found[9]) == ("PE", -100.0, 600.0)
    assert sorted(found) == list(range(1, 10)), "there is no tenth key"


@pytest.mark.parametrize("unit", ["SUVbw", "SUVlbm"])
def test_pet_in_suv_is_dark_on_white_from_zero(unit: str) -> None:
    found = presets(unit, (0.0, 31.0), [("as stored", 0.0, 4.2)])
    assert [(p.low, p.high, p.inverted) for p in list(found.values())[:3]] == [
        (0, 10, True),
        (0, 5, True),
        (0, 20, True),
    ]
    assert limits_of(found[4]) == ("as stored", 0.0, 4.2)
    assert PET[0].high == 10


def test_a_file_without_unit_whose_values_may_be_hu_is_offered_the_windows_of_ct() -> None:
    found = presets("", (-1024.0, 1500.0))
    assert [limits_of(found[number]) for number in range(1, 8)] == list(CT_BY_HAND.values())
    assert (found[8].name, limits_of(found[9])) == ("0.5 to 99.5 %", ("All values", -1024.0, 1500.0))


@pytest.mark.parametrize("unit, modality, whole", [("", "MR", (-1024.0, 1500.0)), ("", "", (-47.0, 833.0)),
                                                   ("", "", (-1000.0, 200.0)), ("Bq/ml", "", (-1024.0, 1500.0)),
                                                   ("", "", (-30000.0, 30000.0))])  # fmt: skip
def test_nothing_else_is_taken_for_ct(unit: str, modality: str, whole: tuple) -> None:
    assert len(presets(unit, whole, (), modality)) == 3


def test_values_without_a_unit_have_percentiles_and_all_values() -> None:
    found = presets("", (-3.0, 500.0), [("file", 1.0, 2.0)])
    one, two, three, four = found.values()
    # 0, 1, ... 1000: the p-th percentile of these is 10 p
    ramp = np.arange(1001.0).reshape(7, 11, 13)
    assert one.limits(ramp, (0, 1)) == pytest.approx((5.0, 995.0))
    assert two.limits(ramp, (0, 1)) == pytest.approx((20.0, 980.0))
    assert limits_of(three) == ("All values", -3.0, 500.0)
    assert limits_of(four) == ("file", 1.0, 2.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_percentiles_of_any_type(dtype) -> None:
    ramp = np.arange(101).astype(dtype)  # the p-th percentile is p
    assert percentiles(ramp, (2, 98)) == pytest.approx((2.0, 98.0))


def test_what_is_not_a_number_has_no_part_in_percentiles() -> None:
    values = np.array([np.nan, np.inf, -np.inf, *np.arange(101.0)])
    assert percentiles(values, (2, 98)) == pytest.approx((2.0, 98.0))


@pytest.mark.parametrize("values", [np.full((3, 4), 7), np.full((3, 4), np.nan), np.zeros((0, 4))])
def test_a_constant_or_empty_scan_has_no_percentiles_but_its_range(values) -> None:
    assert percentiles(values, (2, 98)) is None
    assert Percentiles("p", 2, 98).limits(values, (7.0, 8.0)) == (7.0, 8.0)


def test_level_and_width() -> None:
    assert by_level("x", 10, 5) == Window("x", 7.5, 12.5)


@pytest.mark.parametrize("low, high, holds", [(0, 1, True), (1, 1, False), (2, 1, False), (math.nan, 1, False),
                                              (0, math.inf, False)])  # fmt: skip
def test_is_window(low: float, high: float, holds: bool) -> None:
    assert is_window(low, high) is holds


# ---- dragging ------------------------------------------------------------------------------------------------------

WHOLE = (-1000.0, 3000.0)


def test_a_drag_across_changes_the_width_only() -> None:
    low, high = dragged((-160.0, 240.0), 150.0, 0.0, WHOLE, True)
    assert high - low == pytest.approx(400 * math.e) and (low + high) / 2 == pytest.approx(40.0)


def test_a_drag_down_raises_the_level_by_half_a_width_per_100_px() -> None:
    assert dragged((-160.0, 240.0), 0.0, 100.0, WHOLE, True) == pytest.approx((40.0, 440.0))
    assert dragged((0.0, 80.0), 0.0, -100.0, WHOLE, True) == pytest.approx((-40.0, 40.0))


def test_a_narrow_window_is_set_finely() -> None:
    low, high = dragged((20.0, 60.0), 1.0, 1.0, WHOLE, True)
    assert abs(high - low - 40) < 0.3 and abs((low + high) / 2 - 40) == pytest.approx(0.2)


def test_the_picture_is_never_lost() -> None:
    low, high = dragged((0.0, 400.0), -1e5, 1e5, WHOLE, True)
    assert high - low == pytest.approx(1.0), "whole numbers: one wide at least"
    assert (low + high) / 2 == pytest.approx(3000.0), "the level stays among the values"
    low, high = dragged((0.0, 400.0), 1e9, 0.0, WHOLE, True)
    assert high - low == pytest.approx(4 * 4000.0)


def test_a_constant_scan_and_tiny_values_can_be_dragged() -> None:
    assert dragged((7.0, 8.0), -5.0, 3.0, (7.0, 8.0), True)[0] < dragged((7.0, 8.0), -5.0, 3.0, (7.0, 8.0), True)[1]
    low, high = dragged((0.0, 1e-6), -1e4, 0.0, (0.0, 1e-6), False)
    assert 0 < high - low == pytest.approx(1e-10)


def test_a_window_from_elsewhere_moves_on_from_where_it_is() -> None:
    outside = (9000.0, 9100.0)  # a typed window far above the values
    assert dragged(outside, 0.0, 0.0, WHOLE, True) == pytest.approx(outside)
    low, high = dragged(outside, 0.0, 10.0, WHOLE, True)
    assert (low + high) / 2 == pytest.approx(9050.0), "no further away"
    assert dragged(outside, 0.0, -10.0, WHOLE, True)[0] < 9000.0


limit = st.floats(-1e6, 1e6)


@given(limit, st.floats(1e-3, 1e6), st.floats(-3000, 3000), st.floats(-3000, 3000), limit, st.floats(1.0, 1e6),
       st.booleans())  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_a_drag_always_leaves_a_window(low, width, across, down, start, span, whole_numbers) -> None:
    found = dragged((low, low + width), across, down, (start, start + span), whole_numbers)
    assert is_window(*found)


# ---- numbers as text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, text", [(400, "400"), (-600.0, "-600"), (2.5, "2.5"), (-0.0, "0"), (1e-5, "0.00001"),
                                         (1234567.0, "1234567"), (0.1 + 0.2, "0.3"), (1e9, "1000000000")])  # fmt: skip
def test_numbers_are_plain(value: float, text: str) -> None:
    assert plain(value) == text


def test_words_of_a_window() -> None:
    assert window_words((-160.0, 240.0)) == "W 400 L 40"
    assert window_words((0.0, 10.0), "SUVbw") == "W 10 L 5 SUVbw"


# ---- slabs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thickness, spacing, count", [(10, 5, 2), (10, 2.5, 4), (10, 3, 3), (1, 5, 1), (12.5, 5, 3),
                                                       (0.001, 5, 1), (7, 1, 7)])  # fmt: skip
def test_how_many_slices_make_a_thickness(thickness: float, spacing: float, count: int) -> None:
    assert slices_for(thickness, spacing) == count


@pytest.mark.parametrize("index, count, first, last", [
    (10, 1, 10, 10), (10, 3, 9, 11), (10, 5, 8, 12), (10, 2, 10, 11), (10, 4, 9, 12), (10.3, 3, 9, 11), (9.7, 3, 9, 11),
    (0, 5, 0, 2), (19, 5, 17, 19), (0, 2, 0, 1), (19, 2, 19, 19), (-3, 3, 0, 1), (40, 3, 18, 19), (10, 999, 0, 19),
])  # fmt: skip
def test_which_slices_a_slab_takes_in(index: float, count: int, first: int, last: int) -> None:
    slab = slab_at(index, count, 20, 2.5)
    assert (slab.first, slab.last) == (first, last)
    assert slab.count == last - first + 1 and slab.thickness == pytest.approx(2.5 * slab.count)


def test_margins_reach_from_the_place_to_both_ends() -> None:
    assert margins(10.0, Slab(8, 12, 2.5)) == pytest.approx((5.0, 5.0))
    assert margins(10.2, Slab(9, 11, 1.0)) == pytest.approx((1.2, 0.8))
