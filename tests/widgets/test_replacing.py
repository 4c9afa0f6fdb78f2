"""A second result is written into the layer of the first: no stall, no history of the old mask, no stale voxels."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from tiny_packages import nifti

pytestmark = pytest.mark.gui


def test_second_run_keeps_the_layer_and_forgets_what_was_painted(desk) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    layer, first = desk.dock.layers.mask, desk.dock.layers.mask.data.copy()
    desk.dock.tabs.setCurrentIndex(2)
    x, y = desk.centre()
    desk.key(Qt.Key.Key_2)
    desk.key(Qt.Key.Key_E)
    desk.drag((x - 60, y), (x + 60, y + 20))
    desk.until(lambda: desk.dock.strokes.unsaved == 1)
    assert (layer.data != first).any()
    desk.run("tiny-mask")
    assert desk.dock.layers.mask is layer
    np.testing.assert_array_equal(layer.data, first)
    assert desk.dock.strokes.unsaved == 0 and not desk.dock.strokes.history.can_undo
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    layer.undo()  # napari's own history holds nothing either
    np.testing.assert_array_equal(layer.data, first)
    assert desk.dock.header.saved.text() == "not saved" and desk.dock.ai.result.isVisible()


def test_a_mask_of_another_size_gets_a_layer_of_its_own(desk, tmp_path) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    old = desk.dock.layers.mask
    desk.dock.open_path(nifti(tmp_path / "small.nii.gz", (12, 10, 8)))
    desk.until(lambda: desk.dock.layers.mask is None and not desk.dock.tasks.names())
    desk.run("tiny-mask")
    new = desk.dock.layers.mask
    assert new is not old and new.data.shape == desk.dock.layers.scan.data.shape
    assert [x.name for x in desk.viewer.layers].count("Bright things") == 1
