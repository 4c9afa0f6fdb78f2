"""Undo and redo in 2x2: every view goes to the place of the stroke, not only the one it was painted in."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

pytestmark = pytest.mark.gui
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def test_all_linked_views_show_the_stroke_that_is_undone(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    panes = desk.four()[:3]
    views, mask = desk.dock.views, desk.dock.layers.mask
    x, y = desk.centre()
    desk.drag((x + 25, y - 15), (x + 35, y - 15))
    painted = np.argwhere(np.asarray(mask.data))
    low, high = painted.min(axis=0), painted.max(axis=0)
    assert len(painted) > 5

    def shown() -> list[int]:
        """Return the display slice that each view shows."""
        return [round(float(views.grid.index_of(p.viewer.dims.point)[p.axis])) for p in panes]

    corner = tuple(float(at) for at in views.grid.world_of_index((2, 3, 4)))
    for modifiers in (CTRL, CTRL | SHIFT):
        views.go_to(corner)
        desk.idle(0.1)
        assert shown() == [(2, 3, 4)[pane.axis] for pane in panes]
        desk.key(Qt.Key.Key_Z, modifiers)
        for pane, at in zip(panes, shown(), strict=True):
            assert low[pane.axis] <= at <= high[pane.axis], (pane.name, at, low, high)
        np.testing.assert_allclose(
            views.place, [p.viewer.dims.point[p.axis] for p in sorted(panes, key=lambda p: p.axis)]
        )
    assert np.count_nonzero(mask.data) == len(painted)
