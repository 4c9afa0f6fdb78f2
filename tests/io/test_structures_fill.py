"""Which voxel centres lie inside contours: by hand, against scikit-image, and by the formula of a circle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from napari_medcnn.io.dicom.masks.structures_fill import inside
from structure_files import square

# --- which pixels are inside -----------------------------------------------------------------------------------------


def test_a_rectangle_holds_the_centres_within() -> None:
    mask = inside([np.array([[0.5, 1.5], [0.5, 4.5], [2.5, 4.5], [2.5, 1.5]])], (4, 6))
    expected = np.zeros((4, 6), bool)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_centre_on_the_border_belongs_to_the_larger_side() -> None:
    # corners on the centres (1, 1) and (3, 3): rows and columns 1 and 2 are in, 3 is not: area 4 = (3 - 1)^2
    expected = np.zeros((5, 5), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(inside([square(1, 3)], (5, 5)), expected)


def test_a_triangle_by_hand() -> None:
    # corners (0, 0), (0, 4), (4, 0) as (y, x): row y holds 0 <= x < 4 - y
    mask = inside([np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]])], (5, 5))
    assert [int(row.sum()) for row in mask] == [4, 3, 2, 1, 0]
    assert mask[1].tolist() == [True, True, True, False, False]


def test_a_curve_within_another_is_a_hole_and_equal_curves_cancel() -> None:
    ring = inside([square(0.5, 6.5), square(2.5, 4.5)], (8, 8))
    assert int(ring.sum()) == 36 - 4 and not ring[3, 3] and not ring[4, 4] and ring[1, 1]
    assert not inside([square(0.5, 6.5), square(0.5, 6.5)], (8, 8)).any()


def test_a_keyhole_is_a_hole() -> None:
    # one curve: around the outside, along a bridge, backwards around the hole, and back along the same bridge
    keyhole = np.array(
        [[0.5, 0.5], [0.5, 6.5], [6.5, 6.5], [6.5, 0.5], [3.2, 0.5],
         [3.2, 2.5], [4.5, 2.5], [4.5, 4.5], [2.5, 4.5], [2.5, 2.5], [3.2, 2.5], [3.2, 0.5]]
    )  # fmt: skip
    np.testing.assert_array_equal(inside([keyhole], (8, 8)), inside([square(0.5, 6.5), square(2.5, 4.5)], (8, 8)))


def test_a_curve_may_leave_the_picture_and_have_too_few_corners() -> None:
    assert inside([square(-1e12, 1e12)], (3, 4)).all()
    assert not inside([square(10, 20)], (3, 4)).any()
    assert not inside([np.zeros((2, 2)), np.zeros((0, 2))], (3, 4)).any()


corner = st.tuples(st.floats(-3, 17, allow_nan=False), st.floats(-3, 19, allow_nan=False))


@settings(max_examples=150, deadline=None)
@given(st.lists(corner, min_size=3, max_size=9))
def test_equals_scikit_image_where_no_centre_is_on_a_border(corners: list[tuple[float, float]]) -> None:
    # thousandths plus an odd offset: no corner, and next to no edge, meets a pixel centre
    curve = np.round(np.array(corners), 3) + [0.00037, 0.00041]
    mask, theirs = inside([curve], (14, 16)), polygon2mask((14, 16), curve)
    end = np.roll(curve, -1, axis=0)
    for y, x in np.argwhere(mask != theirs):
        # they may differ only at a centre that lies on an edge, within rounding
        cross = (end - curve)[:, 0] * (x - curve[:, 1]) - (end - curve)[:, 1] * (y - curve[:, 0])
        length = np.linalg.norm(end - curve, axis=1)
        assert (np.abs(cross) <= 2e-6 * np.maximum(length, 1.0)).any()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), min_size=3, max_size=3, unique=True),
    st.tuples(st.integers(0, 24), st.integers(0, 24)),
)
def test_regions_that_share_borders_share_no_pixel_and_leave_none_out(
    corners: list[tuple[int, int]], middle: tuple[int, int]
) -> None:
    # half-pixel corners put many centres exactly on borders; a triangle cut in three by any point of the plane
    a, b, c = (np.array(p) / 2 for p in corners)
    m = np.array(middle) / 2
    whole = inside([np.array([a, b, c])], (13, 13))
    pieces = [inside([np.array(t)], (13, 13)).astype(int) for t in ((a, b, m), (b, c, m), (c, a, m))]
    np.testing.assert_array_equal(sum(pieces) & 1, whole)


@pytest.mark.parametrize("radius", [3.3, 8.0, 11.7])
def test_a_circle_has_the_area_of_its_formula(radius: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    curve = np.column_stack([12.3 + radius * np.sin(angle), 13.1 + radius * np.cos(angle)])
    area = int(inside([curve], (26, 28)).sum())
    # each pixel row errs by less than a pixel at either end; so does any scan line over a convex curve
    assert abs(area - np.pi * radius**2) < 2 * np.ceil(2 * radius)
    assert abs(area - np.pi * radius**2) < 0.06 * np.pi * radius**2
