"""The dock's own x and what is left of unsaved work; journals in which nothing was ever drawn."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from qtpy.QtWidgets import QDockWidget, QLabel, QPushButton

pytestmark = [pytest.mark.gui, pytest.mark.own_window]


def dock_of(desk) -> QDockWidget:
    (found,) = [d for d in desk.qt_window.findChildren(QDockWidget) if d.widget() is desk.dock]
    return found


def press_x(desk) -> None:
    button = dock_of(desk).titleBarWidget().findChild(QPushButton, "QTitleBarCloseButton")
    desk.click(button)
    desk.idle(0.05)


def painted(desk) -> np.ndarray:
    desk.open("phantom")
    desk.empty_mask()
    x, y = desk.centre()
    desk.drag((x + 60, y), (x + 100, y))
    assert desk.dock.session.has_unsaved_strokes
    return desk.dock.layers.mask.data.copy()


def test_cancel_puts_the_dock_back_with_everything_in_it(desk) -> None:
    """Row 43: the question before unsaved work is left."""
    drawn = painted(desk)
    desk.dock.dialogs.unsaved_answer = "cancel"
    press_x(desk)
    assert desk.dock.dialogs.asked == ["unsaved CT phantom"]
    desk.until(desk.dock.isVisible)
    assert dock_of(desk).objectName() == "MedCNN" and desk.dock.window() is desk.qt_window
    assert list(desk.viewer.window.dock_widgets) == ["MedCNN"]
    np.testing.assert_array_equal(desk.dock.layers.mask.data, drawn)
    x, y = desk.centre()
    desk.drag((x + 60, y + 60), (x + 100, y + 60))
    assert np.count_nonzero(desk.dock.layers.mask.data) > np.count_nonzero(drawn)
    press_x(desk)  # and it asks again
    assert desk.dock.dialogs.asked == ["unsaved CT phantom"] * 2
    desk.dock.strokes.unsaved = 0


def test_kept_strokes_are_offered_when_the_dock_opens_again(desk, qapp) -> None:
    import fake_engine
    from napari_medcnn.annotation.recovery import find_recoverable
    from napari_medcnn.core import paths
    from napari_medcnn.widgets.launch import add_dock

    before = len(find_recoverable(paths.recovery()))
    drawn, pid = painted(desk), desk.dock.link.engine.pid
    press_x(desk)
    assert desk.dock.dialogs.asked == ["unsaved CT phantom"]
    desk.until(lambda: len(find_recoverable(paths.recovery())) == before + 1)
    desk.until(lambda: not os.path.exists(f"/proc/{pid}"))
    again = add_dock(desk.viewer, fake_engine.launch())
    desk.dock = again
    desk.until(lambda: any(w.text() == "Continue" and w.isVisible() for w in again.start.findChildren(QPushButton)))
    assert any(w.text().startswith("CT phantom: 1 stroke,") for w in again.start.findChildren(QLabel))
    desk.click(next(w for w in again.start.findChildren(QPushButton) if w.text() == "Continue"))
    desk.until(lambda: again.layers.mask is not None)
    np.testing.assert_array_equal(again.layers.mask.data, drawn)
    assert again.header.saved.text() == "not saved"
    again.strokes.unsaved = 0
    find_recoverable(paths.recovery())[0].discard()


def test_without_unsaved_work_nothing_is_asked(desk) -> None:
    desk.open("phantom")
    press_x(desk)
    assert desk.dock.dialogs.asked == [] and desk.dock._closed


def test_empty_journals_of_killed_sessions_are_gone(desk) -> None:
    from napari_medcnn.core import paths

    empty = paths.recovery() / "00000001-killed.strokes"
    empty.parent.mkdir(parents=True, exist_ok=True)
    empty.write_bytes(b"")
    os.utime(empty, (time.time() - 3600,) * 2)
    desk.dock.recovering.look()
    desk.until(lambda: not empty.exists() and not desk.dock.tasks.names())
