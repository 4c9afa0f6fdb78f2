"""Merging and deleting a class look through the whole mask: in a thread, with Cancel, and never over newer work."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_medcnn.annotation import class_steps
from napari_medcnn.widgets.class_state import CHANGING

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def bench(desk):
    """The phantom with classes 1 to 3; 100 voxels of class 2, 50 of class 3."""
    desk.open("phantom")
    desk.empty_mask()
    for name in ("lesion", "vessel"):
        desk.dock.session.add_class(name)
    for box, label in ((np.s_[5:7, 10:20, 10:15], 2), (np.s_[9:10, 10:20, 10:15], 3)):
        shape = desk.dock.layers.mask.data[box].shape
        desk.dock.strokes.change("Test", box, np.full(shape, label, np.uint8))
    return desk


@pytest.fixture
def held(monkeypatch) -> Any:
    """The search for voxels stands still until it is let go; who does it is kept."""

    class Held:
        go, threads = threading.Event(), []

        def instead(self, real: Any) -> Any:
            def made(*given: Any) -> Any:
                self.threads.append(threading.current_thread())
                assert self.go.wait(60)
                return real(*given)

            return made

    held = Held()
    for name in ("merge", "delete"):
        monkeypatch.setattr(class_steps, name, held.instead(getattr(class_steps, name)))
    yield held
    held.go.set()


def asked(bench: Any, act: Any) -> np.ndarray:
    """Ask for a change, and return the mask once the work stands still; the header offers Cancel."""
    before = bench.dock.layers.mask.data.copy()
    act()
    bench.until(lambda: bench.dock.tasks.names() == (CHANGING,) and bench.dock.header.cancel.isVisible())
    np.testing.assert_array_equal(bench.dock.layers.mask.data, before)
    return before


def done(bench: Any) -> str:
    bench.until(lambda: not bench.dock.tasks.names())
    return bench.dock.message.text()


def test_the_window_does_not_look_for_the_voxels_and_can_be_cancelled(bench, held) -> None:
    session, strokes = bench.dock.session, bench.dock.strokes
    before = asked(bench, lambda: session.merge_class(2, 3))
    session.delete_class(3)
    assert "being changed already" in bench.dock.message.text()
    bench.click(bench.dock.header.cancel)
    held.go.set()
    assert done(bench) == "Cancelled: classes and mask are as they were."
    np.testing.assert_array_equal(bench.dock.layers.mask.data, before)
    assert session.labels.ids == (1, 2, 3) and strokes.history.names[-1] == "Test"
    session.merge_class(2, 3)
    assert done(bench) == "Class merged: lesion into vessel."
    np.testing.assert_array_equal(bench.dock.layers.mask.data, np.where(before == 2, 3, before))
    assert strokes.counts == {3: 150} and bench.dock.layers.mask.selected_label == 3
    assert len(held.threads) == 2 and threading.main_thread() not in held.threads
    bench.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(bench.dock.layers.mask.data, before)
    assert strokes.counts == {2: 100, 3: 50} and session.labels.ids == (1, 2, 3)
    bench.key(Qt.Key.Key_Y, CTRL)
    assert strokes.counts == {3: 150} and session.labels.ids == (1, 3)


def test_what_was_drawn_or_locked_meanwhile_is_not_written_over(bench, held) -> None:
    session, strokes = bench.dock.session, bench.dock.strokes
    before = asked(bench, lambda: session.delete_class(2))
    strokes.change("Test", np.s_[5:6, 10:11, 10:11], np.zeros((1, 1, 1), np.uint8))
    held.go.set()
    assert "the mask was changed meanwhile, so nothing was done" in done(bench)
    assert strokes.counts == {2: 99, 3: 50} and session.labels.ids == (1, 2, 3)
    held.go.clear()
    asked(bench, lambda: session.delete_class(2))
    session.lock_classes(frozenset({2}))
    held.go.set()
    assert "the mask was changed meanwhile" in done(bench)
    assert strokes.counts == {2: 99, 3: 50}
    session.lock_classes(frozenset())
    held.go.clear()
    asked(bench, lambda: session.delete_class(2))
    session.close_mask(keep=False)
    bench.dock.say("")
    held.go.set()
    assert done(bench) == "" and bench.dock.layers.mask is None
    assert np.count_nonzero(before) == 150
