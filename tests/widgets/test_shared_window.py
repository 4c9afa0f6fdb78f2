"""The window that tests share: whatever is left behind is noticed, and hands put back what hands can change."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

pytestmark = pytest.mark.gui


@pytest.fixture
def desk(shared_desk):
    return shared_desk


def test_after_much_use_it_is_as_new_again(desk, shared_window) -> None:
    window = shared_window.opened
    desk.open("phantom")
    desk.four()
    desk.empty_mask()
    desk.drag(desk.centre(), (desk.centre()[0] + 30, desk.centre()[1]))
    assert desk.dock.layers.mask.data.any()
    desk.mouse(desk.PRESS, desk.centre(), Qt.MouseButton.RightButton, Qt.MouseButton.RightButton)
    desk.viewer.add_image(np.zeros((4, 5, 6), np.float32), name="of another")
    desk.click(desk.dock.header.names)
    assert len(shared_window.left(0.0)) > 20
    shared_window.put_back()
    assert shared_window.left() == {} and shared_window.opened == window


def test_what_is_left_is_noticed(desk, shared_window) -> None:
    dock, viewer = desk.dock, desk.viewer
    assert shared_window.left() == {}
    for leave, undo in (
        (lambda: setattr(dock.session, "more", 1), lambda: delattr(dock.session, "more")),
        (lambda: setattr(dock.views, "opens_four", True), lambda: setattr(dock.views, "opens_four", False)),
        (lambda: dock.tabs.setCurrentIndex(2), lambda: dock.tabs.setCurrentIndex(0)),
        (lambda: dock.say("A line"), lambda: dock.say("")),
        (lambda: viewer.mouse_drag_callbacks.append(print), lambda: viewer.mouse_drag_callbacks.remove(print)),
        (lambda: viewer.dims.events.point.connect(_heard), lambda: viewer.dims.events.point.disconnect(_heard)),
        (lambda: desk.qt_window.resize(900, 700), lambda: desk.qt_window.resize(*desk.SIZE)),
    ):
        leave()
        desk.idle(0.02)
        assert shared_window.left(0.0) != {}
        undo()
        assert shared_window.left() == {}


def _heard(_event: object) -> None:
    """Somebody who listens for ever."""
