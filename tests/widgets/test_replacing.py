"""A second result is written into the layer of the first, as a step: no stall, no stale voxels, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from tiny_packages import nifti

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier


def test_second_run_is_a_step_that_brings_the_corrections_back(desk) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    session, strokes = desk.dock.session, desk.dock.strokes
    layer, first = desk.dock.layers.mask, desk.dock.layers.mask.data.copy()
    desk.dock.tabs.setCurrentIndex(2)
    x, y = desk.centre()
    desk.key(Qt.Key.Key_2)
    desk.key(Qt.Key.Key_E)
    desk.drag((x - 60, y), (x + 60, y + 20))
    desk.until(lambda: strokes.unsaved == 1)
    corrected = layer.data.copy()
    assert (corrected != first).any()
    session.rename_class(2, "mine")
    labels, run_before, journal = session.labels, session.request, session._journal
    desk.run("tiny-mask")
    assert desk.dock.layers.mask is layer and desk.viewer.layers.index(layer) >= 0
    np.testing.assert_array_equal(layer.data, first)
    assert strokes.history.names == ("Eraser", f"Class renamed: {first_name(session, 2)} to mine", "Model: tiny-mask")
    assert session._journal is journal and session.request is not run_before and not session.corrected
    assert len(session.result.mask.labels) and session.labels == session.result.mask.labels
    assert desk.dock.header.saved.text() == "not saved" and desk.dock.ai.result.isVisible()
    layer.undo()  # napari's own history holds nothing
    np.testing.assert_array_equal(layer.data, first)
    desk.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(layer.data, corrected)
    assert session.labels == labels and session.request is run_before and session.corrected
    desk.key(Qt.Key.Key_Y, CTRL)
    np.testing.assert_array_equal(layer.data, first)
    assert session.labels.names == session.result.mask.labels.names and session.request is not run_before
    for _ in range(3):
        desk.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(layer.data, first)
    assert session.labels.names == session.result.mask.labels.names and not strokes.history.can_undo


def first_name(session, label_id: int) -> str:
    """Return what the model calls a class."""
    return session.result.mask.labels.name_of(label_id)


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
