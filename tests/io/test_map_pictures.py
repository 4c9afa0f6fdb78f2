"""Pictures and pages of maps: the right slice, the right way up, muted unless checked, nothing of a patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.results import Provenance
from napari_medcnn.core.saliency import CAUTION, Check, Curve, Randomised, SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.map_page import map_page
from napari_medcnn.io.map_pictures import largest, map_picture, scan_picture, side_words, slice_of

SHAPE = (5, 20, 30)
CURVE = Curve((0.0, 0.5, 1.0), (0.0, 0.9, 1.0), (0.0, 0.5, 1.0), 0.7, 0.5)
CHECK = Check("depends on the model", "It changes.", (Randomised("conv", 0.1, 0.2),), CURVE, CURVE, None, 0.4, True)


def case(method: str = "grad-cam", at: tuple[int, int, int] = (3, 4, 25), value: float = 2.0) -> tuple:
    """Return a map with one value, and a flat scan: voxels twice as high as wide."""
    grid = Geometry(SHAPE, (3.0, 2.0, 1.0))
    values = np.zeros(SHAPE, np.float32)
    values[at] = value
    record = Provenance({"name": "m<b>"}, {"frame": 0}, {}, "cpu", {"sha256": "00"}, "2026-01-01")
    made = SaliencyMap(values, grid, method, "score of <one>", "conv", 1.5, record)
    scan = Volume(np.full(SHAPE, 7, np.int16), grid, name="CT 5", window=(0, 14))
    return made, scan


def test_the_slice_is_that_of_the_largest_value_in_display_order() -> None:
    """The identity direction runs to Superior, the display to Inferior: slice 3 of 0..4 is the second from the top."""
    made, scan = case()
    part = slice_of(made, scan)
    assert (part.number, part.count) == (2, 5)
    assert np.argwhere(part.values).tolist() == [[4, 25]]
    assert part.size == (480, 360)  # 20 x 2 mm high, 30 x 1 mm wide


def test_what_spoke_against_is_found_only_where_the_method_has_a_sign() -> None:
    signed, scan = case("occlusion", value=-2.0)
    plain, _ = case("grad-cam", value=-2.0)
    assert slice_of(signed, scan).number == 2 and slice_of(plain, scan).number == 3  # else the middle one
    assert largest(signed) == 2.0 and largest(plain) == 1.0


def test_the_value_is_coloured_where_it_lies_and_the_rest_is_the_scan() -> None:
    made, scan = case()
    checked = replace(made, check=CHECK)
    part = slice_of(checked, scan)
    picture = map_picture(part, checked)
    above = picture[: part.size[0]].astype(int)
    coloured = np.abs(above - 128).max(axis=-1) > 3
    rows, columns = np.nonzero(coloured)
    assert (rows.min(), rows.max()) == (4 * 24, 5 * 24 - 1) and (columns.min(), columns.max()) == (25 * 12, 26 * 12 - 1)
    assert picture.shape[0] > part.size[0] and picture.shape[1] == part.size[1]


def test_unchecked_and_failing_maps_are_muted() -> None:
    made, scan = case()
    part = slice_of(made, scan)

    def strength(one: SaliencyMap) -> float:
        return float(np.abs(map_picture(part, one)[100, 305].astype(float) - 128).sum())

    full = strength(replace(made, check=CHECK))
    for other in (
        made,
        replace(made, check=replace(CHECK, badge="no")),
        replace(made, check=replace(CHECK, badge="weakly")),
    ):
        assert strength(other) == pytest.approx(full / 2, abs=3)


def test_colours_of_a_photograph_are_taken_off_below_the_map_alone() -> None:
    made, _ = case()
    photograph = Volume(np.broadcast_to(np.array([200, 50, 20], np.uint8), (*SHAPE, 3)), made.geometry, "zyxc")
    part = slice_of(made, photograph)
    assert scan_picture(part)[0, 0].tolist() == [200, 50, 20]
    assert map_picture(part, made)[0, 0].tolist() == [90, 90, 90]


def test_page_escapes_words_and_shows_check_and_mask() -> None:
    made, scan = case()
    mask = LabelMap((made.values > 0).astype(np.uint8), made.geometry, LabelSet.from_names(("one",)))
    page = map_page(replace(made, check=CHECK), scan, mask)
    assert "<one>" not in page and "&lt;one&gt;" in page and "m&lt;b&gt;" in page
    assert page.count("<img") == 3 and page.count("<svg") == 2
    for words in (CAUTION, "Check: depends on the model", "It changes.", "0.10", "area 0.7", "Largest value inside"):
        assert words in page
    assert "CT 5" not in page and "CT 5" in map_page(made, scan, name="CT 5")
    assert "Nobody checked" in map_page(made, scan)


def test_asked_what_spoke_against_the_ends_of_the_legend_say_what_they_did_to_the_class() -> None:
    made, scan = case("occlusion")
    turned = replace(made, provenance=replace(made.provenance, options={"frame": 0, "negate": True}))
    assert side_words(made) == ("spoke against", "spoke for")
    assert side_words(turned) == ("spoke for", "spoke against")  # values above 0 lowered the score of the class
    part = slice_of(made, scan)
    assert not np.array_equal(map_picture(part, made), map_picture(part, turned))
