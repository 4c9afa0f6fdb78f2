"""The AI tab with the real engine and the model that is shipped, in one window: map, region, engine in words."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from napari_medcnn.widgets import dock as dock_module
from napari_medcnn.widgets.engine_link import Preferences

pytestmark = [
    pytest.mark.gui,
    pytest.mark.own_window,
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="the engine is not installed"),
]


def test_the_shipped_model_inside_a_region_with_a_map_of_doubt(make_napari_viewer_proxy, desk_of, monkeypatch) -> None:
    monkeypatch.setattr(dock_module, "read_preferences", lambda: Preferences(device="cpu"))
    desk = desk_of(None)
    desk.open("fundus")
    desk.dock.tabs.setCurrentIndex(1)
    desk.until(lambda: desk.dock.ai.choose("retina-vessels") and desk.dock.ai.run.isEnabled())
    options = desk.dock.ai.options
    desk.click(options.fold)
    options.doubt.setCurrentIndex(options.doubt.findData("entropy"))
    desk.click(options.draw)
    x, y = desk.centre()
    desk.drag((x - 80, y - 60), (x + 60, y + 70))
    desk.until(lambda: desk.dock.ai.run.isEnabled() and "px" in options.region_words.text())
    (y0, y1), (x0, x1) = desk.dock.running.choices.region().shown[1:]
    desk.click(desk.dock.ai.run)
    desk.until(lambda: not desk.dock.tasks.names(), 120)
    assert desk.dock.ai.error.text() == ""
    mask = desk.dock.layers.mask.data
    inside = np.zeros(mask.shape, bool)
    inside[y0:y1, x0:x1] = True
    assert 0.01 < np.count_nonzero(mask[inside]) / inside.sum() < 0.5 and not mask[~inside].any()
    doubt = next(layer for layer in desk.viewer.layers if layer.name == "Uncertainty")
    assert doubt.visible and doubt.data[inside].max() > 200
    assert desk.dock.ai.result.made.text().startswith("CPU, ")
