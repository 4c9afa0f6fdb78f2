"""What is said before a question is what the engine then does: windows and passes are counted on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from engine_cases import FakeContext
from napari_medcnn.core.explain_time import Passes, map_passes
from napari_medcnn.core.saliency import Pace
from napari_medcnn.engine.saliency.clock import Clock, Lap
from napari_medcnn.engine.saliency.focus import one_window
from napari_medcnn.verbs.explain_time import extent_of
from saliency_cases import explained, gap_classifier, noise, question, scan_of, segmenter, spec_of

METHODS = ("grad-cam", "gradient", "eigen-cam", "smoothgrad", "integrated-gradients", "occlusion")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_classifier_takes_the_passes_that_were_counted(method: str, dimensions: int) -> None:
    scan, spec = scan_of(noise((4, 8, 6))), spec_of(dimensions, "classification")
    asked = question(gap_classifier(dimensions), scan, spec, method=method, steps=4, samples=3)
    asked.copied = True  # Integrated Gradients keep their steps
    asked.saliency()
    assert asked.clock.passes == map_passes(asked.options, extent_of(spec, scan.geometry, asked.options))


@pytest.mark.parametrize("method", [m for m in METHODS if m != "occlusion"])  # of several windows: about
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_region_in_several_windows_takes_the_passes_that_were_counted(method: str, dimensions: int) -> None:
    scan, spec = scan_of(noise((6, 40, 24))), spec_of(dimensions, "segmentation")
    region = np.zeros(scan.geometry.shape, bool)
    region[2:4, 3:37, 10:14] = True
    asked = question(segmenter(dimensions), scan, spec, region, method=method, steps=4, samples=3)
    asked.copied = True
    asked.saliency()
    extent = extent_of(spec, scan.geometry, asked.options, ((2, 4), (3, 37), (10, 14)))
    assert extent.windows == len(asked.views.views) > 2
    assert asked.clock.passes == map_passes(asked.options, extent)


def test_the_clock_keeps_tracing_apart() -> None:
    clock = Clock()
    clock.add(True, 4, Lap(7.0, 4), fresh=True)
    assert clock.pace == Pace(1.75 / 2, 1.75)  # nothing better is known
    clock.add(True, 2, Lap(2.0, 4), fresh=False)
    assert clock.pace == Pace(0.5 / 2, 0.5, start=5.0)  # 7 s less 4 windows of 0.5 s
    clock.add(False, 1, Lap(0.2, 1), fresh=False)
    assert clock.pace == Pace(0.2, 0.5, start=5.0)
    assert clock.passes == Passes(1, 6)


def test_it_is_said_once_how_long_a_map_takes() -> None:
    context = FakeContext()
    spec = spec_of(2, "classification")
    _, reply = explained(
        gap_classifier(2), scan_of(noise((1, 8, 6))), spec, context=context, method="smoothgrad", samples=40
    )
    assert len(context.expected) == 1 and 0 < context.expected[0] < 60
    assert set(reply["pace"]) == {"answer", "gradient", "start"}


def test_a_check_looks_at_the_window_that_holds_most() -> None:
    scan, spec = scan_of(noise((1, 40, 24))), spec_of(2, "segmentation")
    region = np.zeros(scan.geometry.shape, bool)
    region[0, 2:38, 10] = True
    region[0, 20:23, 9:12] = True  # six more around line 21
    asked = question(segmenter(2), scan, spec, region, method="gradient")
    part = one_window(asked)
    assert len(part.views.views) == 1 and part.data.shape == (1, 8, 8, 1)
    (view,) = part.views.views
    # the score of the part is the sum over its own voxels of the network's answer there: nothing else is summed
    assert view.weights.sum() == part.region.sum() > 8
    whole = next(v for v in asked.views.views if np.array_equal(asked.data[v.inside], part.data))
    assert np.array_equal(part.region[view.inside], asked.region[whole.inside])
    assert one_window(part) is part
