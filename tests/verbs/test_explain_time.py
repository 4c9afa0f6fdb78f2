"""What a question takes, from a card and the grid of a scan: counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_medcnn.core.explain_time import Passes, check_passes, forecast
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import ExplainOptions, PredictOptions, to_json
from napari_medcnn.core.results import Classification, Provenance
from napari_medcnn.core.saliency import METHODS, Pace
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.verbs.explain_time import expected, expected_by_method, extent_of, pace_of

LABELS = LabelSet.from_names(("one", "two"))
SEGMENTER = ModelSpec(
    name="m", title="M", task="segmentation", preparation=Preparation(3, 1), labels=LABELS,
    decision=Decision((1, 2), True), activation="softmax", tile=(16, 32, 32),
)  # fmt: skip
CLASSIFIER = replace(SEGMENTER, task="classification", tile=(), preparation=Preparation(2, 1))
GRID = Geometry((40, 64, 64), (2.0, 1.0, 1.0))
BOX = ((0, 40), (20, 30), (40, 50))


def test_a_region_takes_the_windows_that_hold_it() -> None:
    found = extent_of(SEGMENTER, GRID, ExplainOptions(), BOX)
    # 40 slices in windows of 16 that count 8 each: 5; 10 rows and columns fit into one window
    assert (found.along, found.size, found.search) == ((5, 1, 1), (16, 32, 32), 0)
    assert found.box == (40, 32, 32) and found.spacing_mm == (2.0, 1.0, 1.0)
    # the model's own search: 4 x 3 x 3 windows half over each other (0, 8, 16, 24; 0, 16, 32 along rows and columns)
    assert extent_of(SEGMENTER, GRID, ExplainOptions(), BOX, searched=True).search == 36


def test_a_classifier_of_slices_sees_every_slice() -> None:
    found = extent_of(CLASSIFIER, GRID, ExplainOptions())
    assert (found.along, found.size, found.flat) == ((40, 1, 1), (1, 64, 64), True)


def test_seconds_of_methods_and_of_a_check() -> None:
    pace, extent = Pace(0.1, 0.3, start=2.0), extent_of(SEGMENTER, GRID, ExplainOptions(), BOX)
    told = expected_by_method(ExplainOptions(steps=8), extent, pace, asked=frozenset({"gradient"}))
    assert set(told) == set(METHODS)
    assert told["gradient"] == pytest.approx(5 * 0.3)  # traced before
    assert told["integrated-gradients"] == pytest.approx(2 + 10 * 0.1 + 40 * 0.3)
    assert expected(ExplainOptions("smoothgrad"), extent, pace) == pytest.approx(2 + 100 * 0.3)
    # a region is checked in one window: 8 maps of one gradient, 62 scores
    one, five = (forecast(check_passes(Passes(0, n), "gradient", n), pace) for n in (1, 5))
    assert one == pytest.approx(2 + 8 * 0.3 + 62 * 0.1)
    assert five == pytest.approx(2 + 40 * 0.3 + 310 * 0.1)


@pytest.mark.parametrize(("options", "pace"), [({}, 0.25), ({"flips": True}, 0.125), ({"coarse": True}, None)])
def test_the_pace_of_a_prediction(options: dict, pace: float | None) -> None:
    spec = replace(CLASSIFIER, symmetric=(2,))
    record = Provenance({}, to_json(PredictOptions(**options)), {}, "CPU", {}, "", {"load": 5.0, "forward": 10.0})
    found = pace_of(Classification({}, (), record), GRID, spec)  # 40 slices in 10 s
    assert found == (None if pace is None else Pace(pace, 2 * pace))
    timed = replace(record, seconds={"forward": 10.0, "window": 0.5, "start": 1.5})
    assert pace_of(Classification({}, (), timed), GRID, spec) == Pace(0.5, 1.0, start=3.0)
