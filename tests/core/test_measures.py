"""Lengths and angles against closed forms, on voxels that are no cubes; what is unknown is never mm."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.measures import (
    ANGLE,
    BALL,
    COBB,
    LENGTH,
    RECTANGLE,
    Measure,
    angle_deg,
    length,
    next_name,
    sides,
)
from napari_medcnn.core.ruler import AT_DETECTOR, SET_BY_YOU, SQUARE_PIXELS, Ruler, SetScale, can_set_scale
from napari_medcnn.errors import InputError

#: 2.5 mm slices, 0.5 x 0.8 mm pixels, turned and flipped: nothing of it may change a length.
TURNED = np.array([[0.0, 0.6, 0.8], [-1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
CRATE = Geometry((20, 30, 40), (2.5, 0.5, 0.8), (7.0, -3.0, 11.0), TURNED)
PICTURE = Geometry.picture(30, 40)


def test_a_length_is_that_between_the_places_in_the_patient() -> None:
    ruler = Ruler.of(CRATE)
    # 3 slices of 2.5, 8 rows of 0.5, 5 columns of 0.8 mm: sqrt(7.5^2 + 4^2 + 4^2)
    measure = Measure(LENGTH, ((1, 2, 3), (4, 10, 8)), 0)
    assert length(measure, ruler) == pytest.approx(math.sqrt(7.5**2 + 4**2 + 4**2), rel=1e-12)
    ends = CRATE.index_to_lps(np.array(measure.points))
    assert length(measure, ruler) == pytest.approx(np.linalg.norm(ends[1] - ends[0]), rel=1e-9)
    assert (ruler.unit, ruler.note, ruler.has_volumes) == ("mm", "", True)


def test_a_rectangle_of_three_by_four_mm_has_the_angle_of_its_diagonal() -> None:
    ruler = Ruler.of(CRATE)
    # from the corner: 4 mm along columns (5 x 0.8), and to (3 mm down, 4 mm across): tan = 3 / 4
    measure = Measure(ANGLE, ((0, 0, 5), (0, 0, 0), (0, 6, 5)), 0)
    assert angle_deg(measure, ruler) == pytest.approx(math.degrees(math.atan2(3, 4)), abs=1e-9)
    upright = Measure(ANGLE, ((0, 0, 5), (0, 0, 0), (0, 6, 0)), 0)
    assert angle_deg(upright, ruler) == pytest.approx(90)
    straight = Measure(ANGLE, ((0, 0, -5), (0, 0, 0), (0, 0, 7)), 0)
    assert angle_deg(straight, ruler) == pytest.approx(180)


def test_angles_of_nearly_nothing_keep_their_digits() -> None:
    tiny = Measure(ANGLE, ((0, 0, 10), (0, 0, 0), (0, 1e-7, 10)), 0)
    assert angle_deg(tiny, Ruler((1, 1, 1), "mm")) == pytest.approx(math.degrees(1e-8), rel=1e-6)


def test_a_side_of_no_length_has_no_angle() -> None:
    assert angle_deg(Measure(ANGLE, ((0, 1, 1), (0, 1, 1), (0, 2, 5)), 0), Ruler.of(CRATE)) is None


def test_cobb_is_between_two_lines_wherever_they_lie_and_whichever_way_they_were_drawn() -> None:
    ruler = Ruler((1.0, 2.0, 1.0), "mm")
    # the first line is level, the second falls 2 mm (one row) over 2 mm: 45 degrees
    there = Measure(COBB, ((0, 3, 1), (0, 3, 9), (0, 20, 5), (0, 21, 7)), 0)
    back = Measure(COBB, ((0, 3, 1), (0, 3, 9), (0, 21, 7), (0, 20, 5)), 0)
    assert angle_deg(there, ruler) == pytest.approx(45) and angle_deg(back, ruler) == pytest.approx(45)


def test_unknown_sizes_are_pixels_and_said_to_be_square() -> None:
    ruler = Ruler.of(PICTURE)
    assert (ruler.unit, ruler.note, ruler.has_volumes) == ("px", SQUARE_PIXELS, False)
    assert length(Measure(LENGTH, ((0, 0, 0), (0, 3, 4)), 0), ruler) == 5.0


def test_the_detector_s_size_is_marked() -> None:
    ruler = Ruler.of(PICTURE, (0.2, 0.1))
    assert (ruler.unit, ruler.note) == ("mm", AT_DETECTOR)
    assert length(Measure(LENGTH, ((0, 0, 0), (0, 3, 8)), 0), ruler) == pytest.approx(1.0)


def test_a_scale_set_by_hand_is_marked_and_never_beats_a_stated_size() -> None:
    scale = SetScale(known_mm=50.0, drawn=200.0)
    ruler = Ruler.of(PICTURE, None, scale)
    assert (ruler.unit, ruler.note) == ("mm", SET_BY_YOU)
    assert length(Measure(LENGTH, ((0, 0, 0), (0, 0, 200)), 0), ruler) == pytest.approx(50.0)
    stated = Ruler.of(CRATE, None, scale)
    assert stated.spacing == CRATE.spacing_mm and stated.note == ""


def test_a_scale_over_the_detector_s_keeps_its_aspect() -> None:
    # a disc of 10 mm that measures 12.5 mm at the detector: all is magnified by 1.25
    ruler = Ruler.of(PICTURE, (0.2, 0.1), SetScale(10.0, 12.5))
    assert ruler.spacing == pytest.approx((1.0, 0.16, 0.08)) and ruler.note == SET_BY_YOU


def test_one_line_cannot_give_a_volume_its_scale() -> None:
    unknown = Geometry((5, 8, 8), spacing_known=False)
    assert not can_set_scale(unknown) and not can_set_scale(CRATE) and can_set_scale(PICTURE)
    assert Ruler.of(unknown, None, SetScale(5.0, 1.0)).unit == "px"


@pytest.mark.parametrize(("known", "drawn"), [(0, 3), (-1, 3), (5, 0), (float("nan"), 3), (5, float("inf"))])
def test_a_scale_of_nothing_is_refused(known: float, drawn: float) -> None:
    with pytest.raises(InputError, match="expected a length above 0"):
        SetScale(known, drawn)


def test_sides_of_a_region_follow_its_plane() -> None:
    ruler = Ruler.of(CRATE)
    assert sides(Measure(RECTANGLE, ((4, 2, 3), (4, 8, 13)), 0), ruler) == pytest.approx((8.0, 3.0))
    assert sides(Measure(RECTANGLE, ((2, 4, 3), (6, 4, 13)), 1), ruler) == pytest.approx((8.0, 10.0))
    assert sides(Measure(RECTANGLE, ((2, 3, 4), (6, 13, 4)), 2), ruler) == pytest.approx((5.0, 10.0))


def test_centre_is_where_to_look() -> None:
    assert Measure(LENGTH, ((1, 2, 3), (3, 6, 9)), 0).centre == (2, 4, 6)
    assert Measure(BALL, ((1, 2, 3), (1, 2, 9)), 0).centre == (1, 2, 3)


numbers = st.floats(-1e6, 1e6)
points = st.tuples(numbers, numbers, numbers)


@given(st.tuples(points, points), st.integers(0, 2), st.integers(0, 99), st.text())
def test_json_brings_back_every_bit(ends: tuple, axis: int, frame: int, name: str) -> None:
    measure = Measure(LENGTH, ends, axis, frame, name)
    assert Measure.from_json(json.loads(json.dumps(measure.to_json()))) == measure


def test_json_of_a_scale() -> None:
    scale = SetScale(50.0, 123.456, "2026-11-21T12:00:00+00:00")
    assert SetScale.from_json(json.loads(json.dumps(scale.to_json()))) == scale
    with pytest.raises(InputError):
        SetScale.from_json({"known_mm": 4})


@pytest.mark.parametrize(
    "what",
    [
        {"kind": "area"},
        {"points": ((0, 0, 0),)},
        {"points": ((0, 0), (1, 1))},
        {"points": ((0, 0, 0), (0, 0, float("nan")))},
        {"axis": 3},
        {"frame": -1},
    ],
)
def test_what_is_no_measure_is_refused(what: dict) -> None:
    with pytest.raises(InputError):
        Measure(**{"kind": LENGTH, "points": ((0, 0, 0), (0, 0, 1)), "axis": 0, **what})


@pytest.mark.parametrize("broken", [{}, {"kind": "length", "points": 3}, {"kind": "length", "points": [[0, 0, "a"]]}])
def test_what_is_no_record_is_refused(broken: dict) -> None:
    with pytest.raises(InputError):
        Measure.from_json({"axis": 0, "frame": 0, "name": "", "id": "a", **broken})


def test_changes_make_another_of_the_same_id() -> None:
    measure = Measure(LENGTH, ((0, 0, 0), (0, 0, 1)), 0, name="a")
    shifted = measure.moved((1, 2, 3)).with_point(0, (9, 9, 9))
    assert shifted.points == ((9, 9, 9), (1, 2, 4)) and shifted.id == measure.id and measure.points[0] == (0, 0, 0)


def test_names_count_on() -> None:
    one = Measure(LENGTH, ((0, 0, 0), (0, 0, 1)), 0, name="Length 3")
    assert next_name(LENGTH, [one]) == "Length 4" and next_name(ANGLE, [one]) == "Angle 1"
