"""What a model can be asked, how maps are coloured and ranked, and what is said of them: without a window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.results import Provenance
from napari_medcnn.core.saliency import METHODS, Check, SaliencyMap
from napari_medcnn.io.packages import read_package
from napari_medcnn.widgets.why.colours import BOTH, CIVIDIS, INFERNO, Ranks, choices, colours
from napari_medcnn.widgets.why.legend import Legend
from napari_medcnn.widgets.why.wording import (
    FIRST,
    badge_words,
    check_lines,
    in_window,
    is_muted,
    name_of,
    time_words,
    why_not,
)
from tiny_packages import package, segmenter

pytestmark = pytest.mark.gui  # napari's colours are loaded


def a_map(check: Check | None = None, **options) -> SaliencyMap:
    record = Provenance({"name": "m"}, {"target": "ill", **options}, {}, "cpu", {}, "2026-11-21T00:00:00+00:00", {})
    grid = Geometry((1, 2, 2), (1.0, 1.0, 1.0))
    return SaliencyMap(np.zeros((1, 2, 2), np.float32), grid, "grad-cam", "score of ill", "c", 1.0, record, check)


def test_first_level_is_the_three_that_were_agreed() -> None:
    assert [METHODS[name].plain for name in FIRST] == ["Where it looked", "Fine detail", "What if this were gone"]


def test_an_onnx_model_can_only_be_asked_for_answers(tmp_path: Path) -> None:
    keras = read_package(package(tmp_path, segmenter()))
    onnx = replace(keras, weights=Path("network.onnx"), onnx=Path("network.onnx"))
    assert {name for name in METHODS if why_not(keras, name)} == set()
    assert {name for name in METHODS if not why_not(onnx, name)} == {"occlusion"}
    assert why_not(onnx, "grad-cam") == (
        "An ONNX model gives answers only, nothing inside it can be followed; take “What if this were gone”."
    )
    both = replace(keras, onnx=Path("network.onnx"))
    assert not why_not(both, "grad-cam")


def test_a_program_cannot_be_asked() -> None:
    program = CommandModel("mine", "Mine", ("prog", "{input}", "{output}"))
    assert all("a program of its own" in why_not(program, name) for name in METHODS)
    assert why_not(None, "occlusion") == "Choose a model first."


@pytest.mark.parametrize(
    ("badge", "said", "muted"),
    [
        ("depends on the model", "Check: depends on the model", False),
        ("weakly", "Check: depends weakly on the model", True),
        ("no", "Check: no: does not depend on the model", True),
    ],
)
def test_only_a_map_that_depends_on_the_model_is_not_muted(badge, said, muted) -> None:
    made = a_map(Check(badge, "Because."))
    assert (badge_words(made), is_muted(made)) == (said, muted)
    assert badge_words(a_map()) == "Check: not checked" and is_muted(a_map())


def test_words_of_maps_and_checks() -> None:
    assert name_of(a_map()) == "Why: where it looked, ill"
    assert name_of(a_map(negate=True)) == "Why: where it looked, against ill"
    assert name_of(a_map(voxel=(11, 25, 17))) == "Why: where it looked, ill at 17, 25, 11"  # as the readout counts
    check = Check("weakly", "Changed little", energy=0.375, pointing=False, auprc=0.5, prevalence=0.0123)
    assert check_lines(a_map(check)) == [
        "Changed little.",
        "Inside the corrected mask: 38 % of the map (by chance 1.2 %).",
        "Its highest value lies outside the corrected mask.",
        "Precision and recall against it: area 0.50.",
    ]
    assert [time_words(t) for t in (None, 0.4, 3.4, 71.0, 600.0)] == [
        "", "under 1 s", "about 3 s", "about 71 s", "about 10 min"]  # fmt: skip
    assert in_window("or the method integrated-gradients.") == "or the method “Fine detail”."
    assert in_window("the method grad-cam++ and") == "the method “Grad-CAM++” and"


def test_colours_are_clear_at_the_low_end_and_below_what_is_hidden() -> None:
    assert choices(False) == (INFERNO, CIVIDIS) and choices(True)[0] == BOTH
    heat = colours(INFERNO, False)
    assert heat[0, 3] == 0 and heat[-1, 3] == 1 and np.all(np.diff(heat[:, 3]) >= 0)
    half = colours(INFERNO, False, 0.5)
    place = np.linspace(0, 1, len(half))
    assert np.array_equal(half[:, 3] == 0, place < 0.5)
    signed = colours(BOTH, True)
    middle = np.linspace(-1, 1, len(signed))
    assert signed[np.abs(middle).argmin(), 3] < 0.01 and signed[0, 3] == signed[-1, 3] == 1
    assert signed[0, 2] > signed[0, 0] and signed[-1, 0] > signed[-1, 2]  # blue is against, orange is for
    assert np.all(colours(CIVIDIS, True)[middle < 0, 3] == 0)


def test_ranks_by_hand() -> None:
    values = np.array([[[0, 1, 2, 3, 4], [5, 6, 7, 8, -9]]], np.float32)
    plain, signed = Ranks.of(values, False), Ranks.of(values, True)
    assert plain.limits(False) == (0.0, 8.0) and signed.limits(True) == (-9.0, 9.0)
    assert plain.share_above(0.0) == pytest.approx(0.8)  # 0 and the negative one are not above 0
    assert plain.share_above(0.5) == pytest.approx(0.5)  # 4 to 8
    assert signed.hidden_for(0.3) == pytest.approx(7 / 9)
    assert signed.share_above(signed.hidden_for(0.3)) == pytest.approx(0.3)
    assert plain.hidden_for(1.0) == 0.0


def test_an_empty_map_and_one_with_holes() -> None:
    empty = Ranks.of(np.zeros((2, 2, 2), np.float32), True)
    assert empty.empty and empty.limits(True) == (-1.0, 1.0)
    assert empty.share_above(0.5) == 0.0 and empty.hidden_for(0.5) == 0.0
    holes = Ranks.of(np.array([[[np.nan, np.inf, 2.0]]], np.float32), False)
    assert holes.largest == 2.0 and not holes.empty


def test_the_ends_of_the_legend_say_for_and_against_the_class_that_was_asked() -> None:
    assert Legend("t", "c", True, 0.0, 0.5).ends == ("against (-0.5)", "for (0.5)")
    assert Legend("t", "c", True, 0.0, 0.5, negated=True).ends == ("for (-0.5)", "against (0.5)")
    assert Legend("t", "c", False, 0.0, 0.5, negated=True).ends == ("none (0)", "most (0.5)")
